//! The segment header: the first frame of a segment, and its copy in the footer.
//!
//! ```text
//! 0          16      20        24      28        32          48        56     72
//! ┌──────────┬───────┬─────────┬───────┬─────────┬───────────┬─────────┬──────┬──────┬─────┐
//! │FrameHead │version│ incompat│ compat│ meta_len│ capture id│ sequence│ clock│ blob │ end │
//! └──────────┴───────┴─────────┴───────┴─────────┴───────────┴─────────┴──────┴──────┴─────┘
//! ```

use super::frame::{FRAME_END_LEN, FrameHead, HEADER_MAGIC, SKIPPABLE_MAGIC, checked_crc, finish_frame, pad8};
use super::meta::{ClockAnchor, SegmentMeta, decode_blob, encode_blob};
use super::{MAJOR, MAX_META_BYTES, MINOR};
use crate::record::layout::layout;

layout! {
    /// Fixed part of a segment header. The first 32 bytes keep their meaning in every major version.
    pub struct SegmentHead {
        /// `5C 2A 4D 18`, a zstd skippable frame.
        skippable_magic: u32,
        /// Bytes of the frame after this field.
        frame_len: u32,
        /// `CTSEG` `1A` `HD`.
        magic: u64,
        /// Major version; a reader refuses one it does not know.
        major: u16,
        /// Minor version; a reader ignores it.
        minor: u16,
        /// Features without which the segment cannot be read; a reader refuses bits it does not know. None yet.
        incompat: u32,
        /// Features a reader may ignore. None yet.
        compat: u32,
        /// Length of the metadata blob, at most 1 MiB.
        meta_len: u32,
        /// Capture id, random, the same in all segments of a capture.
        capture_id: [u8; 16],
        /// Number of the segment in its capture, from 0.
        sequence: u64,
        /// `CLOCK_BOOTTIME` at the start of the segment, ns.
        boottime_ns: u64,
        /// `CLOCK_REALTIME` read together with it, ns since 1970-01-01 UTC.
        realtime_ns: i64,
    }
}

/// Longest segment header frame.
pub(crate) const MAX_HEADER_LEN: usize = header_len(MAX_META_BYTES);

/// Incompat flags this version understands.
const KNOWN_INCOMPAT: u32 = 0;

const fn header_len(meta_len: usize) -> usize {
    pad8(SegmentHead::SIZE + meta_len) + FRAME_END_LEN
}

/// Why a whole frame is not a segment header to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Bad checksum or impossible content.
    Damaged,
    /// A major version this reader does not know.
    Version(u16),
    /// Incompat flags this reader does not know.
    Incompat(u32),
}

/// Encodes the header frame; `None` when the metadata is too large.
pub(crate) fn encode_header(meta: &SegmentMeta) -> Option<Vec<u8>> {
    let blob = encode_blob(meta)?;
    let mut out = Vec::with_capacity(header_len(blob.len()));
    SegmentHead {
        skippable_magic: SKIPPABLE_MAGIC,
        frame_len: 0,
        magic: HEADER_MAGIC,
        major: MAJOR,
        minor: MINOR,
        incompat: 0,
        compat: 0,
        meta_len: u32::try_from(blob.len()).ok()?,
        capture_id: meta.capture_id,
        sequence: meta.sequence,
        boottime_ns: meta.clock.boottime_ns,
        realtime_ns: meta.clock.realtime_ns,
    }
    .encode(&mut out);
    out.extend_from_slice(&blob);
    finish_frame(&mut out);
    Some(out)
}

/// Whether the lengths in the first [`SegmentHead::SIZE`] bytes agree. Only for a version this reader knows.
pub(crate) fn header_lengths_agree(head: &[u8]) -> bool {
    let fixed = SegmentHead::decode(head);
    fixed.major != MAJOR
        || FrameHead::decode(head).is_some_and(|frame| frame.len == header_len(fixed.meta_len as usize))
}

/// Decodes a whole header frame.
pub(crate) fn decode_header(frame: &[u8]) -> Result<SegmentMeta, HeaderError> {
    let head = FrameHead::decode(frame).ok_or(HeaderError::Damaged)?;
    if head.magic != HEADER_MAGIC || head.len != frame.len() || checked_crc(frame).is_none() {
        return Err(HeaderError::Damaged);
    }
    let fixed = SegmentHead::decode(frame);
    if fixed.major != MAJOR {
        return Err(HeaderError::Version(fixed.major));
    }
    if fixed.incompat & !KNOWN_INCOMPAT != 0 {
        return Err(HeaderError::Incompat(fixed.incompat & !KNOWN_INCOMPAT));
    }
    let blob = SegmentHead::SIZE..SegmentHead::SIZE + fixed.meta_len as usize;
    if frame.len() != header_len(blob.len()) || blob.len() > MAX_META_BYTES {
        return Err(HeaderError::Damaged);
    }
    let meta = frame.get(blob).and_then(decode_blob).ok_or(HeaderError::Damaged)?;
    Ok(SegmentMeta {
        capture_id: fixed.capture_id,
        sequence: fixed.sequence,
        clock: ClockAnchor { boottime_ns: fixed.boottime_ns, realtime_ns: fixed.realtime_ns },
        ..meta
    })
}
