//! The summary's part about SSH, IKE and WireGuard: what was agreed on, how much of it is post-quantum, what failed.

use super::page::{SummaryContext, TOP, others};
use crate::count::handshakes::{post_quantum, ranked};
use crate::count::totals::Totals;
use crate::count::wire::{ProtocolRows, protocol_title};
use crate::words::text::{Align, Table, grouped, section, tabulate};
use std::fmt::Write;

/// Appends a section for each protocol that there are handshakes of.
pub(super) fn print(totals: &Totals, context: &SummaryContext<'_>, out: &mut String) {
    for protocol in ["ssh", "ike", "wireguard"] {
        if let Some(rows) = totals.wire.of(protocol).filter(|rows| rows.ends > 0) {
            of_protocol(protocol, rows, context, out);
        }
    }
}

fn of_protocol(protocol: &str, rows: &ProtocolRows, context: &SummaryContext<'_>, out: &mut String) {
    let title = format!("{} handshakes", protocol_title(protocol));
    let mut table = Table::new(&[("handshakes", Align::Right), ("key exchange", Align::Left)]);
    let exchanges = ranked(rows.exchanges.iter().map(|(exchange, count)| (exchange.clone(), *count)));
    for (exchange, count) in exchanges.iter().take(TOP) {
        table.row(vec![grouped(*count), exchange.to_string()]);
    }
    if table.is_empty() {
        section(&title, context.paint, out);
    } else {
        tabulate(&title, &table, context.paint, out);
        others(exchanges.len(), out);
    }
    if rows.outcomes.answered_in_all() > 0 {
        let _ = writeln!(out, "  {}", post_quantum(rows.quantum, rows.outcomes.all()));
    }
    for (why, count) in ranked(rows.failures.iter().map(|(why, count)| (why, *count))).iter().take(TOP) {
        let _ = writeln!(out, "  {why}: {}", grouped(*count));
    }
    if rows.outcomes.unanswered > 0 {
        let _ = writeln!(out, "  {}: {}", without(protocol), grouped(rows.outcomes.unanswered));
    }
}

/// What is missing where nothing is known of what was agreed on.
fn without(protocol: &str) -> &'static str {
    if protocol == "ssh" { "without both offers" } else { "without an answer" }
}
