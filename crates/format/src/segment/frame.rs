//! What all our skippable frames have in common: prefix, inner magic, padding and checksum.
//!
//! ```text
//! 0          4       8                16                      len-8   len-4    len
//! ┌──────────┬───────┬────────────────┬──────────────┬───────┬───────┬────────┐
//! │ 5C2A4D18 │ len-8 │ "CTSEG" 1A tag │ fields, data │ zeros │ zero  │ CRC32C │
//! └──────────┴───────┴────────────────┴──────────────┴───────┴───────┴────────┘
//! ```
//!
//! A frame's length is a multiple of 8. The CRC covers every byte of the frame before it, the zstd prefix included. What a
//! frame means is defined by `header`, `block` and `footer`.

/// The zstd skippable magic we use (any of 0x184D2A50..=0x184D2A5F is skipped by zstd; RFC 8878 section 3.1.2).
pub(crate) const SKIPPABLE_MAGIC: u32 = 0x184D_2A5C;

/// Bytes that zstd wants before a skippable frame's content: magic and content length.
pub(crate) const ZSTD_PREFIX_LEN: usize = 8;

/// zstd prefix and inner magic.
pub(crate) const FRAME_HEAD_LEN: usize = ZSTD_PREFIX_LEN + 8;

/// Zero word and CRC that end a frame.
pub(crate) const FRAME_END_LEN: usize = 8;

/// First bytes of every inner magic: what resynchronisation looks for.
pub(crate) const MAGIC_STEM: [u8; 6] = *b"CTSEG\x1a";

/// Inner magic of a segment header.
pub(crate) const HEADER_MAGIC: u64 = magic(*b"HD");
/// Inner magic of a block header.
pub(crate) const BLOCK_MAGIC: u64 = magic(*b"BK");
/// Inner magic of a footer.
pub(crate) const FOOTER_MAGIC: u64 = magic(*b"FT");
/// Magic of the trailer, which is the end of a footer.
pub(crate) const TRAILER_MAGIC: u64 = magic(*b"ND");

const fn magic([x, y]: [u8; 2]) -> u64 {
    let [a, b, c, d, e, f] = MAGIC_STEM;
    u64::from_le_bytes([a, b, c, d, e, f, x, y])
}

/// The first 16 bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    /// Length of the whole frame, zstd prefix included.
    pub(crate) len: usize,
    pub(crate) magic: u64,
}

impl FrameHead {
    /// Reads the head of one of our frames; `None` when this is no such frame.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, _) = bytes.split_first_chunk::<FRAME_HEAD_LEN>()?;
        if !may_begin_frame(head) {
            return None;
        }
        let len = u32_at(head, 4) as usize + ZSTD_PREFIX_LEN;
        (len >= FRAME_HEAD_LEN + FRAME_END_LEN).then(|| Self { len, magic: u64_at(head, 8) })
    }
}

/// Whether `bytes`, which may be cut short, agrees with the constant bytes at the start of our frames.
pub(crate) fn may_begin_frame(bytes: &[u8]) -> bool {
    fn agree<'a>(have: impl IntoIterator<Item = &'a u8>, want: &[u8]) -> bool {
        have.into_iter().zip(want).all(|(have, want)| have == want)
    }
    agree(bytes, &SKIPPABLE_MAGIC.to_le_bytes()) && agree(bytes.get(8..).unwrap_or_default(), &MAGIC_STEM)
}

/// Rounds up to a multiple of 8.
pub(crate) const fn pad8(len: usize) -> usize {
    len.next_multiple_of(8)
}

/// Pads `frame`, which begins with its prefix, sets its length and appends its checksum.
pub(crate) fn finish_frame(frame: &mut Vec<u8>) {
    frame.resize(pad8(frame.len()) + 4, 0);
    let len = frame.len() + 4;
    set_frame_len(frame, len);
    let crc = crc32c::crc32c(frame);
    frame.extend_from_slice(&crc.to_le_bytes());
}

/// Sets the length in the prefix of a frame of `len` bytes.
pub(crate) fn set_frame_len(frame: &mut [u8], len: usize) {
    let content = u32::try_from(len.saturating_sub(ZSTD_PREFIX_LEN)).unwrap_or(u32::MAX);
    if let Some(field) = frame.get_mut(4..8) {
        field.copy_from_slice(&content.to_le_bytes());
    }
}

/// The checksum that ends `frame`, when it is the right one.
pub(crate) fn checked_crc(frame: &[u8]) -> Option<u32> {
    let (covered, crc) = frame.split_last_chunk::<4>()?;
    let crc = u32::from_le_bytes(*crc);
    (crc32c::crc32c(covered) == crc).then_some(crc)
}

/// Little-endian u32 at `offset`; zero past the end.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(|tail| tail.first_chunk()).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// Little-endian u64 at `offset`; zero past the end.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    bytes.get(offset..).and_then(|tail| tail.first_chunk()).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_frame_checks_and_any_flip_breaks_it() {
        let mut frame = Vec::new();
        frame.extend_from_slice(&SKIPPABLE_MAGIC.to_le_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(&BLOCK_MAGIC.to_le_bytes());
        frame.extend_from_slice(b"12345");
        finish_frame(&mut frame);
        assert_eq!(frame.len() % 8, 0);
        assert_eq!(FrameHead::decode(&frame), Some(FrameHead { len: frame.len(), magic: BLOCK_MAGIC }));
        assert!(checked_crc(&frame).is_some());
        for bit in 0..frame.len() * 8 {
            let mut bad = frame.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(checked_crc(&bad).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn every_prefix_of_a_frame_may_begin_one() {
        let mut frame = SKIPPABLE_MAGIC.to_le_bytes().to_vec();
        frame.extend_from_slice(&[9; 4]);
        frame.extend_from_slice(&MAGIC_STEM);
        for len in 0..frame.len() {
            assert!(may_begin_frame(&frame[..len]), "{len}");
        }
        assert!(!may_begin_frame(b"x"));
        assert!(!may_begin_frame(&[0x28, 0xb5, 0x2f, 0xfd]));
    }
}
