//! A window that slides forward over an input: what the scanner looks through, be it a file or a pipe.

use super::source::Source;
use std::io::{self, Read};

/// Bytes at absolute offsets of an input, forwards.
pub(crate) trait Window {
    /// `len` bytes at `at`; fewer only where the input ends.
    fn bytes(&mut self, at: u64, len: usize) -> io::Result<&[u8]>;
    /// Whether the input goes up to `end`.
    fn reaches(&mut self, end: u64) -> io::Result<bool>;
    /// What is before `at` is not asked for again (or comes back empty).
    fn release(&mut self, at: u64);
    /// Where the input ends; only meaningful once [`Self::bytes`] came back short.
    fn end(&self) -> u64;
}

/// The part of a file before `end`, by `pread`: scanned files may still change.
pub(crate) struct FileWindow<'a> {
    source: &'a Source,
    end: u64,
    cache: Vec<u8>,
    /// Place of the valid part of `cache`.
    cached: std::ops::Range<u64>,
}

/// Least bytes to read at once: a block header with a small tgid summary.
const MIN_READ: usize = 1024;

impl<'a> FileWindow<'a> {
    pub(crate) fn new(source: &'a Source, end: u64) -> Self {
        Self { source, end: end.min(source.len()), cache: Vec::new(), cached: 0..0 }
    }
}

impl Window for FileWindow<'_> {
    fn bytes(&mut self, at: u64, len: usize) -> io::Result<&[u8]> {
        let room = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        let len = len.min(room);
        if at < self.cached.start || at.saturating_add(len as u64) > self.cached.end {
            let want = len.max(MIN_READ).min(room);
            if self.cache.len() < want {
                self.cache = vec![0; want];
            }
            let read = self.source.read_at(at, self.cache.get_mut(..want).unwrap_or_default())?;
            self.cached = at..at + read as u64;
        }
        let valid = usize::try_from(self.cached.end - self.cached.start).unwrap_or(0);
        let start = usize::try_from(at.saturating_sub(self.cached.start)).unwrap_or(usize::MAX).min(valid);
        Ok(self.cache.get(start..valid.min(start.saturating_add(len))).unwrap_or_default())
    }

    fn reaches(&mut self, end: u64) -> io::Result<bool> {
        Ok(end <= self.end)
    }

    fn release(&mut self, _at: u64) {}

    fn end(&self) -> u64 {
        self.end
    }
}

/// A pipe. Memory is bounded by what is asked for at once; it grows with what arrives, not with what is announced.
pub(crate) struct StreamWindow<R> {
    input: R,
    buffer: Vec<u8>,
    /// Offset of `buffer[start]` in the input.
    base: u64,
    start: usize,
    filled: usize,
    ended: bool,
}

const FIRST_BUFFER: usize = 256 * 1024;

impl<R: Read> StreamWindow<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), base: 0, start: 0, filled: 0, ended: false }
    }

    /// Reads until `need` bytes from `base` on are there, or the input ends.
    fn fill(&mut self, need: usize) -> io::Result<()> {
        while self.filled - self.start < need && !self.ended {
            if self.start > 0 && self.filled == self.buffer.len() {
                self.buffer.copy_within(self.start..self.filled, 0);
                self.filled -= self.start;
                self.start = 0;
            }
            if self.filled == self.buffer.len() {
                let mut larger = vec![0; (self.buffer.len() * 2).max(FIRST_BUFFER)];
                larger.get_mut(..self.filled).unwrap_or_default().copy_from_slice(&self.buffer);
                self.buffer = larger;
            }
            match self.input.read(self.buffer.get_mut(self.filled..).unwrap_or_default()) {
                Ok(0) => self.ended = true,
                Ok(read) => self.filled = (self.filled + read).min(self.buffer.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Place of `at` relative to `base`.
    fn place(&self, at: u64) -> usize {
        usize::try_from(at.saturating_sub(self.base)).unwrap_or(usize::MAX)
    }
}

impl<R: Read> Window for StreamWindow<R> {
    fn bytes(&mut self, at: u64, len: usize) -> io::Result<&[u8]> {
        if at < self.base {
            return Ok(&[]);
        }
        let place = self.place(at);
        self.fill(place.saturating_add(len))?;
        let held = self.buffer.get(self.start..self.filled).unwrap_or_default();
        let tail = held.get(place..).unwrap_or_default();
        Ok(tail.get(..len).unwrap_or(tail))
    }

    fn reaches(&mut self, end: u64) -> io::Result<bool> {
        let place = self.place(end);
        self.fill(place)?;
        Ok(self.filled - self.start >= place)
    }

    fn release(&mut self, at: u64) {
        let advance = self.place(at).min(self.filled - self.start);
        self.base += advance as u64;
        self.start += advance;
        if self.start == self.filled {
            (self.start, self.filled) = (0, 0);
        }
    }

    fn end(&self) -> u64 {
        self.base + (self.filled - self.start) as u64
    }
}
