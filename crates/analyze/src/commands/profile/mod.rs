//! `profile`: everything that was recorded of a process.

mod args;
mod count;
mod json;
mod text;

pub(crate) use args::{Args, Task};

use self::count::{Merged, Used, children_of, libraries};
use self::text::text;
use crate::capture::Capture;
use crate::capture::libraries;
use crate::capture::timeline::ProcessId;
use crate::cli::Style;
use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::Span;
use crate::count::processes::{Gathered, Mapped};
use crate::report::document::{Each, Escaped, OUT_BYTES, Reveal, write_documents};
use crate::report::parts::{Failures, LibraryPart};
use crate::report::processes::{Process, processes};
use crate::report::session::Session;
use crate::words::timestamp::timestamp;
use anyhow::Result;
use crypto_trace_format::record::ApiMeaning;
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::rc::Rc;

/// Version of the document: what the reference tool's 1.0 has is in it.
const VERSION: &str = "1.0";

#[derive(Serialize)]
struct Profile<'a> {
    profile_version: &'static str,
    /// The moment it is of: the end of what was looked at, so that a replay tells the same for ever.
    generated_at: String,
    duration_seconds: f64,
    from: String,
    to: String,
    host: String,
    process: ProcessPart,
    libraries: Libraries<'a>,
    files_accessed: Files<'a>,
    api_calls: Vec<Call>,
    tls_handshakes: Vec<Handshake>,
    ssh_handshakes: Vec<SshHandshake>,
    ike_handshakes: Vec<TunnelHandshake>,
    wireguard_handshakes: Vec<TunnelHandshake>,
    statistics: Statistics,
    missing: Vec<String>,
    /// Comes last: rows add to it as they are written.
    #[serde(skip_serializing_if = "Shared::is_empty")]
    escaped: Shared,
}

/// What needed escapes, known when all rows are made.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Escaped>>);

impl Shared {
    fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

impl Serialize for Shared {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.borrow().serialize(serializer)
    }
}

/// Files that a process accessed, by path: rows are made one by one.
struct Files<'a> {
    of: BTreeMap<&'a [u8], Merged<'a>>,
    reveal: Reveal,
    escaped: Shared,
}

impl Files<'_> {
    /// Those whose type is a guess, or all others.
    fn iter(&self, guesses: bool) -> impl Iterator<Item = File> {
        let rows = self.of.iter().filter(move |(_, file)| file.get().is_guess() == guesses);
        rows.map(|(path, file)| self.row(path, file))
    }

    fn row(&self, path: &[u8], file: &Merged<'_>) -> File {
        File::new(path, file.get(), self.reveal, &mut self.escaped.0.borrow_mut())
    }
}

impl Serialize for Files<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Each::new(self.of.iter().map(|(path, file)| self.row(path, file))).serialize(serializer)
    }
}

/// Libraries that a process had mapped, by path and file: rows are made one by one.
struct Libraries<'a> {
    of: BTreeMap<(&'a [u8], libraries::FileId), Mapped>,
    capture: &'a Capture,
    reveal: Reveal,
    escaped: Shared,
}

impl Libraries<'_> {
    fn iter(&self) -> impl Iterator<Item = Library> {
        self.of.iter().map(|((path, id), mapped)| Library {
            library: LibraryPart::new(Some(self.capture), *id, path, self.reveal, &mut self.escaped.0.borrow_mut()),
            load_time: timestamp(mapped.used.span.first),
            loads: mapped.used.loads,
            already_mapped: mapped.used.already_mapped > 0,
            inherited: mapped.inherited,
        })
    }
}

impl Serialize for Libraries<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Each::new(self.iter()).serialize(serializer)
    }
}

#[derive(Serialize)]
struct ProcessPart {
    pid: u32,
    name: String,
    exe: Option<String>,
    cmdline: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
    running_as: Option<String>,
    /// All user ids it had, when there were several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uids: Vec<u32>,
    start_time: Option<String>,
    end_time: Option<String>,
    exit_code: Option<u32>,
    signal: Option<String>,
    ppid: Option<u32>,
    parent: Option<Relative>,
    children: Vec<Relative>,
    container: Option<String>,
    /// What it ran one after the other, when it was more than one program.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    programs: Vec<Program>,
}

#[derive(Serialize)]
struct Relative {
    pid: u32,
    name: String,
    exe: Option<String>,
}

#[derive(Serialize)]
struct Program {
    exe: Option<String>,
    cmdline: Option<String>,
    from: Option<String>,
}

