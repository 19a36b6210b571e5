//! What was withheld from the ring, by process and kind of record: the sums that the BPF programs keep (`budget.h`).

use std::collections::HashMap;
use std::mem::offset_of;
use std::os::fd::AsFd as _;

use libbpf_rs::{MapCore as _, MapFlags};

use crate::batch::for_each_entry;
use crate::error::LoadError;
use crate::programs::Programs;
use crate::skel::types::{ct_suppressed_key, ct_suppressed_sum};

/// Readings without growth after which a sum is removed.
const IDLE_READINGS: u32 = 30;

/// Records of one kind of one process that were not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suppressed {
    /// Process id; 0: of several processes of the user.
    pub tgid: u32,
    /// Its start, `CLOCK_BOOTTIME` ns.
    pub start_ns: u64,
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Name of the thread-group leader, NUL padded; empty when it is not known.
    pub comm: [u8; 16],
    /// Kind of the records.
    pub kind: u16,
    /// Why, see `SuppressionReason` of the format crate.
    pub reason: u16,
    /// How many.
    pub count: u64,
    /// How many bytes they would have had.
    pub bytes: u64,
    /// The first, `CLOCK_BOOTTIME` ns.
    pub from_ns: u64,
    /// The last, `CLOCK_BOOTTIME` ns.
    pub to_ns: u64,
}

/// What was told of the sums so far.
#[derive(Debug, Default)]
pub struct SuppressedTally {
    told: HashMap<Vec<u8>, Told>,
}

#[derive(Debug, Default)]
struct Told {
    count: u64,
    bytes: u64,
    last_ns: u64,
    idle: u32,
}

impl SuppressedTally {
    /// What was added since the last time, in no order.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn take(&mut self, programs: &Programs) -> Result<Vec<Suppressed>, LoadError> {
        let map = &programs.skel.maps.suppressed;
        let (mut new, mut idle) = (Vec::new(), Vec::new());
        let sizes = [size_of::<ct_suppressed_key>(), size_of::<ct_suppressed_sum>()];
        let read = for_each_entry(map.as_fd(), sizes, |key, value| {
            let Some(sum) = decode(key, value) else { return };
            let told = self.told.entry(key.to_vec()).or_default();
            // The kernel is about to fill in a row that it has made.
            if sum.count <= told.count || sum.from_ns == 0 {
                told.idle += 1;
                if told.idle > IDLE_READINGS {
                    idle.push(key.to_vec());
                }
                return;
            }
            let from_ns = if told.count == 0 { sum.from_ns } else { told.last_ns };
            let (count, bytes) = (sum.count - told.count, sum.bytes.saturating_sub(told.bytes));
            *told = Told { count: sum.count, bytes: sum.bytes, last_ns: sum.to_ns, idle: 0 };
            new.push(Suppressed { count, bytes, from_ns, ..sum });
        });
        read.map_err(|error| LoadError::new("read what was withheld", error.into()))?;
        for key in idle {
            self.told.remove(&key);
            // It may be gone.
            let _ = map.delete(&key);
        }
        Ok(new)
    }
}

impl Programs {
    /// Shifts the rates of processes and users down by so many bits, from now on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_pressure(&self, bits: u32) -> Result<(), LoadError> {
        let set = self.skel.maps.pressure.update(&0u32.to_ne_bytes(), &bits.to_ne_bytes(), MapFlags::ANY);
        set.map_err(|error| LoadError::new("lower the rates", error))
    }
}

fn decode(key: &[u8], value: &[u8]) -> Option<Suppressed> {
    fn word<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
        bytes.get(at..)?.first_chunk().copied()
    }
    Some(Suppressed {
        tgid: u32::from_ne_bytes(word(key, offset_of!(ct_suppressed_key, tgid))?),
        start_ns: u64::from_ne_bytes(word(key, offset_of!(ct_suppressed_key, start_ns))?),
        uid: u32::from_ne_bytes(word(key, offset_of!(ct_suppressed_key, uid))?),
        kind: u16::from_ne_bytes(word(key, offset_of!(ct_suppressed_key, kind))?),
        reason: u16::from_ne_bytes(word(key, offset_of!(ct_suppressed_key, reason))?),
        gid: u32::from_ne_bytes(word(value, offset_of!(ct_suppressed_sum, gid))?),
        comm: word(value, offset_of!(ct_suppressed_sum, comm))?,
        count: u64::from_ne_bytes(word(value, offset_of!(ct_suppressed_sum, count))?),
        bytes: u64::from_ne_bytes(word(value, offset_of!(ct_suppressed_sum, bytes))?),
        from_ns: u64::from_ne_bytes(word(value, offset_of!(ct_suppressed_sum, first_ns))?),
        to_ns: u64::from_ne_bytes(word(value, offset_of!(ct_suppressed_sum, last_ns))?),
    })
}
