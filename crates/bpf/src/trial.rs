//! What this kernel lets us have, found out by asking it for as little as possible.
#![allow(unsafe_code, reason = "libbpf-rs loads whole objects only")]

use std::os::fd::{FromRawFd as _, OwnedFd};
use std::path::Path;

use libbpf_rs::libbpf_sys::{
    BPF_ALU64, BPF_EXIT, BPF_JMP, BPF_K, BPF_MOV, BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, bpf_insn, bpf_prog_load, bpf_prog_load_opts,
};
use rustix::io::Errno;

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
        bpf_prog_load(BPF_PROG_TYPE_TRACING, c"ct_trial".as_ptr(), c"GPL".as_ptr(), program.as_ptr(), program.len() as _, &raw mut options)
    };
    if result >= 0 {
        // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
        drop(unsafe { OwnedFd::from_raw_fd(result) });
    }
    [Errno::PERM, Errno::ACCESS].iter().any(|errno| result == -errno.raw_os_error())
}

/// Whether kernel functions can be probed by traps.
pub(crate) fn has_kprobes() -> bool {
    ["/sys/bus/event_source/devices/kprobe/type", "/sys/kernel/tracing/kprobe_events", "/sys/kernel/debug/tracing/kprobe_events"]
        .iter()
        .any(|path| Path::new(path).exists())
}
