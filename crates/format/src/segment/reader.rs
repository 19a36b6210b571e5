//! Random access to one segment file: by its footer when it has a good one, by a forward scan otherwise.

use super::block::{BlockHeader, FoundBlock};
use super::fault::{Fault, OpenError};
use super::footer::{Footer, Totals, Trailer, decode_footer, footer_len_of_trailer};
use super::frame::{FRAME_HEAD_LEN, HEADER_MAGIC, SKIPPABLE_MAGIC, checked_crc, u32_at, u64_at};
use super::header::HeaderError;
use super::meta::SegmentMeta;
use super::payload::BlockBuffer;
use super::scan::{Item, Scanner};
use super::source::Source;
use super::window::FileWindow;
use super::{MAJOR, OPEN_SUFFIX};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a block is in its file.
#[derive(Debug, Clone)]
pub struct BlockEntry {
    /// Its header.
    pub header: BlockHeader,
    /// Where its header frame begins, bytes from the start of the file.
    pub offset: u64,
    /// Where its data frame begins.
    pub payload_offset: u64,
}

/// One segment, random access, `Sync`: many threads may read blocks of one reader at once.
#[derive(Debug)]
pub struct SegmentReader {
    path: PathBuf,
    source: Arc<Source>,
    part: Part,
}

/// One segment of a file.
#[derive(Debug)]
struct Part {
    base: u64,
    end: u64,
    meta: Option<SegmentMeta>,
    sealed: bool,
    blocks: Vec<BlockEntry>,
    /// Checksum of each block's header frame.
    header_crcs: Vec<u32>,
    faults: Vec<Fault>,
    totals: Option<Totals>,
    placeholder: SegmentMeta,
}

impl Part {
    fn new(base: u64, meta: Option<SegmentMeta>) -> Self {
        Self {
            base,
            end: base,
            meta,
            sealed: false,
            blocks: Vec::new(),
            header_crcs: Vec::new(),
            faults: Vec::new(),
            totals: None,
            placeholder: SegmentMeta::default(),
        }
    }

    fn add_block(&mut self, offset: u64, found: FoundBlock) {
        let records = u64::from(found.header.record_count);
        if found.unknown_type {
            self.note_unknown(offset, records);
            return;
        }
        let payload_offset = offset + found.frame_len as u64;
        self.header_crcs.push(found.frame_crc);
        self.blocks.push(BlockEntry { header: found.header, offset, payload_offset });
    }

    /// One note for all blocks of unknown types.
    fn note_unknown(&mut self, at_bytes: u64, more: u64) {
        for fault in &mut self.faults {
            if let Fault::UnknownBlocks { blocks, records, .. } = fault {
                *blocks += 1;
                *records += more;
                return;
            }
        }
        self.faults.push(Fault::UnknownBlocks { at_bytes, blocks: 1, records: more });
    }
}

