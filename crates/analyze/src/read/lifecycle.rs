//! Pass 1: lifecycle blocks alone, into one [`Capture`] per capture; then the blocks with handshakes, as far as they are needed.

use super::BATCH_BLOCKS;
use super::plan::time_range;
use crate::capture::Capture;
use crate::read::faults::{FaultLog, Problem};
use crate::read::input::Inputs;
use crate::select::Filter;
use crypto_trace_format::record::{ApiCall, Records, TlsHello};
use crypto_trace_format::segment::{BlockBuffer, BlockHeader, BlockType, Fault};
use rayon::prelude::*;

/// Reads the lifecycle blocks of all segments.
pub fn read_captures(inputs: &Inputs, faults: &mut FaultLog) -> Vec<Capture> {
    let mut captures: Vec<Capture> = Vec::new();
    for segment in &inputs.segments {
        let meta = segment.reader.meta();
        match captures.get_mut(segment.capture as usize) {
            Some(capture) => capture.add_segment(meta),
            None => captures.push(Capture::new(meta.clone())),
        }
    }
    let mut tasks = Vec::new();
    for (number, segment) in inputs.segments.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        for fault in segment.reader.faults() {
            faults.add(number, Problem::Segment(fault.clone()));
        }
        let Some(capture) = captures.get_mut(segment.capture as usize) else { continue };
        for (index, block) in segment.reader.blocks().iter().enumerate() {
            capture.add_counters(segment.reader.meta().sequence, block.header.lost, block.header.dropped);
            if block.header.block_type == BlockType::Lifecycle {
                tasks.push((number, index));
            }
        }
    }
    let mut buffers: Vec<BlockBuffer> = (0..BATCH_BLOCKS).map(|_| BlockBuffer::default()).collect();
    for batch in tasks.chunks(BATCH_BLOCKS) {
        let results: Vec<Result<(), Fault>> = batch
            .par_iter()
            .zip(&mut buffers)
            .map(|((segment, block), buffer)| match inputs.segments.get(*segment as usize) {
                Some(segment) => segment.reader.read_block(*block, buffer),
                None => Ok(()),
            })
            .collect();
        for (((number, _), result), buffer) in batch.iter().zip(results).zip(&buffers) {
            let capture = inputs.segments.get(*number as usize).map(|segment| segment.capture as usize);
            match (result, capture.and_then(|capture| captures.get_mut(capture))) {
                (Ok(()), Some(capture)) => apply(capture, buffer.raw()),
                (Err(fault), _) => faults.add(*number, Problem::Segment(fault)),
                (Ok(()), None) => {}
            }
        }
    }
    captures
}

/// Whether a block has something that must be known before events are shown: pieces of handshakes, and calls that made them.
pub(super) fn has_handshakes(header: &BlockHeader) -> bool {
    header.kinds & (TlsHello::KIND.bit() | ApiCall::KIND.bit()) != 0
}

/// Whether a block has library calls, which may tell what files hold.
fn has_calls(header: &BlockHeader) -> bool {
    header.kinds & ApiCall::KIND.bit() != 0
}

/// How far from the time that is asked for pieces of a connection may be, and what a library says of it, ns.
const MARGIN_NS: i64 = 300_000_000_000;

/// Which handshakes are read.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// All of them.
    All,
    /// Those that events of this filter need.
    Of(&'a Filter),
}

/// Reads the blocks with TLS hellos and library calls, after [`read_captures`]. What is wrong with them is reported when pass
/// 2 comes by.
pub fn read_handshakes(inputs: &Inputs, captures: &mut [Capture], wanted: Wanted<'_>) {
    let mut tasks: Vec<(u32, usize)> = Vec::new();
    let end = time_range(inputs, captures).map(|(_, end)| end);
    for (number, segment) in (0u32..).zip(&inputs.segments) {
        let Some(capture) = captures.get_mut(segment.capture as usize) else { continue };
        for (index, block) in segment.reader.blocks().iter().enumerate() {
            let header = &block.header;
            if !has_handshakes(header) {
                continue;
            }
            let range = capture.clock.range(header.min_time_ns, header.max_time_ns);
            let needed = match wanted {
                Wanted::All => true,
                Wanted::Of(filter) => {
                    let shown = filter.shows_handshakes() || (filter.shows_files() && has_calls(header));
                    shown && filter.resolve(end).is_near(range, MARGIN_NS)
                }
            };
            if needed {
                tasks.push((number, index));
            } else {
                capture.handshakes.skipped = true;
            }
        }
    }
    let mut buffers: Vec<(BlockBuffer, Vec<(u64, usize)>)> = Vec::new();
    buffers.resize_with(BATCH_BLOCKS, Default::default);
    for batch in tasks.chunks(BATCH_BLOCKS) {
        // Decompressing is most of the work; what is found is taken in by the order of the inputs.
        batch.par_iter().zip(&mut buffers).for_each(|((segment, block), (buffer, found))| {
            found.clear();
            let Some(segment) = inputs.segments.get(*segment as usize) else { return };
            let Some(entry) = segment.reader.blocks().get(*block) else { return };
            if segment.reader.read_block(*block, buffer).is_ok() {
                find_handshakes(buffer.raw(), entry.header.first_record, found);
            }
        });
        for ((number, _), (buffer, found)) in batch.iter().zip(&buffers) {
            let capture = inputs.segments.get(*number as usize).map(|segment| segment.capture as usize);
            let Some(capture) = capture.and_then(|capture| captures.get_mut(capture)) else { continue };
            for (record, at) in found {
                add_handshake(capture, buffer.raw().get(*at..).unwrap_or_default(), *number, *record);
            }
        }
    }
    captures.iter_mut().for_each(|capture| capture.handshakes.finish());
}

/// Numbers and places of the TLS hellos and library calls of one block.
fn find_handshakes(raw: &[u8], first_record: u64, found: &mut Vec<(u64, usize)>) {
    let mut at = 0;
    for (number, record) in (first_record..).zip(Records::new(raw)) {
        let Ok(record) = record else { return };
        if matches!(record.kind(), TlsHello::KIND | ApiCall::KIND) {
            found.push((number, at));
        }
        at += record.header.len as usize;
    }
}

/// Takes in the TLS hellos and the library calls of one block.
pub(super) fn add_handshakes(capture: &mut Capture, raw: &[u8], segment: u32, first_record: u64) {
    let mut found = Vec::new();
    find_handshakes(raw, first_record, &mut found);
    for (number, at) in found {
        add_handshake(capture, raw.get(at..).unwrap_or_default(), segment, number);
    }
}

/// Takes in one record, at the beginning of `raw`.
fn add_handshake(capture: &mut Capture, raw: &[u8], segment: u32, number: u64) {
    let Some(Ok(record)) = Records::new(raw).next() else { return };
    if record.kind() == TlsHello::KIND
        && let Ok(hello) = TlsHello::decode(&record)
    {
        capture.handshakes.add(&record.header, &hello, segment, number);
    } else if record.kind() == ApiCall::KIND
        && let Ok(call) = ApiCall::decode(&record)
    {
        capture.calls.add(&record.header, &call);
        capture.loaded.add(&record.header, &call);
    }
}

/// Takes in one lifecycle block. What is malformed in it is reported when pass 2 or `verify` comes by.
pub(super) fn apply(capture: &mut Capture, raw: &[u8]) {
    for record in Records::new(raw).flatten() {
        let _ = capture.apply(&record);
    }
}
