//! `coverage`: what the capture could see and what it could not. Absence of events must not read as absence of crypto.

mod args;
mod text;

pub(crate) use args::{Args, Task};

use crate::capture::libraries::product;
use crate::capture::libraries::{FileId, LibraryRow};
use crate::capture::{Capture, ProbeKey, ProbeRow};
use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::handshakes::ProgramRow;
use crate::report::completeness;
use crate::report::judged::{self, Judged};
use crate::words::escape;
use crate::words::kernel::errno_name;
use crate::words::redact;
use crate::words::timestamp::timestamp;
use anyhow::Result;
use crypto_trace_format::record::{ProbeState, Protocol, Tier};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Why a library that is probed may not have told of a handshake.
const ELSEWHERE: &str = "these may have happened inside a read or write, which is not probed";

/// Version of the document: a member that is added does not change it, one that goes or means something else does.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    from: Option<String>,
    to: Option<String>,
    captures: Vec<CaptureReport>,
    handshakes: u64,
    /// Those of which a library told as well.
    handshakes_told_by_libraries: u64,
    ends: u64,
    ssh_handshakes: u64,
    ssh_ends: u64,
    process_unknown: u64,
    connected_before_capture: u64,
    packets_missing: u64,
    hello_cut: u64,
    client_hello_not_seen: u64,
    message_incomplete: u64,
    role_unknown: u64,
    wire_only: Vec<WireOnly>,
    tls_library_without_handshake: Vec<Silent>,
    libraries_not_looked_into: Vec<Unknown>,
    never_seen: Vec<&'static str>,
    damaged_records: u64,
}

#[derive(Serialize)]
struct CaptureReport {
    host: String,
    filters: Vec<String>,
    wire: String,
    /// The same of SSH, where it was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    ssh: Option<String>,
    library_calls: String,
    kernel_crypto: String,
    connections_given_up: Option<u64>,
    library_handshakes: u64,
    library_handshakes_without_socket: u64,
    library_handshakes_not_on_wire: Option<u64>,
    lost: u64,
    dropped: u64,
    missing: Vec<String>,
    probes: Vec<Probe>,
    libraries: Vec<Library>,
}

#[derive(Serialize)]
struct Probe {
    probe: String,
    target: String,
    tier: &'static str,
    state: &'static str,
    since: String,
    error: Option<String>,
    message: Option<String>,
}

/// A library, and what became of its probes.
#[derive(Serialize)]
struct Library {
    library: String,
    family: Option<String>,
    version: Option<String>,
    state: &'static str,
    functions: u16,
    since: String,
    error: Option<String>,
    message: Option<String>,
}

/// A program of whose ends of connections some were seen on the wire, and by no probe in a library.
#[derive(Default, Serialize)]
struct WireOnly {
    program: String,
    ends: u64,
    wire_only: u64,
    why: Vec<String>,
    /// Stacks whose measured first hellos look like those of its clients.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    looks_like: BTreeSet<&'static str>,
}

/// A program of which more processes loaded a TLS library than had handshakes.
#[derive(Serialize)]
struct Silent {
    program: String,
    processes: u64,
    with_handshakes: u64,
    libraries: Vec<&'static str>,
}

/// A TLS library that was loaded, and that the capture says nothing more of.
#[derive(Serialize)]
struct Unknown {
    library: String,
    loads: u64,
}

/// The document, for whoever puts it into a larger one.
pub(super) fn document(judged: &Judged<'_>) -> Result<serde_json::Value> {
    Ok(serde_json::to_value(Report::new(judged))?)
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    judged::run(task, console, Report::new, Report::text)
}

fn some(judged: &Judged<'_>, text: &[u8]) -> Option<String> {
    (!text.is_empty()).then(|| judged.shown(text))
}

fn error(errno: i32) -> Option<String> {
    errno_name(errno.unsigned_abs()).map(str::to_owned)
}

/// `EACCES: no uprobes here`
fn reason(error: Option<&String>, message: Option<&String>) -> String {
    [error, message].into_iter().flatten().cloned().collect::<Vec<_>>().join(": ")
}

