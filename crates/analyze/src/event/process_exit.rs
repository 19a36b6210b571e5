//! `process_exit`: the last thread of a process is gone.

use super::members::members;
use super::values::{True, When};
use crate::words::kernel::signal_name;
use crypto_trace_format::record;
use std::borrow::Cow;

members! {
    /// Members of a process_exit.
    pub struct ProcessExit from "record" {
        /// exit code, 0 to 255; `null` when a signal ended the process
        exit_code: Option<u8>,
        /// name of that signal, `SIGKILL`; `null` when there was none
        signal: Option<Cow<'static, str>>,
        /// `true` when a core was dumped, else left out
        core_dumped: When<True>,
        /// lifetime from fork to exit in whole milliseconds
        #[unit = "ms"]
        duration_ms: u64,
        /// the same in nanoseconds
        #[unit = "ns"]
        duration_ns: u64,
    }
}

impl ProcessExit {
    /// As recorded.
    pub fn new(exit: &record::ProcessExit<'_>) -> Self {
        let fixed = &exit.fixed;
        let signal = fixed.status & 0x7f;
        let code = u8::try_from((fixed.status >> 8) & 0xff).unwrap_or_default();
        Self {
            exit_code: (signal == 0).then_some(code),
            signal: (signal != 0).then(|| signal_name(signal)),
            core_dumped: When::if_so(signal != 0 && fixed.status & 0x80 != 0, True),
            duration_ms: fixed.duration_ns / 1_000_000,
            duration_ns: fixed.duration_ns,
        }
    }
}
