/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/*
 * Which processes and which file names are wanted.
 */
#ifndef CRYPTO_TRACE_FILTER_H
#define CRYPTO_TRACE_FILTER_H

enum ct_target {
	CT_TARGET_SEED = 1,	  /* named by the user: name filters apply as well */
	CT_TARGET_DESCENDANT = 2, /* of a selected process: nothing else applies but uid and cgroup */
};

/* Whether the 16 bytes of a comm contain one of the wanted names. */
static __always_inline int comm_contains(const char *comm)
{
	__u64 low = ((const __u64 *)comm)[0];
	__u64 high = ((const __u64 *)comm)[1];
	int i, shift;

	for (i = 0; i < CT_MAX_COMM_FILTERS; i++) {
		const volatile struct ct_comm_filter *f = &cfg.comms[i];
		__u64 a = low, b = high;

		if (i >= cfg.comm_count)
			break;
		for (shift = 0; shift < 16; shift++) {
			if ((a & f->mask[0]) == f->bytes[0] && (b & f->mask[1]) == f->bytes[1])
				return 1;
			a = (a >> 8) | (b << 56);
			b >>= 8;
		}
	}
	return 0;
}

static __always_inline int comm_wanted(struct task_struct *task)
{
	__u64 comm[2];

	bpf_probe_read_kernel(comm, sizeof(comm), task->comm);
	if (comm_contains((const char *)comm))
		return 1;
	bpf_probe_read_kernel(comm, sizeof(comm), task->group_leader->comm);
	return comm_contains((const char *)comm);
}

static __always_inline int cgroup_wanted(void)
{
	__u32 i;

	for (i = 0; i < CT_MAX_CGROUP_FILTERS; i++) {
		if (i >= cfg.cgroup_count)
			break;
		if (bpf_current_task_under_cgroup(&cgroups, i) == 1)
			return 1;
	}
	return 0;
}

static __always_inline int add_target(__u32 tgid)
{
	__u8 value = CT_TARGET_DESCENDANT;

	if (bpf_map_update_elem(&targets, &tgid, &value, BPF_ANY)) {
		count(CT_COUNTER_TARGETS_FULL);
		return 0;
	}
	return 1;
}

/* By process id and name alone: the part of the selection that children inherit. */
static __always_inline int tree_wanted(struct task_struct *task, __u32 tgid)
{
	__u8 *target = NULL;

	if (!cfg.filter_tgid && !cfg.comm_count)
		return 1;
	if (cfg.filter_tgid || cfg.follow_children)
		target = bpf_map_lookup_elem(&targets, &tgid);
	if (target && *target == CT_TARGET_DESCENDANT)
		return 1;
	if (cfg.filter_tgid && !target)
		return 0;
	if (cfg.comm_count && !comm_wanted(task))
		return 0;
	if (cfg.comm_count && cfg.follow_children)
		add_target(tgid);
	return 1;
}

/* The cheap half, asked before anything else is looked at. */
static __always_inline int process_may_be_wanted(__u32 tgid)
{
	if (tgid == cfg.self_tgid)
		return 0;
	if (cfg.filter_tgid && !bpf_map_lookup_elem(&targets, &tgid))
		return 0;
	return 1;
}

static __always_inline int process_wanted(struct task_struct *task)
{
	__u32 tgid = task->tgid;
	__u32 uid;

	if (tgid == cfg.self_tgid)
		return 0;
	if (cfg.filter_uid) {
		uid = task->real_cred->uid.val;
		if (!bpf_map_lookup_elem(&uids, &uid))
			return 0;
	}
	if (cfg.cgroup_count && !cgroup_wanted())
		return 0;
	return tree_wanted(task, tgid);
}

static __always_inline int tail_wanted(const volatile __u8 *tails, __u16 tail)
{
	return tails[tail >> 3] >> (tail & 7) & 1;
}

/* Whether the file name of `len` bytes at `name` (kernel memory) is in the names map: whole, or by its suffix. */
static __always_inline int name_in_tables(const void *name, __u32 len)
{
	struct ct_name_key key = {};
	struct ct_name_key suffix = {};
	__u32 n = len > CT_NAME_MAX ? CT_NAME_MAX : len;
	int i, dot = -1;

	asm volatile("" : "+r"(n));
	if (!n || n > CT_NAME_MAX)
		return 0;
	if (bpf_probe_read_kernel(key.name, n, name + (len - n)))
		return 0;
	if (len <= CT_NAME_MAX && bpf_map_lookup_elem(&names, &key))
		return 1;
	for (i = 0; i < CT_NAME_MAX; i++) {
		if (i < n && key.name[i] == '.')
			dot = i;
	}
	if (dot < 0 || n - dot > CT_SUFFIX_MAX)
		return 0;
	for (i = 0; i < CT_SUFFIX_MAX; i++) {
		char c = key.name[(dot + i) & CT_NAME_MAX];

		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (dot + i <= CT_NAME_MAX)
			suffix.name[i] = c;
	}
	return bpf_map_lookup_elem(&names, &suffix) != NULL;
}

static __always_inline int name_wanted(const void *name, __u32 len)
{
	__u16 tail;

	if (cfg.match_all_names)
		return 1;
	if (len < 2 || bpf_probe_read_kernel(&tail, 2, name + len - 2) || !tail_wanted(name_tails, tail))
		return 0;
	return name_in_tables(name, len);
}

/* Whether all files of the directory `dir` are wanted. */
static __always_inline int dir_wanted(struct dentry *dir)
{
	struct ct_dir_key key = {};
	struct dentry *up;
	struct qstr name;
	__u16 tail;

	if (!cfg.match_dirs || bpf_core_read(&name, sizeof(name), &dir->d_name))
		return 0;
	if (name.len < 2 || name.len > CT_NAME_MAX)
		return 0;
	if (bpf_probe_read_kernel(&tail, 2, name.name + name.len - 2) || !tail_wanted(dir_tails, tail))
		return 0;
	if (bpf_probe_read_kernel(key.parent, name.len & CT_NAME_MAX, name.name))
		return 0;
	if (bpf_map_lookup_elem(&directories, &key))
		return 1;
	up = BPF_CORE_READ(dir, d_parent);
	if (bpf_core_read(&name, sizeof(name), &up->d_name))
		return 0;
	if (!name.len || name.len > CT_NAME_MAX)
		return 0;
	if (bpf_probe_read_kernel(key.grandparent, name.len & CT_NAME_MAX, name.name))
		return 0;
	return bpf_map_lookup_elem(&directories, &key) != NULL;
}

static __always_inline int library_wanted(struct dentry *dentry)
{
	struct ct_lib_key key = {};
	struct qstr name;
	__u32 n;

	if (bpf_core_read(&name, sizeof(name), &dentry->d_name))
		return 0;
	n = name.len > CT_NAME_MAX ? CT_NAME_MAX : name.len;
	asm volatile("" : "+r"(n));
	if (!n || n > CT_NAME_MAX || bpf_probe_read_kernel(key.name, n, name.name))
		return 0;
	key.prefix_bits = n * 8;
	return bpf_map_lookup_elem(&libraries, &key) != NULL;
}

#endif
