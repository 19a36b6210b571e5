/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/*
 * file_open and lib_load, made from what every attach tier can give: the arguments, the result, the file.
 * How a tier comes by them is its own business (open_syscall.h).
 */
#ifndef CRYPTO_TRACE_FILES_H
#define CRYPTO_TRACE_FILES_H

/* An open that ended. */
struct ct_open {
	const char *user_path; /* NULL: none (open_by_handle_at) */
	long result;
	__u64 resolve;
	__u32 flags;
	__u32 mode;
	__s32 dfd;
	__u16 call;
	__u16 tier;
	__u16 compat;
};

static __always_inline struct file *file_of_fd(struct task_struct *task, __u32 fd)
{
	struct fdtable *fdt = task->files->fdt;
	struct file *file = NULL;

	if (fd >= fdt->max_fds)
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), fdt->fd + fd);
	return file;
}

/* Start of the last component of a path of `len` bytes in scratch->user; at most CT_NAME_MAX bytes are looked at. */
static __always_inline int given_wanted(struct ct_scratch *s, __u32 len)
{
	char tail[CT_NAME_MAX + 1] = {};
	__u32 n = len > CT_NAME_MAX ? CT_NAME_MAX : len;
	__u32 at = len - n;
	__u32 name = 0;
	__u16 last;
	int i;

	if (cfg.match_all_names)
		return 1;
	if (len < 2)
		return 0;
	asm volatile("" : "+r"(at), "+r"(n));
	if (at >= CT_PATH_MAX - CT_NAME_MAX || !n || n > CT_NAME_MAX)
		return 0;
	bpf_probe_read_kernel(tail, n, &s->user[at]);
	last = (__u8)tail[(n - 2) & CT_NAME_MAX] | (__u16)(__u8)tail[(n - 1) & CT_NAME_MAX] << 8;
	if (!tail_wanted(name_tails, last))
		return 0;
	for (i = 0; i < CT_NAME_MAX; i++) {
		if (i < n && tail[i] == '/')
			name = i + 1;
	}
	/* A name longer than the window begins before it: only its suffix can match, as name_in_tables does. */
	if (!name && at)
		return name_in_tables(&s->user[at], n) ;
	asm volatile("" : "+r"(name), "+r"(n));
	if (name >= n || name > CT_NAME_MAX)
		return 0;
	return name_in_tables(tail + name, n - name);
}

/* Whether the file opened is the path passed, to the letter; else the path as passed is worth recording. */
static __always_inline int same_path(struct ct_scratch *s, __u32 start, __u32 given_len)
{
	__u32 i;

	if (CT_PATH_END - start != given_len)
		return 0;
	for (i = 0; i < CT_PATH_MAX; i++) {
		__u32 at = start + i;

		if (i >= given_len)
			return 1;
		asm volatile("" : "+r"(at));
		if (at >= CT_PATH_END)
			return 1;
		if (s->path[at] != s->user[i])
			return 0;
	}
	return 1;
}

static __always_inline void open_init(struct ct_scratch *s, struct task_struct *task, const struct ct_open *o)
{
	struct ct_header *h = (struct ct_header *)s->record;
	struct ct_file_open *open = (struct ct_file_open *)(s->record + sizeof(*h));

	header_init(h, task, CT_FILE_OPEN, sizeof(*open));
	h->flags = o->compat ? CT_F_COMPAT : 0;
	open->result = (__s32)o->result;
	open->flags = o->flags;
	open->mode = o->mode;
	open->dfd = o->dfd;
	open->dev = 0;
	open->ino = 0;
	open->inode_mode = 0;
	open->call = o->call;
	open->tier = o->tier;
	open->resolve = o->resolve;
	open->path_len = 0;
	open->given_len = 0;
	open->dir_len = 0;
	open->reserved = 0;
}

/* A failed open: the path as passed, and the directory it was relative to. */
static __always_inline void open_failed(struct ct_scratch *s, __u32 slot, struct task_struct *task,
					const struct ct_open *o, __u32 given_len)
{
	struct ct_header *h = (struct ct_header *)s->record;
	struct ct_file_open *open = (struct ct_file_open *)(s->record + sizeof(*h));
	__u32 pos = sizeof(*h) + sizeof(*open);
	__u16 flags = CT_F_PATH_AS_PASSED;

	if (!given_wanted(s, given_len) || !process_wanted(task))
		return;
	if (s->user[0] == '/' && !prefix_wanted(s, s->user, given_len))
		return;
	open_init(s, task, o);
	open->path_len = (__u16)append(s, &pos, s->user, given_len);
	if (given_len >= CT_PATH_MAX - 1)
		flags |= CT_F_TRUNCATED;
	if (s->user[0] != '/') {
		struct path dir = {};

		if (o->dfd == AT_FDCWD) {
			dir.dentry = task->fs->pwd.dentry;
			dir.mnt = task->fs->pwd.mnt;
		} else if (o->dfd >= 0) {
			struct file *file = file_of_fd(task, o->dfd);

			if (file)
				bpf_core_read(&dir, sizeof(dir), &file->f_path);
		}
		if (dir.dentry)
			open->dir_len = append_path(s, &pos, slot, &dir, &flags);
	}
	h->flags |= flags;
	emit(&events_ring, s, pos);
}

