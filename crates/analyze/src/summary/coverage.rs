//! The summary's part about what could be seen of TLS at all. More of it tells the `coverage` command.

use super::print::{SummaryContext, section};
use crate::completeness;
use crate::escape;
use std::fmt::Write;

/// Appends the section.
pub(super) fn print(context: &SummaryContext<'_>, out: &mut String) {
    if context.captures.is_empty() {
        return;
    }
    section("Coverage of TLS", context.paint, out);
    for capture in context.captures {
        if context.captures.len() > 1 {
            let _ = writeln!(out, "  {}", escape::for_people(capture.meta.host.as_bytes()));
        }
        let _ = writeln!(out, "  on the wire   {}", completeness::wire_state(capture));
        let _ = writeln!(out, "  in libraries  {}", completeness::library_state(capture));
    }
    let _ = writeln!(out, "  what cannot be seen: `crypto-trace-analyze coverage`");
}
