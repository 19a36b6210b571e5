//! What a person reads first: when, where, whether anything is missing, and who used which keys and libraries.
//!
//! Blocks are counted in parallel ([`partial`]) and added up in order ([`totals`]), so the result does not depend on the
//! number of threads. Nothing is sorted by time, and nothing is kept per event.

mod calls;
mod coverage;
pub mod histogram;
mod partial;
mod print;
mod tls;
mod totals;

pub use partial::{Counter, Partial};
pub use print::{SummaryContext, print};
pub use totals::Totals;

use crate::capture::Capture;
use crate::faults::{FaultLog, Problem};
use crate::filter::{Filter, Selection};
use crate::handshakes::LIVE_SEGMENT;
use crate::pipeline::{BlockSource, LiveBlock, LiveSink, Plan, Task};
use crypto_trace_format::segment::{BlockBuffer, Fault};
use rayon::prelude::*;
use std::io;
use std::sync::Mutex;

/// Bytes of records that one thread counts together: sixteen full blocks.
const CHUNK_BYTES: u64 = 4 << 20;

/// Chunks that are counted before they are added up.
const BATCH_CHUNKS: usize = 16;

/// Counts all events of a plan.
pub fn summarize(plan: &Plan<'_>, faults: &mut FaultLog) -> Totals {
    let mut totals = Totals::default();
    totals.tally.processed = plan.skipped_records;
    // Order does not matter here, and neighbours in a file have most in common.
    let mut tasks = plan.tasks.clone();
    tasks.sort_unstable_by_key(|task| (task.segment, task.block));
    let chunks = chunks(plan, &tasks);
    let buffers = Mutex::new(Vec::new());
    for batch in chunks.chunks(BATCH_CHUNKS) {
        let counted: Vec<_> = batch.par_iter().map(|tasks| count_tasks(plan, tasks, &buffers)).collect();
        for (partial, damaged) in counted.into_iter().flatten() {
            damaged.into_iter().for_each(|fault| faults.add(partial.segment, Problem::Segment(fault)));
            if let Some(capture) = plan.captures.get(partial.capture as usize) {
                totals.add(partial, capture, faults);
            }
        }
    }
    totals.add_handshakes(plan.captures);
    totals
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

/// Counts blocks of one segment.
fn count_tasks(plan: &Plan<'_>, tasks: &[Task], buffers: &Mutex<Vec<BlockBuffer>>) -> Option<(Partial, Vec<Fault>)> {
    let number = tasks.first()?.segment;
    let segment = plan.inputs.segments.get(number as usize)?;
    let capture = plan.captures.get(segment.capture as usize)?;
    let selection = plan.selections.get(segment.capture as usize)?;
    let mut buffer = buffers.lock().ok().and_then(|mut buffers| buffers.pop()).unwrap_or_default();
    let (mut counter, mut damaged) = (Counter::default(), Vec::new());
    for task in tasks {
        let Some(entry) = segment.reader.blocks().get(task.block as usize) else { continue };
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
    Some((counter.finish(number, segment.capture), damaged))
}

impl LiveSink for Totals {
    fn remembers_processes(&self) -> bool {
        true
    }

    fn batch(
        &mut self,
        blocks: Vec<LiveBlock>,
        captures: &[Capture],
        filter: &Filter,
        faults: &mut FaultLog,
    ) -> io::Result<()> {
        let resolved = filter.resolve(None);
        let selections: Vec<_> = captures.iter().map(|capture| Selection::new(filter, &capture.timeline)).collect();
        let counted: Vec<_> = blocks
            .par_iter()
            .filter_map(|block| {
                let index = block.capture as usize;
                let (capture, selection) = (captures.get(index)?, selections.get(index)?);
                let source =
                    BlockSource { capture, header: &block.header, segment: block.segment, raw: block.buffer.raw() };
                let mut counter = Counter::default();
                counter.count(source, &resolved, selection);
                let mut partial = counter.finish(block.segment, block.capture);
                if block.segment == LIVE_SEGMENT {
                    // Its records were counted where they came from.
                    partial.tally.processed = 0;
                }
                Some((capture, partial))
            })
            .collect();
        for (capture, partial) in counted {
            self.add(partial, capture, faults);
        }
        // They are forgotten after this.
        self.add_handshakes(captures);
        Ok(())
    }
}
