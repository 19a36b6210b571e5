//! `loss`: records that should be in the capture and are not.

use super::members::members;
use super::values::{kind_name, words};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crypto_trace_format::record::{self, LossCause};

members! {
    /// Members of a loss.
    pub struct Loss from "record" {
        /// time from which they are missing
        from: WallNs,
        /// time until which they are missing
        to: WallNs,
        /// how many
        count: u64,
        /// their kind: the event type, `tls_hello` for handshakes; `null` when not known
        lost_kind: Option<&'static str>,
        /// `ring_full`, `filter_map_full`, `missed_run`, `path_unreadable`, `suppressed` (withheld, with no room to record
        /// whose they were), `map_full` (a map in which calls are counted, or one process's or user's part of it),
        /// `write_failed`, `malformed`
        cause: LossCause,
        /// `lost`: the kernel could not deliver them; `dropped`: user space discarded them
        class: Class,
    }
}

words! {
    /// Who is to blame.
    pub Class: "lost" "dropped"
}

impl Loss {
    /// As recorded.
    pub fn new(capture: &Capture, loss: &record::Loss<'_>) -> Self {
        let fixed = &loss.fixed;
        let cause = LossCause(fixed.cause);
        Self {
            from: capture.clock.wall(fixed.from_ns),
            to: capture.clock.wall(fixed.to_ns),
            count: fixed.count,
            lost_kind: kind_name(fixed.lost_kind),
            cause,
            class: Class::new(if cause.is_drop() { "dropped" } else { "lost" }),
        }
    }
}
