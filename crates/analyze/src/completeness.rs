//! What a capture does not contain, said in words: absence of events must not read as absence of crypto.

use crate::capture::Capture;
use crate::escape;
use crate::filter::Filter;
use crate::names::errno_name;
use crate::text::grouped;
use crate::timestamp::timestamp;
use crypto_trace_format::record::{Kind, ProbeState, TlsHello};

/// Everything missing from a capture, one sentence each; none when it is complete. `name_host` for more than one capture.
pub fn gaps(capture: &Capture, name_host: bool) -> Vec<String> {
    let (lost, dropped) = capture.missing();
    let mut gaps = Vec::new();
    let (mut told_lost, mut told_dropped) = (0u64, 0u64);
    for ((kind, cause), row) in &capture.loss {
        let told = if cause.is_drop() { &mut told_dropped } else { &mut told_lost };
        *told = told.saturating_add(row.count);
        let verb = if cause.is_drop() { "dropped" } else { "lost" };
        let kind = Kind(*kind).name().unwrap_or("records of any type");
        let (from, to) = (capture.clock.wall(row.from_ns), capture.clock.wall(row.to_ns));
        let count = grouped(row.count);
        let cause = cause.name();
        gaps.push(format!("{count} {kind} {verb} ({cause}) between {} and {}", timestamp(from), timestamp(to)));
    }
    for (verb, count, told) in [("lost", lost, told_lost), ("dropped", dropped, told_dropped)] {
        if count > told {
            gaps.push(format!("{} more records {verb}, by the counters of the blocks", grouped(count - told)));
        }
    }
    let refused = capture.handshakes.refused();
    if refused > 0 {
        gaps.push(format!("{} packets of TLS handshakes left out here: more connections than fit", grouped(refused)));
    }
    for ((probe, target, _), row) in capture.broken_probes() {
        let text = |bytes: &[u8]| escape::for_people(bytes);
        let mut gap = format!("probe {} on {} {}", text(probe), text(target), row.state.name());
        if let Some(name) = errno_name(row.errno.unsigned_abs()) {
            gap.push_str(&format!(": {name}"));
        }
        if !row.message.is_empty() {
            gap.push_str(&format!(": {}", text(&row.message)));
        }
        gaps.push(gap);
    }
    if name_host {
        let host = escape::for_people(capture.meta.host.as_bytes());
        gaps.iter_mut().for_each(|gap| *gap = format!("{host}: {gap}"));
    }
    gaps
}

/// What became of the probes for TLS handshakes.
pub fn tls_state(capture: &Capture) -> String {
    let name = TlsHello::LAYOUT.name.as_bytes();
    let mut probes = capture.probes.iter().filter(|((probe, ..), _)| probe == name);
    let seen = capture.handshakes.seen();
    if capture.watches_tls() {
        let whole = probes.all(|(_, row)| row.state == ProbeState::ATTACHED);
        let whole = if whole { "" } else { ", but not all of them" };
        return format!("probes for handshakes were attached{whole}; {} connections seen", grouped(seen));
    }
    let broken = probes.find(|(_, row)| row.state != ProbeState::ATTACHED).map(|(_, row)| {
        let why = if row.message.is_empty() {
            errno_name(row.errno.unsigned_abs()).unwrap_or("no reason told").into()
        } else {
            escape::for_people(&row.message)
        };
        format!("no handshake can be seen: the probe for them {}: {why}", row.state.name())
    });
    match (broken, capture.probes.is_empty(), seen) {
        (Some(broken), ..) => broken,
        (None, _, 1..) => format!("which probes were attached is not recorded; {} connections seen", grouped(seen)),
        (None, true, 0) => "which probes were attached is not recorded, and no connection was seen".to_owned(),
        (None, false, 0) => "no handshake can be seen: no probe for them was attached".to_owned(),
    }
}

/// Why no handshake is shown.
pub fn why_no_handshakes(captures: &[Capture]) -> String {
    let seen: u64 = captures.iter().map(|capture| capture.handshakes.seen()).sum();
    if seen > 0 {
        return format!("no TLS handshakes: none of the {} that were seen passed the filters", grouped(seen));
    }
    let states: Vec<String> = captures.iter().map(tls_state).collect();
    match states.as_slice() {
        [] => "no TLS handshakes: nothing was recorded".to_owned(),
        states => format!("no TLS handshakes: {}", states.join("; ")),
    }
}

/// Why no event is shown, when of `processed` records none passed `filter`.
pub fn why_no_events(captures: &[Capture], filter: &Filter, processed: u64) -> String {
    if filter.kinds == [TlsHello::KIND] {
        return why_no_handshakes(captures);
    }
    let attached: usize = captures.iter().map(attached_probes).sum();
    match (processed, attached) {
        (0, _) => "no events: nothing was recorded".to_owned(),
        (_, 0) => format!(
            "no events: none of {} records passed the filters; that a probe was attached is not recorded",
            grouped(processed)
        ),
        _ => format!("no events: none of {} records passed the filters", grouped(processed)),
    }
}

/// How many probes are attached.
pub fn attached_probes(capture: &Capture) -> usize {
    capture.probes.values().filter(|row| row.state == ProbeState::ATTACHED).count()
}
