/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * file_change: names that files get and lose (rename, link, symlink, unlink), and their mode and owner (chmod, chown).
 *
 * When such a call ends there is no file to ask, as after an open: the paths are those that were passed, with the directory
 * they are relative to. Calls on a descriptor have a file, and its resolved path. Recorded is what has a wanted name, or is in
 * a wanted directory, on either side.
 */
#ifndef CRYPTO_TRACE_CHANGES_H
#define CRYPTO_TRACE_CHANGES_H

/* A call that ended. */
struct ct_change {
	const char *path;     /* NULL: none, dfd is what it is about */
	const char *new_path; /* NULL: none */
	long result;
	__u32 flags;
	__u32 mode;
	__u32 uid;
	__u32 gid;
	__s32 dfd; /* or the descriptor of a call on one */
	__s32 new_dfd;
	__u16 call;
	__u16 tier;
	__u16 compat;
};

#ifndef CT_OLD_KERNEL

#define CT_GIVEN_WORDS (CT_GIVEN_SHORT / 8)

/* Eight bytes from anywhere: the stack is read by whole words only. */
static __always_inline __u64 word_at(const __u64 *words, __u32 at)
{
	__u32 shift = 8 * (at & 7);

	at >>= 3;
	asm volatile("" : "+r"(at));
	return words[at & (CT_GIVEN_WORDS - 1)] >> shift | words[(at + 1) & (CT_GIVEN_WORDS - 1)] << 1 << (63 - shift);
}

/*
 * Whether a path may be wanted: most are not, and are let go here, before scratch is taken. Without branches where it looks for
 * the last slash.
 */
static __noinline int change_may_be_wanted(const char *user_path, __s32 dfd)
{
	struct task_struct *task = current_task();
	__u64 given[CT_GIVEN_WORDS] = {};
	struct qstr name;
	int slash = -1;
	long n;
	int i;

	if (cfg.match_all_names)
		return 1;
	n = bpf_probe_read_user_str(given, sizeof(given), user_path);
	/* Of short or long paths, or none, all is said by who looks closer. */
	if (n <= 8 || n >= (long)sizeof(given))
		return 1;
	if (tail_wanted(CT_TAILS_OF_NAMES, word_at(given, (__u32)n - 9), (__u32)n - 1))
		return 1;
	if (!cfg.match_dirs)
		return 0;
#pragma unroll
	for (i = 0; i < CT_GIVEN_WORDS; i++) {
		int found = last_byte(given[i], '/');

		slash = (slash & (found >> 31)) | ((i * 8 + found) & ~(found >> 31));
	}
	if (slash < 0) {
		struct path base = base_directory(task, dfd);

		name = directory_name(&base);
		return name.len >= 2 && name.len <= CT_NAME_MAX && tail_wanted(CT_TAILS_OF_DIRECTORIES, name_tail(&name), name.len);
	}
	/* Of a short one the first word is what there is. */
	return tail_wanted(CT_TAILS_OF_DIRECTORIES, word_at(given, slash < 8 ? 0 : (__u32)slash - 8), (__u32)slash);
}

#endif

/* Reads a path into scratch->user; its length, 0 for none. */
static __always_inline __u32 read_given(struct ct_scratch *s, const char *user_path)
{
	long n = bpf_probe_read_user_str(s->user, CT_PATH_MAX, user_path);

	return n > 1 && n <= CT_PATH_MAX ? (__u32)n - 1 : 0;
}

/* Appends the path in scratch->user, and for a relative one the directory it starts from. */
static __always_inline void append_given(struct ct_scratch *s, __u32 slot, __u32 *pos, __u32 len, __s32 dfd, int is_text,
					 __u16 *path_len, __u16 *dir_len, __u16 *flags)
{
	struct path dir;

	*path_len = (__u16)append(s, pos, s->user, len);
	if (len >= CT_PATH_MAX - 1)
		*flags |= CT_F_TRUNCATED;
	if (is_text || s->user[0] == '/')
		return;
	dir = base_directory(current_task(), dfd);
	if (dir.dentry)
		*dir_len = append_path(s, pos, slot, &dir, flags);
}

