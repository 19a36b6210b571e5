//! Letting go of links to libraries. The kernel waits for a grace period at each, so they are waited for side by side.

use std::os::fd::OwnedFd;
use std::thread::Builder;

/// Threads for that at once; few, because a service may not have many.
const THREADS: usize = 8;

/// Closes all, and returns when that is done. Where no thread can be started, this one closes what was meant for it: a closure
/// that is not run is dropped, and what it holds with it.
pub(crate) fn all(mut held: Vec<OwnedFd>) {
    let share = held.len().div_ceil(THREADS).max(1);
    std::thread::scope(|scope| {
        while !held.is_empty() {
            let some = held.split_off(held.len().saturating_sub(share));
            let _ = Builder::new().spawn_scoped(scope, move || drop(some));
        }
    });
}

/// Closes one, in a thread of its own if there can be one.
pub(crate) fn later(held: OwnedFd) {
    let _ = Builder::new().spawn(move || drop(held));
}
