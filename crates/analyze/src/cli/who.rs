//! Whose events, and from when: the filters that nearly every command has.

use crate::cli::usage;
use crate::cli::values::{not_empty, uid};
use crate::select::time::TimeSpec;
use crate::select::{Filter, Globs};
use clap::error::ErrorKind;
use clap::{ArgAction, Args};

/// Whose events, and from when.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters (all must match; repeat one to match any of its values)")]
pub(crate) struct WhoArgs {
    /// Process id
    #[arg(short, long = "pid", value_name = "PID", action = ArgAction::Append, value_parser = clap::value_parser!(u32).range(1..))]
    pids: Vec<u32>,

    /// Part of the process name (`process`) or of the executable's file name, case-sensitive
    #[arg(short, long = "name", value_name = "NAME", action = ArgAction::Append, value_parser = not_empty)]
    names: Vec<String>,

    /// With --pid or --name: include descendants of these processes
    #[arg(long)]
    follow_children: bool,

    /// Real user id, or root
    #[arg(long = "uid", value_name = "UID", action = ArgAction::Append, value_parser = uid)]
    uids: Vec<u32>,

    /// Part of the cgroup path
    #[arg(long = "cgroup", value_name = "PATH", action = ArgAction::Append, value_parser = not_empty)]
    cgroups: Vec<String>,

    /// Start of the container id
    #[arg(long = "container", value_name = "ID", action = ArgAction::Append, value_parser = not_empty)]
    containers: Vec<String>,

    /// Name of the recorded host: whole, or up to the first dot
    #[arg(long = "host", value_name = "HOST", action = ArgAction::Append, value_parser = not_empty)]
    hosts: Vec<String>,

    /// From this time on: 2026-11-22T10:30:45Z, 2026-11-22, 10:30 (UTC, the last such time before the capture's end),
    /// 10m (before its end)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<TimeSpec>,

    /// Before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<TimeSpec>,
}

/// Globs, when there are any.
pub(crate) fn globs(globs: &[String]) -> Result<Option<Globs>, clap::Error> {
    if globs.is_empty() {
        return Ok(None);
    }
    Globs::new(globs).map(Some).map_err(|error| usage(ErrorKind::ValueValidation, &error.to_string()))
}

/// The filter that they are.
pub(crate) fn who(args: WhoArgs) -> Result<Filter, clap::Error> {
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
