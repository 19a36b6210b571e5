//! The command line: parsed and checked here, in one place and without side effects, into a [`Job`] that does the work.

mod examples;
mod follow;
mod input;
mod inventory;
mod survey;
mod values;

pub use follow::{Speed, from_now};
pub use input::Input;
pub use inventory::{InventoryReport, InventoryTask, Style};
pub use survey::{SurveyReport, SurveyTask};

use crate::read::progress;
use crate::select::time::TimeSpec;
use crate::select::{Filter, Globs, Outcome};
use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use crypto_trace_format::record::Kind;
use std::ffi::OsString;
use std::path::PathBuf;
use values::{glob, kind, not_empty, uid};

/// What to do.
#[derive(Debug, Clone)]
pub struct Job {
    /// The work.
    pub task: Task,
    /// How much to say on stderr.
    pub verbosity: Verbosity,
    /// Threads; 0 for as many as there are CPUs.
    pub threads: usize,
    /// Columns that tables may take; those of the terminal when `None`.
    pub width: Option<u16>,
    /// Whether to show how far it is.
    pub progress: progress::When,
}

/// The work.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there is one, made once")]
pub enum Task {
    /// Show events.
    Events(Box<EventsTask>),
    /// Say what a capture is.
    Info(ReportTask),
    /// Check every byte.
    Verify(ReportTask),
    /// Count TLS handshakes.
    Survey(Box<SurveyTask>),
    /// Tell what was used, and by whom.
    Inventory(Box<InventoryTask>),
    /// Print a JSON Schema.
    Schema(SchemaOf),
    /// Print the version.
    Version,
}

/// What every command that counts or shows events is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// What to read.
    pub input: Input,
    /// What of it.
    pub filter: Filter,
    /// Where to; stdout when `None`.
    pub output: Option<PathBuf>,
    /// Hide home directories, and secrets.
    pub redact: bool,
}

/// Show events.
#[derive(Debug, Clone)]
pub struct EventsTask {
    /// Which, and where to.
    pub request: Request,
    /// How to show it.
    pub format: Format,
    /// Show each event when it is due, rather than at once.
    pub speed: Speed,
    /// In the summary, show each file of a directory of which many were opened.
    pub ungrouped: bool,
}

/// Report on files.
#[derive(Debug, Clone)]
pub struct ReportTask {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// Also what is in subdirectories.
    pub recursive: bool,
    /// Hosts; empty means all.
    pub hosts: Vec<String>,
    /// As JSON.
    pub json: bool,
    /// Hide home directories.
    pub redact: bool,
}

/// How much to say on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Only errors, loss and damage.
    Quiet,
    /// Also notes.
    Normal,
    /// Also counts.
    Verbose,
}

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object per line
    JsonStream,
    /// One JSON array, one event per line
    JsonArray,
    /// One JSON array, indented
    JsonPretty,
    /// Counts and tables for people
    Summary,
}

/// What a JSON Schema is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// One event
    Events,
    /// A document of `profile`
    Profile,
    /// A document of `snapshot`
    Snapshot,
    /// The document of `files`
    Files,
    /// The document of `libs`
    Libs,
}

