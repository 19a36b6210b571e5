//! Segment files (`.ctseg`): blocks of records, each a standard zstd frame, between skippable frames that hold our metadata.
//!
//! ```text
//! ┌────────────────┬──────────────┬────────────┬──────────────┬────────────┬───┬────────┬─────────┐
//! │ segment header │ block header │ zstd frame │ block header │ zstd frame │ … │ footer │ trailer │
//! └────────────────┴──────────────┴────────────┴──────────────┴────────────┴───┴────────┴─────────┘
//!    skippable        skippable      records      skippable      records        skippable skippable
//! ```
//! So `zstd -dc` yields exactly the records. The bytes are described in `docs/format.md`.

mod block;
mod fault;
mod footer;
mod frame;
mod meta;
mod payload;
mod reader;
mod source;
mod store;
mod stream;
mod writer;

pub use block::{
    BLOCK_MAGIC, BLOOM_BYTES, BlockBuilder, BlockHeader, BlockHeaderFixed, BlockType, MAX_EXACT_TGIDS, MAX_RAW_LEN,
    TgidSummary,
};
pub use fault::{Fault, OpenError};
pub use footer::{BlockEntry, FOOTER_MAGIC, FooterFixed, TRAILER_LEN, TRAILER_MAGIC, Totals, Trailer};
pub use frame::SKIPPABLE_MAGIC;
pub use meta::{
    ClockAnchor, MAJOR, MAX_META_LEN, MINOR, SEGMENT_MAGIC, SchemaField, SchemaKind, SegmentHeaderFixed, SegmentMeta,
};
pub use payload::BlockBuffer;
pub use reader::SegmentReader;
pub use store::{OPEN_SUFFIX, SEALED_SUFFIX, SegmentStore, StoreOptions};
pub use stream::{StreamItem, StreamReader};
pub use writer::SegmentWriter;
