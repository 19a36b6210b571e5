//! One folder per command: its arguments in `args.rs`, what it does in `mod.rs`.
//!
//! A room of a command has `Args`, which clap reads and `check` makes a `Task` of, and `run`.

mod algorithms;
mod cbom;
mod certs;
mod check;
mod coverage;
mod diff;
mod events;
mod export;
mod extract;
mod files;
mod info;
mod keys;
mod libs;
mod profile;
mod readiness;
mod report;
mod schema;
mod snapshot;
mod ssh;
mod tls;
mod verify;
mod version;
mod wire;

use crate::cli::console::{self, Console};
use crate::cli::exit::Outcome;
use crate::cli::{GlobalArgs, Globals, progress};
use anyhow::{Context, Result};
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;

/// Commands, in the order of the help, with their rooms.
macro_rules! commands {
    ($($name:ident: $room:ident,)*) => {
        #[derive(Debug, Subcommand)]
        enum Command {
            $($name(Box<$room::Args>),)*
        }

        /// The work of a command.
        #[derive(Debug, Clone)]
        pub(crate) enum Task {
            $($name(Box<$room::Task>),)*
        }

        impl Command {
            fn check(self) -> Result<Task, clap::Error> {
                Ok(match self {
                    $(Self::$name(args) => Task::$name(Box::new(args.check()?)),)*
                })
            }
        }

        impl Task {
            fn run(&self, console: Console) -> Result<Outcome> {
                match self {
                    $(Self::$name(task) => $room::run(task, console),)*
                }
            }
        }
    };
}

commands! {
    Events: events,
    Export: export,
    Wire: wire,
    Tls: tls,
    Ssh: ssh,
    Readiness: readiness,
    Certs: certs,
    Keys: keys,
    Algorithms: algorithms,
    Cbom: cbom,
    Check: check,
    Diff: diff,
    Report: report,
    Coverage: coverage,
    Info: info,
    Verify: verify,
    Extract: extract,
    Profile: profile,
    Snapshot: snapshot,
    Files: files,
    Libs: libs,
    Schema: schema,
    Version: version,
}

/// Reads recordings of crypto-trace-capture. Needs no privileges and no eBPF.
#[derive(Debug, Parser)]
#[command(name = "crypto-trace-analyze", version, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 ok, 1 failure, 2 usage, 6 damaged input (verify, extract), 7 a rule is violated, 9 too
little evidence (check, diff), 10 they differ (diff)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    globals: GlobalArgs,
}

/// What to do.
#[derive(Debug, Clone)]
pub struct Job {
    pub(crate) task: Task,
    pub(crate) globals: Globals,
}

/// Parses and checks a command line.
///
/// # Errors
/// What to print, also for `--help` and `--version`.
pub fn parse(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Job, clap::Error> {
    let Cli { command, globals } = Cli::try_parse_from(args)?;
    let task = command.check().map_err(|error| error.format(&mut Cli::command()))?;
    Ok(Job { task, globals: globals.into() })
}

/// The command, for man pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Does the work.
///
/// # Errors
/// When it cannot be done.
pub fn run(job: &Job) -> Result<Outcome> {
    let Globals { verbosity, threads, width, progress } = job.globals;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("analyze-{index}"))
        .build()
        .context("cannot start threads")?;
    width.into_iter().for_each(console::set_width);
    progress::decide(progress, matches!(&job.task, Task::Events(task) if task.shows_events()));
    pool.install(|| job.task.run(Console::new(verbosity)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::Filter;
    use crate::select::time::TimeSpec;
    use crypto_trace_format::record::Kind;

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
            "ssh a -",
            "ssh a -f json-stream",
            "wire a --as-of 2031-01-01",
            "wire - --since -10m",
            "algorithms a -f json-stream",
            "coverage - --since -10m",
            "coverage a --as-of 2031-01-01",
            "coverage a --rules ietf",
            "certs a --expires-within soon",
            "certs a --as-of tomorrow",
            "keys a -F {",
            "tls a --rules bsi",
            "tls a --follow -f json",
            "readiness a -f json-stream",
            "events a --fields nonsense",
            "events a -f summary --without pid",
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
            "extract a",
            "extract -o out",
            "extract - -o out",
            "extract a -o out --follow-children",
            "extract a -o out --privacy some",
            "extract a -o out --type nonsense",
        ] {
            let error = run(bad).expect_err(bad);
            assert_eq!(error.exit_code(), 2, "{bad}");
        }
        assert_eq!(run("--help").expect_err("help").exit_code(), 0);
    }

    #[test]
    fn what_people_write_is_understood_or_answered() {
        let told = |args: &str| run(args).expect_err(args).to_string();
        assert!(told("events x --type tls").contains("did you mean tls_handshake?"));
        assert!(told("events x --type file_opne").contains("did you mean file_open?"));
        assert!(told("events x --uid alice").contains("only root"));
        assert!(told("tls x --as-of tomorrow").contains("2031-01-01"));
        assert!(told("events x --since tomorrow").contains("2026-11-22 (its beginning, UTC)"));
        assert_eq!(run("files x -w 80").expect("valid").globals.width, Some(80));
        assert!(run("profile x -f json").is_ok() && run("snapshot x -f json").is_ok() && run("version").is_ok());
    }
}
