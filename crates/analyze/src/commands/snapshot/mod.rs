//! `snapshot`: which processes had crypto libraries mapped and crypto files open at a moment.

mod args;

pub(crate) use args::{Args, Task};

use crate::capture::clock::WallNs;
use crate::capture::timeline::ImageId;
use crate::cli::Style;
use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::processes::{Gathered, Who, mapped_at};
use crate::report::document::{Each, Escaped, OUT_BYTES, Reveal, write_documents};
use crate::report::processes::{Key, Process, processes, user};
use crate::report::session::Session;
use crate::words::redact;
use crate::words::text::{Align, Paint, Table, and_more, counted};
use crate::words::timestamp::timestamp;
use anyhow::Result;
use crypto_trace_format::catalog::file_name;
use crypto_trace_format::record::FileOpen;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};

/// Version of the document: what the reference tool's 1.0 has is in it.
const VERSION: &str = "1.0";

/// Rows that are shown to people.
const TOP: usize = 200;

#[derive(Serialize)]
struct Snapshot<'a> {
    snapshot_version: &'static str,
    /// The moment.
    generated_at: String,
    hostname: String,
    kernel: String,
    processes: Rows<'a>,
    summary: Summary,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_none: Option<String>,
    missing: Vec<String>,
}

/// Processes by their ids, and what they have: rows are made one by one.
struct Rows<'a> {
    found: Vec<(&'a Process<'a>, Found<'a>)>,
    at: WallNs,
    reveal: Reveal,
}

impl Rows<'_> {
    fn iter(&self) -> impl Iterator<Item = Row> {
        self.found.iter().map(|(process, found)| Row::new(process, found, self.at, self.reveal))
    }
}

impl Serialize for Rows<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Each::new(self.iter()).serialize(serializer)
    }
}

#[derive(Serialize)]
struct Row {
    pid: u32,
    name: String,
    exe: Option<String>,
    cmdline: Option<String>,
    /// Paths of crypto libraries that it has mapped.
    libraries: Vec<String>,
    /// Paths of crypto files that it had open when /proc was looked at.
    open_crypto_files: Vec<String>,
    /// Paths of crypto files that it opened since then; they may be closed again.
    opened_crypto_files: Vec<String>,
    running_as: Option<String>,
    uid: Option<u32>,
    start_time: Option<String>,
    container: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    escaped: Escaped,
}

#[derive(Serialize)]
struct Summary {
    total_processes: usize,
    /// Different libraries.
    total_libraries: usize,
    /// Different files that are open.
    total_files: usize,
    /// Different files that were opened, and may be closed again.
    total_opened_files: usize,
    /// Processes by user.
    by_user: BTreeMap<String, usize>,
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    let (mut session, mut out) = Session::begin(&task.request, console)?;
    let mut gathered = Gathered::new(&[FileOpen::KIND]);
    session.fold(&mut gathered)?;
    let read = &session;
    let by_capture = {
        let mut by_capture: BTreeMap<u32, Vec<Process<'_>>> = BTreeMap::new();
        for process in processes(&gathered.own, &read.captures) {
            by_capture.entry(process.number).or_default().push(process);
        }
        by_capture
    };
    let snapshots: Vec<Snapshot<'_>> = chosen(read)
        .into_iter()
        .map(|number| {
            let processes = by_capture.get(&number).map(Vec::as_slice).unwrap_or_default();
            Snapshot::new(read, &gathered, number, processes)
        })
        .collect();
    match task.style {
        Style::Text => out.write_all(text(&snapshots, read, out.paint()).as_bytes())?,
        style => {
            let mut buffered = BufWriter::with_capacity(OUT_BYTES, &mut out);
            write_documents(snapshots.iter(), style, &mut buffered)?;
            buffered.flush()?;
        }
    }
    let none = snapshots.is_empty().then(|| read.why_none("processes"));
    // For people it is in the text.
    let told = if task.style == Style::Text { Vec::new() } else { snapshots };
    let why: Vec<String> = none.into_iter().chain(told.into_iter().filter_map(|snapshot| snapshot.why_none)).collect();
    why.into_iter().for_each(|why| session.note(why));
    session.gaps_are_shown();
    session.finish("counted")
}