#[derive(Serialize)]
struct Library {
    #[serde(flatten)]
    library: LibraryPart,
    load_time: String,
    loads: u64,
    /// Found mapped when the capture looked: the load was before `load_time`.
    already_mapped: bool,
    /// Mapped by a process that this one was forked from.
    inherited: bool,
}

#[derive(Serialize)]
struct File {
    path: String,
    #[serde(rename = "type")]
    file_type: &'static str,
    type_confidence: Option<&'static str>,
    type_by: Option<&'static str>,
    access_count: u64,
    first_access: String,
    last_access: String,
    mode: &'static str,
    failed: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<Failures>,
    /// Found open when the capture looked.
    already_open: bool,
    /// Renames, links, removals, changes of mode and owner; failed ones too.
    changes: u64,
}

#[derive(Serialize)]
struct Call {
    function_name: String,
    count: u64,
    failed: u64,
    /// Calls that the library itself made.
    by_library: u64,
    meaning: &'static str,
    algorithm: Option<String>,
    /// None: the kernel.
    library: Option<String>,
}

#[derive(Serialize)]
struct Handshake {
    role: Option<&'static str>,
    remote_address: String,
    remote_port: Option<u16>,
    server_name: Option<String>,
    outcome: &'static str,
    alert: Option<String>,
    tls_version: Option<String>,
    cipher_suite: Option<String>,
    key_exchange: String,
    resumed: bool,
    /// What a library said of it; left out when none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_result: Option<&'static str>,
    count: u64,
    first: String,
    last: String,
}

#[derive(Serialize)]
struct SshHandshake {
    role: Option<&'static str>,
    remote_address: String,
    remote_port: Option<u16>,
    /// What the other end says it is.
    remote_software: Option<String>,
    outcome: &'static str,
    failure: Option<String>,
    key_exchange: String,
    post_quantum: Option<bool>,
    host_key_algorithm: Option<String>,
    count: u64,
    first: String,
    last: String,
}

/// Of IKE or WireGuard.
#[derive(Serialize)]
struct TunnelHandshake {
    role: Option<&'static str>,
    remote_address: String,
    remote_port: Option<u16>,
    outcome: &'static str,
    failure: Option<String>,
    key_exchange: String,
    post_quantum: Option<bool>,
    /// The cipher, with the length of its key.
    encryption: Option<String>,
    count: u64,
    first: String,
    last: String,
}

#[derive(Serialize)]
struct Statistics {
    total_events: u64,
    libraries_loaded: u64,
    files_accessed: u64,
    api_calls_made: u64,
    file_opens: u64,
    file_opens_failed: u64,
    tls_handshakes: u64,
    ssh_handshakes: u64,
    ike_handshakes: u64,
    wireguard_handshakes: u64,
    /// Events by type.
    events: BTreeMap<&'static str, u64>,
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    let (mut session, mut out) = Session::begin(&task.request, console)?;
    let mut gathered = Gathered::new(&[]);
    session.fold(&mut gathered)?;
    let (read, paint) = (&session, out.paint());
    let mut children = BTreeMap::new();
    for (number, capture) in (0u32..).zip(&read.captures) {
        children.insert(number, children_of(capture));
    }
    let none = BTreeMap::new();
    let filter = &task.request.filter;
    let selected = !filter.pids.is_empty() || !filter.names.is_empty();
    let (shown, without) = (Cell::new(0u64), Cell::new(0u64));
    let processes = processes(&gathered.own, &read.captures);
    // One at a time: what many of them used, twice, may be more than there is room for.
    let profiles = processes.iter().filter_map(|process| {
        let profile = Profile::new(process, read, &gathered, children.get(&process.number).unwrap_or(&none));
        let counter = if selected || profile.uses_crypto() { &shown } else { &without };
        counter.set(counter.get() + 1);
        (selected || profile.uses_crypto()).then_some(profile)
    });
    let mut buffered = BufWriter::with_capacity(OUT_BYTES, &mut out);
    match task.style {
        Style::Text => text(profiles, read, &without, paint, &mut buffered)?,
        style => write_documents(profiles, style, &mut buffered)?,
    }
    buffered.flush()?;
    drop(buffered);
    if shown.get() == 0 && task.style != Style::Text {
        session.note(session.why_none("processes that used crypto"));
    }
    session.finish("counted")
}

