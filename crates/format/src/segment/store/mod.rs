//! Segment files being written: created, sealed, rotated, retained, through full disks and I/O errors.
//!
//! A segment is written as `NAME.open` and renamed to `NAME` once its footer is on disk. What went wrong is told to the
//! caller, who decides when to try again; every operation can be tried again. An existing file is never written to.

mod dir;
mod name;
mod retain;
mod set;

pub use set::SegmentSet;

use super::OPEN_SUFFIX;
use super::builder::BlockBuilder;
use super::footer::Totals;
use super::meta::{ClockAnchor, SegmentMeta};
use super::writer::{Compressor, SegmentWriter};
use dir::Dir;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// When to rotate and what to keep.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Size at which a segment is sealed. Not for a single file.
    pub segment_bytes: u64,
    /// Age at which a segment is sealed. Not for a single file.
    pub segment_age: Option<Duration>,
    /// Sealed segments are deleted, oldest first, until they take no more than this.
    pub retain_bytes: Option<u64>,
    /// Sealed segments are deleted, oldest first, until there are no more than this.
    pub retain_segments: Option<u64>,
    /// Sealed segments last written longer ago than this are deleted.
    pub retain_age: Option<Duration>,
    /// Segments last written less long ago than this are not to be pushed out by `retain_bytes`; see
    /// [`SegmentStore::pressure`].
    pub retain_min_age: Option<Duration>,
    /// zstd level.
    pub compression_level: i32,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            segment_age: None,
            retain_bytes: None,
            retain_segments: None,
            retain_age: None,
            retain_min_age: None,
            compression_level: 1,
        }
    }
}

/// How much of `retain_bytes` is taken by segments that are younger than `retain_min_age`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Pressure {
    /// Less than half of it, or there is no such limit.
    #[default]
    None,
    /// Half of it.
    Half,
    /// Three quarters of it.
    High,
    /// All of it: what is written pushes out what is younger than it should be.
    Over,
}

/// A directory (or one file) of segments being written: creates, seals, rotates, retains, survives a full disk.
pub struct SegmentStore {
    dir: Dir,
    /// The name to seal under, when there is just one file.
    single: Option<OsString>,
    /// Of the current segment, or of the last one.
    meta: SegmentMeta,
    options: StoreOptions,
    current: Option<Current>,
    /// Kept while there is no current segment.
    compressor: Option<Compressor>,
    /// Number of the next segment.
    next_sequence: u64,
    /// Over segments that are not current any more.
    totals: Totals,
    segments: u64,
    deleted: Vec<PathBuf>,
    swapped: Vec<Swapped>,
    sealed: Vec<PathBuf>,
}

/// A segment in whose place somebody had put another file when it was to be sealed. That file is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swapped {
    /// Where the other file is.
    pub path: PathBuf,
    /// Where the segment was sealed, by another name that it still had; `None`: it had none, and is gone.
    pub sealed: Option<PathBuf>,
}

/// The segment being written.
struct Current {
    writer: SegmentWriter<File>,
    /// Name once sealed.
    name: OsString,
    opened: Instant,
    /// The directory was synced since it was created.
    name_is_durable: bool,
}

impl SegmentStore {
    /// Writes segments into `dir`, which is created (0750) if it is missing, named
    /// `HOST-YYYYMMDDTHHMMSSZ-CAPTUREID8-SEQUENCE.ctseg`. The first is created at once.
    ///
    /// # Errors
    /// Those of creating directory and file; `InvalidInput` when the metadata is too large.
    pub fn in_directory(dir: &Path, meta: SegmentMeta, options: StoreOptions) -> io::Result<Self> {
        Self::begin(Dir::create(dir)?, None, meta, options)
    }

    /// Writes one segment to `path` (as `path.open` until it is sealed), without rotation and retention.
    ///
    /// # Errors
    /// `AlreadyExists` when there is anything under either name; those of creating the file.
    pub fn single_file(path: &Path, meta: SegmentMeta, options: StoreOptions) -> io::Result<Self> {
        let no_name = || io::Error::new(io::ErrorKind::InvalidInput, format!("{}: not a file name", path.display()));
        let name = path.file_name().ok_or_else(no_name)?.to_owned();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = Dir::open(parent)?;
        if dir.exists(&name)? {
            return Err(already_exists(path));
        }
        Self::begin(dir, Some(name), meta, options)
    }

    fn begin(dir: Dir, single: Option<OsString>, meta: SegmentMeta, options: StoreOptions) -> io::Result<Self> {
        let compressor = Compressor::new(options.compression_level)?;
        let next_sequence = meta.sequence;
        let mut store = Self {
            dir,
            single,
            meta,
            options,
            current: None,
            compressor: Some(compressor),
            next_sequence,
            totals: Totals::default(),
            segments: 0,
            deleted: Vec::new(),
            swapped: Vec::new(),
            sealed: Vec::new(),
        };
        store.open_next()?;
        Ok(store)
    }

