//! What can be wrong with an input: why it cannot be opened, and what was found damaged inside.

use std::path::PathBuf;

/// Why an input is not readable as a segment at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is something else.
    #[error("{}: not a crypto-trace segment", path.display())]
    NotASegment {
        /// Which file.
        path: PathBuf,
    },
    /// There is nothing in it.
    #[error("{}: empty file, not a crypto-trace segment", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error("{}: format version {major} is not one this program reads (it reads {supported}); use a newer crypto-trace-analyze", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        major: u16,
        /// Ours.
        supported: u16,
    },
    /// It uses features that this program does not know.
    #[error("{}: needs format features {incompat:#x} that this program does not know; use a newer crypto-trace-analyze", path.display())]
    Features {
        /// Which file.
        path: PathBuf,
        /// Unknown feature bits.
        incompat: u64,
    },
}

/// Something wrong in an input, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// An unsealed file ends in the middle of a block: what a crash leaves.
    #[error("torn tail at byte {at_bytes}: {bytes} bytes after the last whole block")]
    TornTail {
        /// Where the tail begins.
        at_bytes: u64,
        /// How long it is.
        bytes: u64,
    },
    /// A file that was sealed is cut short.
    #[error("cut short: block {block} at byte {at_bytes} reaches past the end of the file, {records} records lost")]
    Truncated {
        /// Where the block begins.
        at_bytes: u64,
        /// Number of the block.
        block: u64,
        /// Its records.
        records: u64,
    },
    /// A payload does not match its checksum.
    #[error(
        "block {block} at byte {at_bytes}: bad checksum (expected {expected:#010x}, found {found:#010x}), {records} records lost"
    )]
    BadChecksum {
        /// Where the block begins.
        at_bytes: u64,
        /// Number of the block.
        block: u64,
        /// Checksum in the header.
        expected: u32,
        /// Checksum of the bytes.
        found: u32,
        /// Its records.
        records: u64,
    },
    /// A payload does not decompress to what its header says.
    #[error("block {block} at byte {at_bytes}: does not decompress to {raw_len} bytes, {records} records lost")]
    BadCompression {
        /// Where the block begins.
        at_bytes: u64,
        /// Number of the block.
        block: u64,
        /// Length the header claims.
        raw_len: u64,
        /// Its records.
        records: u64,
    },
    /// A block's bytes are not the records its header tells of.
    #[error("block {block} at byte {at_bytes}: record {record} is malformed, {records} records lost")]
    BadRecords {
        /// Where the block begins.
        at_bytes: u64,
        /// Number of the block.
        block: u64,
        /// Number in the block of the first bad record.
        record: u64,
        /// Records lost.
        records: u64,
    },
    /// A block header differs from its copy in the footer.
    #[error("block {block} at byte {at_bytes}: damaged header, {records} records lost")]
    BadBlockHeader {
        /// Where the block begins.
        at_bytes: u64,
        /// Number of the block.
        block: u64,
        /// Its records.
        records: u64,
    },
    /// Bytes that are no frame; reading went on behind them.
    #[error("{bytes} unreadable bytes at byte {at_bytes}{}", lost_text(*records))]
    Unreadable {
        /// Where they begin.
        at_bytes: u64,
        /// How many.
        bytes: u64,
        /// Records lost, when the next block tells.
        records: Option<u64>,
    },
    /// The segment header is damaged; a copy or defaults are used.
    #[error("damaged segment header at byte {at_bytes}{}", if *recovered { ", read from its copy in the footer" } else { ": host and capture are unknown" })]
    BadSegmentHeader {
        /// Where it begins.
        at_bytes: u64,
        /// Whether the footer's copy served.
        recovered: bool,
    },
    /// The footer is damaged; the blocks were found by a scan.
    #[error("damaged footer at byte {at_bytes}: the blocks were found by a scan, no records lost")]
    BadFooter {
        /// Where it, or the trailer, begins.
        at_bytes: u64,
    },
    /// Blocks of a type this program does not know were skipped.
    #[error("block at byte {at_bytes} is of a type this program does not know: skipped")]
    UnknownBlock {
        /// Where it begins.
        at_bytes: u64,
    },
    /// The file could not be read.
    #[error("cannot read at byte {at_bytes}: {message}")]
    Io {
        /// Where.
        at_bytes: u64,
        /// Why.
        message: String,
        /// Records lost, when known.
        records: Option<u64>,
    },
}

fn lost_text(records: Option<u64>) -> String {
    records.map_or(String::new(), |records| format!(", {records} records lost"))
}

impl Fault {
    /// False for what is to be expected of a file that was not sealed, or of a newer writer.
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::TornTail { .. } | Self::UnknownBlock { .. })
    }

    /// Where it is in the file.
    pub fn at_bytes(&self) -> u64 {
        match self {
            Self::TornTail { at_bytes, .. }
            | Self::Truncated { at_bytes, .. }
            | Self::BadChecksum { at_bytes, .. }
            | Self::BadCompression { at_bytes, .. }
            | Self::BadRecords { at_bytes, .. }
            | Self::BadBlockHeader { at_bytes, .. }
            | Self::Unreadable { at_bytes, .. }
            | Self::BadSegmentHeader { at_bytes, .. }
            | Self::BadFooter { at_bytes }
            | Self::UnknownBlock { at_bytes }
            | Self::Io { at_bytes, .. } => *at_bytes,
        }
    }

    /// Records known to be lost to it; `None` when that cannot be told.
    pub fn records_lost(&self) -> Option<u64> {
        match self {
            Self::Truncated { records, .. }
            | Self::BadChecksum { records, .. }
            | Self::BadCompression { records, .. }
            | Self::BadRecords { records, .. }
            | Self::BadBlockHeader { records, .. } => Some(*records),
            Self::Unreadable { records, .. } | Self::Io { records, .. } => *records,
            Self::BadSegmentHeader { .. } | Self::BadFooter { .. } => Some(0),
            Self::TornTail { .. } | Self::UnknownBlock { .. } => None,
        }
    }
}