impl Probe {
    fn new(judged: &Judged<'_>, capture: &Capture, (probe, target, tier): &ProbeKey, row: &ProbeRow) -> Self {
        Self {
            probe: judged.shown(probe),
            target: judged.shown(target),
            tier: Tier(*tier).name(),
            state: row.state.name(),
            since: timestamp(capture.clock.wall(row.since_ns)),
            error: error(row.errno),
            message: some(judged, &row.message),
        }
    }
}

impl Library {
    fn new(judged: &Judged<'_>, capture: &Capture, row: &LibraryRow) -> Self {
        Self {
            library: judged.shown(&row.path),
            family: some(judged, &row.family),
            version: some(judged, &row.version),
            state: row.state.name(),
            functions: row.functions,
            since: timestamp(capture.clock.wall(row.since_ns)),
            error: error(row.errno),
            message: (!row.message.is_empty()).then(|| judged.shown(&row.message)),
        }
    }
}

impl CaptureReport {
    fn new(judged: &Judged<'_>, capture: &Capture) -> Self {
        let (lost, dropped) = capture.missing();
        let told = |text| redact::sentence(text, judged.request.redact);
        let mut libraries: Vec<Library> =
            capture.libraries.iter().map(|(_, row)| Library::new(judged, capture, row)).collect();
        libraries.sort_by(|a, b| a.state.cmp(b.state).then_with(|| a.library.cmp(&b.library)));
        Self {
            host: escape::for_people(capture.meta.host.as_bytes()),
            filters: capture.meta.filters.iter().map(|filter| judged.shown(filter.as_bytes())).collect(),
            wire: told(completeness::wire_state(capture)),
            ssh: completeness::watches(capture, Protocol::SSH)
                .then(|| told(completeness::state_of(capture, Protocol::SSH))),
            library_calls: told(completeness::library_state(capture)),
            kernel_crypto: told(completeness::kernel_state(capture)),
            connections_given_up: capture.tls_given_up.filter(|_| capture.watches_tls()),
            library_handshakes: capture.calls.seen(),
            library_handshakes_without_socket: capture.calls.without_socket(),
            library_handshakes_not_on_wire: completeness::off_wire(capture),
            lost,
            dropped,
            missing: completeness::gaps(capture, false).into_iter().map(told).collect(),
            probes: capture.probes.iter().map(|(key, row)| Probe::new(judged, capture, key, row)).collect(),
            libraries,
        }
    }
}

/// What is not seen where these are not looked for.
const BESIDE_TLS: [(&str, Protocol); 5] = [
    ("SSH on the wire: it was not looked for (record --wire)", Protocol::SSH),
    ("QUIC on the wire: it was not looked for (record --wire)", Protocol::QUIC),
    ("DTLS on the wire: it was not looked for (record --wire)", Protocol::DTLS),
    ("IKE on the wire: it was not looked for (record --wire)", Protocol::IKE),
    ("WireGuard on the wire: it was not looked for (record --wire)", Protocol::WIREGUARD),
];

