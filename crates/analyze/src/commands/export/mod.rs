//! `export`: events as typed tables.

mod args;

pub(crate) use args::{Args, Task};

use crate::cli::Request;
use crate::cli::console::{Console, Output};
use crate::cli::exit::Outcome;
use crate::cli::which::options;
use crate::event::RenderOptions;
use crate::format::{Ecs, EventFormat, Ocsf};
use crate::read::input::Inputs;
use crate::read::{OrderedOutput, TextSink};
use crate::report::session::Session;
use crate::tables::{ArrowStream, Directory, Exported, Manifest, Mode, Parquet, RowMaker, SCHEMA_VERSION, earlier, id};
use crate::words::text::{bytes, counted, grouped, hex, plural};
use anyhow::Result;
use args::{Lines, To};
use std::collections::BTreeSet;
use std::path::Path;

/// Decoded blocks that may wait for others to be ordered: a table needs no more order than its row groups have.
const PENDING_BYTES: usize = 32 << 20;

/// Events as lines in the vocabulary of others.
fn lines(format: &dyn EventFormat, task: &Task, console: Console) -> Result<Outcome> {
    let (mut session, out) = Session::begin(&task.request, console)?;
    let mut output = OrderedOutput::new(TextSink::new(format, RenderOptions { redact: task.request.redact }, out)?);
    session.fold(&mut output)?;
    output.into_sink().finish()?;
    end(session)
}

/// Names that several hosts have, as many as are said.
const MAX_SAME_NAMES: usize = 5;

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    match &task.to {
        To::Parquet { directory, mode, file_bytes } => {
            let earlier = earlier(directory, *mode)?;
            let known = earlier.iter().flat_map(|manifest| manifest.segments.iter().cloned()).collect();
            let is_new = earlier.is_empty();
            parquet(task, directory, (*mode, is_new), *file_bytes, &known, console)
        }
        To::Arrow(ty) => {
            let (mut session, out) = Session::begin(&task.request, console)?;
            let chosen = choose(&mut session, task.open, &BTreeSet::new());
            let maker = RowMaker::new(RenderOptions { redact: task.request.redact }, chosen.sequences);
            let mut output = ordered(ArrowStream::new(ty, maker, out)?);
            session.fold(&mut output)?;
            output.into_sink().finish()?;
            end(session)
        }
        To::Lines(Lines::Ocsf) => lines(&Ocsf, task, console),
        To::Lines(Lines::Ecs { bulk }) => lines(&Ecs { bulk: *bulk }, task, console),
    }
}

fn ordered<S: crate::read::EventSink>(sink: S) -> OrderedOutput<S> {
    OrderedOutput::new(sink).limit_pending(PENDING_BYTES)
}

fn parquet(
    task: &Task,
    directory: &Path,
    (mode, is_new): (Mode, bool),
    file_bytes: usize,
    known: &BTreeSet<Exported>,
    console: Console,
) -> Result<Outcome> {
    let request = Request { output: None, ..task.request.clone() };
    let (mut session, _): (_, Output) = Session::begin(&request, console)?;
    let chosen = choose(&mut session, task.open, known);
    let selection = [options(&request.filter, session.asked()), task.selection.clone()].concat();
    if chosen.segments.is_empty() {
        let why = if mode == Mode::Append { "all that is sealed is in it already" } else { "no segment is sealed" };
        session.note(format!("{}: nothing to export: {why}", directory.display()));
        return session.finish("exported");
    }
    let id = id(&selection, &chosen.segments);
    let target = Directory::begin(directory, is_new, &id)?;
    let maker = RowMaker::new(RenderOptions { redact: request.redact }, chosen.sequences);
    let mut output = ordered(Parquet::new(target, maker).file_bytes(file_bytes));
    session.fold(&mut output)?;
    let (target, tables) = output.into_sink().finish()?;
    let mut files: Vec<String> = target.files().iter().map(|file| file.display().to_string()).collect();
    files.sort();
    let tool = concat!("crypto-trace-analyze ", env!("CARGO_PKG_VERSION")).to_owned();
    let (segments, missing) = (chosen.segments, session.gaps(None));
    let manifest = Manifest { schema_version: SCHEMA_VERSION, id, tool, selection, segments, tables, missing, files };
    target.publish(&manifest)?;
    for table in &manifest.tables {
        let (rows, files) = (grouped(table.rows), counted(table.files, "file", "files"));
        console.verbose(&format!("{}: {rows} rows, {files}, {}", table.event_type, bytes(table.bytes)));
    }
    let rows = manifest.tables.iter().map(|table| table.rows).sum();
    let written = manifest.tables.iter().map(|table| table.bytes).sum();
    let segments = plural(manifest.segments.len() as u64, "segment");
    let (rows, size) = (plural(rows, "row"), bytes(written));
    session.note(format!("{}: {rows} of {segments}, {size}", directory.display()));
    end(session)
}

/// What of the inputs is exported.
struct Chosen {
    /// Of each segment its number in its capture, where rows are made of it.
    sequences: Vec<Option<u64>>,
    /// Those, sorted.
    segments: Vec<Exported>,
}

/// Leaves out segments that are known already, and those that nobody ended: they may grow.
fn choose(session: &mut Session<'_>, open: bool, known: &BTreeSet<Exported>) -> Chosen {
    let mut chosen = Chosen { sequences: Vec::new(), segments: Vec::new() };
    let mut left_open = 0;
    let Some(inputs): Option<&Inputs> = session.inputs() else { return chosen };
    for segment in &inputs.segments {
        let meta = segment.reader.meta();
        let exported = Exported { host: meta.host.clone(), capture: hex(&meta.capture_id), sequence: meta.sequence };
        let is_open = !segment.reader.is_sealed() && !open;
        left_open += u64::from(is_open);
        let is_chosen = !is_open && !known.contains(&exported);
        chosen.sequences.push(is_chosen.then_some(meta.sequence));
        if is_chosen {
            chosen.segments.push(exported);
        }
    }
    chosen.segments.sort();
    if left_open > 0 {
        let segments = counted(left_open, "segment is still open and", "segments are still open and");
        session.note(format!("{segments} left out: --open includes what is in them so far"));
    }
    say_same_names(session);
    chosen
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
