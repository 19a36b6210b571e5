//! Reading a hash map by batches, whole.
#![allow(unsafe_code, reason = "libbpf-rs takes a batch that is not full for the last one, which it need not be")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr::null_mut;

use libbpf_rs::libbpf_sys::bpf_map_lookup_batch;
use rustix::io::Errno;

/// Entries that are asked for at once, at first.
const ENTRIES: usize = 512;

/// Calls `each` with key and value of every entry of a hash map whose keys and values are of these sizes. What changes
/// meanwhile may be told or not.
///
/// The kernel hands out whole buckets: a batch ends before the bucket that would not fit, and only ENOENT says that nothing is
/// left (`__htab_map_lookup_and_delete_batch`, kernel/bpf/hashtab.c).
///
/// # Errors
/// When the kernel refuses; some entries may have been told.
pub(crate) fn for_each_entry(
    map: BorrowedFd<'_>,
    [key_size, value_size]: [usize; 2],
    mut each: impl FnMut(&[u8], &[u8]),
) -> io::Result<()> {
    let mut entries = ENTRIES;
    let mut keys = vec![0u8; entries * key_size];
    let mut values = vec![0u8; entries * value_size];
    let mut place: Option<u32> = None;
    loop {
        let mut count = u32::try_from(entries).unwrap_or(u32::MAX);
        let mut next = 0u32;
        let from = place.as_mut().map_or(null_mut(), |place| &raw mut *place);
        // SAFETY: keys and values have room for `count` entries of the map's sizes; a place in a hash map is a u32.
        let result = unsafe {
            bpf_map_lookup_batch(
                map.as_raw_fd(),
                from.cast(),
                (&raw mut next).cast(),
                keys.as_mut_ptr().cast(),
                values.as_mut_ptr().cast(),
                &raw mut count,
                null_mut(),
            )
        };
        // libbpf returns -errno.
        match (result < 0).then(|| Errno::from_raw_os_error(-result)) {
            None | Some(Errno::NOENT) => {}
            Some(Errno::INTR) => continue,
            Some(Errno::NOSPC) => {
                // Not even one bucket fits.
                entries *= 2;
                keys.resize(entries * key_size, 0);
                values.resize(entries * value_size, 0);
                continue;
            }
            Some(error) => return Err(error.into()),
        }
        let pairs = keys.chunks_exact(key_size).zip(values.chunks_exact(value_size));
        pairs.take(count as usize).for_each(|(key, value)| each(key, value));
        if result < 0 {
            return Ok(());
        }
        place = Some(next);
    }
}
