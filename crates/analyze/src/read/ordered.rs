//! Pass 2 for what takes single events: decode in batches, merge by time, hand on to a sink. That of text renders in chunks.
//!
//! Blocks are decoded in the order of their earliest time. Once the next block begins at `t`, everything before `t` is
//! complete and can be written. Blocks whose times all overlap would pile up; beyond [`PENDING_BYTES`] what there is goes
//! out in the best order known, and that is reported.

use super::BATCH_BLOCKS;
use super::block::{BlockSource, Tally};
use super::pace::Pace;
use super::plan::{Plan, Task};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::timeline::ImageId;
use crate::cli::progress;
use crate::event::{Event, EventWriter, RenderOptions};
use crate::format::EventFormat;
use crate::read::Fold;
use crate::read::faults::{FaultLog, Problem};
use crate::select::{ResolvedFilter, Selection};
use crypto_trace_format::record::{Record, TlsHello};
use crypto_trace_format::segment::{BlockBuffer, BlockHeader, Fault};
use rayon::prelude::*;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// Decoded blocks and their events that may wait to be written.
const PENDING_BYTES: usize = 256 << 20;

/// A block of which less than one in so many records pass is not kept whole until they are written.
const KEPT_WHOLE: u64 = 4;

/// Events rendered by one thread at a time.
const CHUNK_EVENTS: usize = 256;

/// Chunks rendered before they are written.
const CHUNKS_IN_FLIGHT: usize = 8;

/// An event that waits for its turn.
#[derive(Debug, Clone, Copy)]
struct Entry {
    time: WallNs,
    segment: u32,
    image: ImageId,
    /// Number of the record in its segment.
    number: u64,
    /// Which of the pending blocks holds it, and where.
    slot: u32,
    offset: u32,
}

impl Entry {
    fn key(&self) -> (WallNs, u32, u64) {
        (self.time, self.segment, self.number)
    }
}

/// A decoded block with the events that passed.
#[derive(Default)]
pub(super) struct Decoded {
    segment: u32,
    capture: u32,
    /// The block, or of it the records that passed.
    buffer: BlockBuffer,
    /// The block, where it is not kept.
    spare: Option<BlockBuffer>,
    entries: Vec<Entry>,
    problems: Vec<Problem>,
    tally: Tally,
}

impl Decoded {
    /// Makes its records count as none that were read.
    pub fn uncount(&mut self) {
        self.tally.processed = 0;
    }

    /// Takes in the block; where few records passed, those alone. They may have to wait for long.
    fn keep(&mut self, block: BlockBuffer) {
        let passed = self.entries.len() as u64;
        if passed == 0 || passed * KEPT_WHOLE > self.tally.processed {
            self.buffer = block;
            return;
        }
        let mut kept = Vec::new();
        for entry in &mut self.entries {
            let Some(bytes) = block.raw().get(entry.offset as usize..) else { continue };
            let Ok(record) = Record::parse(bytes) else { continue };
            entry.offset = u32::try_from(kept.len()).unwrap_or(u32::MAX);
            kept.extend_from_slice(record.bytes());
        }
        self.buffer = BlockBuffer::from_raw(kept);
        self.spare = Some(block);
    }
}

/// What is needed to decode a block besides the block.
pub(super) struct Decoder<'a> {
    pub captures: &'a [Capture],
    pub filter: &'a ResolvedFilter<'a>,
    pub selections: &'a [Selection<'a>],
}

impl Decoder<'_> {
    /// Finds the events that pass in the block `buffer`.
    pub fn decode(&self, header: &BlockHeader, segment: u32, capture: u32, buffer: BlockBuffer) -> Decoded {
        let mut decoded = Decoded { segment, capture, ..Decoded::default() };
        let index = capture as usize;
        if let (Some(of), Some(selection)) = (self.captures.get(index), self.selections.get(index)) {
            let source = BlockSource { capture: of, header, segment, raw: buffer.raw() };
            let Decoded { entries, problems, tally, .. } = &mut decoded;
            *tally = source.for_each_match(self.filter, selection, problems, |found| {
                entries.push(Entry {
                    time: found.time,
                    segment,
                    image: found.image,
                    number: found.number,
                    slot: 0,
                    offset: found.offset,
                });
            });
            entries.sort_by_key(Entry::key);
        }
        decoded.keep(buffer);
        decoded
    }
}

/// A decoded block that still has events to write.
struct Pending {
    capture: u32,
    buffer: BlockBuffer,
    /// It has all that a buffer needs to be used again.
    is_whole: bool,
    left: usize,
}