impl SegmentReader {
    /// Opens the first segment of a file: mapped when sealed, by read() otherwise. Structural damage is in
    /// [`Self::faults`], not an error.
    ///
    /// # Errors
    /// [`OpenError`] when the file cannot be read as a segment at all.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let mut readers = Self::open_all(path)?.into_iter();
        let not_a_segment = || OpenError::NotASegment { path: path.to_owned() };
        let mut first = readers.next().ok_or_else(not_a_segment)?;
        if let Some(second) = readers.next() {
            first.part.faults.push(Fault::MoreSegments { at_bytes: second.part.base });
        }
        Ok(first)
    }

    /// Opens every segment of a file, in order: most files hold one, but segments may be concatenated.
    ///
    /// # Errors
    /// [`OpenError`] when the file cannot be read as a segment at all.
    pub fn open_all(path: &Path) -> Result<Vec<Self>, OpenError> {
        let (mut source, sealed_name) = open_source(path)?;
        let io_error = |source| OpenError::Io { path: path.to_owned(), source };
        let format_error = |error| match error {
            HeaderError::Version(major) => Err(OpenError::Version { path: path.to_owned(), major, supported: MAJOR }),
            HeaderError::Incompat(flags) => Err(OpenError::Incompatible { path: path.to_owned(), flags }),
            HeaderError::Damaged => Err(OpenError::NotASegment { path: path.to_owned() }),
        };

        // From the end, segment by segment, as long as there are footers to tell.
        let mut sealed_parts = Vec::new();
        let mut end = source.len();
        while end > 0 {
            match read_footer(&source, end).map_err(io_error)? {
                Some(Ok(footer)) => {
                    let base = end - footer.segment_len;
                    match footer.index {
                        Some(_) => sealed_parts.push(indexed_part(&source, base, footer).map_err(io_error)?),
                        // Too large for an index.
                        None => sealed_parts.push(match scan(&source, base, end).map_err(io_error)? {
                            Ok(mut parts) if parts.len() == 1 => parts.remove(0),
                            _ => break,
                        }),
                    }
                    end = base;
                }
                Some(Err(HeaderError::Damaged)) | None => break,
                Some(Err(error)) => return format_error(error),
            }
        }
        // What is left must be walked.
        let mut parts = Vec::new();
        if end > 0 {
            match scan(&source, 0, end).map_err(io_error)? {
                Ok(scanned) => parts = scanned,
                Err(error) => return format_error(error),
            }
            judge_scanned(&mut parts, sealed_name);
            if let (true, Some(first)) = (parts.is_empty(), sealed_parts.last_mut()) {
                first.faults.push(Fault::Damaged { at_bytes: 0, bytes: end, block: 0, records: None });
            }
        } else if sealed_name {
            source.map();
        }
        parts.extend(sealed_parts.into_iter().rev());
        if parts.is_empty() {
            return format_error(HeaderError::Damaged);
        }
        source.keep();
        let source = Arc::new(source);
        Ok(parts.into_iter().map(|part| Self { path: path.to_owned(), source: Arc::clone(&source), part }).collect())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the segment header says; empty when [`Self::meta_is_placeholder`].
    pub fn meta(&self) -> &SegmentMeta {
        self.part.meta.as_ref().unwrap_or(&self.part.placeholder)
    }

    /// Whether the segment header is lost: [`Self::meta`] then says nothing. A fault says so too.
    pub fn meta_is_placeholder(&self) -> bool {
        self.part.meta.is_none()
    }

    /// Whether the segment was ended by its writer. If not, more may be written to it.
    pub fn is_sealed(&self) -> bool {
        self.part.sealed
    }

    /// Bytes of the segment.
    pub fn len_bytes(&self) -> u64 {
        self.part.end - self.part.base
    }

    /// The blocks that can be found.
    pub fn blocks(&self) -> &[BlockEntry] {
        &self.part.blocks
    }

    /// What is wrong with the file as a whole. Damage to single blocks is found by [`Self::read_block`].
    pub fn faults(&self) -> &[Fault] {
        &self.part.faults
    }

    /// From the footer when there is one.
    pub fn totals(&self) -> Option<&Totals> {
        self.part.totals.as_ref()
    }

    /// Checks and decompresses block `index`.
    ///
    /// # Errors
    /// What is wrong with the block. **The buffer then holds what is readable all the same**: nothing after a bad
    /// checksum, the records before the error after [`Fault::BadRecords`], all after [`Fault::BadBlockHeader`].
    pub fn read_block(&self, index: usize, buffer: &mut BlockBuffer) -> Result<(), Fault> {
        buffer.clear();
        let (Some(entry), Some(header_crc)) = (self.part.blocks.get(index), self.part.header_crcs.get(index)) else {
            let error = io::ErrorKind::InvalidInput;
            return Err(Fault::Unreadable { at_bytes: self.part.end, block: index as u64, records: 0, error });
        };
        let (at_bytes, block) = (entry.offset, entry.header.sequence);
        let header_len = usize::try_from(entry.payload_offset - entry.offset).unwrap_or(usize::MAX);
        let len = header_len.saturating_add(entry.header.compressed_len as usize);
        let mut scratch = std::mem::take(&mut buffer.scratch);
        let result = match self.source.slice(entry.offset, len, &mut scratch) {
            Ok(bytes) => {
                let (header_frame, payload) = bytes.split_at_checked(header_len).unwrap_or_default();
                buffer.load(at_bytes, &entry.header, payload).and_then(|()| {
                    let good = checked_crc(header_frame) == Some(*header_crc);
                    if good { Ok(()) } else { Err(Fault::BadBlockHeader { at_bytes, block }) }
                })
            }
            Err(error) => {
                let records = u64::from(entry.header.record_count);
                Err(Fault::Unreadable { at_bytes, block, records, error: error.kind() })
            }
        };
        buffer.scratch = scratch;
        result
    }

    /// Whether the file is mapped; if not, it is read.
    pub fn is_mapped(&self) -> bool {
        self.source.is_mapped()
    }
}

