//! The footer: the last frame of a sealed segment. A cache of what a forward scan would find, and a second copy of every
//! header, so that damage to a header costs nothing.
//!
//! ```text
//! 0            72              +header_len     +index_len           +16*kind_count  +32
//! ┌────────────┬───────────────┬───────────────┬────────────────────┬───────────────┐
//! │ FooterHead │ segment header│ index         │ kinds              │ Trailer       │
//! └────────────┴───────────────┴───────────────┴────────────────────┴───────────────┘
//! index entry: u64 offset from the start of the segment, then the whole block header frame
//! kind entry:  KindCount
//! ```

use super::MAX_FOOTER_BYTES;
use super::block::{FoundBlock, decode_block_header};
use super::frame::{FOOTER_MAGIC, FrameHead, SKIPPABLE_MAGIC, TRAILER_MAGIC, checked_crc, set_frame_len, u64_at};
use super::header::{HeaderError, MAX_HEADER_LEN, decode_header};
use super::meta::SegmentMeta;
use crate::record::layout::layout;

layout! {
    /// Fixed part of a footer.
    pub struct FooterHead {
        /// `5C 2A 4D 18`, a zstd skippable frame.
        skippable_magic: u32,
        /// Bytes of the frame after this field.
        frame_len: u32,
        /// `CTSEG` `1A` `FT`.
        magic: u64,
        /// Segment tag, as in block headers.
        tag: u64,
        /// Bytes of the segment, from its header to the end of this frame.
        segment_len: u64,
        /// Bytes of the copy of the segment header frame.
        header_len: u32,
        /// Bytes of the block index; 0 with blocks present means that it was left out for its size.
        index_len: u32,
        /// Data blocks in the segment.
        block_count: u64,
        /// Records in the segment.
        record_count: u64,
        /// Bytes of records, uncompressed.
        raw_bytes: u64,
        /// Entries of the kind table.
        kind_count: u32,
        /// Zero.
        reserved: u32,
    }
}

layout! {
    /// One entry of a footer's kind table.
    pub struct KindCount {
        /// Record kind.
        kind: u16,
        /// Zero.
        reserved0: u16,
        /// Zero.
        reserved1: u32,
        /// Records of that kind in the segment.
        count: u64,
    }
}

layout! {
    /// The last 32 bytes of a sealed segment.
    pub struct Trailer {
        /// `CTSEG` `1A` `ND`.
        magic: u64,
        /// Segment tag, as in block headers.
        tag: u64,
        /// Length of the footer frame, which ends with this trailer.
        footer_len: u64,
        /// Zero.
        reserved: u32,
        /// CRC32C of the footer frame up to here.
        crc: u32,
    }
}

/// Most kinds a footer's table may list.
const MAX_KINDS: u32 = 1 << 16;

/// Sums over a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Data blocks.
    pub blocks: u64,
    /// Records.
    pub records: u64,
    /// Bytes of records, uncompressed.
    pub raw_bytes: u64,
    /// Bytes of the file so far, headers and footer included.
    pub file_bytes: u64,
    /// Records of each kind, ascending by kind.
    pub by_kind: Vec<(u16, u64)>,
}

impl Totals {
    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.blocks += other.blocks;
        self.records += other.records;
        self.raw_bytes += other.raw_bytes;
        self.file_bytes += other.file_bytes;
        for (kind, count) in &other.by_kind {
            self.add_kind(*kind, *count);
        }
    }

    pub(crate) fn add_kind(&mut self, kind: u16, count: u64) {
        match self.by_kind.binary_search_by_key(&kind, |(known, _)| *known) {
            Ok(place) => {
                self.by_kind.iter_mut().skip(place).take(1).for_each(|(_, sum)| *sum = sum.saturating_add(count))
            }
            Err(place) => self.by_kind.insert(place, (kind, count)),
        }
    }
}

/// A footer that was found good.
#[derive(Debug)]
pub(crate) struct Footer {
    pub(crate) meta: SegmentMeta,
    pub(crate) header_frame: Vec<u8>,
    pub(crate) len: u64,
    pub(crate) segment_len: u64,
    pub(crate) totals: Totals,
    /// Blocks with their offsets from the start of the segment; `None` when the footer has no index.
    pub(crate) index: Option<Vec<(u64, FoundBlock)>>,
}

/// Appends an index entry.
pub(crate) fn push_index_entry(index: &mut Vec<u8>, offset: u64, header_frame: &[u8]) {
    index.extend_from_slice(&offset.to_le_bytes());
    index.extend_from_slice(header_frame);
}

