/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which system call just ended, and its arguments, from the registers that a sys_exit tracepoint is given.
 *
 * The registers still hold the arguments at exit (x86_64: the kernel saves them at entry and writes only ax).
 * Which there are is enum ct_sys, which build.rs makes of crates/bpf/src/numbers.rs.
 * System call numbers: arch/x86/entry/syscalls/syscall_{64,32}.tbl, include/uapi/asm-generic/unistd.h.
 */
#ifndef CRYPTO_TRACE_SYSCALL_H
#define CRYPTO_TRACE_SYSCALL_H

/* How a call was seen: its tier, and whether it came by the 32-bit table. */
#define CT_SEEN(tier, compat) ((__u32)(tier) | (compat ? 1 << 16 : 0))
#define CT_SEEN_TIER(seen) ((__u16)(seen))
#define CT_SEEN_COMPAT(seen) ((__u16)((seen) >> 16))

/* Numbers that i386 and arm share: those of Linux's first years. */
#define CT_CASES_OF_32_BITS \
	case 9: \
		return CT_SYS_LINK; \
	case 10: \
		return CT_SYS_UNLINK; \
	case 15: \
		return CT_SYS_CHMOD; \
	case 16: \
		return CT_SYS_LCHOWN16; \
	case 38: \
		return CT_SYS_RENAME; \
	case 40: \
		return CT_SYS_RMDIR; \
	case 83: \
		return CT_SYS_SYMLINK; \
	case 94: \
		return CT_SYS_FCHMOD; \
	case 95: \
		return CT_SYS_FCHOWN16; \
	case 182: \
		return CT_SYS_CHOWN16; \
	case 198: \
		return CT_SYS_LCHOWN; \
	case 207: \
		return CT_SYS_FCHOWN; \
	case 212: \
		return CT_SYS_CHOWN;

struct ct_args {
	unsigned long a[6];
};

/* Of a function. Eight, so that a mask bounds the index; those after the sixth are zero. */
struct ct_call_args {
	__u64 a[8];
};

/* The n-th argument, counted from 0; 0 when there is none. */
static __always_inline __u64 call_argument(const struct ct_call_args *args, __s8 n)
{
	__u32 i = (__u32)n;

	if (n < 0)
		return 0;
	asm volatile("" : "+r"(i));
	return args->a[i & 7];
}

#if defined(__TARGET_ARCH_x86)

#define TS_COMPAT 0x0002	  /* arch/x86/include/asm/thread_info.h */
#define X32_SYSCALL_BIT 0x40000000UL

static __always_inline long syscall_number(struct pt_regs *regs)
{
	return (long)GET(regs, orig_ax);
}

static __always_inline int is_compat(struct task_struct *task)
{
	return GET(task, thread_info.status) & TS_COMPAT;
}

/* The 64 bit table; x32 calls have their own bit and the same numbers for these, but for setsockopt: x32's is not seen. */
static __always_inline enum ct_sys syscall_native(long nr)
{
	switch (nr & ~X32_SYSCALL_BIT) {
	case 2:
		return CT_SYS_OPEN;
	case 9:
		return CT_SYS_MMAP;
	case 10:
	case 329:
		return CT_SYS_MPROTECT;
	case 41:
		return CT_SYS_SOCKET;
	case 49:
		return CT_SYS_BIND;
	case 54:
		return CT_SYS_SETSOCKOPT;
	case 85:
		return CT_SYS_CREAT;
	case 248:
		return CT_SYS_ADD_KEY;
	case 249:
		return CT_SYS_REQUEST_KEY;
	case 250:
		return CT_SYS_KEYCTL;
	case 257:
		return CT_SYS_OPENAT;
	case 304:
		return CT_SYS_OPEN_BY_HANDLE_AT;
	case 318:
		return CT_SYS_GETRANDOM;
	case 437:
		return CT_SYS_OPENAT2;
	case 82:
		return CT_SYS_RENAME;
	case 84:
		return CT_SYS_RMDIR;
	case 86:
		return CT_SYS_LINK;
	case 87:
		return CT_SYS_UNLINK;
	case 88:
		return CT_SYS_SYMLINK;
	case 90:
		return CT_SYS_CHMOD;
	case 91:
		return CT_SYS_FCHMOD;
	case 92:
		return CT_SYS_CHOWN;
	case 93:
		return CT_SYS_FCHOWN;
	case 94:
		return CT_SYS_LCHOWN;
	case 260:
		return CT_SYS_FCHOWNAT;
	case 263:
		return CT_SYS_UNLINKAT;
	case 264:
		return CT_SYS_RENAMEAT;
	case 265:
		return CT_SYS_LINKAT;
	case 266:
		return CT_SYS_SYMLINKAT;
	case 268:
		return CT_SYS_FCHMODAT;
	case 316:
		return CT_SYS_RENAMEAT2;
	case 452:
		return CT_SYS_FCHMODAT2;
	default:
		return CT_SYS_OTHER;
	}
}