/// What this capture cannot hold, whatever happened.
fn never_seen(judged: &Judged<'_>) -> Vec<&'static str> {
    let probed = judged.captures.iter().any(|capture| capture.libraries.any_probed());
    let algorithms = judged.captures.iter().all(|capture| capture.meta.selected.algorithms.is_wanted());
    let mut texts = vec![if probed {
        "what TLS encrypts: certificates and ALPN of TLS 1.3, alerts after the hellos"
    } else {
        "what TLS encrypts: certificates and ALPN of TLS 1.3, alerts after the hellos, whether a handshake was completed"
    }];
    let watched = |code| judged.captures.iter().any(|capture| completeness::watches(capture, code));
    if watched(Protocol::SSH) {
        texts.push("what SSH encrypts: who logs in, and key exchanges after the first of a connection");
    }
    if watched(Protocol::IKE) {
        texts.push("what IKE encrypts: who the ends are, the algorithms of ESP, and key exchanges after the first of an exchange");
    }
    texts.extend(BESIDE_TLS.into_iter().filter(|(_, code)| !watched(*code)).map(|(text, _)| text));
    if watched(Protocol::WIREGUARD) {
        texts.push("WireGuard of the kernel itself, and preshared keys: only tunnels of programs are seen");
    }
    texts.push("Kerberos, IKE version 1: they are not looked for");
    texts.push("TLS inside TLS or another tunnel, and handshakes after the first of a connection");
    texts.push("connections whose hellos passed before the capture began");
    texts.push("TLS that begins after 1,024 packets or 64 KiB of either direction, or after 2 KiB of a packet");
    texts.push("TLS inside TDS (SQL Server before TDS 8), TLCP (GB/T 38636), answers in the format of SSL 2.0");
    if !algorithms {
        texts.push("cryptography without TLS: algorithms that a program calls directly; record with --api");
    }
    texts
}

impl Report {
    fn new(judged: &Judged<'_>) -> Self {
        let survey = &judged.totals.handshakes;
        let range = judged.covered().map(|(from, to)| (timestamp(from), timestamp(to)));
        let silent = judged.totals.programs.iter().filter_map(|(name, row)| {
            let with_handshakes = survey.programs.get(&Some(name.clone())).map_or(0, |row| row.processes);
            let libraries = row.tls_libraries.iter().copied().collect();
            let (program, processes) = (judged.shown(name), row.tls_processes);
            (processes > with_handshakes).then_some(Silent { program, processes, with_handshakes, libraries })
        });
        let mut silent: Vec<Silent> = silent.collect();
        silent.sort_by(|a, b| b.processes.cmp(&a.processes).then_with(|| a.program.cmp(&b.program)));
        Self {
            schema_version: SCHEMA_VERSION,
            from: range.as_ref().map(|(from, _)| from.clone()),
            to: range.map(|(_, to)| to),
            captures: judged.captures.iter().map(|capture| CaptureReport::new(judged, capture)).collect(),
            handshakes: survey.outcomes.all(),
            handshakes_told_by_libraries: survey.told.all(),
            ends: survey.ends,
            ssh_handshakes: judged.totals.wire.of("ssh").map_or(0, |rows| rows.outcomes.all()),
            ssh_ends: judged.totals.wire.of("ssh").map_or(0, |rows| rows.ends),
            process_unknown: survey.programs.get(&None).map_or(0, ProgramRow::ends),
            connected_before_capture: survey.late,
            packets_missing: survey.gaps,
            hello_cut: survey.cut,
            client_hello_not_seen: survey.no_client_hello,
            message_incomplete: survey.incomplete,
            role_unknown: survey.programs.values().map(|row| row.unknown_role).sum(),
            wire_only: wire_only(judged),
            tls_library_without_handshake: silent,
            libraries_not_looked_into: not_looked_into(judged),
            never_seen: never_seen(judged),
            damaged_records: judged.faults.records_lost(),
        }
    }
}

/// Programs of which ends of connections were seen on the wire only, and why.
fn wire_only(judged: &Judged<'_>) -> Vec<WireOnly> {
    let rows = judged.totals.handshakes.programs.iter().filter(|(_, row)| row.wire_only() > 0);
    // Names may be the same once they are redacted.
    let mut by_name: BTreeMap<String, WireOnly> = BTreeMap::new();
    for (name, row) in rows {
        let (program, why) = match name {
            Some(name) => (judged.shown(name), why_wire_only(judged, name, row.told.all())),
            None => ("(process not known)".to_owned(), Vec::new()),
        };
        let new = || WireOnly { program: program.clone(), ..WireOnly::default() };
        let shown = by_name.entry(program.clone()).or_insert_with(new);
        shown.ends += row.ends();
        shown.wire_only += row.wire_only();
        let new: Vec<String> = why.into_iter().filter(|why| !shown.why.contains(why)).collect();
        shown.why.extend(new);
        shown.looks_like.extend(&row.looks_like);
    }
    let mut rows: Vec<_> = by_name.into_values().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.wire_only));
    rows
}

