//! A file that is read by ranges, and no more of it than its share: it is another's, and may be anything.
//!
//! It is never mapped, so that one which shrinks is an error and not a signal.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::ElfError;
use crate::libraries::patience::Work;

/// Bytes that are read of one file, at most. The largest programs that were looked at need a quarter of it.
const SHARE: u64 = 256 << 20;

/// Bytes that are read at once, at most.
pub const MAX_RANGE: usize = 1 << 20;

/// The file.
pub struct Bytes {
    file: File,
    left: Cell<u64>,
    work: Work,
}

impl From<File> for Bytes {
    fn from(file: File) -> Self {
        Self::new(file, &Work::default())
    }
}

impl Bytes {
    /// Nothing is read yet.
    pub fn new(file: File, work: &Work) -> Self {
        Self { file, left: Cell::new(SHARE), work: work.clone() }
    }

    /// At most `len` bytes, and no more than [`MAX_RANGE`]: less at the end of the file.
    pub fn up_to(&self, at: u64, len: usize) -> Result<Vec<u8>, ElfError> {
        let mut bytes = vec![0; len.min(MAX_RANGE)];
        let filled = self.fill(at, &mut bytes)?;
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Reads into `buffer`; how much there was.
    pub fn fill(&self, at: u64, buffer: &mut [u8]) -> Result<usize, ElfError> {
        let wanted = buffer.len() as u64;
        let left = self.left.get().checked_sub(wanted).ok_or(ElfError::Share("it would take too much reading"))?;
        self.left.set(left);
        if !self.work.step() {
            return Err(ElfError::Share("it takes more than 2 s of a processor"));
        }
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let Some(from) = at.checked_add(filled as u64) else { break };
            match self.file.read_at(rest, from) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(filled)
    }

    /// Exactly so many bytes.
    pub fn array<const N: usize>(&self, at: u64) -> Result<[u8; N], ElfError> {
        let mut bytes = [0; N];
        if self.fill(at, &mut bytes)? == N { Ok(bytes) } else { Err(ElfError::Malformed("it ends too early")) }
    }

    /// A number.
    pub fn u32(&self, at: u64) -> Result<u32, ElfError> {
        Ok(u32::from_le_bytes(self.array(at)?))
    }

    /// The text that ends with a NUL within `max` bytes.
    pub fn text(&self, at: u64, max: usize) -> Result<Option<String>, ElfError> {
        let bytes = self.up_to(at, max)?;
        let text = memchr::memchr(0, &bytes).and_then(|end| bytes.get(..end));
        Ok(text.and_then(|text| std::str::from_utf8(text).ok()).map(str::to_owned))
    }

    /// Looks through `len` bytes in pieces of [`MAX_RANGE`], each of which begins with the last `overlap` of the one before, until
    /// `found` has something. Ends early where the file does.
    pub fn search<T>(
        &self,
        at: u64,
        len: u64,
        overlap: usize,
        mut found: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, ElfError> {
        let mut buffer = vec![0; usize::try_from(len).unwrap_or(MAX_RANGE).min(MAX_RANGE)];
        let step = buffer.len().saturating_sub(overlap).max(1) as u64;
        let mut from = 0;
        while from < len {
            let want = usize::try_from(len - from).unwrap_or(MAX_RANGE).min(buffer.len());
            let Some(piece) = buffer.get_mut(..want) else { break };
            let Some(start) = at.checked_add(from) else { break };
            let filled = self.fill(start, piece)?;
            if let Some(result) = piece.get(..filled).and_then(&mut found) {
                return Ok(Some(result));
            }
            if filled < want || len - from <= want as u64 {
                break;
            }
            from += step;
        }
        Ok(None)
    }
}
