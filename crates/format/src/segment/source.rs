//! Where a reader's bytes come from: a mapped sealed file, or reads of one that may still change.
#![allow(unsafe_code, reason = "the memory map")]

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// A segment's bytes.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    len: u64,
    map: Option<memmap2::Mmap>,
}

impl Source {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
        }
        Ok(Self { len: metadata.len(), file, map: None })
    }

    /// Length when it was opened. A file that grows is read up to there.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Maps the file: for sealed ones, which nobody changes.
    pub fn map(&mut self) {
        // SAFETY: Nobody writes to a sealed segment. Should one be cut short nevertheless, `get` looks at its length
        // before each access; what remains is the moment between the look and the access. Its content is untrusted
        // anyway and only ever read as bytes.
        self.map = unsafe { memmap2::Mmap::map(&self.file) }.ok().filter(|map| map.len() as u64 >= self.len);
    }

    /// The bytes at `offset`; fewer than `len` only at the end of the file.
    pub fn get(&self, offset: u64, len: usize) -> io::Result<Cow<'_, [u8]>> {
        let end = offset.saturating_add(len as u64).min(self.len);
        let len = usize::try_from(end.saturating_sub(offset)).map_err(|_| io::ErrorKind::InvalidInput)?;
        if let Some(map) = &self.map {
            if self.file.metadata()?.len() < end {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file was cut short while it was read"));
            }
            let start = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
            return Ok(Cow::Borrowed(map.get(start..start + len).unwrap_or_default()));
        }
        let mut bytes = vec![0; len];
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + done as u64) {
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the file was cut short while it was read",
                    ));
                }
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Cow::Owned(bytes))
    }
}
