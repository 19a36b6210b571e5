//! Segments one after the other in a pipe.

use super::block::BlockHeader;
use super::fault::Fault;
use super::header::HeaderError;
use super::meta::SegmentMeta;
use super::payload::BlockBuffer;
use super::scan::{Item, ScannedBlock, Scanner};
use super::window::StreamWindow;
use std::io;

/// Segments one after the other in a pipe.
///
/// Memory is bounded by the largest frame the format allows, whatever the input.
pub struct StreamReader<R: io::Read> {
    scanner: Scanner<StreamWindow<R>>,
    state: State,
    /// Found together with what was returned last.
    pending: Option<Fault>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing of ours seen yet.
    Start,
    InSegment,
    Between,
    Ended,
}

/// What a stream brings.
#[derive(Debug)]
pub enum StreamItem {
    /// A segment begins. A placeholder ([`SegmentMeta::is_placeholder`]) when its header is damaged; a fault precedes it.
    Segment(SegmentMeta),
    /// A block; its records are in the buffer.
    Block(BlockHeader),
    /// Something is wrong.
    Fault(Fault),
}

impl<R: io::Read> StreamReader<R> {
    /// Reads `input` from where it is, which should be the start of a segment.
    pub fn new(input: R) -> Self {
        Self { scanner: Scanner::new(StreamWindow::new(input), 0), state: State::Start, pending: None }
    }

    /// Next thing in the stream; a block's records are then in `buffer`. None at the end. Blocks until a whole one is there.
    ///
    /// # Errors
    /// Those of the input; `InvalidData` when it is no segment stream at all.
    #[allow(clippy::should_implement_trait, reason = "lends the buffer, which an Iterator cannot")]
    pub fn next(&mut self, buffer: &mut BlockBuffer) -> io::Result<Option<StreamItem>> {
        buffer.clear();
        if let Some(fault) = self.pending.take() {
            return Ok(Some(StreamItem::Fault(fault)));
        }
        while self.state != State::Ended {
            let item = self.scanner.next()?;
            if let Some(item) = self.take(item, buffer)? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    fn take(&mut self, item: Item, buffer: &mut BlockBuffer) -> io::Result<Option<StreamItem>> {
        let fault = match item {
            Item::Segment { meta, .. } => {
                self.state = State::InSegment;
                return Ok(Some(StreamItem::Segment(meta.map(|meta| *meta).unwrap_or_default())));
            }
            Item::Block(block) => return self.take_block(*block, buffer),
            Item::Footer { .. } => {
                self.state = State::Between;
                return Ok(None);
            }
            Item::BadFooter { at } => {
                self.state = State::Between;
                Fault::BadFooter { at_bytes: at }
            }
            Item::Unknown { at, error } => {
                self.state = State::Between;
                let (major, flags) = match error {
                    HeaderError::Version(major) => (major, 0),
                    HeaderError::Incompat(flags) => (super::MAJOR, flags),
                    HeaderError::Damaged => (0, 0),
                };
                Fault::UnknownFormat { at_bytes: at, major, flags }
            }
            Item::Fault(Fault::Damaged { .. }) | Item::Torn { block: None, .. } if self.state == State::Start => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "not a crypto-trace segment stream"));
            }
            Item::Fault(fault) => fault,
            Item::Torn { at, end, .. } => Fault::TornTail { at_bytes: at, bytes: end - at },
            Item::End { at } => {
                let unsealed = self.state == State::InSegment;
                self.state = State::Ended;
                if !unsealed {
                    return Ok(None);
                }
                Fault::Unsealed { at_bytes: at }
            }
        };
        Ok(Some(StreamItem::Fault(fault)))
    }

    fn take_block(&mut self, block: ScannedBlock, buffer: &mut BlockBuffer) -> io::Result<Option<StreamItem>> {
        let header = &block.found.header;
        if block.found.unknown_type {
            let (at_bytes, records) = (block.offset, u64::from(header.record_count));
            return Ok(Some(StreamItem::Fault(Fault::UnknownBlocks { at_bytes, blocks: 1, records })));
        }
        let payload = self.scanner.payload(&block)?;
        let loaded = buffer.load(block.offset, header, payload);
        if !matches!(loaded, Err(Fault::BadChecksum { .. })) {
            self.scanner.payload_is_good();
        }
        Ok(Some(match loaded {
            Err(fault) if buffer.raw().is_empty() => StreamItem::Fault(fault),
            loaded => {
                self.pending = loaded.err();
                StreamItem::Block(block.found.header)
            }
        }))
    }
}