static __always_inline enum ct_sys syscall_compat(long nr)
{
	switch (nr) {
	case 5:
		return CT_SYS_OPEN;
	case 8:
		return CT_SYS_CREAT;
	case 102:
		return CT_SYS_SOCKETCALL;
	case 125:
	case 380:
		return CT_SYS_MPROTECT;
	case 192:
		return CT_SYS_MMAP2;
	case 286:
		return CT_SYS_ADD_KEY;
	case 287:
		return CT_SYS_REQUEST_KEY;
	case 288:
		return CT_SYS_KEYCTL;
	case 295:
		return CT_SYS_OPENAT;
	case 342:
		return CT_SYS_OPEN_BY_HANDLE_AT;
	case 355:
		return CT_SYS_GETRANDOM;
	case 359:
		return CT_SYS_SOCKET;
	case 361:
		return CT_SYS_BIND;
	case 366:
		return CT_SYS_SETSOCKOPT;
	case 437:
		return CT_SYS_OPENAT2;
	CT_CASES_OF_32_BITS
	case 298:
		return CT_SYS_FCHOWNAT;
	case 301:
		return CT_SYS_UNLINKAT;
	case 302:
		return CT_SYS_RENAMEAT;
	case 303:
		return CT_SYS_LINKAT;
	case 304:
		return CT_SYS_SYMLINKAT;
	case 306:
		return CT_SYS_FCHMODAT;
	case 353:
		return CT_SYS_RENAMEAT2;
	case 452:
		return CT_SYS_FCHMODAT2;
	default:
		return CT_SYS_OTHER;
	}
}

static __always_inline void syscall_args(struct pt_regs *regs, int compat, struct ct_args *args)
{
	if (compat) {
		args->a[0] = (__u32)GET(regs, bx);
		args->a[1] = (__u32)GET(regs, cx);
		args->a[2] = (__u32)GET(regs, dx);
		args->a[3] = (__u32)GET(regs, si);
		args->a[4] = (__u32)GET(regs, di);
		args->a[5] = (__u32)GET(regs, bp);
	} else {
		args->a[0] = GET(regs, di);
		args->a[1] = GET(regs, si);
		args->a[2] = GET(regs, dx);
		args->a[3] = GET(regs, r10);
		args->a[4] = GET(regs, r8);
		args->a[5] = GET(regs, r9);
	}
}

/*
 * Arguments of a function: System V AMD64 ABI, section 3.2.3. One load after the other: the verifier wants constant offsets
 * into the registers, and compilers like to make one load of many.
 */
static __always_inline void call_arguments(struct pt_regs *regs, struct ct_call_args *args)
{
	args->a[0] = regs->di;
	barrier();
	args->a[1] = regs->si;
	barrier();
	args->a[2] = regs->dx;
	barrier();
	args->a[3] = regs->cx;
	barrier();
	args->a[4] = regs->r8;
	barrier();
	args->a[5] = regs->r9;
	barrier();
}

static __always_inline __s64 call_result(struct pt_regs *regs)
{
	return (__s64)BPF_CORE_READ(regs, ax);
}

/* The same of a program's own context. */
static __always_inline __s64 return_value(struct pt_regs *regs)
{
	return (__s64)regs->ax;
}

/* Where a function returns to that has moved the stack pointer down by `stack` bytes since its entry; 0: not known. */
static __always_inline __u64 call_site(struct pt_regs *regs, __u64 stack)
{
	__u64 site = 0;

	bpf_probe_read_user(&site, sizeof(site), (void *)(BPF_CORE_READ(regs, sp) + stack));
	return site;
}

#elif defined(__TARGET_ARCH_arm64)

#define TIF_32BIT 22 /* arch/arm64/include/asm/thread_info.h */

static __always_inline long syscall_number(struct pt_regs *regs)
{
	return GET(regs, syscallno);
}

static __always_inline int is_compat(struct task_struct *task)
{
	return (GET(task, thread_info.flags) >> TIF_32BIT) & 1;
}

