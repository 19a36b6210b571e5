//! Reads segments one after the other from a pipe, each block as soon as it is whole.

use std::io::{self, Read};

use super::block::{BLOCK_MAGIC, BlockHeader, DecodedBlock, MAX_BLOCK_HEADER_FRAME};
use super::fault::Fault;
use super::footer::{FOOTER_MAGIC, TRAILER_LEN, TRAILER_MAGIC};
use super::frame;
use super::meta::{HeaderError, MAX_HEADER_FRAME, SEGMENT_MAGIC, SegmentMeta};
use super::payload::BlockBuffer;
use super::reader::find;
use crate::record::layout::Le as _;

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;

/// Longest footer a stream is asked to hold; a longer one is skipped as it comes.
const MAX_FOOTER: usize = 64 << 20;

/// Next thing in a stream.
#[derive(Debug)]
pub enum StreamItem {
    /// A segment begins.
    Segment(SegmentMeta),
    /// A block; its records are in the buffer.
    Block(BlockHeader),
    /// Something was wrong.
    Fault(Fault),
}

/// Segments from a pipe.
pub struct StreamReader<R: Read> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    offset: u64,
    at_end: bool,
    seen_segment: bool,
}

impl<R: Read> StreamReader<R> {
    /// Reads from `input`.
    pub fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), start: 0, offset: 0, at_end: false, seen_segment: false }
    }

    fn held(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Reads until `len` bytes are held; false when the input ends before.
    fn fill(&mut self, len: usize) -> io::Result<bool> {
        while self.held().len() < len && !self.at_end {
            if self.start > READ_BYTES {
                self.buffer.drain(..self.start);
                self.start = 0;
            }
            let end = self.buffer.len();
            self.buffer.resize(end + READ_BYTES, 0);
            let read = self.input.read(self.buffer.get_mut(end..).unwrap_or_default());
            let read = match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
                Ok(0) => {
                    self.at_end = true;
                    Ok(0)
                }
                other => other,
            };
            self.buffer.truncate(end + *read.as_ref().unwrap_or(&0));
            read?;
        }
        Ok(self.held().len() >= len)
    }

    fn skip(&mut self, len: usize) {
        self.start += len;
        self.offset += len as u64;
    }

    /// The next thing in the stream; `None` at its end.
    ///
    /// # Errors
    /// When the input cannot be read. Damage is an item, not an error.
    pub fn next(&mut self, buffer: &mut BlockBuffer) -> io::Result<Option<StreamItem>> {
        loop {
            if !self.fill(frame::PREFIX_LEN + 8)? {
                return Ok(self.end());
            }
            let length = frame::length(self.held());
            let magic = u64::get(self.held(), frame::PREFIX_LEN);
            let most = match magic {
                SEGMENT_MAGIC => MAX_HEADER_FRAME,
                BLOCK_MAGIC => MAX_BLOCK_HEADER_FRAME,
                FOOTER_MAGIC => MAX_FOOTER,
                TRAILER_MAGIC => TRAILER_LEN,
                _ => 0,
            };
            let Some(length) = length.filter(|length| *length <= most) else {
                return self.resynchronise().map(Some);
            };
            if !self.fill(length)? {
                return Ok(self.end());
            }
            let whole = self.held().get(..length).unwrap_or_default();
            match magic {
                SEGMENT_MAGIC => match SegmentMeta::decode(whole) {
                    Ok(meta) => {
                        self.seen_segment = true;
                        self.skip(length);
                        return Ok(Some(StreamItem::Segment(meta)));
                    }
                    Err(HeaderError::Version { major }) => {
                        let message = format!("format version {major} is not one this program reads");
                        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
                    }
                    Err(HeaderError::Features { incompat }) => {
                        let message = format!("needs format features {incompat:#x} that this program does not know");
                        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
                    }
                    Err(HeaderError::Damaged) => return self.resynchronise().map(Some),
                },
                BLOCK_MAGIC => match BlockHeader::decode(whole) {
                    Some(DecodedBlock::Known(header)) => return self.block(header, length, buffer),
                    Some(DecodedBlock::Unknown { compressed_len }) => {
                        let at_bytes = self.offset;
                        if !self.fill(length + compressed_len as usize)? {
                            return Ok(self.end());
                        }
                        self.skip(length + compressed_len as usize);
                        return Ok(Some(StreamItem::Fault(Fault::UnknownBlock { at_bytes })));
                    }
                    None => return self.resynchronise().map(Some),
                },
                _ => {
                    let at_bytes = self.offset;
                    let good = frame::content(whole).is_some();
                    self.skip(length);
                    if !good {
                        return Ok(Some(StreamItem::Fault(Fault::BadFooter { at_bytes })));
                    }
                }
            }
        }
    }

    fn block(
        &mut self,
        header: BlockHeader,
        header_len: usize,
        buffer: &mut BlockBuffer,
    ) -> io::Result<Option<StreamItem>> {
        let length = header_len + header.compressed_len as usize;
        if !self.fill(length)? {
            return Ok(self.end());
        }
        let payload = self.held().get(header_len..length).unwrap_or_default();
        let filled = buffer.fill(&header, self.offset, payload);
        self.skip(length);
        Ok(Some(match filled {
            Ok(()) => StreamItem::Block(header),
            Err(fault) => StreamItem::Fault(fault),
        }))
    }

    /// The input has ended: silently at a frame's end, with a torn tail elsewhere.
    fn end(&mut self) -> Option<StreamItem> {
        let bytes = self.held().len();
        if bytes == 0 {
            return None;
        }
        let at_bytes = self.offset;
        self.skip(bytes);
        Some(StreamItem::Fault(Fault::TornTail { at_bytes, bytes: bytes as u64 }))
    }

    /// Skips to the next place that looks like a block or segment header.
    fn resynchronise(&mut self) -> io::Result<StreamItem> {
        let at_bytes = self.offset;
        self.skip(1);
        loop {
            if !self.fill(frame::PREFIX_LEN + 8)? {
                break;
            }
            let held = self.held().get(frame::PREFIX_LEN..).unwrap_or_default();
            let block = find(held, &BLOCK_MAGIC.to_le_bytes());
            let segment = find(held, &SEGMENT_MAGIC.to_le_bytes());
            if let Some(found) = [block, segment].into_iter().flatten().min() {
                self.skip(found);
                let bytes = self.offset - at_bytes;
                return Ok(StreamItem::Fault(Fault::Unreadable { at_bytes, bytes, records: None }));
            }
            // Keep what may be the beginning of a magic.
            let keep = frame::PREFIX_LEN + 7;
            self.skip(self.held().len() - keep);
        }
        let rest = self.held().len();
        self.skip(rest);
        let bytes = self.offset - at_bytes;
        Ok(StreamItem::Fault(Fault::Unreadable { at_bytes, bytes, records: None }))
    }

    /// Whether a segment header has been seen: an input without one is something else.
    pub fn seen_segment(&self) -> bool {
        self.seen_segment
    }
}
