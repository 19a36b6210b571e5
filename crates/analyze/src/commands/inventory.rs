//! `profile`, `snapshot`, `files` and `libs`: what was used and by whom, gathered and then told in four ways.

use super::paths::{self, Paths};
use super::{Outcome, profile, snapshot};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::cli::args::{Input, InventoryReport, InventoryTask, Style};
use crate::cli::console::{Console, Output, stdin_is_terminal};
use crate::count::inventory::{ByPath, Gather, Gathered};
use crate::read::faults::FaultLog;
use crate::read::follow::Follower;
use crate::read::input::{self, Choice};
use crate::read::{LiveRun, LiveSink, Plan, Tally, Wanted, read_captures, read_handshakes, run_live, time_ranges};
use crate::report::completeness;
use crate::report::document::{self, Reveal};
use crate::report::inputs as report;
use crate::report::nearest::Names;
use crate::select::Filter;
use crate::words::redact;
use crate::words::text::{Paint, grouped, plural};
use crate::words::timestamp::timestamp;
use anyhow::{Context, Result, bail};
use crypto_trace_format::record::{FileOpen, TlsHello};
use serde::Serialize;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Bytes that are written at a time.
pub(super) const OUT_BYTES: usize = 64 << 10;

/// What was read, and how to tell it.
pub(super) struct Read<'a> {
    pub task: &'a InventoryTask,
    pub captures: Vec<Capture>,
    /// Of each capture, times of the first and the last record.
    ranges: Vec<Option<(WallNs, WallNs)>>,
    /// Times that were asked for.
    asked: (Option<WallNs>, Option<WallNs>),
    faults: FaultLog,
    names: Vec<PathBuf>,
    /// Segments that could not be read.
    unread: usize,
    tally: Tally,
    refused: u64,
    /// Libraries that are there, when none of those that were asked for is.
    loaded: Option<Names>,
}

impl Read<'_> {
    /// How text of the traced host is shown.
    pub fn reveal(&self) -> Reveal {
        Reveal { redact: self.task.redact }
    }

    /// What of a capture was looked at: from its first to its last record, within the times that were asked for.
    pub fn window(&self, capture: u32) -> (WallNs, WallNs) {
        let begun = || self.captures.get(capture as usize).map(|capture| WallNs(capture.meta.clock.realtime_ns));
        let known = self.ranges.get(capture as usize).copied().flatten();
        let (from, to) = known.or_else(|| begun().map(|at| (at, at))).unwrap_or_default();
        let (since, until) = self.asked;
        let from = since.map_or(from, |since| since.max(from));
        (from, until.map_or(to, |until| until.min(to)).max(from))
    }

    /// The same of all captures together.
    pub fn whole_window(&self) -> (WallNs, WallNs) {
        let windows = (0u32..).zip(&self.captures).map(|(number, _)| self.window(number));
        windows.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or_default()
    }

    /// From the first to the last record of all captures.
    fn covered(&self) -> Option<(WallNs, WallNs)> {
        self.ranges.iter().flatten().copied().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Everything that is missing of one capture, or of all, a sentence each.
    pub fn gaps(&self, only: Option<u32>) -> Vec<String> {
        let of = |number: u32| only.is_none_or(|only| only == number);
        let captures = (0u32..).zip(&self.captures).filter(|(number, _)| of(*number)).map(|(_, capture)| capture);
        let name_host = only.is_none() && self.captures.len() > 1;
        let gaps = captures.flat_map(|capture| completeness::gaps(capture, name_host));
        let gaps = gaps.map(|gap| redact::sentence(gap, self.task.redact));
        let damage = self.faults.any_damage().then(|| {
            let lost = grouped(self.faults.records_lost());
            format!("files are damaged: {lost} records known to be lost (see verify)")
        });
        let refused = grouped(self.refused);
        let full =
            (self.refused > 0).then(|| format!("too many rows: {refused} did not fit in memory and are left out"));
        let unknown = self.tally.unknown;
        let unknown = (unknown > 0)
            .then(|| format!("{} are of kinds that this version does not know", plural(unknown, "record")));
        gaps.chain(report::unread(self.unread)).chain(damage).chain(full).chain(unknown).collect()
    }

    /// Why nothing of `what` is there.
    pub fn why_none(&self, what: &str) -> String {
        let (since, until) = self.asked;
        if let Some((from, to)) = self.covered()
            && (since.is_some_and(|since| since > to) || until.is_some_and(|until| until <= from))
        {
            let (from, to) = (timestamp(from), timestamp(to));
            return format!("no {what}: the time asked for is outside of the capture, which covers {from} to {to}");
        }
        let why = completeness::why_nothing(what, &self.captures, &self.task.filter, self.tally.processed);
        redact::sentence(why, self.task.redact)
    }

    /// Until when was asked for; exclusive.
    pub fn until(&self) -> Option<WallNs> {
        self.asked.1
    }

    /// Whether certain processes were asked for.
    pub fn selects_processes(&self) -> bool {
        !self.task.filter.pids.is_empty() || !self.task.filter.names.is_empty()
    }

    /// With which colours.
    pub fn paint(&self, out: &Output) -> Paint {
        Paint { colour: out.colour && self.task.style == Style::Text, width: out.width }
    }
}

