//! Segments as files: created, sealed, rotated, retained; a full disk is survived.
//!
//! A file being written ends in `.open`. Sealing writes the footer, syncs, renames (never over another file) and syncs the
//! directory. An old file is never appended to.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, open, renameat_with};

use super::block::BlockBuilder;
use super::footer::Totals;
use super::meta::{ClockAnchor, SegmentMeta};
use super::writer::SegmentWriter;

/// Ending of a sealed segment's name.
pub const SEALED_SUFFIX: &str = ".ctseg";
/// What a segment that is being written has behind its name.
pub const OPEN_SUFFIX: &str = ".open";

/// When to rotate, what to keep.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Rotate at this size of the file, bytes.
    pub segment_bytes: u64,
    /// Rotate at this age.
    pub segment_age: Option<Duration>,
    /// Keep at most this many bytes of segments.
    pub retain_bytes: Option<u64>,
    /// Keep at most this many segments.
    pub retain_segments: Option<u64>,
    /// Delete segments older than this.
    pub retain_age: Option<Duration>,
    /// zstd level.
    pub compression_level: i32,
}

/// The segment that is being written.
struct Current {
    writer: SegmentWriter<File>,
    /// Its final path; the file itself has [`OPEN_SUFFIX`] behind it.
    path: PathBuf,
    opened: Instant,
    /// A failed write could not be undone: nothing more can be written here.
    poisoned: bool,
}

/// A directory, or one file, of segments being written.
pub struct SegmentStore {
    directory: Option<PathBuf>,
    file: Option<PathBuf>,
    meta: SegmentMeta,
    options: StoreOptions,
    current: Option<Current>,
    sealed: Totals,
    segments: u64,
    deleted: u64,
}

impl SegmentStore {
    /// Segments in `directory`, which is created if missing (mode 0750).
    ///
    /// # Errors
    /// When the directory or the first segment cannot be created.
    pub fn in_directory(directory: &Path, meta: SegmentMeta, options: StoreOptions) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o750).create(directory)?;
        let mut store = Self::new(Some(directory.to_path_buf()), None, meta, options);
        store.open_next()?;
        store.retain();
        Ok(store)
    }

    /// One segment in `file`, which must not exist; it is never rotated.
    ///
    /// # Errors
    /// When it exists or cannot be created.
    pub fn single_file(file: &Path, meta: SegmentMeta, options: StoreOptions) -> io::Result<Self> {
        if file.symlink_metadata().is_ok() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists already, and is not overwritten"));
        }
        let mut store = Self::new(None, Some(file.to_path_buf()), meta, options);
        store.open_next()?;
        Ok(store)
    }

    fn new(directory: Option<PathBuf>, file: Option<PathBuf>, meta: SegmentMeta, options: StoreOptions) -> Self {
        Self { directory, file, meta, options, current: None, sealed: Totals::default(), segments: 0, deleted: 0 }
    }

    fn open_next(&mut self) -> io::Result<()> {
        let path = match (&self.directory, &self.file) {
            (Some(directory), _) => directory.join(segment_name(&self.meta)),
            (None, Some(file)) => file.clone(),
            (None, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        let open_path = with_open_suffix(&path);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(open(&open_path, flags, Mode::from_raw_mode(0o640))?);
        let writer = match SegmentWriter::create(file, &self.meta, self.options.compression_level) {
            Ok(writer) => writer,
            Err(error) => {
                // Nothing is in it: it must not be in the way of the next try.
                let _ = std::fs::remove_file(&open_path);
                return Err(error);
            }
        };
        self.current = Some(Current { writer, path, opened: Instant::now(), poisoned: false });
        self.segments += 1;
        Ok(())
    }

    /// Whether the next block should go into a new segment: by size, by age, or because there is none to write to.
    pub fn should_rotate(&self) -> bool {
        let Some(current) = &self.current else { return true };
        if current.poisoned {
            return true;
        }
        let by_size = current.writer.totals().file_bytes >= self.options.segment_bytes;
        let by_age = self.options.segment_age.is_some_and(|age| current.opened.elapsed() >= age);
        self.directory.is_some() && current.writer.totals().blocks > 0 && (by_size || by_age)
    }

    /// Seals the current segment, applies retention, opens the next one with `clock` as its anchor.
    ///
    /// # Errors
    /// When something could not be written; calling it again goes on where it stopped.
    pub fn rotate(&mut self, clock: ClockAnchor) -> io::Result<()> {
        if self.directory.is_none() && self.current.as_ref().is_some_and(|current| !current.poisoned) {
            return Ok(());
        }
        self.seal_current()?;
        self.retain();
        let next = SegmentMeta { sequence: self.segments, clock, ..self.meta.clone() };
        let before = std::mem::replace(&mut self.meta, next);
        self.open_next().inspect_err(|_| self.meta = before)
    }

    /// Writes a block.
    ///
    /// # Errors
    /// When the disk refuses. The file is cut back to its last whole block then, so that the same block can be tried again.
    pub fn write_block(&mut self, block: &BlockBuilder, lost: u64, dropped: u64, flush_end: bool) -> io::Result<()> {
        let current = self.current.as_mut().filter(|current| !current.poisoned).ok_or(io::ErrorKind::NotConnected)?;
        current.writer.write_block(block, lost, dropped, flush_end).inspect_err(|_| current.cut_back())
    }

    /// Forces what was written to the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&mut self) -> io::Result<()> {
        self.current.as_mut().map_or(Ok(()), |current| current.writer.get_mut().sync_data())
    }

    /// Bytes written over all segments of this capture.
    pub fn written_bytes(&self) -> u64 {
        self.sealed.file_bytes + self.current.as_ref().map_or(0, |current| current.writer.totals().file_bytes)
    }

    /// Segments deleted by retention.
    pub fn deleted(&self) -> u64 {
        self.deleted
    }

    /// Seals the last segment. Returns the sums over all segments of this capture, and how many they were.
    ///
    /// # Errors
    /// When the footer cannot be written or the file not renamed; the file stays readable under its `.open` name.
    pub fn seal(mut self) -> io::Result<(Totals, u64)> {
        self.seal_current()?;
        self.retain();
        Ok((self.sealed, self.segments))
    }

    fn seal_current(&mut self) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if !current.poisoned {
            current.writer.write_footer().inspect_err(|_| current.cut_back())?;
            // From here on the file is whole; should a step fail, trying again must not write a second footer.
            current.poisoned = true;
        }
        let Some(current) = self.current.take() else { return Ok(()) };
        let totals = current.writer.totals().clone();
        self.sealed.add(&totals);
        current.finish()
    }

    /// Deletes the oldest sealed segments beyond what is to be kept. The one being written counts, but stays.
    fn retain(&mut self) {
        let Some(directory) = &self.directory else { return };
        let StoreOptions { retain_bytes, retain_segments, retain_age, .. } = self.options;
        if retain_bytes.is_none() && retain_segments.is_none() && retain_age.is_none() {
            return;
        }
        let mut sealed = sealed_segments(directory);
        let current = u64::from(self.current.is_some());
        let mut bytes: u64 = sealed.iter().map(|segment| segment.bytes).sum();
        bytes += self.current.as_ref().map_or(0, |current| current.writer.totals().file_bytes);
        // Without a segment being written one is about to be, unless this is the end; either way the newest stays.
        while sealed.len() as u64 + current > 1 {
            let Some(oldest) = sealed.first() else { break };
            let too_many = retain_segments.is_some_and(|most| sealed.len() as u64 + current > most);
            let too_large = retain_bytes.is_some_and(|most| bytes > most);
            let too_old = retain_age.is_some_and(|most| oldest.age > most);
            if !(too_many || too_large || too_old) {
                break;
            }
            if std::fs::remove_file(&oldest.path).is_ok() {
                self.deleted += 1;
            }
            bytes = bytes.saturating_sub(oldest.bytes);
            sealed.remove(0);
        }
    }
}

