//! zstd skippable frames: how our metadata hides in a valid .zst file.
//!
//! ```text
//! 0        4        8
//! ┌────────┬────────┬───────────────────────────┬───────┐
//! │ magic  │ length │ content                   │ crc32c│   length = content + 4
//! └────────┴────────┴───────────────────────────┴───────┘
//! ```
//! The checksum covers everything before it, prefix included. Source of the frame: RFC 8878, section 3.1.2.

use crate::record::layout::Le;

/// Which of the sixteen skippable-frame magics is ours.
pub const SKIPPABLE_MAGIC: u32 = 0x184D_2A5C;

/// Bytes of magic and length.
pub const PREFIX_LEN: usize = 8;

/// Bytes of the checksum.
pub const CRC_LEN: usize = 4;

/// Builds one skippable frame around what `content` appends; returns its length.
pub(crate) fn encode(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) -> usize {
    let start = out.len();
    SKIPPABLE_MAGIC.put(out);
    0u32.put(out);
    content(out);
    let length = u32::try_from(out.len() - start - PREFIX_LEN + CRC_LEN).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(start + 4..start + PREFIX_LEN) {
        field.copy_from_slice(&length.to_le_bytes());
    }
    let crc = crc32c::crc32c(out.get(start..).unwrap_or_default());
    crc.put(out);
    out.len() - start
}

/// Whole length of the frame that begins `bytes`; `None` when it is not one of ours.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < PREFIX_LEN || u32::get(bytes, 0) != SKIPPABLE_MAGIC {
        return None;
    }
    let content = usize::try_from(u32::get(bytes, 4)).ok()?;
    (content >= CRC_LEN).then(|| PREFIX_LEN + content)
}

/// The content of a whole frame whose checksum holds.
pub(crate) fn content(frame: &[u8]) -> Option<&[u8]> {
    if length(frame)? != frame.len() {
        return None;
    }
    let (covered, crc) = frame.split_at_checked(frame.len() - CRC_LEN)?;
    if crc32c::crc32c(covered) != u32::get(crc, 0) {
        return None;
    }
    covered.get(PREFIX_LEN..)
}
