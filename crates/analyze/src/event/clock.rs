//! `clock`: clocks read together.

use super::members::members;
use super::values::words;
use crate::capture::clock::WallNs;
use crypto_trace_format::record;

members! {
    /// Members of a clock.
    pub struct Clock from "record" {
        /// `CLOCK_BOOTTIME`
        #[unit = "ns"]
        boottime_ns: u64,
        /// `CLOCK_REALTIME`
        realtime: WallNs,
        /// `start` of a segment, `slew`, `step`
        reason: Reason,
        /// uncertainty of the pair
        #[unit = "ns"]
        error_ns: u32,
    }
}

words! {
    /// Why they were read.
    pub Reason: "start" "slew" "step" "unknown"
}

impl Clock {
    /// As recorded.
    pub fn new(clock: &record::Clock<'_>) -> Self {
        Self {
            boottime_ns: clock.fixed.boottime_ns,
            realtime: WallNs(clock.fixed.realtime_ns),
            reason: Reason::new(record::ClockReason(clock.fixed.reason).name()),
            error_ns: clock.fixed.error_ns,
        }
    }
}
