//! `keys`: who opens which private key, how and with what result, and who is new.
//!
//! What is counted is in `count/keys`, what is made of it in `json.rs`, and how people see that in `text.rs`.

mod args;
mod baseline;
mod json;
mod text;

pub(crate) use args::{Args, Task};

use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::keys::Keys;
use crate::report::document::{self, OUT_BYTES};
use crate::report::session::Session;
use anyhow::Result;
use baseline::Baseline;
use json::{Head, Report};
use serde_json::Value;
use std::io::{BufWriter, Write};

/// The document with its first `rows`, for whoever puts it into a larger one.
pub(super) fn document(session: &Session<'_>, counted: &Keys, rows: usize) -> Result<Value> {
    let first = json::rows(session, counted, None).take(rows);
    Ok(serde_json::to_value(Report::new(Head::new(session, counted, None), first))?)
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    let mut baseline = task.baseline.as_ref().map(|request| Baseline::read(request, console)).transpose()?;
    let (mut session, mut out) = Session::begin(&task.judge.request, console)?;
    let mut counted = Keys::default();
    session.fold(&mut counted)?;
    counted.settle();
    if let Some(baseline) = &mut baseline {
        baseline.compare(&session);
    }
    let head = Head::new(&session, &counted, baseline.as_ref());
    let rows = json::rows(&session, &counted, baseline.as_ref());
    if task.judge.json {
        let mut buffered = BufWriter::with_capacity(OUT_BYTES, &mut out);
        document::write_pretty(&Report::new(head, rows), &mut buffered)?;
        buffered.flush()?;
    } else {
        out.write_all(text::text(&head, rows, out.paint()).as_bytes())?;
    }
    session.finish("counted")
}
