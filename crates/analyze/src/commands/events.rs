//! `events`: single events, or a summary of them.

use super::Outcome;
use crate::capture::Capture;
use crate::cli::args::{EventsTask, Format, Input, Speed};
use crate::cli::console::{Console, Output, stdin_is_terminal};
use crate::count::summary::Totals;
use crate::event::RenderOptions;
use crate::format::{EventFormat, JsonArray, JsonPretty, JsonStream};
use crate::read::faults::FaultLog;
use crate::read::follow::{Follower, Stop};
use crate::read::input::{self, Choice, Inputs};
use crate::read::{
    LiveRun, LiveSink, OrderedOutput, Pace, Plan, Tally, Wanted, read_captures, read_handshakes, run_live,
    write_ordered,
};
use crate::report::completeness;
use crate::report::inputs as report;
use crate::report::nearest::Names;
use crate::report::summary::{self, SummaryContext};
use crate::select::Filter;
use crate::words::redact;
use crate::words::text::{Paint, grouped};
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What a run is told at its end.
struct Ending<'a> {
    filter: &'a Filter,
    captures: &'a [Capture],
    names: Vec<PathBuf>,
    faults: FaultLog,
    tally: Tally,
    out_of_order: bool,
    since: Instant,
    /// Libraries that are there, when none was shown.
    loaded: Option<Names>,
    /// Home directories are hidden.
    redact: bool,
}

pub(super) fn run(task: &EventsTask, console: Console) -> Result<Outcome> {
    match &task.input {
        Input::Paths { paths, recursive } => files(task, paths, *recursive, console),
        Input::Stdin if stdin_is_terminal() => {
            console.error("no input: name segments or a directory of them, or pipe a capture in");
            Ok(Outcome::Usage)
        }
        Input::Stdin => live(task, Path::new("stdin"), &task.filter, console, |sink, faults| {
            run_live(std::io::stdin().lock(), &task.filter, sink, faults)
        }),
        Input::Follow { directory, duration } => {
            let (follower, filter) = Follower::begin(directory, *duration, &task.filter, console)?;
            live(task, directory, &filter, console, |sink, faults| follower.run(&filter, sink, faults))
        }
    }
}

fn files(task: &EventsTask, paths: &[PathBuf], recursive: bool, console: Console) -> Result<Outcome> {
    let since = Instant::now();
    let inputs = input::open(paths, Choice { recursive, hosts: &task.filter.hosts })?;
    report::left_out(&inputs, console);
    let names: Vec<PathBuf> = inputs.segments.iter().map(|segment| segment.reader.path().to_owned()).collect();
    super::refuse_overwriting(task.output.as_deref(), &names)?;
    let mut faults = FaultLog::default();
    let mut captures = read_captures(&inputs, &mut faults);
    // The summary tells how many there are in all.
    let wanted = if task.format == Format::Summary { Wanted::All } else { Wanted::Of(&task.filter) };
    read_handshakes(&inputs, &mut captures, wanted);
    let plan = Plan::new(&inputs, &captures, &task.filter);
    super::refuse_empty_time(plan.filter.times())?;
    let out = Output::open(task.output.as_deref())?;
    let (tally, out_of_order) = match format(task.format) {
        Some(format) => {
            let mut ordered = OrderedOutput::new(format, RenderOptions { redact: task.redact }, out)?;
            if let Speed::Times(speed) = task.speed {
                let stop = Stop::install(None).context("cannot install signal handlers")?;
                ordered = ordered.paced(Pace::new(speed, stop));
            }
            write_ordered(&plan, ordered, &mut faults)?
        }
        None => {
            let totals = crate::count::summary::summarize(&plan, &mut faults);
            print_summary(task, &totals, &captures, inputs.segments.len(), &faults, out)?;
            (totals.tally, false)
        }
    };
    let (filter, captures) = (&task.filter, &captures[..]);
    let loaded = report::loaded(filter, &inputs, captures, tally.output);
    let redact = task.redact;
    finish(&Ending { filter, captures, names, faults, tally, out_of_order, since, loaded, redact }, console)?;
    leave(inputs);
    Ok(Outcome::Done)
}

