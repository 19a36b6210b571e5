//! Segments from a pipe, shown as they come: one pass, a flush of the capture at a time.
//!
//! Within what was flushed together events are in order of time. A batch that would grow too large is shown early.

use super::ordered::{Decoder, EventSink, OrderedOutput};
use super::{handshakes, lifecycle};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::connections::LIVE_SEGMENT;
use crate::read::faults::{FaultLog, Problem};
use crate::select::{Filter, Selection, is_host, no_such_host};
use crypto_trace_format::record::{Records, TlsHello};
use crypto_trace_format::segment::{
    BlockBuffer, BlockHeader, BlockType, SegmentMeta, StreamItem, StreamReader, TgidSummary,
};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::io::{self, Read};

/// Raw bytes that are gathered at most before they are shown.
const BATCH_BYTES: usize = 8 << 20;

/// Processes from which on those that ended are forgotten.
const RETIRE_FROM: usize = 1 << 16;

/// How long a process is remembered after it ended, ns: its last events may still be on their way.
const RETIRE_AFTER_NS: u64 = 60_000_000_000;

/// A block of the stream.
pub struct LiveBlock {
    /// Its header.
    pub header: BlockHeader,
    /// Number of its segment in the stream.
    pub segment: u32,
    /// Number of its capture in the stream.
    pub capture: u32,
    /// Its records.
    pub buffer: BlockBuffer,
}

/// What was flushed together.
pub struct LiveBatch<'a> {
    /// Its blocks.
    pub blocks: Vec<LiveBlock>,
    /// The captures of the stream; the lifecycle records of the blocks are in them already.
    pub captures: &'a [Capture],
    /// What was asked for.
    pub filter: &'a Filter,
    /// What is wrong with the stream.
    pub faults: &'a mut FaultLog,
}

/// Something that takes in what was flushed together.
pub trait LiveSink {
    /// Whether it remembers processes by their number between batches.
    fn remembers_processes(&self) -> bool {
        false
    }

    /// Takes in a batch.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn batch(&mut self, batch: LiveBatch<'_>) -> io::Result<()>;
}

/// Forgets processes that ended, when there are many. `floor` is how many that is, by capture.
fn retire(captures: &mut [Capture], floor: &mut Vec<usize>, latest_ns: u64) {
    floor.resize(captures.len(), RETIRE_FROM);
    for (capture, floor) in captures.iter_mut().zip(floor) {
        if capture.timeline.len() > *floor {
            capture.timeline.retire(latest_ns.saturating_sub(RETIRE_AFTER_NS));
            // Twice what is left, so that the work stays in proportion.
            *floor = RETIRE_FROM.max(2 * capture.timeline.len());
        }
    }
}

/// What a stream held.
#[derive(Default)]
pub struct LiveRun {
    /// Captures in the order they came.
    pub captures: Vec<Capture>,
    /// How many segments there were.
    pub segments: u32,
    /// Bytes of records.
    pub raw_bytes: u64,
    /// Earliest and latest time that any block's header gives.
    pub range: Option<(WallNs, WallNs)>,
}

/// Reads segments from a pipe until it ends.
///
/// # Errors
/// When the pipe cannot be read or the output cannot be written.
pub fn run_live(
    input: impl Read,
    filter: &Filter,
    sink: &mut dyn LiveSink,
    faults: &mut FaultLog,
) -> io::Result<LiveRun> {
    let mut reader = StreamReader::new(input);
    let mut run = LiveRun { captures: Vec::new(), segments: 0, raw_bytes: 0, range: None };
    // Of hosts that were not asked for nothing is kept.
    let (mut capture, mut sequence) = (usize::MAX, 0);
    let mut left_out: BTreeSet<String> = BTreeSet::new();
    let (mut blocks, mut bytes) = (Vec::new(), 0);
    let mut buffer = BlockBuffer::default();
    let mut floor = Vec::new();
    while let Some(item) = reader.next(&mut buffer)? {
        match item {
            StreamItem::Segment(meta) => {
                sequence = meta.sequence;
                run.segments += 1;
                capture = if is_host(&filter.hosts, &meta.host) {
                    find_capture(&mut run.captures, meta)
                } else {
                    left_out.insert(meta.host);
                    usize::MAX
                };
            }
            StreamItem::Fault(fault) => faults.add(run.segments.saturating_sub(1), Problem::Segment(fault)),
            StreamItem::Block(header) => {
                let Some(of) = run.captures.get_mut(capture) else { continue };
                of.add_counters(sequence, header.lost, header.dropped);
                if header.block_type == BlockType::Lifecycle {
                    lifecycle::apply(of, buffer.raw());
                }
                if handshakes::has_handshakes(&header) {
                    handshakes::add_handshakes(of, buffer.raw(), LIVE_SEGMENT, header.first_record);
                }
                let latest_ns = header.max_time_ns;
                if header.record_count > 0 {
                    let (from, to) = of.clock.range(header.min_time_ns, header.max_time_ns);
                    run.range = Some(run.range.map_or((from, to), |(first, last)| (first.min(from), last.max(to))));
                }
                bytes += buffer.raw().len();
                run.raw_bytes += buffer.raw().len() as u64;
                let flush = header.flush_end || bytes >= BATCH_BYTES;
                let segment = run.segments.saturating_sub(1);
                let capture = u32::try_from(capture).unwrap_or(u32::MAX);
                blocks.push(LiveBlock { header, segment, capture, buffer: std::mem::take(&mut buffer) });
                if flush {
                    bytes = 0;
                    let now_ns = Some(latest_ns);
                    show(sink, std::mem::take(&mut blocks), &mut run.captures, now_ns, filter, faults)?;
                    if !sink.remembers_processes() {
                        retire(&mut run.captures, &mut floor, latest_ns);
                    }
                }
            }
        }
    }
    show(sink, blocks, &mut run.captures, None, filter, faults)?;
    if run.captures.is_empty() && !left_out.is_empty() {
        return Err(io::Error::other(no_such_host(&filter.hosts, left_out.iter().map(String::as_str))));
    }
    Ok(run)
}