/// Of each host, the capture that tells of the moment: the last one that began before it.
fn chosen(read: &Session<'_>) -> Vec<u32> {
    let mut latest: BTreeMap<&str, (WallNs, u32)> = BTreeMap::new();
    let until = read.until();
    for (number, capture) in (0u32..).zip(&read.captures) {
        let begun = WallNs(capture.meta.clock.realtime_ns);
        // Of a damaged header neither host nor time is known: a document of it would be made up.
        if capture.meta.is_placeholder() || until.is_some_and(|until| begun > until) {
            continue;
        }
        let row = latest.entry(&capture.meta.host).or_insert((begun, number));
        *row = (*row).max((begun, number));
    }
    latest.into_values().map(|(_, number)| number).collect()
}

impl<'a> Snapshot<'a> {
    fn new(read: &'a Session<'_>, gathered: &'a Gathered, number: u32, processes: &'a [Process<'a>]) -> Self {
        let at = read.window(number).1;
        let mut rows = Vec::new();
        let (mut libraries, mut files, mut opened) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut by_user, mut ended) = (BTreeMap::new(), 0u64);
        for process in processes {
            let Some(found) = Found::new(process, gathered, at) else { continue };
            if process.end().is_some_and(|end| end < at) {
                ended += 1;
                continue;
            }
            let running_as = process.ids().map(|ids| user(ids.uid));
            *by_user.entry(running_as.unwrap_or_else(|| "?".to_owned())).or_default() += 1;
            libraries.extend(found.libraries.iter().copied());
            files.extend(found.open.iter().copied());
            opened.extend(found.opened.iter().copied());
            rows.push((process, found));
        }
        rows.sort_by_key(|(process, _)| process.pid());
        let summary = Summary {
            total_processes: rows.len(),
            total_libraries: libraries.len(),
            total_files: files.len(),
            total_opened_files: opened.len(),
            by_user,
        };
        let why_none = rows.is_empty().then(|| {
            let at = timestamp(at);
            match ended {
                0 => read.why_none("processes that use crypto"),
                ended => format!(
                    "no process that uses crypto existed at {at}; {} had ended before: give an earlier --at",
                    counted(ended, "had", "had")
                ),
            }
        });
        let meta = read.captures.get(number as usize).map(|capture| &capture.meta);
        Self {
            snapshot_version: VERSION,
            generated_at: timestamp(at),
            hostname: meta.map(|meta| meta.host.clone()).unwrap_or_default(),
            kernel: meta.map(|meta| meta.kernel.clone()).unwrap_or_default(),
            processes: Rows { found: rows, at, reveal: read.reveal() },
            summary,
            why_none,
            missing: read.gaps(Some(number)),
        }
    }
}

/// What a process has at a moment.
struct Found<'a> {
    image: ImageId,
    libraries: BTreeSet<&'a [u8]>,
    open: BTreeSet<&'a [u8]>,
    opened: BTreeSet<&'a [u8]>,
}

impl<'a> Found<'a> {
    /// None: nothing of crypto, or the process was not there yet.
    fn new(process: &'a Process<'_>, gathered: &'a Gathered, at: WallNs) -> Option<Self> {
        if process.start().is_some_and(|start| start > at) {
            return None;
        }
        let image = process.image(at);
        let place = (process.number, process.capture);
        let mapped = mapped_at(&gathered.all, process.of(image), place, image, at);
        let libraries: BTreeSet<&[u8]> = mapped.into_keys().map(|(path, _)| path).collect();
        let (mut open, mut opened) = (BTreeSet::new(), BTreeSet::new());
        let now = |who: &Who| who.image == image || matches!(process.key, Key::Unknown(..));
        for (who, doings) in &process.doings {
            for (path, file) in doings.files.sorted() {
                // What was opened before an exec is open after it only when it was asked to be.
                let kept = now(who) || file.survives_exec;
                if !kept || !file.was_opened() || file.span.first > at {
                    continue;
                }
                let to = if file.already_open > 0 { &mut open } else { &mut opened };
                to.insert(&path[..]);
            }
        }
        let none = libraries.is_empty() && open.is_empty() && opened.is_empty();
        (!none).then_some(Self { image, libraries, open, opened })
    }
}

