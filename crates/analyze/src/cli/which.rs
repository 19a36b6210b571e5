//! Which events: the filters of commands that take single events.

use super::values::{glob, kind, not_empty};
use super::who::{WhoArgs, globs, who};
use crate::capture::clock::WallNs;
use crate::select::{Filter, Outcome};
use crate::words::timestamp::timestamp;
use clap::{ArgAction, ValueEnum as _};
use crypto_trace_format::record::Kind;

/// Filters combine with AND; one given several times is OR. Events about the capture itself, such as loss, are held only
/// to --type, --since and --until.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Filters (all must match; repeat one to match any of its values)")]
pub(crate) struct WhichArgs {
    #[command(flatten)]
    who: WhoArgs,

    /// Glob for the file or library: without a slash it matches the name in any directory, with one the whole path;
    /// {pem,crt} works
    #[arg(short = 'F', long = "file", value_name = "GLOB", action = ArgAction::Append, value_parser = glob)]
    files: Vec<String>,

    /// Part of the library's file name (libssl) or of the library's name (OpenSSL)
    #[arg(short, long = "library", value_name = "NAME", action = ArgAction::Append, value_parser = not_empty)]
    libraries: Vec<String>,

    /// Event types [default: process_exec,process_exit,file_open,file_change,lib_load,tls_handshake,api_call,loss]
    #[arg(long = "type", value_name = "TYPE,…", action = ArgAction::Append, value_delimiter = ',', value_parser = kind)]
    kinds: Vec<Kind>,

    /// Only what succeeded, or what failed: opens, changes and library calls by their result, exits by their status,
    /// TLS handshakes by an alert
    #[arg(long, value_enum, value_name = "RESULT")]
    result: Option<Outcome>,
}

/// A filter as options, with its times as they are for these inputs.
pub(crate) fn options(filter: &Filter, (since, until): (Option<WallNs>, Option<WallNs>)) -> Vec<String> {
    let mut options = Vec::new();
    let mut add = |flag: &str, value: &dyn std::fmt::Display| options.push(format!("{flag} {value}"));
    filter.pids.iter().for_each(|pid| add("--pid", pid));
    filter.names.iter().for_each(|name| add("--name", name));
    filter.uids.iter().for_each(|uid| add("--uid", uid));
    filter.cgroups.iter().for_each(|path| add("--cgroup", path));
    filter.containers.iter().for_each(|id| add("--container", id));
    filter.hosts.iter().for_each(|host| add("--host", host));
    filter.libraries.iter().for_each(|name| add("--library", name));
    since.iter().for_each(|since| add("--since", &timestamp(*since)));
    until.iter().for_each(|until| add("--until", &timestamp(*until)));
    if filter.follow_children {
        options.push("--follow-children".to_owned());
    }
    if !filter.kinds.is_empty() {
        let types: Vec<&str> = filter.kinds.iter().map(|kind| kind.event_type()).collect();
        options.push(format!("--type {}", types.join(",")));
    }
    options
}

impl WhichArgs {
    /// Those that a filter does not show as they were given.
    pub fn words(&self) -> Vec<String> {
        let files = self.files.iter().map(|glob| format!("--file {glob}"));
        let result = self.result.and_then(|result| result.to_possible_value());
        files.chain(result.map(|result| format!("--result {}", result.get_name()))).collect()
    }

    /// The filter that they are.
    pub fn check(self) -> Result<Filter, clap::Error> {
        let Self { who: of, files, libraries, kinds, result } = self;
        Ok(Filter { files: globs(&files)?, libraries, kinds, outcome: result, ..who(of)? })
    }
}
