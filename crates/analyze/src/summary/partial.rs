//! What one block adds to the summary: counted by cheap keys, in parallel with other blocks.

use super::histogram::Histogram;
use crate::clock::WallNs;
use crate::faults::Problem;
use crate::filter::{ResolvedFilter, Selection};
use crate::pipeline::{BlockSource, Match, Tally};
use crate::timeline::ImageId;
use crypto_trace_format::record::{FileOpen, Kind, LibLoad};
use foldhash::fast::RandomState;
use std::collections::HashMap;

/// What processes of one image did in a block.
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
    /// Some thread name, used when nothing else is known.
    pub comm: [u8; 16],
    /// A process id of it.
    pub tgid: u32,
}

/// What happened to one file in a block.
#[derive(Debug, Clone, Default)]
pub struct FileUse {
    /// Opens, successful or not.
    pub opens: u64,
    /// Failed opens by errno.
    pub failures: Vec<(u32, u64)>,
    /// Images that opened it.
    pub images: Vec<ImageId>,
    /// The path as passed, where that may tell the type better.
    pub given: Vec<u8>,
}

/// Loads of one library in a block.
#[derive(Debug, Clone, Default)]
pub struct LibraryUse {
    /// Loads.
    pub loads: u64,
    /// Images that loaded it, with a process id for those the timeline does not know.
    pub images: Vec<(ImageId, u32)>,
}

/// Counts of one block. Keys are in the order they were first seen.
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
    pub images: Vec<((ImageId, u32), ImageUse)>,
    /// By path.
    pub files: Vec<(Vec<u8>, FileUse)>,
    /// By path.
    pub libraries: Vec<(Vec<u8>, LibraryUse)>,
    /// What was wrong.
    pub problems: Vec<Problem>,
}

/// A map that remembers in which order its keys came.
struct Ordered<K, V> {
    index: HashMap<K, usize, RandomState>,
    rows: Vec<(K, V)>,
}

impl<K: std::hash::Hash + Eq + Copy, V: Default> Ordered<K, V> {
    fn new() -> Self {
        Self { index: HashMap::default(), rows: Vec::new() }
    }

    #[inline]
    fn slot(&mut self, key: K) -> usize {
        let rows = &mut self.rows;
        *self.index.entry(key).or_insert_with(|| {
            rows.push((key, V::default()));
            rows.len() - 1
        })
    }

    #[inline]
    fn at(&mut self, slot: usize) -> Option<&mut V> {
        self.rows.get_mut(slot).map(|(_, value)| value)
    }
}

struct Counter<'a> {
    kinds: [u64; 64],
    images: Ordered<(ImageId, u32), ImageUse>,
    last_image: Option<((ImageId, u32), usize)>,
    files: Ordered<(&'a [u8], &'a [u8]), FileUse>,
    libraries: Ordered<&'a [u8], LibraryUse>,
    /// The current run of events in one millisecond.
    millisecond: (i64, u64),
    histogram: Histogram,
    range: Option<(WallNs, WallNs)>,
}

/// Counts one block.
pub fn count(
    source: BlockSource<'_>,
    (segment, capture): (u32, u32),
    filter: &ResolvedFilter<'_>,
    selection: &Selection<'_>,
) -> Partial {
    let mut counter = Counter {
        kinds: [0; 64],
        images: Ordered::new(),
        last_image: None,
        files: Ordered::new(),
        libraries: Ordered::new(),
        millisecond: (0, 0),
        histogram: Histogram::default(),
        range: None,
    };
    let mut problems = Vec::new();
    let mut bodies = Vec::new();
    let mut tally = source.for_each_match(filter, selection, &mut problems, |found| {
        if let Err(error) = counter.add(found) {
            bodies.push(Problem::Body { record: found.number, error });
        }
    });
    problems.append(&mut bodies);
    counter.flush_millisecond();
    tally.output = counter.kinds.iter().sum();
    let join = |dir: &[u8], path: &[u8]| {
        let mut joined = dir.to_vec();
        if !dir.is_empty() {
            joined.push(b'/');
        }
        joined.extend_from_slice(path);
        joined
    };
    let kinds = counter.kinds.iter().zip(0u16..).filter(|(count, _)| **count > 0);
    Partial {
        tally,
        capture,
        segment,
        kinds: kinds.map(|(count, kind)| (Kind(kind), *count)).collect(),
        histogram: counter.histogram,
        range: counter.range,
        images: counter.images.rows,
        files: counter.files.rows.into_iter().map(|((dir, path), row)| (join(dir, path), row)).collect(),
        libraries: counter.libraries.rows.into_iter().map(|(path, row)| (path.to_vec(), row)).collect(),
        problems,
    }
}

