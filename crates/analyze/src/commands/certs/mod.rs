//! `certs`: which certificates are in use, who presents them and when they expire; which files of certificates were opened, and
//! which process went on with what it had read before the file changed.
//!
//! What is counted is in `count/certs`, what is made of it in `json.rs`, and how people see that in `text.rs`.

mod args;
mod held;
mod json;
mod text;

pub(crate) use args::{Args, Task};

use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::certs::Certs;
use crate::report::document::{self, OUT_BYTES};
use crate::report::judged::AsOf;
use crate::report::session::Session;
use anyhow::Result;
use json::{Asked, Head, Report};
use serde_json::Value;
use std::io::{BufWriter, Write};

/// The document with its first `rows`, as of a day, for whoever puts it into a larger one.
pub(super) fn document(session: &Session<'_>, counted: &Certs, as_of: AsOf, rows: usize) -> Result<Value> {
    let asked = Asked { as_of, expires_within: None };
    let (first, files) = (json::rows(session, counted, asked).take(rows), json::files(session, counted).take(rows));
    Ok(serde_json::to_value(Report::new(Head::new(session, counted, asked), first, files))?)
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    let (mut session, mut out) = Session::begin(&task.judge.request, console)?;
    let mut counted = Certs::default();
    session.fold(&mut counted)?;
    counted.settle(&session.captures);
    let as_of = AsOf::of(&session, task.judge.as_of);
    let asked = Asked { as_of, expires_within: task.expires_within };
    let head = Head::new(&session, &counted, asked);
    let (rows, files) = (json::rows(&session, &counted, asked), json::files(&session, &counted));
    if task.judge.json {
        let mut buffered = BufWriter::with_capacity(OUT_BYTES, &mut out);
        document::write_pretty(&Report::new(head, rows, files), &mut buffered)?;
        buffered.flush()?;
    } else {
        out.write_all(text::text(&head, rows, files, out.paint()).as_bytes())?;
    }
    session.finish("counted")
}