/// Shows what `run` reads, of `name`.
fn live(
    task: &EventsTask,
    name: &Path,
    filter: &Filter,
    console: Console,
    run: impl FnOnce(&mut dyn LiveSink, &mut FaultLog) -> std::io::Result<LiveRun>,
) -> Result<Outcome> {
    let since = Instant::now();
    let mut faults = FaultLog::default();
    let context = || name.display().to_string();
    let out = Output::open(task.output.as_deref())?;
    let (live, tally) = match format(task.format) {
        Some(format) => {
            let mut ordered = OrderedOutput::new(format, RenderOptions { redact: task.redact }, out)?;
            let live = run(&mut ordered, &mut faults).with_context(context)?;
            (live, ordered.finish()?.0)
        }
        None => {
            let mut totals = Totals::default();
            let live = run(&mut totals, &mut faults).with_context(context)?;
            print_summary(task, &totals, &live.captures, live.segments as usize, &faults, out)?;
            (live, totals.tally)
        }
    };
    if live.segments == 0 && task.input == Input::Stdin {
        bail!("stdin: not a crypto-trace segment");
    }
    let names = vec![name.to_owned(); live.segments as usize];
    let captures = &live.captures[..];
    let loaded = report::looked_into(filter, captures, tally.output);
    let redact = task.redact;
    let out_of_order = false;
    finish(&Ending { filter, captures, names, faults, tally, out_of_order, since, loaded, redact }, console)?;
    Ok(Outcome::Done)
}

fn format(format: Format) -> Option<&'static dyn EventFormat> {
    match format {
        Format::JsonStream => Some(&JsonStream),
        Format::JsonArray => Some(&JsonArray),
        Format::JsonPretty => Some(&JsonPretty),
        Format::Summary => None,
    }
}

fn print_summary(
    task: &EventsTask,
    totals: &Totals,
    captures: &[Capture],
    segments: usize,
    faults: &FaultLog,
    mut out: Output,
) -> Result<()> {
    let context = SummaryContext {
        captures,
        segments,
        damaged_records: faults.records_lost(),
        damaged: faults.any_damage(),
        why_none: redact::sentence(
            completeness::why_no_events(captures, &task.filter, totals.tally.processed),
            task.redact,
        ),
        redact: task.redact,
        ungrouped: task.ungrouped,
        paint: Paint { colour: out.colour, width: out.width },
    };
    out.write_all(summary::print(totals, &context).as_bytes())?;
    Ok(())
}

fn finish(ending: &Ending<'_>, console: Console) -> Result<()> {
    report::faults(&ending.faults, &ending.names, console);
    report::completeness(ending.captures, ending.redact, console);
    if ending.out_of_order {
        console.warn("too many blocks overlap in time: some events may be out of order");
    }
    let tally = ending.tally;
    if tally.unknown > 0 {
        let count = grouped(tally.unknown);
        console.warn(&format!("{count} records are of kinds that this version does not know, and were left out"));
    }
    let seconds = ending.since.elapsed().as_secs_f64().max(1e-9);
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = tally.processed as f64 / seconds;
    console.verbose(&format!("Events processed: {}", tally.processed));
    console.verbose(&format!("Events filtered: {}", tally.processed.saturating_sub(tally.output)));
    console.verbose(&format!("Events output: {}", tally.output));
    console.verbose(&format!("Rate: {rate:.0} events/s"));
    report::unmatched(
        ending.filter,
        ending.captures,
        tally.output > 0,
        ending.loaded.as_ref(),
        (ending.redact, console),
    );
    if tally.output == 0 {
        let why = completeness::why_no_events(ending.captures, ending.filter, tally.processed);
        console.note(&redact::sentence(why, ending.redact));
    }
    if tally.processed == 0 && ending.faults.any_damage() {
        bail!("nothing could be read: every block is damaged");
    }
    Ok(())
}

/// The process ends right after this: unmapping and freeing everything first would only take time.
fn leave(inputs: Inputs) {
    std::mem::forget(inputs);
}
