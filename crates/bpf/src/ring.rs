//! Reading a BPF ring buffer.
//!
//! Like libbpf's reader, but its data is mapped once and not twice in a row: both mappings count as this program's memory. The
//! record that goes over the end of the ring, one in each round, is put together in a buffer instead.
//!
//! ```text
//! page 0               page 1               page 2
//! ┌────────────────────┬────────────────────┬───────────────────────────────┐
//! │ consumer position  │ producer position  │ data, a power of two of bytes │
//! └────────────────────┴────────────────────┴───────────────────────────────┘
//!   written by us        written by the kernel
//! ```
//!
//! Source: kernel/bpf/ringbuf.c and include/uapi/linux/bpf.h (`BPF_RINGBUF_*`).
#![allow(unsafe_code, reason = "the memory is shared with the kernel")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use memmap2::{MmapOptions, MmapRaw};

/// Bytes before each record: its length with two flags, and what only the kernel needs.
const HEADER: u64 = 8;
/// It is being written.
const BUSY: u32 = 1 << 31;
/// It was given up by its writer.
const DISCARDED: u32 = 1 << 30;

/// The only reader of a ring.
pub(crate) struct Ring {
    consumer: MmapRaw,
    /// Producer position and data.
    produced: MmapRaw,
    /// Where the data begins in `produced`.
    page: usize,
    /// Bytes of data less one.
    mask: u64,
    /// A record that goes over the end.
    wrapped: Vec<u8>,
}

impl Ring {
    /// Maps the ring behind `map`, which has `size` bytes of data.
    ///
    /// # Errors
    /// Those of mmap(2).
    pub fn open(map: BorrowedFd<'_>, size: u32) -> io::Result<Self> {
        if !size.is_power_of_two() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let page = rustix::param::page_size();
        let (fd, data) = (map.as_raw_fd(), size as usize);
        let consumer = MmapOptions::new().len(page).map_raw(fd)?;
        let produced = MmapOptions::new().offset(page as u64).len(page + data).map_raw_read_only(fd)?;
        Ok(Self { consumer, produced, page, mask: u64::from(size) - 1, wrapped: Vec::new() })
    }

    /// Hands over at most `max` records; returns how many there were.
    pub fn drain(&mut self, max: usize, mut each: impl FnMut(&[u8])) -> usize {
        // SAFETY: the mapping begins with the position, aligned to a page, and lives as long as `self`; whoever else has it
        // uses it as an atomic too.
        let position = unsafe { AtomicU64::from_ptr(self.consumer.as_mut_ptr().cast()) };
        // Nobody else writes it.
        let mut consumed = position.load(Ordering::Relaxed);
        let mut taken = 0;
        loop {
            let produced = self.producer_position();
            if consumed >= produced {
                return taken;
            }
            while consumed < produced {
                if taken == max {
                    return taken;
                }
                let word = self.word(consumed);
                if word & BUSY != 0 {
                    return taken;
                }
                let len = word & !(BUSY | DISCARDED);
                if u64::from(len) + HEADER > self.mask + 1 {
                    // No kernel makes one.
                    return taken;
                }
                if word & DISCARDED == 0 {
                    each(self.record(consumed, len as usize));
                    taken += 1;
                }
                consumed += (u64::from(len) + HEADER).next_multiple_of(HEADER);
                // What it held may be written again from here on.
                position.store(consumed, Ordering::Release);
            }
        }
    }

    /// Where in `produced` the byte at a position is.
    fn at(&self, position: u64) -> usize {
        // Less than the size, which is a u32.
        self.page + usize::try_from(position & self.mask).unwrap_or(0)
    }

    fn producer_position(&self) -> u64 {
        // SAFETY: the mapping begins with the position, aligned to a page; the kernel writes it atomically.
        let position = unsafe { AtomicU64::from_ptr(self.produced.as_mut_ptr().cast()) };
        // Not by a load that acquires: only a relaxed one is sure to be just a load, as memory that is mapped for reading needs.
        let produced = position.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        produced
    }

