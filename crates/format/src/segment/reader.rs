//! Reads one segment with random access. Whatever is wrong inside becomes a list of faults, not an error.

use std::path::{Path, PathBuf};

use super::block::{BLOCK_MAGIC, BlockHeader, DecodedBlock, MAX_BLOCK_HEADER_FRAME};
use super::fault::{Fault, OpenError};
use super::footer::{BlockEntry, FOOTER_MAGIC, Footer, TRAILER_LEN, TRAILER_MAGIC, Totals, Trailer};
use super::frame;
use super::meta::{HeaderError, MAJOR, MAX_HEADER_FRAME, SegmentMeta};
use super::payload::BlockBuffer;
use super::source::Source;
use crate::record::layout::Le as _;

/// Bytes searched at a time for the next block after damage.
const SEARCH_WINDOW: usize = 1 << 20;

/// One segment. Many threads may read blocks of one reader at once.
#[derive(Debug)]
pub struct SegmentReader {
    path: PathBuf,
    source: Source,
    meta: SegmentMeta,
    sealed: bool,
    blocks: Vec<BlockEntry>,
    faults: Vec<Fault>,
    totals: Option<Totals>,
}

impl SegmentReader {
    /// Opens a segment: mapped when it is sealed, read otherwise. Damage is told by [`Self::faults`].
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be read, is something else, or is of another version.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let io_error = |source| OpenError::Io { path: path.to_path_buf(), source };
        let mut source = Source::open(path).map_err(io_error)?;
        if source.len() == 0 {
            return Err(OpenError::Empty { path: path.to_path_buf() });
        }
        let footer = find_footer(&source).map_err(io_error)?;
        if matches!(footer, FooterState::Good(_)) {
            source.map();
        }
        let mut reader = Self {
            path: path.to_path_buf(),
            source,
            meta: SegmentMeta::default(),
            sealed: !matches!(footer, FooterState::None),
            blocks: Vec::new(),
            faults: Vec::new(),
            totals: None,
        };
        let body_start = reader.read_header(&footer)?;
        match footer {
            FooterState::Good(footer) => {
                let unknown = footer.unknown.iter().map(|at_bytes| Fault::UnknownBlock { at_bytes: *at_bytes });
                reader.faults.extend(unknown);
                reader.blocks = footer.blocks;
                reader.totals = Some(Totals { file_bytes: reader.source.len(), ..footer.totals });
            }
            FooterState::Damaged(at_bytes) => {
                reader.faults.push(Fault::BadFooter { at_bytes });
                reader.scan(body_start).map_err(io_error)?;
            }
            FooterState::None => reader.scan(body_start).map_err(io_error)?,
        }
        if reader.blocks.is_empty() && reader.meta == SegmentMeta::default() {
            return Err(OpenError::NotASegment { path: path.to_path_buf() });
        }
        Ok(reader)
    }

    /// Reads the segment header, or what stands in for it; returns where the blocks begin.
    fn read_header(&mut self, footer: &FooterState) -> Result<u64, OpenError> {
        let path = || self.path.clone();
        let io_error = |source| OpenError::Io { path: path(), source };
        let start = self.source.get(0, frame::PREFIX_LEN).map_err(io_error)?;
        let length = frame::length(&start).filter(|length| *length <= MAX_HEADER_FRAME);
        let header_frame = self.source.get(0, length.unwrap_or(0)).map_err(io_error)?;
        match SegmentMeta::decode(&header_frame) {
            Ok(meta) => {
                if let FooterState::Good(footer) = footer
                    && footer.header_frame != *header_frame
                {
                    self.faults.push(Fault::BadSegmentHeader { at_bytes: 0, recovered: true });
                }
                let length = header_frame.len() as u64;
                self.meta = meta;
                Ok(length)
            }
            Err(HeaderError::Version { major }) => Err(OpenError::Version { path: path(), major, supported: MAJOR }),
            Err(HeaderError::Features { incompat }) => Err(OpenError::Features { path: path(), incompat }),
            Err(HeaderError::Damaged) => {
                let recovered = if let FooterState::Good(footer) = footer { Some(footer.meta.clone()) } else { None };
                self.faults.push(Fault::BadSegmentHeader { at_bytes: 0, recovered: recovered.is_some() });
                self.meta = recovered.unwrap_or_default();
                // Without a header its end is unknown too: look for the first block from the start.
                Ok(0)
            }
        }
    }

    /// Finds the blocks without a footer, from `position` on.
    fn scan(&mut self, mut position: u64) -> std::io::Result<()> {
        let end = self.source.len();
        let mut records = 0;
        let mut header_lost = position == 0;
        while position < end {
            match self.frame_at(position)? {
                FrameAt::Block(entry) => {
                    let next = entry.payload_offset + u64::from(entry.header.compressed_len);
                    if next > end {
                        return self.end_torn(position, Some(&entry));
                    }
                    records = entry.header.first_record + u64::from(entry.header.record_count);
                    self.blocks.push(*entry);
                    position = next;
                }
                FrameAt::UnknownBlock { next } => {
                    self.faults.push(Fault::UnknownBlock { at_bytes: position });
                    position = next;
                }
                FrameAt::End { next } => position = next,
                FrameAt::Incomplete => return self.end_torn(position, None),
                FrameAt::Nothing => {
                    let found = self.search(position + 1)?;
                    let next = found.as_ref().map_or(end, |entry| entry.offset);
                    let lost = found.as_ref().map(|entry| entry.header.first_record.saturating_sub(records));
                    // Bytes before the first block are the damaged header, which has been told.
                    if header_lost && found.is_some() {
                        records = 0;
                    } else if self.sealed && found.is_none() {
                        // The damaged footer itself, which has been told.
                    } else if found.is_none() && !self.sealed {
                        return self.end_torn(position, None);
                    } else {
                        self.faults.push(Fault::Unreadable {
                            at_bytes: position,
                            bytes: next - position,
                            records: lost,
                        });
                    }
                    position = next;
                }
            }
            header_lost = false;
        }
        Ok(())
    }

    fn end_torn(&mut self, position: u64, entry: Option<&BlockEntry>) -> std::io::Result<()> {
        let fault = match entry {
            Some(entry) if self.sealed => Fault::Truncated {
                at_bytes: position,
                block: entry.header.sequence,
                records: u64::from(entry.header.record_count),
            },
            _ => Fault::TornTail { at_bytes: position, bytes: self.source.len() - position },
        };
        self.faults.push(fault);
        Ok(())
    }

    /// What frame stands at `position`.
    fn frame_at(&self, position: u64) -> std::io::Result<FrameAt> {
        let start = self.source.get(position, frame::PREFIX_LEN + 8)?;
        if start.len() < frame::PREFIX_LEN + 8 {
            return Ok(FrameAt::Incomplete);
        }
        let Some(length) = frame::length(&start) else { return Ok(FrameAt::Nothing) };
        let magic = u64::get(&start, frame::PREFIX_LEN);
        let next = position + length as u64;
        match magic {
            BLOCK_MAGIC if length <= MAX_BLOCK_HEADER_FRAME => {
                let bytes = self.source.get(position, length)?;
                if bytes.len() < length {
                    return Ok(FrameAt::Incomplete);
                }
                Ok(match BlockHeader::decode(&bytes) {
                    Some(DecodedBlock::Known(header)) => {
                        FrameAt::Block(Box::new(BlockEntry { header, offset: position, payload_offset: next }))
                    }
                    Some(DecodedBlock::Unknown { compressed_len }) => {
                        FrameAt::UnknownBlock { next: next + u64::from(compressed_len) }
                    }
                    None => FrameAt::Nothing,
                })
            }
            FOOTER_MAGIC | TRAILER_MAGIC if next <= self.source.len() => Ok(FrameAt::End { next }),
            FOOTER_MAGIC | TRAILER_MAGIC => Ok(FrameAt::Incomplete),
            _ => Ok(FrameAt::Nothing),
        }
    }

    /// The next whole block header from `position` on.
    fn search(&self, mut position: u64) -> std::io::Result<Option<BlockEntry>> {
        let magic = BLOCK_MAGIC.to_le_bytes();
        while position < self.source.len() {
            let window = self.source.get(position, SEARCH_WINDOW)?;
            let mut from = 0;
            while let Some(found) = find(window.get(from..).unwrap_or_default(), &magic) {
                let at = position + (from + found) as u64;
                if let Some(start) = at.checked_sub(frame::PREFIX_LEN as u64)
                    && let FrameAt::Block(entry) = self.frame_at(start)?
                {
                    return Ok(Some(*entry));
                }
                from += found + 1;
            }
            if window.len() < SEARCH_WINDOW {
                break;
            }
            position += (SEARCH_WINDOW - magic.len()) as u64;
        }
        Ok(None)
    }

    /// Its path, as it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its header says.
    pub fn meta(&self) -> &SegmentMeta {
        &self.meta
    }

    /// Whether it was sealed: it ends in a trailer, intact or not.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Its length when it was opened, bytes.
    pub fn len_bytes(&self) -> u64 {
        self.source.len()
    }

    /// Its blocks, in file order.
    pub fn blocks(&self) -> &[BlockEntry] {
        &self.blocks
    }

    /// What was found wrong when it was opened.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Sums from the footer; `None` without one.
    pub fn totals(&self) -> Option<&Totals> {
        self.totals.as_ref()
    }

    /// Checks and decompresses the block at `index` in [`Self::blocks`].
    ///
    /// # Errors
    /// The [`Fault`] that cost the block; `buffer` is empty then.
    pub fn read_block(&self, index: usize, buffer: &mut BlockBuffer) -> Result<(), Fault> {
        let Some(entry) = self.blocks.get(index) else {
            return Err(Fault::Io { at_bytes: 0, message: format!("there is no block {index}"), records: None });
        };
        let records = u64::from(entry.header.record_count);
        let header_len = usize::try_from(entry.payload_offset - entry.offset).unwrap_or(usize::MAX);
        let length = header_len.saturating_add(entry.header.compressed_len as usize);
        let bytes = self.source.get(entry.offset, length).map_err(|error| Fault::Io {
            at_bytes: entry.offset,
            message: error.to_string(),
            records: Some(records),
        })?;
        let split = bytes.split_at_checked(header_len).filter(|_| bytes.len() == length);
        let Some((header_frame, payload)) = split else {
            return Err(Fault::Truncated { at_bytes: entry.offset, block: entry.header.sequence, records });
        };
        // With a footer the headers come from there: the one in front of the payload must be the same.
        if self.totals.is_some() && BlockHeader::decode(header_frame) != Some(DecodedBlock::Known(entry.header.clone()))
        {
            return Err(Fault::BadBlockHeader { at_bytes: entry.offset, block: entry.header.sequence, records });
        }
        buffer.fill(&entry.header, entry.offset, payload)
    }
}

