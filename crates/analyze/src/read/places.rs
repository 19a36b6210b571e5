//! Blocks by their place in the inputs, decompressed in parallel and handed on in order.

use super::BATCH_BLOCKS;
use crate::capture::Capture;
use crate::read::input::Inputs;
use crypto_trace_format::segment::{BlockBuffer, BlockEntry, BlockHeader, BlockType, Fault, TgidSummary};
use foldhash::fast::RandomState;
use rayon::prelude::*;
use std::collections::HashSet;

/// A block of the inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Number of its segment.
    pub segment: u32,
    /// Its number there.
    pub block: usize,
}

impl Place {
    /// What is known of it without reading it.
    pub fn entry(self, inputs: &Inputs) -> Option<&BlockEntry> {
        inputs.segments.get(self.segment as usize)?.reader.blocks().get(self.block)
    }
}

/// All blocks, in the order of the inputs.
pub(super) fn all_blocks(inputs: &Inputs) -> impl Iterator<Item = (Place, &BlockHeader)> {
    (0u32..).zip(&inputs.segments).flat_map(|(segment, of)| {
        let blocks = of.reader.blocks().iter().enumerate();
        blocks.map(move |(block, entry)| (Place { segment, block }, &entry.header))
    })
}

/// Those with records about processes and about the capture itself.
pub(super) fn lifecycle_blocks(inputs: &Inputs) -> impl Iterator<Item = (Place, &BlockHeader)> {
    all_blocks(inputs).filter(|(_, header)| header.block_type == BlockType::Lifecycle)
}

/// Reads blocks. `map` looks at each, on many threads; `each` is called in their order with what is readable, or what is wrong,
/// and what `map` made of it.
pub(super) fn for_blocks<T: Send + Default>(
    inputs: &Inputs,
    places: &[Place],
    map: impl Fn(&BlockHeader, &[u8]) -> T + Sync,
    mut each: impl FnMut(Place, Result<&[u8], Fault>, T),
) {
    let mut buffers: Vec<BlockBuffer> = Vec::new();
    buffers.resize_with(BATCH_BLOCKS.min(places.len()), BlockBuffer::default);
    let read = |place: &Place, buffer: &mut BlockBuffer| {
        let (segment, entry) = (inputs.segments.get(place.segment as usize)?, place.entry(inputs)?);
        let read = segment.reader.read_block(place.block, buffer);
        Some(read.map(|()| map(&entry.header, buffer.raw())))
    };
    for batch in places.chunks(BATCH_BLOCKS) {
        let made: Vec<_> = batch.par_iter().zip(&mut buffers).map(|(place, buffer)| read(place, buffer)).collect();
        for ((place, made), buffer) in batch.iter().zip(made).zip(&buffers) {
            match made {
                Some(Ok(made)) => each(*place, Ok(buffer.raw()), made),
                Some(Err(fault)) => each(*place, Err(fault), T::default()),
                None => {}
            }
        }
    }
}

/// Number of the capture that a block belongs to.
pub(super) fn index_of(inputs: &Inputs, place: Place) -> Option<usize> {
    inputs.segments.get(place.segment as usize).map(|segment| segment.capture as usize)
}

/// The capture that a block belongs to.
pub(super) fn capture_of<'c>(inputs: &Inputs, captures: &'c mut [Capture], place: Place) -> Option<&'c mut Capture> {
    captures.get_mut(index_of(inputs, place)?)
}

/// Whether any of these processes may have records in a block.
pub(super) fn may_contain_any(summary: &TgidSummary, tgids: &HashSet<u32, RandomState>) -> bool {
    match summary {
        TgidSummary::Exact(list) => list.iter().any(|tgid| tgids.contains(tgid)),
        TgidSummary::Bloom(_) => tgids.iter().any(|tgid| summary.may_contain(*tgid)),
    }
}
