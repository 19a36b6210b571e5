//! What can be wrong with an input: errors that end the reading of a file, and faults that are reported on the way.

use std::path::PathBuf;

/// Why an input is not readable as a segment at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be opened or read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Nothing in it looks like a segment.
    #[error("{path}: not a crypto-trace segment")]
    NotASegment {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing in it.
    #[error("{path}: empty file")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Neither mapped nor read at random: a pipe, a device, a directory.
    #[error("{path}: not a regular file")]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// Written in a format this program does not know.
    #[error("{path}: format version {major} is newer than this program reads ({supported})")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its major version.
        major: u16,
        /// The major version this program reads.
        supported: u16,
    },
    /// Written with features this program does not know.
    #[error("{path}: needs features this program does not have (flags {flags:#x})")]
    Incompatible {
        /// The file.
        path: PathBuf,
        /// The unknown incompat flags.
        flags: u32,
    },
}

/// Why a block's payload, whose checksum is right, is not what its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// Not exactly one zstd frame with a content size.
    #[error("not a single zstd frame")]
    NotOneFrame,
    /// Decompressed length differs from the header's.
    #[error("length differs from the header")]
    WrongLength,
    /// zstd refuses it.
    #[error("does not decompress")]
    Undecodable,
    /// No memory for a decompression context.
    #[error("out of memory")]
    OutOfMemory,
}

/// Something wrong in an input, with its place. Display shows position, block and what was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Note: the writer stopped in the middle of a block.
    #[error("torn tail at byte {at_bytes}: {bytes} bytes after the last whole block")]
    TornTail {
        /// Where the partial block begins.
        at_bytes: u64,
        /// Its bytes.
        bytes: u64,
    },
    /// Note: a stream ended without a footer; its writer did not end it.
    #[error("not sealed: the stream ends at byte {at_bytes} without a footer")]
    Unsealed {
        /// Where it ends.
        at_bytes: u64,
    },
    /// The name says sealed, but there is no footer: the end of the file is missing.
    #[error("cut short at byte {at_bytes}: no footer")]
    MissingFooter {
        /// Where the file ends.
        at_bytes: u64,
    },
    /// The segment header is damaged.
    #[error("segment header at byte {at_bytes}: bad checksum, {}", if *.recovered { "the footer's copy is used" } else { "host, clock and filters unknown" })]
    BadSegmentHeader {
        /// Where it should be.
        at_bytes: u64,
        /// Whether the footer's copy replaces it. If not, the metadata is a placeholder.
        recovered: bool,
    },
    /// The footer is damaged; a forward scan replaces it.
    #[error("footer at byte {at_bytes}: damaged, no records lost")]
    BadFooter {
        /// Where it begins.
        at_bytes: u64,
    },
    /// A block header is damaged; the footer's copy is used.
    #[error("block {block} at byte {at_bytes}: bad header checksum, the footer's copy is used, no records lost")]
    BadBlockHeader {
        /// Where the block begins.
        at_bytes: u64,
        /// Its number in the segment.
        block: u64,
    },
    /// Bytes that are no frame, or blocks that are missing.
    #[error("block {block} at byte {at_bytes}: {bytes} bytes unreadable, {} records lost", Unknown(*.records))]
    Damaged {
        /// Where it begins.
        at_bytes: u64,
        /// Bytes up to the next good frame; 0 when blocks are missing without a trace.
        bytes: u64,
        /// The first block that is missing.
        block: u64,
        /// Records lost, if the next block shows it.
        records: Option<u64>,
    },
    /// The file ends inside a block.
    #[error("block {block} at byte {at_bytes}: cut short, {records} records lost")]
    TruncatedBlock {
        /// Where the block begins.
        at_bytes: u64,
        /// Its number in the segment.
        block: u64,
        /// Records in it.
        records: u64,
    },
    /// The payload's checksum is wrong.
    #[error("block {block} at byte {at_bytes}: bad checksum, {records} records lost")]
    BadChecksum {
        /// Where the block begins.
        at_bytes: u64,
        /// Its number in the segment.
        block: u64,
        /// Records in it.
        records: u64,
    },
    /// The payload's checksum is right, but it is not what the header says.
    #[error("block {block} at byte {at_bytes}: {error}, {records} records lost")]
    BadPayload {
        /// Where the block begins.
        at_bytes: u64,
        /// Its number in the segment.
        block: u64,
        /// Records in it.
        records: u64,
        /// What is wrong.
        error: PayloadError,
    },
    /// The records do not parse, or are not as many as the header says. Those before the error are readable.
    #[error("block {block} at byte {at_bytes}: {found} well-formed records, header says {expected}")]
    BadRecords {
        /// Where the block begins.
        at_bytes: u64,
        /// Its number in the segment.
        block: u64,
        /// Well-formed records, which are readable.
        found: u64,
        /// Records the header counts.
        expected: u64,
    },
    /// The file became shorter, or cannot be read any more, since it was opened.
    #[error("block {block} at byte {at_bytes}: {error}, {records} records lost")]
    Unreadable {
        /// Where the block begins.
        at_bytes: u64,
        /// Its number in the segment.
        block: u64,
        /// Records in it.
        records: u64,
        /// What the system said; `UnexpectedEof` for a file that became shorter.
        error: std::io::ErrorKind,
    },
    /// A segment in a stream in a format this program does not know; it is skipped.
    #[error("segment at byte {at_bytes}: format version {major}, flags {flags:#x} are newer than this program reads")]
    UnknownFormat {
        /// Where it begins.
        at_bytes: u64,
        /// Its major version.
        major: u16,
        /// Its unknown incompat flags.
        flags: u32,
    },
    /// Note: blocks or frames of types this version does not know were skipped.
    #[error("{blocks} blocks of unknown type skipped, the first at byte {at_bytes}, {records} records")]
    UnknownBlocks {
        /// Where the first begins.
        at_bytes: u64,
        /// How many.
        blocks: u64,
        /// Records in them.
        records: u64,
    },
    /// Note: more segments follow in the same file, see [`SegmentReader::open_all`](super::SegmentReader::open_all).
    #[error("more segments follow at byte {at_bytes}")]
    MoreSegments {
        /// Where the next begins.
        at_bytes: u64,
    },
}

