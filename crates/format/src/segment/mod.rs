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

mod block;
mod builder;
mod fault;
mod footer;
mod frame;
mod header;
mod map;
mod meta;
mod payload;
mod reader;
mod scan;
mod source;
mod store;
mod stream;
mod tgids;
mod window;
mod writer;

pub use block::{BlockHeader, BlockType};
pub use builder::BlockBuilder;
pub use fault::{Fault, OpenError, PayloadError};
pub use footer::Totals;
pub use meta::{ClockAnchor, SchemaField, SchemaKind, SegmentMeta, schema_table};
pub use payload::BlockBuffer;
pub use reader::{BlockEntry, SegmentReader};
pub use store::{SegmentStore, StoreOptions};
pub use stream::{StreamItem, StreamReader};
pub use tgids::TgidSummary;
pub use writer::SegmentWriter;

/// Major version of the format. A reader refuses any other.
pub const MAJOR: u16 = 1;

/// Minor version of the format.
pub const MINOR: u16 = 0;

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
