//! What a capture does not contain, said in words: absence of events must not read as absence of crypto.

use crate::capture::connections::Connection;
use crate::capture::{Capture, ProbeKey, ProbeRow};
use crate::count::wire::protocol_title;
use crate::select::Filter;
use crate::words::escape;
use crate::words::kernel::errno_name;
use crate::words::text::{counted, grouped, plural};
use crate::words::timestamp::timestamp;
use crypto_trace_format::record::{
    ApiCall, Kind, PrivacyMode, ProbeState, Protocol, SshHandshake, TlsHello, Wanted, trim_comm,
};
use crypto_trace_format::segment::SegmentMeta;
use std::collections::HashSet;
use std::fmt::Write;

/// How the option begins that says of what an extract is.
const EXTRACT: &str = "extract ";

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
    for ((user, kind, reason), row) in &capture.suppressed {
        let loss = row.loss;
        let kind = Kind(*kind).name().unwrap_or("records of any type");
        let (from, to) = (capture.clock.wall(loss.from_ns), capture.clock.wall(loss.to_ns));
        let known = row.processes.iter().filter(|(tgid, _)| **tgid != 0);
        let most = known.max_by_key(|(_, (count, _))| *count).map(|(tgid, (count, comm))| {
            let name = escape::for_people(trim_comm(comm));
            format!(", {} of them of process {tgid} ({name})", grouped(*count))
        });
        gaps.push(format!(
            "{} {kind} of user {user} withheld ({}) between {} and {}{}",
            grouped(loss.count),
            reason.name(),
            timestamp(from),
            timestamp(to),
            most.unwrap_or_default()
        ));
    }
    for (verb, count, told) in [("lost", lost, told_lost), ("dropped", dropped, told_dropped)] {
        if count > told {
            gaps.push(format!(
                "{} more records {verb}, according to the counters of the blocks",
                grouped(count - told)
            ));
        }
    }
    let refused = capture.handshakes.refused();
    if refused > 0 {
        gaps.push(format!(
            "{} packets of TLS handshakes left out by the analyzer: too many connections to hold",
            grouped(refused)
        ));
    }
    let unknown = capture.handshakes.of_unknown_protocols();
    if unknown > 0 {
        gaps.push(format!("{} packets left out: protocols unknown to this version", grouped(unknown)));
    }
    for (count, what) in
        [(capture.calls.refused(), "handshakes of libraries"), (capture.libraries.refused(), "records of libraries")]
    {
        if count > 0 {
            gaps.push(format!("{} {what} left out by the analyzer: too many to hold", grouped(count)));
        }
    }
    if let Some(look) = capture.inventory.filter(|look| look.maps_denied != 0 || look.files_denied != 0) {
        let denied = |count: u32, what| {
            (count > 0).then(|| format!("{what} of {}", counted(count.into(), "process", "processes")))
        };
        let what = [denied(look.maps_denied, "the libraries"), denied(look.files_denied, "the open files")];
        let what: Vec<String> = what.into_iter().flatten().collect();
        let such_as = match look.denied_tgid {
            0 => String::new(),
            tgid => format!("; process {tgid} is one of them"),
        };
        gaps.push(format!(
            "not allowed to see {} (of {} in /proc{such_as})",
            what.join(" and "),
            grouped(look.processes.into())
        ));
    }
    if let Some(look) = capture.inventory.filter(|look| look.cut != 0) {
        let such_as = match look.cut_tgid {
            0 => String::new(),
            tgid => format!("; process {tgid} is one of them"),
        };
        gaps.push(format!(
            "{} not examined in full when the look began: over one process's share, or not readable (of {} in \
             /proc{such_as})",
            counted(look.cut.into(), "process was", "processes were"),
            grouped(look.processes.into())
        ));
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
    for limit in capture.meta.filters.iter().filter(|option| option.starts_with(EXTRACT)) {
        let limit = escape::for_people(limit.as_bytes());
        gaps.push(format!("only a part of what was recorded is here ({limit}): nothing is known of the rest"));
    }
    if name_host {
        let host = escape::for_people(capture.meta.host.as_bytes());
        gaps.iter_mut().for_each(|gap| *gap = format!("{host}: {gap}"));
    }
    gaps
}

/// Name of the probes for the kernel's own crypto.
const KERNEL_PROBE: &str = "kernel_crypto";

/// The probe that a protocol beside TLS is looked for: told only where it is not, and TLS is.
fn probe_of(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::SSH => Some("ssh_hello"),
        _ if protocol.is_in_datagrams() => Some("datagram_hello"),
        _ => None,
    }
}

