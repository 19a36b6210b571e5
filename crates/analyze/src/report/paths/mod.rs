//! Tables of `files` and `libs`: one row for each path, with the programs that used it.

mod all;

use crate::capture::Capture;
use crate::cli::Style;
use crate::cli::console::{Console, Output};
use crate::cli::exit::Outcome;
use crate::cli::uses::UseTask;
use crate::count::files::FileUse;
use crate::count::libraries::LibraryUse;
use crate::count::paths::{ByPath, ProgramUse, Shown, library_of};
use crate::read::faults::FaultLog;
use crate::read::{Fold, LiveBatch, LiveSink, Plan, Tally};
use crate::report::document::{self, Each, Escaped, OUT_BYTES, Reveal};
use crate::report::parts::{Failures, LibraryPart, failures, failures_in_short, second};
use crate::report::session::Session;
use crate::words::redact;
use crate::words::text::{Align, Table, grouped};
use crate::words::timestamp::timestamp;
use anyhow::Result;
use crypto_trace_format::catalog::{Confidence, FileType, JudgedBy};
use serde::Serialize;
use std::collections::HashMap;
use std::io::{self, BufWriter, Write};

/// Programs that are named in a row for people.
const TOP_PROGRAMS: usize = 3;

/// Files, or libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paths {
    Files,
    Libraries,
}

pub(crate) fn run(task: &UseTask, paths: Paths, console: Console) -> Result<Outcome> {
    let (mut session, mut out) = Session::begin(&task.request, console)?;
    if task.follow {
        // What is new or has changed is shown as it comes.
        session.fold(&mut Following::begin(task, paths, out)?)?;
    } else {
        let mut gathered = ByPath::default();
        session.fold(&mut gathered)?;
        let paint = out.paint();
        let mut buffered = BufWriter::with_capacity(OUT_BYTES, &mut out);
        all::write((task, &session), &gathered, paths, paint, &mut buffered)?;
        buffered.flush()?;
    }
    session.finish("counted")
}

/// Version of the document: a member that is added does not change it, one that goes or means something else does.
const SCHEMA_VERSION: u32 = 1;

/// Everything that was gathered.
#[derive(Serialize)]
#[serde(bound = "")]
struct Report<I: Iterator<Item = Row>> {
    schema_version: u32,
    from: Option<String>,
    to: Option<String>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_none: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Each<I>>,
    /// Directories of which many files were opened: each file is in `files`, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    directories: Vec<DirectoryRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    libraries: Option<Each<I>>,
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
    /// What libraries were asked to load it as.
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

    /// Rows, made one by one.
    fn rows<'a>(
        self,
        gathered: &'a ByPath,
        captures: &'a [Capture],
        reveal: Reveal,
    ) -> Box<dyn Iterator<Item = Row> + 'a> {
        match self {
            Self::Files => Box::new(gathered.files().map(move |shown| Row::file(&shown, reveal))),
            Self::Libraries => Box::new(gathered.libraries().map(move |shown| Row::library(&shown, captures, reveal))),
        }
    }

    /// Whether there are any.
    fn any(self, gathered: &ByPath) -> bool {
        match self {
            Self::Files => gathered.has_files(),
            Self::Libraries => gathered.has_libraries(),
        }
    }

    /// Rows that may have changed: what a library reports about itself may come at any time, so all of them.
    fn changed<'a>(
        self,
        gathered: &'a ByPath,
        captures: &'a [Capture],
        reveal: Reveal,
    ) -> Box<dyn Iterator<Item = Row> + 'a> {
        match self {
            Self::Files => Box::new(gathered.changed_files().map(move |shown| Row::file(&shown, reveal))),
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
}

/// Date and time; only the time when it is of `day`.
fn moment(time: &str, day: Option<&str>) -> String {
    let text = second(time);
    let of_day = day.and_then(|day| text.strip_prefix(day)).map(|time| time.trim_start().to_owned());
    of_day.unwrap_or(text)
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

/// Shows what is new or has changed each time that something comes.
struct Following {
    gathered: ByPath,
    paths: Paths,
    reveal: Reveal,
    json: bool,
    out: Output,
    shown: Lines,
}

impl Following {
    /// Begins the output.
    fn begin(task: &UseTask, paths: Paths, mut out: Output) -> io::Result<Self> {
        let json = task.style == Style::JsonStream;
        if !json {
            let mut text = String::new();
            Table::new(&followed(paths, out.width)).write(out.paint(), &mut text);
            out.write_all(text.as_bytes())?;
        }
        let reveal = Reveal { redact: task.request.redact };
        Ok(Self { gathered: ByPath::following(), paths, reveal, json, out, shown: HashMap::new() })
    }
}

/// Lines of libraries, by host, path, device and inode.
type Lines = HashMap<(String, String, String, u64), String>;

/// Whether a line says what was said last of the same library.
fn is_known(shown: &mut Lines, row: &Row, line: &str) -> bool {
    let Row::Library(row) = row else { return false };
    let key = (row.host.clone(), row.library.path.clone(), row.device.clone(), row.inode);
    match shown.get_mut(&key) {
        Some(known) if known == line => return true,
        Some(known) => line.clone_into(known),
        None => {
            shown.insert(key, line.to_owned());
        }
    }
    false
}

impl LiveSink for Following {
    fn batch(&mut self, batch: LiveBatch<'_>) -> io::Result<()> {
        let captures = batch.captures;
        self.gathered.batch(batch)?;
        let mut text = String::new();
        for row in self.paths.changed(&self.gathered, captures, self.reveal) {
            let mut line = String::new();
            if self.json {
                line = document::line(&row)? + "\n";
            } else {
                let mut table = Table::new(&followed(self.paths, self.out.width));
                table.row(fold(self.paths, self.out.width, row.cells(self.reveal, None)));
                table.write_rows(self.out.paint(), &mut line);
            }
            if !is_known(&mut self.shown, &row, &line) {
                text.push_str(&line);
            }
        }
        self.gathered.forget_changes();
        self.out.write_all(text.as_bytes())
    }
}

impl Fold for Following {
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) -> io::Result<()> {
        self.gathered.read(plan, faults)
    }

    fn tally(&self) -> Tally {
        self.gathered.tally()
    }

    fn left_out(&self) -> Option<String> {
        self.gathered.left_out()
    }
}
