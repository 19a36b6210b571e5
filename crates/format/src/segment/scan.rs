//! Walks an input frame by frame, and finds the way back after damage. Files without a usable footer and pipes alike.
//!
//! At each place there should be a frame of ours. If there is none, the scanner looks for the next one that is whole, has a
//! good checksum and belongs to this segment, and reports what lies between. A block header gives its number and the number
//! of its first record, so the next good block shows what was lost.

use super::block::{BlockHead, FoundBlock, MAX_BLOCK_HEADER_LEN, block_lengths_agree, decode_block_header};
use super::fault::Fault;
use super::footer::{Footer, FooterHead, Trailer, decode_footer, footer_len_of_trailer, footer_lengths_agree};
use super::frame::{
    BLOCK_MAGIC, FOOTER_MAGIC, FRAME_HEAD_LEN, FrameHead, HEADER_MAGIC, MAGIC_STEM, checked_crc, may_begin_frame,
    u64_at,
};
use super::header::{HeaderError, MAX_HEADER_LEN, SegmentHead, decode_header, header_lengths_agree};
use super::meta::SegmentMeta;
use super::window::Window;
use super::{MAX_FOOTER_BYTES, MAX_META_BYTES};
use memchr::memmem;
use std::collections::VecDeque;
use std::io;

/// How much is searched at once for the next frame.
const SEARCH_STEP: usize = 256 * 1024;

/// How far to look for the first frame: an input without one so far is no segment.
const UNBEGUN_LIMIT: u64 = 64 << 20;

/// Checksums of large frames that turned out bad may cost this much more than the input is long.
const WASTE_LIMIT: u64 = 256 << 20;

/// What the scanner came upon.
pub(crate) enum Item {
    /// A segment begins. `None`: its header is damaged (and a fault says so), but it has blocks.
    Segment { at: u64, meta: Option<Box<SegmentMeta>> },
    /// A segment in an unknown format begins.
    Unknown { at: u64, error: HeaderError },
    /// A whole block; its payload is unchecked.
    Block(Box<ScannedBlock>),
    /// A good footer: the end of a segment.
    Footer { at: u64, footer: Box<Footer> },
    /// A damaged footer: the end of a segment all the same.
    BadFooter { at: u64 },
    /// A fault other than those below.
    Fault(Fault),
    /// The input ends with part of a frame.
    Torn { at: u64, end: u64, block: Option<Box<FoundBlock>> },
    /// The input ends.
    End { at: u64 },
}

pub(crate) struct ScannedBlock {
    pub(crate) offset: u64,
    pub(crate) payload_offset: u64,
    pub(crate) found: FoundBlock,
}

impl ScannedBlock {
    pub(crate) fn payload_len(&self) -> usize {
        self.found.header.compressed_len as usize
    }

    fn end(&self) -> u64 {
        self.payload_offset + u64::from(self.found.header.compressed_len)
    }
}

/// What is at a place.
enum Look {
    Header(Result<Box<SegmentMeta>, HeaderError>, u64),
    Block(Box<FoundBlock>),
    Footer(Box<Footer>),
    /// A good frame of a type that this version does not know.
    Other(u64),
    /// Nothing wrong so far, but the input ends.
    Incomplete,
    Bad,
    End,
}

/// The last block, until the frame after it proves that its length is right.
struct Suspect {
    payload_offset: u64,
    payload_len: usize,
    crc: u32,
}

pub(crate) struct Scanner<W> {
    window: W,
    pos: u64,
    /// Tag of the segment being walked; `None` before the first and between segments.
    tag: Option<u64>,
    /// Within a segment of unknown format: everything up to the next segment is passed over silently.
    skipping: bool,
    next_block: u64,
    next_record: u64,
    suspect: Option<Suspect>,
    /// Damage passed over, whose cost the next frame will show.
    damage: Option<(u64, u64)>,
    queue: VecDeque<Item>,
    /// A frame of ours was seen.
    begun: bool,
    /// Bytes of large frames whose checksum was bad.
    wasted: u64,
}

impl<W: Window> Scanner<W> {
    pub(crate) fn new(window: W, pos: u64) -> Self {
        Self {
            window,
            pos,
            tag: None,
            skipping: false,
            next_block: 0,
            next_record: 0,
            suspect: None,
            damage: None,
            queue: VecDeque::new(),
            begun: false,
            wasted: 0,
        }
    }

