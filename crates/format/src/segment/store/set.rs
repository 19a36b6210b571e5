//! Segments that are put into a directory together, all or none: what is derived from a recording is no part of it to be
//! taken for the whole.
//!
//! Each is written as `NAME.partial`, which no reader of a directory takes for a segment. Once all of them are on disk they
//! are renamed. If anything fails, what was written is removed again.

use super::super::meta::SegmentMeta;
use super::super::writer::SegmentWriter;
use super::dir::Dir;
use super::name::segment_name;
use crate::segment::Totals;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What is added to a segment's name until all of its set are whole.
const PARTIAL_SUFFIX: &str = ".partial";

/// Segments that are written into one directory, together.
pub struct SegmentSet {
    dir: Dir,
    /// The directory was made for it.
    made: bool,
    /// What is there, by the names that it is to get.
    names: Vec<OsString>,
    /// How many of them have that name already.
    renamed: usize,
    published: bool,
}

impl SegmentSet {
    /// Begins in `directory`, which is made (0750) if it is missing, and must be empty.
    ///
    /// # Errors
    /// Those of making and listing it; `AlreadyExists` when anything is in it.
    pub fn create(directory: &Path) -> io::Result<Self> {
        let made = !directory.exists();
        let dir = Dir::create(directory)?;
        if std::fs::read_dir(directory)?.next().is_some() {
            let message = "the directory is not empty; nothing in it was touched";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Ok(Self { dir, made, names: Vec::new(), renamed: 0, published: false })
    }

    /// Begins a segment, named as a recording names it.
    ///
    /// # Errors
    /// Those of the disk; `InvalidInput` when the metadata is too large.
    pub fn begin(&mut self, meta: &SegmentMeta, compression_level: i32) -> io::Result<SegmentWriter<File>> {
        let name = self.free_name(meta);
        let file = self.dir.create_new(&partial(&name))?;
        self.names.push(name);
        SegmentWriter::create(file, meta, compression_level)
    }

    /// Ends a segment: footer, fdatasync. It gets its name with all others.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn end(&self, writer: SegmentWriter<File>) -> io::Result<Totals> {
        let (file, totals) = writer.finish()?;
        file.sync_data()?;
        Ok(totals)
    }

    /// Gives all of them their names. Returns where they are.
    ///
    /// # Errors
    /// Those of the disk. Then none of them is left.
    pub fn publish(mut self) -> io::Result<Vec<PathBuf>> {
        for name in &self.names {
            self.dir.rename_new(&partial(name), name)?;
            self.renamed += 1;
        }
        self.dir.sync()?;
        self.published = true;
        Ok(self.names.iter().map(|name| self.dir.path().join(name)).collect())
    }

    /// The name of a segment; with a number at its host when it is taken, as two recordings may have begun alike.
    fn free_name(&self, meta: &SegmentMeta) -> OsString {
        let taken = |name: &OsString| self.names.contains(name);
        let numbered = |number: u32| {
            let host = if number == 1 { meta.host.clone() } else { format!("{number}_{}", meta.host) };
            OsString::from(segment_name(&SegmentMeta { host, ..meta.clone() }))
        };
        (1..u32::MAX).map(numbered).find(|name| !taken(name)).unwrap_or_default()
    }
}

impl Drop for SegmentSet {
    /// What is not whole is not left behind.
    fn drop(&mut self) {
        if self.published {
            return;
        }
        for (number, name) in self.names.iter().enumerate() {
            let _gone = if number < self.renamed { self.dir.remove(name) } else { self.dir.remove(&partial(name)) };
        }
        if self.made {
            let _gone = std::fs::remove_dir(self.dir.path());
        }
    }
}

fn partial(name: &OsStr) -> OsString {
    let mut partial = name.to_owned();
    partial.push(PARTIAL_SUFFIX);
    partial
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{BlockBuilder, BlockType, SegmentReader};

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).expect("a directory");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
        names.sort();
        names
    }

    #[test]
    fn no_segment_is_there_before_all_of_them_are() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("new/er");
        let mut set = SegmentSet::create(&path).expect("new");
        for sequence in [0, 1, 1] {
            let mut writer = set.begin(&SegmentMeta { sequence, ..SegmentMeta::default() }, 1).expect("room");
            writer.write_block(&BlockBuilder::new(BlockType::Events, 0), 0, 0, false).expect("room");
            set.end(writer).expect("room");
        }
        assert!(names(&path).iter().all(|name| name.ends_with(".ctseg.partial")), "{:?}", names(&path));
        let published = set.publish().expect("renamed");
        assert_eq!((published.len(), names(&path).len()), (3, 3), "also of two that are named alike");
        assert!(published.iter().all(|path| SegmentReader::open(path).expect("a segment").is_sealed()));
    }

    #[test]
    fn nothing_is_left_of_what_is_not_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut set = SegmentSet::create(dir.path()).expect("empty");
        let first = set.begin(&SegmentMeta::default(), 1).expect("room");
        set.end(first).expect("room");
        let _second = set.begin(&SegmentMeta { sequence: 1, ..SegmentMeta::default() }, 1).expect("room");
        assert_eq!(names(dir.path()).len(), 2);
        drop(set);
        assert_eq!(names(dir.path()), [""; 0]);
        let made = dir.path().join("made");
        drop(SegmentSet::create(&made).expect("new"));
        assert!(!made.exists());
    }

    #[test]
    fn a_directory_with_anything_in_it_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(".hidden"), b"x").expect("room");
        let error = SegmentSet::create(dir.path()).err().expect("not empty");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(names(dir.path()), [".hidden"]);
    }
}
