//! Segment files: blocks of records between zstd skippable frames.
//!
//! ```text
//! ┌────────────────┬──────────────┬────────────┬──────────────┬────────────┬───┬────────┐
//! │ segment header │ block header │ data frame │ block header │ data frame │ … │ footer │
//! │ (skippable)    │ (skippable)  │ (zstd)     │ (skippable)  │ (zstd)     │   │ (skip.)│
//! └────────────────┴──────────────┴────────────┴──────────────┴────────────┴───┴────────┘
//! ```
//!
//! A segment is itself a valid zstd file: `zstd -dc` yields exactly its records. Every byte is covered by a CRC32C. The
//! normative description is `docs/format.md`.
//!
//! Written by [`SegmentWriter`] (frames) and [`SegmentStore`] (files); read by [`SegmentReader`] (files) and
//! [`StreamReader`] (pipes). This module knows nothing of what records mean.
//!
//! ```
//! use crypto_trace_format::record::{Header, ProcessExit, Record};
//! use crypto_trace_format::segment::{BlockBuffer, BlockBuilder, BlockType, SegmentMeta, SegmentWriter};
//! use crypto_trace_format::segment::{StreamItem, StreamReader};
//!
//! let mut bytes = Vec::new();
//! ProcessExit::default().encode(Header { tgid: 12, ..Header::default() }, &mut bytes);
//! let mut block = BlockBuilder::new(BlockType::Lifecycle, 256 << 10);
//! block.push(&Record::parse(&bytes)?.header, &bytes);
//!
//! let mut writer = SegmentWriter::create(Vec::new(), &SegmentMeta::default(), 1)?;
//! writer.write_block(&block, 0, 0, false)?;
//! let (segment, totals) = writer.finish()?;
//! assert_eq!(totals.records, 1);
//!
//! let mut stream = StreamReader::new(&segment[..]);
//! let mut buffer = BlockBuffer::default();
//! while let Some(item) = stream.next(&mut buffer)? {
//!     if let StreamItem::Block(_) = item {
//!         assert_eq!(buffer.records().next().transpose()?.map(|record| record.header.tgid), Some(12));
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod builder;
mod extracted;
mod fault;
mod footer;
mod frame;
mod header;
mod map;
mod meta;
mod payload;
mod reader;
mod scan;
mod selected;
mod source;
mod store;
mod stream;
mod tgids;
mod unit;
mod window;
mod writer;

pub use block::{BlockHeader, BlockType};
pub use builder::BlockBuilder;
pub use extracted::Extraction;
pub use fault::{Fault, OpenError, PayloadError};
pub use footer::Totals;
pub use meta::{ClockAnchor, SchemaField, SchemaKind, SegmentMeta, Selected, schema_table};
pub use payload::BlockBuffer;
pub use reader::{BlockEntry, SegmentReader};
pub use store::{Pressure, SegmentSet, SegmentStore, StoreOptions, Swapped};
pub use stream::{StreamItem, StreamReader};
pub use tgids::TgidSummary;
pub use unit::{Unit, unit_at};
pub use writer::SegmentWriter;

/// Major version of the format. A reader refuses any other.
pub const MAJOR: u16 = 1;

/// Minor version of the format. 1: the header says what was selected as values, too.
pub const MINOR: u16 = 2;

/// What a sealed segment's name ends with.
pub const SEGMENT_SUFFIX: &str = ".ctseg";

/// What is added to a segment's name while it is written.
pub const OPEN_SUFFIX: &str = ".open";

/// Most bytes of records in a block: 4 MiB and the record that went past it.
pub const MAX_BLOCK_RAW_BYTES: usize = (4 << 20) + (64 << 10);

/// Most bytes of a data frame; incompressible records become a little longer.
const MAX_PAYLOAD_BYTES: usize = MAX_BLOCK_RAW_BYTES + MAX_BLOCK_RAW_BYTES / 128 + 1024;

/// Most bytes of a segment header's metadata.
const MAX_META_BYTES: usize = 1 << 20;

/// Most bytes of index a writer keeps; a segment with more blocks (some 80,000) is sealed without one.
const MAX_INDEX_BYTES: usize = 16 << 20;

/// Longest footer a reader accepts: index, header copy, kind table.
const MAX_FOOTER_BYTES: usize = MAX_INDEX_BYTES + MAX_META_BYTES + (2 << 20);

/// The fixed layouts of this module, for `docs/format.md`.
#[cfg(test)]
pub(crate) const LAYOUTS: &[(&str, &[crate::record::FieldLayout], &str)] = &[
    ("SegmentHead", header::SegmentHead::FIELDS, include_str!("header.rs")),
    ("BlockHead", block::BlockHead::FIELDS, include_str!("block.rs")),
    ("FooterHead", footer::FooterHead::FIELDS, include_str!("footer.rs")),
    ("KindCount", footer::KindCount::FIELDS, include_str!("footer.rs")),
    ("Trailer", footer::Trailer::FIELDS, include_str!("footer.rs")),
];

/// Magics and limits, for `docs/format.md`.
#[cfg(test)]
pub(crate) fn constants() -> Vec<(&'static str, String)> {
    let magic = |magic: u64| magic.to_le_bytes().map(|byte| format!("{byte:02x}")).join(" ");
    let skippable = frame::SKIPPABLE_MAGIC.to_le_bytes().map(|byte| format!("{byte:02x}")).join(" ");
    vec![
        ("zstd skippable magic of all our frames", format!("`{skippable}` ({:#010x})", frame::SKIPPABLE_MAGIC)),
        ("inner magic of a segment header, `CTSEG` 1A `HD`", format!("`{}`", magic(frame::HEADER_MAGIC))),
        ("inner magic of a block header, `CTSEG` 1A `BK`", format!("`{}`", magic(frame::BLOCK_MAGIC))),
        ("inner magic of a footer, `CTSEG` 1A `FT`", format!("`{}`", magic(frame::FOOTER_MAGIC))),
        ("magic of a trailer, `CTSEG` 1A `ND`", format!("`{}`", magic(frame::TRAILER_MAGIC))),
        ("major version", MAJOR.to_string()),
        ("minor version", MINOR.to_string()),
        ("most bytes of records in a block", MAX_BLOCK_RAW_BYTES.to_string()),
        ("most bytes of a data frame", MAX_PAYLOAD_BYTES.to_string()),
        ("most bytes of a metadata blob", MAX_META_BYTES.to_string()),
        ("most tgids in an exact list", tgids::MAX_EXACT_TGIDS.to_string()),
        ("most bytes of a Bloom filter", tgids::MAX_BLOOM_BYTES.to_string()),
        ("longest block header frame", block::MAX_BLOCK_HEADER_LEN.to_string()),
        ("longest index a writer keeps", MAX_INDEX_BYTES.to_string()),
        ("longest footer frame", MAX_FOOTER_BYTES.to_string()),
        ("most bytes of one record", crate::record::MAX_RECORD_LEN.to_string()),
    ]
}
