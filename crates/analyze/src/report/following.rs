//! Rows of a report that are shown one by one as they are new or change, while a recording is followed: of `tls` and
//! `readiness`, as `files` and `libs` have it.
//!
//! A row that changes is shown again, with all that was counted of it since following began.

use crate::capture::Capture;
use crate::cli::console::Output;
use crate::cli::exit::Outcome;
use crate::read::faults::FaultLog;
use crate::read::{Fold, LiveBatch, LiveSink, Plan, Tally};
use crate::report::session::Session;
use crate::report::{completeness, document};
use crate::words::redact;
use crate::words::text::{Align, Table};
use anyhow::Result;
use serde::Serialize;
use std::io::{self, Write as _};

/// What is shown of what is counted.
pub(crate) trait View {
    /// What is counted.
    type Counted: Fold;
    /// A row, as it is in JSON.
    type Row: Serialize;

    /// Columns of a line of so many characters.
    fn columns(width: usize) -> Vec<Column>;

    /// Rows that are new or have changed since this was asked last.
    fn changed(counted: &mut Self::Counted, captures: &[Capture], redact: bool) -> Vec<Self::Row>;

    /// A cell for each column.
    fn cells(row: &Self::Row, width: usize) -> Vec<String>;
}

/// A column of rows that are shown one by one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub name: &'static str,
    pub align: Align,
    /// How wide most of its cells are: where they are all that wide, rows stand below each other.
    pub cells: usize,
}

/// A table of these columns, which has no rows yet.
fn table(columns: &[Column]) -> Table {
    // What is last has nothing beside it.
    let widths = columns.iter().rev().skip(1).rev().map(|column| column.cells).chain([0]);
    let names: Vec<(String, Align)> =
        columns.iter().zip(widths).map(|(column, cells)| (format!("{:<cells$}", column.name), column.align)).collect();
    Table::new(&names.iter().map(|(name, align)| (name.as_str(), *align)).collect::<Vec<_>>())
}

/// Counts what comes, and shows what is new or has changed.
pub(crate) struct Following<V: View> {
    counted: V::Counted,
    redact: bool,
    json: bool,
    out: Output,
}

impl<V: View> Following<V> {
    /// Begins the output: with the names of the columns, unless it is JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(counted: V::Counted, json: bool, redact: bool, mut out: Output) -> io::Result<Self> {
        if !json {
            let mut text = String::new();
            table(&V::columns(out.width)).write(out.paint(), &mut text);
            out.write_all(text.as_bytes())?;
        }
        Ok(Self { counted, redact, json, out })
    }

    /// Counts and shows what a session reads until it ends; `any`: whether there was anything to show.
    ///
    /// # Errors
    /// When the input cannot be read or the output cannot be written.
    pub fn run(mut self, mut session: Session<'_>, any: impl FnOnce(&V::Counted) -> bool) -> Result<Outcome> {
        session.fold(&mut self)?;
        if !any(&self.counted) {
            let why = completeness::why_no_handshakes(&session.captures);
            session.note(redact::sentence(why, self.redact));
        }
        session.finish("counted")
    }

    fn show(&mut self, captures: &[Capture]) -> io::Result<()> {
        let mut text = String::new();
        for row in V::changed(&mut self.counted, captures, self.redact) {
            if self.json {
                text.push_str(&document::line(&row)?);
                text.push('\n');
            } else {
                let mut table = table(&V::columns(self.out.width));
                table.row(V::cells(&row, self.out.width));
                table.write_rows(self.out.paint(), &mut text);
            }
        }
        self.out.write_all(text.as_bytes())
    }
}

impl<V: View> LiveSink for Following<V> {
    fn remembers_processes(&self) -> bool {
        self.counted.remembers_processes()
    }

    fn batch(&mut self, batch: LiveBatch<'_>) -> io::Result<()> {
        let captures = batch.captures;
        self.counted.batch(batch)?;
        self.show(captures)
    }
}

impl<V: View> Fold for Following<V> {
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) -> io::Result<()> {
        self.counted.read(plan, faults)?;
        self.show(plan.captures)
    }

    fn tally(&self) -> Tally {
        self.counted.tally()
    }

    fn needs_all_handshakes(&self) -> bool {
        self.counted.needs_all_handshakes()
    }

    fn left_out(&self) -> Option<String> {
        self.counted.left_out()
    }
}
