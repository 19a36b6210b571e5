//! Arguments of what goes on while it is watched: following a recording, and replaying one in its own time.

use super::{Input, usage};
use crate::select::Filter;
use crate::select::time::{TimeSpec, parse_duration};
use clap::Args;
use clap::error::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// How fast a replay is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// As fast as possible.
    Max,
    /// So many times as fast as it happened.
    Times(f64),
}

#[derive(Debug, Args)]
pub(super) struct FollowArgs {
    /// Go on with what is being recorded into the directory INPUT: from now on, or first the past from --since on
    #[arg(long)]
    pub follow: bool,

    /// With --follow: end after this time (60, 30s, 5m)
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

/// A speed.
pub(super) fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    let speed = text.parse::<f64>().ok().filter(|speed| speed.is_finite() && *speed > 0.0);
    speed.map(Speed::Times).ok_or_else(|| format!("`{text}` is not a speed such as 1, 10, 0.5 or max"))
}

/// What to read, when following was asked for; else as it was.
pub(super) fn input(args: &FollowArgs, input: Input, filter: &Filter) -> Result<Input, clap::Error> {
    if !args.follow {
        return Ok(input);
    }
    if filter.until.is_some() {
        return Err(usage(ErrorKind::ArgumentConflict, "--follow goes on: end it with --duration rather than --until"));
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
        _ => {
            Err(usage(ErrorKind::ArgumentConflict, "--duration is for a directory that is followed, not for a stream"))
        }
    }
}

/// The filter of a run that follows: times before the capture's end are before now.
pub fn from_now(filter: &Filter, now: crate::capture::clock::WallNs) -> Filter {
    let since = filter.since.and_then(|since| since.resolve(Some(now))).map(TimeSpec::At);
    Filter { since, ..filter.clone() }
}
