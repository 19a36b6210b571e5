//! Segment files: blocks of records between zstd skippable frames. STUB: signatures only, being built.
#![allow(missing_docs, unused_variables, clippy::unimplemented)]

use crate::record::{Header, Records};
use std::path::{Path, PathBuf};

/// CLOCK_BOOTTIME and CLOCK_REALTIME read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct ClockAnchor {
    pub boottime_ns: u64,
    pub realtime_ns: i64,
}

/// One kind of the schema table.
#[derive(Debug, Clone, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct SchemaKind {
    pub kind: u16,
    pub name: String,
    pub fixed_len: u16,
    pub fields: Vec<SchemaField>,
    pub strings: Vec<String>,
}
#[derive(Debug, Clone, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct SchemaField {
    pub name: String,
    pub ty: String,
    pub offset: u16,
    pub size: u16,
}

/// What the segment header says; a copy is in the footer.
#[derive(Debug, Clone, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct SegmentMeta {
    pub capture_id: [u8; 16],
    /// 0 for the first segment of a capture.
    pub sequence: u64,
    pub host: String,
    pub boot_id: String,
    pub kernel: String,
    pub arch: String,
    /// For example `crypto-trace-capture 0.1.0`.
    pub tool: String,
    /// Filters in force, as the user gave them, for example `--pid 12`.
    pub filters: Vec<String>,
    pub clock: ClockAnchor,
    pub schema: Vec<SchemaKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockType {
    Lifecycle,
    Events,
}

/// Which processes have records in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TgidSummary {
    Exact(Vec<u32>),
    Bloom(Vec<u8>),
}
impl TgidSummary {
    pub fn may_contain(&self, tgid: u32) -> bool {
        unimplemented!()
    }
}

/// A block header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockHeader {
    pub block_type: BlockType,
    /// Number of the block in its segment, from 0.
    pub sequence: u64,
    /// Number of its first record in its segment, from 0.
    pub first_record: u64,
    pub record_count: u32,
    pub min_time_ns: u64,
    pub max_time_ns: u64,
    pub raw_len: u32,
    pub compressed_len: u32,
    pub kinds: u64,
    pub tgids: TgidSummary,
    /// Cumulative over the capture up to this block.
    pub lost: u64,
    pub dropped: u64,
    /// Last block of a flush: everything captured up to now has been written (live readers may show it).
    pub flush_end: bool,
    pub payload_crc: u32,
}

// ---- writing ----

/// Records gathered for one block: what the drain thread hands to the writer thread.
pub struct BlockBuilder {}
impl BlockBuilder {
    pub fn new(block_type: BlockType, capacity_bytes: usize) -> Self {
        unimplemented!()
    }
    /// Appends one whole record's bytes (well-formed; the caller parsed its header).
    pub fn push(&mut self, header: &Header, record: &[u8]) {
        unimplemented!()
    }
    pub fn len_bytes(&self) -> usize {
        unimplemented!()
    }
    pub fn record_count(&self) -> u32 {
        unimplemented!()
    }
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }
    /// Changes what kind of block an empty builder is for.
    pub fn set_type(&mut self, block_type: BlockType) {
        unimplemented!()
    }
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        unimplemented!()
    }
}

/// Sums over a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    pub blocks: u64,
    pub records: u64,
    pub raw_bytes: u64,
    pub file_bytes: u64,
    pub by_kind: Vec<(u16, u64)>,
}

/// Writes one segment's frames to any `Write`; file handling (names, sealing, rotation) is `store`.
pub struct SegmentWriter<W: std::io::Write> {
    w: W,
}
impl<W: std::io::Write> SegmentWriter<W> {
    /// Writes the segment header.
    pub fn create(w: W, meta: &SegmentMeta, compression_level: i32) -> std::io::Result<Self> {
        unimplemented!()
    }
    /// Writes one block; `lost`/`dropped` are cumulative over the capture.
    pub fn write_block(
        &mut self,
        block: &BlockBuilder,
        lost: u64,
        dropped: u64,
        flush_end: bool,
    ) -> std::io::Result<()> {
        unimplemented!()
    }
    pub fn totals(&self) -> &Totals {
        unimplemented!()
    }
    pub fn get_mut(&mut self) -> &mut W {
        unimplemented!()
    }
    /// Writes footer and trailer.
    pub fn finish(self) -> std::io::Result<(W, Totals)> {
        unimplemented!()
    }
}

#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub segment_bytes: u64,
    pub segment_age: Option<std::time::Duration>,
    pub retain_bytes: Option<u64>,
    pub retain_segments: Option<u64>,
    pub retain_age: Option<std::time::Duration>,
    pub compression_level: i32,
}

