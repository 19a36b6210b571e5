/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Whether all files of a directory are wanted: by its name, or with that of the one above it.
 */
#ifndef CRYPTO_TRACE_DIRECTORY_H
#define CRYPTO_TRACE_DIRECTORY_H

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
	REPEAT(CT_COMPONENT_MAX + 1, slash_step, &slash);
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

/* Mounts that lie over each other at one place. */
#define CT_MOUNTS_AT_ONCE 2

/* The root of a mount has no name of its own: what it is called by is where it is mounted. */
static __always_inline void across_mounts(struct dentry **dir, struct mount **mnt)
{
	int i;

#pragma unroll
	for (i = 0; i < CT_MOUNTS_AT_ONCE; i++) {
		if (*dir != READ(*mnt, mnt.mnt_root))
			break;
		*dir = READ(*mnt, mnt_mountpoint);
		*mnt = READ(*mnt, mnt_parent);
	}
}

/* What a directory is called. */
static __always_inline struct qstr directory_name(const struct path *path)
{
	struct mount *mnt = real_mount((__u64)path->mnt);
	struct dentry *dir = path->dentry;

	across_mounts(&dir, &mnt);
	return name_of(dir);
}

/*
 * Whether all files of a directory are wanted: a dentry and its vfsmount, as plain numbers. A global function: verified once, and
 * with a stack of its own.
 */
__noinline int dir_wanted(__u32 slot, __u64 dentry, __u64 vfsmount)
{
	struct dentry *dir = (struct dentry *)dentry;
	struct mount *mnt = real_mount(vfsmount);
	struct ct_dir_key *key;
	struct ct_scratch *s;
	struct qstr name;

	if (!cfg.match_dirs || !dentry || !vfsmount || slot >= CT_SCRATCH_SLOTS)
		return 0;
	s = bpf_map_lookup_elem(&scratch, &slot);
	if (!s)
		return 0;
	key = &s->directory;
	across_mounts(&dir, &mnt);
	name = name_of(dir);
	if (name.len < 2 || name.len > CT_NAME_MAX)
		return 0;
	if (!tail_wanted(CT_TAILS_OF_DIRECTORIES, name_tail(&name), name.len))
		return 0;
	__builtin_memset(key, 0, sizeof(*key));
	if (bpf_probe_read_kernel(key->parent, name.len & CT_NAME_MAX, name.name))
		return 0;
	if (bpf_map_lookup_elem(&directories, key))
		return 1;
	dir = READ(dir, d_parent);
	across_mounts(&dir, &mnt);
	name = name_of(dir);
	if (!name.len || name.len > CT_NAME_MAX)
		return 0;
	if (bpf_probe_read_kernel(key->grandparent, name.len & CT_NAME_MAX, name.name))
		return 0;
	return bpf_map_lookup_elem(&directories, key) != NULL;
}

#endif