/// Decoded blocks by slot.
#[derive(Default)]
struct Blocks {
    slots: Vec<Option<Pending>>,
    free: Vec<u32>,
    pool: Arc<Pool>,
}

/// Buffers of blocks that were written, to be used again: each keeps its memory and its decompressor.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<BlockBuffer>>);

impl Pool {
    fn take(&self) -> BlockBuffer {
        self.0.lock().ok().and_then(|mut buffers| buffers.pop()).unwrap_or_default()
    }

    fn give(&self, buffer: BlockBuffer) {
        if let Ok(mut buffers) = self.0.lock()
            && buffers.len() < 2 * BATCH_BLOCKS
        {
            buffers.push(buffer);
        }
    }
}

/// Where events go, in order.
pub trait EventSink: Send {
    /// Takes some in. Returns how many of them could be; what is wrong with the others goes to `faults`.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn take(&mut self, events: &Ready<'_>, faults: &mut FaultLog) -> io::Result<u64>;

    /// Hands on what was taken, for a reader who waits.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn flush(&mut self) -> io::Result<()>;

    /// Processes may have changed since the last time.
    fn forget_processes(&mut self);
}

/// Events whose turn it is.
#[derive(Clone, Copy)]
pub struct Ready<'a> {
    entries: &'a [Entry],
    blocks: &'a Blocks,
    captures: &'a [Capture],
}

impl<'a> Ready<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// One of them.
    #[inline]
    pub fn event(&self, index: usize) -> Option<(Numbered, Event<'a>)> {
        let entry = self.entries.get(index)?;
        Some((Numbered { segment: entry.segment, number: entry.number }, self.blocks.event(entry, self.captures)?))
    }

    /// Those after the first so many.
    pub fn after(&self, events: usize) -> Self {
        Self { entries: self.entries.get(events..).unwrap_or_default(), ..*self }
    }

    /// Parts of so many events each.
    pub fn chunks(&self, events: usize) -> impl IndexedParallelIterator<Item = Self> + use<'a> {
        let Self { blocks, captures, .. } = *self;
        self.entries.par_chunks(events).map(move |entries| Ready { entries, blocks, captures })
    }
}

/// Which record an event was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered {
    /// Number of its segment in this run.
    pub segment: u32,
    /// Number of the record in its segment.
    pub number: u64,
}

/// Events as text, rendered on many threads.
pub struct TextSink<'a, W> {
    renderer: Renderer<'a>,
    out: W,
    chunks: Vec<Vec<u8>>,
    any: bool,
}

/// Renders events.
struct Renderer<'a> {
    format: &'a dyn EventFormat,
    options: RenderOptions,
    writers: Mutex<Vec<EventWriter>>,
}

/// Events in order, on their way to a sink: the second half of the pipeline.
pub struct OrderedOutput<S> {
    sink: S,
    blocks: Blocks,
    entries: Vec<Entry>,
    pending_bytes: usize,
    pending_limit: usize,
    out_of_order: bool,
    tally: Tally,
    pace: Option<Pace>,
}

impl Blocks {
    fn put(&mut self, block: Pending) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(block);
        }
        slot
    }

    fn event<'e>(&'e self, entry: &Entry, captures: &'e [Capture]) -> Option<Event<'e>> {
        let block = self.slots.get(entry.slot as usize)?.as_ref()?;
        let bytes = block.buffer.raw().get(entry.offset as usize..)?;
        let capture = captures.get(block.capture as usize)?;
        let mut record = Record::parse(bytes).ok()?;
        let connection = match record.kind() {
            TlsHello::KIND => capture.handshakes.shown_at(entry.segment, entry.number),
            _ => None,
        };
        if let Some(connection) = connection {
            connection.put_into(&mut record.header);
        }
        Some(Event { capture, capture_index: block.capture, record, time: entry.time, image: entry.image, connection })
    }

    /// Notes that an event was written. Returns the bytes that became free.
    fn release(&mut self, entry: &Entry) -> usize {
        let Some(place) = self.slots.get_mut(entry.slot as usize) else { return 0 };
        let Some(block) = place else { return 0 };
        block.left -= 1;
        if block.left > 0 {
            return 0;
        }
        let bytes = block.buffer.raw().len();
        if let Some(block) = place.take().filter(|block| block.is_whole) {
            self.pool.give(block.buffer);
        }
        self.free.push(entry.slot);
        bytes
    }
}