/// A directory (or one file) of segments being written: creates, seals, rotates, retains, survives a full disk.
pub struct SegmentStore {}
impl SegmentStore {
    pub fn in_directory(dir: &Path, meta: SegmentMeta, options: StoreOptions) -> std::io::Result<Self> {
        unimplemented!()
    }
    pub fn single_file(path: &Path, meta: SegmentMeta, options: StoreOptions) -> std::io::Result<Self> {
        unimplemented!()
    }
    /// True when size or age says the current segment should be sealed before the next block.
    pub fn should_rotate(&self) -> bool {
        unimplemented!()
    }
    /// Seals the current segment, applies retention, opens the next. `clock` becomes the new header's anchor.
    /// The caller then writes the opening blocks (clock, process table, probe status).
    pub fn rotate(&mut self, clock: ClockAnchor) -> std::io::Result<()> {
        unimplemented!()
    }
    /// On error the file is cut back to its last whole block, so that the same block can be tried again.
    pub fn write_block(
        &mut self,
        block: &BlockBuilder,
        lost: u64,
        dropped: u64,
        flush_end: bool,
    ) -> std::io::Result<()> {
        unimplemented!()
    }
    /// Bytes written over all segments of this capture.
    pub fn written_bytes(&self) -> u64 {
        unimplemented!()
    }
    /// fdatasync of what was written so far.
    pub fn sync(&mut self) -> std::io::Result<()> {
        unimplemented!()
    }
    /// Seals the last segment. Returns totals over all segments of this capture, and how many segments.
    pub fn seal(self) -> std::io::Result<(Totals, u64)> {
        unimplemented!()
    }
}

// ---- reading ----

/// Why an input is not readable as a segment at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: not a crypto-trace segment")]
    NotASegment { path: PathBuf },
    #[error("{path}: empty file")]
    Empty { path: PathBuf },
    #[error("{path}: format version {major} is newer than this program reads ({supported})")]
    Version { path: PathBuf, major: u16, supported: u16 },
}

/// Something wrong in an input, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    #[error("torn tail at byte {at_bytes}: {bytes} bytes after the last whole block")]
    TornTail { at_bytes: u64, bytes: u64 },
    #[error("block {block} at byte {at_bytes}: bad checksum, {records} records lost")]
    BadChecksum { at_bytes: u64, block: u64, records: u64 },
}
impl Fault {
    /// False for a note (torn tail of an unsealed file).
    pub fn is_damage(&self) -> bool {
        unimplemented!()
    }
    pub fn at_bytes(&self) -> u64 {
        unimplemented!()
    }
    /// Records known to be lost to this fault; None when it cannot be told.
    pub fn records_lost(&self) -> Option<u64> {
        unimplemented!()
    }
}

/// Where a block is in its file.
#[derive(Debug, Clone)]
pub struct BlockEntry {
    pub header: BlockHeader,
    pub offset: u64,
    pub payload_offset: u64,
}

/// A block's raw records, decompressed. Reused between blocks.
#[derive(Default)]
pub struct BlockBuffer {}
impl BlockBuffer {
    pub fn raw(&self) -> &[u8] {
        unimplemented!()
    }
    pub fn records(&self) -> Records<'_> {
        unimplemented!()
    }
}

/// One segment, random access, `Sync`: many threads may read blocks of one reader at once.
pub struct SegmentReader {}
impl SegmentReader {
    /// mmap when sealed, read() otherwise. Structural damage is in `faults()`, not an error.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        unimplemented!()
    }
    pub fn path(&self) -> &Path {
        unimplemented!()
    }
    pub fn meta(&self) -> &SegmentMeta {
        unimplemented!()
    }
    pub fn is_sealed(&self) -> bool {
        unimplemented!()
    }
    pub fn len_bytes(&self) -> u64 {
        unimplemented!()
    }
    pub fn blocks(&self) -> &[BlockEntry] {
        unimplemented!()
    }
    pub fn faults(&self) -> &[Fault] {
        unimplemented!()
    }
    /// From the footer when there is one.
    pub fn totals(&self) -> Option<&Totals> {
        unimplemented!()
    }
    /// Checks, decompresses and returns block `index`.
    pub fn read_block(&self, index: usize, buffer: &mut BlockBuffer) -> Result<(), Fault> {
        unimplemented!()
    }
}

/// Segments one after the other in a pipe.
pub struct StreamReader<R: std::io::Read> {
    r: R,
}
pub enum StreamItem {
    Segment(SegmentMeta),
    Block(BlockHeader),
    Fault(Fault),
}
impl<R: std::io::Read> StreamReader<R> {
    pub fn new(r: R) -> Self {
        unimplemented!()
    }
    /// Next thing in the stream; a block's records are then in `buffer`. None at the end.
    pub fn next(&mut self, buffer: &mut BlockBuffer) -> std::io::Result<Option<StreamItem>> {
        unimplemented!()
    }
}
