//! What is reported to a service manager: that recording has begun, how it goes, that it goes on at all, and that it ends.
//! Nothing where there is none ($NOTIFY_SOCKET, sd_notify(3)).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use sd_notify::NotifyState;

use crate::say;

/// How often the state is told.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// How long a thread may be at one thing without a word, where no service manager says.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether a thread gets on with what it does. Clones are of the same thread.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// It has begun something, or gets on with it.
    pub fn beat(&self) {
        self.0.store(now_ms(), Ordering::Relaxed);
    }

    /// It waits for something to do.
    pub fn rest(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Since when it was at something without getting on with it.
    pub fn silent_for(&self) -> Duration {
        match self.0.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            then => Duration::from_millis(now_ms().saturating_sub(then)),
        }
    }
}

/// Never 0; time in which the host sleeps does not count.
fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let [seconds, ns] = [now.tv_sec, now.tv_nsec].map(|value| u64::try_from(value).unwrap_or(0));
    (seconds * 1000 + ns / 1_000_000).max(1)
}

/// A thread that is watched.
#[derive(Debug)]
struct Watched {
    name: &'static str,
    heartbeat: Heartbeat,
    /// That it does not get on was said.
    said: bool,
}

/// Tells the service manager, and people, of a thread that makes no progress.
#[derive(Debug)]
pub(crate) struct Notifier {
    /// How often it wants to hear that we go on: half of what it waits.
    watchdog: Option<Duration>,
    next_watchdog: Instant,
    next_status: Instant,
    threads: Vec<Watched>,
}

impl Notifier {
    /// Watches these threads; that which calls [`Self::goes_on`] is watched by the service manager.
    pub(crate) fn new(threads: impl IntoIterator<Item = (&'static str, Heartbeat)>) -> Self {
        let now = Instant::now();
        let watched = |(name, heartbeat)| Watched { name, heartbeat, said: false };
        Self {
            watchdog: sd_notify::watchdog_enabled().map(|limit| limit / 2),
            next_watchdog: now,
            next_status: now + STATUS_INTERVAL,
            threads: threads.into_iter().map(watched).collect(),
        }
    }

    /// Recording has begun.
    pub(crate) fn ready(&self) {
        tell(&[NotifyState::Ready, NotifyState::Status("recording")]);
    }

    /// When to be called again.
    pub(crate) fn next(&self) -> Instant {
        match self.watchdog {
            Some(_) => self.next_watchdog.min(self.next_status),
            None => self.next_status,
        }
    }

    /// Recording goes on. Called by the thread that drains the rings, so that one that hangs is noticed; that another one hangs is
    /// said, and then the manager does not hear that we go on.
    pub(crate) fn goes_on(&mut self, now: Instant, status: impl FnOnce() -> String) {
        if let Some(interval) = self.watchdog
            && now >= self.next_watchdog
        {
            self.next_watchdog = now + interval;
            if self.all_get_on() {
                tell(&[NotifyState::Watchdog]);
            }
        }
        if now >= self.next_status {
            self.next_status = now + STATUS_INTERVAL;
            if self.all_get_on() {
                tell(&[NotifyState::Status(&status())]);
            }
        }
    }

    fn all_get_on(&mut self) -> bool {
        let patience = self.watchdog.unwrap_or(PATIENCE);
        let mut all = true;
        for thread in &mut self.threads {
            let silent = thread.heartbeat.silent_for();
            let is_stuck = silent > patience;
            all &= !is_stuck;
            let name = thread.name;
            match (is_stuck, std::mem::replace(&mut thread.said, is_stuck)) {
                (true, false) => {
                    let seconds = silent.as_secs_f64();
                    let message = format!(
                        "{name} has made no progress for {seconds:.1} s: a disk or another file system does not answer"
                    );
                    say::error(&message);
                    tell(&[NotifyState::Status(&message)]);
                }
                (false, true) => say::warning(&format!("{name} makes progress again")),
                _ => {}
            }
        }
        all
    }

    /// Recording ends: what is left is written.
    pub(crate) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }
}

/// A service manager that cannot be reached is its own affair, and so is one that is not there.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only the thread that drains the rings was watched: a finder or a writer that hung went on as "recording".
    #[test]
    fn a_thread_that_does_not_get_on_is_noticed_and_one_that_rests_is_not() {
        let heartbeat = Heartbeat::default();
        let mut notifier = Notifier::new([("the writer", heartbeat.clone())]);
        assert!(notifier.all_get_on(), "it has nothing to do yet");
        heartbeat.beat();
        assert!(notifier.all_get_on() && heartbeat.silent_for() < PATIENCE);
        heartbeat.0.store(now_ms().saturating_sub(16_000).max(1), Ordering::Relaxed);
        // A host that has just booted has not had 15 s yet.
        let stuck = heartbeat.silent_for() > PATIENCE;
        assert_eq!((notifier.all_get_on(), notifier.threads.first().map(|thread| thread.said)), (!stuck, Some(stuck)));
        heartbeat.rest();
        assert!(notifier.all_get_on());
        assert_eq!(heartbeat.silent_for(), Duration::ZERO);
    }
}