/// What stands at a place in the file.
enum FrameAt {
    Block(Box<BlockEntry>),
    UnknownBlock { next: u64 },
    End { next: u64 },
    Incomplete,
    Nothing,
}

/// What stands at the end of the file.
enum FooterState {
    Good(Box<Footer>),
    Damaged(u64),
    None,
}

fn find_footer(source: &Source) -> std::io::Result<FooterState> {
    let Some(trailer_at) = source.len().checked_sub(TRAILER_LEN as u64) else { return Ok(FooterState::None) };
    let last = source.get(trailer_at, TRAILER_LEN)?;
    let Some(trailer) = Trailer::find(&last, source.len()) else {
        // A flipped bit in the trailer leaves most of it recognisable; a file that was never sealed has none of it.
        let looks_like_one = u32::get(&last, 0) == frame::SKIPPABLE_MAGIC || u64::get(&last, 8) == TRAILER_MAGIC;
        return Ok(if looks_like_one { FooterState::Damaged(trailer_at) } else { FooterState::None });
    };
    let Ok(length) = usize::try_from(trailer.footer_len) else {
        return Ok(FooterState::Damaged(trailer.footer_offset));
    };
    let bytes = source.get(trailer.footer_offset, length)?;
    Ok(match Footer::decode(&bytes, trailer.footer_offset) {
        Some(footer) => FooterState::Good(Box::new(footer)),
        None => FooterState::Damaged(trailer.footer_offset),
    })
}

/// Where `needle` first is in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, needle)
}
