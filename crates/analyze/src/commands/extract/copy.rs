//! Writes what is needed as segments: one for each input segment of which anything stays, block by block.

use super::need::{Kept, Need, Needs};
use super::redact::{self, Redactor};
use crate::capture::clock::WallNs;
use crate::capture::libraries::FileId;
use crate::capture::timeline::ProcessId;
use crate::cli::progress;
use crate::read::{BATCH_BLOCKS, Plan};
use anyhow::{Context, Result, bail};
use crypto_trace_format::record::{Header, Kind, LibraryInfo, Loss, LossCause, LossFixed, ProcessInfo, Record};
use crypto_trace_format::segment::{
    BlockBuffer, BlockBuilder, BlockType, ClockAnchor, SegmentMeta, SegmentSet, SegmentWriter,
};
use rayon::prelude::*;
use std::collections::HashSet;
use std::fs::File;
use std::ops::AddAssign;

/// As of a recording.
const COMPRESSION_LEVEL: i32 = 1;

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub segments: u64,
    pub records: u64,
    pub bytes: u64,
}

impl AddAssign for Written {
    fn add_assign(&mut self, other: Self) {
        self.segments += other.segments;
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

/// Which segments of the inputs are written: those that reach into the time that was asked for, and of others those with records
/// that its events need.
pub(super) fn wanted(plan: &Plan<'_>, needs: &Needs<'_>) -> Vec<bool> {
    let (since, until) = plan.filter.times();
    let placed: Vec<Place> =
        (0u32..).zip(&plan.inputs.segments).map(|(number, _)| place(plan, number, (since, until))).collect();
    let mut wanted = vec![false; placed.len()];
    let mut told = HashSet::new();
    for (number, place) in placed.iter().enumerate() {
        let is_wanted = match place {
            Place::Within => true,
            Place::Before => tells(plan, needs, number, &mut told),
            Place::After => holds_events(plan, needs, number),
        };
        if let Some(slot) = wanted.get_mut(number) {
            *slot = is_wanted;
        }
    }
    // The clock of what was recorded late into a segment is that of the one before.
    let capture = |number: usize| plan.inputs.segments.get(number).map(|segment| segment.capture);
    for number in 1..wanted.len() {
        let before = number - 1;
        let begins = wanted.get(number) == Some(&true) && placed.get(before) == Some(&Place::Before);
        if begins
            && capture(before) == capture(number)
            && let Some(slot) = wanted.get_mut(before)
        {
            *slot = true;
        }
    }
    wanted
}

/// Where a segment is, seen from the time that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Within,
    After,
}

fn place(plan: &Plan<'_>, segment: u32, (since, until): (Option<WallNs>, Option<WallNs>)) -> Place {
    let Some(of) = plan.inputs.segments.get(segment as usize) else { return Place::Within };
    let Some(capture) = plan.captures.get(of.capture as usize) else { return Place::Within };
    let headers = of.reader.blocks().iter().map(|block| &block.header).filter(|header| header.record_count > 0);
    let ranges = headers.map(|header| capture.clock.range(header.min_time_ns, header.max_time_ns));
    let Some((from, to)) = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { return Place::Within };
    // Each segment repeats what is known of libraries, with times long gone. What else is older was recorded late.
    let begun = Some(of.reader.meta().clock.boottime_ns).filter(|begun_ns| *begun_ns != 0);
    let begun = begun.map_or(from, |begun_ns| capture.clock.wall(begun_ns).max(from));
    if since.is_some_and(|since| to < since) {
        Place::Before
    } else if until.is_some_and(|until| begun >= until) {
        Place::After
    } else {
        Place::Within
    }
}

/// Whether a segment holds an event, or a part of one.
fn holds_events(plan: &Plan<'_>, needs: &Needs<'_>, number: usize) -> bool {
    let Some(segment) = plan.inputs.segments.get(number) else { return false };
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    (0..segment.reader.blocks().len()).into_par_iter().any(|block| {
        let (kept, _) = needs.keep(number, block, &mut BlockBuffer::default());
        kept.iter().any(|kept| kept.need == Need::Event)
    })
}

/// What an earlier segment told of: a process, or the file of a library.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Told {
    Process(u32, ProcessId),
    Library(u32, FileId),
}

/// Whether a segment has events, or anything of processes and libraries that no segment before it told: each begins with
/// the processes that are there, and all libraries.
fn tells(plan: &Plan<'_>, needs: &Needs<'_>, number: usize, told: &mut HashSet<Told>) -> bool {
    let Some(segment) = plan.inputs.segments.get(number) else { return false };
    let Some(capture) = plan.captures.get(segment.capture as usize) else { return false };
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let mut tells = false;
    let mut buffer = BlockBuffer::default();
    for block in 0..segment.reader.blocks().len() {
        let (kept, _) = needs.keep(number, block, &mut buffer);
        for kept in kept.iter().filter(|kept| kept.need != Need::Capture) {
            let record = buffer.raw().get(kept.offset..).map(Record::parse);
            let Some(Ok(record)) = record else { continue };
            let process = capture.timeline.process(&record.header);
            let is_new = process.is_none_or(|process| told.insert(Told::Process(segment.capture, process)));
            tells |= match record.kind() {
                ProcessInfo::KIND => {
                    let mut images = process.into_iter().flat_map(|process| capture.timeline.images(process));
                    is_new || images.any(|image| capture.timeline.image_from_ns(image) == Some(record.header.time_ns))
                }
                LibraryInfo::KIND => LibraryInfo::decode(&record)
                    .is_ok_and(|info| told.insert(Told::Library(segment.capture, (info.fixed.dev, info.fixed.ino)))),
                _ => true,
            };
        }
    }
    tells
}

