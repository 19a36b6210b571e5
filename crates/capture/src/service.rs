//! What a service manager is told: that recording has begun, how it goes, that it goes on at all, and that it ends. Nothing
//! where there is none ($NOTIFY_SOCKET, sd_notify(3)).

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// How often the state is told.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// Tells the service manager.
#[derive(Debug)]
pub(crate) struct Notifier {
    /// How often it wants to hear that we go on: half of what it waits.
    watchdog: Option<Duration>,
    next_watchdog: Instant,
    next_status: Instant,
}

impl Notifier {
    /// None without a service manager.
    pub(crate) fn new() -> Option<Self> {
        std::env::var_os("NOTIFY_SOCKET")?;
        let now = Instant::now();
        Some(Self {
            watchdog: sd_notify::watchdog_enabled().map(|limit| limit / 2),
            next_watchdog: now,
            next_status: now + STATUS_INTERVAL,
        })
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

    /// Recording goes on. Called by the thread that drains the rings, so that one that hangs is noticed.
    pub(crate) fn goes_on(&mut self, now: Instant, status: impl FnOnce() -> String) {
        if let Some(interval) = self.watchdog
            && now >= self.next_watchdog
        {
            self.next_watchdog = now + interval;
            tell(&[NotifyState::Watchdog]);
        }
        if now >= self.next_status {
            self.next_status = now + STATUS_INTERVAL;
            tell(&[NotifyState::Status(&status())]);
        }
    }

    /// Recording ends: what is left is written.
    pub(crate) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }
}

/// A service manager that cannot be told is its own affair.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
