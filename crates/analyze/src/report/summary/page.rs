//! What the sections of the summary share.

use crate::capture::Capture;
use crate::words::text::{Paint, and_more};

/// Rows of a table that are shown.
pub(super) const TOP: usize = 10;

/// What the summary needs besides the counts.
pub struct SummaryContext<'a> {
    /// Captures.
    pub captures: &'a [Capture],
    /// How many segments.
    pub segments: usize,
    /// What is missing, a sentence each.
    pub missing: Vec<String>,
    /// Why there are no events, when there are none.
    pub why_none: String,
    /// Hide home directories.
    pub redact: bool,
    /// Show each file of a directory of which many were opened.
    pub ungrouped: bool,
    /// Colours.
    pub paint: Paint,
}

/// Appends how many rows there are besides those that are shown.
pub(super) fn others(rows: usize, out: &mut String) {
    and_more(rows.saturating_sub(TOP), "", out);
}
