//! What a capture does not contain, said in words: absence of events must not read as absence of crypto.

use crate::capture::Capture;
use crate::escape;
use crate::names::errno_name;
use crate::text::grouped;
use crate::timestamp::timestamp;
use crypto_trace_format::record::{Kind, ProbeState};

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

/// How many probes are attached.
pub fn attached_probes(capture: &Capture) -> usize {
    capture.probes.values().filter(|row| row.state == ProbeState::ATTACHED).count()
}
