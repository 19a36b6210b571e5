//! `files` and `libs`: one row for each path, with the programs that used it.

use super::inventory::Read;
use super::parts::{Failures, LibraryPart, failures, failures_in_short, second};
use crate::args::{InventoryTask, Style};
use crate::capture::Capture;
use crate::console::Output;
use crate::faults::FaultLog;
use crate::filter::Filter;
use crate::inventory::{ByPath, FileUse, Gather, LibraryUse, ProgramUse, Shown, library_of};
use crate::pipeline::{LiveBlock, LiveSink, Plan, Tally};
use crate::redact;
use crate::render::{self, Escaped, Reveal};
use crate::text::{Align, Paint, Table, grouped};
use crate::timestamp::timestamp;
use anyhow::Result;
use crypto_trace_format::catalog::{Confidence, FileType, JudgedBy};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Rows that are shown to people.
const TOP: usize = 200;

/// Programs that are named in a row for people.
const TOP_PROGRAMS: usize = 3;

/// Files, or libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paths {
    Files,
    Libraries,
}

/// Everything that was gathered.
#[derive(Serialize)]
struct Report<'a> {
    from: Option<String>,
    to: Option<String>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_none: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<&'a [Row]>,
    /// Directories of which many files were opened: each file is in `files`, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    directories: Vec<DirectoryRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    libraries: Option<&'a [Row]>,
    missing: Vec<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Row {
    File(Box<FileRow>),
    Library(Box<LibraryRow>),
}

#[derive(Serialize)]
struct FileRow {
    host: String,
    path: String,
    /// How many it is, where it stands for a directory.
    #[serde(skip)]
    files: u64,
    #[serde(rename = "type")]
    file_type: &'static str,
    type_confidence: Option<&'static str>,
    type_by: Option<&'static str>,
    /// What libraries were told that it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    loaded_as: Vec<&'static str>,
    opens: u64,
    failed: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<Failures>,
    /// Found open already when the capture looked; no opens.
    already_open: u64,
    /// Renames, links, removals, changes of mode and owner.
    changes: u64,
    failed_changes: u64,
    mode: &'static str,
    processes: u64,
    programs: Vec<Program>,
    first: String,
    last: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    escaped: Escaped,
}

/// What many files of one directory add up to.
#[derive(Serialize)]
struct DirectoryRow {
    host: String,
    directory: String,
    files: u64,
    #[serde(rename = "type")]
    file_type: &'static str,
    opens: u64,
    failed: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<Failures>,
    already_open: u64,
    changes: u64,
    failed_changes: u64,
    processes: u64,
    programs: Vec<Program>,
    first: String,
    last: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    escaped: Escaped,
}

#[derive(Serialize)]
struct LibraryRow {
    host: String,
    #[serde(flatten)]
    library: LibraryPart,
    /// Device and inode: a library that is replaced is another one.
    device: String,
    inode: u64,
    loads: u64,
    /// Found mapped already when the capture looked; no loads.
    already_mapped: u64,
    processes: u64,
    programs: Vec<Program>,
    first: String,
    last: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    escaped: Escaped,
}

/// One program that used it.
#[derive(Serialize)]
struct Program {
    program: String,
    processes: u64,
    uses: u64,
    #[serde(skip_serializing_if = "is_zero")]
    failed: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl FileRow {
    fn is_guess(&self) -> bool {
        self.type_confidence == Some(Confidence::Low.name())
    }

    /// `/etc/a.key`, `/etc/ssl/certs: 291 files`
    fn shown_path(&self, reveal: Reveal) -> String {
        let path = redact::for_people(self.path.as_bytes(), reveal.redact);
        if self.files == 1 { path } else { format!("{path}: {} files", grouped(self.files)) }
    }

    /// A guess has a mark.
    fn shown_type(&self) -> String {
        if self.loaded_as.len() > 1 {
            return self.loaded_as.join(", ");
        }
        format!("{}{}", self.file_type, if self.is_guess() { "?" } else { "" })
    }
}

impl Paths {
    /// What is counted, as in "no opens of files".
    fn what(self) -> &'static str {
        match self {
            Self::Files => "opens of crypto files",
            Self::Libraries => "crypto libraries",
        }
    }

    fn rows(self, gathered: &ByPath, captures: &[Capture], reveal: Reveal) -> Vec<Row> {
        match self {
            Self::Files => gathered.files().map(|shown| Row::file(&shown, reveal)).collect(),
            Self::Libraries => gathered.libraries().map(|shown| Row::library(&shown, captures, reveal)).collect(),
        }
    }

