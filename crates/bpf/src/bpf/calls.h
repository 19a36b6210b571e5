/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * System calls that end: where file_open, lib_load and what kernel_crypto.h records come from, in three attach tiers.
 *
 *   system call tier   one program on the exit of every system call, which picks out the few it is after. Works on every
 *                      kernel with BTF, and needs no tracefs; every other system call pays for it a little.
 *   kprobe tier        one program on the return of the kernel functions that do those few. Others pay nothing.
 *   fentry tier        the same, entered without a trap: one program for each function.
 *
 * Entry is not traced in any of them: at exit the registers saved at entry still hold the arguments, and the file can be
 * reached through its descriptor. All of them end in call_ended(), so the same record comes out of each.
 *
 * What none of them can see: execve's own opens (no system call of theirs ends here), and of io_uring all but what it
 * opened. Another thread may close or replace the descriptor, or rewrite the path, before the call has ended. What the two function tiers do not
 * see: calls that are refused before the function is reached, by seccomp or because openat2's structure is malformed.
 */
#ifndef CRYPTO_TRACE_CALLS_H
#define CRYPTO_TRACE_CALLS_H

/* What the program on every system call's exit is for: CT_PART_*. */
const volatile __u8 sys_exit_parts = 0;

/*
 * This and seen_mapped() are functions of their own for the stack's sake: all calls under way together may have 512 bytes, and
 * what else ends here goes deeper.
 */
static __noinline void open_syscall(struct pt_regs *regs, long ret, __u32 sys, __u32 seen)
{
	struct ct_open o = {
		.result = ret, .dfd = AT_FDCWD, .call = sys, .tier = CT_SEEN_TIER(seen), .compat = CT_SEEN_COMPAT(seen),
	};
	int compat = CT_SEEN_COMPAT(seen);
	struct open_how how = {};
	struct ct_args args;

	syscall_args(regs, compat, &args);
	switch (sys) {
	case CT_SYS_OPEN:
		o.user_path = args.a[0];
		o.flags = args.a[1];
		o.mode = args.a[2];
		break;
	case CT_SYS_CREAT:
		o.user_path = args.a[0];
		o.flags = CREAT_FLAGS;
		o.mode = args.a[1];
		break;
	case CT_SYS_OPENAT:
		o.dfd = args.a[0];
		o.user_path = args.a[1];
		o.flags = args.a[2];
		o.mode = args.a[3];
		break;
	case CT_SYS_OPENAT2:
		o.dfd = args.a[0];
		o.user_path = args.a[1];
		bpf_probe_read_user(&how, sizeof(how), (void *)args.a[2]);
		o.flags = how.flags;
		o.mode = how.mode;
		o.resolve = how.resolve;
		break;
	case CT_SYS_OPEN_BY_HANDLE_AT:
		o.dfd = args.a[0];
		o.flags = args.a[2];
		break;
	default:
		return;
	}
	open_ended(&o);
}

static __noinline void seen_mapped(__u32 fd, __u64 address, __u64 offset, __u32 seen)
{
	struct task_struct *task = current_task();

	mapped(task, file_of_fd(task, fd), address, offset, CT_SEEN_COMPAT(seen), CT_SEEN_TIER(seen));
}

/* What was mapped otherwise before may be executed now. Programs that make code of their own ask for it often: of no file. */
static __noinline void seen_protected(__u64 address, __u32 seen)
{
	struct task_struct *task = current_task();
	struct ct_mapping mapping = {};

	if (mapping_at(task, address, &mapping))
		mapped(task, (struct file *)mapping.file, mapping.start, mapping.offset, CT_SEEN_COMPAT(seen), CT_SEEN_TIER(seen));
}

/* Whether memory that is mapped with this protection may be executed. */
static __always_inline int is_executable(struct task_struct *task, __u64 protection)
{
	return protection & PROT_EXEC || (protection & PROT_READ && GET(task, personality) & READ_IMPLIES_EXEC);
}

/*
 * A system call of the current thread has ended, with these saved registers and this result. `parts` says what of it is
 * recorded here.
 */
