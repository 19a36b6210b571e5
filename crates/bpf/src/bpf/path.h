/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Absolute paths without bpf_d_path, which tracepoints may not call: a walk over dentries and mounts up to the root of
 * the process's mount namespace. A chroot is not its end: the path shown is the one from outside it.
 */
#ifndef CRYPTO_TRACE_PATH_H
#define CRYPTO_TRACE_PATH_H

/* PATH_MAX bytes hold at most half as many components; each may be a mount as well. */
#ifndef CT_OLD_KERNEL
#define CT_PATH_STEPS 4096
#else
#define CT_PATH_STEPS 64
#endif

/* Result of a walk: where in scratch->path it begins (it ends at CT_PATH_END), and record flags in the high half. */
#define WALK_START(r) ((__u32)(r) & 0xffff)
#define WALK_FLAGS(r) ((__u16)((__u32)(r) >> 16))

static __always_inline struct mount *real_mount(__u64 vfsmount_ptr)
{
	return (struct mount *)(vfsmount_ptr - bpf_core_field_offset(struct mount, mnt));
}

/* Names shorter than this are in the dentry itself, behind more than as many bytes: DNAME_INLINE_LEN, include/linux/dcache.h. */
#define CT_NAME_SHORT 32

/*
 * Copies a name to scratch->path, where it ends at `end`. Short ones by words from their end, always the same number, which takes
 * a fraction of a probe read and has no branches for the verifier to follow; what comes along of the dentry goes to where the
 * next components will be.
 */
static __always_inline int copy_name(struct ct_scratch *s, __u32 end, const struct qstr *name)
{
	__u32 len = name->len;
#ifndef CT_OLD_KERNEL
	const unsigned char *from = name->name + len;
	__u32 to = end;
	int i;

	/* Asked of copies, so that the verifier does not follow each answer's bounds through the whole walk. */
	__u64 rooms = end, names = len;

	asm volatile("%0 >>= 5" : "+r"(rooms));
	asm volatile("%0 >>= 5" : "+r"(names));
	if (LOADS_ARE_PLAIN && rooms && !names) {
#pragma unroll
		for (i = 0; i < CT_NAME_SHORT / 8; i++) {
			to -= 8;
			from -= 8;
			asm volatile("" : "+r"(to));
			*(__u64 *)&s->path[to & (CT_PATH_MAX - 1)] = read8(from);
		}
		return 1;
	}
#endif
	end -= len;
	asm volatile("" : "+r"(end), "+r"(len));
	return end < CT_PATH_END && len <= 255 && !bpf_probe_read_kernel(&s->path[end], len, name->name);
}

/* Writes a component before what is there already, after a slash if `slash`. False: no room, or unreadable. */
static __always_inline int prepend(struct ct_scratch *s, const struct qstr *name, __u32 slash)
{
	struct ct_walk *w = &s->walk;
	__u32 start = w->start;
	__u32 len = name->len;

	if (len > 255)
		return 0;
	if (start < len + slash) {
		w->flags = CT_F_PATH_PARTIAL | CT_F_TRUNCATED;
		return 0;
	}
	if (!copy_name(s, start, name))
		return 0;
	start -= len + slash;
	asm volatile("" : "+r"(start));
	if (start >= CT_PATH_END)
		return 0;
	if (slash)
		s->path[start] = '/';
	w->start = start;
	return 1;
}

/* What is to be said of a path that ends at a mount of this namespace. The kernel's own mounts have an error for one. */
static __always_inline __u32 namespace_flags(struct mnt_namespace *ns)
{
	struct task_struct *task = current_task();
	struct mnt_namespace *own = GET2(task, nsproxy, mnt_ns);

	if (!ns || (__u64)ns >= (__u64)-MAX_ERRNO)
		return CT_F_DETACHED;
	return ns == own || !own ? 0 : CT_F_OTHER_NAMESPACE;
}

