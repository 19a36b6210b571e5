//! All rows of `files` and `libs`, in each style. Rows are made one by one as they are written: there may be very many.

use super::{DirectoryRow, Paths, Report, Row, SCHEMA_VERSION, columns, fold, programs};
use crate::capture::Capture;
use crate::cli::Style;
use crate::cli::uses::UseTask;
use crate::count::Span;
use crate::count::files::FileUse;
use crate::count::libraries::LibraryUse;
use crate::count::paths::{ByPath, Shown};
use crate::report::document::{self, Each, Escaped, Reveal};
use crate::report::parts::failures;
use crate::report::session::Session;
use crate::words::redact;
use crate::words::text::{Paint, Table, and_more};
use crate::words::timestamp::timestamp;
use anyhow::Result;
use std::cmp::Reverse;
use std::io::Write;

/// Rows that are shown to people.
const TOP: usize = 200;

/// Writes all rows in the style that was asked for.
pub(super) fn write(
    (task, read): (&UseTask, &Session<'_>),
    gathered: &ByPath,
    paths: Paths,
    paint: Paint,
    out: &mut impl Write,
) -> Result<()> {
    let reveal = read.reveal();
    let rows = || paths.rows(gathered, &read.captures, reveal);
    let why_none = (!paths.any(gathered)).then(|| read.why_none(paths.what()));
    match task.style {
        Style::Text => return text((task, read), gathered, why_none, paths, paint, out),
        Style::JsonStream => {
            for row in rows() {
                document::write_line(&row, out)?;
            }
        }
        Style::JsonArray => document::write_array(rows(), out)?,
        Style::JsonPretty => {
            let covered = (!read.captures.is_empty()).then(|| read.whole_window());
            let report = Report {
                schema_version: SCHEMA_VERSION,
                from: covered.map(|(from, _)| timestamp(from)),
                to: covered.map(|(_, to)| timestamp(to)),
                why_none,
                files: (paths == Paths::Files).then(|| Each::new(rows())),
                directories: directories(gathered, paths, task, read),
                libraries: (paths == Paths::Libraries).then(|| Each::new(rows())),
                missing: read.gaps(None),
            };
            document::write_pretty(&report, out)?;
        }
    }
    Ok(())
}

/// Directories that are one row each for people.
fn directories(gathered: &ByPath, paths: Paths, task: &UseTask, read: &Session<'_>) -> Vec<DirectoryRow> {
    if paths != Paths::Files || task.ungrouped {
        return Vec::new();
    }
    let reveal = read.reveal();
    let row = |shown: Shown<'_, FileUse>| {
        let mut escaped = Escaped::new();
        let used = &shown.used;
        DirectoryRow {
            host: shown.host.to_owned(),
            directory: reveal.path(shown.key, "directory", &mut escaped),
            files: shown.files,
            file_type: used.file_type().name(),
            opens: used.opens,
            failed: used.failed(),
            failures: failures(&used.failures),
            already_open: used.already_open,
            changes: used.changes,
            failed_changes: used.failed_changes,
            processes: shown.processes(),
            programs: programs(&shown.programs, reveal, &mut escaped),
            first: timestamp(used.span.first),
            last: timestamp(used.span.last),
            escaped,
        }
    };
    gathered.grouped_files().filter(|shown| shown.files > 1).map(row).collect()
}

/// What may become a row for people: of most it is only looked at where they stand.
enum Told<'a> {
    File(Shown<'a, FileUse>),
    Library(Shown<'a, LibraryUse>),
}

impl Told<'_> {
    fn host(&self) -> &str {
        match self {
            Self::File(shown) => shown.host,
            Self::Library(shown) => shown.host,
        }
    }

    fn span(&self) -> Span {
        match self {
            Self::File(shown) => shown.used.span,
            Self::Library(shown) => shown.used.span,
        }
    }

    fn is_guess(&self) -> bool {
        matches!(self, Self::File(shown) if shown.used.is_guess())
    }

    /// Those that were used most come first, those that may be something else last; among equals by path, which is their order
    /// already.
    fn place(&self) -> (bool, Reverse<(u64, u64, u64)>) {
        match self {
            Self::File(shown) => (self.is_guess(), Reverse((shown.used.opens, shown.used.changes, shown.processes()))),
            Self::Library(shown) => {
                let loads = shown.used.loads.saturating_add(shown.used.already_mapped);
                (false, Reverse((shown.processes(), loads, 0)))
            }
        }
    }

    fn row(&self, captures: &[Capture], reveal: Reveal) -> Row {
        match self {
            Self::File(shown) => Row::file(shown, reveal),
            Self::Library(shown) => Row::library(shown, captures, reveal),
        }
    }
}

fn text(
    (task, read): (&UseTask, &Session<'_>),
    gathered: &ByPath,
    why_none: Option<String>,
    paths: Paths,
    paint: Paint,
    out: &mut impl Write,
) -> Result<()> {
    if let Some(why) = why_none {
        writeln!(out, "{why}")?;
        return Ok(());
    }
    let mut told: Vec<Told<'_>> = match paths {
        Paths::Files if task.ungrouped => gathered.files().map(Told::File).collect(),
        Paths::Files => gathered.grouped_files().map(Told::File).collect(),
        Paths::Libraries => gathered.libraries().map(Told::Library).collect(),
    };
    told.sort_by_cached_key(Told::place);
    let day = one_day(told.iter().map(Told::span).flat_map(|span| [span.first, span.last].map(timestamp)));
    let day = day.as_deref();
    let mut hosts: Vec<&str> = told.iter().map(Told::host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    for host in &hosts {
        if hosts.len() > 1 {
            writeln!(out, "{}", paint.heading(&redact::for_people(host.as_bytes(), false)))?;
        }
        let of_host = || told.iter().filter(|told| told.host() == *host);
        let mut table = Table::new(&columns(paths, paint.width));
        let cells = |told: &Told<'_>| {
            let row = told.row(&read.captures, read.reveal());
            fold(paths, paint.width, row.cells(read.reveal(), day))
        };
        of_host().take(TOP).for_each(|told| table.row(cells(told)));
        let mut lines = String::new();
        table.without_idle(&["failed", "changes"]).write(paint, &mut lines);
        and_more(of_host().count().saturating_sub(TOP), "; all are in --format json", &mut lines);
        out.write_all(lines.as_bytes())?;
    }
    if let Some(day) = day {
        writeln!(out, "times of {day}, UTC")?;
    }
    if told.iter().any(Told::is_guess) {
        out.write_all(b"? a guess: other programs use such names too\n")?;
    }
    Ok(())
}

/// The day of all times, if it is one.
fn one_day(mut times: impl Iterator<Item = String>) -> Option<String> {
    let day = times.next()?.get(..10)?.to_owned();
    times.all(|time| time.starts_with(&day)).then_some(day)
}
