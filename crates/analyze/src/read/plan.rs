//! Which blocks are read in pass 2, and in which order.

use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::read::input::Inputs;
use crate::select::{Filter, ResolvedFilter, Selection};

/// One block to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Task {
    /// Earliest time of its records, by its header.
    pub from: WallNs,
    /// Number of its segment.
    pub segment: u32,
    /// Number of the block in its segment.
    pub block: u32,
}

/// The blocks of a run that may hold events that pass.
pub struct Plan<'a> {
    /// All inputs.
    pub inputs: &'a Inputs,
    /// Captures, by number.
    pub captures: &'a [Capture],
    /// What is asked for.
    pub filter: ResolvedFilter<'a>,
    /// The filter's processes, by capture.
    pub selections: Vec<Selection<'a>>,
    /// Blocks by their earliest time.
    pub tasks: Vec<Task>,
    /// Records in blocks that were ruled out by their header.
    pub skipped_records: u64,
    /// Earliest and latest time of all blocks.
    pub range: Option<(WallNs, WallNs)>,
}

impl<'a> Plan<'a> {
    /// Rules out blocks by their headers.
    pub fn new(inputs: &'a Inputs, captures: &'a [Capture], filter: &'a Filter) -> Self {
        let range = time_range(inputs, captures);
        let filter = filter.resolve(range.map(|(_, end)| end));
        let selections: Vec<_> = captures.iter().map(|capture| Selection::of(filter.filter(), capture)).collect();
        let mut tasks = Vec::new();
        let mut skipped_records = 0;
        for (number, segment) in inputs.segments.iter().enumerate() {
            let index = segment.capture as usize;
            let (Some(capture), Some(selection)) = (captures.get(index), selections.get(index)) else { continue };
            for (block, entry) in segment.reader.blocks().iter().enumerate() {
                let header = &entry.header;
                let range = capture.clock.range(header.min_time_ns, header.max_time_ns);
                // A connection is shown at its earliest record, whoever that names.
                let shown = || {
                    let records = header.first_record..header.first_record.saturating_add(header.record_count.into());
                    selection.connections().is_none_or(|shown| shown.any_in(as_number(number), records))
                };
                if filter.block_may_match(header, range, selection) && (filter.may_be_of(header, selection) || shown())
                {
                    tasks.push(Task { from: range.0, segment: as_number(number), block: as_number(block) });
                } else {
                    skipped_records += u64::from(header.record_count);
                }
            }
        }
        tasks.sort_unstable();
        Self { inputs, captures, filter, selections, tasks, skipped_records, range }
    }
}

/// Earliest and latest time that any block's header gives.
pub fn time_range(inputs: &Inputs, captures: &[Capture]) -> Option<(WallNs, WallNs)> {
    time_ranges(inputs, captures).into_iter().flatten().reduce(wider)
}

/// The same of each capture.
pub fn time_ranges(inputs: &Inputs, captures: &[Capture]) -> Vec<Option<(WallNs, WallNs)>> {
    let mut ranges: Vec<Option<(WallNs, WallNs)>> = vec![None; captures.len()];
    for segment in &inputs.segments {
        let index = segment.capture as usize;
        let (Some(capture), Some(range)) = (captures.get(index), ranges.get_mut(index)) else { continue };
        let headers = segment.reader.blocks().iter().map(|block| &block.header);
        let told = headers
            .filter(|header| header.record_count > 0)
            .map(|header| capture.clock.range(header.min_time_ns, header.max_time_ns));
        *range = (*range).into_iter().chain(told).reduce(wider);
    }
    ranges
}

fn wider(a: (WallNs, WallNs), b: (WallNs, WallNs)) -> (WallNs, WallNs) {
    (a.0.min(b.0), a.1.max(b.1))
}

fn as_number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