static __always_inline void open_succeeded(struct ct_scratch *s, __u32 slot, struct task_struct *task,
					   const struct ct_open *o, struct file *file, __u32 given_len, int by_given)
{
	struct ct_header *h = (struct ct_header *)s->record;
	struct ct_file_open *open = (struct ct_file_open *)(s->record + sizeof(*h));
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	__u32 pos = sizeof(*h) + sizeof(*open);
	struct path path;
	__u16 flags = by_given ? CT_F_MATCHED_GIVEN : 0;
	__u32 start;
	int walk;

	bpf_core_read(&path, sizeof(path), &file->f_path);
	walk = walk_path((__u64)path.dentry, (__u64)path.mnt, slot);
	start = WALK_START(walk);
	if (start > CT_PATH_END)
		return;
	if (!prefix_wanted(s, &s->path[start], CT_PATH_END - start))
		return;
	open_init(s, task, o);
	open->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	open->ino = BPF_CORE_READ(inode, i_ino);
	open->inode_mode = BPF_CORE_READ(inode, i_mode);
	if (!BPF_CORE_READ(path.dentry, d_hash.pprev))
		flags |= CT_F_UNLINKED;
	if (given_len && !same_path(s, start, given_len)) {
		open->path_len = append_walk(s, &pos, walk, &flags);
		open->given_len = (__u16)append(s, &pos, s->user, given_len);
	} else {
		open->path_len = append_walk(s, &pos, walk, &flags);
	}
	h->flags |= flags;
	emit(&events_ring, s, pos);
}

static __always_inline void open_ended(struct task_struct *task, const struct ct_open *o)
{
	struct file *file = NULL;
	struct ct_scratch *s;
	__u32 given_len = 0;
	__u32 slot = 0;
	int by_name = 0;

	if (o->result >= 0) {
		struct dentry *dentry;
		struct qstr name;

		file = file_of_fd(task, (__u32)o->result);
		if (file) {
			dentry = BPF_CORE_READ(file, f_path.dentry);
			if (!bpf_core_read(&name, sizeof(name), &dentry->d_name))
				by_name = name_wanted(name.name, name.len) ||
					  dir_wanted(BPF_CORE_READ(dentry, d_parent));
			if (by_name && !process_wanted(task))
				return;
		}
		if (!by_name && !o->user_path)
			return;
	} else if (!o->user_path || o->result == -EFAULT) {
		return;
	}

	s = scratch_take(&slot);
	if (!s) {
		count_lost(CT_FILE_OPEN);
		return;
	}
	if (o->user_path) {
		long n = bpf_probe_read_user_str(s->user, CT_PATH_MAX, o->user_path);

		if (n > 1 && n <= CT_PATH_MAX)
			given_len = (__u32)n - 1;
		else if (n < 0)
			count(CT_COUNTER_UNREADABLE);
	}
	if (file) {
		if (by_name || (given_len && given_wanted(s, given_len) && process_wanted(task)))
			open_succeeded(s, slot, task, o, file, given_len, !by_name);
	} else if (given_len) {
		open_failed(s, slot, task, o, given_len);
	}
	scratch_give(s);
}

/* A file was mapped executable. */
static __always_inline void mapped(struct task_struct *task, __u32 fd, __u64 address, __u64 offset, __u16 compat,
				   __u16 tier)
{
	struct ct_lib_load *lib;
	struct ct_scratch *s;
	struct ct_header *h;
	struct dentry *dentry;
	struct inode *inode;
	struct file *file;
	struct path path;
	__u32 pos = sizeof(*h) + sizeof(*lib);
	__u32 slot = 0;
	__u16 flags = compat ? CT_F_COMPAT : 0;

	file = file_of_fd(task, fd);
	if (!file)
		return;
	dentry = BPF_CORE_READ(file, f_path.dentry);
	if (!library_wanted(dentry) || !process_wanted(task))
		return;
	s = scratch_take(&slot);
	if (!s) {
		count_lost(CT_LIB_LOAD);
		return;
	}
	h = (struct ct_header *)s->record;
	lib = (struct ct_lib_load *)(s->record + sizeof(*h));
	inode = BPF_CORE_READ(file, f_inode);
	header_init(h, task, CT_LIB_LOAD, sizeof(*lib));
	lib->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	lib->ino = BPF_CORE_READ(inode, i_ino);
	lib->address = address;
	lib->offset = offset;
	lib->size = BPF_CORE_READ(inode, i_size);
	lib->tier = tier;
	lib->reserved = 0;
	bpf_core_read(&path, sizeof(path), &file->f_path);
	lib->path_len = append_path(s, &pos, slot, &path, &flags);
	if (!BPF_CORE_READ(dentry, d_hash.pprev))
		flags |= CT_F_UNLINKED;
	h->flags = flags;
	emit(&events_ring, s, pos);
	scratch_give(s);
}

#endif
