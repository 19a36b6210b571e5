//! What a person reads first: when, where, whether anything is missing, and who used which keys and libraries.
//!
//! Blocks are counted in parallel ([`partial`]) and added up in order ([`totals`]), so the result does not depend on the
//! number of threads. Nothing is sorted by time, and nothing is kept per event.

pub mod histogram;
mod partial;
mod print;
mod totals;

pub use partial::{Partial, count};
pub use print::{SummaryContext, print};
pub use totals::Totals;

use crate::capture::Capture;
use crate::faults::{FaultLog, Problem};
use crate::filter::{Filter, Selection};
use crate::pipeline::{BATCH_BLOCKS, BlockSource, LiveBlock, LiveSink, Plan, Task};
use crypto_trace_format::segment::{BlockBuffer, Fault};
use rayon::prelude::*;
use std::io;
use std::sync::Mutex;

/// Batches hold more blocks than those of ordered output: only their counts are kept.
const SUMMARY_BATCH: usize = 4 * BATCH_BLOCKS;

/// Counts all events of a plan.
pub fn summarize(plan: &Plan<'_>, faults: &mut FaultLog) -> Totals {
    let mut totals = Totals::default();
    totals.tally.processed = plan.skipped_records;
    let buffers = Mutex::new(Vec::new());
    for batch in plan.tasks.chunks(SUMMARY_BATCH) {
        let counted: Vec<_> = batch.par_iter().map(|task| count_task(plan, task, &buffers)).collect();
        for (task, result) in batch.iter().zip(counted) {
            match result {
                Ok(Some(partial)) => {
                    if let Some(capture) = plan.captures.get(partial.capture as usize) {
                        totals.add(partial, capture, faults);
                    }
                }
                Ok(None) => {}
                Err(fault) => faults.add(task.segment, Problem::Segment(fault)),
            }
        }
    }
    totals
}

fn count_task(plan: &Plan<'_>, task: &Task, buffers: &Mutex<Vec<BlockBuffer>>) -> Result<Option<Partial>, Fault> {
    let Some(segment) = plan.inputs.segments.get(task.segment as usize) else { return Ok(None) };
    let Some(entry) = segment.reader.blocks().get(task.block as usize) else { return Ok(None) };
    let index = segment.capture as usize;
    let (Some(capture), Some(selection)) = (plan.captures.get(index), plan.selections.get(index)) else {
        return Ok(None);
    };
    let mut buffer = buffers.lock().ok().and_then(|mut buffers| buffers.pop()).unwrap_or_default();
    segment.reader.read_block(task.block as usize, &mut buffer)?;
    let source = BlockSource { capture, header: &entry.header, raw: buffer.raw() };
    let partial = count(source, (task.segment, segment.capture), &plan.filter, selection);
    if let Ok(mut buffers) = buffers.lock() {
        buffers.push(buffer);
    }
    Ok(Some(partial))
}

impl LiveSink for Totals {
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
                let source = BlockSource { capture, header: &block.header, raw: block.buffer.raw() };
                Some((capture, count(source, (block.segment, block.capture), &resolved, selection)))
            })
            .collect();
        for (capture, partial) in counted {
            self.add(partial, capture, faults);
        }
        Ok(())
    }
}
