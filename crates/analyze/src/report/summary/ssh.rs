//! The summary's part about SSH: what was agreed on, how much of it is post-quantum, what failed.

use super::page::{SummaryContext, TOP, others};
use crate::count::handshakes::{post_quantum, ranked};
use crate::count::totals::Totals;
use crate::words::text::{Align, Table, grouped, section, tabulate};
use std::fmt::Write;

/// Appends the section; nothing when there are no handshakes.
pub(super) fn print(totals: &Totals, context: &SummaryContext<'_>, out: &mut String) {
    let Some(rows) = totals.wire.of("ssh").filter(|rows| rows.ends > 0) else { return };
    let mut table = Table::new(&[("handshakes", Align::Right), ("key exchange", Align::Left)]);
    let exchanges = ranked(rows.exchanges.iter().map(|(exchange, count)| (exchange.clone(), *count)));
    for (exchange, count) in exchanges.iter().take(TOP) {
        table.row(vec![grouped(*count), exchange.to_string()]);
    }
    if table.is_empty() {
        section("SSH handshakes", context.paint, out);
    } else {
        tabulate("SSH handshakes", &table, context.paint, out);
        others(exchanges.len(), out);
    }
    if rows.outcomes.answered_in_all() > 0 {
        let _ = writeln!(out, "  {}", post_quantum(rows.quantum, rows.outcomes.all()));
    }
    for (why, count) in ranked(rows.failures.iter().map(|(why, count)| (why, *count))).iter().take(TOP) {
        let _ = writeln!(out, "  {why}: {}", grouped(*count));
    }
    if rows.outcomes.unanswered > 0 {
        let _ = writeln!(out, "  without both offers: {}", grouped(rows.outcomes.unanswered));
    }
}
