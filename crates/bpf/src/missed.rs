//! How often the kernel skipped a program: because it was already running on that CPU, or for want of room to remember a return.
#![allow(unsafe_code, reason = "libbpf-rs reads this only by walking every program of the system")]

use std::mem::size_of;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use libbpf_rs::libbpf_sys::{
    BPF_LINK_TYPE_PERF_EVENT, BPF_PERF_EVENT_KRETPROBE, bpf_link_get_info_by_fd, bpf_link_info,
    bpf_prog_get_info_by_fd, bpf_prog_info,
};

/// `recursion_misses` of one program, `struct bpf_prog_info` in include/uapi/linux/bpf.h; `None` when the kernel does not
/// show.
pub(crate) fn missed_runs(program: BorrowedFd<'_>) -> Option<u64> {
    let mut info = bpf_prog_info::default();
    let mut len = u32::try_from(size_of::<bpf_prog_info>()).ok()?;
    // SAFETY: the kernel writes at most `len` bytes into `info`, whose array pointers and counts are zero.
    let result = unsafe { bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut len) };
    (result == 0).then_some(info.recursion_misses)
}

/// `perf_event.kprobe.missed` of a link, `struct bpf_link_info` in include/uapi/linux/bpf.h: returns that were not probed
/// because too many calls of the function were under way. `None` when the link is not of a kretprobe; 0 before Linux 6.7, which
/// does not show.
pub(crate) fn missed_returns(link: BorrowedFd<'_>) -> Option<u64> {
    let mut info = bpf_link_info::default();
    let mut len = u32::try_from(size_of::<bpf_link_info>()).ok()?;
    // SAFETY: the kernel writes at most `len` bytes into `info`, in which every pointer and length is zero.
    let result = unsafe { bpf_link_get_info_by_fd(link.as_raw_fd(), &raw mut info, &raw mut len) };
    if result != 0 || info.type_ != BPF_LINK_TYPE_PERF_EVENT {
        return None;
    }
    // SAFETY: which member of the union there is was told by the type of the link; all of them are plain numbers, and zero where
    // the kernel did not write.
    let event = unsafe { info.__bindgen_anon_1.perf_event };
    if event.type_ != BPF_PERF_EVENT_KRETPROBE {
        return None;
    }
    // SAFETY: as above, by the type of the event.
    Some(unsafe { event.__bindgen_anon_1.kprobe.missed })
}