static __always_inline int call_ended(struct task_struct *task, struct pt_regs *regs, long ret, __u8 parts, __u16 tier)
{
	long nr = syscall_number(regs);
	int compat = is_compat(task);
	enum ct_sys sys = compat ? syscall_compat(nr) : syscall_native(nr);

	if (sys == CT_SYS_OTHER)
		return 0;
	if (sys == CT_SYS_MMAP || sys == CT_SYS_MMAP2) {
		struct ct_args args;

		if (!(parts & CT_PART_LIBS))
			return 0;
		syscall_args(regs, compat, &args);
		if (args.a[3] & MAP_ANONYMOUS || !is_executable(task, args.a[2]))
			return 0;
		if ((unsigned long)ret >= (unsigned long)-MAX_ERRNO || !process_may_be_wanted(GET(task, tgid)))
			return 0;
		seen_mapped(args.a[4], ret, sys == CT_SYS_MMAP2 ? (__u64)args.a[5] << 12 : args.a[5], CT_SEEN(tier, compat));
		return 0;
	}
	if (sys == CT_SYS_MPROTECT) {
		struct ct_args args;

		if (!(parts & CT_PART_LIBS) || ret)
			return 0;
		syscall_args(regs, compat, &args);
		if (is_executable(task, args.a[2]) && process_may_be_wanted(GET(task, tgid)))
			seen_protected(args.a[0], CT_SEEN(tier, compat));
		return 0;
	}
	if (!process_may_be_wanted(GET(task, tgid)))
		return 0;
	if (sys >= CT_SYS_RENAME) {
		if (parts & CT_PART_CHANGES)
			change_syscall(ret, sys, CT_SEEN(tier, compat));
		return 0;
	}
	if (sys >= CT_SYS_SOCKET) {
		if (!(parts & CT_PART_CRYPTO))
			return 0;
		if (sys == CT_SYS_GETRANDOM) {
			count_random(ret < 0 ? CT_RANDOM_REFUSED : CT_RANDOM_GETRANDOM, ret < 0 ? 0 : ret, ret < 0 ? ret : 0);
		} else {
			int slot = kernel_call(sys, !!compat, ret);

			if (slot > 0)
				tell_kernel_call((__u32)slot - 1);
		}
		return 0;
	}
	if (parts & CT_PART_FILES)
		open_syscall(regs, ret, sys, CT_SEEN(tier, compat));
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long ret)
{
	return call_ended(current_task(), regs, ret, sys_exit_parts, CT_TIER_RAW_TRACEPOINT);
}

#define CT_IORING_OP_OPENAT 18 /* include/uapi/linux/io_uring.h */
#define CT_IORING_OP_OPENAT2 28

static __noinline void request_opened(struct io_kiocb *request, __u16 call)
{
	struct ct_open o = { .call = call, .tier = CT_TIER_RAW_TRACEPOINT };
	struct io_open *open = (struct io_open *)request;
	struct task_struct *task = current_task();

	o.result = READ(request, cqe.res);
	if (o.result < 0 || READ(open, file_slot) || !process_may_be_wanted(GET(task, tgid)))
		return;
	o.dfd = READ(open, dfd);
	o.flags = READ(open, how.flags);
	o.mode = READ(open, how.mode);
	o.resolve = READ(open, how.resolve);
	open_ended(&o);
}

/*
 * A request of io_uring was completed: by the process that made it, or a thread of it that the kernel keeps for that, which has its
 * files. What it opened is reported; where it failed, the path is gone by now, and what has no descriptor of the process's (a direct one)
 * cannot be reached.
 */
SEC("?tp_btf/io_uring_complete")
int io_uring_completed(unsigned long long *arguments)
{
	/* The second in every kernel that has the result in the request (Linux 5.19); null when it is none of a request. */
	struct io_kiocb *request = (struct io_kiocb *)arguments[1];
	__u8 operation;

	if (!request)
		return 0;
	/* Nearly all are others, and there may be a million each second. */
	operation = READ(request, opcode);
	if (operation != CT_IORING_OP_OPENAT && operation != CT_IORING_OP_OPENAT2)
		return 0;
	request_opened(request, operation == CT_IORING_OP_OPENAT ? CT_IO_URING_OPENAT : CT_IO_URING_OPENAT2);
	return 0;
}

