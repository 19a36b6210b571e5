//! The command line: the groups of arguments that commands flatten, what goes to standard error, and how a run ends.
//!
//! Arguments are checked here and in the `args.rs` of each command, without side effects.

pub mod console;
pub mod exit;
pub(crate) mod follow;
pub(crate) mod input;
pub(crate) mod judged;
pub(crate) mod output;
pub mod progress;
pub(crate) mod uses;
pub(crate) mod values;
pub(crate) mod which;
pub(crate) mod who;

pub(crate) use follow::FollowArgs;
pub(crate) use input::{Input, InputArgs, SegmentArgs, Segments};
pub(crate) use output::{DocumentFormat, LiveFormat, ReportFormat, Style, TableFormat};
pub(crate) use who::WhoArgs;

use crate::select::Filter;
use clap::Args;
use clap::error::ErrorKind;
use std::path::PathBuf;

/// What every command that counts or shows events is asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What to read.
    pub input: Input,
    /// What of it.
    pub filter: Filter,
    /// Where to; stdout when `None`.
    pub output: Option<PathBuf>,
    /// Hide home directories, and secrets.
    pub redact: bool,
}

/// Flags of all commands.
#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// Print counts to stderr at the end
    #[arg(short, long, global = true)]
    verbose: bool,

    /// Print only errors, loss and damage to stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Number of threads [default: one per CPU]. The output does not depend on it
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// Maximum width of tables in columns [default: that of the terminal; elsewhere as wide as needed]
    #[arg(short, long, global = true, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(40..))]
    width: Option<u16>,

    /// Show the progress of long work on stderr
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    progress: progress::When,
}

/// What they say.
#[derive(Debug, Clone)]
pub struct Globals {
    /// How much to say on stderr.
    pub verbosity: Verbosity,
    /// Threads; 0 for as many as there are CPUs.
    pub threads: usize,
    /// Columns that tables may take; those of the terminal when `None`.
    pub width: Option<u16>,
    /// Whether to show how far it is.
    pub progress: progress::When,
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

impl From<GlobalArgs> for Globals {
    fn from(args: GlobalArgs) -> Self {
        let verbosity = match (args.quiet, args.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        let threads = args.threads.map_or(0, usize::from);
        Self { verbosity, threads, width: args.width, progress: args.progress }
    }
}

/// What is wrong with a command line; the usage is added to it where the command is known.
pub(crate) fn usage(kind: ErrorKind, message: &str) -> clap::Error {
    clap::Error::raw(kind, message)
}
