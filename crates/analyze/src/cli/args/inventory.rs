//! Arguments of `profile`, `snapshot`, `files` and `libs`.

use super::follow::{self, FollowArgs};
use super::input::{InputArgs, input};
use super::values::{glob, not_empty};
use super::{Request, WhoArgs, globs, usage, who};
use crate::select::time::TimeSpec;
use crate::select::{Filter, Outcome};
use clap::error::ErrorKind;
use clap::{ArgAction, Args, ValueEnum};
use crypto_trace_format::record::{
    ApiCall, FileChange, FileOpen, Kind, LibLoad, ProcessExec, ProcessExit, ProcessFork, ProcessInfo, TlsHello,
};
use std::path::PathBuf;

/// Tell what was used, and by whom.
#[derive(Debug, Clone)]
pub struct InventoryTask {
    /// What to tell.
    pub report: InventoryReport,
    /// What to count, and where to.
    pub request: Request,
    /// How to show it.
    pub style: Style,
    /// Show what is new as it comes.
    pub follow: bool,
    /// Show each file of a directory of which many were opened.
    pub ungrouped: bool,
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InventoryReport {
    /// Everything about processes.
    Profile,
    /// What is there at a moment.
    Snapshot,
    /// Files, whoever opened them.
    Files,
    /// Libraries, whoever mapped them.
    Libs,
}

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One document, indented.
    JsonPretty,
    /// One JSON object per line.
    JsonStream,
    /// One JSON array, one object per line.
    JsonArray,
    /// For people.
    Text,
}

/// How documents are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DocumentFormat {
    /// One document, indented; an array of them when there are several
    #[value(alias = "json")]
    JsonPretty,
    /// One JSON object per line
    JsonStream,
    /// One JSON array, one object per line
    JsonArray,
    /// For people
    #[value(alias = "text")]
    Summary,
}

/// How tables are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TableFormat {
    /// For people
    #[value(alias = "summary")]
    Text,
    /// One document, indented
    #[value(alias = "json-pretty")]
    Json,
    /// One row per line
    JsonStream,
    /// One JSON array, one row per line
    JsonArray,
}

impl From<DocumentFormat> for Style {
    fn from(format: DocumentFormat) -> Self {
        match format {
            DocumentFormat::JsonPretty => Self::JsonPretty,
            DocumentFormat::JsonStream => Self::JsonStream,
            DocumentFormat::JsonArray => Self::JsonArray,
            DocumentFormat::Summary => Self::Text,
        }
    }
}

impl From<TableFormat> for Style {
    fn from(format: TableFormat) -> Self {
        match format {
            TableFormat::Text => Self::Text,
            TableFormat::Json => Self::JsonPretty,
            TableFormat::JsonStream => Self::JsonStream,
            TableFormat::JsonArray => Self::JsonArray,
        }
    }
}

/// What every report takes.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    input: InputArgs,

    /// Write to FILE instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show names of home directories, and secrets in command lines
    #[arg(long)]
    no_redact: bool,

    #[command(flatten)]
    who: WhoArgs,
}

#[derive(Debug, Args)]
pub(super) struct ProfileArgs {
    /// How to show it
    #[arg(short, long, value_enum, default_value = "json-pretty", value_name = "FORMAT")]
    format: DocumentFormat,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(super) struct SnapshotArgs {
    /// How to show it
    #[arg(short, long, value_enum, default_value = "json-pretty", value_name = "FORMAT")]
    format: DocumentFormat,

    /// The moment: 2026-11-22T10:30:45Z, 10:30 (UTC), -10m (before the capture's end) [default: the capture's end]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<TimeSpec>,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(super) struct FilesArgs {
    /// How to show it
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: TableFormat,

    #[command(flatten)]
    follow: FollowArgs,

    /// Show each of the certificates of a directory of which many were opened, rather than the directory once
    #[arg(long)]
    ungrouped: bool,

    #[command(flatten)]
    common: Common,

    /// Glob for the file: without a slash its name in any directory, with one the whole path; {pem,crt} works
    #[arg(short = 'F', long = "file", value_name = "GLOB", action = ArgAction::Append, value_parser = glob)]
    #[arg(help_heading = "Filters (all must hold; one given several times: any)")]
    files: Vec<String>,

    /// Only opens that succeeded, or that failed
    #[arg(long, value_enum, value_name = "RESULT")]
    #[arg(help_heading = "Filters (all must hold; one given several times: any)")]
    result: Option<Outcome>,
}

#[derive(Debug, Args)]
pub(super) struct LibsArgs {
    /// How to show it
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: TableFormat,

