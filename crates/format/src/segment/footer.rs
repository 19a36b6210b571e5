//! The footer: a cache of everything a reader would otherwise have to scan for, and the trailer that finds it.
//!
//! ```text
//! skippable frame:
//!   FooterFixed | segment header frame (copy) | per block: offset u64 + block header frame (copy) | per kind: kind u64,
//!   count u64 | crc32c
//! skippable frame, the last 44 bytes of the file:
//!   Trailer (32 bytes) | crc32c
//! ```

use super::block::{BlockHeader, DecodedBlock};
use super::frame;
use super::meta::SegmentMeta;
use crate::record::layout::{Le, layout};

/// Opens the content of a footer frame: `CTFOOTER`.
pub const FOOTER_MAGIC: u64 = u64::from_le_bytes(*b"CTFOOTER");
/// Opens the content of the trailer frame: `CTTRAIL1`.
pub const TRAILER_MAGIC: u64 = u64::from_le_bytes(*b"CTTRAIL1");

layout! {
    /// Fixed part of the footer.
    pub struct FooterFixed {
        /// [`FOOTER_MAGIC`].
        magic: u64,
        /// Blocks in the segment.
        blocks: u64,
        /// Records in the segment.
        records: u64,
        /// Bytes of records.
        raw_bytes: u64,
        /// Length of the copy of the segment header frame, bytes.
        header_len: u32,
        /// Number of kinds counted.
        kinds: u32,
        /// Length of the block index, bytes.
        index_len: u64,
    }
}

layout! {
    /// The trailer.
    pub struct Trailer {
        /// [`TRAILER_MAGIC`].
        magic: u64,
        /// Where the footer frame begins in the file.
        footer_offset: u64,
        /// Length of the footer frame, bytes.
        footer_len: u64,
        /// Length of the file, bytes.
        file_len: u64,
    }
}

/// Length of the trailer frame, bytes.
pub const TRAILER_LEN: usize = frame::PREFIX_LEN + Trailer::SIZE + frame::CRC_LEN;

/// Sums over a segment, or over all segments of a capture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Blocks.
    pub blocks: u64,
    /// Records.
    pub records: u64,
    /// Bytes of records.
    pub raw_bytes: u64,
    /// Bytes of files.
    pub file_bytes: u64,
    /// Records by kind number, ascending; kinds from 63 on are counted under 63.
    pub by_kind: Vec<(u16, u64)>,
}

impl Totals {
    /// Adds to the count of a kind.
    pub(crate) fn add_kind(&mut self, kind: u16, count: u64) {
        match self.by_kind.binary_search_by_key(&kind, |(kind, _)| *kind) {
            Ok(at) => {
                if let Some((_, sum)) = self.by_kind.get_mut(at) {
                    *sum += count;
                }
            }
            Err(at) => self.by_kind.insert(at, (kind, count)),
        }
    }

    /// Adds another segment's sums.
    pub fn add(&mut self, other: &Self) {
        self.blocks += other.blocks;
        self.records += other.records;
        self.raw_bytes += other.raw_bytes;
        self.file_bytes += other.file_bytes;
        for (kind, count) in &other.by_kind {
            self.add_kind(*kind, *count);
        }
    }
}

/// Where a block is in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockEntry {
    /// Its header.
    pub header: BlockHeader,
    /// Where its header frame begins.
    pub offset: u64,
    /// Where its zstd frame begins.
    pub payload_offset: u64,
}

/// A footer, decoded.
#[derive(Debug, Clone)]
pub(crate) struct Footer {
    pub meta: SegmentMeta,
    /// The segment header frame as it must stand at the start of the file.
    pub header_frame: Vec<u8>,
    pub blocks: Vec<BlockEntry>,
    pub totals: Totals,
    /// Blocks of unknown type: where each begins.
    pub unknown: Vec<u64>,
}