/* Whether the path of `len` bytes in scratch->user is of a name or directory that is wanted, and below a wanted prefix. */
static __always_inline int change_wanted(struct ct_scratch *s, __u32 slot, __u32 len, __s32 dfd, int is_text)
{
	if (!len || (s->user[0] == '/' && !prefix_wanted(s, s->user, len)))
		return 0;
	return given_wanted(slot, len) || (cfg.match_dirs && !is_text && given_dir_wanted(slot, len, dfd));
}

static __noinline void change_ended(const struct ct_change *c)
{
	struct task_struct *task = current_task();
	struct ct_file_change *change;
	struct ct_scratch *s;
	struct ct_header *h;
	struct file *file = NULL;
	__u32 pos = sizeof(*h) + sizeof(*change);
	__u32 slot = 0, len;
	__u16 flags = 0;
	/* Of a symbolic link the first text is no path of ours to resolve. */
	int is_text = c->call == CT_CHANGE_SYMLINK || c->call == CT_CHANGE_SYMLINKAT;
	int wanted = 0;

	if (!c->path)
		file = file_of_fd(task, (__u32)c->dfd);
	if ((!c->path && !file) || c->result == -EFAULT)
		return;
	s = scratch_take(&slot);
	if (!s) {
		count(CT_COUNTER_UNREADABLE);
		return;
	}
	h = (struct ct_header *)s->record;
	change = (struct ct_file_change *)(s->record + sizeof(*h));
	header_init(h, task, CT_FILE_CHANGE, sizeof(*change));
	__builtin_memset(change, 0, sizeof(*change));
	change->result = (__s32)c->result;
	change->flags = c->flags;
	change->mode = c->mode;
	change->uid = c->uid;
	change->gid = c->gid;
	change->dfd = c->dfd;
	change->new_dfd = c->new_dfd;
	change->call = c->call;
	change->tier = c->tier;
	len = c->path ? read_given(s, c->path) : 0;
	if (c->path && !len && c->flags & AT_EMPTY_PATH)
		file = file_of_fd(task, (__u32)c->dfd);
	if (file) {
		struct dentry *dentry = READ(file, f_path.dentry);
		struct inode *inode = READ(file, f_inode);
		struct qstr name = name_of(dentry);
		struct path path = path_of(file);
		int walk;

		wanted = name_wanted(s, slot, &name) || dir_wanted(slot, plain(s, READ(dentry, d_parent)), plain(s, path.mnt));
		walk = walk_path(plain(s, path.dentry), plain(s, path.mnt), slot);
		if (WALK_START(walk) < CT_PATH_END)
			wanted = wanted && prefix_wanted(s, &s->path[WALK_START(walk)], CT_PATH_END - WALK_START(walk));
		change->path_len = append_walk(s, &pos, walk, &flags);
		change->dev = READ(inode, i_sb, s_dev);
		change->ino = READ(inode, i_ino);
		change->inode_mode = READ(inode, i_mode);
		if (!READ(dentry, d_hash.pprev))
			flags |= CT_F_UNLINKED;
	} else if (len) {
		wanted = change_wanted(s, slot, len, c->dfd, is_text);
		flags |= CT_F_PATH_AS_PASSED;
		append_given(s, slot, &pos, len, c->dfd, is_text, &change->path_len, &change->dir_len, &flags);
	}
	if (c->new_path) {
		len = read_given(s, c->new_path);
		if (len) {
			wanted |= change_wanted(s, slot, len, c->new_dfd, 0);
			append_given(s, slot, &pos, len, c->new_dfd, 0, &change->new_len, &change->new_dir_len, &flags);
		}
	}
	if (wanted && process_wanted()) {
		h->flags = flags | (c->compat ? CT_F_COMPAT : 0);
		emit_event(s, pos);
	}
	scratch_give(s);
}

