//! `profile`: everything that was recorded of a process.

mod text;

use self::text::text;
use super::Outcome;
use super::inventory::{Read, documents, finish};
use super::parts::{Failures, LibraryPart, failures};
use super::processes::{Key, Process, processes, user};
use crate::api;
use crate::args::Style;
use crate::capture::Capture;
use crate::clock::WallNs;
use crate::console::{Console, Output};
use crate::inventory::{CallKey, CallUse, FileUse, Gathered, HandshakeKey, Mapped, Span, mapped_at};
use crate::names::{event_type, signal_name};
use crate::render::{Escaped, Reveal};
use crate::timeline::{ImageId, ProcessId};
use crate::timestamp::timestamp;
use anyhow::Result;
use crypto_trace_format::catalog::{Confidence, JudgedBy};
use crypto_trace_format::record::{ApiCall, ApiCallFixed, ApiMeaning};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write as _;

/// Version of the document: what the reference tool's 1.0 has is in it.
const VERSION: &str = "1.0";

/// Children that are named.
const MAX_CHILDREN: usize = 1_000;

#[derive(Serialize)]
struct Profile {
    profile_version: &'static str,
    /// The moment it is of: the end of what was looked at, so that a replay tells the same for ever.
    generated_at: String,
    duration_seconds: f64,
    from: String,
    to: String,
    host: String,
    process: ProcessPart,
    libraries: Vec<Library>,
    files_accessed: Vec<File>,
    api_calls: Vec<Call>,
    tls_handshakes: Vec<Handshake>,
    statistics: Statistics,
    missing: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    escaped: Escaped,
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
struct Statistics {
    total_events: u64,
    libraries_loaded: u64,
    files_accessed: u64,
    api_calls_made: u64,
    file_opens: u64,
    file_opens_failed: u64,
    tls_handshakes: u64,
    /// Events by type.
    events: BTreeMap<&'static str, u64>,
}

pub(super) fn run(read: &Read<'_>, gathered: &Gathered, console: Console) -> Result<Outcome> {
    let mut children = BTreeMap::new();
    for (number, capture) in (0u32..).zip(&read.captures) {
        children.insert(number, children_of(capture));
    }
    let none = BTreeMap::new();
    let selected = read.selects_processes();
    let (mut profiles, mut without) = (Vec::new(), 0u64);
    for process in processes(&gathered.own, &read.captures) {
        let profile = Profile::new(&process, read, gathered, children.get(&process.number).unwrap_or(&none));
        if selected || profile.uses_crypto() {
            profiles.push(profile);
        } else {
            without += 1;
        }
    }
    let mut out = Output::open(read.task.output.as_deref())?;
    let text = match read.task.style {
        Style::Text => text(&profiles, read, without, read.paint(&out)),
        style => documents(&profiles, style)?,
    };
    out.write_all(text.as_bytes())?;
    if profiles.is_empty() && read.task.style != Style::Text {
        console.note(&read.why_none("processes that used crypto"));
    }
    finish(read, console)
}

/// Children by their parent.
fn children_of(capture: &Capture) -> BTreeMap<ProcessId, Vec<ProcessId>> {
    let timeline = &capture.timeline;
    let mut children: BTreeMap<ProcessId, Vec<ProcessId>> = BTreeMap::new();
    for process in timeline.processes() {
        if let Some(parent) = timeline.parent(process) {
            let of = children.entry(parent).or_default();
            if of.len() < MAX_CHILDREN {
                of.push(process);
            }
        }
    }
    children
}

impl Profile {
    fn new(
        process: &Process<'_>,
        read: &Read<'_>,
        gathered: &Gathered,
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
            for (key, (count, span)) in &doings.handshakes {
                let row = used.handshakes.entry(key.clone()).or_insert((0, *span));
                row.0 += count;
                row.1.add(*span);
            }
            for (kind, count) in &doings.events {
                *used.events.entry(event_type(*kind)).or_default() += count;
            }
        }
        let libraries = libraries(process, gathered, to);
        let files_accessed: Vec<File> =
            used.files.iter().map(|(path, file)| File::new(path, file, reveal, &mut escaped)).collect();
        let api_calls: Vec<Call> =
            used.calls.iter().map(|(key, calls)| Call::new(key, *calls, capture, reveal, &mut escaped)).collect();
        let handshakes = used.handshakes.iter();
        let tls_handshakes: Vec<Handshake> =
            handshakes.map(|(key, row)| Handshake::new(key, *row, reveal, &mut escaped)).collect();
        let statistics = Statistics {
            total_events: used.events.values().sum(),
            libraries_loaded: libraries.len() as u64,
            files_accessed: files_accessed.len() as u64,
            api_calls_made: api_calls.iter().fold(0, |sum, call| sum.saturating_add(call.count)),
            file_opens: used.files.values().map(|file| file.opens).sum(),
            file_opens_failed: used.files.values().map(FileUse::failed).sum(),
            tls_handshakes: tls_handshakes.iter().map(|row| row.count).sum(),
            events: used.events,
        };
        let mut library = |((path, id), mapped): (&(Vec<u8>, api::FileId), &Mapped)| Library {
            library: LibraryPart::new(Some(capture), *id, path, reveal, &mut escaped),
            load_time: timestamp(mapped.used.span.first),
            loads: mapped.used.loads,
            already_mapped: mapped.used.already_mapped > 0,
            inherited: mapped.inherited,
        };
        let libraries = libraries.iter().map(&mut library).collect();
        #[allow(clippy::cast_precision_loss, reason = "a duration for people")]
        let seconds = to.0.saturating_sub(from.0) as f64 / 1e9;
        Self {
            profile_version: VERSION,
            generated_at: timestamp(to),
            duration_seconds: (seconds * 1e3).round() / 1e3,
            from: timestamp(from),
            to: timestamp(to),
            host: capture.meta.host.clone(),
            process: ProcessPart::new(process, to, children, reveal, &mut escaped),
            libraries,
            files_accessed,
            api_calls,
            tls_handshakes,
            statistics,
            missing: read.gaps(Some(process.number)),
            escaped,
        }
    }