/// Opens the file and tells whether its name is that of a sealed segment.
fn open_source(path: &Path) -> Result<(Source, bool), OpenError> {
    let io_error = |source| OpenError::Io { path: path.to_owned(), source };
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC | rustix::fs::OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).map_err(|error| io_error(error.into()))?;
    let file = std::fs::File::from(file);
    let metadata = file.metadata().map_err(io_error)?;
    if !metadata.is_file() {
        return Err(OpenError::NotRegular { path: path.to_owned() });
    }
    if metadata.len() == 0 {
        return Err(OpenError::Empty { path: path.to_owned() });
    }
    let sealed_name = !path.as_os_str().as_bytes().ends_with(OPEN_SUFFIX.as_bytes());
    Ok((Source::new(path, file, &metadata), sealed_name))
}

/// The footer that ends at `end`, if one seems to.
fn read_footer(source: &Source, end: u64) -> io::Result<Option<Result<Footer, HeaderError>>> {
    let mut trailer = [0; Trailer::SIZE];
    let trailer_at = end.saturating_sub(Trailer::SIZE as u64);
    let read = source.read_at(trailer_at, &mut trailer)?;
    let Some(len) = trailer.get(..read).and_then(footer_len_of_trailer).filter(|len| *len as u64 <= end) else {
        return Ok(None);
    };
    let mut frame = vec![0; len];
    if source.read_at(end - len as u64, &mut frame)? < len {
        return Ok(None);
    }
    Ok(Some(decode_footer(&frame).and_then(|footer| match footer.segment_len <= end {
        true => Ok(footer),
        false => Err(HeaderError::Damaged),
    })))
}

/// A part as its footer gives it.
fn indexed_part(source: &Source, base: u64, footer: Footer) -> io::Result<Part> {
    let mut part = Part::new(base, Some(footer.meta));
    (part.end, part.sealed, part.totals) = (base + footer.segment_len, true, Some(footer.totals));
    let mut header_frame = vec![0; footer.header_frame.len()];
    source.read_at(base, &mut header_frame)?;
    if header_frame != footer.header_frame {
        part.faults.push(Fault::BadSegmentHeader { at_bytes: base, recovered: true });
    }
    for (offset, found) in footer.index.into_iter().flatten() {
        part.add_block(base + offset, found);
    }
    Ok(part)
}

