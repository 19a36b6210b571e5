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
 * Whether a path may be wanted: most are not, and are let go here, before scratch is taken. A global function, as others here:
 * verified once, not for each call that comes here.
 */
__noinline int change_may_be_wanted(__u64 user_path, __s32 dfd)
{
	struct task_struct *task = current_task();
	__u64 given[CT_GIVEN_WORDS] = {};
	struct qstr name;
	int slash;
	long n;

	if (cfg.match_all_names)
		return 1;
	n = bpf_probe_read_user_str(given, sizeof(given), (const void *)user_path);
	/* Of short or long paths, or none, all is said by who looks closer. */
	if (n <= 8 || n >= (long)sizeof(given))
		return 1;
	if (tail_wanted(CT_TAILS_OF_NAMES, word_at(given, (__u32)n - 9), (__u32)n - 1))
		return 1;
	if (!cfg.match_dirs)
		return 0;
	slash = last_byte_of(given, CT_GIVEN_WORDS, '/');
	if (slash < 0) {
		struct path base = base_directory(task, dfd);

		name = directory_name(&base);
		return name.len >= 2 && name.len <= CT_NAME_MAX && tail_wanted(CT_TAILS_OF_DIRECTORIES, name_tail(&name), name.len);
	}
	/* Of a short one the first word is what there is. */
	return tail_wanted(CT_TAILS_OF_DIRECTORIES, word_at(given, slash < 8 ? 0 : (__u32)slash - 8), (__u32)slash);
}

#endif

/*
 * The record of scratch->change, and of a call on a descriptor its file. Global functions, as the next: each is verified once. What
 * they tell each other is in scratch->change.
 */
__noinline int change_begin(__u32 slot)
{
	struct ct_scratch *s = scratch_of(slot);
	struct task_struct *task = current_task();
	struct ct_file_change *change;
	struct ct_change *c;
	struct ct_header *h;

	if (!s)
		return 0;
	c = &s->change;
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
	h->flags = c->compat ? CT_F_COMPAT : 0;
	c->pos = sizeof(*h) + sizeof(*change);
	c->wanted = 0;
	return 0;
}

/* The file of a call on a descriptor. */
__noinline int change_file(__u32 slot)
{
	struct ct_scratch *s = scratch_of(slot);
	struct ct_file_change *change;
	struct dentry *dentry;
	struct inode *inode;
	struct file *file;
	struct path path;
	struct qstr name;
	__u16 flags = 0;
	__u32 pos, start;
	int walk;

	if (!s)
		return 0;
	file = file_of_fd(current_task(), (__u32)s->change.dfd);
	if (!file)
		return 0;
	change = (struct ct_file_change *)(s->record + sizeof(struct ct_header));
	dentry = READ(file, f_path.dentry);
	inode = READ(file, f_inode);
	name = name_of(dentry);
	path = path_of(file);
	s->change.wanted = name_wanted(s, slot, &name) || dir_wanted(slot, plain(s, READ(dentry, d_parent)), plain(s, path.mnt));
	walk = walk_path(plain(s, path.dentry), plain(s, path.mnt), slot);
	start = WALK_START(walk);
	if (start >= CT_PATH_END)
		return 0;
	if (!prefix_wanted(s, &s->path[start], CT_PATH_END - start))
		s->change.wanted = 0;
	pos = s->change.pos;
	change->path_len = append_walk(s, &pos, walk, &flags);
	s->change.pos = pos;
	change->dev = READ(inode, i_sb, s_dev);
	change->ino = READ(inode, i_ino);
	change->inode_mode = READ(inode, i_mode);
	if (!READ(dentry, d_hash.pprev))
		flags |= CT_F_UNLINKED;
	((struct ct_header *)s->record)->flags |= flags;
	return 0;
}

/*
 * One of the paths that were passed, with the directory it is relative to, and whether it is of a name or directory that is wanted,
 * and below a wanted prefix. Returns its length; 0: there is none.
 */