impl Renderer<'_> {
    /// Renders events into `chunk`, each after a separator. Returns those that could not be.
    fn render(&self, events: &Ready<'_>, chunk: &mut Vec<u8>) -> Vec<(u32, Problem)> {
        let mut writer = self.writers.lock().ok().and_then(|mut writers| writers.pop());
        let writer_ref = writer.get_or_insert_with(|| EventWriter::new(self.options));
        chunk.clear();
        let mut problems = Vec::new();
        for index in 0..events.len() {
            let Some((from, event)) = events.event(index) else { continue };
            let start = chunk.len();
            chunk.extend_from_slice(self.format.separator());
            if let Err(error) = self.format.write(writer_ref, &event, chunk) {
                chunk.truncate(start);
                problems.push((from.segment, Problem::Body { record: from.number, error }));
            }
        }
        if let (Ok(mut writers), Some(writer)) = (self.writers.lock(), writer) {
            writers.push(writer);
        }
        problems
    }
}

impl<'a, W: Write + Send> TextSink<'a, W> {
    /// Opens the output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(format: &'a dyn EventFormat, options: RenderOptions, mut out: W) -> io::Result<Self> {
        out.write_all(&format.begin())?;
        let renderer = Renderer { format, options, writers: Mutex::default() };
        Ok(Self { renderer, out, chunks: Vec::new(), any: false })
    }

    /// Ends the output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.write_all(self.renderer.format.end(self.any))?;
        self.out.flush()
    }
}

impl<W: Write + Send> EventSink for TextSink<'_, W> {
    fn take(&mut self, events: &Ready<'_>, faults: &mut FaultLog) -> io::Result<u64> {
        let mut taken = 0;
        for group in events.entries.chunks(CHUNK_EVENTS * CHUNKS_IN_FLIGHT) {
            let group = Ready { entries: group, ..*events };
            let mut chunks = std::mem::take(&mut self.chunks);
            let count = group.len().div_ceil(CHUNK_EVENTS);
            chunks.resize_with(count.max(chunks.len()), Vec::new);
            let renderer = &self.renderer;
            let results: Vec<Vec<(u32, Problem)>> = group
                .chunks(CHUNK_EVENTS)
                .zip(&mut chunks)
                .map(|(events, chunk)| renderer.render(&events, chunk))
                .collect();
            let failed: usize = results.iter().map(Vec::len).sum();
            taken += (group.len() - failed) as u64;
            results.into_iter().flatten().for_each(|(segment, problem)| faults.add(segment, problem));
            for chunk in chunks.iter().take(count).filter(|chunk| !chunk.is_empty()) {
                let skip = if self.any { 0 } else { self.renderer.format.separator().len() };
                self.any = true;
                self.out.write_all(chunk.get(skip..).unwrap_or_default())?;
            }
            self.chunks = chunks;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn forget_processes(&mut self) {
        if let Ok(writers) = self.renderer.writers.get_mut() {
            writers.iter_mut().for_each(EventWriter::forget_processes);
        }
    }
}

impl<S: EventSink> OrderedOutput<S> {
    /// Nothing has come yet.
    pub fn new(sink: S) -> Self {
        Self {
            sink,
            blocks: Blocks::default(),
            entries: Vec::new(),
            pending_bytes: 0,
            pending_limit: PENDING_BYTES,
            out_of_order: false,
            tally: Tally::default(),
            pace: None,
        }
    }

    /// Where events went, which have all gone there.
    pub fn into_sink(self) -> S {
        debug_assert!(self.entries.is_empty());
        self.sink
    }

    /// Shows each event when it is due.
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = Some(pace);
        self
    }

    /// Lets less than [`PENDING_BYTES`] wait to be written.
    pub fn limit_pending(mut self, bytes: usize) -> Self {
        self.pending_limit = bytes;
        self
    }

    /// Takes in decoded blocks.
    pub(super) fn add(&mut self, batch: Vec<Decoded>, faults: &mut FaultLog) {
        for decoded in batch {
            self.tally += decoded.tally;
            decoded.problems.into_iter().for_each(|problem| faults.add(decoded.segment, problem));
            if decoded.entries.is_empty() {
                self.blocks.pool.give(decoded.buffer);
                continue;
            }
            self.pending_bytes += decoded.buffer.raw().len() + decoded.entries.len() * size_of::<Entry>();
            let left = decoded.entries.len();
            let is_whole = decoded.spare.is_none();
            decoded.spare.into_iter().for_each(|block| self.blocks.pool.give(block));
            let slot = self.blocks.put(Pending { capture: decoded.capture, buffer: decoded.buffer, is_whole, left });
            self.entries.extend(decoded.entries.iter().map(|entry| Entry { slot, ..*entry }));
        }
        // Blocks are sorted in themselves, so this merges runs.
        self.entries.sort_by_key(Entry::key);
    }

    /// Events that nothing can precede any more, when all blocks to come begin at `next` or later.
    fn take_ready(&mut self, next: Option<WallNs>) -> Vec<Entry> {
        let ready = match next {
            None => self.entries.len(),
            Some(next) => self.entries.partition_point(|entry| entry.time < next),
        };
        if next.is_some() && self.pending_bytes > self.pending_limit {
            self.out_of_order |= ready < self.entries.len();
            return std::mem::take(&mut self.entries);
        }
        let rest = self.entries.split_off(ready);
        std::mem::replace(&mut self.entries, rest)
    }

    /// Hands events on, each when it is due.
    fn write(&mut self, entries: &[Entry], captures: &[Capture], faults: &mut FaultLog) -> io::Result<()> {
        let Some(mut pace) = self.pace.take() else { return self.write_now(entries, captures, faults) };
        let mut rest = entries;
        while let Some(first) = rest.first() {
            if !pace.wait_for(first.time) {
                break;
            }
            let due = pace.due();
            let (now, later) = rest.split_at(rest.partition_point(|entry| entry.time <= due).max(1));
            self.write_now(now, captures, faults)?;
            self.sink.flush()?;
            rest = later;
        }
        // Asked to stop: the rest is not shown.
        for entry in rest {
            self.blocks.release(entry);
        }
        self.pace = Some(pace);
        Ok(())
    }

    fn write_now(&mut self, entries: &[Entry], captures: &[Capture], faults: &mut FaultLog) -> io::Result<()> {
        self.tally.output += self.sink.take(&Ready { entries, blocks: &self.blocks, captures }, faults)?;
        for entry in entries {
            self.pending_bytes = self.pending_bytes.saturating_sub(size_of::<Entry>() + self.blocks.release(entry));
        }
        Ok(())
    }

    /// Writes all that has been added, for a live reader: processes may have changed since the last time.
    pub(super) fn write_all_pending(&mut self, captures: &[Capture], faults: &mut FaultLog) -> io::Result<()> {
        self.sink.forget_processes();
        let ready = self.take_ready(None);
        self.write(&ready, captures, faults)?;
        self.sink.flush()
    }
}

