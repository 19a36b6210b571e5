//! Who used what: files, libraries, calls and handshakes, gathered by process or by path.
//!
//! Blocks are counted in parallel and added up in the order of the inputs ([`crate::pipeline::count_blocks`]), so that
//! nothing depends on the number of threads. What is kept has a [`Budget`]; what does not fit is counted, and told.

mod by_path;
mod by_process;
mod directories;
mod lineage;
mod uses;

pub use by_path::{ByPath, ProgramUse, Shown, library_of};
pub use by_process::{Doings, Ids, Inventory, Who};
pub use directories::{Common, MANY_FILES, common};
pub use lineage::{Gathered, Mapped, mapped_at};
pub use uses::{Access, CallKey, CallUse, FileUse, HandshakeKey, LibraryUse, Span, changed_names, shown_type};

use crate::faults::FaultLog;
use crate::pipeline::{LiveSink, Plan, Tally};

/// Bytes that rows may take, about.
const MAX_BYTES: usize = 384 << 20;

/// What one row takes besides its key, about.
const ROW_BYTES: usize = 224;

/// How much memory is left for rows.
#[derive(Debug, Clone)]
pub struct Budget {
    left: usize,
    refused: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(MAX_BYTES)
    }
}

impl Budget {
    /// Room for about `bytes` bytes.
    pub fn new(bytes: usize) -> Self {
        Self { left: bytes, refused: 0 }
    }

    /// Takes the room for a row with a key of `key_len` bytes; counts it as refused when there is none.
    pub fn take(&mut self, key_len: usize) -> bool {
        match self.left.checked_sub(key_len + ROW_BYTES) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                self.refused += 1;
                false
            }
        }
    }

    /// How often there was no room.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

/// Something that is gathered from files in one go, or from a stream as it comes.
pub trait Gather: LiveSink {
    /// Reads everything that a plan holds.
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog);

    /// Records, and how many of them passed.
    fn tally(&self) -> Tally;

    /// How often something was left out for lack of room.
    fn refused(&self) -> u64;
}
