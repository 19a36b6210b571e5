//! Random access to a segment's file: mapped when sealed, `pread` otherwise. Of very many files some are open at a time.

use super::map::map;
use rustix::fs::{Mode, OFlags};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files that are kept open; those beyond are opened again for each piece that is read of them.
const MAX_OPEN: usize = 512;

/// How many are.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// A file of known length.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    /// Device and inode: another file of the same name is none of this.
    id: (u64, u64),
    /// Length when opened; what is appended later is not looked at.
    len: u64,
    open: Option<Open>,
}

/// What is kept of an open file.
#[derive(Debug)]
struct Open {
    file: File,
    map: Option<memmap2::Mmap>,
    /// Whether it is counted in [`OPEN`].
    is_counted: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.is_counted {
            OPEN.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Source {
    /// An open file, and what is known of it.
    pub(crate) fn new(path: &Path, file: File, metadata: &Metadata) -> Self {
        let open = Some(Open { file, map: None, is_counted: false });
        Self { path: path.to_owned(), id: (metadata.dev(), metadata.ino()), len: metadata.len(), open }
    }

    /// Maps the file if that is possible here; else it stays with `pread`.
    pub(crate) fn map(&mut self) {
        let len = self.len;
        if let Some(open) = &mut self.open {
            open.map = map(&open.file).ok().filter(|map| map.len() as u64 >= len);
        }
    }

    /// Keeps the file open if few are; else it is opened again when it is read.
    pub(crate) fn keep(&mut self) {
        self.keep_if_fewer(MAX_OPEN);
    }

    fn keep_if_fewer(&mut self, most: usize) {
        let is_room = OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < most).then_some(open + 1));
        match (is_room, &mut self.open) {
            (Ok(_), Some(open)) => open.is_counted = true,
            _ => self.open = None,
        }
    }

    /// The file, opened again.
    fn reopened(&self) -> io::Result<File> {
        let open = |path: &Path| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            rustix::fs::open(path, flags, Mode::empty()).map(File::from).map_err(io::Error::from)
        };
        let file = match open(&self.path) {
            // It was sealed meanwhile, and with that renamed.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && self.path.extension() == Some(OsStr::new("open")) =>
            {
                open(&self.path.with_extension(""))?
            }
            file => file?,
        };
        let metadata = file.metadata()?;
        if (metadata.dev(), metadata.ino()) != self.id {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(file)
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.map.is_some())
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
        if let Some(Open { file, map: Some(map), .. }) = &self.open {
            if file.metadata()?.len() < end {
                return Err(eof());
            }
            let start = usize::try_from(offset).map_err(|_| eof())?;
            return map.get(start..).and_then(|tail| tail.get(..len)).ok_or_else(eof);
        }
        if scratch.len() < len {
            *scratch = vec![0; len];
        }
        let buffer = scratch.get_mut(..len).unwrap_or_default();
        match &self.open {
            Some(open) => open.file.read_exact_at(buffer, offset)?,
            None => self.reopened()?.read_exact_at(buffer, offset)?,
        }
        Ok(buffer)
    }

    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let reopened;
        let file = match &self.open {
            Some(open) => &open.file,
            None => {
                reopened = self.reopened()?;
                &reopened
            }
        };
        let room = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = buffer.len().min(room);
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..want).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &Path) -> Source {
        let file = File::open(path).expect("there");
        let metadata = file.metadata().expect("there");
        Source::new(path, file, &metadata)
    }

    /// Ten thousand segments are no ten thousand open files.
    #[test]
    fn a_file_that_is_not_kept_open_is_read_all_the_same() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.ctseg");
        std::fs::write(&path, b"0123456789").expect("written");
        let mut parked = source(&path);
        parked.map();
        parked.keep_if_fewer(0);
        assert!(parked.open.is_none());
        let mut scratch = Vec::new();
        assert_eq!(parked.slice(2, 3, &mut scratch).expect("read"), b"234");
        let mut buffer = [0; 20];
        assert_eq!(parked.read_at(8, &mut buffer).expect("read"), 2);
        assert!(parked.slice(8, 3, &mut scratch).is_err(), "what was appended later is not looked at");

        // Another file of that name is none of it; a file that is gone is not there.
        std::fs::rename(&path, dir.path().join("b")).expect("renamed");
        assert_eq!(parked.slice(0, 1, &mut scratch).expect_err("gone").kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, b"another of this name").expect("written");
        assert_eq!(parked.slice(0, 1, &mut scratch).expect_err("another").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_segment_that_was_sealed_meanwhile_is_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.ctseg.open");
        std::fs::write(&path, b"0123456789").expect("written");
        let mut parked = source(&path);
        parked.keep_if_fewer(0);
        std::fs::rename(&path, dir.path().join("a.ctseg")).expect("renamed");
        assert_eq!(parked.slice(0, 1, &mut Vec::new()).expect("read"), b"0");
    }
}