static __always_inline enum ct_sys syscall_native(long nr)
{
	switch (nr) {
	case 56:
		return CT_SYS_OPENAT;
	case 198:
		return CT_SYS_SOCKET;
	case 200:
		return CT_SYS_BIND;
	case 208:
		return CT_SYS_SETSOCKOPT;
	case 217:
		return CT_SYS_ADD_KEY;
	case 218:
		return CT_SYS_REQUEST_KEY;
	case 219:
		return CT_SYS_KEYCTL;
	case 222:
		return CT_SYS_MMAP;
	case 226:
	case 288:
		return CT_SYS_MPROTECT;
	case 265:
		return CT_SYS_OPEN_BY_HANDLE_AT;
	case 278:
		return CT_SYS_GETRANDOM;
	case 437:
		return CT_SYS_OPENAT2;
	case 35:
		return CT_SYS_UNLINKAT;
	case 36:
		return CT_SYS_SYMLINKAT;
	case 37:
		return CT_SYS_LINKAT;
	case 38:
		return CT_SYS_RENAMEAT;
	case 52:
		return CT_SYS_FCHMOD;
	case 53:
		return CT_SYS_FCHMODAT;
	case 54:
		return CT_SYS_FCHOWNAT;
	case 55:
		return CT_SYS_FCHOWN;
	case 276:
		return CT_SYS_RENAMEAT2;
	case 452:
		return CT_SYS_FCHMODAT2;
	default:
		return CT_SYS_OTHER;
	}
}

/* arch/arm/tools/syscall.tbl */
static __always_inline enum ct_sys syscall_compat(long nr)
{
	switch (nr) {
	case 5:
		return CT_SYS_OPEN;
	case 8:
		return CT_SYS_CREAT;
	case 125:
	case 394:
		return CT_SYS_MPROTECT;
	case 192:
		return CT_SYS_MMAP2;
	case 281:
		return CT_SYS_SOCKET;
	case 282:
		return CT_SYS_BIND;
	case 294:
		return CT_SYS_SETSOCKOPT;
	case 309:
		return CT_SYS_ADD_KEY;
	case 310:
		return CT_SYS_REQUEST_KEY;
	case 311:
		return CT_SYS_KEYCTL;
	case 322:
		return CT_SYS_OPENAT;
	case 371:
		return CT_SYS_OPEN_BY_HANDLE_AT;
	case 384:
		return CT_SYS_GETRANDOM;
	case 437:
		return CT_SYS_OPENAT2;
	CT_CASES_OF_32_BITS
	case 325:
		return CT_SYS_FCHOWNAT;
	case 328:
		return CT_SYS_UNLINKAT;
	case 329:
		return CT_SYS_RENAMEAT;
	case 330:
		return CT_SYS_LINKAT;
	case 331:
		return CT_SYS_SYMLINKAT;
	case 333:
		return CT_SYS_FCHMODAT;
	case 382:
		return CT_SYS_RENAMEAT2;
	case 452:
		return CT_SYS_FCHMODAT2;
	default:
		return CT_SYS_OTHER;
	}
}

static __always_inline void syscall_args(struct pt_regs *regs, int compat, struct ct_args *args)
{
	args->a[0] = GET(regs, orig_x0);
	args->a[1] = GET(regs, regs[1]);
	args->a[2] = GET(regs, regs[2]);
	args->a[3] = GET(regs, regs[3]);
	args->a[4] = GET(regs, regs[4]);
	args->a[5] = GET(regs, regs[5]);
}

/* Procedure Call Standard for the Arm 64-bit Architecture, section 6.8. */
static __always_inline void call_arguments(struct pt_regs *regs, struct ct_call_args *args)
{
	bpf_core_read(args->a, 6 * sizeof(args->a[0]), &regs->regs[0]);
}

static __always_inline __s64 call_result(struct pt_regs *regs)
{
	return (__s64)BPF_CORE_READ(regs, regs[0]);
}

/* The same of a program's own context. */
static __always_inline __s64 return_value(struct pt_regs *regs)
{
	return (__s64)regs->regs[0];
}

static __always_inline __u64 call_site(struct pt_regs *regs, __u64 stack)
{
	return BPF_CORE_READ(regs, regs[30]);
}

#endif

static __always_inline __u64 stack_pointer(struct pt_regs *regs)
{
	return BPF_CORE_READ(regs, sp);
}

#endif
