/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/*
 * Absolute paths without bpf_d_path, which tracepoints may not call: a walk over dentries and mounts up to the root of
 * the process's mount namespace. A chroot is not its end: the path shown is the one from outside it.
 */
#ifndef CRYPTO_TRACE_PATH_H
#define CRYPTO_TRACE_PATH_H

#define CT_PATH_COMPONENTS 256

/* Result of a walk: where in scratch->path it begins (it ends at CT_PATH_END), and record flags in the high half. */
#define WALK_START(r) ((__u32)(r) & 0xffff)
#define WALK_FLAGS(r) ((__u16)((__u32)(r) >> 16))

static __always_inline struct mount *real_mount(struct vfsmount *mnt)
{
	return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

/*
 * A global function: verified once, not at every call. Takes the dentry and vfsmount as plain numbers and the scratch
 * slot to write into.
 */
__noinline int walk_path(__u64 dentry_ptr, __u64 vfsmount_ptr, __u32 slot)
{
	struct dentry *dentry = (struct dentry *)dentry_ptr;
	struct mount *mnt = real_mount((struct vfsmount *)vfsmount_ptr);
	struct dentry *mnt_root;
	struct ct_scratch *s;
	__u32 start = CT_PATH_END;
	__u32 flags = CT_F_PATH_PARTIAL;
	int i;

	if (slot >= CT_SCRATCH_SLOTS)
		return CT_PATH_END;
	s = bpf_map_lookup_elem(&scratch, &slot);
	if (!s)
		return CT_PATH_END;
	mnt_root = BPF_CORE_READ(mnt, mnt.mnt_root);

	for (i = 0; i < CT_PATH_COMPONENTS; i++) {
		struct dentry *parent;
		struct qstr name;
		__u32 len;

		if (dentry == mnt_root) {
			struct mount *up = BPF_CORE_READ(mnt, mnt_parent);

			if (up == mnt || !up) {
				flags = BPF_CORE_READ(mnt, mnt_ns) ? 0 : CT_F_DETACHED;
				break;
			}
			dentry = BPF_CORE_READ(mnt, mnt_mountpoint);
			mnt = up;
			mnt_root = BPF_CORE_READ(mnt, mnt.mnt_root);
			continue;
		}
		if (bpf_core_read(&name, sizeof(name), &dentry->d_name))
			break;
		parent = BPF_CORE_READ(dentry, d_parent);
		len = name.len;
		if (len > 255)
			break;
		/* A file of no file system tree (memfd, pipe): its name is all there is. */
		if (parent == dentry || !parent) {
			flags = CT_F_DETACHED;
			if (!len || start < len)
				break;
			start -= len;
			asm volatile("" : "+r"(start), "+r"(len));
			if (start >= CT_PATH_END || len > 255)
				break;
			bpf_probe_read_kernel(&s->path[start], len, name.name);
			break;
		}
		if (start < len + 1) {
			flags = CT_F_PATH_PARTIAL | CT_F_TRUNCATED;
			break;
		}
		start -= len + 1;
		asm volatile("" : "+r"(start), "+r"(len));
		if (start >= CT_PATH_END || len > 255)
			break;
		if (bpf_probe_read_kernel(&s->path[start + 1], len, name.name))
			break;
		s->path[start] = '/';
		dentry = parent;
	}
	if (start == CT_PATH_END && !flags) {
		start = CT_PATH_END - 1;
		s->path[start] = '/';
	}
	return (int)((flags << 16) | start);
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
		if (start >= CT_PATH_END || len < 1 || len > 255)
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
	if (!len || len > CT_PREFIX_MAX)
		return 0;
	if (bpf_probe_read_kernel(s->prefix.path, len, path))
		return 0;
	s->prefix.prefix_bits = len * 8;
	return bpf_map_lookup_elem(&prefixes, &s->prefix) != NULL;
}

#endif
