//! The one place that maps a file into memory.
//!
//! A mapping of a file that another process truncates makes access to the lost pages a SIGBUS. Only sealed segments are
//! mapped, which their writer never touches again; `source` checks the file's length before it hands out each slice. What
//! remains is the race between that check and the last access to the slice, and an I/O error of the disk under it.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

/// Maps the whole of `file` for reading.
pub(super) fn map(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: the mapping is read-only and only ever seen as bytes that may hold anything. That the bytes may change
    // under it is the accepted risk of mapping a file: sealed segments are not written to, every slice is checked by
    // checksum and length before use, and no decision rests on reading a byte twice and finding it equal.
    unsafe { memmap2::Mmap::map(file) }
}
