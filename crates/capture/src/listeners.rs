//! Listening sockets of selected processes that were there before the recording: the BPF programs are told whose they are,
//! so that the hellos of connections to come are recorded from their first byte.
//!
//! A socket of another process is reached by a duplicate of its descriptor (pidfd_getfd(2)), which is closed at once; only
//! those that /proc says are listening are touched.

use std::collections::HashSet;
use std::os::fd::AsFd as _;

use crypto_trace_bpf::{ListenerOwner, Programs};
use procfs::net::TcpState;
use procfs::process::{FDTarget, Process};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// Tells the programs of the listening sockets of this process. What cannot be looked at is passed over: its connections
/// are then recorded from their first answer on.
pub fn own(programs: &Programs, owner: &ListenerOwner) -> Option<()> {
    let process = Process::new(i32::try_from(owner.tgid).ok()?).ok()?;
    let tcp = process.tcp().unwrap_or_default().into_iter().chain(process.tcp6().unwrap_or_default());
    let listening: HashSet<u64> =
        tcp.filter(|entry| entry.state == TcpState::Listen).map(|entry| entry.inode).collect();
    if listening.is_empty() {
        return None;
    }
    let pidfd = pidfd_open(Pid::from_raw(process.pid)?, PidfdFlags::empty()).ok()?;
    for fd in process.fd().ok()?.flatten() {
        if let FDTarget::Socket(inode) = fd.target
            && listening.contains(&inode)
            && let Ok(socket) = pidfd_getfd(&pidfd, fd.fd, PidfdGetfdFlags::empty())
        {
            // Refused only when memory is short; then it is as if it could not be looked at.
            let _ = programs.own_listener(socket.as_fd(), owner);
        }
    }
    Some(())
}
