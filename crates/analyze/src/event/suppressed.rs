//! `suppressed`: records of one process that were withheld.

use super::members::members;
use super::values::kind_name;
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crypto_trace_format::record::{self, Header, SuppressionReason};

members! {
    /// Members of what was withheld.
    pub struct Suppressed from "record" {
        /// real user id of the process, or of the processes
        user: u32,
        /// time of the first of them
        from: WallNs,
        /// time of the last of them
        to: WallNs,
        /// how many there were
        count: u64,
        /// how many bytes they would have had
        #[unit = "bytes"]
        bytes: u64,
        /// their kind: the event type, `tls_hello` for handshakes; `null` when not known
        suppressed_kind: Option<&'static str>,
        /// `process_share`, `user_share`: the ring buffer was filling, and much of it belonged to the process, or to the
        /// user; `process_rate`, `user_rate`: the process, or the user, produced more than allowed over a longer time
        reason: SuppressionReason,
    }
}

impl Suppressed {
    /// As recorded.
    pub fn new(capture: &Capture, header: &Header, suppressed: &record::Suppressed<'_>) -> Self {
        let fixed = &suppressed.fixed;
        Self {
            user: header.uid,
            from: capture.clock.wall(fixed.from_ns),
            to: capture.clock.wall(fixed.to_ns),
            count: fixed.count,
            bytes: fixed.bytes,
            suppressed_kind: kind_name(fixed.suppressed_kind),
            reason: SuppressionReason(fixed.reason),
        }
    }
}