    /// What is shown to people: directories of which many files were opened are one row each, unless asked not to.
    fn grouped(self, gathered: &ByPath, read: &Read<'_>) -> Option<Vec<Row>> {
        let grouped = self == Self::Files && !read.task.ungrouped;
        grouped.then(|| gathered.grouped_files().map(|shown| Row::file(&shown, read.reveal())).collect())
    }

    /// Rows that may have changed: what a library tells of itself may come at any time, so all of them.
    fn changed(self, gathered: &ByPath, captures: &[Capture], reveal: Reveal) -> Vec<Row> {
        match self {
            Self::Files => gathered.changed_files().map(|shown| Row::file(&shown, reveal)).collect(),
            Self::Libraries => self.rows(gathered, captures, reveal),
        }
    }
}

fn programs(of: &[(&[u8], ProgramUse)], reveal: Reveal, escaped: &mut Escaped) -> Vec<Program> {
    let one = |(name, used): &(&[u8], ProgramUse)| Program {
        program: reveal.path(name, "program", escaped),
        processes: used.processes,
        uses: used.uses,
        failed: used.failed,
    };
    of.iter().map(one).collect()
}

impl Row {
    fn file(shown: &Shown<'_, FileUse>, reveal: Reveal) -> Self {
        let mut escaped = Escaped::new();
        let used = &shown.used;
        Self::File(Box::new(FileRow {
            host: shown.host.to_owned(),
            path: reveal.path(shown.key, "path", &mut escaped),
            files: shown.files,
            file_type: used.file_type().name(),
            type_confidence: used.confidence().map(Confidence::name),
            type_by: used.known_by().map(JudgedBy::name),
            loaded_as: used.uses.types().map(FileType::name).collect(),
            opens: used.opens,
            failed: used.failed(),
            failures: failures(&used.failures),
            already_open: used.already_open,
            changes: used.changes,
            failed_changes: used.failed_changes,
            mode: used.mode(),
            processes: shown.processes(),
            programs: programs(&shown.programs, reveal, &mut escaped),
            first: timestamp(used.span.first),
            last: timestamp(used.span.last),
            escaped,
        }))
    }

    fn library(shown: &Shown<'_, LibraryUse>, captures: &[Capture], reveal: Reveal) -> Self {
        let mut escaped = Escaped::new();
        let (used, (id, path)) = (&shown.used, library_of(shown.key));
        // Of several captures of a host, the one that looked into it.
        let capture =
            captures.iter().find(|capture| capture.meta.host == shown.host && capture.libraries.get(id).is_some());
        Self::Library(Box::new(LibraryRow {
            host: shown.host.to_owned(),
            library: LibraryPart::new(capture, id, path, reveal, &mut escaped),
            device: format!("{}:{}", id.0 >> 20, id.0 & 0xf_ffff),
            inode: id.1,
            loads: used.loads,
            already_mapped: used.already_mapped,
            processes: shown.processes(),
            programs: programs(&shown.programs, reveal, &mut escaped),
            first: timestamp(used.span.first),
            last: timestamp(used.span.last),
            escaped,
        }))
    }

    /// When it was used first and last.
    fn span(&self) -> [&str; 2] {
        match self {
            Self::File(row) => [&row.first, &row.last],
            Self::Library(row) => [&row.first, &row.last],
        }
    }

    /// For people, below [`columns`]. `day`: the one that all rows are of, and that need not be told in each.
    fn cells(&self, reveal: Reveal, day: Option<&str>) -> Vec<String> {
        let shown = |text: &str| redact::for_people(text.as_bytes(), reveal.redact);
        match self {
            Self::File(row) => {
                vec![
                    grouped(row.opens),
                    grouped(row.failed),
                    grouped(row.changes),
                    grouped(row.processes),
                    row.shown_type(),
                    row.mode.to_owned(),
                    moment(&row.first, day),
                    moment(&row.last, day),
                    row.shown_path(reveal),
                    [few(&row.programs, reveal), failures_in_short(&row.failures)].join("  ").trim_end().to_owned(),
                ]
            }
            Self::Library(row) => {
                vec![
                    grouped(row.loads + row.already_mapped),
                    grouped(row.processes),
                    row.library.shown_name(shown),
                    shown(row.library.shown_version()),
                    moment(&row.first, day),
                    moment(&row.last, day),
                    shown(&row.library.path),
                    few(&row.programs, reveal),
                ]
            }
        }
    }

    fn host(&self) -> &str {
        match self {
            Self::File(row) => &row.host,
            Self::Library(row) => &row.host,
        }
    }
}