/// Captures that say what was watched: a look at /proc adds to what another one recorded of its host, and takes nothing from it.
pub fn recordings(captures: &[Capture]) -> impl Iterator<Item = &Capture> {
    let is_recorded = |host: &str| captures.iter().any(|one| one.meta.host == host && one.snapshot().is_none());
    captures.iter().filter(move |capture| capture.snapshot().is_none() || !is_recorded(&capture.meta.host))
}

/// Whether only a part of what happened was to be recorded.
pub fn is_selective(capture: &Capture) -> bool {
    !capture.meta.options().1.is_empty()
}

/// Whether filters left out a part of what a recording was of. A command that was recorded, with its descendants, is the whole
/// of such a recording and no part of it.
pub fn is_filtered(capture: &Capture) -> bool {
    capture.meta.options().1.iter().any(|option| !option.starts_with("-- "))
}

/// Whether names and addresses were taken out of it, or put in other words, as it was recorded.
pub fn is_private(capture: &Capture) -> bool {
    matches!(capture.meta.selected.privacy, PrivacyMode::HASH | PrivacyMode::DROP)
}

/// What the options of a recording, as `shown`, say of it; nothing when there were none. `rest` is said of what they leave out.
pub fn recorded(meta: &SegmentMeta, shown: impl Fn(&[u8]) -> String, rest: &str) -> Option<String> {
    let (manners, filters) = meta.options();
    let joined = |texts: &[&str]| texts.iter().map(|text| shown(text.as_bytes())).collect::<Vec<_>>().join(" ");
    match (filters.as_slice(), manners.as_slice()) {
        ([], []) => None,
        (filters, []) => Some(format!("only {}{rest}", joined(filters))),
        ([], manners) => Some(format!("with {}", joined(manners))),
        (filters, manners) => Some(format!("with {}, and only {}{rest}", joined(manners), joined(filters))),
    }
}

/// Whether a protocol was looked for on the wire.
pub fn watches(capture: &Capture, protocol: Protocol) -> bool {
    let refused = probe_of(protocol).is_some_and(|probe| why_unattached(capture, probe).is_some());
    capture.watches_wire() && capture.meta.selected.looks_for(protocol) && !refused
}

/// What was seen of TLS on the wire, and since when; or why nothing could be.
pub fn wire_state(capture: &Capture) -> String {
    state_of(capture, Protocol::TLS)
}

/// What people call a protocol.
fn title(protocol: Protocol) -> String {
    protocol_title(protocol.name())
}

/// What was seen of a protocol on the wire, and since when; or why nothing could be.
pub fn state_of(capture: &Capture, protocol: Protocol) -> String {
    let seen = capture.handshakes.seen_of(protocol);
    let about = if capture.handshakes.skipped { " about that time" } else { "" };
    let sockets = format!("{} of connections with {} seen{about}", plural(seen, "socket"), title(protocol));
    let name = TlsHello::LAYOUT.name;
    let attached = |row: &ProbeRow| row.state == ProbeState::ATTACHED;
    let selected = &capture.meta.selected;
    if capture.watches_wire() && !selected.looks_for(protocol) {
        return match selected.wire {
            0 => format!("not watched: recorded before there was anything to see {} with", title(protocol)),
            _ => format!("not watched: recorded with --wire for other protocols than {}", protocol.name()),
        };
    }
    if let Some(why) = probe_of(protocol).and_then(|probe| why_unattached(capture, probe)) {
        return format!("not watched: {why}");
    }
    if capture.watches_wire() {
        let probes = || probes_of(capture, name);
        let since_ns = probes().filter(|(_, row)| attached(row)).map(|(_, row)| row.since_ns).max().unwrap_or(0);
        let whole = if probes().all(|(_, row)| attached(row)) { "" } else { ", but not by all of its probes" };
        let given_up = match capture.tls_given_up.filter(|count| *count > 0) {
            Some(count) => {
                let none = if selected.wire == 0 { "TLS" } else { "hello" };
                format!("; {} given up because no {none} began early enough", plural(count, "socket"))
            }
            None => String::new(),
        };
        return format!("watched since {}{whole}; {sockets}{given_up}", timestamp(capture.clock.wall(since_ns)));
    }
    if selected.tls == Wanted::OFF {
        let flag = if selected.wire == 0 { "--tls" } else { "--wire" };
        return format!("not watched: recorded with {flag} off");
    }
    match (why_unattached(capture, name), capture.probes.is_empty(), seen) {
        (Some(why), ..) => format!("not watched: {why}"),
        (None, _, 1..) => format!("which probes were attached is not recorded; {sockets}"),
        (None, true, 0) => "nothing seen, and which probes were attached is not recorded".to_owned(),
        (None, false, 0) => "not watched: no probe for it was attached".to_owned(),
    }
}