/// How reports are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Reads what crypto-trace-capture recorded. Needs no privileges and no eBPF.
#[derive(Debug, Parser)]
#[command(name = "crypto-trace-analyze", version, max_term_width = 110)]
#[command(after_help = "Exit codes: 0 done, 1 failure, 2 wrong usage, 6 input damaged (verify).")]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Print counts to stderr at the end
    #[arg(short, long, global = true)]
    verbose: bool,

    /// Print only errors, loss and damage to stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Threads to use [default: one per CPU]. Output does not depend on it
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// Columns that lines of tables may take [default: those of the terminal; elsewhere as many as it needs]
    #[arg(short, long, global = true, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(40..))]
    width: Option<u16>,

    /// Show on stderr how far long work is
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    progress: progress::When,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show events, or a summary of them
    #[command(after_help = examples::EVENTS)]
    Events(Box<EventsArgs>),
    /// Count TLS handshakes: versions, suites, key exchange, peers, failures, weak findings, certificates
    #[command(after_help = examples::TLS)]
    Tls(Box<survey::JudgedArgs>),
    /// Tell which algorithms handshakes negotiated and library calls used (not merely offered), and which rules speak of them
    #[command(after_help = examples::ALGORITHMS)]
    Algorithms(Box<survey::JudgedArgs>),
    /// Tell what the capture could see of TLS, and what it could not
    #[command(after_help = examples::COVERAGE)]
    Coverage(Box<survey::SurveyArgs>),
    /// Say what a capture is: host, time, counts, loss, probes, cost
    #[command(after_help = examples::INFO)]
    Info(ReportArgs),
    /// Check every byte of segments; exit code 6 when they are damaged
    #[command(after_help = examples::VERIFY)]
    Verify(ReportArgs),
    /// Tell everything that was recorded of a process: libraries, files, calls, TLS handshakes
    #[command(after_help = examples::PROFILE)]
    Profile(Box<inventory::ProfileArgs>),
    /// Tell which processes have crypto libraries mapped or crypto files open at a moment
    #[command(after_help = examples::SNAPSHOT)]
    Snapshot(Box<inventory::SnapshotArgs>),
    /// Tell which crypto files were opened, how, how often and by which programs
    #[command(after_help = examples::FILES)]
    Files(Box<inventory::FilesArgs>),
    /// Tell which crypto libraries were loaded, which versions, how often and by which programs
    #[command(after_help = examples::LIBS)]
    Libs(Box<inventory::LibsArgs>),
    /// Print the JSON Schema of events, or of a report
    #[command(after_help = examples::SCHEMA)]
    Schema {
        /// Of what
        #[arg(value_enum, default_value = "events", value_name = "WHAT")]
        of: SchemaOf,
    },
    /// Print the version
    Version,
}

#[derive(Debug, Args)]
struct EventsArgs {
    #[command(flatten)]
    input: input::InputArgs,

    /// How to show them
    #[arg(short, long, value_enum, default_value = "json-stream", value_name = "FORMAT")]
    format: Format,

    /// Write to FILE instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show names of home directories, which are hidden as /home/USER and /home/ROOT
    #[arg(long)]
    no_redact: bool,

    /// In the summary, show each of the certificates of a directory of which many were opened
    #[arg(long)]
    ungrouped: bool,

    #[command(flatten)]
    follow: follow::FollowArgs,

    /// Replay in the capture's own time: 1, or faster (10) or slower (0.5); max is at once
    #[arg(long, value_name = "SPEED", value_parser = follow::speed, default_value = "max", conflicts_with = "follow")]
    replay_speed: Speed,

    #[command(flatten)]
    filters: FilterArgs,
}

/// Filters combine with AND; one given several times is OR. Events about the capture itself, such as loss, are held only
/// to --type, --since and --until.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters (all must hold; one given several times: any)")]
struct FilterArgs {
    #[command(flatten)]
    who: WhoArgs,

    /// Glob for the file or library: without a slash its name in any directory, with one the whole path; {pem,crt} works
    #[arg(short = 'F', long = "file", value_name = "GLOB", action = ArgAction::Append, value_parser = glob)]
    files: Vec<String>,

    /// Part of the library's file name (libssl) or of its name (OpenSSL)
    #[arg(short, long = "library", value_name = "NAME", action = ArgAction::Append, value_parser = not_empty)]
    libraries: Vec<String>,

    /// Event types [default: process_exec,process_exit,file_open,file_change,lib_load,tls_handshake,api_call,loss]
    #[arg(long = "type", value_name = "TYPE,…", action = ArgAction::Append, value_delimiter = ',', value_parser = kind)]
    kinds: Vec<Kind>,

    /// What succeeded, or what failed: opens, changes and library calls by their result, exits by their status, TLS handshakes by an alert
    #[arg(long, value_enum, value_name = "RESULT")]
    result: Option<Outcome>,
}

/// Whose events, and from when.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters (all must hold; one given several times: any)")]
struct WhoArgs {
    /// Process id
    #[arg(short, long = "pid", value_name = "PID", action = ArgAction::Append, value_parser = clap::value_parser!(u32).range(1..))]
    pids: Vec<u32>,

