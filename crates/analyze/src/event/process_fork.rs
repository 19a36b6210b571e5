//! `process_fork`: a process was created.

use super::members::members;
use crypto_trace_format::record;

members! {
    /// Members of a process_fork.
    pub struct ProcessFork from "record" {
        /// the child's id inside its own PID namespace
        ns_pid: u32,
    }
}

impl ProcessFork {
    /// As recorded.
    pub fn new(fork: &record::ProcessFork<'_>) -> Self {
        Self { ns_pid: fork.fixed.ns_pid }
    }
}