    /// The payload of the block last returned.
    pub(crate) fn payload(&mut self, block: &ScannedBlock) -> io::Result<&[u8]> {
        self.window.bytes(block.payload_offset, block.payload_len())
    }

    /// Says that the payload of the block last returned has a good checksum.
    pub(crate) fn payload_is_good(&mut self) {
        self.suspect = None;
    }

    /// The next thing.
    pub(crate) fn next(&mut self) -> io::Result<Item> {
        loop {
            if let Some(item) = self.queue.pop_front() {
                return Ok(item);
            }
            self.window.release(self.suspect.as_ref().map_or(self.pos, |suspect| suspect.payload_offset));
            let at = self.pos;
            match self.look(at)? {
                Look::Header(header, len) => self.begin_segment(at, header, len),
                Look::Block(found) if self.accepts(&found) => self.take_block(at, *found)?,
                Look::Footer(footer) if self.accepts_footer(&footer) => self.end_segment(at, footer),
                Look::Other(len) => {
                    self.pos += len;
                    self.suspect = None;
                    self.settle_damage(None);
                    self.queue.push_back(Item::Fault(Fault::UnknownBlocks { at_bytes: at, blocks: 1, records: 0 }));
                }
                Look::End => {
                    self.settle_damage(None);
                    self.queue.push_back(Item::End { at });
                }
                Look::Incomplete => self.resynchronise(at, true)?,
                Look::Bad | Look::Block(_) | Look::Footer(_) => self.resynchronise(at, false)?,
            }
        }
    }

    fn accepts(&self, found: &FoundBlock) -> bool {
        self.skipping
            || self.tag.is_none_or(|tag| tag == found.tag)
                && found.header.sequence >= self.next_block
                && found.header.first_record >= self.next_record
    }

    fn accepts_footer(&self, footer: &Footer) -> bool {
        self.skipping
            || self.tag.is_none_or(|tag| tag == footer.meta.segment_tag())
                && footer.totals.blocks >= self.next_block
                && footer.totals.records >= self.next_record
    }

    fn begin_segment(&mut self, at: u64, header: Result<Box<SegmentMeta>, HeaderError>, len: u64) {
        self.settle_damage(None);
        self.pos = at + len;
        (self.next_block, self.next_record, self.suspect) = (0, 0, None);
        self.skipping = header.is_err();
        self.tag = header.as_ref().ok().map(|meta| meta.segment_tag());
        self.queue.push_back(match header {
            Ok(meta) => Item::Segment { at, meta: Some(meta) },
            Err(error) => Item::Unknown { at, error },
        });
    }

    fn take_block(&mut self, at: u64, found: FoundBlock) -> io::Result<()> {
        let block = ScannedBlock { offset: at, payload_offset: at + found.frame_len as u64, found };
        let end = block.end();
        if !self.window.reaches(end)? {
            // Either the input ends here, or bytes are missing from the payload: then more frames follow.
            return match self.search(block.payload_offset)? {
                Search::Found(next) => {
                    self.pass_over(at, next);
                    Ok(())
                }
                Search::End(input_end) => {
                    self.settle_damage(Some((block.found.header.sequence, block.found.header.first_record)));
                    self.pos = input_end;
                    let torn = Item::Torn { at, end: input_end, block: Some(Box::new(block.found)) };
                    self.queue.push_back(torn);
                    Ok(())
                }
            };
        }
        if self.skipping {
            (self.pos, self.suspect) = (end, None);
            return Ok(());
        }
        let header = &block.found.header;
        self.adopt(at, block.found.tag, None);
        self.settle_damage(Some((header.sequence, header.first_record)));
        if header.sequence > self.next_block {
            self.report_gap(at, 0, header.first_record);
        }
        self.next_block = header.sequence + 1;
        self.next_record = header.first_record + u64::from(header.record_count);
        self.suspect = Some(Suspect {
            payload_offset: block.payload_offset,
            payload_len: block.payload_len(),
            crc: header.payload_crc,
        });
        self.pos = end;
        self.queue.push_back(Item::Block(Box::new(block)));
        Ok(())
    }

    fn end_segment(&mut self, at: u64, footer: Box<Footer>) {
        if !self.skipping {
            self.adopt(at, footer.meta.segment_tag(), Some(&footer.meta));
            self.settle_damage(Some((footer.totals.blocks, footer.totals.records)));
            if footer.totals.blocks > self.next_block {
                self.report_gap(at, 0, footer.totals.records);
            }
        }
        (self.next_block, self.next_record, self.suspect) = (0, 0, None);
        self.pos = at + footer.len;
        (self.tag, self.skipping) = (None, false);
        self.queue.push_back(Item::Footer { at, footer });
    }

