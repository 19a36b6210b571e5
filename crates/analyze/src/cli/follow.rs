//! What goes on while it is watched: following a recording.

use crate::cli::{Input, usage};
use crate::select::Filter;
use crate::select::time::parse_duration;
use clap::Args;
use clap::error::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct FollowArgs {
    /// Follow what is being recorded into the directory INPUT: from now on, or with --since from that time on
    #[arg(long)]
    pub follow: bool,

    /// With --follow: stop after this long (60, 30s, 5m)
    #[arg(short, long, value_name = "TIME", value_parser = duration, requires = "follow")]
    pub duration: Option<Duration>,
}

/// Seconds, or a duration with units.
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()));
    let with_unit = || parse_duration(text).and_then(|ns| u64::try_from(ns).ok()).map(Duration::from_nanos);
    seconds
        .or_else(with_unit)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("`{text}` is not a duration such as 60, 90s or 5m"))
}

/// What to read, when following was asked for; else as it was.
pub(crate) fn input(args: &FollowArgs, input: Input, filter: &Filter) -> Result<Input, clap::Error> {
    if !args.follow {
        return Ok(input);
    }
    if filter.until.is_some() {
        return Err(usage(
            ErrorKind::ArgumentConflict,
            "--follow cannot be combined with --until: end it with --duration",
        ));
    }
    match input {
        Input::Paths { recursive: true, .. } => {
            Err(usage(ErrorKind::ArgumentConflict, "--follow follows one directory, without --recursive"))
        }
        Input::Paths { paths, .. } => match <[PathBuf; 1]>::try_from(paths) {
            Ok([directory]) => Ok(Input::Follow { directory, duration: args.duration }),
            Err(_) => Err(usage(ErrorKind::ArgumentConflict, "--follow follows one directory")),
        },
        Input::Stdin if args.duration.is_none() => Ok(Input::Stdin),
        _ => Err(usage(ErrorKind::ArgumentConflict, "--duration applies to a followed directory, not to a stream")),
    }
}