    /// The first word of the record at a position, which is a multiple of 8 below the producer's.
    fn word(&self, position: u64) -> u32 {
        // SAFETY: `at` is within the mapping, which is a page and a power of two of at least 4096 bytes, and a multiple of 8, so
        // four aligned bytes are there; the kernel writes them atomically.
        let word = unsafe { AtomicU32::from_ptr(self.produced.as_mut_ptr().add(self.at(position)).cast()) };
        let word = word.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        word
    }

    /// The bytes of the record at a position, which has been written whole and is shorter than the ring.
    fn record(&mut self, position: u64, len: usize) -> &[u8] {
        let start = self.at(position + HEADER);
        let first = len.min(self.produced.len() - start);
        // SAFETY: within the mapping; the kernel does not write to a record before the consumer's position is past it.
        let bytes = unsafe { std::slice::from_raw_parts(self.produced.as_ptr().add(start), first) };
        if first == len {
            return bytes;
        }
        self.wrapped.clear();
        self.wrapped.extend_from_slice(bytes);
        // SAFETY: as above, from where the data begins; `len` is less than all of it.
        let rest = unsafe { std::slice::from_raw_parts(self.produced.as_ptr().add(self.page), len - first) };
        self.wrapped.extend_from_slice(rest);
        &self.wrapped
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    const SIZE: u32 = 4096;

    /// A file that looks like a ring: these records from `position` on, each with its flags.
    fn ring(position: u64, records: &[(u32, &[u8])]) -> (Ring, File, u64) {
        let page = rustix::param::page_size() as u64;
        let fd = rustix::fs::memfd_create("ring", rustix::fs::MemfdFlags::CLOEXEC).expect("a memfd");
        let file = File::from(fd);
        file.set_len(2 * page + u64::from(SIZE)).expect("its size");
        let mut at = position;
        let put = |bytes: &[u8], at: u64| {
            for (at, byte) in (at..).zip(bytes) {
                file.write_at(&[*byte], 2 * page + at % u64::from(SIZE)).expect("written");
            }
        };
        for (flags, bytes) in records {
            let len = u32::try_from(bytes.len()).expect("short");
            put(&(len | flags).to_ne_bytes(), at);
            put(bytes, at + HEADER);
            at += (u64::from(len) + HEADER).next_multiple_of(HEADER);
        }
        file.write_at(&position.to_ne_bytes(), 0).expect("written");
        file.write_at(&at.to_ne_bytes(), page).expect("written");
        (Ring::open(file.as_fd(), SIZE).expect("mapped"), file, at)
    }

    fn drain(ring: &mut Ring, max: usize) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        assert_eq!(ring.drain(max, |bytes| all.push(bytes.to_vec())), all.len());
        all
    }

    fn consumed(file: &File) -> u64 {
        let mut bytes = [0; 8];
        file.read_at(&mut bytes, 0).expect("read");
        u64::from_ne_bytes(bytes)
    }

    #[test]
    fn records_are_whole_wherever_the_ring_ends() {
        let long: Vec<u8> = (0..100).collect();
        for before_end in (8..=128).step_by(8) {
            let position = 3 * u64::from(SIZE) - before_end;
            let (mut ring, file, end) = ring(position, &[(0, &long), (DISCARDED, b"no"), (0, b"next")]);
            assert_eq!(drain(&mut ring, 10), [long.clone(), b"next".to_vec()], "{before_end}");
            assert_eq!(consumed(&file), end);
            assert_eq!(drain(&mut ring, 10).len(), 0);
        }
    }

    #[test]
    fn no_more_than_asked_for_and_nothing_unfinished() {
        let (mut ring, file, _) = ring(0, &[(0, b"one"), (0, b"two"), (BUSY, b"later"), (0, b"last")]);
        assert_eq!(drain(&mut ring, 1), [b"one".to_vec()]);
        assert_eq!(consumed(&file), 16);
        assert_eq!(drain(&mut ring, 10), [b"two".to_vec()]);
        assert_eq!(consumed(&file), 32);
        assert_eq!(drain(&mut ring, 10).len(), 0);
    }

    #[test]
    fn a_length_that_cannot_be_ends_the_reading() {
        let (mut ring, file, _) = ring(0, &[(SIZE, b"one")]);
        assert_eq!(drain(&mut ring, 10).len(), 0);
        assert_eq!(consumed(&file), 0);
    }
}