impl Current {
    /// Undoes a write that failed half-way.
    fn cut_back(&mut self) {
        let good = self.writer.totals().file_bytes;
        let file = self.writer.get_mut();
        if file.set_len(good).and_then(|()| file.seek(SeekFrom::Start(good))).is_err() {
            self.poisoned = true;
        }
    }

    /// Syncs and renames the file to its sealed name.
    fn finish(mut self) -> io::Result<()> {
        self.writer.get_mut().sync_data()?;
        let open_path = with_open_suffix(&self.path);
        match renameat_with(CWD, &open_path, CWD, &self.path, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            // A file system without RENAME_NOREPLACE: link(2) does not replace either.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                std::fs::hard_link(&open_path, &self.path)?;
                std::fs::remove_file(&open_path)?;
            }
            Err(error) => return Err(error.into()),
        }
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()
    }
}

fn with_open_suffix(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(OPEN_SUFFIX);
    name.into()
}

/// `HOST-20261123T101500Z-1a2b3c4d-000000.ctseg`: sorts by time within a host.
fn segment_name(meta: &SegmentMeta) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '.' { c } else { '_' };
    let host: String = meta.host.chars().take(64).map(safe).collect();
    let host = if host.is_empty() || host.starts_with('.') { format!("host{host}") } else { host };
    let time = jiff::Timestamp::from_nanosecond(i128::from(meta.clock.realtime_ns)).unwrap_or_default();
    let id: String = meta.capture_id.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{host}-{}-{id}-{:06}{SEALED_SUFFIX}", time.strftime("%Y%m%dT%H%M%SZ"), meta.sequence)
}

/// A sealed segment found in a directory.
struct Found {
    /// Time, capture and sequence number in its name: what it is sorted by.
    key: (String, String, u64),
    path: PathBuf,
    bytes: u64,
    age: Duration,
}

/// Sealed segments with names of our making, oldest first; also those of earlier captures.
fn sealed_segments(directory: &Path) -> Vec<Found> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let key = parse_name(entry.file_name().to_str()?)?;
            let metadata = entry.path().symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
            let age = SystemTime::now().duration_since(metadata.modified().ok()?).unwrap_or_default();
            Some(Found { key, path: entry.path(), bytes: metadata.len(), age })
        })
        .collect();
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found
}

fn parse_name(name: &str) -> Option<(String, String, u64)> {
    let mut parts = name.strip_suffix(SEALED_SUFFIX)?.rsplitn(4, '-');
    let sequence = parts.next().filter(|part| part.len() >= 6)?.parse().ok()?;
    let id = parts.next().filter(|part| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    let time = parts.next().filter(|part| part.len() == 16 && part.ends_with('Z'))?;
    parts.next()?;
    Some((time.to_owned(), id.to_owned(), sequence))
}
