/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The current task, its saved registers, and reading what typed pointers point to: what kernels before Linux 5.17 do in
 * other ways. The same source is compiled twice, once with CT_OLD_KERNEL, for these.
 *
 * Here they have untyped pointers, which are followed by probe reads; loops that are bounded and so give up on very long
 * paths, which are flagged as partial; and an exclusion that needs no atomic operation but addition.
 */
#ifndef CRYPTO_TRACE_CURRENT_H
#define CRYPTO_TRACE_CURRENT_H

#ifndef CT_OLD_KERNEL

#define GET(from, field) ((from)->field)
#define GET2(from, first, second) ((from)->first->second)

static __always_inline struct task_struct *current_task(void)
{
	return bpf_get_current_task_btf();
}

static __always_inline struct pt_regs *saved_registers(struct task_struct *task)
{
	return (struct pt_regs *)bpf_task_pt_regs(task);
}

#else

#define GET(from, field) BPF_CORE_READ(from, field)
#define GET2(from, first, second) BPF_CORE_READ(from, first, second)

#define CT_THREAD_SIZE 16384 /* arch/x86/include/asm/page_64_types.h, arch/arm64/include/asm/memory.h; no KASAN */

static __always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

/* At the top of its stack: task_pt_regs(). */
static __always_inline struct pt_regs *saved_registers(struct task_struct *task)
{
	return BPF_CORE_READ(task, stack) + CT_THREAD_SIZE - bpf_core_type_size(struct pt_regs);
}

#endif

static __always_inline void read_comm(__u64 comm[2], struct task_struct *task)
{
#ifndef CT_OLD_KERNEL
	comm[0] = ((__u64 *)task->comm)[0];
	comm[1] = ((__u64 *)task->comm)[1];
#else
	bpf_probe_read_kernel(comm, 16, task->comm);
#endif
}

#endif
