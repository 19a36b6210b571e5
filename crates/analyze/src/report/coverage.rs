//! What recordings do not show, by what it would have been seen in: little evidence never reads as a pass, or as no difference.

use crate::capture::Capture;
use crate::count::wire::{PROTOCOLS, protocol_title};
use crate::report::completeness;
use crate::report::session::Session;
use crate::select::Filter;
use crate::words::escape;
use crate::words::redact;
use crate::words::text::counted;
use crypto_trace_format::record::{ApiCall, FileOpen, Kind, LibLoad, Protocol, Wanted};

/// Why uses may be missing, a sentence each.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    /// Of whatever kind: lost, damaged, not there.
    pub any: Vec<String>,
    /// Left out on purpose, as it was recorded or by the filters of the command.
    pub selected: Vec<String>,
    /// Names of servers and addresses.
    pub names: Vec<String>,
    /// Handshakes of TLS on the wire.
    pub handshakes: Vec<String>,
    /// Handshakes of a protocol beside TLS over TCP, as reports name it.
    pub others: Vec<(&'static str, String)>,
    /// Calls of library functions.
    pub calls: Vec<String>,
    /// The same, as some library files were not probed.
    pub unprobed: Vec<String>,
    /// Files that were opened.
    pub files: Vec<String>,
    /// Libraries that were loaded.
    pub libraries: Vec<String>,
}

/// What no recording shows, whatever was seen of it.
pub(crate) const BLIND_TO: &[&str] = &[
    "what clients merely offer: rules are applied to what was agreed",
    "protocols that were not looked for (record --wire); certificates and signatures that TLS 1.3 encrypts",
    "calls into libraries that hide their functions, and cryptography linked into a program",
    "files whose names or directories are not in the catalog of the recording",
];

impl Coverage {
    /// Why calls may be missing.
    pub fn of_calls(&self) -> impl Iterator<Item = &String> {
        self.calls.iter().chain(&self.unprobed)
    }

    /// What is missing of whatever kind, for whatever reason.
    pub fn of_any(&self) -> impl Iterator<Item = &String> {
        self.any.iter().chain(&self.selected).chain(&self.names)
    }

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
        let unwatched = |kind: Kind| {
            completeness::unwatched(completeness::recordings(captures), &[kind])
                .into_iter()
                .map(show)
                .collect::<Vec<String>>()
        };
        let of_each = |of: fn(&Capture) -> Vec<String>| {
            let told = completeness::recordings(captures)
                .flat_map(|capture| of(capture).into_iter().map(move |why| (capture, why)));
            told.map(|(capture, why)| show(on_host(capture, captures, why))).collect::<Vec<String>>()
        };
        any.extend(of_each(missing_of));
        let narrowed = is_narrowed(&session.request.filter)
            .then(|| "only what passes this command's filters was examined".to_owned());
        Self {
            any,
            selected: narrowed.into_iter().chain(of_each(selected_of)).collect(),
            names: of_each(names_of),
            handshakes: of_each(handshakes_of),
            others: others(captures, show),
            calls: [unwatched(ApiCall::KIND), of_each(calls_of)].concat(),
            unprobed: of_each(unprobed_of),
            files: [unwatched(FileOpen::KIND), of_each(files_of)].concat(),
            libraries: unwatched(LibLoad::KIND),
        }
    }
}

fn on_host(capture: &Capture, captures: &[Capture], why: String) -> String {
    if captures.len() > 1 { format!("{}: {why}", escape::for_people(capture.meta.host.as_bytes())) } else { why }
}

fn missing_of(capture: &Capture) -> Vec<String> {
    let late = (capture.meta.sequence > 0).then(|| "the first segments of the recording are missing".to_owned());
    let snapshot = capture.snapshot().map(|_| "a snapshot of /proc does not record what happens".to_owned());
    let timeline = (capture.timeline.refused() > 0).then(|| "some process records did not fit in memory".to_owned());
    [late, snapshot, timeline].into_iter().flatten().collect()
}

fn selected_of(capture: &Capture) -> Vec<String> {
    let filtered = completeness::is_filtered(capture).then(|| {
        "the recording was filtered, so only part of what happened was recorded: nothing is known of the rest"
            .to_owned()
    });
    filtered.into_iter().collect()
}

fn names_of(capture: &Capture) -> Vec<String> {
    let private = completeness::is_private(capture)
        .then(|| "server names and addresses were removed or hashed at recording time (--privacy)".to_owned());
    private.into_iter().collect()
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

fn others(captures: &[Capture], show: impl Fn(String) -> String) -> Vec<(&'static str, String)> {
    let of = |capture| {
        let unwatched = move |(_, code): &(&str, Protocol)| !completeness::watches(capture, *code);
        PROTOCOLS.into_iter().filter(|(_, code)| *code != Protocol::TLS).filter(unwatched)
    };
    let why = |capture, name: &str, code| {
        on_host(
            capture,
            captures,
            format!("{} handshakes: {}", protocol_title(name), completeness::state_of(capture, code)),
        )
    };
    completeness::recordings(captures)
        .flat_map(|capture| of(capture).map(move |(name, code)| (name, why(capture, name, code))))
        .map(|(name, why)| (name, show(why)))
        .collect()
}

fn calls_of(capture: &Capture) -> Vec<String> {
    let without = (!capture.meta.selected.algorithms.is_wanted())
        .then(|| "calls that use algorithms were not recorded (record with --api)".to_owned());
    let kernel = (!completeness::watches_kernel(capture))
        .then(|| format!("the kernel's own crypto: {}", completeness::kernel_state(capture)));
    [without, kernel].into_iter().flatten().collect()
}

fn unprobed_of(capture: &Capture) -> Vec<String> {
    let unprobed = capture.libraries.iter().filter(|(_, row)| !row.is_probed()).count() as u64;
    let unprobed = (unprobed > 0).then(|| {
        let files = counted(unprobed, "library file was", "library files were");
        format!("{files} not probed, so calls there are not seen (see coverage)")
    });
    unprobed.into_iter().collect()
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
