//! What is counted of records, a thing in one place each; what is shown are views of it.
//!
//! Blocks are counted in parallel and added up in the order of the inputs ([`crate::read::count_blocks`]), so that nothing
//! depends on the number of threads. What is kept has a [`crate::budget::Budget`]; what does not fit is counted, and
//! reported.

pub mod calls;
pub mod certs;
pub mod files;
pub mod handshakes;
pub mod keys;
pub mod libraries;
pub mod paths;
pub mod processes;
pub mod rate;
pub mod readiness;
mod room;
pub mod rows;
pub mod totals;
pub mod uses;
pub mod wire;

use crate::capture::clock::WallNs;
use crate::words::text::grouped;
use crypto_trace_format::record::{Header, Tier, flags};

/// When something happened first and last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First.
    pub first: WallNs,
    /// Last.
    pub last: WallNs,
}

impl Span {
    /// It happened once.
    pub fn at(time: WallNs) -> Self {
        Self { first: time, last: time }
    }

    /// Also then.
    pub fn add(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

fn is_from_proc(header: &Header, tier: u16) -> bool {
    header.flags & flags::FROM_PROC != 0 || tier == Tier::PROC.0
}

/// What is said when rows did not fit.
fn without_room(refused: u64) -> Option<String> {
    (refused > 0).then(|| format!("too many rows: {} did not fit in memory and are left out", grouped(refused)))
}
