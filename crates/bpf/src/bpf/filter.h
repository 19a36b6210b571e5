/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which processes and which file names are wanted.
 */
#ifndef CRYPTO_TRACE_FILTER_H
#define CRYPTO_TRACE_FILTER_H

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

/*
 * Whether the current thread, or its process, has a wanted name. A global function, as others here are also for the stack's sake:
 * all calls under way together may have 512 bytes.
 */
__noinline int comm_wanted(void)
{
	struct task_struct *task = current_task();
	__u64 comm[2];

	read_comm(comm, task);
	if (comm_contains((const char *)comm))
		return 1;
	read_comm(comm, GET(task, group_leader));
	return comm_contains((const char *)comm);
}

struct ct_name_part {
	__u64 name; /* where it is, as a plain number */
	__u32 len;
	int found;
};

static __noinline long name_step(__u32 at, void *ctx)
{
	struct ct_name_part *part = ctx;
	__u64 low = read8((const void *)(part->name + at));
	__u64 high = read8((const void *)(part->name + at + 8));
	__u32 i;

	if (at >= part->len)
		return 1;
#pragma clang loop unroll(disable)
	for (i = 0; i < CT_MAX_COMM_FILTERS; i++) {
		const volatile struct ct_comm_filter *f = &cfg.comms[i];

		if (i >= cfg.comm_count)
			break;
		if ((low & f->mask[0]) == f->bytes[0] && (high & f->mask[1]) == f->bytes[1] && at + f->len <= part->len) {
			part->found = 1;
			return 1;
		}
	}
	return 0;
}

/* Whether the name of this dentry, a plain number, contains one of the wanted names. A global function: verified once. */
__noinline int name_contains(__u64 dentry)
{
	struct ct_name_part part = {
		.name = (__u64)READ((struct dentry *)dentry, d_name.name), .len = READ((struct dentry *)dentry, d_name.len),
	};

	REPEAT(CT_COMPONENT_MAX, name_step, &part);
	return part.found;
}

/*
 * Whether the current process runs an executable whose name contains one of the wanted names: programs that rename themselves
 * are known by it. A name is looked at once for each executable that a process runs. One that exits has none any more, so it is
 * judged by what it ran last. A global function: verified once.
 */
