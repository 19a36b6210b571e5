//! `report`: everything that a recording says, as one page to hand in, or as JSON.
//!
//! What is counted and judged is the business of the commands whose documents are put together here ([`document`]); [`page`] shows
//! them, [`charts`] draws.

mod all;
mod args;
mod charts;
mod document;
mod inventory;
mod page;

pub(crate) use args::{Args, Task};

use super::check;
use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::report::document::write_pretty;
use crate::report::session::Session;
use all::All;
use anyhow::Result;
use args::Format;
use std::io::Write as _;

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    // Rules first: what is wrong with them need not wait for the recordings.
    let asking = check::Asking::new(&task.packs, &task.rules)?;
    let (mut session, mut out) = Session::begin(&task.request, console)?;
    let mut all = All::default();
    session.fold(&mut all)?;
    all.settle(&session.captures);
    let (mut session, report) = document::Report::new(session, all, &asking, task.as_of, out.paint())?;
    match task.format {
        Format::Html => out.write_all(page::html(&report)?.as_bytes())?,
        Format::Json => write_pretty(&report, &mut out)?,
    }
    session.gaps_are_shown();
    session.finish("reported")
}
