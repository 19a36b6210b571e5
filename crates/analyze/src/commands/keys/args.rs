//! Arguments of `keys`.

use crate::cli::judged::{CountedArgs, Judge};
use crate::cli::values::glob;
use crate::cli::who::globs;
use crate::cli::{Input, Request};
use crate::select::Filter;
use clap::ArgAction;
use crypto_trace_format::record::{ApiCall, FileChange, FileOpen, Kind};
use std::path::PathBuf;

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze keys rec                         key files, and who opens them
  crypto-trace-analyze keys today --baseline last-week  readers that are new since last week are marked
  crypto-trace-analyze keys rec -F '/etc/ssl/**' -f json | jq '.rows[] | select(.readable_by_others)'";

/// What is shown.
pub(super) const KINDS: [Kind; 3] = [FileOpen::KIND, FileChange::KIND, ApiCall::KIND];

/// Which keys.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub judge: Judge,
    /// What was recorded before.
    pub baseline: Option<Request>,
}

/// Show who opens which private key: programs, users, containers, how and with what result; readers that are new
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recording of before: who reads a key now and did not then is new. Read whole, whatever the filters
    #[arg(long, value_name = "SEGMENT|DIR", action = ArgAction::Append)]
    baseline: Vec<PathBuf>,

    #[command(flatten)]
    counted: CountedArgs,

    /// Glob for the file: without a slash its name in any directory, with one the whole path; {pem,crt} works
    #[arg(short = 'F', long = "file", value_name = "GLOB", action = ArgAction::Append, value_parser = glob)]
    #[arg(help_heading = "Filters (all must match; repeat one to match any of its values)")]
    files: Vec<String>,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        let mut judge = self.counted.check(KINDS.to_vec())?;
        judge.request.filter.files = globs(&self.files)?;
        let recursive = matches!(judge.request.input, Input::Paths { recursive: true, .. });
        let baseline = (!self.baseline.is_empty()).then(|| Request {
            input: Input::Paths { paths: self.baseline, recursive },
            filter: Filter { kinds: KINDS.to_vec(), ..Filter::default() },
            output: None,
            redact: judge.request.redact,
        });
        Ok(Task { judge, baseline })
    }
}