/// Appends footer and trailer. `index` is, for each block, its offset and its header frame.
pub(crate) fn encode(out: &mut Vec<u8>, footer_offset: u64, header_frame: &[u8], index: &[u8], totals: &Totals) {
    let fixed = FooterFixed {
        magic: FOOTER_MAGIC,
        blocks: totals.blocks,
        records: totals.records,
        raw_bytes: totals.raw_bytes,
        header_len: u32::try_from(header_frame.len()).unwrap_or(u32::MAX),
        kinds: u32::try_from(totals.by_kind.len()).unwrap_or(u32::MAX),
        index_len: index.len() as u64,
    };
    let footer_len = frame::encode(out, |out| {
        fixed.encode(out);
        out.extend_from_slice(header_frame);
        out.extend_from_slice(index);
        for (kind, count) in &totals.by_kind {
            u64::from(*kind).put(out);
            count.put(out);
        }
    }) as u64;
    let file_len = footer_offset + footer_len + TRAILER_LEN as u64;
    let trailer = Trailer { magic: TRAILER_MAGIC, footer_offset, footer_len, file_len };
    frame::encode(out, |out| trailer.encode(out));
}

impl Trailer {
    /// Decodes the trailer frame, the last [`TRAILER_LEN`] bytes of a file of `file_len` bytes.
    pub(crate) fn find(last_bytes: &[u8], file_len: u64) -> Option<Self> {
        let trailer = Self::decode(frame::content(last_bytes)?);
        let end = trailer.footer_offset.checked_add(trailer.footer_len)?.checked_add(TRAILER_LEN as u64)?;
        (trailer.magic == TRAILER_MAGIC && trailer.file_len == file_len && end == file_len).then_some(trailer)
    }
}

impl Footer {
    /// Decodes a whole footer frame of a file whose footer begins at `footer_offset`.
    pub fn decode(bytes: &[u8], footer_offset: u64) -> Option<Self> {
        let content = frame::content(bytes)?;
        let fixed = FooterFixed::decode(content);
        if fixed.magic != FOOTER_MAGIC {
            return None;
        }
        let rest = content.get(FooterFixed::SIZE..)?;
        let (header_frame, rest) = rest.split_at_checked(usize::try_from(fixed.header_len).ok()?)?;
        let (index, mut kinds) = rest.split_at_checked(usize::try_from(fixed.index_len).ok()?)?;
        let meta = SegmentMeta::decode(header_frame).ok()?;
        let (blocks, unknown) = decode_index(index, footer_offset)?;
        let mut totals =
            Totals { blocks: fixed.blocks, records: fixed.records, raw_bytes: fixed.raw_bytes, ..Totals::default() };
        while let Some((entry, rest)) = kinds.split_at_checked(16) {
            totals.add_kind(u16::try_from(u64::get(entry, 0)).ok()?, u64::get(entry, 8));
            kinds = rest;
        }
        Some(Self { meta, header_frame: header_frame.to_vec(), blocks, totals, unknown })
    }
}

fn decode_index(mut index: &[u8], footer_offset: u64) -> Option<(Vec<BlockEntry>, Vec<u64>)> {
    let mut blocks = Vec::new();
    let mut unknown = Vec::new();
    let mut end_of_last = 0;
    while !index.is_empty() {
        let offset = u64::get(index.get(..8)?, 0);
        let frames = index.get(8..)?;
        let length = frame::length(frames)?;
        let decoded = BlockHeader::decode(frames.get(..length)?)?;
        index = frames.get(length..)?;
        let payload_offset = offset.checked_add(length as u64)?;
        let compressed_len = match &decoded {
            DecodedBlock::Known(header) => header.compressed_len,
            DecodedBlock::Unknown { compressed_len } => *compressed_len,
        };
        // Blocks stand one behind the other, before the footer.
        let end = payload_offset.checked_add(u64::from(compressed_len))?;
        if offset < end_of_last || end > footer_offset {
            return None;
        }
        end_of_last = end;
        match decoded {
            DecodedBlock::Known(header) => blocks.push(BlockEntry { header, offset, payload_offset }),
            DecodedBlock::Unknown { .. } => unknown.push(offset),
        }
    }
    Some((blocks, unknown))
}