pub(super) fn run(task: &InventoryTask, console: Console) -> Result<Outcome> {
    if task.input == Input::Stdin && stdin_is_terminal() {
        console.error("no input: name segments or a directory of them, or pipe a capture in");
        return Ok(Outcome::Usage);
    }
    match task.report {
        InventoryReport::Profile => {
            let mut gathered = Gathered::new(&[]);
            let read = read(task, &mut gathered, console)?;
            profile::run(&read, &gathered, console)
        }
        InventoryReport::Snapshot => {
            let mut gathered = Gathered::new(&[FileOpen::KIND]);
            let read = read(task, &mut gathered, console)?;
            snapshot::run(&read, &gathered, console)
        }
        InventoryReport::Files => by_path(task, Paths::Files, console),
        InventoryReport::Libs => by_path(task, Paths::Libraries, console),
    }
}

fn by_path(task: &InventoryTask, table: Paths, console: Console) -> Result<Outcome> {
    if task.follow {
        return follow_paths(task, table, console);
    }
    let mut gathered = ByPath::default();
    let read = read(task, &mut gathered, console)?;
    let mut out = Output::open(task.output.as_deref())?;
    let paint = read.paint(&out);
    let mut buffered = BufWriter::with_capacity(OUT_BYTES, &mut out);
    paths::write(&read, &gathered, table, paint, &mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    finish(&read, console)
}

/// Shows what is new or has changed as it comes.
fn follow_paths(task: &InventoryTask, table: Paths, console: Console) -> Result<Outcome> {
    let mut shown = paths::Following::begin(task, table)?;
    let read = match &task.input {
        Input::Follow { directory, duration } => {
            let (follower, filter) = Follower::begin(directory, *duration, &task.filter, console)?;
            stream(task, directory, &filter, &mut shown, |sink, faults| follower.run(&filter, sink, faults))?
        }
        _ => stdin(task, &mut shown)?,
    };
    finish(&read, console)
}

/// Reads everything.
fn read<'a>(task: &'a InventoryTask, gathered: &mut impl Gather, console: Console) -> Result<Read<'a>> {
    match &task.input {
        Input::Paths { paths, recursive } => files_of(task, paths, *recursive, gathered, console),
        Input::Stdin | Input::Follow { .. } => stdin(task, gathered),
    }
}

