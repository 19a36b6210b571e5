//! Probes that count calls in the kernel: how often each was hit, and detaching one for a while.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::rc::Rc;

use libbpf_rs::{Link, MapCore as _, MapFlags};

use crate::library::{AttachError, ProbeSite, attach_error, attach_sites};
use crate::load::{LoadError, Programs};

/// A probe that counts, and how often it was hit when that was asked last.
pub(crate) struct CountingProbe {
    pub(crate) slot: u16,
    pub(crate) site: ProbeSite,
    /// Of its link, besides what its site and its library say.
    pub(crate) cookie: u64,
    /// The only process that has it; -1: all.
    pub(crate) pid: i32,
    /// Its library, as long as the probe may be attached again.
    pub(crate) file: Option<Rc<OwnedFd>>,
    pub(crate) link: Option<Link>,
    pub(crate) hits: u64,
    /// Its library is gone: the place may be another's.
    pub(crate) free: bool,
}

/// How often a probe was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hits {
    /// The probe.
    pub number: u32,
    /// Its library.
    pub slot: u16,
    /// Its row of functions.
    pub function: u16,
    /// How often.
    pub new: u64,
}

impl Programs {
    /// How often each probe that counts was hit since this was asked last, by number; those that are detached are left out.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn hits(&mut self) -> Result<Vec<Hits>, LoadError> {
        let mut all = Vec::new();
        for (i, probe) in (0u32..).zip(&mut self.counters) {
            if probe.link.is_none() {
                continue;
            }
            let per_cpu = self.skel.maps.hits.lookup_percpu(&i.to_ne_bytes(), MapFlags::ANY);
            let per_cpu = per_cpu.map_err(|e| LoadError::new("read the hits of probes", e))?.unwrap_or_default();
            let now = per_cpu.iter().filter_map(|cpu| Some(u64::from_ne_bytes(*cpu.first_chunk()?))).sum();
            let new = u64::saturating_sub(now, probe.hits);
            probe.hits = now;
            all.push(Hits { number: i, slot: probe.slot, function: probe.site.function, new });
        }
        Ok(all)
    }

    /// Detaches a probe that counts, by its number. What it counted stays. The kernel's grace period is waited for elsewhere.
    pub fn detach_counted(&mut self, number: u32) {
        let probe = usize::try_from(number).ok().and_then(|number| self.counters.get_mut(number));
        if let Some(link) = probe.and_then(|probe| probe.link.take())
            && let Ok(held) = link.as_fd().try_clone_to_owned()
        {
            drop(link);
            crate::release::later(vec![held]);
        }
    }

    /// Attaches such a probe again, which then counts on.
    ///
    /// # Errors
    /// When its library is gone, or the kernel refuses.
    pub fn attach_counted_again(&mut self, number: u32) -> Result<(), AttachError> {
        let gone = || AttachError { errno: 0, message: "its library is gone".to_owned() };
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let probe = self.counters.get_mut(index).filter(|probe| !probe.free).ok_or_else(gone)?;
        let path = format!("/proc/self/fd/{}", probe.file.as_ref().ok_or_else(gone)?.as_raw_fd());
        let program = &self.skel.progs.library_count;
        let links = attach_sites(program, &path, &[probe.site], probe.slot, probe.cookie, false, probe.pid);
        probe.link = links.map_err(attach_error)?.pop();
        Ok(())
    }
}
