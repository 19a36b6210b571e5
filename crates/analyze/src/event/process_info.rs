//! `process_info`: a process that was there already.

use super::head::own_identity;
use super::members::members;
use super::values::{Arguments, Path, Text, When, some};
use crate::capture::timeline::Identity;
use crypto_trace_format::record;

members! {
    /// Members of a process_info.
    pub struct ProcessInfo<'a> from "/proc" {
        /// the arguments, one by one
        argv: Arguments<'a>,
        /// working directory
        cwd: When<Path<'a>>,
        /// path of the cgroup v2 directory; on hosts with cgroup v1, the path that contains a container's id, or else
        /// systemd's
        cgroup: When<Text<'a>>,
        /// id of that cgroup, its inode number
        cgroup_id: When<u64>,
        /// the process's id inside its own PID namespace
        ns_pid: u32,
        /// inode number of its PID namespace; left out when unknown
        pid_ns: When<u32>,
        /// the same for its mount namespace
        mnt_ns: When<u32>,
        /// the same for its network namespace
        net_ns: When<u32>,
        /// the same for its user namespace
        user_ns: When<u32>,
    }
}

impl<'a> ProcessInfo<'a> {
    /// As recorded.
    pub fn new(info: &record::ProcessInfo<'a>) -> Self {
        let fixed = &info.fixed;
        let namespace = |number: u32| When::if_so(number != 0, number);
        Self {
            argv: Arguments(info.argv),
            cwd: When(some(info.cwd).map(Path)),
            cgroup: When(some(info.cgroup).map(Text)),
            cgroup_id: When::if_so(fixed.cgroup_id != 0, fixed.cgroup_id),
            ns_pid: fixed.ns_pid,
            pid_ns: namespace(fixed.pid_ns),
            mnt_ns: namespace(fixed.mnt_ns),
            net_ns: namespace(fixed.net_ns),
            user_ns: namespace(fixed.user_ns),
        }
    }
}

/// The identity that the record gives.
pub fn identity<'a>(known: Identity<'a>, info: &record::ProcessInfo<'a>) -> Identity<'a> {
    own_identity(known, info.exe, info.argv, info.fixed.argv_full_len, info.cgroup, info.fixed.ppid)
}
