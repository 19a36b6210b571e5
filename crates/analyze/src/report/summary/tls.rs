//! The summary's part about TLS: what was agreed on, how much of it is post-quantum, what failed.
//!
//! It shows what [`crate::count::handshakes`] counted: a handshake once, also when both of its ends were seen.

use super::page::{SummaryContext, TOP, others};
use crate::count::handshakes::{HandshakeTotals, post_quantum, ranked, told_by_libraries};
use crate::count::totals::Totals;
use crate::words::escape;
use crate::words::text::{Align, Table, grouped, section, tabulate};
use std::fmt::Write;

/// Appends the section; nothing when there are no handshakes. Why, tells [`super::coverage`].
pub(super) fn print(totals: &Totals, context: &SummaryContext<'_>, out: &mut String) {
    let survey = &totals.handshakes;
    if survey.ends == 0 {
        return;
    }
    let mut table = Table::new(&[
        ("handshakes", Align::Right),
        ("version", Align::Left),
        ("suite", Align::Left),
        ("key exchange", Align::Left),
    ]);
    let rows = ranked(survey.agreed.iter().map(|(agreed, count)| (agreed.clone(), *count)));
    for ((version, suite, exchange), count) in rows.iter().take(TOP) {
        table.row(vec![
            grouped(*count),
            version.map_or_else(unknown, |version| version.to_string()),
            suite.map_or_else(unknown, |suite| suite.to_string()),
            exchange.to_string(),
        ]);
    }
    if table.is_empty() {
        section("TLS handshakes", context.paint, out);
    } else {
        tabulate("TLS handshakes", &table, context.paint, out);
        others(rows.len(), out);
    }
    shares(survey, out);
    let mut table = Table::new(&[("handshakes", Align::Right), ("server name", Align::Left)]);
    let rows = ranked(survey.server_names.iter().map(|(name, row)| (name.clone(), row.outcomes.all())));
    for (name, count) in rows.iter().take(TOP) {
        table.row(vec![grouped(*count), escape::for_people(name)]);
    }
    tabulate("Server names", &table, context.paint, out);
    others(rows.len(), out);
}

fn shares(survey: &HandshakeTotals, out: &mut String) {
    if survey.outcomes.answered_in_all() > 0 {
        let _ = writeln!(out, "  {}", post_quantum(survey.quantum, survey.outcomes.all()));
    }
    if let Some(told) = told_by_libraries(survey.told, survey.outcomes.all()) {
        let _ = writeln!(out, "  {told}");
    }
    if survey.resumed > 0 {
        let _ = writeln!(out, "  resumed: {}", grouped(survey.resumed));
    }
    for ((alert, role), count) in &survey.alerts {
        let _ = writeln!(out, "  ended by the {}'s alert {alert}: {}", role.name(), grouped(*count));
    }
    if survey.outcomes.answered_then_failed > 0 {
        let count = grouped(survey.outcomes.answered_then_failed);
        let _ = writeln!(out, "  ended by an alert after an answer: {count}");
    }
    if survey.outcomes.unanswered > 0 {
        let _ = writeln!(out, "  without an answer: {}", grouped(survey.outcomes.unanswered));
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}
