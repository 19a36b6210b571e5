//! `process_exec`: a process image was replaced.

use super::head::own_identity;
use super::members::members;
use super::values::{Arguments, Device, Path, Text, When, some};
use crate::capture::timeline::Identity;
use crypto_trace_format::record;

members! {
    /// Members of a process_exec.
    pub struct ProcessExec<'a> from "record" {
        /// the arguments, one by one
        argv: Arguments<'a>,
        /// working directory
        cwd: When<Path<'a>>,
        /// path of the cgroup v2 directory
        cgroup: When<Text<'a>>,
        /// id of that cgroup, its inode number
        cgroup_id: When<u64>,
        /// device of the executable, `major:minor`
        device: Device,
        /// inode number of the executable
        inode: u64,
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

impl<'a> ProcessExec<'a> {
    /// As recorded.
    pub fn new(exec: &record::ProcessExec<'a>) -> Self {
        let fixed = &exec.fixed;
        let namespace = |number: u32| When::if_so(number != 0, number);
        Self {
            argv: Arguments(exec.argv),
            cwd: When(some(exec.cwd).map(Path)),
            cgroup: When(some(exec.cgroup).map(Text)),
            cgroup_id: When::if_so(fixed.cgroup_id != 0, fixed.cgroup_id),
            device: Device(fixed.exe_dev),
            inode: fixed.exe_ino,
            ns_pid: fixed.ns_pid,
            pid_ns: namespace(fixed.pid_ns),
            mnt_ns: namespace(fixed.mnt_ns),
            net_ns: namespace(fixed.net_ns),
            user_ns: namespace(fixed.user_ns),
        }
    }
}

/// The identity that the record gives.
pub fn identity<'a>(known: Identity<'a>, exec: &record::ProcessExec<'a>) -> Identity<'a> {
    own_identity(known, exec.exe, exec.argv, exec.fixed.argv_full_len, exec.cgroup, exec.fixed.ppid)
}
