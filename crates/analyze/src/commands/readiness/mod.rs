//! `readiness`: which services and clients agree on post-quantum key exchange, with whom, and why others do not.
//!
//! What is counted is in `count/readiness`, what is made of it in `json.rs`, and how people see that in `text.rs`.

mod args;
mod json;
mod text;

pub(crate) use args::{Args, Task};

use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::readiness::Readiness;
use crate::report::document;
use crate::report::session::Session;
use anyhow::Result;
use json::Report;
use std::io::Write;

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    let (mut session, mut out) = Session::begin(&task.request, console)?;
    let mut counted = Readiness::default();
    session.fold(&mut counted)?;
    counted.settle();
    let report = Report::new(&session, &counted);
    let shown = if task.json { document::pretty(&report)? + "\n" } else { report.text(out.paint()) };
    out.write_all(shown.as_bytes())?;
    session.finish("counted")
}
