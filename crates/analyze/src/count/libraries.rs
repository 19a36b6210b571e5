//! What is counted of a library: how often it was mapped.

use crate::capture::clock::WallNs;
use crate::count::{Span, is_from_proc};
use crypto_trace_format::record::{Header, LibLoad};

/// How often a library was mapped.
#[derive(Debug, Clone)]
pub struct LibraryUse {
    /// Seen happening.
    pub loads: u64,
    /// Found mapped when the capture looked.
    pub already_mapped: u64,
    /// When.
    pub span: Span,
}

impl LibraryUse {
    /// Never, so far.
    pub fn new(time: WallNs) -> Self {
        Self { loads: 0, already_mapped: 0, span: Span::at(time) }
    }

    /// Counts one.
    pub fn count(&mut self, header: &Header, load: &LibLoad<'_>, time: WallNs) {
        self.span.add(Span::at(time));
        if is_from_proc(header, load.fixed.tier) { self.already_mapped += 1 } else { self.loads += 1 }
    }

    /// Adds others of the same library.
    pub fn add(&mut self, other: &Self) {
        self.loads += other.loads;
        self.already_mapped += other.already_mapped;
        self.span.add(other.span);
    }
}
