//! `export`: events as typed tables.

mod args;

pub(crate) use args::{Args, Task};

use crate::cli::console::{Console, Output};
use crate::cli::exit::Outcome;
use crate::cli::which::options;
use crate::cli::{Input, Request};
use crate::event::RenderOptions;
use crate::format::{Ecs, EventFormat, Ocsf};
use crate::read::input::{Choice, Listed, Segment, list_segments};
use crate::read::{EventSink, OrderedOutput, TextSink};
use crate::report::session::Session;
use crate::tables::{self, ArrowStream, Directory, Exported, Manifest, Mode, Parquet, Place, RowMaker, Shape, earlier};
use crate::words::text::{TOOL, bytes, counted, grouped, hex, plural};
use anyhow::Result;
use args::{Lines, To};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Captures that are read together: what is known of their processes is in memory.
const CAPTURES_AT_A_TIME: usize = 32;

/// Decoded blocks that may wait for others to be ordered: a table needs no more order than its row groups have.
const PENDING_BYTES: usize = 32 << 20;

/// Names that several hosts have, as many as are said.
const MAX_SAME_NAMES: usize = 5;

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    match &task.to {
        To::Parquet { directory, lake, mode, file_bytes } => {
            let earlier = earlier(directory, *mode)?;
            let known = earlier.iter().flat_map(|manifest| manifest.segments.iter().cloned()).collect();
            let is_new = earlier.is_empty();
            parquet(task, directory, lake.as_ref(), (*mode, is_new), *file_bytes, &known, console)
        }
        To::Arrow(ty) => {
            let (mut session, out) = Session::begin(&task.request, console)?;
            let segments = session.inputs().map(|inputs| inputs.segments.as_slice()).unwrap_or_default();
            let is_left_out = |segment: &Segment| !segment.reader.is_sealed() && !task.open;
            let left = segments.iter().filter(|segment| is_left_out(segment)).count() as u64;
            let number = |segment: &Segment| (!is_left_out(segment)).then(|| segment.reader.meta().sequence);
            let options = RenderOptions { redact: task.request.redact };
            let maker = RowMaker::new(Shape::Events, options, segments.iter().map(number).collect());
            say_left_open(left, console);
            say_same_names(&mut session);
            let mut output = ordered(ArrowStream::new(ty, maker, out)?);
            session.fold(&mut output)?;
            output.into_sink().finish()?;
            end(session)
        }
        To::Lines(Lines::Ocsf) => lines(&Ocsf, task, console),
        To::Lines(Lines::Ecs { bulk }) => lines(&Ecs { bulk: *bulk }, task, console),
    }
}

/// Events as lines in the vocabulary of others.
fn lines(format: &dyn EventFormat, task: &Task, console: Console) -> Result<Outcome> {
    let (mut session, out) = Session::begin(&task.request, console)?;
    let mut output = OrderedOutput::new(TextSink::new(format, RenderOptions { redact: task.request.redact }, out)?);
    session.fold(&mut output)?;
    output.into_sink().finish()?;
    end(session)
}

fn ordered<S: EventSink>(sink: S) -> OrderedOutput<S> {
    OrderedOutput::new(sink).limit_pending(PENDING_BYTES)
}

fn parquet(
    task: &Task,
    directory: &Path,
    lake: Option<&Place>,
    (mode, is_new): (Mode, bool),
    file_bytes: usize,
    known: &BTreeSet<Exported>,
    console: Console,
) -> Result<Outcome> {
    let Input::Paths { paths, recursive } = &task.request.input else { return Ok(Outcome::Done) };
    let filter = &task.request.filter;
    let (mut captures, others) = list_segments(paths, Choice { recursive: *recursive, hosts: &filter.hosts })?;
    let chosen = choose(&captures, task.open, known);
    let left = captures.iter().flatten().filter(|segment| !segment.is_sealed && !task.open).count();
    say_left_open(left as u64, console);
    if !captures.is_empty() && others.is_empty() && chosen.is_empty() {
        let why = if mode == Mode::Append { "all that is sealed is in it already" } else { "no segment is sealed" };
        console.note(&format!("{}: nothing to export: {why}", directory.display()));
        return Ok(Outcome::Done);
    }
    if !filter.needs_end() && !chosen.is_empty() {
        // Of the others everything is there already: nothing of them need be read.
        captures.retain(|capture| capture.iter().any(|segment| chosen.contains(&segment.exported())));
    }
    let groups = groups(&captures, others, filter.needs_end());
    let segments: Vec<Exported> = chosen.iter().cloned().collect();
    let mut writing: Option<Parquet> = None;
    let mut manifest = Manifest::new(TOOL, segments);
    for paths in groups {
        let request = Request { input: Input::Paths { paths, recursive: false }, output: None, ..task.request.clone() };
        let (mut session, _): (_, Output) = Session::begin(&request, console)?;
        let sequences = sequences(&session, &chosen);
        let sink = match writing.take() {
            Some(mut sink) => {
                sink.begin(sequences);
                sink
            }
            None => {
                manifest.ask([options(filter, session.asked()), task.selection.clone()].concat());
                let target = Directory::begin(directory, is_new, &manifest.id)?;
                let (shape, tables) = lake
                    .map_or_else(|| (Shape::Events, tables::of_events()), |lake| (Shape::Lake, tables::of_lake(lake)));
                let maker = RowMaker::new(shape, RenderOptions { redact: request.redact }, sequences);
                Parquet::new(target, tables, maker, file_bytes)
            }
        };
        say_same_names(&mut session);
        let mut output = ordered(sink);
        session.fold(&mut output)?;
        writing = Some(output.into_sink());
        manifest.missing.extend(session.gaps(None));
        end(session)?;
    }
    let Some(sink) = writing else { return Ok(Outcome::Done) };
    let (target, tables) = sink.finish()?;
    manifest.wrote(tables, target.files());
    target.publish(&manifest)?;
    for table in &manifest.tables {
        let (rows, files) = (grouped(table.rows), counted(table.files, "file", "files"));
        console.verbose(&format!("{}: {rows} rows, {files}, {}", table.event_type, bytes(table.bytes)));
    }
    let rows = manifest.tables.iter().map(|table| table.rows).sum();
    let written = manifest.tables.iter().map(|table| table.bytes).sum();
    let segments = plural(manifest.segments.len() as u64, "segment");
    let (rows, size) = (plural(rows, "row"), bytes(written));
    console.note(&format!("{}: {rows} of {segments}, {size}", directory.display()));
    Ok(Outcome::Done)
}

