/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The current task, its saved registers, and reading what typed pointers point to: what kernels before Linux 5.17 do in
 * other ways. The same source is compiled three times: with CT_OLD_KERNEL for these; with CT_PLAIN_LOADS for Linux 6.2 and newer,
 * whose verifier need not take out what they do without; and for those between.
 *
 * Here they have untyped pointers, which are followed by probe reads; loops that are bounded and so give up on very long
 * paths, which are flagged as partial; and an exclusion that needs no atomic operation but addition.
 */
#ifndef CRYPTO_TRACE_CURRENT_H
#define CRYPTO_TRACE_CURRENT_H

#ifndef CT_OLD_KERNEL

extern void *bpf_rdonly_cast(const void *object, __u32 btf_id) __ksym __weak;

/*
 * READ(from, first, second, ...): from->first->second, whatever `from` is; 0 where that cannot be read. From Linux 6.2 on plain
 * loads, which take a tenth of the time of a probe read. What is cast so is not trusted, and is verified quickly: for each
 * load from a trusted pointer recent verifiers search all of the kernel's BTF by name, a millisecond at a time.
 */
#ifdef CT_PLAIN_LOADS
#define LOADS_ARE_PLAIN 1
#else
#define LOADS_ARE_PLAIN bpf_ksym_exists(bpf_rdonly_cast)
#endif
#define CAST(from) ((typeof(from))bpf_rdonly_cast(from, bpf_core_type_id_kernel(typeof(*(from)))))
#define READ(from, ...)                                                                                                \
	(LOADS_ARE_PLAIN ? ___arrow(CAST(from), __VA_ARGS__) : BPF_CORE_READ(from, __VA_ARGS__))

/* The same of a typed pointer: always plain loads. */
#define GET(from, field) (LOADS_ARE_PLAIN ? CAST(from)->field : (from)->field)
#define GET2(from, first, second) (LOADS_ARE_PLAIN ? CAST(from)->first->second : (from)->first->second)

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

#define LOADS_ARE_PLAIN 0
#define READ BPF_CORE_READ

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

/* Calls step(i, context) up to `count` times, until it returns 1. */
#ifndef CT_OLD_KERNEL
#define REPEAT(count, step, context) bpf_loop(count, step, context, 0)
#else
#define REPEAT(count, step, context)                                                                                   \
	do {                                                                                                           \
		_Pragma("clang loop unroll(disable)") for (__u32 i = 0; i < (count); i++)                              \
		{                                                                                                      \
			if (step(i, context))                                                                          \
				break;                                                                                 \
		}                                                                                                      \
	} while (0)
#endif

/* Eight bytes of kernel memory, wherever they are; zeros where they cannot be read. */
static __always_inline __u64 read8(const void *from)
{
	return READ((struct timespec64 *)from, tv_sec);
}

/* Where loads are not plain, a structure is read by one call, not by one for each of its fields. */

static __always_inline struct path path_of(struct file *file)
{
	struct path path = {};

	if (LOADS_ARE_PLAIN) {
		path.mnt = READ(file, f_path.mnt);
		path.dentry = READ(file, f_path.dentry);
	} else {
		bpf_core_read(&path, sizeof(path), &file->f_path);
	}
	return path;
}

static __always_inline struct path working_directory(struct task_struct *task)
{
	struct path path = {};

	if (LOADS_ARE_PLAIN) {
		path.mnt = READ(task, fs, pwd.mnt);
		path.dentry = READ(task, fs, pwd.dentry);
	} else {
		BPF_CORE_READ_INTO(&path, task, fs, pwd);
	}
	return path;
}

/* Of no length where it cannot be read. */
static __always_inline struct qstr name_of(struct dentry *dentry)
{
	struct qstr name = {};

	if (LOADS_ARE_PLAIN) {
		name.len = READ(dentry, d_name.len);
		name.name = READ(dentry, d_name.name);
	} else {
		bpf_core_read(&name, sizeof(name), &dentry->d_name);
	}
	return name;
}

static __always_inline void read_comm(__u64 comm[2], struct task_struct *task)
{
#ifndef CT_OLD_KERNEL
	if (LOADS_ARE_PLAIN) {
		comm[0] = ((__u64 *)CAST(task)->comm)[0];
		comm[1] = ((__u64 *)CAST(task)->comm)[1];
		return;
	}
#endif
	bpf_probe_read_kernel(comm, 16, task->comm);
}

/*
 * A number that is 1 to `most`, a power of two, so that the verifier knows it by its arithmetic, wherever it is kept. in_range()
 * is not enough where the compiler keeps a copy on the stack between its two comparisons: Linux 6.1 carries nothing over to that.
 */
static __always_inline __u32 at_least_one(__u32 n, __u32 most)
{
	n--;
	asm volatile("" : "+r"(n));
	n &= most - 1;
	asm volatile("" : "+r"(n));
	return n + 1;
}

#endif
