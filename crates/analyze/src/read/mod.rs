//! From segments to output: pass 1 reads what is known of processes, pass 2 reads the events themselves.
//!
//! ```text
//!            lifecycle blocks                 blocks that may match
//! segments ──────────────────▶ Capture ┐  ┌─────────────────────── segments
//!                              (frozen)└─▶│ decode, filter (parallel)
//!                                         ▼
//!                              order by (time, segment, record)
//!                                         ▼
//!                              render (parallel) ──▶ output
//! ```
//!
//! Of a narrow question pass 1 reads only what tells of the processes and connections that are shown ([`read_narrow`]).
//!
//! What is written does not depend on the number of threads: work is cut into batches by the inputs alone. Memory does not
//! grow with the inputs: a batch is decoded while the one before is written.

mod block;
pub mod faults;
pub mod follow;
mod gather;
mod handshakes;
pub mod input;
mod lifecycle;
mod live;
mod ordered;
mod pace;
mod places;
mod plan;
mod processes;

pub use block::{BlockSource, Match, Tally, check_body};
pub use gather::{Count, Fold, Origin, count_blocks, count_live};
pub use handshakes::{Wanted, read_handshakes};
pub use lifecycle::read_captures;
pub use live::{LiveBatch, LiveBlock, LiveRun, LiveSink, run_live};
pub use ordered::{EventSink, Numbered, OrderedOutput, Ready, TextSink};
pub use pace::Pace;
pub use plan::{Plan, Task, time_ranges};
pub use processes::{read_facts, read_narrow};

/// Blocks that are decoded together.
pub const BATCH_BLOCKS: usize = 16;
