/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
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
	bpf_probe_read_kernel(comm, sizeof(comm), GET(task, group_leader)->comm);
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
	__u32 tgid = GET(task, tgid);
	__u32 uid;

	if (tgid == cfg.self_tgid)
		return 0;
	if (cfg.filter_uid) {
		uid = GET2(task, real_cred, uid.val);
		if (!bpf_map_lookup_elem(&uids, &uid))
			return 0;
	}
	if (cfg.cgroup_count && !cgroup_wanted())
		return 0;
	return tree_wanted(task, tgid);
}

static __always_inline int tail_wanted(const volatile __u8 *tails, __u16 tail)
{
	__u32 at = tail >> 3;

	asm volatile("" : "+r"(at));
	return tails[at & 8191] >> (tail & 7) & 1;
}

/*
 * Whether the file name whose last `n` bytes end scratch->window is in the names map: whole, or by its suffix. `whole`
 * says that these are all its bytes. A global function with loops over constant places, so that the verifier sees it
 * once and cheaply.
 */
__noinline int name_in_tables(__u32 slot, __u32 n, __u32 whole)
{
	struct ct_name_key key = {};
	struct ct_scratch *s;
	__u32 dot = 0;
	int i;

	if (slot >= CT_SCRATCH_SLOTS)
		return 0;
	s = bpf_map_lookup_elem(&scratch, &slot);
	if (!s || !in_range(n, 2, CT_NAME_MAX))
		return 0;
	if (whole) {
		bpf_probe_read_kernel(key.name, n, &s->window[CT_NAME_MAX + 1 - n]);
		if (bpf_map_lookup_elem(&names, &key))
			return 1;
		__builtin_memset(&key, 0, sizeof(key));
	}
#pragma unroll
	for (i = 2; i <= CT_SUFFIX_MAX; i++) {
		if (s->window[CT_NAME_MAX + 1 - i] == '.') {
			dot = i;
			break;
		}
	}
	asm volatile("" : "+r"(dot));
	if (!dot || dot > n || dot > CT_SUFFIX_MAX)
		return 0;
	bpf_probe_read_kernel(key.name, dot, &s->window[CT_NAME_MAX + 1 - dot]);
#pragma unroll
	for (i = 1; i < CT_SUFFIX_MAX; i++) {
		__u32 c = (__u8)key.name[i];

		/* ASCII upper to lower case without a branch. */
		c += (((c - 'A') & 0xff) - 26) >> 31 << 5;
		key.name[i] = (char)c;
	}
	return bpf_map_lookup_elem(&names, &key) != NULL;
}

/* Copies the end of a name of `len` bytes to the end of scratch->window; returns how many bytes, at most CT_NAME_MAX. */
static __always_inline __u32 fill_window(struct ct_scratch *s, const void *name, __u32 len)
{
	__u32 n = len > CT_NAME_MAX ? CT_NAME_MAX : len;
	const void *from = name + (len - n);

	asm volatile("" : "+r"(n));
	if (!in_range(n, 1, CT_NAME_MAX))
		return 0;
	if (bpf_probe_read_kernel(&s->window[CT_NAME_MAX + 1 - n], n, from))
		return 0;
	return n;
}

/* Whether a dentry's name is wanted. */
static __always_inline int name_wanted(struct ct_scratch *s, __u32 slot, const struct qstr *name)
{
	__u32 len = name->len;
	__u16 tail;

	if (cfg.match_all_names)
		return 1;
	if (len < 2 || bpf_probe_read_kernel(&tail, 2, name->name + len - 2) || !tail_wanted(name_tails, tail))
		return 0;
	return name_in_tables(slot, fill_window(s, name->name, len), len <= CT_NAME_MAX);
}

