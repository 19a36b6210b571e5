//! What a recording does not show, and which rules that leaves open: little evidence never reads as a pass.

use crate::capture::Capture;
use crate::report::completeness;
use crate::report::session::Session;
use crate::select::Filter;
use crate::words::escape;
use crate::words::redact;
use crate::words::text::counted;
use crypto_trace_format::record::{ApiCall, FileOpen, Kind, LibLoad, Wanted};

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
    "what clients merely offer: rules are applied to what was agreed",
    "QUIC and DTLS; certificates and signatures that TLS 1.3 encrypts",
    "calls into libraries that hide their functions, and cryptography linked into a program",
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
            any.push("a segment was not completed: records may be missing at its end".to_owned());
        }
        if is_narrowed(&session.request.filter) {
            any.push("only what passes this command's filters was examined".to_owned());
        }
        for capture in captures {
            any.extend(of_capture(capture).map(|why| show(on_host(capture, captures, why))));
        }
        let unwatched =
            |kind: Kind| completeness::unwatched(captures, &[kind]).into_iter().map(show).collect::<Vec<String>>();
        let of_each = |of: fn(&Capture) -> Vec<String>| {
            let told = captures.iter().flat_map(|capture| of(capture).into_iter().map(move |why| (capture, why)));
            told.map(|(capture, why)| show(on_host(capture, captures, why))).collect::<Vec<String>>()
        };
        Self {
            any,
            handshakes: of_each(handshakes_of),
            calls: [unwatched(ApiCall::KIND), of_each(calls_of)].concat(),
            files: [unwatched(FileOpen::KIND), of_each(files_of)].concat(),
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
        "the recording was filtered, so only part of what happened was recorded: nothing is known of the rest"
            .to_owned()
    });
    let private = completeness::is_private(capture)
        .then(|| "server names and addresses were removed or hashed at recording time (--privacy)".to_owned());
    let late = (capture.meta.sequence > 0).then(|| "the first segments of the recording are missing".to_owned());
    let snapshot = capture.snapshot().map(|_| "a snapshot of /proc does not record what happens".to_owned());
    let timeline = (capture.timeline.refused() > 0).then(|| "some process records did not fit in memory".to_owned());
    [filtered, private, late, snapshot, timeline].into_iter().flatten()
}

fn handshakes_of(capture: &Capture) -> Vec<String> {
    let unwatched = (!capture.watches_tls()).then(|| format!("TLS handshakes: {}", completeness::wire_state(capture)));
    // As with sockets that are no TCP.
    let off_wire = completeness::off_wire(capture).filter(|count| *count > 0).map(|count| {
        let handshakes = counted(count, "handshake that a library made was", "handshakes that libraries made were");
        format!("{handshakes} not seen on the wire")
    });
    [unwatched, off_wire].into_iter().flatten().collect()
}

fn calls_of(capture: &Capture) -> Vec<String> {
    let without = (!capture.meta.selected.algorithms.is_wanted())
        .then(|| "calls that use algorithms were not recorded (record with --api)".to_owned());
    let unprobed = capture.libraries.iter().filter(|(_, row)| !row.is_probed()).count() as u64;
    let unprobed = (unprobed > 0).then(|| {
        let files = counted(unprobed, "library file was", "library files were");
        format!("{files} not probed, so calls there are not seen (see coverage)")
    });
    let kernel = (!completeness::watches_kernel(capture))
        .then(|| format!("the kernel's own crypto: {}", completeness::kernel_state(capture)));
    [without, unprobed, kernel].into_iter().flatten().collect()
}

fn files_of(capture: &Capture) -> Vec<String> {
    let off = capture.meta.selected.io_uring == Wanted::OFF;
    let why = off.then(|| "opens by io_uring were not watched: recorded with --io-uring off".to_owned());
    why.into_iter().collect()
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
