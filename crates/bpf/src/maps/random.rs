//! Reading the counts of random bytes, which the BPF programs keep by process (`random.h`).

use std::mem::offset_of;
use std::os::fd::AsFd as _;

use libbpf_rs::{ErrorKind, MapCore as _, MapFlags, MapHandle};

use crate::batch::for_each_entry;
use crate::error::LoadError;
use crate::numbers::{RANDOM_DEV_RANDOM, RANDOM_DEV_URANDOM, RANDOM_GETRANDOM, RANDOM_REFUSED};
use crate::programs::Programs;
use crate::skel::types::{ct_process_key, ct_random};

/// Entries that are removed by one system call.
const BATCH: u32 = 512;

/// What one process asked for, since its first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RandomCount {
    /// Process id.
    pub tgid: u32,
    /// Start of the process, `CLOCK_BOOTTIME` ns.
    pub start_ns: u64,
    /// When the process ended, `CLOCK_BOOTTIME` ns; 0 when it goes on.
    pub ended_ns: u64,
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Name of the thread-group leader, NUL padded.
    pub comm: [u8; 16],
    /// Calls of getrandom(2) that gave bytes.
    pub getrandom: u64,
    /// How many bytes these gave.
    pub bytes: u64,
    /// Calls of getrandom(2) that failed.
    pub refused: u64,
    /// Error of the last of these, negative.
    pub error: i32,
    /// Opens of /dev/urandom.
    pub dev_urandom: u64,
    /// Opens of /dev/random.
    pub dev_random: u64,
}

/// The counts, as the BPF programs keep them. They only grow; a process that ended is there until it is removed.
pub struct RandomCounts {
    handle: MapHandle,
}

impl RandomCounts {
    fn new(handle: MapHandle) -> Self {
        Self { handle }
    }

    /// Reads them all, in no order.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn read(&self) -> std::io::Result<Vec<RandomCount>> {
        let mut counts = Vec::new();
        for_each_entry(self.handle.as_fd(), [size_of::<ct_process_key>(), size_of::<ct_random>()], |key, value| {
            counts.push(decode(key, value));
        })?;
        Ok(counts)
    }

    /// Removes the entries of these processes.
    ///
    /// # Errors
    /// When the kernel refuses; some may be removed.
    pub fn remove(&self, ended: &[RandomCount]) -> libbpf_rs::Result<()> {
        for chunk in ended.chunks(BATCH as usize) {
            let keys: Vec<u8> = chunk.iter().flat_map(encode_key).collect();
            let count = u32::try_from(chunk.len()).unwrap_or(BATCH);
            match self.handle.delete_batch(&keys, count, MapFlags::ANY, MapFlags::ANY) {
                // One that is gone already.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => result?,
            }
        }
        Ok(())
    }
}

impl Programs {
    /// A handle for reading, from any thread, how often processes asked for random bytes.
    ///
    /// # Errors
    /// When the map's descriptor cannot be duplicated.
    pub fn random_counts(&self) -> Result<RandomCounts, LoadError> {
        let map = MapHandle::try_from(&self.skel.maps.random_counts);
        map.map(RandomCounts::new).map_err(|e| LoadError::new("duplicate a map", e))
    }
}

/// Bytes of a value at an offset that the skeleton tells.
fn at<const LEN: usize>(bytes: &[u8], offset: usize) -> [u8; LEN] {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; LEN])
}

fn decode(key: &[u8], value: &[u8]) -> RandomCount {
    let word = |offset| u64::from_ne_bytes(at(value, offset));
    let half = |offset| u32::from_ne_bytes(at(value, offset));
    let count = |source: usize| word(offset_of!(ct_random, counts) + source * size_of::<u64>());
    RandomCount {
        tgid: u32::from_ne_bytes(at(key, offset_of!(ct_process_key, tgid))),
        start_ns: u64::from_ne_bytes(at(key, offset_of!(ct_process_key, start_ns))),
        ended_ns: word(offset_of!(ct_random, ended_ns)),
        uid: half(offset_of!(ct_random, uid)),
        gid: half(offset_of!(ct_random, gid)),
        comm: at(value, offset_of!(ct_random, comm)),
        getrandom: count(RANDOM_GETRANDOM),
        bytes: word(offset_of!(ct_random, bytes)),
        refused: count(RANDOM_REFUSED),
        error: i32::from_ne_bytes(at(value, offset_of!(ct_random, error))),
        dev_urandom: count(RANDOM_DEV_URANDOM),
        dev_random: count(RANDOM_DEV_RANDOM),
    }
}

fn encode_key(count: &RandomCount) -> [u8; size_of::<ct_process_key>()] {
    let mut key = [0; size_of::<ct_process_key>()];
    let mut put = |offset: usize, bytes: &[u8]| {
        if let Some(place) = key.get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(offset_of!(ct_process_key, tgid), &count.tgid.to_ne_bytes());
    put(offset_of!(ct_process_key, start_ns), &count.start_ns.to_ne_bytes());
    key
}
