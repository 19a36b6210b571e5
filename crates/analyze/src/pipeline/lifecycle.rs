//! Pass 1: lifecycle blocks alone, into one frozen [`Capture`] per capture.

use super::BATCH_BLOCKS;
use crate::capture::Capture;
use crate::faults::{FaultLog, Problem};
use crate::input::Inputs;
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
    read_hellos(inputs, &mut captures);
    captures
}

/// Whether a block has something that must be known before events are shown: pieces of handshakes, and calls that made them.
pub(super) fn has_handshakes(header: &BlockHeader) -> bool {
    header.kinds & (TlsHello::KIND.bit() | ApiCall::KIND.bit()) != 0
}

/// Reads the blocks with TLS hellos and library calls. What is wrong with them is told when pass 2 comes by.
fn read_hellos(inputs: &Inputs, captures: &mut [Capture]) {
    let mut buffer = BlockBuffer::default();
    for (number, segment) in (0u32..).zip(&inputs.segments) {
        let Some(capture) = captures.get_mut(segment.capture as usize) else { continue };
        for (index, block) in segment.reader.blocks().iter().enumerate() {
            let header = &block.header;
            if has_handshakes(header) && segment.reader.read_block(index, &mut buffer).is_ok() {
                add_hellos(capture, buffer.raw(), number, header.first_record);
            }
        }
    }
    captures.iter_mut().for_each(|capture| capture.handshakes.finish());
}

/// Takes in the TLS hellos and the library calls of one block.
pub(super) fn add_hellos(capture: &mut Capture, raw: &[u8], segment: u32, first_record: u64) {
    for (number, record) in (first_record..).zip(Records::new(raw)) {
        let Ok(record) = record else { return };
        if record.kind() == TlsHello::KIND
            && let Ok(hello) = TlsHello::decode(&record)
        {
            capture.handshakes.add(&record.header, &hello, segment, number);
        } else if record.kind() == ApiCall::KIND
            && let Ok(call) = ApiCall::decode(&record)
        {
            capture.calls.add(&record.header, &call);
        }
    }
}

/// Takes in one lifecycle block. What is malformed in it is told when pass 2 or `verify` comes by.
pub(super) fn apply(capture: &mut Capture, raw: &[u8]) {
    for record in Records::new(raw).flatten() {
        let _ = capture.apply(&record);
    }
}
