/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The system call tier of file_open and lib_load: one program on the exit of every system call, which picks out the few
 * it is after. Works on every kernel with BTF, and needs no tracefs. Entry is not traced: at exit the registers still
 * hold the arguments, and the file can be reached through its descriptor.
 *
 * What this tier cannot see: io_uring's opens and execve's own (no system call of theirs ends here). Another thread may
 * close or replace the descriptor, or rewrite the path, before the call has ended.
 */
#ifndef CRYPTO_TRACE_OPEN_SYSCALL_H
#define CRYPTO_TRACE_OPEN_SYSCALL_H

static __always_inline void open_syscall(struct task_struct *task, struct pt_regs *regs, long ret, enum ct_sys sys,
					 int compat)
{
	struct ct_open o = { .result = ret, .dfd = AT_FDCWD, .call = sys, .tier = CT_TIER_RAW_TRACEPOINT,
			     .compat = !!compat };
	struct open_how how = {};
	struct ct_args args;

	syscall_args(regs, compat, &args);
	switch (sys) {
	case CT_SYS_OPEN:
		o.user_path = (const char *)args.a[0];
		o.flags = args.a[1];
		o.mode = args.a[2];
		break;
	case CT_SYS_CREAT:
		o.user_path = (const char *)args.a[0];
		o.flags = CREAT_FLAGS;
		o.mode = args.a[1];
		break;
	case CT_SYS_OPENAT:
		o.dfd = args.a[0];
		o.user_path = (const char *)args.a[1];
		o.flags = args.a[2];
		o.mode = args.a[3];
		break;
	case CT_SYS_OPENAT2:
		o.dfd = args.a[0];
		o.user_path = (const char *)args.a[1];
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
	open_ended(task, &o);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	long nr = syscall_number(regs);
	int compat = is_compat(task);
	enum ct_sys sys = compat ? syscall_compat(nr) : syscall_native(nr);

	if (sys == CT_SYS_OTHER)
		return 0;
	if (sys == CT_SYS_MMAP || sys == CT_SYS_MMAP2) {
		struct ct_args args;

		syscall_args(regs, compat, &args);
		if (!(args.a[2] & PROT_EXEC) || args.a[3] & MAP_ANONYMOUS || !cfg.record_libs)
			return 0;
		if ((unsigned long)ret >= (unsigned long)-MAX_ERRNO || !process_may_be_wanted(task->tgid))
			return 0;
		mapped(task, args.a[4], ret, sys == CT_SYS_MMAP2 ? (__u64)args.a[5] << 12 : args.a[5], !!compat,
		       CT_TIER_RAW_TRACEPOINT);
		return 0;
	}
	if (!process_may_be_wanted(task->tgid))
		return 0;
	if (sys >= CT_SYS_SOCKET) {
		if (record_kernel_crypto)
			kernel_call(sys, !!compat, ret);
		return 0;
	}
	if (!cfg.record_files && !record_kernel_crypto)
		return 0;
	open_syscall(task, regs, ret, sys, compat);
	return 0;
}

#endif