__noinline int change_path(__u32 slot, __u32 is_new)
{
	struct ct_scratch *s = scratch_of(slot);
	struct ct_file_change *change;
	struct path dir = {};
	__u16 flags = 0, dir_len = 0, path_len;
	__u32 pos, len;
	__s32 dfd;
	/* Of a symbolic link the first text is no path of ours to resolve. */
	int is_text;
	long n;

	if (!s)
		return 0;
	is_text = !is_new && (s->change.call == CT_CHANGE_SYMLINK || s->change.call == CT_CHANGE_SYMLINKAT);
	dfd = is_new ? s->change.new_dfd : s->change.dfd;
	n = bpf_probe_read_user_str(s->user, CT_PATH_MAX, (const void *)(is_new ? s->change.new_path : s->change.path));
	if (n <= 1 || n > CT_PATH_MAX)
		return 0;
	len = (__u32)n - 1;
	change = (struct ct_file_change *)(s->record + sizeof(struct ct_header));
	if ((s->user[0] != '/' || prefix_wanted(s, s->user, len)) &&
	    (given_wanted(slot, len) || (cfg.match_dirs && !is_text && given_dir_wanted(slot, len, dfd))))
		s->change.wanted = 1;
	pos = s->change.pos;
	path_len = (__u16)append(s, &pos, s->user, len);
	if (len >= CT_PATH_MAX - 1)
		flags |= CT_F_TRUNCATED;
	if (!is_text && s->user[0] != '/')
		dir = base_directory(current_task(), dfd);
	if (dir.dentry)
		dir_len = append_path(s, &pos, slot, &dir, &flags);
	s->change.pos = pos;
	if (is_new) {
		change->new_len = path_len;
		change->new_dir_len = dir_len;
	} else {
		change->path_len = path_len;
		change->dir_len = dir_len;
	}
	((struct ct_header *)s->record)->flags |= flags | CT_F_PATH_AS_PASSED;
	return (int)len;
}

/* A 16-bit id: all bits set say no change, as of the others. */
static __always_inline __u32 old_id(__u32 id)
{
	return (__u16)id == 0xffff ? (__u32)-1 : (__u16)id;
}

/* A system call that is about names, modes or owners has ended. A global function: verified once, not for each such call. */
__noinline int change_syscall(__s64 ret, __u32 sys, __u32 seen)
{
	struct pt_regs *regs = saved_registers(current_task());
	struct ct_change c = {
		.result = ret, .dfd = AT_FDCWD, .new_dfd = AT_FDCWD, .tier = CT_SEEN_TIER(seen), .compat = CT_SEEN_COMPAT(seen),
		.uid = -1, .gid = -1,
	};
	struct ct_scratch *s;
	struct ct_args args;
	__u32 slot = 0;

	if (ret == -EFAULT)
		return 0;
	syscall_args(regs, CT_SEEN_COMPAT(seen), &args);
	/* Variants for 16-bit ids are reported under their usual names. */
	c.call = sys + CT_CHANGE_RENAME - (sys < CT_SYS_CHOWN16 ? CT_SYS_RENAME : CT_SYS_RENAME + CT_SYS_CHOWN16 - CT_SYS_CHOWN);
	switch (sys) {
	case CT_SYS_RENAME:
	case CT_SYS_LINK:
	case CT_SYS_SYMLINK:
		c.path = args.a[0];
		c.new_path = args.a[1];
		break;
	case CT_SYS_SYMLINKAT:
		c.path = args.a[0];
		c.new_dfd = args.a[1];
		c.new_path = args.a[2];
		break;
	case CT_SYS_RENAMEAT:
	case CT_SYS_RENAMEAT2:
	case CT_SYS_LINKAT:
		c.dfd = args.a[0];
		c.path = args.a[1];
		c.new_dfd = args.a[2];
		c.new_path = args.a[3];
		c.flags = sys == CT_SYS_RENAMEAT ? 0 : args.a[4];
		break;
	case CT_SYS_UNLINK:
	case CT_SYS_RMDIR:
		c.path = args.a[0];
		break;
	case CT_SYS_UNLINKAT:
		c.dfd = args.a[0];
		c.path = args.a[1];
		c.flags = args.a[2];
		break;
	case CT_SYS_CHMOD:
		c.path = args.a[0];
		c.mode = args.a[1];
		break;
	case CT_SYS_FCHMOD:
		c.dfd = args.a[0];
		c.mode = args.a[1];
		break;
	case CT_SYS_FCHMODAT:
	case CT_SYS_FCHMODAT2:
		c.dfd = args.a[0];
		c.path = args.a[1];
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
		c.path = args.a[1];
		c.uid = args.a[2];
		c.gid = args.a[3];
		c.flags = args.a[4];
		break;
	default:
		c.path = args.a[0];
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
			return 0;
	} else if (!open_may_be_wanted((__u32)c.dfd, 0)) {
		return 0;
	}
#endif
	s = scratch_take(&slot);
	if (!s) {
		count(CT_COUNTER_UNREADABLE);
		return 0;
	}
	s->change = c;
	change_begin(slot);
	if (!c.path || (!change_path(slot, 0) && c.flags & AT_EMPTY_PATH))
		change_file(slot);
	if (c.new_path)
		change_path(slot, 1);
	if (s->change.wanted && process_wanted())
		emit_event(slot, s->change.pos);
	scratch_give(s);
	return 0;
}

#endif
