//! The summary's part about what could be seen at all of TLS and of calls. More of it tells the `coverage` command.

use super::page::SummaryContext;
use crate::report::completeness;
use crate::words::escape;
use crate::words::redact;
use crate::words::text::section;
use crypto_trace_format::record::Protocol;
use std::fmt::Write;

/// Appends the section.
pub(super) fn print(context: &SummaryContext<'_>, out: &mut String) {
    if context.captures.is_empty() {
        return;
    }
    section("Coverage", context.paint, out);
    for capture in context.captures {
        if context.captures.len() > 1 {
            let _ = writeln!(out, "  {}", escape::for_people(capture.meta.host.as_bytes()));
        }
        let _ =
            writeln!(out, "  on the wire    {}", redact::sentence(completeness::wire_state(capture), context.redact));
        if completeness::watches(capture, Protocol::SSH) {
            let state = completeness::state_of(capture, Protocol::SSH);
            let _ = writeln!(out, "  SSH            {}", redact::sentence(state, context.redact));
        }
        let _ = writeln!(
            out,
            "  in libraries   {}",
            redact::sentence(completeness::library_state(capture), context.redact)
        );
        let _ =
            writeln!(out, "  in the kernel  {}", redact::sentence(completeness::kernel_state(capture), context.redact));
    }
    let _ = writeln!(out, "  what cannot be seen: `crypto-trace-analyze coverage`");
}
