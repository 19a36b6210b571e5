//! What is read: arguments, and what is made of them.

use super::{follow, usage};
use crate::select::Filter;
use clap::Args;
use clap::error::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
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
pub(super) struct InputArgs {
    /// Segments, directories of segments, or - for a stream on stdin [default: -]
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,

    /// Search directories for segments in their subdirectories, too
    #[arg(short, long)]
    recursive: bool,
}

/// What to read, and whether to go on with it.
pub(super) fn read_or_follow(
    inputs: InputArgs,
    args: &follow::FollowArgs,
    filter: &Filter,
) -> Result<Input, clap::Error> {
    // Times are before now then, which is known.
    let any = Filter::default();
    let read = input(inputs, if args.follow { &any } else { filter })?;
    follow::input(args, read, filter)
}

pub(super) fn input(args: InputArgs, filter: &Filter) -> Result<Input, clap::Error> {
    let InputArgs { inputs, recursive } = args;
    let dashes = inputs.iter().filter(|input| input.as_os_str() == "-").count();
    let input = match (dashes, inputs.len()) {
        (_, 0) | (1, 1) => Input::Stdin,
        (0, _) => Input::Paths { paths: inputs, recursive },
        _ => return Err(usage(ErrorKind::ArgumentConflict, "- (stdin) stands alone, without other inputs")),
    };
    if input == Input::Stdin && filter.needs_end() {
        let message =
            "a time relative to the capture's end needs files, not a stream: give --since/--until a full time";
        return Err(usage(ErrorKind::ArgumentConflict, message));
    }
    Ok(input)
}
