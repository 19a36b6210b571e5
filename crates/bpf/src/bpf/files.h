/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * file_open and lib_load, made from what every attach tier can give: the arguments, the result, the file.
 * How a tier comes by them is its own business (calls.h).
 */
#ifndef CRYPTO_TRACE_FILES_H
#define CRYPTO_TRACE_FILES_H

/* How much is recorded of the path of a failed open by a process that writes much. */
#define CT_INVENTED_MAX 256

static __always_inline struct file *file_of_fd(struct task_struct *task, __u32 fd)
{
	struct fdtable *fdt = GET2(task, files, fdt);
	struct llist_node *slot;

	if (fd >= GET(fdt, max_fds))
		return NULL;
	slot = (struct llist_node *)(GET(fdt, fd) + fd);
	return (struct file *)READ(slot, next);
}

/* The directory that relative paths of an open start from. */
static __always_inline struct path base_directory(struct task_struct *task, __s32 dfd)
{
	struct path path = {};

	if (dfd == AT_FDCWD) {
		path = working_directory(task);
	} else if (dfd >= 0) {
		struct file *file = file_of_fd(task, dfd);

		if (file)
			path = path_of(file);
	}
	return path;
}

/*
 * Whether a path of `len` bytes in scratch->user names a file of a wanted directory, as far as its own letters and the
 * directory it is relative to tell: for opens that failed, which have no file to ask. Links and `..` are not followed.
 */
__noinline int given_dir_wanted(__u32 slot, __u32 len, __s32 dfd)
{
	struct task_struct *task = current_task();
	struct ct_dir_key *key;
	struct ct_scratch *s;
	int last, up, n;

	s = scratch_of(slot);
	if (!s)
		return 0;
	last = slash_before(slot, len);
	if (last < 0) {
		struct path base = base_directory(task, dfd);

		return dir_wanted(slot, plain(s, base.dentry), plain(s, base.mnt));
	}
	if (last < 2)
		return 0;
	if (!tail_wanted(CT_TAILS_OF_DIRECTORIES, user_tail(s, last), last))
		return 0;
	up = slash_before(slot, last);
	n = last - up - 1;
	key = &s->directory;
	__builtin_memset(key, 0, sizeof(*key));
	if (!component(s, key->parent, up + 1, n))
		return 0;
	if (bpf_map_lookup_elem(&directories, key))
		return 1;
	if (up < 0) {
		struct path base = base_directory(task, dfd);
		struct qstr name = directory_name(&base);

		if (!name.len || name.len > CT_NAME_MAX)
			return 0;
		if (bpf_probe_read_kernel(key->grandparent, name.len & CT_NAME_MAX, name.name))
			return 0;
	} else {
		n = up - slash_before(slot, up) - 1;
		if (!component(s, key->grandparent, up - n, n))
			return 0;
	}
	return bpf_map_lookup_elem(&directories, key) != NULL;
}

#define CT_COMPARE_WORDS 32

/*
 * Whether the path in scratch->path from `start` on is, to the letter, the `len` bytes in scratch->user; where not, the
 * path as passed is recorded too. Paths over 256 bytes are not compared, so both are recorded: readers cope.
 */
__noinline int same_path(__u32 slot, __u32 start, __u32 len)
{
	struct ct_scratch *s = scratch_of(slot);
	__u32 i, at, rest;
	__u64 diff;

	if (!s || start >= CT_PATH_END || CT_PATH_END - start != len || len > CT_COMPARE_WORDS * 8)
		return 0;
	/* A loop of the program's own: the verifier takes longer for it, and each recorded open less. */
	for (i = 0; i < CT_COMPARE_WORDS; i++) {
		if (i * 8 + 8 > len)
			break;
		at = (start + i * 8) & (CT_PATH_MAX - 1);
		if (*(__u64 *)&s->path[at] != *(__u64 *)&s->user[i * 8])
			return 0;
	}
	/* Less than a word is left. Reads past the end of either stay inside its buffer; the bytes there are shifted out. */
	rest = len & 7;
	if (!rest)
		return 1;
	at = len & (CT_COMPARE_WORDS * 8 - 8);
	diff = *(__u64 *)&s->user[at];
	at = (start + at) & (CT_PATH_MAX - 1);
	diff ^= *(__u64 *)&s->path[at];
	return !(diff << (8 - rest) * 8);
}

