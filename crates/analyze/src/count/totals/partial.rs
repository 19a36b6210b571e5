//! What a few blocks add to the summary: counted by cheap keys, in parallel with other blocks.

use crate::budget::hashed;
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::libraries::{FileId, LoadedFiles, better, judge_path};
use crate::capture::timeline::ImageId;
use crate::count::calls::{CallKey, CallUse};
use crate::count::files::count_errno;
use crate::count::rate::Histogram;
use crate::count::rows::{Recent, Rows};
use crate::read::faults::Problem;
use crate::read::{BlockSource, Count, Match, Origin, Tally};
use crate::select::{ResolvedFilter, Selection};
use crate::words::kernel::is_interrupted;
use crypto_trace_format::catalog::{Confidence, FileType, Judged};
use crypto_trace_format::record::{ApiCall, Comm, FileOpen, Header, Kind, LibLoad, RecordError, flags};
use foldhash::fast::RandomState;
use std::collections::HashSet;

const MILLISECOND_NS: i64 = 1_000_000;

/// An image, and a process id where the image is unknown.
pub type ImageKey = (ImageId, u32);

/// Calls, and who called.
pub type ImageCall = (CallKey, ImageKey);

/// What processes of one image did.
#[derive(Debug, Clone, Default)]
pub struct ImageUse {
    /// Events of any type.
    pub events: u64,
    /// Files opened, successfully or not.
    pub opens: u64,
    /// Opens that failed.
    pub failed: u64,
    /// Libraries loaded.
    pub loads: u64,
    /// Types of files opened, a bit each, in the order of [`FileType::ALL`].
    pub types: u32,
    /// Some thread name, used when nothing else is known.
    pub comm: [u8; 16],
}

/// What happened to one file.
#[derive(Debug, Clone)]
pub struct FileUse {
    /// What it holds, by its use, the path, or else the path as passed.
    pub judged: Option<Judged>,
    /// Opens, successful or not.
    pub opens: u64,
    /// Failed opens by errno.
    pub failures: Vec<(u32, u64)>,
    /// Whether a library was asked to load a file by this path.
    may_be_told: bool,
}

impl FileUse {
    /// What it holds.
    pub fn file_type(&self) -> FileType {
        self.judged.map_or(FileType::Unknown, |judged| judged.file_type)
    }

    /// Whether that is a guess: others use such names, too.
    pub fn is_guess(&self) -> bool {
        self.judged.is_some_and(|judged| judged.confidence == Confidence::Low)
    }
}

/// Loads of one library in a block.
#[derive(Debug, Clone, Default)]
pub struct LibraryUse {
    /// Loads.
    pub loads: u64,
    /// The file that was loaded first.
    pub file: FileId,
    /// Images that loaded it, with a process id for those the timeline does not know.
    pub images: Vec<ImageKey>,
}

/// Counts of some blocks. Keys are in the order they were first seen.
#[derive(Debug, Default)]
pub struct Partial {
    /// Records.
    pub tally: Tally,
    /// Number of the capture.
    pub capture: u32,
    /// Number of the segment.
    pub segment: u32,
    /// Events by kind.
    pub kinds: Vec<(Kind, u64)>,
    /// Events over time.
    pub histogram: Histogram,
    /// Earliest and latest event.
    pub range: Option<(WallNs, WallNs)>,
    /// By image, and by process id when the image is unknown.
    pub images: Vec<(ImageKey, ImageUse)>,
    /// By path.
    pub files: Vec<(Vec<u8>, FileUse)>,
    /// By path.
    pub libraries: Vec<(Vec<u8>, LibraryUse)>,
    /// TLS connections: number, process, thread name; no process where it is not known.
    pub connections: Vec<(u32, Option<(ImageId, Comm)>)>,
    /// Calls of library functions, by who called, with some thread's name.
    pub calls: Vec<(ImageCall, (CallUse, Comm))>,
    /// What was wrong.
    pub problems: Vec<Problem>,
}

/// Counts the events of some blocks of one segment.
#[derive(Default)]
pub struct Counter {
    tally: Tally,
    kinds: Vec<u64>,
    images: Rows<ImageKey, ImageUse>,
    /// Image of the latest event, and the number of its row.
    latest: Option<(ImageKey, usize)>,
    files: Rows<Vec<u8>, FileUse>,
    recent: Recent,
    libraries: Rows<Vec<u8>, LibraryUse>,
    loaders: HashSet<(usize, ImageKey), RandomState>,
    /// The current run of events in one millisecond: when it begins, and how many.
    millisecond: (WallNs, u64),
    histogram: Histogram,
    range: Option<(WallNs, WallNs)>,
    connections: Vec<(u32, Option<(ImageId, Comm)>)>,
    calls: Rows<ImageCall, (CallUse, Comm)>,
    /// Bytes of blocks: all texts are from there.
    raw_bytes: usize,
    problems: Vec<Problem>,
}

impl Count for Counter {
    type Counted = Partial;

    fn count(&mut self, source: BlockSource<'_>, filter: &ResolvedFilter<'_>, selection: &Selection<'_>) {
        self.kinds.resize(64, 0);
        self.raw_bytes += source.raw.len();
        let mut problems = Vec::new();
        let mut bodies = Vec::new();
        let tally = source.for_each_match(filter, selection, &mut problems, |found| {
            if let Err(error) = self.add(source.capture, found) {
                bodies.push(Problem::Body { record: found.number, error });
            }
        });
        self.tally += tally;
        self.problems.append(&mut problems);
        self.problems.append(&mut bodies);
        self.flush_millisecond();
    }