/// Date and time; only the time when it is of `day`.
fn moment(time: &str, day: Option<&str>) -> String {
    let text = second(time);
    let of_day = day.and_then(|day| text.strip_prefix(day)).map(|time| time.trim_start().to_owned());
    of_day.unwrap_or(text)
}

/// The day of all times, if it is one.
fn one_day<'a>(mut times: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let day = times.next()?.get(..10)?;
    times.all(|time| time.starts_with(day)).then_some(day)
}

fn few(programs: &[Program], reveal: Reveal) -> String {
    let names = programs.iter().take(TOP_PROGRAMS);
    let mut text: Vec<String> =
        names.map(|program| redact::for_people(program.program.as_bytes(), reveal.redact)).collect();
    if programs.len() > TOP_PROGRAMS {
        text.push(format!("and {} more", programs.len() - TOP_PROGRAMS));
    }
    text.join(", ")
}

/// Columns that are left out where there is less room than [`ROOMY`]: names of files tell more than they do.
fn dispensable(paths: Paths) -> &'static [usize] {
    match paths {
        Paths::Files => &[3, 5, 6],
        Paths::Libraries => &[4],
    }
}

/// Columns of a terminal that have room for all columns of the table.
const ROOMY: usize = 110;

/// What is shown of a row in a line of `width`.
fn fold<T>(paths: Paths, width: usize, cells: Vec<T>) -> Vec<T> {
    let left_out = if width < ROOMY { dispensable(paths) } else { &[] };
    cells.into_iter().enumerate().filter(|(at, _)| !left_out.contains(at)).map(|(_, cell)| cell).collect()
}

fn columns(paths: Paths, width: usize) -> Vec<(&'static str, Align)> {
    use Align::{Left, Right};
    let all = match paths {
        Paths::Files => vec![
            ("opens", Right),
            ("failed", Right),
            ("changes", Right),
            ("processes", Right),
            ("type", Left),
            ("mode", Left),
            ("first (UTC)", Left),
            ("last (UTC)", Left),
            ("file", Left),
            ("programs", Left),
        ],
        Paths::Libraries => vec![
            ("loads", Right),
            ("processes", Right),
            ("library", Left),
            ("version", Left),
            ("first (UTC)", Left),
            ("last (UTC)", Left),
            ("file", Left),
            ("programs", Left),
        ],
    };
    fold(paths, width, all)
}

/// All rows, in the style that was asked for.
pub(super) fn render(read: &Read<'_>, gathered: &ByPath, paths: Paths, paint: Paint) -> Result<String> {
    let reveal = read.reveal();
    let rows = paths.rows(gathered, &read.captures, reveal);
    let why_none = rows.is_empty().then(|| read.why_none(paths.what()));
    let lines = || rows.iter().map(render::line).collect::<Result<Vec<_>, _>>();
    Ok(match read.task.style {
        Style::Text => {
            let rows = paths.grouped(gathered, read).unwrap_or(rows);
            text(read, rows, why_none, paths, paint)
        }
        Style::JsonStream => lines()?.into_iter().map(|line| line + "\n").collect(),
        Style::JsonArray if rows.is_empty() => "[]\n".to_owned(),
        Style::JsonArray => format!("[\n{}\n]\n", lines()?.join(",\n")),
        Style::JsonPretty => {
            let covered = (!read.captures.is_empty()).then(|| read.whole_window());
            let report = Report {
                from: covered.map(|(from, _)| timestamp(from)),
                to: covered.map(|(_, to)| timestamp(to)),
                why_none,
                files: (paths == Paths::Files).then_some(&rows[..]),
                directories: directories(gathered, paths, read),
                libraries: (paths == Paths::Libraries).then_some(&rows[..]),
                missing: read.gaps(None),
            };
            render::pretty(&report)? + "\n"
        }
    })
}