impl<'a> Profile<'a> {
    fn new(
        process: &'a Process<'a>,
        read: &Session<'_>,
        gathered: &'a Gathered,
        children: &BTreeMap<ProcessId, Vec<ProcessId>>,
    ) -> Self {
        let (capture, reveal) = (process.capture, read.reveal());
        let (from, to) = read.window(process.number);
        let mut escaped = Escaped::new();
        let mut used = Used::default();
        for (_, doings) in &process.doings {
            for (path, file) in doings.files.sorted() {
                used.file(path, file);
            }
            for (key, calls) in doings.calls.sorted() {
                used.calls.entry(key.clone()).or_default().add(*calls);
            }
            merge(&mut used.handshakes, &doings.handshakes);
            merge(&mut used.wire, &doings.wire);
            for (kind, count) in &doings.events {
                *used.events.entry(kind.event_type()).or_default() += count;
            }
        }
        let libraries = libraries(process, gathered, to);
        let api_calls: Vec<Call> =
            used.calls.iter().map(|(key, calls)| Call::new(key, *calls, capture, reveal, &mut escaped)).collect();
        let handshakes = used.handshakes.iter();
        let tls_handshakes: Vec<Handshake> =
            handshakes.map(|(key, row)| Handshake::new(key, *row, reveal, &mut escaped)).collect();
        let of = |protocol: &'static str| used.wire.iter().filter(move |(key, _)| key.protocol == protocol);
        let ssh_handshakes: Vec<SshHandshake> = of("ssh").map(|(key, row)| SshHandshake::new(key, *row)).collect();
        let tunnels = |protocol| of(protocol).map(|(key, row)| TunnelHandshake::new(key, *row)).collect::<Vec<_>>();
        let (ike_handshakes, wireguard_handshakes) = (tunnels("ike"), tunnels("wireguard"));
        let statistics = Statistics {
            total_events: used.events.values().sum(),
            libraries_loaded: libraries.len() as u64,
            files_accessed: used.files.len() as u64,
            api_calls_made: api_calls.iter().fold(0, |sum, call| sum.saturating_add(call.count)),
            file_opens: used.files.values().map(|file| file.get().opens).sum(),
            file_opens_failed: used.files.values().map(|file| file.get().failed()).sum(),
            tls_handshakes: tls_handshakes.iter().map(|row| row.count).sum(),
            ssh_handshakes: ssh_handshakes.iter().map(|row| row.count).sum(),
            ike_handshakes: ike_handshakes.iter().map(|row| row.count).sum(),
            wireguard_handshakes: wireguard_handshakes.iter().map(|row| row.count).sum(),
            events: used.events,
        };
        #[allow(clippy::cast_precision_loss, reason = "a duration for people")]
        let seconds = to.0.saturating_sub(from.0) as f64 / 1e9;
        let process_part = ProcessPart::new(process, to, children, reveal, &mut escaped);
        let escaped = Shared(Rc::new(RefCell::new(escaped)));
        let libraries = Libraries { of: libraries, capture, reveal, escaped: escaped.clone() };
        let files_accessed = Files { of: used.files, reveal, escaped: escaped.clone() };
        Self {
            profile_version: VERSION,
            generated_at: timestamp(to),
            duration_seconds: (seconds * 1e3).round() / 1e3,
            from: timestamp(from),
            to: timestamp(to),
            host: capture.meta.host.clone(),
            process: process_part,
            libraries,
            files_accessed,
            api_calls,
            tls_handshakes,
            ssh_handshakes,
            ike_handshakes,
            wireguard_handshakes,
            statistics,
            missing: read.gaps(Some(process.number)),
            escaped,
        }
    }

    /// Random bytes do not count: nearly every process asks the kernel for some.
    fn uses_crypto(&self) -> bool {
        let is_random = |call: &Call| call.meaning == ApiMeaning::RANDOM.name();
        !self.libraries.of.is_empty()
            || !self.files_accessed.of.is_empty()
            || !self.tls_handshakes.is_empty()
            || !self.ssh_handshakes.is_empty()
            || !self.ike_handshakes.is_empty()
            || !self.wireguard_handshakes.is_empty()
            || self.api_calls.iter().any(|call| !is_random(call))
    }
}

/// Adds handshakes of one image to those of others.
fn merge<K: Clone + Ord>(all: &mut BTreeMap<K, (u64, Span)>, more: &BTreeMap<K, (u64, Span)>) {
    for (key, (count, span)) in more {
        let row = all.entry(key.clone()).or_insert((0, *span));
        row.0 += count;
        row.1.add(*span);
    }
}
