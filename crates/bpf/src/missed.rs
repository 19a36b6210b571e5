//! How often the kernel skipped a program because it was already running on that CPU.
#![allow(unsafe_code, reason = "libbpf-rs reads this only by walking every program of the system")]

use std::mem::size_of;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use libbpf_rs::libbpf_sys::{bpf_prog_get_info_by_fd, bpf_prog_info};

/// `recursion_misses` of one program, `struct bpf_prog_info` in include/uapi/linux/bpf.h; `None` when the kernel does not tell.
pub(crate) fn missed_runs(program: BorrowedFd<'_>) -> Option<u64> {
    let mut info = bpf_prog_info::default();
    let mut len = u32::try_from(size_of::<bpf_prog_info>()).ok()?;
    // SAFETY: the kernel writes at most `len` bytes into `info`, whose array pointers and counts are zero.
    let result = unsafe { bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut len) };
    (result == 0).then_some(info.recursion_misses)
}