/// Files that are read together: those of some captures each, and of one capture always. Times that depend on the end of all
/// need all together.
fn groups(captures: &[Vec<Listed>], others: Vec<PathBuf>, together: bool) -> Vec<Vec<PathBuf>> {
    let count = if together { 1 } else { captures.len().div_ceil(CAPTURES_AT_A_TIME).max(1) };
    let size = captures.len().div_ceil(count).max(1);
    let mut groups: Vec<Vec<PathBuf>> = captures
        .chunks(size)
        .map(|captures| {
            // A file may hold several segments.
            let paths: BTreeSet<PathBuf> = captures.iter().flatten().map(|segment| segment.path.clone()).collect();
            paths.into_iter().collect()
        })
        .collect();
    // What is wrong with them is said when they are opened.
    match groups.first_mut() {
        Some(first) => first.extend(others),
        None => groups.push(others),
    }
    groups
}

/// Segments that rows are made of: not those that are known already, nor those that nobody ended, which may grow.
fn choose(captures: &[Vec<Listed>], open: bool, known: &BTreeSet<Exported>) -> BTreeSet<Exported> {
    let segments = captures.iter().flatten().filter(|segment| segment.is_sealed || open);
    segments.map(Listed::exported).filter(|segment| !known.contains(segment)).collect()
}

impl Listed {
    /// As a manifest names it.
    fn exported(&self) -> Exported {
        exported(&self.host, &self.capture_id, self.sequence)
    }
}

fn exported(host: &str, capture_id: &[u8; 16], sequence: u64) -> Exported {
    Exported { host: host.to_owned(), capture: hex(capture_id), sequence }
}

/// Of each segment of a session its number in its capture, where rows are made of it.
fn sequences(session: &Session<'_>, chosen: &BTreeSet<Exported>) -> Vec<Option<u64>> {
    let segments = session.inputs().map(|inputs| inputs.segments.as_slice()).unwrap_or_default();
    let number = |segment: &Segment| {
        let meta = segment.reader.meta();
        let is_chosen = chosen.contains(&exported(&meta.host, &meta.capture_id, meta.sequence));
        is_chosen.then_some(meta.sequence)
    };
    segments.iter().map(number).collect()
}

fn say_left_open(left: u64, console: Console) {
    if left > 0 {
        let segments = counted(left, "segment is still open and", "segments are still open and");
        console.note(&format!("{segments} left out: --open includes what is in them so far"));
    }
}

/// Hosts that ran at the same time under one name: the column `host` does not tell them apart.
fn say_same_names(session: &mut Session<'_>) {
    let mut windows: Vec<_> = (0u32..)
        .zip(&session.captures)
        .map(|(number, capture)| (&capture.meta.host, session.window(number), &capture.meta.boot_id))
        .collect();
    windows.sort();
    let same = windows.windows(2).filter_map(|pair| {
        let [(host, (_, end), boot), (other, (begin, _), other_boot)] = pair else { return None };
        (host == other && boot != other_boot && begin < end).then(|| (*host).clone())
    });
    let same: BTreeSet<String> = same.collect();
    for host in same.into_iter().take(MAX_SAME_NAMES) {
        let host = session.shown(host.as_bytes());
        session.note(format!(
            "several hosts are called {host}, or their clocks disagree: column `capture` tells them apart"
        ));
    }
}

fn end(mut session: Session<'_>) -> Result<Outcome> {
    if session.tally.output == 0 {
        session.note(session.why_no_events());
    }
    session.finish("exported")
}