    /// Part of the process name (`process`) or of the executable's file name, case-sensitive
    #[arg(short, long = "name", value_name = "NAME", action = ArgAction::Append, value_parser = not_empty)]
    names: Vec<String>,

    /// With --pid or --name: descendants of these processes too
    #[arg(long)]
    follow_children: bool,

    /// Real user id, or root
    #[arg(long = "uid", value_name = "UID", action = ArgAction::Append, value_parser = uid)]
    uids: Vec<u32>,

    /// Part of the cgroup path
    #[arg(long = "cgroup", value_name = "PATH", action = ArgAction::Append, value_parser = not_empty)]
    cgroups: Vec<String>,

    /// Beginning of the container id
    #[arg(long = "container", value_name = "ID", action = ArgAction::Append, value_parser = not_empty)]
    containers: Vec<String>,

    /// Host that was recorded: its name, whole or up to the first dot
    #[arg(long = "host", value_name = "HOST", action = ArgAction::Append, value_parser = not_empty)]
    hosts: Vec<String>,

    /// From this time on: 2026-11-22T10:30:45Z, 2026-11-22, 10:30 (UTC, the last one before the capture's end), 10m (before its end)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<TimeSpec>,

    /// Before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<TimeSpec>,
}

#[derive(Debug, Args)]
struct ReportArgs {
    /// Segments, or directories of segments
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,

    /// Search directories for segments in their subdirectories, too
    #[arg(short, long)]
    recursive: bool,

    /// Only captures of this host: its name, whole or up to the first dot
    #[arg(long = "host", value_name = "HOST", action = ArgAction::Append, value_parser = not_empty)]
    hosts: Vec<String>,

    /// How to show it
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: ReportFormat,

    /// Show names of home directories
    #[arg(long)]
    no_redact: bool,
}