    /// Random bytes do not count: nearly every process asks the kernel for some.
    fn uses_crypto(&self) -> bool {
        let is_random = |call: &Call| call.meaning == ApiMeaning::RANDOM.name();
        !self.libraries.is_empty()
            || !self.files_accessed.is_empty()
            || !self.tls_handshakes.is_empty()
            || self.api_calls.iter().any(|call| !is_random(call))
    }
}

/// What a process used, whatever it ran.
#[derive(Default)]
struct Used<'a> {
    files: BTreeMap<&'a [u8], FileUse>,
    calls: BTreeMap<CallKey, CallUse>,
    handshakes: BTreeMap<HandshakeKey, (u64, Span)>,
    events: BTreeMap<&'static str, u64>,
}

impl<'a> Used<'a> {
    fn file(&mut self, path: &'a [u8], file: &FileUse) {
        match self.files.get_mut(path) {
            Some(known) => known.add(file),
            None => {
                self.files.insert(path, file.clone());
            }
        }
    }
}

/// All libraries that a process had mapped until `to`, by path and file.
fn libraries(process: &Process<'_>, gathered: &Gathered, to: WallNs) -> BTreeMap<(Vec<u8>, api::FileId), Mapped> {
    let mut images = process.images(to);
    if images.is_empty() {
        images.push(ImageId::UNKNOWN);
    }
    let mut all: BTreeMap<(Vec<u8>, api::FileId), Mapped> = BTreeMap::new();
    for image in images {
        let mapped = mapped_at(&gathered.all, process.of(image), (process.number, process.capture), image, to);
        for (key, more) in mapped {
            match all.get_mut(&key) {
                Some(known) => {
                    known.used.add(&more.used);
                    known.inherited &= more.inherited;
                }
                None => {
                    all.insert(key, more);
                }
            }
        }
    }
    all
}

