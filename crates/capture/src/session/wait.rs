//! Waiting for whatever comes first.

use std::time::Duration;

use rustix::event::epoll;

use crate::exit::Failure;

/// Waits for an event, at most `timeout`; a signal is an event.
pub(crate) fn wait(epoll: &std::os::fd::OwnedFd, timeout: Duration) -> Result<(), Failure> {
    let mut events = Vec::with_capacity(8);
    // Rounded up, so that a wait is never a spin.
    let timeout = rustix::event::Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    match epoll::wait(epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(anyhow::Error::new(error).context("cannot wait for events").into()),
    }
}
