//! Calls that are counted in the kernel: by probe, and by the algorithm they are for.

use std::mem::offset_of;
use std::os::fd::AsFd as _;

use libbpf_rs::{MapCore as _, MapFlags};

use crate::batch::for_each_entry;
use crate::error::LoadError;
use crate::programs::Programs;
use crate::skel::types;

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

/// Calls that were counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// What stands for it.
    pub key: Vec<u8>,
    /// Process id.
    pub tgid: u32,
    /// Its start.
    pub start_ns: u64,
    /// Real user and group.
    pub uid: u32,
    /// Real group.
    pub gid: u32,
    /// Name of the process.
    pub comm: [u8; 16],
    /// Row of functions.
    pub function: u16,
    /// Number of the library.
    pub slot: u16,
    /// The library called itself.
    pub internal: bool,
    /// The algorithm by its name; empty when it is known by number only, or not at all.
    pub text: Vec<u8>,
    /// The algorithm by its number.
    pub number: u64,
    /// How many.
    pub count: u64,
    /// When the first one was, `CLOCK_BOOTTIME` ns.
    pub first_ns: u64,
    /// When the last one was.
    pub last_ns: u64,
}

impl Use {
    fn decode(key: Vec<u8>, value: &[u8]) -> Option<Self> {
        fn word<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
            bytes.get(at..)?.first_chunk().copied()
        }
        let k = |at| word(&key, at);
        let text = key.get(offset_of!(types::ct_use_key, text)..)?;
        let text = text.split(|byte| *byte == 0).next()?.to_vec();
        Some(Self {
            start_ns: u64::from_ne_bytes(word(&key, offset_of!(types::ct_use_key, start_ns))?),
            number: u64::from_ne_bytes(word(&key, offset_of!(types::ct_use_key, number))?),
            tgid: u32::from_ne_bytes(k(offset_of!(types::ct_use_key, tgid))?),
            function: u16::from_ne_bytes(word(&key, offset_of!(types::ct_use_key, function))?),
            slot: u16::from_ne_bytes(word(&key, offset_of!(types::ct_use_key, library))?),
            internal: k(offset_of!(types::ct_use_key, internal))? != [0; 4],
            text,
            count: u64::from_ne_bytes(word(value, offset_of!(types::ct_use, count))?),
            first_ns: u64::from_ne_bytes(word(value, offset_of!(types::ct_use, first_ns))?),
            last_ns: u64::from_ne_bytes(word(value, offset_of!(types::ct_use, last_ns))?),
            uid: u32::from_ne_bytes(word(value, offset_of!(types::ct_use, uid))?),
            gid: u32::from_ne_bytes(word(value, offset_of!(types::ct_use, gid))?),
            comm: word(value, offset_of!(types::ct_use, comm))?,
            key,
        })
    }
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

    /// All uses of algorithms as they are counted until now.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn uses(&self) -> Result<Vec<Use>, LoadError> {
        let mut all = Vec::new();
        let sizes = [size_of::<types::ct_use_key>(), size_of::<types::ct_use>()];
        let read = for_each_entry(self.skel.maps.uses.as_fd(), sizes, |key, value| {
            all.extend(Use::decode(key.to_vec(), value))
        });
        read.map_err(|error| LoadError::new("read the uses of algorithms", error.into()))?;
        Ok(all)
    }

    /// Forgets a use, by its key.
    pub fn forget_use(&self, key: &[u8]) {
        // It may be gone.
        let _ = self.skel.maps.uses.delete(key);
    }
}