/// What was seen of handshakes by probes in libraries; or why nothing could be.
pub fn library_state(capture: &Capture) -> String {
    let (calls, libraries) = (&capture.calls, &capture.libraries);
    let seen = plural(calls.seen(), "handshake");
    let probed = libraries.iter().filter(|(_, row)| row.is_probed()).count() as u64;
    let all = libraries.iter().count() as u64;
    let mut text = match (probed, all) {
        (0, 0) if calls.seen() > 0 => format!("which libraries were probed is not recorded; {seen} seen"),
        (0, 0) if capture.meta.selected.library_calls == Wanted::OFF => {
            "not watched: recorded with --library-calls off".to_owned()
        }
        (0, 0) => match why_unattached(capture, ApiCall::LAYOUT.name) {
            Some(why) => format!("not watched: {why}"),
            None => "not watched: no library was probed".to_owned(),
        },
        (0, _) => format!("not watched: none of {} could be probed", plural(all, "file")),
        _ => format!("{} of {} probed; {seen} seen", grouped(probed), plural(all, "library file")),
    };
    if calls.without_socket() > 0 {
        let _ = write!(text, ", {} of them with no known socket", grouped(calls.without_socket()));
    }
    if let Some(off_wire) = off_wire(capture).filter(|count| *count > 0) {
        let _ = write!(text, ", {} of them not seen on the wire", grouped(off_wire));
    }
    text
}

/// Whether the kernel's own crypto was watched; or why not.
pub fn kernel_state(capture: &Capture) -> String {
    if capture.meta.selected.kernel_crypto == Wanted::OFF {
        return "not watched: recorded with --kernel-crypto off".to_owned();
    }
    let rows: Vec<&ProbeRow> = probes_of(capture, KERNEL_PROBE).map(|(_, row)| row).collect();
    let attached = rows.iter().filter(|row| row.state == ProbeState::ATTACHED);
    match attached.map(|row| row.since_ns).max() {
        Some(since_ns) => {
            let mut text = format!("watched since {}", timestamp(capture.clock.wall(since_ns)));
            for row in rows.iter().filter(|row| row.state != ProbeState::ATTACHED && !row.message.is_empty()) {
                let _ = write!(text, "; {}", escape::for_people(&row.message));
            }
            text
        }
        None => match why_unattached(capture, KERNEL_PROBE) {
            Some(why) => format!("not watched: {why}"),
            None => "not watched: no probe for it was attached".to_owned(),
        },
    }
}

/// Whether the kernel's own crypto was watched.
pub fn watches_kernel(capture: &Capture) -> bool {
    probes_of(capture, KERNEL_PROBE).any(|(_, row)| row.state == ProbeState::ATTACHED)
        && capture.meta.selected.kernel_crypto != Wanted::OFF
}

/// Handshakes that libraries reported, of sockets that were not seen on the wire. None where that is not known any more.
pub fn off_wire(capture: &Capture) -> Option<u64> {
    let connections = capture.handshakes.connections();
    if connections.len() as u64 != capture.handshakes.seen() {
        return None;
    }
    let cookies: HashSet<u64> = connections.iter().map(Connection::cookie).collect();
    Some(capture.calls.off_wire(|cookie| cookies.contains(&cookie)))
}

/// Probes for a kind of record: a probe that delivers several has all their names.
fn probes_of<'a>(capture: &'a Capture, name: &'a str) -> impl Iterator<Item = (&'a ProbeKey, &'a ProbeRow)> {
    let is = move |probe: &[u8]| probe.split(|byte| b", ".contains(byte)).any(|one| one == name.as_bytes());
    capture.probes.iter().filter(move |((probe, ..), _)| is(probe))
}

/// Why the first probe for a kind that is not attached is not; None when there is none.
fn why_unattached(capture: &Capture, name: &str) -> Option<String> {
    let (_, row) = probes_of(capture, name).find(|(_, row)| row.state != ProbeState::ATTACHED)?;
    let why = if row.message.is_empty() {
        errno_name(row.errno.unsigned_abs()).unwrap_or("no reason given").to_owned()
    } else {
        escape::for_people(&row.message)
    };
    Some(format!("the probe for {name} {}: {why}", row.state.name()))
}

/// Why no handshake of TLS is shown.
pub fn why_no_handshakes(captures: &[Capture]) -> String {
    why_none_of(captures, Protocol::TLS)
}

/// Why no handshake of a protocol is shown.
pub fn why_none_of(captures: &[Capture], protocol: Protocol) -> String {
    let name = title(protocol);
    let seen: u64 = captures.iter().map(|capture| capture.handshakes.seen_of(protocol)).sum();
    let taken: u64 = captures.iter().map(|capture| capture.handshakes.taken()).sum();
    if seen > 0 && seen == taken {
        return format!(
            "no {name} handshakes shown: the processes that accepted the {} of connections with {name} were not recorded, \
             only those that own the listening sockets",
            plural(seen, "socket")
        );
    }
    if seen > 0 {
        let sockets = plural(seen, "socket");
        return format!(
            "no {name} handshakes shown: none of the {sockets} of connections with {name} passed the filters"
        );
    }
    let states: Vec<String> = captures.iter().map(|capture| state_of(capture, protocol)).collect();
    match states.as_slice() {
        [] => format!("no {name} handshakes: nothing was recorded"),
        states => format!("no {name} handshakes: {}", states.join("; ")),
    }
}

