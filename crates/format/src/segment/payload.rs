//! From a block's zstd frame to its records: checksum, decompression, structure.

use super::block::BlockHeader;
use super::fault::Fault;
use crate::record::Records;

/// A block's records, decompressed. Reuse one for many blocks: its memory and decompressor are kept.
#[derive(Default)]
pub struct BlockBuffer {
    raw: Vec<u8>,
    decompressor: Option<zstd::bulk::Decompressor<'static>>,
}

impl BlockBuffer {
    /// The records' bytes.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The records.
    pub fn records(&self) -> Records<'_> {
        Records::new(&self.raw)
    }

    /// Fills the buffer from `payload`, the zstd frame of the block at `at_bytes`. Empty after an error.
    pub(crate) fn fill(&mut self, header: &BlockHeader, at_bytes: u64, payload: &[u8]) -> Result<(), Fault> {
        self.raw.clear();
        let (block, records) = (header.sequence, u64::from(header.record_count));
        let found = crc32c::crc32c(payload);
        if found != header.payload_crc {
            return Err(Fault::BadChecksum { at_bytes, block, expected: header.payload_crc, found, records });
        }
        let raw_len = header.raw_len as usize;
        let bad = Fault::BadCompression { at_bytes, block, raw_len: u64::from(header.raw_len), records };
        // One byte more, so that a frame that holds more than the header says is noticed. The length was capped when
        // the header was decoded.
        self.raw.reserve(raw_len + 1);
        if self.decompressor.is_none() {
            self.decompressor = zstd::bulk::Decompressor::new().ok();
        }
        let Some(decompressor) = &mut self.decompressor else { return Err(bad) };
        match decompressor.decompress_to_buffer(payload, &mut self.raw) {
            Ok(len) if len == raw_len => {}
            _ => {
                self.raw.clear();
                return Err(bad);
            }
        }
        self.check_records(header, at_bytes)
    }

    /// Whether the bytes are exactly the records the header tells of.
    fn check_records(&mut self, header: &BlockHeader, at_bytes: u64) -> Result<(), Fault> {
        let mut count = 0;
        let mut whole = true;
        for record in self.records() {
            if record.is_err() {
                whole = false;
                break;
            }
            count += 1;
        }
        if whole && count == u64::from(header.record_count) {
            return Ok(());
        }
        self.raw.clear();
        let records = u64::from(header.record_count);
        Err(Fault::BadRecords { at_bytes, block: header.sequence, record: count, records })
    }
}
