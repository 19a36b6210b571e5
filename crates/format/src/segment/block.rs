//! The block header: the skippable frame before each data frame. Enough to skip a block without touching its payload.
//!
//! ```text
//! 0          16     20       24   32       40     48      56    64    72    80      88       96  100 104     len-8
//! ┌──────────┬──────┬────────┬────┬────────┬──────┬───────┬─────┬─────┬─────┬───────┬────────┬───┬───┬───────┬─────┐
//! │FrameHead │type, │ record │tag │sequence│first │min/max│kinds│lost │drop.│raw_len│payload │form/  │ tgids │ end │
//! │          │flags │ count  │    │        │record│ time  │     │     │     │comp.  │crc     │len    │       │     │
//! └──────────┴──────┴────────┴────┴────────┴──────┴───────┴─────┴─────┴─────┴───────┴────────┴───────┴───────┴─────┘
//! ```

use super::frame::{BLOCK_MAGIC, FRAME_END_LEN, FrameHead, SKIPPABLE_MAGIC, checked_crc, finish_frame, pad8};
use super::tgids::{MAX_BLOOM_BYTES, TgidSummary};
use super::{MAX_BLOCK_RAW_BYTES, MAX_PAYLOAD_BYTES};
use crate::record::HEADER_LEN;
use crate::record::layout::layout;

layout! {
    /// Fixed part of a block header.
    pub struct BlockHead {
        /// `5C 2A 4D 18`, a zstd skippable frame.
        skippable_magic: u32,
        /// Bytes of the frame after this field.
        frame_len: u32,
        /// `CTSEG` `1A` `BK`.
        magic: u64,
        /// 1 lifecycle, 2 events. A reader skips and counts blocks of other types.
        block_type: u16,
        /// Bit 0: last block of a flush. A reader ignores other bits.
        flags: u16,
        /// Records in the block.
        record_count: u32,
        /// Segment tag: both halves of the capture id as u64, and the segment's sequence, xored.
        tag: u64,
        /// Number of the block in its segment, from 0.
        sequence: u64,
        /// Number of its first record in its segment, from 0.
        first_record: u64,
        /// Earliest time of a record, `CLOCK_BOOTTIME` ns; all ones in an empty block.
        min_time_ns: u64,
        /// Latest time of a record, `CLOCK_BOOTTIME` ns; 0 in an empty block.
        max_time_ns: u64,
        /// Bit k: a record of kind k is in the block; bit 63: of kind 63 or above.
        kinds: u64,
        /// Records the kernel could not deliver, since the start of the capture.
        lost: u64,
        /// Records user space discarded, since the start of the capture.
        dropped: u64,
        /// Bytes of records, at most 4 MiB + 64 KiB.
        raw_len: u32,
        /// Bytes of the zstd frame that follows this frame.
        compressed_len: u32,
        /// CRC32C of that zstd frame.
        payload_crc: u32,
        /// Form of the tgid summary: 1 exact list, 2 Bloom filter.
        tgid_form: u16,
        /// Bytes of the tgid summary.
        tgid_len: u16,
    }
}

const FLAG_FLUSH_END: u16 = 1 << 0;

/// Longest block header frame.
pub(crate) const MAX_BLOCK_HEADER_LEN: usize = block_header_len(MAX_BLOOM_BYTES);

/// Length of a block header frame.
pub(crate) const fn block_header_len(tgid_len: usize) -> usize {
    pad8(BlockHead::SIZE + tgid_len) + FRAME_END_LEN
}

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockType {
    /// Records about processes and about the capture itself, see [`Kind::is_lifecycle`](crate::record::Kind::is_lifecycle).
    Lifecycle,
    /// Everything else.
    Events,
}

impl BlockType {
    fn code(self) -> u16 {
        match self {
            Self::Lifecycle => 1,
            Self::Events => 2,
        }
    }

    fn from_code(code: u16) -> Option<Self> {
        [Self::Lifecycle, Self::Events].into_iter().find(|block_type| block_type.code() == code)
    }
}

