//! What is read: arguments, and what is made of them.

use crate::cli::output::ReportFormat;
use crate::cli::values::not_empty;
use crate::cli::{follow, usage};
use crate::select::Filter;
use clap::error::ErrorKind;
use clap::{ArgAction, Args};
use std::path::PathBuf;
use std::time::Duration;

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// A stream of segments.
    Stdin,
    /// Files and directories.
    Paths {
        /// As they were named.
        paths: Vec<PathBuf>,
        /// Also what is in subdirectories.
        recursive: bool,
    },
    /// A directory that is being recorded into, from now on, and for this long.
    Follow {
        /// The directory.
        directory: PathBuf,
        /// For ever when `None`.
        duration: Option<Duration>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// Segments, directories of segments, or - for a stream on stdin [default: -]
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,

    /// Search subdirectories for segments, too
    #[arg(short, long)]
    recursive: bool,
}

/// What to read, and whether to go on with it.
pub(crate) fn read_or_follow(
    inputs: InputArgs,
    args: &follow::FollowArgs,
    filter: &Filter,
) -> Result<Input, clap::Error> {
    // Times are before now then, which is known.
    let any = Filter::default();
    let read = input(inputs, if args.follow { &any } else { filter })?;
    follow::input(args, read, filter)
}

pub(crate) fn input(args: InputArgs, filter: &Filter) -> Result<Input, clap::Error> {
    let InputArgs { inputs, recursive } = args;
    let dashes = inputs.iter().filter(|input| input.as_os_str() == "-").count();
    let input = match (dashes, inputs.len()) {
        (_, 0) | (1, 1) => Input::Stdin,
        (0, _) => Input::Paths { paths: inputs, recursive },
        _ => return Err(usage(ErrorKind::ArgumentConflict, "- (stdin) must be the only input")),
    };
    if input == Input::Stdin && filter.needs_end() {
        let message =
            "a time relative to the capture's end needs files, not a stream: give --since/--until a full time";
        return Err(usage(ErrorKind::ArgumentConflict, message));
    }
    Ok(input)
}

/// Segments that `info` and `verify` report on.
#[derive(Debug, Args)]
pub(crate) struct SegmentArgs {
    /// Segments, or directories of segments
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,

    /// Search subdirectories for segments, too
    #[arg(short, long)]
    recursive: bool,

    /// Only captures of this host: its whole name, or its name up to the first dot
    #[arg(long = "host", value_name = "HOST", action = ArgAction::Append, value_parser = not_empty)]
    hosts: Vec<String>,

    /// Output format
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: ReportFormat,

    /// Show names of home directories
    #[arg(long)]
    no_redact: bool,
}

/// What they say.
#[derive(Debug, Clone)]
pub(crate) struct Segments {
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

impl SegmentArgs {
    pub fn check(self) -> Result<Segments, clap::Error> {
        if self.inputs.iter().any(|input| input.as_os_str() == "-") {
            return Err(usage(ErrorKind::ValueValidation, "this command reads files and directories, not stdin"));
        }
        let (json, redact) = (self.format == ReportFormat::Json, !self.no_redact);
        Ok(Segments { paths: self.inputs, recursive: self.recursive, hosts: self.hosts, json, redact })
    }
}