impl<'a> Counter<'a> {
    #[inline]
    fn add(&mut self, found: &Match<'a>) -> Result<(), crypto_trace_format::record::RecordError> {
        let record = &found.record;
        let kind = record.kind();
        let (open, load) = match kind {
            FileOpen::KIND => (Some(FileOpen::decode(record)?), None),
            LibLoad::KIND => (None, Some(LibLoad::decode(record)?)),
            _ => (None, None),
        };
        if let Some(count) = self.kinds.get_mut(usize::from(kind.0)) {
            *count += 1;
        }
        self.count_time(found.time);
        if record.header.tgid == 0 {
            return Ok(());
        }
        let slot = self.image_slot(found);
        let Some(image) = self.images.at(slot) else { return Ok(()) };
        image.events += 1;
        if let Some(open) = open {
            image.opens += 1;
            image.failed += u64::from(open.fixed.result < 0);
            let relative = open.path.first() != Some(&b'/');
            let slot = self.files.slot((if relative { open.dir } else { b"" }, open.path));
            let Some(file) = self.files.at(slot) else { return Ok(()) };
            file.add(&open, found.image);
        } else if let Some(load) = load {
            image.loads += 1;
            let slot = self.libraries.slot(load.path);
            let Some(library) = self.libraries.at(slot) else { return Ok(()) };
            library.loads += 1;
            let key = (found.image, if found.image == ImageId::UNKNOWN { record.header.tgid } else { 0 });
            if !library.images.contains(&key) {
                library.images.push(key);
            }
        }
        Ok(())
    }

    #[inline]
    fn image_slot(&mut self, found: &Match<'a>) -> usize {
        let header = &found.record.header;
        let key = (found.image, if found.image == ImageId::UNKNOWN { header.tgid } else { 0 });
        if let Some((last, slot)) = self.last_image
            && last == key
        {
            return slot;
        }
        let slot = self.images.slot(key);
        self.last_image = Some((key, slot));
        if let Some(image) = self.images.at(slot).filter(|image| image.events == 0) {
            image.comm = header.comm;
            image.tgid = header.tgid;
        }
        slot
    }

    #[inline]
    fn count_time(&mut self, time: WallNs) {
        let (from, to) = self.range.unwrap_or((time, time));
        self.range = Some((from.min(time), to.max(time)));
        let millisecond = time.0.div_euclid(1_000_000);
        if millisecond != self.millisecond.0 {
            self.flush_millisecond();
            self.millisecond.0 = millisecond;
        }
        self.millisecond.1 += 1;
    }

    fn flush_millisecond(&mut self) {
        let (millisecond, count) = std::mem::take(&mut self.millisecond);
        if count > 0 {
            self.histogram.add(WallNs(millisecond.saturating_mul(1_000_000)), count);
        }
    }
}

impl FileUse {
    #[inline]
    fn add(&mut self, open: &FileOpen<'_>, image: ImageId) {
        if self.opens == 0 {
            self.given.extend_from_slice(open.given);
        }
        self.opens += 1;
        if open.fixed.result < 0 {
            count_errno(&mut self.failures, open.fixed.result.unsigned_abs(), 1);
        }
        // Enough to say what a process used; a file opened by thousands of images in one block is no detail.
        if self.images.last() != Some(&image) && self.images.len() < 64 && !self.images.contains(&image) {
            self.images.push(image);
        }
    }
}

/// Adds to a short list of counts by errno.
pub fn count_errno(failures: &mut Vec<(u32, u64)>, errno: u32, count: u64) {
    let room = failures.len() < 64;
    match failures.iter_mut().find(|(known, _)| *known == errno) {
        Some((_, known)) => *known += count,
        // A hostile capture could make the list long.
        None if room => failures.push((errno, count)),
        None => {}
    }
}