/// Directories that are one row each for people.
fn directories(gathered: &ByPath, paths: Paths, read: &Read<'_>) -> Vec<DirectoryRow> {
    if paths != Paths::Files || read.task.ungrouped {
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

fn text(read: &Read<'_>, mut rows: Vec<Row>, why_none: Option<String>, paths: Paths, paint: Paint) -> String {
    let mut out = String::new();
    if let Some(why) = why_none {
        let _ = writeln!(out, "{why}");
        return out;
    }
    // Those that were used most come first, those that may be something else last; among equals by path, which is their order
    // already.
    rows.sort_by_key(|row| match row {
        Row::File(row) => (row.is_guess(), Reverse((row.opens, row.changes, row.processes))),
        Row::Library(row) => (false, Reverse((row.processes, row.loads + row.already_mapped, 0))),
    });
    let day = one_day(rows.iter().flat_map(Row::span));
    let any_guess = rows.iter().any(|row| matches!(row, Row::File(row) if row.is_guess()));
    let mut hosts: Vec<&str> = rows.iter().map(Row::host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    for host in &hosts {
        if hosts.len() > 1 {
            let _ = writeln!(out, "{}", paint.heading(&redact::for_people(host.as_bytes(), false)));
        }
        let of_host = || rows.iter().filter(|row| row.host() == *host);
        let mut table = Table::new(&columns(paths, paint.width));
        let cells = |row: &Row| fold(paths, paint.width, row.cells(read.reveal(), day));
        of_host().take(TOP).for_each(|row| table.row(cells(row)));
        table.without_idle(&["failed", "changes"]).write(paint, &mut out);
        let more = of_host().count().saturating_sub(TOP);
        if more > 0 {
            let _ = writeln!(out, "  and {} more; all are in --format json", grouped(more as u64));
        }
    }
    if let Some(day) = day {
        let _ = writeln!(out, "times of {day}, UTC");
    }
    if any_guess {
        out.push_str("? a guess: other programs use such names, too\n");
    }
    out
}

/// Columns of rows that are shown one by one, as they come: as wide as what most rows hold, so that they stand below each other.
fn followed(paths: Paths, width: usize) -> Vec<(&'static str, Align)> {
    let wide = |(name, align): (&'static str, Align)| {
        let name = match name {
            "first (UTC)" => "first (UTC)        ",
            "last (UTC)" => "last (UTC)         ",
            "type" => "type       ",
            "mode" => "mode      ",
            "library" => "library   ",
            "version" => "version   ",
            other => other,
        };
        (name, align)
    };
    columns(paths, width).into_iter().map(wide).collect()
}

fn paint(out: &Output) -> Paint {
    Paint { colour: out.colour, width: out.width }
}

/// Shows what is new or has changed each time that something comes.
pub(super) struct Following {
    gathered: ByPath,
    paths: Paths,
    reveal: Reveal,
    json: bool,
    out: Output,
    /// Lines of libraries, by host, path, device and inode.
    shown: HashMap<(String, String, String, u64), String>,
}

impl Following {
    /// Opens the output.
    pub fn begin(task: &InventoryTask, paths: Paths) -> Result<Self> {
        let mut out = Output::open(task.output.as_deref())?;
        let json = task.style == Style::JsonStream;
        if !json {
            let mut text = String::new();
            Table::new(&followed(paths, out.width)).write(paint(&out), &mut text);
            out.write_all(text.as_bytes())?;
        }
        let reveal = Reveal { redact: task.redact };
        Ok(Self { gathered: ByPath::default(), paths, reveal, json, out, shown: HashMap::new() })
    }

    /// Whether a line says what was said last of the same library.
    fn is_known(&mut self, row: &Row, line: &str) -> bool {
        let Row::Library(row) = row else { return false };
        let key = (row.host.clone(), row.library.path.clone(), row.device.clone(), row.inode);
        match self.shown.get_mut(&key) {
            Some(known) if known == line => return true,
            Some(known) => line.clone_into(known),
            None => {
                self.shown.insert(key, line.to_owned());
            }
        }
        false
    }
}

impl LiveSink for Following {
    fn batch(
        &mut self,
        blocks: Vec<LiveBlock>,
        captures: &[Capture],
        filter: &Filter,
        faults: &mut FaultLog,
    ) -> io::Result<()> {
        self.gathered.batch(blocks, captures, filter, faults)?;
        let mut text = String::new();
        for row in self.paths.changed(&self.gathered, captures, self.reveal) {
            let mut line = String::new();
            if self.json {
                line = render::line(&row)? + "\n";
            } else {
                let mut table = Table::new(&followed(self.paths, self.out.width));
                table.row(fold(self.paths, self.out.width, row.cells(self.reveal, None)));
                table.write_rows(paint(&self.out), &mut line);
            }
            if !self.is_known(&row, &line) {
                text.push_str(&line);
            }
        }
        self.gathered.forget_changes();
        self.out.write_all(text.as_bytes())
    }
}

impl Gather for Following {
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) {
        self.gathered.read(plan, faults);
    }

    fn tally(&self) -> Tally {
        self.gathered.tally()
    }

    fn refused(&self) -> u64 {
        self.gathered.refused()
    }
}