/* Whether the last component of the path of `len` bytes in scratch->user is wanted. */
__noinline int given_wanted(__u32 slot, __u32 len)
{
	struct ct_scratch *s;
	__u32 n = len > CT_NAME_MAX ? CT_NAME_MAX : len;
	__u32 at = len - n;
	__u32 name = 0;
	__u16 tail;
	int i;

	if (cfg.match_all_names)
		return 1;
	if (slot >= CT_SCRATCH_SLOTS)
		return 0;
	s = bpf_map_lookup_elem(&scratch, &slot);
	if (!s || len < 2)
		return 0;
	tail = s->user[(len - 2) & (CT_PATH_MAX - 1)] | (__u16)s->user[(len - 1) & (CT_PATH_MAX - 1)] << 8;
	if (!tail_wanted(name_tails, tail))
		return 0;
	asm volatile("" : "+r"(at), "+r"(n));
	if (at >= CT_PATH_MAX - CT_NAME_MAX || !in_range(n, 1, CT_NAME_MAX))
		return 0;
	bpf_probe_read_kernel(&s->window[CT_NAME_MAX + 1 - n], n, &s->user[at]);
#pragma unroll
	for (i = 1; i <= CT_NAME_MAX; i++) {
		if (s->window[CT_NAME_MAX + 1 - i] == '/') {
			name = i;
			break;
		}
	}
	/* No slash in the window: the name is all of it, or begins before it. */
	if (!name || name > n)
		return name_in_tables(slot, n, !at);
	return name_in_tables(slot, name - 1, 1);
}

struct ct_slash {
	struct ct_scratch *s;
	__u32 end;
	int found;
};

static __noinline long slash_step(__u32 i, void *ctx)
{
	struct ct_slash *slash = ctx;

	if (i >= slash->end)
		return 1;
	if (slash->s->user[(slash->end - 1 - i) & (CT_PATH_MAX - 1)] != '/')
		return 0;
	slash->found = (int)(slash->end - 1 - i);
	return 1;
}

/* Where the last slash before `end` is in scratch->user; -1: none in the length of a component. */
__noinline int slash_before(__u32 slot, __u32 end)
{
	struct ct_slash slash = { .end = end, .found = -1 };

	if (slot >= CT_SCRATCH_SLOTS)
		return -1;
	slash.s = bpf_map_lookup_elem(&scratch, &slot);
	if (!slash.s)
		return -1;
#ifndef CT_OLD_KERNEL
	bpf_loop(CT_COMPONENT_MAX + 1, slash_step, &slash, 0);
#else
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i <= CT_COMPONENT_MAX; i++) {
		if (slash_step(i, &slash))
			break;
	}
#endif
	return slash.found;
}

/* Copies the component of `n` bytes at scratch->user[at] into a key; false: too long or too short for one. */
static __always_inline int component(struct ct_scratch *s, char *to, __u32 at, __u32 n)
{
	asm volatile("" : "+r"(at), "+r"(n));
	if (at >= CT_PATH_MAX || !in_range(n, 1, CT_NAME_MAX))
		return 0;
	return !bpf_probe_read_kernel(to, n, &s->user[at]);
}

/* Whether all files of the directory `dir` are wanted. */
static __always_inline int dir_wanted(struct ct_scratch *s, struct dentry *dir)
{
	struct ct_dir_key *key = &s->directory;
	struct dentry *up;
	struct qstr name;
	__u16 tail;

	if (!cfg.match_dirs || bpf_core_read(&name, sizeof(name), &dir->d_name))
		return 0;
	if (name.len < 2 || name.len > CT_NAME_MAX)
		return 0;
	if (bpf_probe_read_kernel(&tail, 2, name.name + name.len - 2) || !tail_wanted(dir_tails, tail))
		return 0;
	__builtin_memset(key, 0, sizeof(*key));
	if (bpf_probe_read_kernel(key->parent, name.len & CT_NAME_MAX, name.name))
		return 0;
	if (bpf_map_lookup_elem(&directories, key))
		return 1;
	up = BPF_CORE_READ(dir, d_parent);
	if (bpf_core_read(&name, sizeof(name), &up->d_name))
		return 0;
	if (!name.len || name.len > CT_NAME_MAX)
		return 0;
	if (bpf_probe_read_kernel(key->grandparent, name.len & CT_NAME_MAX, name.name))
		return 0;
	return bpf_map_lookup_elem(&directories, key) != NULL;
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
	if (!in_range(n, 1, CT_NAME_MAX) || bpf_probe_read_kernel(key.name, n, name.name))
		return 0;
	key.prefix_bits = n * 8;
	return bpf_map_lookup_elem(&libraries, &key) != NULL;
}

#endif