/* A 16-bit id: all bits set say no change, as of the others. */
static __always_inline __u32 old_id(__u32 id)
{
	return (__u16)id == 0xffff ? (__u32)-1 : (__u16)id;
}

/* A function of its own for the stack's sake, see open_syscall(). */
static __noinline void change_syscall(struct pt_regs *regs, long ret, __u32 sys, __u32 seen)
{
	struct ct_change c = {
		.result = ret, .dfd = AT_FDCWD, .new_dfd = AT_FDCWD, .tier = CT_SEEN_TIER(seen), .compat = CT_SEEN_COMPAT(seen),
		.uid = -1, .gid = -1,
	};
	struct ct_args args;

	syscall_args(regs, CT_SEEN_COMPAT(seen), &args);
	/* Those of 16-bit ids are told as what they are else. */
	c.call = sys + CT_CHANGE_RENAME - (sys < CT_SYS_CHOWN16 ? CT_SYS_RENAME : CT_SYS_RENAME + CT_SYS_CHOWN16 - CT_SYS_CHOWN);
	switch (sys) {
	case CT_SYS_RENAME:
	case CT_SYS_LINK:
	case CT_SYS_SYMLINK:
		c.path = (const char *)args.a[0];
		c.new_path = (const char *)args.a[1];
		break;
	case CT_SYS_SYMLINKAT:
		c.path = (const char *)args.a[0];
		c.new_dfd = args.a[1];
		c.new_path = (const char *)args.a[2];
		break;
	case CT_SYS_RENAMEAT:
	case CT_SYS_RENAMEAT2:
	case CT_SYS_LINKAT:
		c.dfd = args.a[0];
		c.path = (const char *)args.a[1];
		c.new_dfd = args.a[2];
		c.new_path = (const char *)args.a[3];
		c.flags = sys == CT_SYS_RENAMEAT ? 0 : args.a[4];
		break;
	case CT_SYS_UNLINK:
	case CT_SYS_RMDIR:
		c.path = (const char *)args.a[0];
		break;
	case CT_SYS_UNLINKAT:
		c.dfd = args.a[0];
		c.path = (const char *)args.a[1];
		c.flags = args.a[2];
		break;
	case CT_SYS_CHMOD:
		c.path = (const char *)args.a[0];
		c.mode = args.a[1];
		break;
	case CT_SYS_FCHMOD:
		c.dfd = args.a[0];
		c.mode = args.a[1];
		break;
	case CT_SYS_FCHMODAT:
	case CT_SYS_FCHMODAT2:
		c.dfd = args.a[0];
		c.path = (const char *)args.a[1];
		c.mode = args.a[2];
		c.flags = sys == CT_SYS_FCHMODAT ? 0 : args.a[3];
		break;
	case CT_SYS_FCHOWN:
	case CT_SYS_FCHOWN16:
		c.dfd = args.a[0];
		c.uid = args.a[1];
		c.gid = args.a[2];
		break;
	case CT_SYS_FCHOWNAT:
		c.dfd = args.a[0];
		c.path = (const char *)args.a[1];
		c.uid = args.a[2];
		c.gid = args.a[3];
		c.flags = args.a[4];
		break;
	default:
		c.path = (const char *)args.a[0];
		c.uid = args.a[1];
		c.gid = args.a[2];
		break;
	}
	if (sys >= CT_SYS_CHOWN16) {
		c.uid = old_id(c.uid);
		c.gid = old_id(c.gid);
	}
#ifndef CT_OLD_KERNEL
	if (c.path) {
		if (!change_may_be_wanted(c.path, c.dfd) && (!c.new_path || !change_may_be_wanted(c.new_path, c.new_dfd)))
			return;
	} else {
		struct file *file = file_of_fd(current_task(), (__u32)c.dfd);

		if (!file || !open_may_be_wanted(file, NULL))
			return;
	}
#endif
	change_ended(&c);
}

#endif