/// Why no event is shown, when of `processed` records none passed `filter`.
pub fn why_no_events(captures: &[Capture], filter: &Filter, processed: u64) -> String {
    if filter.kinds == [TlsHello::KIND] {
        return why_no_handshakes(captures);
    }
    if filter.kinds == [SshHandshake::KIND] {
        return why_none_of(captures, Protocol::SSH);
    }
    why_nothing("events", captures, filter, processed)
}

/// Why nothing of `what` is shown, when of `processed` records none passed `filter`.
pub fn why_nothing(what: &str, captures: &[Capture], filter: &Filter, processed: u64) -> String {
    if processed == 0 {
        return format!("no {what}: nothing was recorded");
    }
    let looks: Vec<_> = captures.iter().filter_map(Capture::snapshot).collect();
    if !looks.is_empty() && looks.len() == captures.len() {
        let processes = looks.iter().map(|look| u64::from(look.processes)).sum();
        return format!("no {what}: none in {} examined", counted(processes, "process", "processes"));
    }
    let mut text = format!("no {what}: none of {} passed the filters", plural(processed, "record"));
    for why in unwatched(captures, &filter.kinds) {
        let _ = write!(text, "; {why}");
    }
    text
}

/// Of kinds that could not be there at all, why, a sentence each.
pub fn unwatched<'a>(captures: impl IntoIterator<Item = &'a Capture>, kinds: &[Kind]) -> Vec<String> {
    let captures: Vec<&Capture> = captures.into_iter().collect();
    let mut told = Vec::new();
    for kind in kinds.iter().map(|kind| kind.recorded()).filter(|kind| kind.is_from_bpf()) {
        let Some(name) = kind.name() else { continue };
        let attached = |capture: &Capture| {
            let by_probe = probes_of(capture, name).any(|(_, row)| row.state == ProbeState::ATTACHED);
            by_probe || kind == ApiCall::KIND && capture.libraries.any_probed()
        };
        for capture in captures.iter().filter(|capture| !attached(capture)) {
            let why = why_unattached(capture, name);
            let why = why.unwrap_or_else(|| match capture.probes.is_empty() {
                true => format!("it is not recorded whether a probe for {name} was attached"),
                false => format!("no probe for {name} was attached"),
            });
            if !told.contains(&why) {
                told.push(why);
            }
        }
    }
    told
}

/// How many probes are attached.
pub fn attached_probes(capture: &Capture) -> usize {
    capture.probes.values().filter(|row| row.state == ProbeState::ATTACHED).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_trace_format::segment::Selected;

    fn meta(options: &[&str]) -> SegmentMeta {
        let filters: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        SegmentMeta { selected: Box::new(Selected::from_options(&filters)), filters, ..SegmentMeta::default() }
    }

    #[test]
    fn options_that_select_are_told_apart_from_those_that_do_not() {
        let check = |options: &[&str], expected: Option<&str>| {
            let shown = |text: &[u8]| escape::for_people(text);
            assert_eq!(recorded(&meta(options), shown, "!").as_deref(), expected);
        };
        check(&[], None);
        check(&["-n nginx", "-- ./x --tls off"], Some("only -n nginx -- ./x --tls off!"));
        check(&["--argv none"], Some("with --argv none"));
        check(&["--api --api-budget 1%", "-- ./x"], Some("with --api --api-budget 1%, and only -- ./x!"));
    }

    #[test]
    fn what_was_left_out_is_said_by_values_and_by_options_of_older_recordings() {
        let older = Capture::new(meta(&["--tls off", "--library-calls off", "--kernel-crypto off"]));
        let off = Wanted::OFF;
        let selected = Selected { tls: off, library_calls: off, kernel_crypto: off, ..Selected::default() };
        let values_alone = Capture::new(SegmentMeta { selected: Box::new(selected), ..SegmentMeta::default() });
        for capture in [older, values_alone] {
            assert_eq!(wire_state(&capture), "not watched: recorded with --tls off");
            assert_eq!(library_state(&capture), "not watched: recorded with --library-calls off");
            assert_eq!(kernel_state(&capture), "not watched: recorded with --kernel-crypto off");
        }
        let command_alone = Capture::new(meta(&["-- ./x --tls off"]));
        assert!(!wire_state(&command_alone).contains("--tls off"));
    }
}