    /// True when size or age says the current segment should be sealed before the next block, and when there is no
    /// current segment (the disk refused it): then [`Self::rotate`] tries again.
    pub fn should_rotate(&self) -> bool {
        let Some(current) = &self.current else { return true };
        self.single.is_none()
            && (current.writer.totals().file_bytes >= self.options.segment_bytes
                || self.options.segment_age.is_some_and(|age| current.opened.elapsed() >= age))
    }

    /// Seals the current segment, applies retention, opens the next. `clock` becomes the new header's anchor.
    /// The caller then writes the opening blocks (clock, process table, probe status).
    ///
    /// A single file stays as it is.
    ///
    /// # Errors
    /// Those of the disk. Either the current segment could not be sealed, and goes on unchanged; or it is sealed and the
    /// next could not be created. Call again later in both cases. (A segment that a failed write has left unusable is not
    /// sealed but left as `NAME.open`.)
    pub fn rotate(&mut self, clock: ClockAnchor) -> io::Result<()> {
        if self.single.is_some() && self.current.is_some() {
            return Ok(());
        }
        self.meta.clock = clock;
        if let Some(current) = &mut self.current
            && current.writer.is_torn()
            && rewind(&mut current.writer).is_err()
        {
            return self.replace_current();
        }
        let sealed = match self.seal_current() {
            // The footer may only need the room that retention makes.
            Err(error) if is_disk_full(&error) && self.retain(None) > 0 => self.seal_current()?,
            sealed => sealed?,
        };
        self.retain(sealed.as_deref());
        self.open_next()
    }

    /// Writes one block. If there is no current segment (see [`Self::should_rotate`]), one is created first.
    ///
    /// # Errors
    /// Those of the disk. The file is cut back to its last whole block, so that the same block can be tried again; if even
    /// that fails, the next call tries it again and, failing that, leaves the file as it is and begins a new segment.
    pub fn write_block(&mut self, block: &BlockBuilder, lost: u64, dropped: u64, flush_end: bool) -> io::Result<()> {
        if let Some(current) = &mut self.current
            && current.writer.is_torn()
            && let Err(error) = rewind(&mut current.writer)
        {
            if self.single.is_some() {
                return Err(error);
            }
            self.replace_current()?;
        }
        if self.current.is_none() {
            self.open_next()?;
        }
        let Some(current) = &mut self.current else { return Err(io::Error::other("no segment")) };
        let written = current.writer.write_block(block, lost, dropped, flush_end);
        if written.is_err() && current.writer.is_torn() {
            // If this fails too, the next call tries it again.
            let _retried = rewind(&mut current.writer);
        }
        written
    }