    /// Before the first block of a segment whose header is missing.
    fn adopt(&mut self, at: u64, tag: u64, meta: Option<&SegmentMeta>) {
        if self.tag.is_none() {
            let at_bytes = self.damage.map_or(at, |(from, _)| from);
            self.tag = Some(tag);
            self.queue.push_back(Item::Fault(Fault::BadSegmentHeader { at_bytes, recovered: meta.is_some() }));
            self.queue.push_back(Item::Segment { at: at_bytes, meta: meta.cloned().map(Box::new) });
            if self.next_block == 0 {
                // The header alone; blocks that are missing as well are reported as a gap.
                self.damage = None;
            }
        }
    }

    /// Reports damage passed over, now that `next` (block and record number of what follows) shows what it cost.
    fn settle_damage(&mut self, next: Option<(u64, u64)>) {
        let Some((from, to)) = self.damage.take() else { return };
        if self.skipping {
            return;
        }
        match next {
            Some((block, record)) => {
                self.report_gap(from, to.saturating_sub(from), record);
                (self.next_block, self.next_record) = (block, record);
            }
            None => self.queue.push_back(Item::Fault(Fault::Damaged {
                at_bytes: from,
                bytes: to.saturating_sub(from),
                block: self.next_block,
                records: None,
            })),
        }
    }

    fn report_gap(&mut self, at_bytes: u64, bytes: u64, record: u64) {
        let records = Some(record.saturating_sub(self.next_record));
        self.queue.push_back(Item::Fault(Fault::Damaged { at_bytes, bytes, block: self.next_block, records }));
    }

    /// There is no frame at `at`, or only part of one (`incomplete`).
    fn resynchronise(&mut self, at: u64, incomplete: bool) -> io::Result<()> {
        let is_footer = u64_at(self.window.bytes(at, FRAME_HEAD_LEN)?, 8) == FOOTER_MAGIC;
        let from = match self.suspect.take() {
            // Bytes may be missing from the last payload; then the next frame is before `at`.
            Some(suspect) if self.is_bad(&suspect)? => suspect.payload_offset,
            _ => at + 1,
        };
        match self.search(from)? {
            Search::Found(next) if is_footer || self.ends_with_trailer(at, next)? => {
                self.bad_footer(at, next);
            }
            Search::Found(next) => self.pass_over(at, next),
            Search::End(end) => {
                self.settle_damage(None);
                self.pos = end;
                if self.ends_with_trailer(at, end)? || (is_footer && !incomplete) {
                    self.bad_footer(at, end);
                } else if incomplete || self.is_zero(at, end)? {
                    self.queue.push_back(Item::Torn { at, end, block: None });
                } else {
                    self.damage = Some((at, end));
                    self.settle_damage(None);
                }
            }
        }
        Ok(())
    }

    fn pass_over(&mut self, from: u64, to: u64) {
        let (from, _) = self.damage.unwrap_or((from.min(to), to));
        self.damage = Some((from, to));
        self.suspect = None;
        self.pos = to;
    }

    fn bad_footer(&mut self, at: u64, end: u64) {
        self.settle_damage(None);
        (self.tag, self.suspect, self.pos) = (None, None, end);
        (self.next_block, self.next_record) = (0, 0);
        if !self.skipping {
            self.queue.push_back(Item::BadFooter { at });
        }
    }

    fn is_bad(&mut self, suspect: &Suspect) -> io::Result<bool> {
        let payload = self.window.bytes(suspect.payload_offset, suspect.payload_len)?;
        Ok(crc32c::crc32c(payload) != suspect.crc)
    }

    /// Whether `at..end` ends as a footer that begins at `at` does.
    fn ends_with_trailer(&mut self, at: u64, end: u64) -> io::Result<bool> {
        let Some(len) = usize::try_from(end.saturating_sub(at)).ok().filter(|len| *len <= MAX_FOOTER_BYTES) else {
            return Ok(false);
        };
        let trailer = self.window.bytes(end.saturating_sub(Trailer::SIZE as u64).max(at), Trailer::SIZE)?;
        Ok(footer_len_of_trailer(trailer) == Some(len))
    }

