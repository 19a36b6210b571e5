//! The loaded programs: what they hold, their rings, and their end.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use libbpf_rs::{Link, MapCore as _};
use rustix::thread::{MembarrierCommand, membarrier};

use crate::attach::{CountingProbe, LibraryLink};
use crate::error::LoadError;
use crate::release;
use crate::report::ProbeReport;
use crate::ring::Ring;
use crate::skel::CryptoTraceSkel;

/// Longer than any run of our programs.
const DETACH_GRACE: std::time::Duration = std::time::Duration::from_millis(20);

/// Sizes of the two rings in bytes: powers of two and multiples of the page size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSizes {
    /// exec, fork, exit.
    pub lifecycle_bytes: u32,
    /// Everything else.
    pub events_bytes: u32,
}

impl RingSizes {
    /// Both rings together.
    pub fn total(self) -> u64 {
        u64::from(self.lifecycle_bytes) + u64::from(self.events_bytes)
    }
}

/// The loaded programs. Dropping it detaches them.
pub struct Programs {
    pub(crate) links: Vec<Link>,
    /// Of the program on packets.
    pub(crate) packet_links: Vec<OwnedFd>,
    /// What became of the probes that were attached when the programs were loaded.
    pub(crate) reports: Vec<ProbeReport>,
    pub(crate) library_links: Vec<LibraryLink>,
    pub(crate) counters: Vec<CountingProbe>,
    pub(crate) skel: CryptoTraceSkel<'static>,
    /// Whether the programs for TLS are loaded.
    pub(crate) tls: bool,
    /// Whether the program is loaded that notes who makes a socket for datagrams.
    pub(crate) owns_datagrams: bool,
}

impl Programs {
    /// Detaches every program. When this returns none is running any more: what they produced is in the rings.
    pub fn detach(&mut self) {
        let counting = self.counters.iter().filter_map(|probe| probe.link.as_ref());
        let held: Vec<OwnedFd> = self
            .library_links
            .iter()
            .map(|held| &held.link)
            .chain(counting)
            .filter_map(|link| link.as_fd().try_clone_to_owned().ok())
            .collect();
        self.library_links.clear();
        self.counters.iter_mut().for_each(|probe| probe.link = None);
        self.links.clear();
        self.packet_links.clear();
        release::all(held);
        // One that had begun may still run on another CPU: this waits for all that had (synchronize_rcu).
        if membarrier(MembarrierCommand::Global).is_err() {
            // Not there, or refused with nohz_full; a run takes microseconds.
            std::thread::sleep(DETACH_GRACE);
        }
    }

    /// Descriptors of the two rings. Readable whenever there is data, so wait for them edge-triggered: then only the
    /// programs' own wakeups, sent when a ring is a quarter full, end the wait.
    pub fn ring_fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.skel.maps.lifecycle_ring.as_fd(), self.skel.maps.events_ring.as_fd()]
    }

    /// The readers of the two rings, of which there must be no others at the same time.
    ///
    /// # Errors
    /// When a ring cannot be mapped.
    pub fn rings(&self) -> Result<Rings, LoadError> {
        let open = |map: &libbpf_rs::MapMut<'_>| {
            Ring::open(map.as_fd(), map.max_entries()).map_err(|e| LoadError::new("map a ring buffer", e.into()))
        };
        Ok(Rings { lifecycle: open(&self.skel.maps.lifecycle_ring)?, events: open(&self.skel.maps.events_ring)? })
    }
}

/// Readers of the two rings.
pub struct Rings {
    lifecycle: Ring,
    events: Ring,
}

impl Rings {
    /// Calls `each` with the bytes of at most `max` lifecycle records; returns how many there were.
    pub fn drain_lifecycle(&mut self, max: usize, each: impl FnMut(&[u8])) -> usize {
        self.lifecycle.drain(max, each)
    }

    /// Calls `each` with the bytes of at most `max` events; returns how many there were.
    pub fn drain_events(&mut self, max: usize, each: impl FnMut(&[u8])) -> usize {
        self.events.drain(max, each)
    }
}