/// Parses and checks a command line.
///
/// # Errors
/// What to print, also for `--help` and `--version`.
pub fn parse(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Job, clap::Error> {
    let cli = Cli::try_parse_from(args)?;
    let verbosity = match (cli.quiet, cli.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let task = match cli.command {
        Command::Events(args) => Task::Events(Box::new(events(*args)?)),
        Command::Tls(args) => Task::Survey(Box::new(args.task(SurveyReport::Tls)?)),
        Command::Algorithms(args) => Task::Survey(Box::new(args.task(SurveyReport::Algorithms)?)),
        Command::Coverage(args) => Task::Survey(Box::new(args.task(SurveyReport::Coverage)?)),
        Command::Info(args) => Task::Info(report(args)?),
        Command::Verify(args) => Task::Verify(report(args)?),
        Command::Profile(args) => Task::Inventory(Box::new(inventory::profile(*args)?)),
        Command::Snapshot(args) => Task::Inventory(Box::new(inventory::snapshot(*args)?)),
        Command::Files(args) => Task::Inventory(Box::new(inventory::files(*args)?)),
        Command::Libs(args) => Task::Inventory(Box::new(inventory::libs(*args)?)),
        Command::Schema { of } => Task::Schema(of),
        Command::Version => Task::Version,
    };
    Ok(Job { task, verbosity, threads: cli.threads.map_or(0, usize::from), width: cli.width, progress: cli.progress })
}

/// The command, for man pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

fn events(args: EventsArgs) -> Result<EventsTask, clap::Error> {
    let filter = filter(args.filters)?;
    let (input, speed) = (input::read_or_follow(args.input, &args.follow, &filter)?, args.replay_speed);
    if speed != Speed::Max && (input == Input::Stdin || args.format == Format::Summary) {
        let message = "--replay-speed shows the events of files one by one: neither of a stream nor as a summary";
        return Err(usage(ErrorKind::ArgumentConflict, message));
    }
    let request = Request { input, filter, output: args.output, redact: !args.no_redact };
    Ok(EventsTask { request, format: args.format, speed, ungrouped: args.ungrouped })
}

fn filter(args: FilterArgs) -> Result<Filter, clap::Error> {
    Ok(Filter {
        files: if args.files.is_empty() { None } else { Some(globs(&args.files)?) },
        libraries: args.libraries,
        kinds: args.kinds,
        outcome: args.result,
        ..who(args.who)?
    })
}

fn globs(globs: &[String]) -> Result<Globs, clap::Error> {
    Globs::new(globs).map_err(|error| usage(ErrorKind::ValueValidation, &error.to_string()))
}

fn who(args: WhoArgs) -> Result<Filter, clap::Error> {
    if args.follow_children && args.pids.is_empty() && args.names.is_empty() {
        return Err(usage(ErrorKind::MissingRequiredArgument, "--follow-children needs --pid or --name"));
    }
    let empty = match (args.since, args.until) {
        (Some(TimeSpec::At(since)), Some(TimeSpec::At(until))) => since >= until,
        (Some(TimeSpec::BeforeEnd(since)), Some(TimeSpec::BeforeEnd(until))) => since <= until,
        // The others depend on the capture's end.
        _ => false,
    };
    if empty {
        return Err(usage(ErrorKind::ValueValidation, "--since is not before --until"));
    }
    Ok(Filter {
        pids: args.pids,
        names: args.names,
        follow_children: args.follow_children,
        uids: args.uids,
        cgroups: args.cgroups,
        containers: args.containers,
        hosts: args.hosts,
        since: args.since,
        until: args.until,
        ..Filter::default()
    })
}

fn report(args: ReportArgs) -> Result<ReportTask, clap::Error> {
    if args.inputs.iter().any(|input| input.as_os_str() == "-") {
        return Err(usage(ErrorKind::ValueValidation, "this reads files and directories, not stdin"));
    }
    let (json, redact) = (args.format == ReportFormat::Json, !args.no_redact);
    Ok(ReportTask { paths: args.inputs, recursive: args.recursive, hosts: args.hosts, json, redact })
}

fn usage(kind: ErrorKind, message: &str) -> clap::Error {
    Cli::command().error(kind, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &str) -> Result<Job, clap::Error> {
        parse(std::iter::once("crypto-trace-analyze").chain(args.split_whitespace()))
    }

    fn filter_of(args: &str) -> Filter {
        match run(args).expect("valid").task {
            Task::Events(task) => task.request.filter,
            other => panic!("not events: {other:?}"),
        }
    }

    #[test]
    fn the_command_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lists_repeat_and_split() {
        let filter = filter_of("events x -p 1 -p 2 --type file_open,lib_load --type loss --since -10m");
        assert_eq!(filter.pids, [1, 2]);
        assert_eq!(filter.kinds, [Kind(4), Kind(5), Kind(17)]);
        assert_eq!(filter.since, Some(TimeSpec::BeforeEnd(600_000_000_000)));
    }

    #[test]
    fn wrong_usage_is_refused() {
        for bad in [
            "",
            "bogus",
            "events --bogus",
            "events a -",
            "events - -",
            "events a --type nonsense",
            "events a --since tomorrow",
            "events a -F {",
            "events a -n=",
            "events a -p 0",
            "events a -p abc",
            "events a -f xml",
            "events a -v -q",
            "events a --follow-children",
            "events - --since -10m",
            "events a --since 2026-11-22T10:00:00Z --until 2026-11-22T09:00:00Z",
            "events a --since 10m --until 1h",
            "events a --threads 0",
            "tls a -",
            "tls a --as-of tomorrow",
            "tls a --type loss",
            "algorithms a -f json-stream",
            "coverage - --since -10m",
            "coverage a --as-of 2031-01-01",
            "coverage a --rules ietf",
            "tls a --rules bsi",
            "events a --host=",
            "events a --follow -r",
            "profile a -f text-ish",
            "profile a -F *.pem",
            "profile - --since -10m",
            "snapshot a --at yesterday",
            "snapshot - --at 10:30",
            "snapshot a --since -10m",
            "snapshot a --at 10:30 --until 10:31",
            "files a b --follow",
            "files a --follow -f json-array",
            "files - --follow -f json",
            "files a -F {",
            "files a -l ssl",
            "libs a -l=",
            "libs a --result ok",
            "schema nonsense",
            "info",
            "info -",
            "verify",
        ] {
            let error = run(bad).expect_err(bad);
            assert_eq!(error.exit_code(), 2, "{bad}");
        }
        assert_eq!(run("--help").expect_err("help").exit_code(), 0);
    }
}