impl<S: EventSink> Fold for OrderedOutput<S> {
    /// Reads, orders and hands on all events of a plan.
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) -> io::Result<()> {
        let decoder = Decoder { captures: plan.captures, filter: &plan.filter, selections: &plan.selections };
        let pool = Arc::clone(&self.blocks.pool);
        progress::begin(plan.tasks.len());
        let mut batches = plan.tasks.chunks(BATCH_BLOCKS);
        let mut tasks = batches.next().unwrap_or_default();
        let mut decoded = read_batch(plan, &decoder, &pool, tasks);
        while !tasks.is_empty() {
            let next = batches.next().unwrap_or_default();
            let mut blocks = Vec::with_capacity(decoded.len());
            for (task, result) in tasks.iter().zip(decoded) {
                match result {
                    Ok(block) => blocks.push(block),
                    Err(fault) => faults.add(task.segment, Problem::Segment(fault)),
                }
            }
            self.add(blocks, faults);
            let ready = self.take_ready(next.first().map(|task| task.from));
            let (following, written) =
                rayon::join(|| read_batch(plan, &decoder, &pool, next), || self.write(&ready, plan.captures, faults));
            written?;
            decoded = following;
            tasks = next;
        }
        progress::end();
        self.tally.processed += plan.skipped_records;
        Ok(())
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn is_out_of_order(&self) -> bool {
        self.out_of_order
    }
}

fn read_batch(plan: &Plan<'_>, decoder: &Decoder<'_>, pool: &Pool, tasks: &[Task]) -> Vec<Result<Decoded, Fault>> {
    tasks
        .par_iter()
        .map(|task| {
            let mut buffer = pool.take();
            let Some(segment) = plan.inputs.segments.get(task.segment as usize) else { return Ok(Decoded::default()) };
            let Some(entry) = segment.reader.blocks().get(task.block as usize) else { return Ok(Decoded::default()) };
            progress::advance();
            segment.reader.read_block(task.block as usize, &mut buffer)?;
            Ok(decoder.decode(&entry.header, task.segment, segment.capture, buffer))
        })
        .collect()
}