impl ProcessPart {
    fn new(
        process: &Process<'_>,
        to: WallNs,
        children: &BTreeMap<ProcessId, Vec<ProcessId>>,
        reveal: Reveal,
        escaped: &mut Escaped,
    ) -> Self {
        let timeline = &process.capture.timeline;
        let image = process.image(to);
        let identity = timeline.identity(image);
        let known = match process.key {
            Key::Known(known) => Some(known),
            Key::Unknown(..) => None,
        };
        let of_image = |image, escaped: &mut Escaped| {
            let identity = timeline.identity(image);
            let exe = identity.exe.map(|exe| reveal.path(exe, "exe", escaped));
            (exe, identity.argv.map(|argv| reveal.cmdline(argv, "cmdline", escaped)))
        };
        let relative = |relative: ProcessId, escaped: &mut Escaped| {
            let image = timeline.images(relative).last()?;
            Some(Relative {
                pid: timeline.tgid(relative)?,
                name: reveal.plain(timeline.comm(image), "name", escaped),
                exe: timeline.exe(image).map(|exe| reveal.path(exe, "exe", escaped)),
            })
        };
        // What a fork made ran on what its parent ran; it counts only when nothing else was run.
        let images = process.images(to).into_iter().filter(|image| timeline.forked_from(*image).is_none());
        let program = |image: ImageId, escaped: &mut Escaped| {
            let (exe, cmdline) = of_image(image, escaped);
            let from = timeline.image_from_ns(image).filter(|from| *from != 0);
            Program { exe, cmdline, from: from.map(|from| timestamp(process.capture.clock.wall(from))) }
        };
        let programs: Vec<Program> = images.map(|image| program(image, escaped)).collect();
        let several =
            programs.windows(2).any(|pair| matches!(pair, [a, b] if (&a.exe, &a.cmdline) != (&b.exe, &b.cmdline)));
        let status = process.exit().map(|(_, status)| status);
        let signal = status.map(|status| status & 0x7f).filter(|signal| *signal != 0);
        let ids = process.ids();
        let mut uids: Vec<u32> = process.doings.iter().flat_map(|(_, doings)| doings.uids.iter().copied()).collect();
        uids.sort_unstable();
        uids.dedup();
        let (exe, cmdline) = of_image(image, escaped);
        Self {
            pid: process.pid(),
            name: reveal.plain(&process.comm(image), "name", escaped),
            exe,
            cmdline,
            uid: ids.map(|ids| ids.uid),
            gid: ids.map(|ids| ids.gid),
            running_as: ids.map(|ids| user(ids.uid)),
            uids: if uids.len() > 1 { uids } else { Vec::new() },
            start_time: process.start().map(timestamp),
            end_time: process.end().filter(|end| *end <= to).map(timestamp),
            exit_code: status.filter(|status| status & 0x7f == 0).map(|status| (status >> 8) & 0xff),
            signal: signal.map(|signal| signal_name(signal).into_owned()),
            ppid: identity.ppid,
            parent: known.and_then(|known| timeline.parent(known)).and_then(|parent| relative(parent, escaped)),
            children: known
                .and_then(|known| children.get(&known))
                .map(|children| children.iter().filter_map(|child| relative(*child, escaped)).collect())
                .unwrap_or_default(),
            container: identity.container.map(|container| reveal.plain(container, "container", escaped)),
            programs: if several { programs } else { Vec::new() },
        }
    }
}

impl File {
    /// Whether the type is a guess: others use such names, too.
    fn is_guess(&self) -> bool {
        self.type_confidence == Some(Confidence::Low.name())
    }

    /// A guess has a mark.
    fn shown_type(&self) -> String {
        format!("{}{}", self.file_type, if self.is_guess() { "?" } else { "" })
    }

    fn new(path: &[u8], file: &FileUse, reveal: Reveal, escaped: &mut Escaped) -> Self {
        Self {
            path: reveal.path(path, "path", escaped),
            file_type: file.file_type().name(),
            type_confidence: file.confidence().map(Confidence::name),
            type_by: file.known_by().map(JudgedBy::name),
            access_count: file.opens,
            first_access: timestamp(file.span.first),
            last_access: timestamp(file.span.last),
            mode: file.mode(),
            failed: file.failed(),
            failures: failures(&file.failures),
            already_open: file.already_open > 0,
            changes: file.changes,
        }
    }
}

impl Call {
    fn new(key: &CallKey, calls: CallUse, capture: &Capture, reveal: Reveal, escaped: &mut Escaped) -> Self {
        let library = capture.libraries.get(key.library);
        let fixed = ApiCallFixed { meaning: key.meaning, number: key.number, ..ApiCallFixed::default() };
        let call = ApiCall { fixed, function: &key.function, text: &key.text, ..ApiCall::default() };
        Self {
            function_name: reveal.plain(&key.function, "function_name", escaped),
            count: calls.calls,
            failed: calls.failed,
            by_library: calls.internal,
            meaning: ApiMeaning(key.meaning).name(),
            algorithm: api::algorithm(&call, library.map(|row| &row.family[..]).unwrap_or_default()),
            library: library.map(|row| reveal.path(&row.path, "library", escaped)),
        }
    }
}

impl Handshake {
    fn new(key: &HandshakeKey, (count, span): (u64, Span), reveal: Reveal, escaped: &mut Escaped) -> Self {
        let told = key.told.map(|told| match told {
            Some(true) => "ok",
            Some(false) => "failed",
            None => "unknown",
        });
        Self {
            role: key.role.map(crate::handshakes::Role::name),
            remote_address: key.address.to_string(),
            remote_port: key.port,
            server_name: key.server_name.as_ref().map(|name| reveal.plain(name, "server_name", escaped)),
            outcome: key.outcome.name(),
            alert: key.alert.map(|(alert, from)| format!("{alert} from the {}", from.name())),
            tls_version: key.version.map(|version| version.to_string()),
            cipher_suite: key.suite.map(|suite| suite.to_string()),
            key_exchange: key.exchange.to_string(),
            resumed: key.resumed,
            api_result: told,
            count,
            first: timestamp(span.first),
            last: timestamp(span.last),
        }
    }
}