/* The same for the return of a function that a system call is in: its registers are those at the top of its stack. */
static __always_inline int function_ended(long ret, __u8 parts, __u16 tier)
{
	struct task_struct *task = current_task();

	return call_ended(task, saved_registers(task), ret, parts, tier);
}

/* On whatever function. Those that open return an int, whose upper half is anything. */
SEC("?kretprobe")
int open_kretprobe(struct pt_regs *regs)
{
	return function_ended((int)return_value(regs), CT_PART_FILES, CT_TIER_KPROBE);
}

SEC("?kretprobe")
int call_kretprobe(struct pt_regs *regs)
{
	return function_ended(return_value(regs), CT_PART_LIBS | CT_PART_CRYPTO | CT_PART_CHANGES, CT_TIER_KPROBE);
}

/* open, openat, openat2, creat; fs/open.c */
SEC("?fexit/do_sys_openat2")
int BPF_PROG(open_fexit, int dfd, const char *path, struct open_how *how, long ret)
{
	return function_ended((int)ret, CT_PART_FILES, CT_TIER_FENTRY);
}

/* open_by_handle_at; fs/fhandle.c */
SEC("?fexit/do_handle_open")
int BPF_PROG(handle_fexit, int mount_fd, void *handle, int flags, long ret)
{
	return function_ended((int)ret, CT_PART_FILES, CT_TIER_FENTRY);
}

/* mmap, mmap2; mm/mmap.c */
SEC("?fexit/ksys_mmap_pgoff")
int BPF_PROG(mmap_fexit, unsigned long address, unsigned long len, unsigned long prot, unsigned long flags,
	     unsigned long fd, unsigned long offset, long ret)
{
	return function_ended(ret, CT_PART_LIBS, CT_TIER_FENTRY);
}

/* System calls, by the name of what the system call table points to. */
#if defined(__TARGET_ARCH_x86)
#define CT_CALL_PREFIX "__x64_sys_"
#elif defined(__TARGET_ARCH_arm64)
#define CT_CALL_PREFIX "__arm64_sys_"
#endif

#define CT_CALL_FEXIT(call, part)                                                                                      \
	SEC("?fexit/" CT_CALL_PREFIX #call)                                                                            \
	int BPF_PROG(call##_fexit, void *regs, long ret)                                                               \
	{                                                                                                              \
		return function_ended(ret, part, CT_TIER_FENTRY);                                                      \
	}

CT_CALL_FEXIT(mprotect, CT_PART_LIBS)
CT_CALL_FEXIT(socket, CT_PART_CRYPTO)
CT_CALL_FEXIT(bind, CT_PART_CRYPTO)
CT_CALL_FEXIT(setsockopt, CT_PART_CRYPTO)
CT_CALL_FEXIT(add_key, CT_PART_CRYPTO)
CT_CALL_FEXIT(request_key, CT_PART_CRYPTO)
CT_CALL_FEXIT(keyctl, CT_PART_CRYPTO)
CT_CALL_FEXIT(getrandom, CT_PART_CRYPTO)

CT_CALL_FEXIT(rename, CT_PART_CHANGES)
CT_CALL_FEXIT(renameat, CT_PART_CHANGES)
CT_CALL_FEXIT(renameat2, CT_PART_CHANGES)
CT_CALL_FEXIT(link, CT_PART_CHANGES)
CT_CALL_FEXIT(linkat, CT_PART_CHANGES)
CT_CALL_FEXIT(symlink, CT_PART_CHANGES)
CT_CALL_FEXIT(symlinkat, CT_PART_CHANGES)
CT_CALL_FEXIT(unlink, CT_PART_CHANGES)
CT_CALL_FEXIT(unlinkat, CT_PART_CHANGES)
CT_CALL_FEXIT(rmdir, CT_PART_CHANGES)
CT_CALL_FEXIT(chmod, CT_PART_CHANGES)
CT_CALL_FEXIT(fchmod, CT_PART_CHANGES)
CT_CALL_FEXIT(fchmodat, CT_PART_CHANGES)
CT_CALL_FEXIT(chown, CT_PART_CHANGES)
CT_CALL_FEXIT(lchown, CT_PART_CHANGES)
CT_CALL_FEXIT(fchown, CT_PART_CHANGES)
CT_CALL_FEXIT(fchownat, CT_PART_CHANGES)

#endif