/// Shows blocks, and the TLS connections that need not be waited for any more; all of them when there is no `now_ns`.
fn show(
    sink: &mut dyn LiveSink,
    mut blocks: Vec<LiveBlock>,
    captures: &mut [Capture],
    now_ns: Option<u64>,
    filter: &Filter,
    faults: &mut FaultLog,
) -> io::Result<()> {
    for (number, capture) in (0u32..).zip(captures.iter_mut()) {
        let Capture { handshakes, calls, libraries, .. } = capture;
        // What a library says of a handshake comes after its hellos.
        let may_come = |cookie| libraries.any_probed() && calls.of(cookie).is_none();
        let records = handshakes.take_ready(now_ns.unwrap_or(u64::MAX), now_ns.is_none(), may_come);
        if !records.is_empty() {
            let (header, buffer) = block_of(records);
            blocks.push(LiveBlock { header, segment: LIVE_SEGMENT, capture: number, buffer });
        }
    }
    sink.batch(LiveBatch { blocks, captures, filter, faults })?;
    for capture in captures.iter_mut() {
        capture.handshakes.forget_ready();
        capture.calls.retire();
    }
    Ok(())
}

/// A block of these records.
fn block_of(raw: Vec<u8>) -> (BlockHeader, BlockBuffer) {
    let headers = || Records::new(&raw).flatten().map(|record| record.header);
    let header = BlockHeader {
        block_type: BlockType::Events,
        record_count: u32::try_from(headers().count()).unwrap_or(u32::MAX),
        min_time_ns: headers().map(|header| header.time_ns).min().unwrap_or(u64::MAX),
        max_time_ns: headers().map(|header| header.time_ns).max().unwrap_or(0),
        kinds: TlsHello::KIND.bit(),
        sequence: 0,
        first_record: 0,
        raw_len: u32::try_from(raw.len()).unwrap_or(u32::MAX),
        compressed_len: 0,
        tgids: TgidSummary::Exact(Vec::new()),
        lost: 0,
        dropped: 0,
        flush_end: false,
        payload_crc: 0,
    };
    (header, BlockBuffer::from_raw(raw))
}

fn find_capture(captures: &mut Vec<Capture>, meta: SegmentMeta) -> usize {
    let known = |capture: &Capture| capture.meta.capture_id == meta.capture_id && capture.meta.host == meta.host;
    match captures.iter().position(known) {
        Some(index) => {
            if let Some(capture) = captures.get_mut(index) {
                capture.add_segment(&meta);
            }
            index
        }
        None => {
            captures.push(Capture::new(meta));
            captures.len() - 1
        }
    }
}

impl<S: EventSink> LiveSink for OrderedOutput<S> {
    fn batch(&mut self, batch: LiveBatch<'_>) -> io::Result<()> {
        let LiveBatch { blocks, captures, filter, faults } = batch;
        let resolved = filter.resolve(None);
        let selections: Vec<_> = captures.iter().map(|capture| Selection::new(filter, &capture.timeline)).collect();
        let decoder = Decoder { captures, filter: &resolved, selections: &selections };
        let decoded = blocks
            .into_par_iter()
            .map(|block| {
                let mut decoded = decoder.decode(&block.header, block.segment, block.capture, block.buffer);
                if block.segment == LIVE_SEGMENT {
                    // Its records were counted where they came from.
                    decoded.uncount();
                }
                decoded
            })
            .collect();
        self.add(decoded, faults);
        self.write_all_pending(captures, faults)
    }
}
