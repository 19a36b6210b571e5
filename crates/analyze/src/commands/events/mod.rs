//! `events`: single events, or a summary of them.

mod args;

pub(crate) use args::{Args, Task};

use crate::cli::console::{Console, Output};
use crate::cli::exit::Outcome;
use crate::count::totals::Totals;
use crate::event::RenderOptions;
use crate::format::{Chosen, Csv, EventFormat, Framed, JsonArray, JsonPretty, JsonStream};
use crate::read::follow::Stop;
use crate::read::{OrderedOutput, Pace, TextSink};
use crate::report::session::Session;
use crate::report::summary::{self, SummaryContext};
use anyhow::{Context, Result};
use args::{Format, Speed};
use std::io::Write;

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    let (mut session, out) = match task.format {
        Format::Summary => Session::begin(&task.request, console)?,
        _ => Session::begin_events(&task.request, console)?,
    };
    match task.format {
        Format::JsonStream => chosen(&JsonStream, task, &mut session, out)?,
        Format::JsonArray => chosen(&JsonArray, task, &mut session, out)?,
        Format::JsonPretty => chosen(&JsonPretty, task, &mut session, out)?,
        Format::Csv => {
            if let Some(choice) = &task.choice {
                events(&Csv::new(choice), task, &mut session, out)?;
            }
        }
        Format::Summary => summary(task, &mut session, out)?,
    }
    if session.tally.output == 0 {
        session.note(session.why_no_events());
    }
    session.finish("output")
}

/// Events as JSON, or what was chosen of them.
fn chosen(format: &dyn Framed, task: &Task, session: &mut Session<'_>, out: Output) -> Result<()> {
    match &task.choice {
        None => events(format, task, session, out),
        Some(choice) => events(&Chosen { format, choice }, task, session, out),
    }
}

fn events(format: &dyn EventFormat, task: &Task, session: &mut Session<'_>, out: Output) -> Result<()> {
    let sink = TextSink::new(format, RenderOptions { redact: task.request.redact }, out)?;
    let mut ordered = OrderedOutput::new(sink);
    if let Speed::Times(speed) = task.speed {
        let stop = Stop::install(None).context("cannot install signal handlers")?;
        ordered = ordered.paced(Pace::new(speed, stop));
    }
    session.fold(&mut ordered)?;
    Ok(ordered.into_sink().finish()?)
}

fn summary(task: &Task, session: &mut Session<'_>, mut out: Output) -> Result<()> {
    let mut totals = Totals::default();
    session.fold(&mut totals)?;
    let context = SummaryContext {
        captures: &session.captures,
        segments: session.segments(),
        missing: session.gaps(None),
        why_none: session.why_no_events(),
        redact: task.request.redact,
        ungrouped: task.ungrouped,
        paint: out.paint(),
    };
    out.write_all(summary::print(&totals, &context).as_bytes())?;
    Ok(())
}