/* One step towards the root: over a mount, or over one component. Returns 1 when the walk has ended. */
static __noinline long walk_step(__u64 i, __u32 *slot)
{
	struct ct_scratch *s = bpf_map_lookup_elem(&scratch, slot);
	struct dentry *dentry, *parent;
	struct ct_walk *w;
	struct qstr name;

	if (!s)
		return 1;
	w = &s->walk;
	dentry = w->dentry;
	if (dentry == w->mnt_root) {
		struct mount *mnt = w->mnt;
		struct mount *up = READ(mnt, mnt_parent);

		if (up == mnt || !up) {
			w->flags = namespace_flags(READ(mnt, mnt_ns));
			return 1;
		}
		w->dentry = READ(mnt, mnt_mountpoint);
		w->mnt = up;
		w->mnt_root = READ(up, mnt.mnt_root);
		return 0;
	}
	name = name_of(dentry);
	if (!name.name)
		return 1;
	parent = READ(dentry, d_parent);
	/* A file of no file system tree (memfd, pipe): its name is all there is. */
	if (parent == dentry || !parent) {
		if (prepend(s, &name, 0))
			w->flags = CT_F_DETACHED;
		return 1;
	}
	if (!prepend(s, &name, 1))
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
	struct ct_scratch *s;
	struct ct_walk *w;

	if (slot >= CT_SCRATCH_SLOTS)
		return CT_PATH_END;
	s = bpf_map_lookup_elem(&scratch, &slot);
	if (!s)
		return CT_PATH_END;
	w = &s->walk;
	w->dentry = (struct dentry *)dentry_ptr;
	w->mnt = mnt;
	w->mnt_root = READ(mnt, mnt.mnt_root);
	w->start = CT_PATH_END;
	w->flags = CT_F_PATH_PARTIAL;
	REPEAT(CT_PATH_STEPS, walk_step, &slot);
	if (w->start == CT_PATH_END && !w->flags) {
		w->start--;
		s->path[CT_PATH_END - 1] = '/';
	}
	return (int)((w->flags << 16) | w->start);
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
	int walk = walk_path(plain(s, path->dentry), plain(s, path->mnt), slot);

	return append_walk(s, pos, walk, flags);
}

#define CT_CGROUP_STEPS 32

struct ct_walk_cgroup {
	struct kernfs_node *kn;
	__u32 slot;
	__u32 start;
	__u32 flags;
};

/* One step towards the root. Returns 1 when the walk has ended. */
static __noinline long cgroup_step(__u64 i, struct ct_walk_cgroup *w)
{
	struct ct_scratch *s = bpf_map_lookup_elem(&scratch, &w->slot);
	/* A variable: what a CO-RE read starts from must not be a field of ours. */
	struct kernfs_node *kn = w->kn;
	struct kernfs_node *parent;
	__u32 start = w->start;
	long len;

	if (!s)
		return 1;
	if (bpf_core_field_exists(kn->parent))
		parent = READ(kn, parent);
	else
		parent = READ((struct kernfs_node___new *)kn, __parent);
	if (!parent) {
		w->flags = 0;
		return 1;
	}
	/* Measure in `user`, which no caller holds while it walks a cgroup. */
	len = bpf_probe_read_kernel_str(s->user, 256, READ(kn, name));
	if (len <= 1 || len > 256 || start < len)
		return 1;
	start -= len;
	len--;
	asm volatile("" : "+r"(start), "+r"(len));
	if (start >= CT_PATH_END || !in_range(len, 1, 255))
		return 1;
	bpf_probe_read_kernel(&s->path[start + 1], len, s->user);
	s->path[start] = '/';
	w->start = start;
	w->kn = parent;
	return 0;
}

/* Path of the task's cgroup below the cgroup root, by kernfs names. */
__noinline int walk_cgroup(__u64 kn_ptr, __u32 slot)
{
	struct ct_walk_cgroup w = { .kn = (struct kernfs_node *)kn_ptr, .slot = slot, .start = CT_PATH_END };

	if (slot >= CT_SCRATCH_SLOTS)
		return CT_PATH_END;
	w.flags = CT_F_PATH_PARTIAL;
	REPEAT(CT_CGROUP_STEPS, cgroup_step, &w);
	if (w.start == CT_PATH_END) {
		struct ct_scratch *s = bpf_map_lookup_elem(&scratch, &slot);

		w.start--;
		if (s)
			s->path[CT_PATH_END - 1] = '/';
	}
	return (int)((w.flags << 16) | w.start);
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