__noinline int exe_wanted(void)
{
	struct task_struct *task = current_task();
	__u64 start_ns = READ(task, group_leader, start_boottime);
	struct file *exe = READ(task, mm, exe_file);
	struct ct_image *image;
	__u32 tgid = GET(task, tgid);

	image = bpf_map_lookup_elem(&images, &tgid);
	if (!exe)
		return image && (image->start_ns == start_ns || !image->start_ns) && image->wanted;
	if (image && image->exe == (__u64)exe && image->start_ns == start_ns)
		return image->wanted != 0;
	if (!image) {
		bpf_map_update_elem(&images, &tgid, (const void *)&no_image, BPF_ANY);
		image = bpf_map_lookup_elem(&images, &tgid);
	}
	if (!image) {
		/* Not judged; but said. */
		count(CT_COUNTER_UNREADABLE);
		return 0;
	}
	*(volatile __u64 *)&image->name = (__u64)READ(exe, f_path.dentry);
	image->wanted = name_contains(*(volatile __u64 *)&image->name);
	image->start_ns = start_ns;
	image->exe = (__u64)exe;
	return image->wanted != 0;
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

/* By process id and name alone: the part of the selection that children inherit. `task` is of the current process. */
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
	if (cfg.comm_count && !comm_wanted() && !exe_wanted())
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

/* Whether the current process is. A global function: verified once. */
__noinline int process_wanted(void)
{
	struct task_struct *task = current_task();
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

enum ct_tails {
	CT_TAILS_OF_NAMES,
	CT_TAILS_OF_DIRECTORIES,
};

#define CT_EACH_BYTE 0x0101010101010101ULL

/* The place of the last byte in `bytes` that is `byte`; -1: there is none. Without branches, which the verifier would follow. */
static __always_inline int last_byte(__u64 bytes, __u8 byte)
{
	__u64 low = 0x7f * CT_EACH_BYTE;
	__u64 found = bytes ^ byte * CT_EACH_BYTE;

	/* 0x80 for each that is zero now, exactly; then for all before the last of these as well. Their number gives its place. */
	found = ~(((found & low) + low) | found | low);
	found |= found >> 8;
	found |= found >> 16;
	found |= found >> 32;
	return (int)((found >> 7) * CT_EACH_BYTE >> 56) - 1;
}

/* The same of some words. Clang would make branches of the choice, and the verifier go ten ways. */
static __always_inline int last_byte_of(const __u64 *words, int count, __u8 byte)
{
	int last = -1, i;

#pragma unroll
	for (i = 0; i < count; i++) {
		int found = last_byte(words[i], byte);
		int none = found >> 31;

		asm volatile("" : "+r"(none));
		last = (last & none) | ((i * 8 + found) & ~none);
	}
	return last;
}

/* Where, counted from the end of scratch->window, the last byte is that is `byte`, or more than there are. */
static __always_inline __u32 from_end(const struct ct_scratch *s, __u8 byte)
{
	return CT_NAME_MAX + 1 - last_byte_of(s->window_words, (CT_NAME_MAX + 1) / 8, byte);
}

/* ASCII in lower case. */
static __always_inline __u64 lowered(__u64 bytes)
{
	__u64 seven = bytes & 0x7f * CT_EACH_BYTE;
	__u64 from_a = seven + (0x80 - 'A') * CT_EACH_BYTE;
	__u64 above_z = seven + (0x7f - 'Z') * CT_EACH_BYTE;

	return bytes | (((from_a ^ above_z) & ~bytes & 0x80 * CT_EACH_BYTE) >> 2);
}

/* Bit of the bytes from `start` on, in any case: as tail_bit() in select.rs. */
static __always_inline int bit_of(enum ct_tails tails, __u64 bytes, __u32 start)
{
	__u64 tail = (bytes | 0x20 * CT_EACH_BYTE) >> (8 * (start & 7));
	__u32 hash = (tail * 0x9e3779b97f4a7c15ULL) >> (64 - CT_TAIL_BITS);
	__u32 at = hash >> 3;

	asm volatile("" : "+r"(at));
	at &= CT_TAILS - 1;
	return (tails == CT_TAILS_OF_NAMES ? name_tails[at] : dir_tails[at]) >> (hash & 7) & 1;
}

/* How a name may be in a table. */
#define CT_TAIL_OF_ALL 1    /* by all of its letters, or the last eight */
#define CT_TAIL_OF_SUFFIX 2 /* by what is behind its last dot */
#define CT_TAIL_OF_COPY 4   /* by what is before what mkstemp(3) made up */

/* Whether the lowest `n` bytes are all small letters, as far as two bits can show. */
static __always_inline int is_lower(__u64 bytes, int n)
{
	__u64 bits = 0x60 * CT_EACH_BYTE >> (8 * (8 - n));

	return (bytes & bits) == bits;
}

/*
 * Whether a name may be in a table, and how: CT_TAIL_*. `bytes` are its last eight, or with what is before it; its first eight
 * where it is shorter, with what is behind it. `len` is all of its bytes, with a directory's before it or without. A global
 * function: verified once.
 */
__noinline int tail_wanted(enum ct_tails tails, __u64 bytes, __u32 len)
{
	int start = 0;
	int slash, dot;

	if (!len)
		return 0;
	if (len < 8) {
		start = 8 - len;
		bytes <<= 8 * (start & 7);
	}
	slash = last_byte(bytes, '/');
	if (slash >= start)
		start = slash + 1;
	if (start > 7)
		return 0;
	dot = last_byte(bytes, '.');
	if (match_copies && dot == 1 && tails == CT_TAILS_OF_NAMES && !is_lower(bytes >> 16, 6))
		return CT_TAIL_OF_ALL | CT_TAIL_OF_COPY;
	return (bit_of(tails, bytes, start) ? CT_TAIL_OF_ALL : 0) |
	       (dot > start && bit_of(tails, bytes, dot) ? CT_TAIL_OF_SUFFIX : 0);
}

/* Whether a name that ends in these eight bytes, of eight or more, may begin as wanted: what is behind is a number, or made up. */
static __always_inline int head_may_be_wanted(__u64 bytes, __u32 len)
{
	return name_head_mask && len >= 8 &&
	       (((bytes >> 56) - '0' < 10) || (bytes >> 8 & 0xff) == '_');
}

static __always_inline int head_wanted(__u64 head)
{
	return (head & name_head_mask) == name_head;
}

/* What tail_wanted() looks at: of a name, and of the `len` bytes of a path in scratch->user. */
static __always_inline __u64 name_tail(const struct qstr *name)
{
	return read8(name->name + (name->len < 8 ? 0 : name->len - 8));
}

static __always_inline __u64 user_tail(struct ct_scratch *s, __u32 len)
{
	__u32 at = len < 8 ? 0 : len - 8;

	asm volatile("" : "+r"(at));
	return *(__u64 *)&s->user[at & (CT_PATH_MAX - 1)];
}

/* What is known of a name whose end is in scratch->window. */
#define CT_NAME_WHOLE 1 /* these are all its bytes, and all of it may be in the table */
#define CT_NAME_COPY 2	/* it is what another name is a copy of */

/*
 * Whether the file name whose last `n` bytes end scratch->window is in the names map: whole, or by its suffix: 1. More: it is not,
 * but it is a copy, and one less than this is the length of its ending: what is before that is to be looked at.
 * A global function with loops over constant places, so that the verifier sees it once and cheaply.
 */
__noinline int name_in_tables(__u32 slot, __u32 n, __u32 how)
{
	struct ct_scratch *s = scratch_of(slot);
	struct ct_name_key key = {};
	__u64 *words = (__u64 *)key.name;
	__u32 dot;
	__u8 *found;
	__u8 last;
	int i;

	if (!s || !in_range(n, 2, CT_NAME_MAX))
		return 0;
	last = s->window[CT_NAME_MAX];
	if (how & CT_NAME_WHOLE) {
		bpf_probe_read_kernel(key.name, n, &s->window[CT_NAME_MAX + 1 - n]);
		found = bpf_map_lookup_elem(&names, &key);
		if (found && *found == CT_NAME_WANTED)
			return 1;
		/* Emacs, Vim and rsync put a mark before the name. */
		if (how & CT_NAME_COPY && (key.name[0] == '#' || key.name[0] == '.')) {
			__u32 rest = n - 1;

			__builtin_memset(&key, 0, sizeof(key));
			if (in_range(rest, 1, CT_NAME_MAX)) {
				bpf_probe_read_kernel(key.name, rest, &s->window[CT_NAME_MAX + 1 - rest]);
				found = bpf_map_lookup_elem(&names, &key);
				if (found && *found == CT_NAME_WANTED)
					return 1;
			}
		}
		__builtin_memset(&key, 0, sizeof(key));
	}
	/* A dot at the end is of no suffix. */
	s->window[CT_NAME_MAX] = 0;
	dot = from_end(s, '.');
	s->window[CT_NAME_MAX] = last;
	if (dot <= n && in_range(dot, 1, CT_SUFFIX_MAX)) {
		bpf_probe_read_kernel(key.name, dot, &s->window[CT_NAME_MAX + 1 - dot]);
#pragma unroll
		for (i = 0; i < (CT_SUFFIX_MAX + 7) / 8; i++)
			words[i] = lowered(words[i]);
		found = bpf_map_lookup_elem(&names, &key);
		if (found && *found == CT_NAME_WANTED)
			return 1;
		/* As RANDOM_LEN in the catalog. */
		if (dot < n && (found || dot == 1 + 6) && match_copies && !(how & CT_NAME_COPY))
			return 1 + (int)dot;
	}
	if (match_copies && !(how & CT_NAME_COPY) && (last == '~' || last == '#'))
		return 1 + 1;
	return 0;
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
	int tail, found;
	__u64 bytes;

	if (cfg.match_all_names)
		return 1;
	if (len < 2)
		return 0;
	bytes = name_tail(name);
	if (head_may_be_wanted(bytes, len) && head_wanted(read8(name->name)))
		return 1;
	tail = tail_wanted(CT_TAILS_OF_NAMES, bytes, len);
	if (!tail)
		return 0;
	found = name_in_tables(slot, fill_window(s, name->name, len),
			       len <= CT_NAME_MAX && tail & CT_TAIL_OF_ALL ? CT_NAME_WHOLE : 0);
	if (found <= 1)
		return found;
	len -= (__u32)found - 1;
	found = name_in_tables(slot, fill_window(s, name->name, len),
			       (len <= CT_NAME_MAX ? CT_NAME_WHOLE : 0) | CT_NAME_COPY);
	return found == 1;
}

/* The last component of the path of `len` bytes in scratch->user, as name_in_tables() reports. */
__noinline int given_in_tables(__u32 slot, __u32 len, __u32 how)
{
	struct ct_scratch *s = scratch_of(slot);
	__u32 n = len > CT_NAME_MAX ? CT_NAME_MAX : len;
	__u32 at = len - n;
	__u32 name;

	if (!s || len < 2)
		return 0;
	asm volatile("" : "+r"(at), "+r"(n));
	if (at >= CT_PATH_MAX - CT_NAME_MAX || !in_range(n, 1, CT_NAME_MAX))
		return 0;
	bpf_probe_read_kernel(&s->window[CT_NAME_MAX + 1 - n], n, &s->user[at]);
	name = from_end(s, '/');
	/* No slash in the window: the name is all of it, or begins before it. */
	if (name > n)
		how |= at ? 0 : CT_NAME_WHOLE;
	else {
		how |= CT_NAME_WHOLE;
		n = name - 1;
	}
	if (name_head_mask && how & CT_NAME_WHOLE && in_range(n, 8, CT_NAME_MAX)) {
		__u64 head = 0;

		bpf_probe_read_kernel(&head, sizeof(head), &s->window[CT_NAME_MAX + 1 - n]);
		if (head_wanted(head))
			return 1;
	}
	return name_in_tables(slot, n, how);
}

/* Whether the last component of the path of `len` bytes in scratch->user is wanted. */
__noinline int given_wanted(__u32 slot, __u32 len)
{
	struct ct_scratch *s = scratch_of(slot);
	__u64 bytes;
	int found;

	if (cfg.match_all_names)
		return 1;
	if (!s || len < 2)
		return 0;
	bytes = user_tail(s, len);
	if (!tail_wanted(CT_TAILS_OF_NAMES, bytes, len) && !head_may_be_wanted(bytes, len))
		return 0;
	found = given_in_tables(slot, len, 0);
	if (found <= 1)
		return found == 1;
	return given_in_tables(slot, len - ((__u32)found - 1), CT_NAME_COPY) == 1;
}

static __always_inline int library_wanted(struct dentry *dentry)
{
	struct ct_lib_key key = {};
	struct qstr name = name_of(dentry);
	__u32 n;

	n = name.len > CT_NAME_MAX ? CT_NAME_MAX : name.len;
	asm volatile("" : "+r"(n));
	if (!in_range(n, 1, CT_NAME_MAX) || bpf_probe_read_kernel(key.name, n, name.name))
		return 0;
	key.prefix_bits = n * 8;
	return bpf_map_lookup_elem(&libraries, &key) != NULL;
}

#endif