/// Writes one segment. `lost`: of how many records it is known that they are lost to damage.
pub(super) fn segment(
    set: &mut SegmentSet,
    needs: &Needs<'_>,
    plan: &Plan<'_>,
    number: u32,
    meta: &SegmentMeta,
    redactor: &mut Redactor,
    lost: u64,
) -> Result<Written> {
    let Some(of) = plan.inputs.segments.get(number as usize) else { return Ok(Written::default()) };
    let mut out = Out { writer: set.begin(meta, COMPRESSION_LEVEL)?, counters: None };
    let mut buffers: Vec<BlockBuffer> = (0..BATCH_BLOCKS).map(|_| BlockBuffer::default()).collect();
    let blocks: Vec<usize> = (0..of.reader.blocks().len()).collect();
    let mut range: Option<(u64, u64)> = None;
    for batch in blocks.chunks(BATCH_BLOCKS) {
        let kept: Vec<_> =
            batch.par_iter().zip(&mut buffers).map(|(block, buffer)| needs.keep(number, *block, buffer)).collect();
        for ((block, (kept, fault)), buffer) in batch.iter().zip(kept).zip(&buffers) {
            progress::advance();
            if let Some(fault) = fault.filter(|_| !needs.damaged.contains(&(number, *block))) {
                bail!("{}: {fault}: it changed while it was read", of.reader.path().display());
            }
            let Some(header) = of.reader.blocks().get(*block).map(|entry| &entry.header) else { continue };
            if header.record_count > 0 {
                let (from, to) = range.unwrap_or((u64::MAX, 0));
                range = Some((from.min(header.min_time_ns), to.max(header.max_time_ns)));
            }
            let counters = (header.lost, header.dropped);
            out.block(header.block_type, &kept, buffer.raw(), redactor, counters, header.flush_end)?;
        }
    }
    if lost > 0 {
        out.loss(lost, range, meta.clock)?;
    }
    let totals = set.end(out.writer)?;
    Ok(Written { segments: 1, records: totals.records, bytes: totals.file_bytes })
}

fn other(block_type: BlockType) -> BlockType {
    match block_type {
        BlockType::Lifecycle => BlockType::Events,
        BlockType::Events => BlockType::Lifecycle,
    }
}

/// A segment being written.
struct Out {
    writer: SegmentWriter<File>,
    /// Counters of the last block that was written.
    counters: Option<(u64, u64)>,
}

impl Out {
    /// What stays of a block. Its counters stay in any case.
    fn block(
        &mut self,
        block_type: BlockType,
        kept: &[Kept],
        raw: &[u8],
        redactor: &mut Redactor,
        counters: (u64, u64),
        flush_end: bool,
    ) -> Result<()> {
        // A block of a recording has records of one sort; of what a file claims to be one, each goes to its own.
        let mut builders = [block_type, other(block_type)].map(|sort| BlockBuilder::new(sort, 0));
        for kept in kept {
            let record = raw.get(kept.offset..).map(Record::parse);
            let Some(Ok(record)) = record else { bail!("a record that was there is gone") };
            let changed = if kept.as_peer { redact::as_peer(&record) } else { None };
            let record = match changed.as_deref().map(Record::parse) {
                Some(Ok(changed)) => changed,
                _ => record,
            };
            let Some(bytes) = redactor.apply(&record) else { continue };
            let header = Record::parse(&bytes).context("a record that was changed")?.header;
            let is_lifecycle = Kind(header.kind).is_lifecycle();
            let mut sorts = builders.iter_mut();
            let builder = sorts.find(|builder| (builder.block_type() == BlockType::Lifecycle) == is_lifecycle);
            let Some(builder) = builder else { continue };
            if !builder.fits(bytes.len()) {
                self.write(builder, counters, false)?;
                builder.clear();
            }
            builder.push(&header, &bytes);
        }
        let [own, others] = &builders;
        if !others.is_empty() {
            self.write(others, counters, false)?;
        }
        if own.is_empty() && self.counters == Some(counters) {
            return Ok(());
        }
        self.write(own, counters, flush_end)
    }

    /// Says that records are missing, which were somewhere within `range`.
    fn loss(&mut self, count: u64, range: Option<(u64, u64)>, clock: ClockAnchor) -> Result<()> {
        let (from_ns, to_ns) = range.unwrap_or((clock.boottime_ns, clock.boottime_ns));
        let fixed = LossFixed { from_ns, to_ns, count, cause: LossCause::DAMAGED.0, ..LossFixed::default() };
        let mut bytes = Vec::new();
        Loss { fixed, ..Loss::default() }.encode(Header { time_ns: to_ns, ..Header::default() }, &mut bytes);
        let mut builder = BlockBuilder::new(BlockType::Lifecycle, bytes.len());
        builder.push(&Record::parse(&bytes)?.header, &bytes);
        let counters = self.counters.unwrap_or_default();
        self.write(&builder, counters, true)
    }

    fn write(&mut self, builder: &BlockBuilder, counters: (u64, u64), flush_end: bool) -> Result<()> {
        self.counters = Some(counters);
        Ok(self.writer.write_block(builder, counters.0, counters.1, flush_end)?)
    }
}
