//! From `CLOCK_BOOTTIME` to UTC, by the clock anchors of a capture.
//!
//! Anchors divide boot time into pieces, each with a fixed offset to the wall clock: the latest anchor at or before a time
//! counts, and the first one for what came before it. A step of the wall clock is therefore a jump between two pieces.
//! Absurd anchors give absurd times, held to the range of [`WallNs`], never a panic.

pub use crate::words::timestamp::WallNs;

use std::collections::BTreeMap;
use std::ops::Bound;

use crypto_trace_format::segment::ClockAnchor;

/// Converts times of one capture.
#[derive(Debug, Clone, Default)]
pub struct WallClock {
    /// Wall-clock time by boot time. A capture may tell them in any order.
    anchors: BTreeMap<u64, i64>,
}

impl WallClock {
    /// Adds an anchor. Of two with the same boot time the later added counts.
    pub fn add(&mut self, anchor: ClockAnchor) {
        self.anchors.insert(anchor.boottime_ns, anchor.realtime_ns);
    }

    /// Wall-clock time of a boot time. For many nearby times use a [`ClockCursor`].
    pub fn wall(&self, boottime_ns: u64) -> WallNs {
        self.piece(boottime_ns).wall(boottime_ns)
    }

    /// Earliest and latest wall-clock time that boot times from `min_ns` to `max_ns` can have.
    pub fn range(&self, min_ns: u64, max_ns: u64) -> (WallNs, WallNs) {
        let (min_ns, max_ns) = (min_ns.min(max_ns), max_ns.max(min_ns));
        let mut piece = self.piece(min_ns);
        let mut range = (piece.wall(min_ns), piece.wall(min_ns));
        loop {
            // Within a piece the wall clock only rises, so its two ends bound it.
            range.1 = range.1.max(piece.wall(max_ns.min(piece.last_ns)));
            if piece.last_ns >= max_ns {
                return range;
            }
            piece = self.piece(piece.last_ns + 1);
            range.0 = range.0.min(piece.wall(piece.first_ns));
        }
    }

    fn piece(&self, boottime_ns: u64) -> Piece {
        let Some(first) = self.anchors.first_key_value() else {
            return Piece { first_ns: 0, last_ns: u64::MAX, offset_ns: 0 };
        };
        let (anchor_ns, realtime_ns) = self.anchors.range(..=boottime_ns).next_back().unwrap_or(first);
        let next = self.anchors.range((Bound::Excluded(anchor_ns), Bound::Unbounded)).next();
        Piece {
            first_ns: if anchor_ns == first.0 { 0 } else { *anchor_ns },
            // Anchors are sorted and distinct, so the next one is not at 0.
            last_ns: next.map_or(u64::MAX, |(next_ns, _)| next_ns.saturating_sub(1)),
            offset_ns: i128::from(*realtime_ns) - i128::from(*anchor_ns),
        }
    }

    /// A cursor for times near each other.
    pub fn cursor(&self) -> ClockCursor<'_> {
        ClockCursor { clock: self, piece: self.piece(0) }
    }
}

/// Boot times `first_ns..=last_ns`, which share one offset.
#[derive(Debug, Clone, Copy)]
struct Piece {
    first_ns: u64,
    last_ns: u64,
    offset_ns: i128,
}

impl Piece {
    #[inline]
    fn wall(self, boottime_ns: u64) -> WallNs {
        if let (Ok(boottime_ns), Ok(offset_ns)) = (i64::try_from(boottime_ns), i64::try_from(self.offset_ns))
            && let Some(wall) = boottime_ns.checked_add(offset_ns)
        {
            return WallNs(wall);
        }
        let wall = i128::from(boottime_ns) + self.offset_ns;
        WallNs(i64::try_from(wall).unwrap_or(if wall < 0 { i64::MIN } else { i64::MAX }))
    }
}

/// Remembers the piece the last time fell into.
#[derive(Debug, Clone)]
pub struct ClockCursor<'a> {
    clock: &'a WallClock,
    piece: Piece,
}

impl ClockCursor<'_> {
    /// Wall-clock time of a boot time.
    #[inline]
    pub fn wall(&mut self, boottime_ns: u64) -> WallNs {
        if !(self.piece.first_ns..=self.piece.last_ns).contains(&boottime_ns) {
            self.piece = self.clock.piece(boottime_ns);
        }
        self.piece.wall(boottime_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(anchors: &[(u64, i64)]) -> WallClock {
        let mut clock = WallClock::default();
        for (boottime_ns, realtime_ns) in anchors {
            clock.add(ClockAnchor { boottime_ns: *boottime_ns, realtime_ns: *realtime_ns });
        }
        clock
    }

    #[test]
    fn the_latest_anchor_at_or_before_a_time_counts() {
        let clock = clock(&[(200, 5_000), (100, 1_000)]);
        let mut cursor = clock.cursor();
        for (boot, wall) in [(50, 950), (100, 1_000), (199, 1_099), (200, 5_000), (300, 5_100), (120, 1_020)] {
            assert_eq!(clock.wall(boot), WallNs(wall), "at {boot}");
            assert_eq!(cursor.wall(boot), WallNs(wall), "cursor at {boot}");
        }
    }

    #[test]
    fn a_range_over_a_step_back_covers_both_pieces() {
        let clock = clock(&[(100, 10_000), (200, 1_000)]);
        assert_eq!(clock.range(150, 250), (WallNs(1_000), WallNs(10_099)));
        assert_eq!(clock.range(200, 250), (WallNs(1_000), WallNs(1_050)));
        assert_eq!(clock.range(50, 60), (WallNs(9_950), WallNs(9_960)));
        assert_eq!(clock.range(60, 50), (WallNs(9_950), WallNs(9_960)));
    }

    #[test]
    fn absurd_anchors_saturate() {
        let clock = clock(&[(0, i64::MAX), (u64::MAX, i64::MIN)]);
        assert_eq!(clock.wall(5), WallNs(i64::MAX));
        assert_eq!(clock.wall(u64::MAX), WallNs(i64::MIN));
        assert_eq!(clock.range(0, u64::MAX), (WallNs(i64::MIN), WallNs(i64::MAX)));
        assert_eq!(WallClock::default().wall(7), WallNs(7));
    }

    /// A million in descending order took minutes.
    #[test]
    fn anchors_in_any_order_cost_the_same() {
        let mut clock = WallClock::default();
        for boottime_ns in (0..1_000_000).rev() {
            clock.add(ClockAnchor { boottime_ns, realtime_ns: 7 });
        }
        assert_eq!(clock.wall(999_999), WallNs(7));
    }
}
