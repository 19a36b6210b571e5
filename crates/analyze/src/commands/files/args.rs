//! Arguments of `files`.

use crate::cli::uses::{UseArgs, UseTask};
use crate::cli::values::glob;
use crate::cli::who::globs;
use crate::cli::{FollowArgs, TableFormat};
use crate::select::{Filter, Outcome};
use clap::ArgAction;
use crypto_trace_format::record::{FileChange, FileOpen};

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze files rec                        a table, the most used first
  crypto-trace-analyze files rec -F '/etc/ssl/**' --result failed
  crypto-trace-analyze files --follow /var/log/crypto-trace -f json-stream";

pub(crate) type Task = UseTask;

/// List the crypto files that were opened, how, how often and by which programs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Output format
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: TableFormat,

    #[command(flatten)]
    follow: FollowArgs,

    /// List certificates one by one even if many in a directory were opened, instead of one row for the directory
    #[arg(long)]
    ungrouped: bool,

    #[command(flatten)]
    common: UseArgs,

    /// Glob for the file: without a slash it matches the name in any directory, with one the whole path; {pem,crt}
    /// works
    #[arg(short = 'F', long = "file", value_name = "GLOB", action = ArgAction::Append, value_parser = glob)]
    #[arg(help_heading = "Filters (all must match; repeat one to match any of its values)")]
    files: Vec<String>,

    /// Only opens that succeeded, or that failed
    #[arg(long, value_enum, value_name = "RESULT")]
    #[arg(help_heading = "Filters (all must match; repeat one to match any of its values)")]
    result: Option<Outcome>,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        let (files, kinds) = (globs(&self.files)?, vec![FileOpen::KIND, FileChange::KIND]);
        let narrowed = Filter { files, outcome: self.result, kinds, ..Filter::default() };
        let task = self.common.check(self.format.into(), narrowed)?;
        UseTask { ungrouped: self.ungrouped, ..task }.following(&self.follow)
    }
}