fn why_wire_only(judged: &Judged<'_>, program: &[u8], told: u64) -> Vec<String> {
    let row = judged.totals.programs.get(program);
    let found = |(number, id): (u32, FileId)| {
        let capture = judged.captures.get(number as usize)?;
        Some((capture, capture.libraries.get(id)?))
    };
    let loaded: Vec<(&Capture, &LibraryRow)> =
        row.map(|row| row.tls_files.iter().filter_map(|file| found(*file)).collect()).unwrap_or_default();
    // What is in the file and not probed does the work, when what is probed told of nothing.
    let holds_own = loaded.iter().any(|(_, row)| row.is_by_text());
    let any_probed = loaded.iter().any(|(_, row)| row.is_probed());
    let mut why = Vec::new();
    for (capture, row) in &loaded {
        if row.is_probed() {
            if told > 0 || !holds_own {
                why.push(probed(judged, capture, row));
            }
        } else if row.is_by_text() || !(any_probed && row.state == ProbeState::SKIPPED) {
            // One that was skipped stands before the one that does the work.
            why.push(unprobed(judged, row));
        }
    }
    // The program itself, of which the capture says why nothing of it is seen.
    let own = judged.captures.iter().flat_map(|capture| capture.libraries.iter());
    let own = own.filter(|(_, own)| own.path == program && !own.is_probed()).map(|(_, own)| unprobed(judged, own));
    let own: Vec<String> = own.filter(|own| !why.contains(own)).collect();
    why.extend(own);
    if why.is_empty() {
        let text = match row {
            Some(row) if !row.tls_files.is_empty() => "its library was not probed",
            Some(row) if !row.libraries.is_empty() => {
                "no TLS library seen: it has its own TLS, or uses an unknown library"
            }
            _ => "no crypto library seen: a static program, Go or Java, or loaded before its probe",
        };
        why.push(text.to_owned());
    }
    why
}

/// `libssl.so.3 is probed since 10:33:19; these may …`
fn probed(judged: &Judged<'_>, capture: &Capture, row: &LibraryRow) -> String {
    let name = name_of(judged, &row.path);
    let since = capture.clock.wall(row.since_ns);
    let is_late = judged.covered().is_some_and(|(from, _)| since > from);
    let time = timestamp(since);
    match time.get(11..19).filter(|_| is_late) {
        Some(time) => format!("{name} is probed since {time}; {ELSEWHERE}, or before"),
        None => format!("{name} is probed; {ELSEWHERE}"),
    }
}

fn name_of(judged: &Judged<'_>, path: &[u8]) -> String {
    judged.shown(&redact::file_name(path, judged.request.redact))
}

/// `libssl.so.3 is not probed: EACCES: no uprobes here`, `chromium holds BoringSSL, which is not probed: …`
fn unprobed(judged: &Judged<'_>, row: &LibraryRow) -> String {
    let message = (!row.message.is_empty()).then(|| judged.shown(&row.message));
    let why = reason(error(row.errno).as_ref(), message.as_ref());
    let why = if why.is_empty() { row.state.name().to_owned() } else { why };
    let file = name_of(judged, &row.path);
    match product::product(&row.family).filter(|_| row.is_by_text()) {
        Some(held) => format!("{file} holds {held}, which is not probed: {why}"),
        None => format!("{file} is not probed: {why}"),
    }
}

/// TLS libraries that were loaded and of which no library_info tells, in captures that have any.
fn not_looked_into(judged: &Judged<'_>) -> Vec<Unknown> {
    let rows = judged.totals.tls_files.iter().filter_map(|((number, id), (path, loads))| {
        let capture = judged.captures.get(*number as usize)?;
        let unknown = !capture.libraries.is_empty() && capture.libraries.get(*id).is_none();
        unknown.then(|| Unknown { library: judged.shown(path), loads: *loads })
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| b.loads.cmp(&a.loads).then_with(|| a.library.cmp(&b.library)));
    rows
}