/// A block header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockHeader {
    /// What the block holds.
    pub block_type: BlockType,
    /// Number of the block in its segment, from 0.
    pub sequence: u64,
    /// Number of its first record in its segment, from 0.
    pub first_record: u64,
    /// Records in the block.
    pub record_count: u32,
    /// Earliest time of a record, `CLOCK_BOOTTIME` ns; `u64::MAX` in an empty block.
    pub min_time_ns: u64,
    /// Latest time of a record, `CLOCK_BOOTTIME` ns; 0 in an empty block.
    pub max_time_ns: u64,
    /// Bytes of records.
    pub raw_len: u32,
    /// Bytes of the zstd frame.
    pub compressed_len: u32,
    /// Kinds in the block, see [`Kind::bit`](crate::record::Kind::bit).
    pub kinds: u64,
    /// Processes in the block.
    pub tgids: TgidSummary,
    /// Records the kernel could not deliver, cumulative over the capture up to this block.
    pub lost: u64,
    /// Records user space discarded, cumulative over the capture up to this block.
    pub dropped: u64,
    /// Last block of a flush: everything captured up to now has been written (live readers may show it).
    pub flush_end: bool,
    /// CRC32C of the zstd frame.
    pub payload_crc: u32,
}

/// A block header frame as found: its header, and what the public header leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundBlock {
    pub(crate) header: BlockHeader,
    /// Of a type this version does not know; `header.block_type` is then meaningless.
    pub(crate) unknown_type: bool,
    pub(crate) tag: u64,
    pub(crate) frame_len: usize,
    pub(crate) frame_crc: u32,
}

/// Appends the header frame to the empty `out`.
pub(crate) fn encode_block_header(header: &BlockHeader, tag: u64, out: &mut Vec<u8>) {
    debug_assert!(out.is_empty());
    BlockHead {
        skippable_magic: SKIPPABLE_MAGIC,
        frame_len: 0,
        magic: BLOCK_MAGIC,
        block_type: header.block_type.code(),
        flags: if header.flush_end { FLAG_FLUSH_END } else { 0 },
        record_count: header.record_count,
        tag,
        sequence: header.sequence,
        first_record: header.first_record,
        min_time_ns: header.min_time_ns,
        max_time_ns: header.max_time_ns,
        kinds: header.kinds,
        lost: header.lost,
        dropped: header.dropped,
        raw_len: header.raw_len,
        compressed_len: header.compressed_len,
        payload_crc: header.payload_crc,
        tgid_form: header.tgids.form(),
        tgid_len: u16::try_from(header.tgids.encoded_len()).unwrap_or(u16::MAX),
    }
    .encode(out);
    header.tgids.encode(out);
    finish_frame(out);
}

/// Whether the lengths in the first [`BlockHead::SIZE`] bytes agree with each other.
pub(crate) fn block_lengths_agree(head: &[u8]) -> bool {
    let tgid_len = usize::from(BlockHead::decode(head).tgid_len);
    FrameHead::decode(head).is_some_and(|frame| frame.len == block_header_len(tgid_len))
}

/// Decodes a whole block header frame; `None` when its checksum is bad or its content impossible.
pub(crate) fn decode_block_header(frame: &[u8]) -> Option<FoundBlock> {
    let fixed = BlockHead::decode(frame);
    if fixed.magic != BLOCK_MAGIC || !block_lengths_agree(frame) || FrameHead::decode(frame)?.len != frame.len() {
        return None;
    }
    let frame_crc = checked_crc(frame)?;
    let block_type = BlockType::from_code(fixed.block_type);
    let tgids = frame.get(BlockHead::SIZE..BlockHead::SIZE + usize::from(fixed.tgid_len))?;
    let possible = fixed.raw_len as usize <= MAX_BLOCK_RAW_BYTES
        && fixed.compressed_len as usize <= MAX_PAYLOAD_BYTES
        && fixed.record_count as usize <= fixed.raw_len as usize / HEADER_LEN
        && fixed.first_record.checked_add(u64::from(fixed.record_count)).is_some()
        && fixed.sequence != u64::MAX;
    if !possible {
        return None;
    }
    let header = BlockHeader {
        block_type: block_type.unwrap_or(BlockType::Events),
        sequence: fixed.sequence,
        first_record: fixed.first_record,
        record_count: fixed.record_count,
        min_time_ns: fixed.min_time_ns,
        max_time_ns: fixed.max_time_ns,
        raw_len: fixed.raw_len,
        compressed_len: fixed.compressed_len,
        kinds: fixed.kinds,
        tgids: TgidSummary::decode(fixed.tgid_form, tgids)?,
        lost: fixed.lost,
        dropped: fixed.dropped,
        flush_end: fixed.flags & FLAG_FLUSH_END != 0,
        payload_crc: fixed.payload_crc,
    };
    Some(FoundBlock { header, unknown_type: block_type.is_none(), tag: fixed.tag, frame_len: frame.len(), frame_crc })
}
