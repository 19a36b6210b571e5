//! `readiness`: which services and clients agree on post-quantum key exchange, with whom, and why others do not.
//!
//! What is counted is in `count/readiness`, what is made of it in `json.rs`, and how people see that in `text.rs`.

mod args;
mod follow;
mod json;
mod text;

pub(crate) use args::{Args, Task};

use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::readiness::Readiness;
use crate::report::document::{self, OUT_BYTES};
use crate::report::following::Following;
use crate::report::session::Session;
use anyhow::Result;
use json::{Head, Report};
use serde_json::Value;
use std::io::{BufWriter, Write};

/// The document with its first `rows`, for whoever puts it into a larger one.
pub(super) fn document(session: &Session<'_>, counted: &Readiness, rows: usize) -> Result<Value> {
    let first = json::rows(session, counted).take(rows);
    Ok(serde_json::to_value(Report::new(Head::new(session, counted), first))?)
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    let Task { judge: task, follow } = task;
    let (mut session, mut out) = Session::begin(&task.request, console)?;
    if *follow {
        let shown = Following::<follow::Live>::begin(Readiness::following(), task.json, task.request.redact, out)?;
        return shown.run(session, |counted| counted.ends > 0);
    }
    let mut counted = Readiness::default();
    session.fold(&mut counted)?;
    counted.settle();
    let head = Head::new(&session, &counted);
    let rows = json::rows(&session, &counted);
    if task.json {
        let mut buffered = BufWriter::with_capacity(OUT_BYTES, &mut out);
        document::write_pretty(&Report::new(head, rows), &mut buffered)?;
        buffered.flush()?;
    } else {
        out.write_all(text::text(&head, rows, out.paint()).as_bytes())?;
    }
    session.finish("counted")
}
