/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Absolute paths without bpf_d_path, which tracepoints may not call: a walk over dentries and mounts up to the root of
 * the process's mount namespace. A chroot is not its end: the path shown is the one from outside it.
 */
#ifndef CRYPTO_TRACE_PATH_H
#define CRYPTO_TRACE_PATH_H

/* PATH_MAX bytes hold at most half as many components; each may be a mount as well. */
#define CT_PATH_STEPS 4096
#define CT_PATH_STEPS_OLD 64

/* Result of a walk: where in scratch->path it begins (it ends at CT_PATH_END), and record flags in the high half. */
#define WALK_START(r) ((__u32)(r) & 0xffff)
#define WALK_FLAGS(r) ((__u16)((__u32)(r) >> 16))

struct ct_walk {
	struct dentry *dentry;
	struct mount *mnt;
	struct dentry *mnt_root;
	__u32 slot;
	__u32 start;
	__u32 flags;
};

static __always_inline struct mount *real_mount(__u64 vfsmount_ptr)
{
	return (struct mount *)(vfsmount_ptr - bpf_core_field_offset(struct mount, mnt));
}

/* Writes a component before what is there already, after a slash if `slash`. False: no room, or unreadable. */
static __always_inline int prepend(struct ct_walk *w, const struct qstr *name, __u32 slash)
{
	struct ct_scratch *s = bpf_map_lookup_elem(&scratch, &w->slot);
	__u32 start = w->start;
	__u32 len = name->len;

	if (!s || len > 255)
		return 0;
	if (start < len + slash) {
		w->flags = CT_F_PATH_PARTIAL | CT_F_TRUNCATED;
		return 0;
	}
	start -= len + slash;
	asm volatile("" : "+r"(start), "+r"(len));
	if (start >= CT_PATH_END || len > 255)
		return 0;
	if (bpf_probe_read_kernel(&s->path[start + slash], len, name->name))
		return 0;
	if (slash)
		s->path[start] = '/';
	w->start = start;
	return 1;
}

/* One step towards the root: over a mount, or over one component. Returns 1 when the walk has ended. */
static __noinline long walk_step(__u64 i, struct ct_walk *w)
{
	struct dentry *dentry = w->dentry;
	struct dentry *parent;
	struct qstr name;

	if (dentry == w->mnt_root) {
		struct mount *mnt = w->mnt;
		struct mount *up = BPF_CORE_READ(mnt, mnt_parent);

		if (up == mnt || !up) {
			w->flags = BPF_CORE_READ(mnt, mnt_ns) ? 0 : CT_F_DETACHED;
			return 1;
		}
		w->dentry = BPF_CORE_READ(mnt, mnt_mountpoint);
		w->mnt = up;
		w->mnt_root = BPF_CORE_READ(up, mnt.mnt_root);
		return 0;
	}
	if (bpf_core_read(&name, sizeof(name), &dentry->d_name))
		return 1;
	parent = BPF_CORE_READ(dentry, d_parent);
	/* A file of no file system tree (memfd, pipe): its name is all there is. */
	if (parent == dentry || !parent) {
		if (prepend(w, &name, 0))
			w->flags = CT_F_DETACHED;
		return 1;
	}
	if (!prepend(w, &name, 1))
		return 1;
	w->dentry = parent;
	return 0;
}

/*
 * A global function: verified once, not at every call. Takes the dentry and vfsmount as plain numbers and the scratch
 * slot to write into.
 */
__noinline int walk_path(__u64 dentry_ptr, __u64 vfsmount_ptr, __u32 slot)
{
	struct mount *mnt = real_mount(vfsmount_ptr);
	struct ct_walk w = {};

	if (slot >= CT_SCRATCH_SLOTS)
		return CT_PATH_END;
	w.dentry = (struct dentry *)dentry_ptr;
	w.mnt = mnt;
	w.mnt_root = BPF_CORE_READ(mnt, mnt.mnt_root);
	w.slot = slot;
	w.start = CT_PATH_END;
	w.flags = CT_F_PATH_PARTIAL;
#ifndef CT_OLD_KERNEL
	bpf_loop(CT_PATH_STEPS, walk_step, &w, 0);
#else
#pragma clang loop unroll(disable)
	for (int i = 0; i < CT_PATH_STEPS_OLD; i++) {
		if (walk_step(i, &w))
			break;
	}
#endif
	if (w.start == CT_PATH_END && !w.flags) {
		struct ct_scratch *s = bpf_map_lookup_elem(&scratch, &slot);

		w.start--;
		if (s)
			s->path[CT_PATH_END - 1] = '/';
	}
	return (int)((w.flags << 16) | w.start);
}

/* Appends what a walk left in scratch->path; returns its length. */
static __always_inline __u16 append_walk(struct ct_scratch *s, __u32 *pos, int walk, __u16 *flags)
{
	__u32 start = WALK_START(walk);

	if (start >= CT_PATH_END)
		return 0;
	*flags |= WALK_FLAGS(walk);
	return (__u16)append(s, pos, &s->path[start], CT_PATH_END - start);
}

static __always_inline __u16 append_path(struct ct_scratch *s, __u32 *pos, __u32 slot, struct path *path, __u16 *flags)
{
	int walk = walk_path((__u64)path->dentry, (__u64)path->mnt, slot);

	return append_walk(s, pos, walk, flags);
}

/* Path of the task's cgroup below the cgroup root, by kernfs names. */
__noinline int walk_cgroup(__u64 kn_ptr, __u32 slot)
{
	struct kernfs_node *kn = (struct kernfs_node *)kn_ptr;
	struct ct_scratch *s;
	__u32 start = CT_PATH_END;
	int i;

	if (slot >= CT_SCRATCH_SLOTS)
		return CT_PATH_END;
	s = bpf_map_lookup_elem(&scratch, &slot);
	if (!s)
		return CT_PATH_END;
	for (i = 0; i < 32; i++) {
		struct kernfs_node *parent;
		const char *name;
		long len;

		if (bpf_core_field_exists(kn->parent)) {
			parent = BPF_CORE_READ(kn, parent);
		} else {
			struct kernfs_node___new *new = (void *)kn;

			parent = BPF_CORE_READ(new, __parent);
		}
		if (!parent)
			break;
		name = BPF_CORE_READ(kn, name);
		/* Measure in `user`, which no caller holds while it walks a cgroup. */
		len = bpf_probe_read_kernel_str(s->user, 256, name);
		if (len <= 1 || len > 256 || start < len)
			return (CT_F_PATH_PARTIAL << 16) | start;
		start -= len;
		len--;
		asm volatile("" : "+r"(start), "+r"(len));
		if (start >= CT_PATH_END || !in_range(len, 1, 255))
			break;
		bpf_probe_read_kernel(&s->path[start + 1], len, s->user);
		s->path[start] = '/';
		kn = parent;
	}
	if (start == CT_PATH_END) {
		start = CT_PATH_END - 1;
		s->path[start] = '/';
	}
	return (int)start;
}

/* True when the path in scratch begins with one of the wanted prefixes. */
static __always_inline int prefix_wanted(struct ct_scratch *s, const void *path, __u32 len)
{
	if (!cfg.filter_prefix)
		return 1;
	if (len > CT_PREFIX_MAX)
		len = CT_PREFIX_MAX;
	asm volatile("" : "+r"(len));
	if (!in_range(len, 1, CT_PREFIX_MAX))
		return 0;
	if (bpf_probe_read_kernel(s->prefix.path, len, path))
		return 0;
	s->prefix.prefix_bits = len * 8;
	return bpf_map_lookup_elem(&prefixes, &s->prefix) != NULL;
}

#endif
