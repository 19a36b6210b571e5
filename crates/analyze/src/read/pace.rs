//! Events in their own time: shown as far apart as they happened, or so many times closer.

use crate::capture::clock::WallNs;
use crate::read::follow::Stop;
use std::time::{Duration, Instant};

/// Tells when events are due.
#[derive(Debug)]
pub struct Pace {
    speed: f64,
    stop: Stop,
    /// When the first event happened, and was shown.
    began: Option<(WallNs, Instant)>,
}

impl Pace {
    /// `speed` times as fast as it happened.
    pub fn new(speed: f64, stop: Stop) -> Self {
        Self { speed, stop, began: None }
    }

    /// Waits until an event of this time is due. Whether to go on: not when asked to stop.
    pub fn wait_for(&mut self, time: WallNs) -> bool {
        let (first, shown) = *self.began.get_or_insert_with(|| (time, Instant::now()));
        #[allow(clippy::cast_precision_loss, reason = "a wait")]
        let seconds = time.0.saturating_sub(first.0).max(0) as f64 / 1e9 / self.speed;
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        self.stop.sleep(wait.saturating_sub(shown.elapsed()));
        !self.stop.is_asked()
    }

    /// The time of events that are due now.
    pub fn due(&self) -> WallNs {
        let Some((first, shown)) = self.began else { return WallNs(i64::MIN) };
        #[allow(clippy::cast_possible_truncation, reason = "saturates")]
        let ns = (shown.elapsed().as_secs_f64() * self.speed * 1e9) as i64;
        WallNs(first.0.saturating_add(ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `--replay-speed 1e-300` panicked: the wait was longer than the clock can represent.
    #[test]
    fn a_wait_without_an_end_ends_when_asked_to() {
        let stop = Stop::after(Duration::from_millis(20));
        let mut pace = Pace::new(1e-300, stop.clone());
        pace.wait_for(WallNs(0));
        assert!(!pace.wait_for(WallNs(i64::MAX)));
        assert_eq!(Pace::new(1e300, stop).due(), WallNs(i64::MIN));
    }
}
