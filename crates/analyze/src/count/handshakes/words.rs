//! Counts as people read them, the same wherever they are told.

use super::{HandshakeTotals, Outcomes, PeerKey, Quantum, Told};
use crate::capture::connections::Role;
use crate::words::escape;
use crate::words::text::{grouped, plural};
use std::fmt::Write;

/// How many there were, and how they ended.
pub fn in_short(survey: &HandshakeTotals) -> String {
    let text = outcomes_in_short(survey.outcomes, "failed with an alert");
    if survey.resumed == 0 { text } else { format!("{text}; {} resumed", grouped(survey.resumed)) }
}

/// The same of any protocol; `failed`: what that is called.
pub fn outcomes_in_short(outcomes: Outcomes, failed: &str) -> String {
    let mut text = format!("{}: {} answered", plural(outcomes.all(), "handshake"), grouped(outcomes.answered));
    if outcomes.failed > 0 {
        let _ = write!(text, ", {} {failed}", grouped(outcomes.failed));
        match outcomes.answered_then_failed {
            0 => {}
            after if after == outcomes.failed => text.push_str(" after an answer"),
            after => {
                let _ = write!(text, " ({} of them after an answer)", grouped(after));
            }
        }
    }
    if outcomes.unanswered > 0 {
        let _ = write!(text, ", {} without an answer", grouped(outcomes.unanswered));
    }
    text
}

/// What libraries said of `handshakes`; nothing when they said nothing.
pub fn told_by_libraries(told: Told, handshakes: u64) -> Option<String> {
    if told.all() == 0 {
        return None;
    }
    let mut text = format!("according to their libraries: {} completed", grouped(told.ok));
    for (count, what) in [(told.failed, "failed"), (told.unknown, "with an unknown result")] {
        if count > 0 {
            let _ = write!(text, ", {} {what}", grouped(count));
        }
    }
    let rest = handshakes.saturating_sub(told.all());
    if rest > 0 {
        let _ = write!(text, "; {} not reported by a library", grouped(rest));
    }
    Some(text)
}

/// The share of post-quantum key exchange, of `handshakes`.
pub fn post_quantum(quantum: Quantum, handshakes: u64) -> String {
    let all = quantum.all();
    if all == 0 {
        return "post-quantum key exchange: no key exchange was seen".to_owned();
    }
    let (part, all_text) = (grouped(quantum.post_quantum), grouped(all));
    let mut text = format!("post-quantum key exchange: {part} of {all_text} ({})", percent(quantum.post_quantum, all));
    if quantum.unknown > 0 {
        let _ = write!(text, "; {} not known", grouped(quantum.unknown));
    }
    let rest = handshakes.saturating_sub(all);
    if rest > 0 {
        let _ = write!(text, "; {} without one, or with none seen", plural(rest, "handshake"));
    }
    text
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
