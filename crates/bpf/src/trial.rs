//! What this kernel lets us have, found out by asking it for as little as possible.
#![allow(unsafe_code, reason = "libbpf-rs loads whole objects only")]

use std::os::fd::{FromRawFd as _, OwnedFd};
use std::path::Path;
use std::ptr::null;

use libbpf_rs::btf::Btf;
use libbpf_rs::libbpf_sys::{
    BPF_ALU64, BPF_EXIT, BPF_FUNC_loop, BPF_JMP, BPF_K, BPF_MAP_TYPE_RINGBUF, BPF_MOV, BPF_PROG_TYPE_KPROBE,
    BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, bpf_insn, bpf_prog_load, bpf_prog_load_opts, libbpf_probe_bpf_helper,
    libbpf_probe_bpf_map_type,
};
use rustix::io::Errno;

use crate::types::KernelTypes;

/// Whether programs on the return of kernel functions are refused whatever they do, by a security policy or for want of a
/// privilege. That they are not refused does not mean that they can be had.
pub(crate) fn fentry_is_refused() -> bool {
    let code = |code: u32| u8::try_from(code).unwrap_or(0);
    // r0 = 0; exit
    let program = [
        bpf_insn { code: code(BPF_ALU64 | BPF_MOV | BPF_K), ..bpf_insn::default() },
        bpf_insn { code: code(BPF_JMP | BPF_EXIT), ..bpf_insn::default() },
    ];
    // No function: who may load this is told that its target is invalid.
    let mut options = bpf_prog_load_opts {
        sz: size_of::<bpf_prog_load_opts>() as _,
        expected_attach_type: BPF_TRACE_FEXIT,
        attach_btf_id: 1,
        ..bpf_prog_load_opts::default()
    };
    // SAFETY: all pointers are to values that live longer than the call, and the count is that of the instructions.
    let result = unsafe {
        bpf_prog_load(
            BPF_PROG_TYPE_TRACING,
            c"ct_trial".as_ptr(),
            c"GPL".as_ptr(),
            program.as_ptr(),
            program.len() as _,
            &raw mut options,
        )
    };
    if result >= 0 {
        // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
        drop(unsafe { OwnedFd::from_raw_fd(result) });
    }
    [Errno::PERM, Errno::ACCESS].iter().any(|errno| result == -errno.raw_os_error())
}

/// What this kernel is too old for, asked when loading has failed.
pub(crate) fn lacking() -> Option<&'static str> {
    // SAFETY: the only pointer may be null; something small is made and let go.
    let ring_buffer = unsafe { libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, null()) };
    // Negative: not known.
    if ring_buffer == 0 {
        return Some("BPF ring buffers: Linux 5.8 or newer has them, and 5.10 or newer is needed");
    }
    Btf::from_vmlinux().is_err().then_some("readable BTF: /sys/kernel/btf/vmlinux does not hold any")
}

/// Whether there is no `bpf_loop` (Linux 5.17).
pub(crate) fn lacks_loops() -> bool {
    // SAFETY: the only pointer may be null; something small is loaded and let go.
    let bpf_loop = unsafe { libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_loop, null()) };
    // Negative: not known.
    bpf_loop == 0
}

/// Whether the kernel log gets a warning, with a stack trace, when a program for kprobes or uprobes has a hash map that
/// allocates its entries as they come (`check_map_prog_compatibility` in kernel/bpf/verifier.c, until Linux 6.1). By the version:
/// trying would leave the warning.
pub(crate) fn warns_of_lazy_maps() -> bool {
    is_older_than(6, 1)
}

/// Whether the kernel tells how many returns a kretprobe missed (`bpf_link_info.perf_event.kprobe.missed`, Linux 6.7). A
/// kretprobe has room for a limited number of calls under way: twice the number of CPUs and at least ten, on older kernels
/// without preemption as many as there are CPUs. As many opens that block, of anybody's, hide every other open.
pub(crate) fn counts_missed_returns() -> bool {
    !is_older_than(6, 7)
}

fn is_older_than(major: u32, minor: u32) -> bool {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) < (Some(major), Some(minor))
}

/// Whether the kernel tells of requests of io_uring when they are completed, with the request, and that has its result: from Linux
/// 5.19 on, where io_uring is built in.
pub(crate) fn tells_io_uring(types: &KernelTypes) -> bool {
    !is_older_than(5, 19) && types.tells_io_uring()
}

/// Whether programs may read through pointers that are cast (`bpf_rdonly_cast`, Linux 6.2).
pub(crate) fn has_casts() -> bool {
    !is_older_than(6, 2)
}

/// Whether kernel functions can be probed by traps.
pub(crate) fn has_kprobes() -> bool {
    [
        "/sys/bus/event_source/devices/kprobe/type",
        "/sys/kernel/tracing/kprobe_events",
        "/sys/kernel/debug/tracing/kprobe_events",
    ]
    .iter()
    .any(|path| Path::new(path).exists())
}