    /// fdatasync of what was written so far; the first in a segment makes its name durable, too.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn sync(&mut self) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        current.writer.output().sync_data()?;
        if !current.name_is_durable {
            self.dir.sync()?;
            current.name_is_durable = true;
        }
        Ok(())
    }

    /// Seals the last segment. Returns totals over all segments of this capture, and how many segments.
    ///
    /// # Errors
    /// Those of the disk. The last segment then stays as `NAME.open`, readable without its footer.
    /// `NotFound` when somebody has put another file in its place and it has no name any more.
    pub fn seal(self) -> io::Result<(Totals, u64)> {
        self.seal_and_tell(&mut Vec::new(), &mut Vec::new())
    }

    /// The same; appends what [`Self::take_swapped`] and [`Self::take_sealed`] would tell afterwards.
    ///
    /// # Errors
    /// As those of [`Self::seal`].
    pub fn seal_and_tell(
        mut self,
        swapped: &mut Vec<Swapped>,
        sealed_as: &mut Vec<PathBuf>,
    ) -> io::Result<(Totals, u64)> {
        let sealed = match self.seal_current() {
            Err(error) if is_disk_full(&error) && self.retain(None) > 0 => self.seal_current()?,
            sealed => sealed?,
        };
        self.retain(sealed.as_deref());
        let gone = self.swapped.last().is_some_and(|last| sealed.is_none() && last.sealed.is_none());
        swapped.append(&mut self.swapped);
        sealed_as.append(&mut self.sealed);
        if gone {
            return Err(io::Error::new(io::ErrorKind::NotFound, "another file is in its place, and it has no name"));
        }
        Ok((self.totals, self.segments))
    }

    /// How near segments younger than `retain_min_age` are to being deleted for those that are written now.
    pub fn pressure(&self) -> Pressure {
        match self.single {
            Some(_) => Pressure::None,
            None => retain::pressure(&self.dir, &self.options),
        }
    }

    /// Segments in whose place another file was, since the last call.
    pub fn take_swapped(&mut self) -> Vec<Swapped> {
        std::mem::take(&mut self.swapped)
    }

    /// Where segments were sealed since the last call: they are whole and have their names.
    pub fn take_sealed(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.sealed)
    }

    /// The directory that is written to.
    pub fn directory(&self) -> std::os::fd::BorrowedFd<'_> {
        self.dir.fd()
    }

    /// Totals over all segments of this capture so far, the current one included.
    pub fn totals(&self) -> Totals {
        let mut totals = self.totals.clone();
        if let Some(current) = &self.current {
            totals.add(current.writer.totals());
        }
        totals
    }

    /// Segments of this capture so far, the current one included.
    pub fn segments(&self) -> u64 {
        self.segments
    }

    /// The file being written, `None` when the disk refused it.
    pub fn current_path(&self) -> Option<PathBuf> {
        self.current.as_ref().map(|current| self.dir.path().join(open_name(&current.name)))
    }

    /// Segments that retention has deleted since the last call.
    pub fn take_deleted(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.deleted)
    }

    /// Footer, fdatasync, rename, fsync of the directory. On an error before the rename the current segment goes on as it
    /// was. Returns the name it was sealed under; none when another file is in its place and it has no name any more.
    fn seal_current(&mut self) -> io::Result<Option<OsString>> {
        let Some(current) = &mut self.current else { return Ok(None) };
        if current.writer.is_torn() {
            rewind(&mut current.writer)?;
        }
        let writer = &mut current.writer;
        let ended = writer.write_footer().and_then(|len| {
            writer.output().sync_data()?;
            let open = open_name(&current.name);
            if self.dir.is_file(&open, writer.output())? {
                self.dir.rename_new(&open, &current.name)?;
                return Ok((len, true));
            }
            // What somebody put there is not sealed under our name. What was written is, if it is anywhere.
            let linked = self.dir.link_new(writer.output(), &current.name);
            let path = |name: &OsStr| self.dir.path().join(name);
            let sealed = linked.is_ok().then(|| path(&current.name));
            self.swapped.push(Swapped { path: path(&open), sealed });
            Ok((len, linked.is_ok()))
        });
        let (len, is_sealed) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let _retried = rewind(writer);
                return Err(error);
            }
        };
        let Some(Current { writer, name, .. }) = self.current.take() else { return Ok(None) };
        self.totals.add(&Totals { file_bytes: len, ..writer.totals().clone() });
        self.compressor = Some(writer.into_compressor());
        if is_sealed {
            self.sealed.push(self.dir.path().join(&name));
        }
        self.dir.sync()?;
        Ok(is_sealed.then_some(name))
    }

    /// Leaves the current segment as it is, if a new one can be created.
    fn replace_current(&mut self) -> io::Result<()> {
        let abandoned = self.current.take();
        let opened = self.open_next();
        match (abandoned, &opened) {
            (Some(abandoned), Ok(())) => self.totals.add(abandoned.writer.totals()),
            (abandoned, _) => self.current = abandoned,
        }
        opened
    }

    /// Creates the next segment and writes its header.
    fn open_next(&mut self) -> io::Result<()> {
        let mut meta = self.meta.clone();
        meta.sequence = self.next_sequence;
        let name = self.single.clone().unwrap_or_else(|| name::segment_name(&meta).into());
        let open = open_name(&name);
        let compressor = match self.compressor.take() {
            Some(compressor) => compressor,
            None => Compressor::new(self.options.compression_level)?,
        };
        let file = match self.dir.create_new(&open) {
            Ok(file) => file,
            Err(error) => {
                self.compressor = Some(compressor);
                let exists = error.kind() == io::ErrorKind::AlreadyExists;
                return Err(if exists { already_exists(&self.dir.path().join(open)) } else { error });
            }
        };
        match SegmentWriter::with_compressor(file, &meta, compressor) {
            Ok(writer) => {
                self.current = Some(Current { writer, name, opened: Instant::now(), name_is_durable: false });
                self.next_sequence = meta.sequence + 1;
                self.segments += 1;
                self.meta = meta;
                Ok(())
            }
            Err((error, compressor)) => {
                self.compressor = Some(compressor);
                let _gone = self.dir.remove(&open);
                Err(error)
            }
        }
    }

    /// Applies retention, sparing `keep`. Returns how many it deleted.
    fn retain(&mut self, keep: Option<&OsStr>) -> usize {
        if self.single.is_some() {
            return 0;
        }
        let deleted = retain::apply(&self.dir, &self.options, keep);
        let count = deleted.len();
        self.deleted.extend(deleted);
        count
    }
}

/// Cuts the file back to its last whole block.
fn rewind(writer: &mut SegmentWriter<File>) -> io::Result<()> {
    let good = writer.totals().file_bytes;
    let file = writer.output();
    file.set_len(good)?;
    io::Seek::seek(file, io::SeekFrom::Start(good))?;
    writer.rewound();
    Ok(())
}

fn open_name(name: &OsStr) -> OsString {
    let mut open = name.to_owned();
    open.push(OPEN_SUFFIX);
    open
}

fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn already_exists(path: &Path) -> io::Error {
    let message = format!("{} already exists; a capture never overwrites or appends", path.display());
    io::Error::new(io::ErrorKind::AlreadyExists, message)
}
