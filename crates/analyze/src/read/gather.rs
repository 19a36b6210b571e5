//! Counting in parallel: runs of blocks are counted each by one thread, and added up in the order of the inputs.
//!
//! How blocks are cut into runs depends on the inputs alone, so what is counted does not depend on the number of threads.

use super::{BlockSource, LiveBlock, LiveSink, Plan, Tally, Task};
use crate::capture::Capture;
use crate::capture::connections::LIVE_SEGMENT;
use crate::cli::progress;
use crate::read::faults::{FaultLog, Problem};
use crate::select::{Filter, ResolvedFilter, Selection};
use crypto_trace_format::segment::{BlockBuffer, Fault};
use rayon::prelude::*;
use std::io;
use std::sync::Mutex;

/// Bytes of records that one thread counts together: sixteen full blocks.
const CHUNK_BYTES: u64 = 4 << 20;

/// Chunks that are counted before they are added up: two for each thread, and no more than this.
const BATCH_CHUNKS: usize = 16;

/// Bytes that the counts of one chunk may take before they are added up. Those of a real one take less.
const PARTIAL_BYTES: usize = 16 << 20;

/// What a run makes of the events that pass: read from files in one go, or taken in from a stream as it comes.
pub trait Fold: LiveSink {
    /// Reads everything that a plan holds.
    ///
    /// # Errors
    /// When its output cannot be written. What is wrong with inputs goes to `faults`.
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) -> io::Result<()>;

    /// Records, and how many of them passed.
    fn tally(&self) -> Tally;

    /// Whether it also says how many handshakes there are in all, whatever passes.
    fn needs_all_handshakes(&self) -> bool {
        false
    }

    /// What is missing of it because there was no room, a sentence.
    fn left_out(&self) -> Option<String> {
        None
    }

    /// Whether events may be out of order.
    fn is_out_of_order(&self) -> bool {
        false
    }
}

/// Counts some blocks of one segment.
pub trait Count: Default {
    /// What it counted.
    type Counted: Send;

    /// Counts one block.
    fn count(&mut self, source: BlockSource<'_>, filter: &ResolvedFilter<'_>, selection: &Selection<'_>);

    /// Bytes that what was counted takes, about.
    fn bytes(&self) -> usize;

    /// Ends counting.
    fn finish(self, origin: Origin) -> Self::Counted;
}

/// Where counted blocks come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin {
    /// Number of their segment.
    pub segment: u32,
    /// Number of their capture.
    pub capture: u32,
}

impl Origin {
    /// Records of the stream that were counted as they came, and stand for connections now.
    pub fn is_again(self) -> bool {
        self.segment == LIVE_SEGMENT
    }

    /// What to add of a tally.
    pub fn tally(self, tally: Tally) -> Tally {
        Tally { processed: if self.is_again() { 0 } else { tally.processed }, ..tally }
    }
}

/// Counts the blocks of a plan. `add` is called in the order of the inputs.
pub fn count_blocks<C: Count>(
    plan: &Plan<'_>,
    faults: &mut FaultLog,
    mut add: impl FnMut(C::Counted, &Capture, &mut FaultLog),
) {
    // Order does not matter here, and neighbours in a file have most in common.
    let mut tasks = plan.tasks.clone();
    tasks.sort_unstable_by_key(|task| (task.segment, task.block));
    let chunks = chunks(plan, &tasks);
    progress::begin(tasks.len());
    let buffers = Mutex::new(Vec::new());
    let batch = (2 * rayon::current_num_threads()).min(BATCH_CHUNKS);
    for batch in chunks.chunks(batch) {
        let counted: Vec<_> = batch.par_iter().map(|tasks| count_tasks::<C>(plan, tasks, &buffers)).collect();
        for mut part in counted.into_iter().flatten() {
            loop {
                let Part { counted, origin, damaged, rest } = part;
                damaged.into_iter().for_each(|fault| faults.add(origin.segment, Problem::Segment(fault)));
                if let Some(capture) = plan.captures.get(origin.capture as usize) {
                    add(counted, capture, faults);
                }
                let Some(next) = count_tasks::<C>(plan, rest, &buffers) else { break };
                part = next;
            }
        }
    }
    progress::end();
}

/// What was counted of a chunk, and what was not yet.
struct Part<'t, C> {
    counted: C,
    origin: Origin,
    damaged: Vec<Fault>,
    /// Blocks that are left: their counts would take too much room before they are added up.
    rest: &'t [Task],
}

/// Counts what a stream flushed together, in its order.
pub fn count_live<C: Count>(blocks: &[LiveBlock], captures: &[Capture], filter: &Filter) -> Vec<(C::Counted, Origin)> {
    let resolved = filter.resolve(None);
    let selections: Vec<_> = captures.iter().map(|capture| Selection::new(filter, &capture.timeline)).collect();
    let count = |block: &LiveBlock| {
        let index = block.capture as usize;
        let (capture, selection) = (captures.get(index)?, selections.get(index)?);
        let origin = Origin { segment: block.segment, capture: block.capture };
        let source = BlockSource { capture, header: &block.header, segment: block.segment, raw: block.buffer.raw() };
        let mut counter = C::default();
        counter.count(source, &resolved, selection);
        Some((counter.finish(origin), origin))
    };
    blocks.par_iter().filter_map(count).collect()
}

/// Runs of blocks of one segment, of about the same size.
fn chunks<'t>(plan: &Plan<'_>, tasks: &'t [Task]) -> Vec<&'t [Task]> {
    let raw_len = |task: &Task| {
        let segment = plan.inputs.segments.get(task.segment as usize);
        let entry = segment.and_then(|segment| segment.reader.blocks().get(task.block as usize));
        entry.map_or(0, |entry| u64::from(entry.header.raw_len))
    };
    let mut bytes = 0;
    let together = |a: &Task, b: &Task| {
        bytes += raw_len(a);
        let together = a.segment == b.segment && bytes + raw_len(b) <= CHUNK_BYTES;
        if !together {
            bytes = 0;
        }
        together
    };
    tasks.chunk_by(together).collect()
}

/// Counts blocks of one segment, as many as there is room for; none of no blocks.
fn count_tasks<'t, C: Count>(
    plan: &Plan<'_>,
    tasks: &'t [Task],
    buffers: &Mutex<Vec<BlockBuffer>>,
) -> Option<Part<'t, C::Counted>> {
    let number = tasks.first()?.segment;
    let segment = plan.inputs.segments.get(number as usize)?;
    let capture = plan.captures.get(segment.capture as usize)?;
    let selection = plan.selections.get(segment.capture as usize)?;
    let mut buffer = buffers.lock().ok().and_then(|mut buffers| buffers.pop()).unwrap_or_default();
    let (mut counter, mut damaged) = (C::default(), Vec::new());
    let mut rest = tasks;
    while let Some((task, more)) = rest.split_first().filter(|_| counter.bytes() < PARTIAL_BYTES) {
        rest = more;
        let Some(entry) = segment.reader.blocks().get(task.block as usize) else { continue };
        progress::advance();
        match segment.reader.read_block(task.block as usize, &mut buffer) {
            Ok(()) => {
                let source = BlockSource { capture, header: &entry.header, segment: task.segment, raw: buffer.raw() };
                counter.count(source, &plan.filter, selection);
            }
            Err(fault) => damaged.push(fault),
        }
    }
    if let Ok(mut buffers) = buffers.lock() {
        buffers.push(buffer);
    }
    let origin = Origin { segment: number, capture: segment.capture };
    Some(Part { counted: counter.finish(origin), origin, damaged, rest })
}
