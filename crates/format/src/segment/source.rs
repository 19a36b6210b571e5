//! Random access to a segment's file: mapped when sealed, `pread` otherwise.

use super::map::map;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// An open file of known length.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    /// Length when opened; what is appended later is not looked at.
    len: u64,
    map: Option<memmap2::Mmap>,
}

impl Source {
    pub(crate) fn new(file: File, len: u64) -> Self {
        Self { file, len, map: None }
    }

    /// Maps the file if that is possible here; else it stays with `pread`.
    pub(crate) fn map(&mut self) {
        self.map = map(&self.file).ok().filter(|map| map.len() as u64 >= self.len);
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.map.is_some()
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// `len` bytes at `offset`, in the mapping or in `scratch`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file is not that long any more.
    pub(crate) fn slice<'a>(&'a self, offset: u64, len: usize, scratch: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        let eof = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let end = offset.checked_add(len as u64).filter(|end| *end <= self.len).ok_or_else(eof)?;
        match &self.map {
            Some(map) => {
                if self.file.metadata()?.len() < end {
                    return Err(eof());
                }
                let start = usize::try_from(offset).map_err(|_| eof())?;
                map.get(start..).and_then(|tail| tail.get(..len)).ok_or_else(eof)
            }
            None => {
                if scratch.len() < len {
                    *scratch = vec![0; len];
                }
                let buffer = scratch.get_mut(..len).unwrap_or_default();
                self.file.read_exact_at(buffer, offset)?;
                Ok(buffer)
            }
        }
    }

    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = buffer.len().min(room);
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..want).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}