    /// Whether `at..end` is all zero, as a power cut can leave the end of a file.
    fn is_zero(&mut self, mut at: u64, end: u64) -> io::Result<bool> {
        while at < end {
            let bytes = self.window.bytes(at, SEARCH_STEP)?;
            if bytes.is_empty() || bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += bytes.len() as u64;
        }
        Ok(true)
    }

    /// Looks from `from` on for the next good frame that belongs here.
    fn search(&mut self, from: u64) -> io::Result<Search> {
        let mut at = from;
        loop {
            // In a pipe, what was searched is kept only as far as `resynchronise` may look back.
            self.window.release(at.saturating_sub(MAX_FOOTER_BYTES as u64));
            let bytes = self.window.bytes(at + 8, SEARCH_STEP)?;
            let searched = bytes.len();
            let hits: Vec<u64> = memmem::find_iter(bytes, &MAGIC_STEM).map(|hit| at + hit as u64).collect();
            for hit in hits {
                let good = match self.look(hit)? {
                    // A footer holds a copy of its own segment's header.
                    Look::Header(Ok(meta), _) => Some(meta.segment_tag()) != self.tag,
                    Look::Header(Err(_), _) => true,
                    Look::Block(found) => self.accepts(&found),
                    Look::Footer(footer) => self.accepts_footer(&footer),
                    _ => false,
                };
                if good {
                    return Ok(Search::Found(hit));
                }
            }
            if searched < SEARCH_STEP {
                return Ok(Search::End(self.window.end()));
            }
            if !self.begun && at > UNBEGUN_LIMIT {
                return Ok(Search::End(at));
            }
            at += (SEARCH_STEP - MAGIC_STEM.len()) as u64;
        }
    }

    /// What is at `at`.
    fn look(&mut self, at: u64) -> io::Result<Look> {
        let head = self.window.bytes(at, FRAME_HEAD_LEN)?;
        if head.is_empty() {
            return Ok(Look::End);
        }
        if !may_begin_frame(head) {
            return Ok(Look::Bad);
        }
        if head.len() < FRAME_HEAD_LEN {
            return Ok(Look::Incomplete);
        }
        let Some(FrameHead { len, magic }) = FrameHead::decode(head) else { return Ok(Look::Bad) };
        let (fixed_len, max_len, lengths_agree): (_, _, fn(&[u8]) -> bool) = match magic {
            HEADER_MAGIC => (SegmentHead::SIZE, MAX_HEADER_LEN, header_lengths_agree),
            BLOCK_MAGIC => (BlockHead::SIZE, MAX_BLOCK_HEADER_LEN, block_lengths_agree),
            FOOTER_MAGIC => (FooterHead::SIZE, MAX_FOOTER_BYTES, footer_lengths_agree),
            _ => (FRAME_HEAD_LEN, MAX_META_BYTES, |_| true),
        };
        // A flipped length must not pass for the end of the input, so what else tells the length is looked at first.
        if len > max_len || len < fixed_len {
            return Ok(Look::Bad);
        }
        let fixed = self.window.bytes(at, fixed_len)?;
        if fixed.len() < fixed_len {
            return Ok(Look::Incomplete);
        }
        if !lengths_agree(fixed) {
            return Ok(Look::Bad);
        }
        // Overlapping large frames must not cost more than a few passes over the input.
        if self.wasted > WASTE_LIMIT + 4 * at {
            return Ok(Look::Bad);
        }
        let frame = self.window.bytes(at, len)?;
        if frame.len() < len {
            return Ok(Look::Incomplete);
        }
        let look = match magic {
            HEADER_MAGIC => match decode_header(frame) {
                Err(HeaderError::Damaged) => Look::Bad,
                header => Look::Header(header.map(Box::new), len as u64),
            },
            BLOCK_MAGIC => decode_block_header(frame).map_or(Look::Bad, |found| Look::Block(Box::new(found))),
            FOOTER_MAGIC => decode_footer(frame).map_or(Look::Bad, |footer| Look::Footer(Box::new(footer))),
            _ if checked_crc(frame).is_some() => Look::Other(len as u64),
            _ => Look::Bad,
        };
        match look {
            Look::Bad => self.wasted += len.saturating_sub(MAX_BLOCK_HEADER_LEN) as u64,
            _ => self.begun = true,
        }
        Ok(look)
    }
}

enum Search {
    Found(u64),
    /// Nothing up to the end of the input, which is here.
    End(u64),
}
