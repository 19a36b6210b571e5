//! The relation of `CLOCK_BOOTTIME`, which records carry, to `CLOCK_REALTIME`, which people read.

use crypto_trace_format::record::{Clock, ClockFixed, ClockReason, Header};
use crypto_trace_format::segment::ClockAnchor;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// A pair of clocks that has moved by more than this gets a new anchor, ns.
const TOLERANCE_NS: i64 = 1_000_000;

/// A move larger than this is a step rather than slew, ns.
const STEP_NS: i64 = 10_000_000;

fn ns(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// `CLOCK_BOOTTIME` now, ns.
pub fn boottime_ns() -> u64 {
    ns(clock_gettime(ClockId::Boottime)).unsigned_abs()
}

/// Both clocks, read as close together as can be: the best of a few tries. Also the uncertainty in ns.
pub fn read_anchor() -> (ClockAnchor, u32) {
    let mut best = (ClockAnchor { boottime_ns: 0, realtime_ns: 0 }, u32::MAX);
    for _ in 0..3 {
        let before = boottime_ns();
        let realtime_ns = ns(clock_gettime(ClockId::Realtime));
        let after = boottime_ns();
        let gap = u32::try_from(after.saturating_sub(before)).unwrap_or(u32::MAX);
        if gap < best.1 {
            best = (ClockAnchor { boottime_ns: before + u64::from(gap / 2), realtime_ns }, gap);
        }
    }
    best
}

fn offset_ns(anchor: ClockAnchor) -> i64 {
    anchor.realtime_ns.saturating_sub(i64::try_from(anchor.boottime_ns).unwrap_or(i64::MAX))
}

/// Remembers the last anchor written, and notices when it no longer holds.
#[derive(Debug)]
pub struct ClockWatch {
    last: ClockAnchor,
}

impl ClockWatch {
    /// Starts from an anchor that was written.
    pub fn new(anchor: ClockAnchor) -> Self {
        Self { last: anchor }
    }

    /// Whether `now` must be recorded, and why.
    pub fn check(&mut self, now: ClockAnchor) -> Option<ClockReason> {
        let moved = offset_ns(now).saturating_sub(offset_ns(self.last)).saturating_abs();
        if moved <= TOLERANCE_NS {
            return None;
        }
        self.last = now;
        Some(if moved > STEP_NS { ClockReason::STEP } else { ClockReason::SLEW })
    }
}

/// Appends a `clock` record.
pub fn encode(anchor: ClockAnchor, error_ns: u32, reason: ClockReason, out: &mut Vec<u8>) {
    let fixed =
        ClockFixed { boottime_ns: anchor.boottime_ns, realtime_ns: anchor.realtime_ns, reason: reason.0, error_ns };
    let header = Header { time_ns: anchor.boottime_ns, ..Header::default() };
    Clock { fixed, ..Clock::default() }.encode(header, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_anchor_is_due_only_when_the_clocks_moved_apart() {
        let at = |boottime_ns: u64, realtime_ns: i64| ClockAnchor { boottime_ns, realtime_ns };
        let mut watch = ClockWatch::new(at(1_000_000_000, 0));
        assert_eq!(watch.check(at(2_000_000_000, 1_000_000_000)), None);
        assert_eq!(watch.check(at(3_000_000_000, 2_000_500_000)), None);
        assert_eq!(watch.check(at(4_000_000_000, 3_002_000_000)), Some(ClockReason::SLEW));
        assert_eq!(watch.check(at(5_000_000_000, 4_002_000_000)), None);
        assert_eq!(watch.check(at(6_000_000_000, -3_600_000_000_000)), Some(ClockReason::STEP));
        assert_eq!(watch.check(at(7_000_000_000, -3_599_000_000_000)), None);
    }

    #[test]
    fn the_clocks_are_read_close_together() {
        let (anchor, error_ns) = read_anchor();
        assert!(anchor.boottime_ns > 0 && anchor.realtime_ns > 0 && error_ns < 1_000_000_000);
    }
}