static __always_inline void open_init(struct ct_scratch *s, struct task_struct *task, const struct ct_open *o)
{
	struct ct_header *h = (struct ct_header *)s->record;
	struct ct_file_open *open = (struct ct_file_open *)(s->record + sizeof(*h));

	header_init(h, task, CT_FILE_OPEN, sizeof(*open));
	h->flags = o->compat ? CT_F_COMPAT : 0;
	open->result = (__s32)o->result;
	open->flags = (__u32)o->flags;
	open->flags_high = (__u32)(o->flags >> 32);
	open->reserved2 = 0;
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

	if (s->user[0] == '/' && !prefix_wanted(s, s->user, given_len))
		return;
	open_init(s, task, o);
	/* A name costs nothing to invent, so who invents many gets short ones. */
	if (given_len > CT_INVENTED_MAX && writes_much(task))
		given_len = CT_INVENTED_MAX, flags |= CT_F_TRUNCATED;
	open->path_len = (__u16)append(s, &pos, s->user, given_len);
	if (given_len >= CT_PATH_MAX - 1)
		flags |= CT_F_TRUNCATED;
	if (s->user[0] != '/') {
		struct path dir = base_directory(task, o->dfd);

		if (dir.dentry)
			open->dir_len = append_path(s, &pos, slot, &dir, &flags);
	}
	h->flags |= flags;
	emit_event(slot, pos);
}

static __always_inline void open_succeeded(struct ct_scratch *s, __u32 slot, struct task_struct *task,
					   const struct ct_open *o, struct file *file, __u32 given_len, int by_given)
{
	struct ct_header *h = (struct ct_header *)s->record;
	struct ct_file_open *open = (struct ct_file_open *)(s->record + sizeof(*h));
	struct inode *inode = READ(file, f_inode);
	__u32 pos = sizeof(*h) + sizeof(*open);
	struct path path;
	__u16 flags = by_given ? CT_F_MATCHED_GIVEN : 0;
	__u32 start;
	int walk;

	path = path_of(file);
	walk = walk_path(plain(s, path.dentry), plain(s, path.mnt), slot);
	start = WALK_START(walk);
	if (start > CT_PATH_END)
		return;
	if (!prefix_wanted(s, &s->path[start], CT_PATH_END - start))
		return;
	open_init(s, task, o);
	open->dev = READ(inode, i_sb, s_dev);
	open->ino = READ(inode, i_ino);
	open->inode_mode = READ(inode, i_mode);
	if (!READ(path.dentry, d_hash.pprev))
		flags |= CT_F_UNLINKED;
	if (given_len && !same_path(slot, start, given_len)) {
		open->path_len = append_walk(s, &pos, walk, &flags);
		open->given_len = (__u16)append(s, &pos, s->user, given_len);
	} else {
		open->path_len = append_walk(s, &pos, walk, &flags);
	}
	h->flags |= flags;
	emit_event(slot, pos);
}

/* Whether the file's own name, or its directory, is wanted. */
static __always_inline int file_wanted(struct ct_scratch *s, __u32 slot, struct file *file)
{
	struct dentry *dentry = READ(file, f_path.dentry);
	struct qstr name = name_of(dentry);

	/* Six or seven letters: `random`, `urandom`. */
	if (record_kernel_crypto && (name.len | 1) == 7)
		count_random(random_device(plain(s, file), plain(s, name.name), name.len), 0, 0);
	return name_wanted(s, slot, &name) || dir_wanted(slot, plain(s, READ(dentry, d_parent)), plain(s, READ(file, f_path.mnt)));
}

#ifndef CT_OLD_KERNEL

#define CT_GIVEN_SHORT 128

/*
 * Whether an open that succeeded with this descriptor may be wanted: most are not, and are let go here, before scratch is taken. A
 * global function also for the stack's sake: where the stack is that of all calls together, it is given back.
 */
__noinline int open_may_be_wanted(__u32 fd, __u64 user_path)
{
	struct file *file = file_of_fd(current_task(), fd);
	struct dentry *dentry;
	struct qstr name;
	char given[CT_GIVEN_SHORT];
	__u64 tail;
	__u32 at;
	long n;

	if (!file)
		return 1;
	dentry = READ(file, f_path.dentry);
	name = name_of(dentry);
	if (cfg.match_all_names || name.len < 2 || (record_kernel_crypto && (name.len | 1) == 7))
		return 1;
	tail = name_tail(&name);
	if (tail_wanted(CT_TAILS_OF_NAMES, tail, name.len))
		return 1;
	if (head_may_be_wanted(tail, name.len) && head_wanted(read8(name.name)))
		return 1;
	if (cfg.match_dirs) {
		struct path dir = { .mnt = READ(file, f_path.mnt), .dentry = READ(dentry, d_parent) };

		name = directory_name(&dir);
		if (name.len >= 2 && name.len <= CT_NAME_MAX && tail_wanted(CT_TAILS_OF_DIRECTORIES, name_tail(&name), name.len))
			return 1;
	}
	if (!user_path)
		return 0;
	n = bpf_probe_read_user_str(given, sizeof(given), (const void *)user_path);
	/* Of short or long paths, or none, all is said by who looks closer. */
	if (n <= 8 || n >= (long)sizeof(given))
		return 1;
	at = (__u32)n - 9;
	asm volatile("" : "+r"(at));
	if (at > CT_GIVEN_SHORT - 8)
		return 1;
	return tail_wanted(CT_TAILS_OF_NAMES, *(__u64 *)&given[at], (__u32)n - 1);
}