/// A number of records that may be unknown.
struct Unknown(Option<u64>);

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(records) => records.fmt(f),
            None => f.write_str("an unknown number of"),
        }
    }
}

impl Fault {
    /// False for a note: a torn tail, an unsealed stream, skipped unknown blocks, more segments to come.
    pub fn is_damage(&self) -> bool {
        !matches!(
            self,
            Self::TornTail { .. } | Self::Unsealed { .. } | Self::UnknownBlocks { .. } | Self::MoreSegments { .. }
        )
    }

    /// Where in the input, bytes from its start.
    pub fn at_bytes(&self) -> u64 {
        match self {
            Self::TornTail { at_bytes, .. }
            | Self::Unsealed { at_bytes }
            | Self::MissingFooter { at_bytes }
            | Self::BadSegmentHeader { at_bytes, .. }
            | Self::BadFooter { at_bytes }
            | Self::BadBlockHeader { at_bytes, .. }
            | Self::Damaged { at_bytes, .. }
            | Self::TruncatedBlock { at_bytes, .. }
            | Self::BadChecksum { at_bytes, .. }
            | Self::BadPayload { at_bytes, .. }
            | Self::BadRecords { at_bytes, .. }
            | Self::Unreadable { at_bytes, .. }
            | Self::UnknownFormat { at_bytes, .. }
            | Self::UnknownBlocks { at_bytes, .. }
            | Self::MoreSegments { at_bytes } => *at_bytes,
        }
    }

    /// The block it is about.
    pub fn block(&self) -> Option<u64> {
        match self {
            Self::BadBlockHeader { block, .. }
            | Self::Damaged { block, .. }
            | Self::TruncatedBlock { block, .. }
            | Self::BadChecksum { block, .. }
            | Self::BadPayload { block, .. }
            | Self::BadRecords { block, .. }
            | Self::Unreadable { block, .. } => Some(*block),
            _ => None,
        }
    }

    /// Records known to be lost to this fault; None when it cannot be determined.
    pub fn records_lost(&self) -> Option<u64> {
        match self {
            Self::TruncatedBlock { records, .. }
            | Self::BadChecksum { records, .. }
            | Self::BadPayload { records, .. }
            | Self::Unreadable { records, .. } => Some(*records),
            Self::BadRecords { found, expected, .. } => Some(expected.saturating_sub(*found)),
            Self::Damaged { records, .. } => *records,
            Self::BadSegmentHeader { .. }
            | Self::BadFooter { .. }
            | Self::BadBlockHeader { .. }
            | Self::UnknownBlocks { .. }
            | Self::MoreSegments { .. } => Some(0),
            Self::TornTail { .. } | Self::Unsealed { .. } | Self::MissingFooter { .. } | Self::UnknownFormat { .. } => {
                None
            }
        }
    }
}
