//! What a recording does not show, and which rules that leaves open: little evidence never reads as a pass.

use crate::capture::Capture;
use crate::report::completeness;
use crate::report::session::Session;
use crate::select::Filter;
use crate::words::escape;
use crate::words::redact;
use crate::words::text::counted;
use crypto_trace_format::record::{ApiCall, FileOpen, Kind, LibLoad};

/// Why uses may be missing, a sentence each.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    /// Of whatever kind.
    pub any: Vec<String>,
    /// Handshakes on the wire.
    pub handshakes: Vec<String>,
    /// Calls of library functions.
    pub calls: Vec<String>,
    /// Files that were opened.
    pub files: Vec<String>,
    /// Libraries that were loaded.
    pub libraries: Vec<String>,
}

/// What no recording shows, whatever was seen of it.
pub(super) const BLIND_TO: &[&str] = &[
    "what clients merely offer: rules are held against what was agreed on",
    "QUIC and DTLS; certificates and signatures that TLS 1.3 encrypts",
    "calls into libraries that hide their functions, and cryptography that is linked into a program",
    "files whose names or directories are not in the catalog of the recording",
];

impl Coverage {
    /// What is missing of the captures of a session.
    pub fn new(session: &Session<'_>) -> Self {
        let captures = &session.captures;
        let show = |sentence: String| redact::sentence(sentence, session.request.redact);
        let mut any: Vec<String> = session.gaps(None);
        if session.tally.processed == 0 {
            any.push("nothing was recorded".to_owned());
        }
        // A torn tail is no damage, but what it held is not here.
        if session.faults.iter().next().is_some() && !session.faults.any_damage() {
            any.push("a segment was not completed: what it would have held is not here".to_owned());
        }
        if is_narrowed(&session.request.filter) {
            any.push("only what passes the filters of this command was looked at".to_owned());
        }
        for capture in captures {
            any.extend(of_capture(capture).map(|why| show(on_host(capture, captures, why))));
        }
        let unwatched = |kind: Kind| completeness::unwatched(captures, &[kind]).into_iter().map(show).collect();
        let handshakes = captures.iter().filter(|capture| !capture.watches_tls());
        let handshakes = handshakes.map(|capture| {
            show(on_host(capture, captures, format!("TLS handshakes: {}", completeness::wire_state(capture))))
        });
        let mut calls: Vec<String> = unwatched(ApiCall::KIND);
        for capture in captures {
            calls.extend(calls_of(capture).map(|why| show(on_host(capture, captures, why))));
        }
        Self {
            any,
            handshakes: handshakes.collect(),
            calls,
            files: unwatched(FileOpen::KIND),
            libraries: unwatched(LibLoad::KIND),
        }
    }
}

fn on_host(capture: &Capture, captures: &[Capture], why: String) -> String {
    if captures.len() > 1 { format!("{}: {why}", escape::for_people(capture.meta.host.as_bytes())) } else { why }
}

/// Of one recording.
fn of_capture(capture: &Capture) -> impl Iterator<Item = String> {
    let filtered = completeness::is_filtered(capture).then(|| {
        "only a part was recorded, as filters were given to the recording: of the rest nothing is known".to_owned()
    });
    let private = completeness::is_private(capture)
        .then(|| "server names and addresses were taken out as it was recorded (--privacy)".to_owned());
    let late = (capture.meta.sequence > 0).then(|| "the first segments of the recording are not here".to_owned());
    let snapshot = capture.snapshot().map(|_| "a look at /proc is no recording of what happens".to_owned());
    let timeline = (capture.timeline.refused() > 0).then(|| "records of processes did not fit in memory".to_owned());
    [filtered, private, late, snapshot, timeline].into_iter().flatten()
}

fn calls_of(capture: &Capture) -> impl Iterator<Item = String> {
    let without = (!completeness::has_option(capture, "--api"))
        .then(|| "calls that use algorithms were not recorded (record with --api)".to_owned());
    let unprobed = capture.libraries.iter().filter(|(_, row)| !row.is_probed()).count() as u64;
    let unprobed = (unprobed > 0).then(|| {
        let files = counted(unprobed, "library file was", "library files were");
        format!("{files} not probed: calls into them are not seen (see coverage)")
    });
    [without, unprobed].into_iter().flatten()
}

/// Whether this command leaves out a part of the recordings that it reads. Which hosts are read is what is judged.
fn is_narrowed(filter: &Filter) -> bool {
    !filter.pids.is_empty()
        || !filter.names.is_empty()
        || !filter.uids.is_empty()
        || !filter.cgroups.is_empty()
        || !filter.containers.is_empty()
        || filter.since.is_some()
        || filter.until.is_some()
}
