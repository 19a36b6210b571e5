//! A block's payload: checksum, decompression, and the structure of the records in it.

use super::block::BlockHeader;
use super::fault::{Fault, PayloadError};
use crate::record::{Records, well_formed_prefix};
use zstd::zstd_safe::{DCtx, find_frame_compressed_size, get_frame_content_size};

/// A block's raw records, decompressed. Reused between blocks: its memory and decompression context are kept.
#[derive(Default)]
pub struct BlockBuffer {
    raw: Vec<u8>,
    context: Option<DCtx<'static>>,
    /// Where a block's bytes are read to, when they are not mapped.
    pub(crate) scratch: Vec<u8>,
}

impl BlockBuffer {
    /// Records that did not come from a segment, to be treated like those that did.
    pub fn from_raw(raw: Vec<u8>) -> Self {
        Self { raw, ..Self::default() }
    }

    /// The well-formed records, one after the other.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The records. They were checked: every item is `Ok`.
    pub fn records(&self) -> Records<'_> {
        Records::new(&self.raw)
    }

    pub(crate) fn clear(&mut self) {
        self.raw.clear();
    }

    /// Checks and decompresses `payload`, the data frame of the block at `at_bytes`. On an error it holds what is readable.
    pub(crate) fn load(&mut self, at_bytes: u64, header: &BlockHeader, payload: &[u8]) -> Result<(), Fault> {
        self.raw.clear();
        let (block, records) = (header.sequence, u64::from(header.record_count));
        if crc32c::crc32c(payload) != header.payload_crc {
            return Err(Fault::BadChecksum { at_bytes, block, records });
        }
        self.decompress(payload, header.raw_len as usize).map_err(|error| {
            self.raw.clear();
            Fault::BadPayload { at_bytes, block, records, error }
        })?;
        let (found, len) = well_formed_prefix(&self.raw);
        if len < self.raw.len() || found != records {
            self.raw.truncate(len);
            return Err(Fault::BadRecords { at_bytes, block, found, expected: records });
        }
        Ok(())
    }

    /// Decompresses exactly one frame of exactly `raw_len` bytes. Memory is bounded by `raw_len`, which the block header's
    /// decoder bounds.
    fn decompress(&mut self, payload: &[u8], raw_len: usize) -> Result<(), PayloadError> {
        // zstd's one-shot call would go on through skippable and further frames; ours is one data frame and nothing else.
        if payload.first_chunk() != Some(&zstd::zstd_safe::MAGICNUMBER.to_le_bytes())
            || find_frame_compressed_size(payload) != Ok(payload.len())
        {
            return Err(PayloadError::NotOneFrame);
        }
        match get_frame_content_size(payload) {
            Ok(Some(size)) if size == raw_len as u64 => {}
            Ok(Some(_)) => return Err(PayloadError::WrongLength),
            _ => return Err(PayloadError::NotOneFrame),
        }
        let context = match &mut self.context {
            Some(context) => context,
            none => none.insert(DCtx::try_create().ok_or(PayloadError::OutOfMemory)?),
        };
        self.raw.try_reserve(raw_len).map_err(|_| PayloadError::OutOfMemory)?;
        match context.decompress(&mut self.raw, payload) {
            Ok(len) if len == raw_len => Ok(()),
            Ok(_) => Err(PayloadError::WrongLength),
            Err(_) => Err(PayloadError::Undecodable),
        }
    }
}
