//! Pass 1: lifecycle blocks alone, into one [`Capture`] per capture.

use super::places::{Place, for_blocks, index_of, lifecycle_blocks};
use crate::capture::Capture;
use crate::read::faults::{FaultLog, Problem};
use crate::read::input::Inputs;
use crypto_trace_format::record::Records;

/// Reads the lifecycle blocks of all segments.
pub fn read_captures(inputs: &Inputs, faults: &mut FaultLog) -> Vec<Capture> {
    let mut captures = captures_of(inputs, faults);
    let blocks: Vec<Place> = lifecycle_blocks(inputs).map(|(place, _)| place).collect();
    let mut current = 0;
    for_blocks(
        inputs,
        &blocks,
        |_, _| (),
        |place, read, ()| match read {
            Ok(raw) => {
                let Some(index) = index_of(inputs, place) else { return };
                // Of a fleet's many captures each is small: what grows by doubling is mostly room.
                if index != current
                    && let Some(complete) = captures.get_mut(current)
                {
                    complete.timeline.shrink();
                }
                current = index;
                if let Some(capture) = captures.get_mut(index) {
                    apply(capture, raw);
                }
            }
            Err(fault) => faults.add(place.segment, Problem::Segment(fault)),
        },
    );
    captures
}

/// One capture for each capture id, of which the headers of its segments and blocks are known.
pub(super) fn captures_of(inputs: &Inputs, faults: &mut FaultLog) -> Vec<Capture> {
    let mut captures: Vec<Capture> = Vec::new();
    for segment in &inputs.segments {
        let meta = segment.reader.meta();
        match captures.get_mut(segment.capture as usize) {
            Some(capture) => capture.add_segment(meta),
            None => captures.push(Capture::new(meta.clone())),
        }
    }
    for (number, segment) in (0u32..).zip(&inputs.segments) {
        for fault in segment.reader.faults() {
            faults.add(number, Problem::Segment(fault.clone()));
        }
        let Some(capture) = captures.get_mut(segment.capture as usize) else { continue };
        for block in segment.reader.blocks() {
            capture.add_counters(segment.reader.meta().sequence, block.header.lost, block.header.dropped);
        }
    }
    captures
}

/// Takes in one lifecycle block. What is malformed in it is reported when pass 2 or `verify` comes by.
pub(super) fn apply(capture: &mut Capture, raw: &[u8]) {
    for record in Records::new(raw).flatten() {
        let _ = capture.apply(&record);
    }
}
