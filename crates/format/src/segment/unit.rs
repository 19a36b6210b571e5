//! Where the units of a segment end, for reading one while it is written.
//!
//! A unit is a frame of ours, and of a block also the data frame after it. A writer that cannot finish a unit cuts the file
//! back to its beginning, so only whole units may be taken from a file that is still written to.

use super::block::{BlockHead, MAX_BLOCK_HEADER_LEN, block_lengths_agree, decode_block_header};
use super::footer::{FooterHead, footer_lengths_agree};
use super::frame::{BLOCK_MAGIC, FOOTER_MAGIC, FRAME_HEAD_LEN, FrameHead, HEADER_MAGIC, checked_crc, may_begin_frame};
use super::header::{MAX_HEADER_LEN, SegmentHead, header_lengths_agree};
use super::{MAX_FOOTER_BYTES, MAX_META_BYTES};

/// What is at the beginning of some bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A whole unit of this many bytes.
    Whole {
        /// Its length.
        len: usize,
        /// It is a footer, with which a segment ends.
        is_footer: bool,
    },
    /// The beginning of a unit, or nothing.
    Part,
    /// No unit: damage.
    Damaged,
}

/// The unit at the beginning of `bytes`.
pub fn unit_at(bytes: &[u8]) -> Unit {
    let Some(head) = bytes.get(..FRAME_HEAD_LEN) else {
        return if may_begin_frame(bytes) { Unit::Part } else { Unit::Damaged };
    };
    let Some(FrameHead { len, magic }) = FrameHead::decode(head) else { return Unit::Damaged };
    let (fixed_len, max_len, lengths_agree): (_, _, fn(&[u8]) -> bool) = match magic {
        HEADER_MAGIC => (SegmentHead::SIZE, MAX_HEADER_LEN, header_lengths_agree),
        BLOCK_MAGIC => (BlockHead::SIZE, MAX_BLOCK_HEADER_LEN, block_lengths_agree),
        FOOTER_MAGIC => (FooterHead::SIZE, MAX_FOOTER_BYTES, footer_lengths_agree),
        _ => (FRAME_HEAD_LEN, MAX_META_BYTES, |_| true),
    };
    if len > max_len || len < fixed_len {
        return Unit::Damaged;
    }
    let Some(fixed) = bytes.get(..fixed_len) else { return Unit::Part };
    if !lengths_agree(fixed) {
        return Unit::Damaged;
    }
    let Some(frame) = bytes.get(..len) else { return Unit::Part };
    if checked_crc(frame).is_none() {
        return Unit::Damaged;
    }
    if magic != BLOCK_MAGIC {
        return Unit::Whole { len, is_footer: magic == FOOTER_MAGIC };
    }
    let Some(block) = decode_block_header(frame) else { return Unit::Damaged };
    let whole = len + block.header.compressed_len as usize;
    if bytes.len() < whole { Unit::Part } else { Unit::Whole { len: whole, is_footer: false } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Header, Loss};
    use crate::segment::{BlockBuilder, BlockType, SegmentMeta, SegmentWriter};

    #[test]
    fn units_of_a_segment_are_whole_only_when_all_of_them_is_there() {
        let mut writer = SegmentWriter::create(Vec::new(), &SegmentMeta::default(), 1).expect("to memory");
        let end = |totals: &crate::segment::Totals| usize::try_from(totals.file_bytes).expect("small");
        let mut ends = vec![end(writer.totals())];
        for number in 0..3 {
            let mut record = Vec::new();
            Loss::default().encode(Header { time_ns: number, ..Header::default() }, &mut record);
            let mut block = BlockBuilder::new(BlockType::Lifecycle, 1024);
            let header = crate::record::Record::parse(&record).expect("a record").header;
            block.push(&header, &record);
            writer.write_block(&block, 0, 0, true).expect("to memory");
            ends.push(end(writer.totals()));
        }
        let (bytes, _) = writer.finish().expect("to memory");
        ends.push(bytes.len());
        let mut at = 0;
        for (index, end) in ends.iter().enumerate() {
            for cut in at..*end {
                assert_eq!(unit_at(&bytes[at..cut]), Unit::Part, "{index}: {at}..{cut}");
            }
            let is_footer = index + 1 == ends.len();
            assert_eq!(unit_at(&bytes[at..]), Unit::Whole { len: end - at, is_footer });
            at = *end;
        }
        assert_eq!((unit_at(b""), unit_at(b"nonsense"), unit_at(&[0; 64])), (Unit::Part, Unit::Damaged, Unit::Damaged));
        let mut damaged = bytes.clone();
        damaged[20] ^= 1;
        assert_eq!(unit_at(&damaged), Unit::Damaged);
    }
}