    #[command(flatten)]
    follow: FollowArgs,

    #[command(flatten)]
    common: Common,

    /// Part of the library's file name (libssl) or of its name (OpenSSL)
    #[arg(short, long = "library", value_name = "NAME", action = ArgAction::Append, value_parser = not_empty)]
    #[arg(help_heading = "Filters (all must hold; one given several times: any)")]
    libraries: Vec<String>,

    /// Glob for the library's path
    #[arg(short = 'F', long = "file", value_name = "GLOB", action = ArgAction::Append, value_parser = glob)]
    #[arg(help_heading = "Filters (all must hold; one given several times: any)")]
    files: Vec<String>,
}

/// Kinds that tell of processes, and what they did.
const OF_PROCESSES: [Kind; 9] = [
    ProcessExec::KIND,
    ProcessFork::KIND,
    ProcessExit::KIND,
    FileOpen::KIND,
    FileChange::KIND,
    LibLoad::KIND,
    TlsHello::KIND,
    ApiCall::KIND,
    ProcessInfo::KIND,
];

pub(super) fn profile(args: ProfileArgs) -> Result<InventoryTask, clap::Error> {
    let narrowed = Filter { kinds: OF_PROCESSES.to_vec(), ..Filter::default() };
    args.common.task(InventoryReport::Profile, args.format.into(), narrowed)
}

pub(super) fn snapshot(args: SnapshotArgs) -> Result<InventoryTask, clap::Error> {
    if args.common.who.since.is_some() || args.common.who.until.is_some() {
        let message = "a snapshot is of a moment: give --at TIME, not --since or --until";
        return Err(usage(ErrorKind::ArgumentConflict, message));
    }
    let kinds =
        OF_PROCESSES.iter().copied().filter(|kind| ![TlsHello::KIND, FileChange::KIND].contains(kind)).collect();
    let narrowed = Filter { kinds, until: args.at, ..Filter::default() };
    args.common.task(InventoryReport::Snapshot, args.format.into(), narrowed)
}

pub(super) fn files(args: FilesArgs) -> Result<InventoryTask, clap::Error> {
    let files = if args.files.is_empty() { None } else { Some(globs(&args.files)?) };
    let narrowed =
        Filter { files, outcome: args.result, kinds: vec![FileOpen::KIND, FileChange::KIND], ..Filter::default() };
    let task = args.common.task(InventoryReport::Files, args.format.into(), narrowed)?;
    let task = InventoryTask { ungrouped: args.ungrouped, ..task };
    following(task, &args.follow)
}

pub(super) fn libs(args: LibsArgs) -> Result<InventoryTask, clap::Error> {
    let files = if args.files.is_empty() { None } else { Some(globs(&args.files)?) };
    let kinds = vec![LibLoad::KIND];
    let narrowed = Filter { files, libraries: args.libraries, kinds, ..Filter::default() };
    let task = args.common.task(InventoryReport::Libs, args.format.into(), narrowed)?;
    following(task, &args.follow)
}

impl Common {
    /// The task, with a filter by what; by whom is among these arguments.
    fn task(self, report: InventoryReport, style: Style, narrowed: Filter) -> Result<InventoryTask, clap::Error> {
        let base = who(self.who)?;
        let until = narrowed.until.or(base.until);
        let Filter { files, libraries, kinds, outcome, .. } = narrowed;
        let filter = Filter { files, libraries, kinds, outcome, until, ..base };
        let input = input(self.input, &filter)?;
        let request = Request { input, filter, output: self.output, redact: !self.no_redact };
        Ok(InventoryTask { report, request, style, follow: false, ungrouped: false })
    }
}

fn following(task: InventoryTask, args: &FollowArgs) -> Result<InventoryTask, clap::Error> {
    if args.follow && !matches!(task.style, Style::Text | Style::JsonStream) {
        let message = "--follow goes on for ever: give --format text or json-stream";
        return Err(usage(ErrorKind::ArgumentConflict, message));
    }
    let Request { input, filter, .. } = task.request;
    let input = follow::input(args, input, &filter)?;
    Ok(InventoryTask { follow: args.follow, request: Request { input, filter, ..task.request }, ..task })
}
