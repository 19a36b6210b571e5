//! The summary's section about TLS: what was negotiated, with whom, and what failed.

use super::print::{SummaryContext, section};
use super::totals::Totals;
use crate::capture::Capture;
use crate::survey::{PeerKey, Quantum, Survey};
use crate::text::{Align, Table, grouped};
use crate::{escape, handshakes::Role};
use std::fmt::Write;

/// Rows of a table that are shown.
const TOP: usize = 5;

pub(super) fn print(totals: &Totals, context: &SummaryContext<'_>, out: &mut String) {
    let survey = &totals.survey;
    if survey.ends == 0 {
        if context.captures.iter().any(Capture::watches_tls) {
            section("TLS handshakes", context.paint, out);
            let _ = writeln!(out, "  none seen; see `crypto-trace-analyze coverage` for what cannot be seen");
        }
        return;
    }
    section("TLS handshakes", context.paint, out);
    let _ = writeln!(out, "  {}", in_short(survey));
    let _ = writeln!(out, "  {}", post_quantum(survey.quantum));
    let mut table = Table::new(&[("", Align::Left), ("handshakes", Align::Right), ("", Align::Left)]);
    rows(&mut table, "version", ranked(survey.versions.iter().map(|(version, count)| (version.to_string(), *count))));
    rows(&mut table, "suite", ranked(survey.suites.iter().map(|(suite, count)| (suite.to_string(), *count))));
    rows(&mut table, "key exchange", ranked(survey.exchanges.iter().map(|(name, count)| (name.to_string(), *count))));
    let alerts =
        survey.alerts.iter().map(|((alert, from), count)| (format!("{alert} (from the {})", from.name()), *count));
    rows(&mut table, "failed", ranked(alerts));
    let peers = survey.peers.iter().map(|(peer, row)| (peer_name(peer), row.outcomes.all()));
    rows(&mut table, "peer", ranked(peers));
    table.write(context.paint, out);
}

/// How many there were, and how they ended.
pub fn in_short(survey: &Survey) -> String {
    let outcomes = survey.outcomes;
    let mut text = format!("{}: {} answered", plural(outcomes.all(), "handshake"), grouped(outcomes.answered));
    for (count, what) in [(outcomes.failed, "failed by an alert"), (outcomes.unanswered, "without an answer")] {
        if count > 0 {
            let _ = write!(text, ", {} {what}", grouped(count));
        }
    }
    if survey.resumed > 0 {
        let _ = write!(text, "; {} resumed", grouped(survey.resumed));
    }
    text
}

/// `1 handshake`, `2 handshakes`
fn plural(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// The share of post-quantum key exchange.
pub fn post_quantum(quantum: Quantum) -> String {
    let all = quantum.post_quantum + quantum.classical;
    if all == 0 {
        return "post-quantum key exchange: no key exchange was seen".to_owned();
    }
    let (part, all_text) = (grouped(quantum.post_quantum), grouped(all));
    format!("post-quantum key exchange: {part} of {all_text} ({})", percent(quantum.post_quantum, all))
}

/// `33 %`, and never 0 % or 100 % of what is not none or all.
pub fn percent(part: u64, all: u64) -> String {
    let percent = u128::from(part) * 100 / u128::from(all.max(1));
    match percent {
        0 if part > 0 => "under 1 %".to_owned(),
        percent => format!("{percent} %"),
    }
}

/// `10.0.0.1:443 example.org`, `clients at 10.0.0.2`
pub fn peer_name(peer: &PeerKey) -> String {
    let mut text = match (peer.role, peer.port) {
        (Some(Role::Server), _) => format!("clients at {}", peer.address),
        (_, Some(port)) => std::net::SocketAddr::new(peer.address, port).to_string(),
        (_, None) => peer.address.to_string(),
    };
    if let Some(name) = &peer.server_name {
        let _ = write!(text, " {}", escape::for_people(name));
    }
    text
}

/// The most frequent first.
pub fn ranked<T: Ord>(rows: impl Iterator<Item = (T, u64)>) -> Vec<(T, u64)> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|(name_a, a), (name_b, b)| b.cmp(a).then_with(|| name_a.cmp(name_b)));
    rows
}

fn rows(table: &mut Table, what: &str, ranked: Vec<(String, u64)>) {
    for (index, (name, count)) in ranked.iter().take(TOP).enumerate() {
        let what = if index == 0 { what } else { "" };
        table.row(vec![what.to_owned(), grouped(*count), name.clone()]);
    }
    if ranked.len() > TOP {
        table.row(vec![String::new(), String::new(), format!("and {} more", grouped((ranked.len() - TOP) as u64))]);
    }
}