fn files_of<'a>(
    task: &'a InventoryTask,
    paths: &[PathBuf],
    recursive: bool,
    gathered: &mut impl Gather,
    console: Console,
) -> Result<Read<'a>> {
    let inputs = input::open(paths, Choice { recursive, hosts: &task.filter.hosts })?;
    report::left_out(&inputs, console);
    let names: Vec<_> = inputs.segments.iter().map(|segment| segment.reader.path().to_owned()).collect();
    super::refuse_overwriting(task.output.as_deref(), &names)?;
    let mut faults = FaultLog::default();
    let mut captures = read_captures(&inputs, &mut faults);
    // Calls too, for files: what a library was told to load is known by that.
    if task.filter.kinds.contains(&TlsHello::KIND) || task.filter.shows_files() {
        read_handshakes(&inputs, &mut captures, Wanted::Of(&task.filter));
    }
    let ranges = time_ranges(&inputs, &captures);
    let plan = Plan::new(&inputs, &captures, &task.filter);
    super::refuse_empty_time(plan.filter.times())?;
    let asked = plan.filter.times();
    gathered.read(&plan, &mut faults);
    let (tally, refused) = (gathered.tally(), gathered.refused());
    let unread = inputs.unread.len();
    let loaded = report::loaded(&task.filter, &inputs, &captures, tally.output);
    Ok(Read { task, captures, ranges, asked, faults, names, unread, tally, refused, loaded })
}

fn stdin<'a>(task: &'a InventoryTask, gathered: &mut impl Gather) -> Result<Read<'a>> {
    stream(task, Path::new("stdin"), &task.filter, gathered, |sink, faults| {
        run_live(std::io::stdin().lock(), &task.filter, sink, faults)
    })
}

/// Reads a stream to its end.
fn stream<'a>(
    task: &'a InventoryTask,
    name: &Path,
    filter: &Filter,
    gathered: &mut impl Gather,
    run: impl FnOnce(&mut dyn LiveSink, &mut FaultLog) -> std::io::Result<LiveRun>,
) -> Result<Read<'a>> {
    let mut faults = FaultLog::default();
    let live = run(gathered, &mut faults).with_context(|| name.display().to_string())?;
    if live.segments == 0 && task.input == Input::Stdin {
        bail!("stdin: not a crypto-trace segment");
    }
    let names = vec![name.to_owned(); live.segments as usize];
    let ranges = vec![live.range; live.captures.len()];
    let asked = filter.resolve(None).times();
    let (tally, refused) = (gathered.tally(), gathered.refused());
    let loaded = report::looked_into(filter, &live.captures, tally.output);
    Ok(Read { task, captures: live.captures, ranges, asked, faults, names, unread: 0, tally, refused, loaded })
}

/// What is told on stderr at the end.
pub(super) fn finish(read: &Read<'_>, console: Console) -> Result<Outcome> {
    report::faults(&read.faults, &read.names, console);
    // What is missing of a snapshot stands in it: `-q` is for cron, which sends a mail for each line.
    if read.task.report != InventoryReport::Snapshot || !console.is_quiet() {
        report::completeness(&read.captures, read.task.redact, console);
    }
    if read.refused > 0 {
        console.warn(&format!("too many rows: {} did not fit in memory and are left out", grouped(read.refused)));
    }
    if read.tally.unknown > 0 {
        let count = plural(read.tally.unknown, "record");
        console.warn(&format!("{count} of kinds that this version does not know were left out"));
    }
    report::unmatched(
        &read.task.filter,
        &read.captures,
        read.tally.output > 0,
        read.loaded.as_ref(),
        (read.task.redact, console),
    );
    console.verbose(&format!("Events processed: {}", read.tally.processed));
    console.verbose(&format!("Events counted: {}", read.tally.output));
    if read.tally.processed == 0 && read.faults.any_damage() {
        bail!("nothing could be read: every block is damaged");
    }
    Ok(Outcome::Done)
}

/// Writes documents in JSON as it was asked for: one of them, or all. Each is made when it is written.
pub(super) fn write_documents<T: Serialize>(
    mut documents: impl Iterator<Item = T>,
    style: Style,
    out: &mut impl Write,
) -> Result<()> {
    match style {
        Style::JsonPretty => match (documents.next(), documents.next()) {
            (Some(one), None) => document::write_pretty(&one, out)?,
            (first, second) => {
                let all = first.into_iter().chain(second).chain(documents);
                document::write_pretty(&document::Each::new(all), out)?;
            }
        },
        Style::JsonArray => document::write_array(documents, out)?,
        Style::JsonStream | Style::Text => {
            for document in documents {
                document::write_line(&document, out)?;
            }
        }
    }
    Ok(())
}