impl Row {
    fn new(process: &Process<'_>, found: &Found<'_>, at: WallNs, reveal: Reveal) -> Self {
        let mut escaped = Escaped::new();
        let identity = process.capture.timeline.identity(found.image);
        let mut paths = |paths: &BTreeSet<&[u8]>, name| -> Vec<String> {
            paths.iter().map(|path| reveal.path(path, name, &mut escaped)).collect()
        };
        let libraries = paths(&found.libraries, "libraries");
        let open_crypto_files = paths(&found.open, "open_crypto_files");
        let opened_crypto_files = paths(&found.opened, "opened_crypto_files");
        let ids = process.ids();
        Self {
            pid: process.pid(),
            name: reveal.text(&process.comm(found.image, reveal), "name", &mut escaped),
            exe: identity.exe.map(|exe| reveal.path(exe, "exe", &mut escaped)),
            cmdline: identity.argv.map(|argv| reveal.cmdline(argv, "cmdline", &mut escaped)),
            libraries,
            open_crypto_files,
            opened_crypto_files,
            running_as: ids.map(|ids| user(ids.uid)),
            uid: ids.map(|ids| ids.uid),
            start_time: process.start().filter(|start| *start <= at).map(timestamp),
            container: identity.container.map(|id| reveal.text(id, "container", &mut escaped)),
            escaped,
        }
    }
}

/// All of them, for people.
fn text(snapshots: &[Snapshot<'_>], read: &Session<'_>, paint: Paint) -> String {
    let shown = |text: &str| redact::for_people(text.as_bytes(), read.request.redact);
    let mut out = String::new();
    for (index, snapshot) in snapshots.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let mut line = |name: &str, text: &str| paint.line(&mut out, 9, name, text);
        line("Snapshot", &format!("of {} at {}", shown(&snapshot.hostname), snapshot.generated_at));
        line("Kernel", &shown(&snapshot.kernel));
        let summary = &snapshot.summary;
        let counts = [
            counted(summary.total_processes as u64, "process", "processes"),
            counted(summary.total_libraries as u64, "library", "libraries"),
            counted(summary.total_files as u64, "open file", "open files"),
            format!("{} opened, perhaps closed", counted(summary.total_opened_files as u64, "file", "files")),
        ];
        line("Uses", &counts.join(", "));
        let users = summary.by_user.iter().map(|(user, count)| format!("{user} ({count})"));
        line("Users", &users.collect::<Vec<_>>().join(", "));
        for (index, gap) in snapshot.missing.iter().enumerate() {
            line(if index == 0 { "Missing" } else { "" }, &paint.bad(gap));
        }
        if let Some(why) = &snapshot.why_none {
            let _ = writeln!(out, "\n{why}");
            continue;
        }
        out.push('\n');
        let columns = [
            ("pid", Align::Right),
            ("user", Align::Left),
            ("process", Align::Left),
            ("libraries", Align::Left),
            ("files", Align::Left),
        ];
        let mut table = Table::new(&columns);
        for row in snapshot.processes.iter().take(TOP) {
            let libraries = row.libraries.iter().map(|path| {
                let name = file_name(path.as_bytes());
                shown(&String::from_utf8_lossy(name))
            });
            let files = row.open_crypto_files.iter().chain(&row.opened_crypto_files).map(|path| shown(path));
            table.row(vec![
                row.pid.to_string(),
                row.running_as.clone().unwrap_or_else(|| "?".to_owned()),
                shown(&row.name),
                libraries.collect::<Vec<_>>().join(" "),
                files.collect::<Vec<_>>().join(" "),
            ]);
        }
        table.write(paint, &mut out);
        and_more(snapshot.processes.found.len().saturating_sub(TOP), "; all are in JSON", &mut out);
    }
    out
}