/// Encodes the footer frame; `offset` is its place in the segment. `index` may be empty: left out.
pub(crate) fn encode_footer(tag: u64, header_frame: &[u8], index: &[u8], totals: &Totals, offset: u64) -> Vec<u8> {
    let kinds_len = totals.by_kind.len() * KindCount::SIZE;
    let len = FooterHead::SIZE + header_frame.len() + index.len() + kinds_len + Trailer::SIZE;
    let short = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(len);
    FooterHead {
        skippable_magic: SKIPPABLE_MAGIC,
        frame_len: 0,
        magic: FOOTER_MAGIC,
        tag,
        segment_len: offset + len as u64,
        header_len: short(header_frame.len()),
        index_len: short(index.len()),
        block_count: totals.blocks,
        record_count: totals.records,
        raw_bytes: totals.raw_bytes,
        kind_count: short(totals.by_kind.len()),
        reserved: 0,
    }
    .encode(&mut out);
    out.extend_from_slice(header_frame);
    out.extend_from_slice(index);
    for (kind, count) in &totals.by_kind {
        KindCount { kind: *kind, count: *count, ..KindCount::default() }.encode(&mut out);
    }
    Trailer { magic: TRAILER_MAGIC, tag, footer_len: len as u64, reserved: 0, crc: 0 }.encode(&mut out);
    set_frame_len(&mut out, len);
    out.truncate(len - 4);
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// Length of the footer that a trailer ends, when these bytes are a trailer. Nothing else about it is checked.
pub(crate) fn footer_len_of_trailer(bytes: &[u8]) -> Option<usize> {
    let trailer = Trailer::decode(bytes);
    let len = usize::try_from(trailer.footer_len).ok()?;
    let possible = (FooterHead::SIZE + Trailer::SIZE..=MAX_FOOTER_BYTES).contains(&len);
    (bytes.len() == Trailer::SIZE && trailer.magic == TRAILER_MAGIC && possible).then_some(len)
}

/// Whether the lengths in the first [`FooterHead::SIZE`] bytes agree with each other.
pub(crate) fn footer_lengths_agree(head: &[u8]) -> bool {
    let fixed = FooterHead::decode(head);
    FrameHead::decode(head).is_some_and(|frame| frame.len == footer_len(&fixed))
}

fn footer_len(fixed: &FooterHead) -> usize {
    let kinds = fixed.kind_count.min(MAX_KINDS) as usize * KindCount::SIZE;
    FooterHead::SIZE + fixed.header_len as usize + fixed.index_len as usize + kinds + Trailer::SIZE
}

/// Decodes a whole footer frame; [`HeaderError::Damaged`] when its checksum is bad or its content impossible.
pub(crate) fn decode_footer(frame: &[u8]) -> Result<Footer, HeaderError> {
    let damaged = HeaderError::Damaged;
    let fixed = FooterHead::decode(frame);
    if fixed.magic != FOOTER_MAGIC
        || !footer_lengths_agree(frame)
        || frame.len() != footer_len(&fixed)
        || checked_crc(frame).is_none()
        || fixed.header_len as usize > MAX_HEADER_LEN
        || fixed.segment_len < frame.len() as u64
    {
        return Err(damaged);
    }
    let rest = frame.get(FooterHead::SIZE..).unwrap_or_default();
    let (header_frame, rest) = rest.split_at_checked(fixed.header_len as usize).ok_or(HeaderError::Damaged)?;
    let (index, rest) = rest.split_at_checked(fixed.index_len as usize).ok_or(HeaderError::Damaged)?;
    let kinds = rest.get(..rest.len() - Trailer::SIZE).unwrap_or_default();
    let meta = decode_header(header_frame)?;
    let by_kind: Vec<(u16, u64)> =
        kinds.chunks_exact(KindCount::SIZE).map(KindCount::decode).map(|entry| (entry.kind, entry.count)).collect();
    let totals = Totals {
        blocks: fixed.block_count,
        records: fixed.record_count,
        raw_bytes: fixed.raw_bytes,
        file_bytes: fixed.segment_len,
        by_kind,
    };
    let footer_offset = fixed.segment_len - frame.len() as u64;
    let index = match index {
        [] if fixed.block_count > 0 => None,
        _ => Some(decode_index(index, &fixed, footer_offset).ok_or(damaged)?),
    };
    if meta.segment_tag() != fixed.tag || !totals.by_kind.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(HeaderError::Damaged);
    }
    let (len, segment_len) = (frame.len() as u64, fixed.segment_len);
    Ok(Footer { meta, header_frame: header_frame.to_vec(), len, segment_len, totals, index })
}

/// Decodes the index. It must tell of blocks one directly after the other, from the segment header to the footer.
fn decode_index(mut index: &[u8], footer: &FooterHead, footer_offset: u64) -> Option<Vec<(u64, FoundBlock)>> {
    let mut blocks = Vec::new();
    let (mut offset, mut record) = (u64::from(footer.header_len), 0);
    while !index.is_empty() {
        let (place, rest) = index.split_first_chunk::<8>()?;
        let (frame, rest) = rest.split_at_checked(FrameHead::decode(rest)?.len)?;
        let block = decode_block_header(frame)?;
        let header = &block.header;
        if u64_at(place, 0) != offset
            || block.tag != footer.tag
            || header.sequence != blocks.len() as u64
            || header.first_record != record
        {
            return None;
        }
        let start = offset;
        offset += frame.len() as u64 + u64::from(header.compressed_len);
        record += u64::from(header.record_count);
        blocks.push((start, block));
        index = rest;
    }
    let complete =
        offset == footer_offset && blocks.len() as u64 == footer.block_count && record == footer.record_count;
    complete.then_some(blocks)
}