#endif

/* Takes the path that scratch->open was given to scratch->user; its length, 0: there is none. */
static __always_inline __u32 take_given(struct ct_scratch *s, int by_name)
{
	long n;

	if (!s->open.user_path)
		return 0;
	n = bpf_probe_read_user_str(s->user, CT_PATH_MAX, (const void *)s->open.user_path);
	if (n < 0 && !by_name)
		count(CT_COUNTER_UNREADABLE);
	return n > 1 && n <= CT_PATH_MAX ? (__u32)n - 1 : 0;
}

/*
 * The open in scratch->open, by the file that it opened; false: there is none. A global function, as the next: verified once, not for
 * each call that opens.
 */
__noinline int opened_file(__u32 slot)
{
	struct task_struct *task = current_task();
	struct ct_scratch *s = scratch_of(slot);
	struct file *file;
	__u32 given_len;
	int by_name;

	if (!s || s->open.result < 0)
		return 0;
	file = file_of_fd(task, (__u32)s->open.result);
	if (!file)
		return 0;
	by_name = file_wanted(s, slot, file);
	given_len = take_given(s, by_name);
	if ((by_name || (given_len && given_wanted(slot, given_len))) && process_wanted())
		open_succeeded(s, slot, task, &s->open, file, given_len, !by_name);
	return 1;
}

/* The same where there is no file: it failed, or another thread has closed it. */
__noinline int opened_nothing(__u32 slot)
{
	struct ct_scratch *s = scratch_of(slot);
	__u32 given_len;

	if (!s)
		return 0;
	given_len = take_given(s, 0);
	if (!given_len)
		return 0;
	if (!given_wanted(slot, given_len) && (!cfg.match_dirs || !given_dir_wanted(slot, given_len, s->open.dfd)))
		return 0;
	if (process_wanted())
		open_failed(s, slot, current_task(), &s->open, given_len);
	return 0;
}

static __always_inline void open_ended(const struct ct_open *o)
{
	struct ct_scratch *s;
	__u32 slot = 0;

	if (o->result < 0 && (!o->user_path || o->result == -EFAULT))
		return;
#ifndef CT_OLD_KERNEL
	if (o->result >= 0 && !open_may_be_wanted((__u32)o->result, o->user_path))
		return;
#endif
	s = scratch_take(&slot);
	if (!s) {
		/* Not judged, so not counted as wanted; but said. */
		count(CT_COUNTER_UNREADABLE);
		return;
	}
	s->open = *o;
	if (!opened_file(slot) && o->user_path)
		opened_nothing(slot);
	scratch_give(s);
}

/* A file is mapped executable from now on. */
static __always_inline void mapped(struct task_struct *task, struct file *file, __u64 address, __u64 offset, __u16 compat,
				   __u16 tier)
{
	struct ct_lib_load *lib;
	struct ct_scratch *s;
	struct ct_header *h;
	struct dentry *dentry;
	struct inode *inode;
	struct path path;
	__u32 pos = sizeof(*h) + sizeof(*lib);
	__u32 slot = 0;
	__u16 flags = compat ? CT_F_COMPAT : 0;

	if (!file)
		return;
	dentry = READ(file, f_path.dentry);
	if (!library_wanted(dentry) || !process_wanted())
		return;
	s = scratch_take(&slot);
	if (!s) {
		count_lost(CT_LIB_LOAD);
		return;
	}
	h = (struct ct_header *)s->record;
	lib = (struct ct_lib_load *)(s->record + sizeof(*h));
	inode = READ(file, f_inode);
	header_init(h, task, CT_LIB_LOAD, sizeof(*lib));
	lib->dev = READ(inode, i_sb, s_dev);
	lib->ino = READ(inode, i_ino);
	lib->address = address;
	lib->offset = offset;
	lib->size = READ(inode, i_size);
	lib->tier = tier;
	lib->file = cfg.library_calls ? file_number(mapped_inode(task, address)) : 0;
	path = path_of(file);
	lib->path_len = append_path(s, &pos, slot, &path, &flags);
	if (!READ(dentry, d_hash.pprev))
		flags |= CT_F_UNLINKED;
	h->flags = flags;
	if (cfg.library_calls && !library_known(lib->dev, lib->ino))
		emit_urgent(slot, pos);
	else
		emit_event(slot, pos);
	scratch_give(s);
}

#endif