/// Walks `base..end`. The error is an unknown format.
fn scan(source: &Source, base: u64, end: u64) -> io::Result<Result<Vec<Part>, HeaderError>> {
    let mut scanner = Scanner::new(FileWindow::new(source, end), base);
    let mut parts: Vec<Part> = Vec::new();
    // Faults before the first segment, and whether the last part has ended.
    let (mut faults, mut ended) = (Vec::new(), true);
    loop {
        let item = scanner.next()?;
        let current = parts.last_mut().filter(|_| !ended);
        match (item, current) {
            (Item::Segment { at, meta }, _) => {
                let mut part = Part::new(at, meta.map(|meta| *meta));
                part.faults = std::mem::take(&mut faults);
                parts.push(part);
                ended = false;
            }
            (Item::Unknown { error, .. }, _) => return Ok(Err(error)),
            (Item::Block(block), Some(part)) => part.add_block(block.offset, block.found),
            (Item::Footer { at, footer }, Some(part)) => {
                part.end = at + footer.len;
                if part.meta.is_none() {
                    recover_header(part, footer.meta);
                }
                (part.sealed, part.totals) = (true, Some(footer.totals));
                ended = true;
            }
            (Item::BadFooter { at }, Some(part)) => {
                part.faults.push(Fault::BadFooter { at_bytes: at });
                part.sealed = true;
                ended = true;
            }
            (Item::BadFooter { at }, None) => faults.push(Fault::BadFooter { at_bytes: at }),
            (Item::Fault(fault), Some(part)) => part.faults.push(fault),
            (Item::Fault(fault), None) => {
                // The scanner gives up on what is no segment from time to time, lest it read a whole disk.
                let gave_up = parts.is_empty() && matches!(fault, Fault::Damaged { .. }) && !faults.is_empty();
                faults.push(fault);
                if gave_up {
                    finish_scan(source, end, &mut parts, faults)?;
                    return Ok(Ok(parts));
                }
            }
            (Item::Torn { at, end, block }, current) => {
                let fault = match block {
                    Some(block) => Fault::TruncatedBlock {
                        at_bytes: at,
                        block: block.header.sequence,
                        records: u64::from(block.header.record_count),
                    },
                    None => Fault::TornTail { at_bytes: at, bytes: end - at },
                };
                current.map_or(&mut faults, |part| &mut part.faults).push(fault);
            }
            (Item::End { at }, _) => {
                finish_scan(source, at, &mut parts, faults)?;
                return Ok(Ok(parts));
            }
            (Item::Block(_) | Item::Footer { .. }, None) => {}
        }
    }
}

/// Gives every part its end, and what was found outside of any part a place.
fn finish_scan(source: &Source, end: u64, parts: &mut Vec<Part>, faults: Vec<Fault>) -> io::Result<()> {
    if parts.is_empty() {
        let mut head = [0; FRAME_HEAD_LEN];
        source.read_at(0, &mut head)?;
        if u32_at(&head, 0) != SKIPPABLE_MAGIC && u64_at(&head, 8) != HEADER_MAGIC {
            return Ok(());
        }
        let mut part = Part::new(0, None);
        part.faults.push(Fault::BadSegmentHeader { at_bytes: 0, recovered: false });
        parts.push(part);
    }
    let starts: Vec<u64> = parts.iter().skip(1).map(|part| part.base).chain([end]).collect();
    for (part, next) in parts.iter_mut().zip(starts) {
        part.end = next;
    }
    if let Some(last) = parts.last_mut() {
        last.faults.extend(faults);
    }
    Ok(())
}

fn recover_header(part: &mut Part, meta: SegmentMeta) {
    part.meta = Some(meta);
    for fault in &mut part.faults {
        if let Fault::BadSegmentHeader { recovered, .. } = fault {
            *recovered = true;
        }
    }
}

/// What the file's name makes of how its parts end: the writer gives a file its final name only once it is sealed.
fn judge_scanned(parts: &mut [Part], sealed_name: bool) {
    for part in parts {
        if sealed_name && !part.sealed {
            part.faults.push(Fault::MissingFooter { at_bytes: part.end });
        }
        for fault in &mut part.faults {
            if let (Fault::TruncatedBlock { at_bytes, .. }, false) = (&fault, sealed_name) {
                *fault = Fault::TornTail { at_bytes: *at_bytes, bytes: part.end - at_bytes };
            }
        }
    }
}