    fn bytes(&self) -> usize {
        self.raw_bytes
            + self.images.len() * Rows::<ImageKey, ImageUse>::ROW_BYTES
            + self.files.len() * Rows::<Vec<u8>, FileUse>::ROW_BYTES
            + self.libraries.len() * Rows::<Vec<u8>, LibraryUse>::ROW_BYTES
            + self.loaders.len() * hashed::<(usize, ImageKey, ImageKey)>()
            + self.calls.len() * Rows::<ImageCall, (CallUse, Comm)>::ROW_BYTES
    }

    fn finish(mut self, origin: Origin) -> Partial {
        self.tally.output = self.kinds.iter().sum();
        let kinds = self.kinds.iter().zip(0u16..).filter(|(count, _)| **count > 0);
        Partial {
            tally: origin.tally(self.tally),
            capture: origin.capture,
            segment: origin.segment,
            kinds: kinds.map(|(count, kind)| (Kind(kind), *count)).collect(),
            histogram: self.histogram,
            range: self.range,
            images: self.images.into_rows(),
            files: self.files.into_rows(),
            libraries: self.libraries.into_rows(),
            connections: self.connections,
            calls: self.calls.into_rows(),
            problems: self.problems,
        }
    }
}

impl Counter {
    #[inline]
    fn add(&mut self, capture: &Capture, found: &Match<'_, '_>) -> Result<(), RecordError> {
        let record = found.record;
        let kind = record.kind();
        let (mut open, mut load, mut call) = (None, None, None);
        match kind {
            FileOpen::KIND => {
                let decoded = FileOpen::decode(record)?;
                // What was open already is no open that happened; nor is what the kernel is to do again.
                let happened =
                    record.header.flags & flags::FROM_PROC == 0 && !is_interrupted(decoded.fixed.result.into());
                open = Some(decoded).filter(|_| happened);
            }
            LibLoad::KIND => load = Some(LibLoad::decode(record)?),
            ApiCall::KIND => call = Some(ApiCall::decode(record)?),
            _ => {}
        }
        if let Some(count) = self.kinds.get_mut(usize::from(kind.0)) {
            *count += 1;
        }
        self.count_time(found.time);
        let header = &record.header;
        if let Some(connection) = found.connection {
            let process = connection.owner.is_known().then_some((found.image, header.comm));
            self.connections.push((connection.index(), process));
        }
        if header.tgid == 0 {
            return Ok(());
        }
        let key = (found.image, if found.image == ImageId::UNKNOWN { header.tgid } else { 0 });
        let new = || ImageUse { comm: header.comm, ..ImageUse::default() };
        let number = match self.latest {
            Some((latest, number)) if latest == key => number,
            _ => self.images.number_of(&key, new),
        };
        self.latest = Some((key, number));
        let Some(image) = self.images.get_mut(number) else { return Ok(()) };
        image.events += 1;
        if let Some(open) = open {
            image.opens += 1;
            image.failed += u64::from(open.fixed.result < 0);
            image.types |= count_open(&mut self.files, &mut self.recent, &capture.loaded, header, &open);
        } else if let Some(load) = load {
            image.loads += 1;
            let Some(library) = self.libraries.row(load.path, LibraryUse::default) else { return Ok(()) };
            library.loads += 1;
            if library.file == (0, 0) {
                library.file = (load.fixed.dev, load.fixed.ino);
            }
            let number = self.libraries.number(load.path).unwrap_or(0);
            if self.loaders.insert((number, key))
                && let Some(library) = self.libraries.get_mut(number)
            {
                library.images.push(key);
            }
        } else if let Some(call) = call {
            let new = || (CallUse::default(), header.comm);
            if let Some((used, _)) = self.calls.row(&(CallKey::new(&call), key), new) {
                used.add(CallUse::new(&call));
            }
        }
        Ok(())
    }

    #[inline]
    fn count_time(&mut self, time: WallNs) {
        let (from, to) = self.range.unwrap_or((time, time));
        self.range = Some((from.min(time), to.max(time)));
        // Dividing would cost more than all the rest of this.
        let since = time.0.wrapping_sub(self.millisecond.0.0);
        if self.millisecond.1 == 0 || !(0..MILLISECOND_NS).contains(&since) {
            self.flush_millisecond();
            self.millisecond.0 = WallNs(time.0.saturating_sub(time.0.rem_euclid(MILLISECOND_NS)));
        }
        self.millisecond.1 += 1;
    }

    fn flush_millisecond(&mut self) {
        let (millisecond, count) = std::mem::take(&mut self.millisecond);
        if count > 0 {
            self.histogram.add(millisecond, count);
        }
    }
}

/// Counts an open. Returns the bit of the file's type, none where that is a guess.
#[inline]
fn count_open(
    files: &mut Rows<Vec<u8>, FileUse>,
    recent: &mut Recent,
    loaded: &LoadedFiles,
    header: &Header,
    open: &FileOpen<'_>,
) -> u32 {
    let path = &*open.full_path();
    let new = || FileUse {
        judged: judge_path(path).or_else(|| judge_path(open.given)),
        opens: 0,
        failures: Vec::new(),
        may_be_told: loaded.knows(path),
    };
    let Some(file) = recent.row(files, path, new) else { return 0 };
    file.opens += 1;
    // By its path it is judged once; only what a library was asked to load can differ from open to open.
    if (file.may_be_told || !open.given.is_empty() || open.is_joined())
        && let Some(used) = loaded.of(header, open)
    {
        file.judged = better(file.judged, Some(used));
    }
    if open.fixed.result < 0 {
        count_errno(&mut file.failures, open.fixed.result.unsigned_abs(), 1);
    }
    if file.is_guess() { 0 } else { 1 << file.file_type() as u32 }
}
