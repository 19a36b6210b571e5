//! Letting go of links to libraries. The kernel waits for a grace period at each, so they are waited for side by side.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;

use libbpf_rs::Link;

use crate::programs::Programs;

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

/// Closes all, in threads of their own if there can be any.
pub(crate) fn later(held: Vec<OwnedFd>) -> Releasing {
    let over = Arc::new(AtomicBool::new(held.is_empty()));
    if !held.is_empty() {
        // Dropped last, whether the closure is run or not.
        let last = SetLast(Arc::clone(&over));
        let _ = Builder::new().name("ct-release".to_owned()).spawn(move || {
            all(held);
            drop(last);
        });
    }
    Releasing(over)
}

struct SetLast(Arc<AtomicBool>);

impl Drop for SetLast {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Probes that are being let go of. Until that is over, their library's number must not be another's.
#[derive(Debug)]
pub struct Releasing(Arc<AtomicBool>);

impl Releasing {
    /// Whether none of them can run any more.
    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Programs {
    /// Lets go of everything that is attached to the libraries with these numbers. What they counted stays until it is forgotten.
    pub fn release_libraries(&mut self, slots: &[u16]) -> Releasing {
        let mut held = Vec::new();
        // What cannot be held on to goes here and now, which takes longer.
        let mut let_go = |link: Link| held.extend(link.as_fd().try_clone_to_owned().ok());
        for gone in self.library_links.extract_if(.., |held| slots.contains(&held.slot)) {
            let_go(gone.link);
        }
        for probe in self.counters.iter_mut().filter(|probe| slots.contains(&probe.slot) && !probe.free) {
            probe.free = true;
            probe.file = None;
            probe.link.take().into_iter().for_each(&mut let_go);
        }
        later(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_all_are_closed() {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
        let releasing = later(vec![writer]);
        // Its end is that of all who could write.
        assert_eq!(rustix::io::read(&reader, &mut [0; 1]), Ok(0));
        while !releasing.is_over() {
            std::thread::yield_now();
        }
        assert!(later(Vec::new()).is_over());
    }
}
