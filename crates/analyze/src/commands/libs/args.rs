//! Arguments of `libs`.

use crate::cli::uses::{UseArgs, UseTask};
use crate::cli::values::{glob, not_empty};
use crate::cli::who::globs;
use crate::cli::{FollowArgs, TableFormat};
use crate::select::Filter;
use clap::ArgAction;
use crypto_trace_format::record::LibLoad;

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze libs rec                         which libraries and versions, by which programs
  crypto-trace-analyze libs rec -l libssl -f json
  crypto-trace-analyze libs --follow /var/log/crypto-trace";

pub(crate) type Task = UseTask;

/// List the crypto libraries that were loaded, their versions, how often and by which programs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Output format
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: TableFormat,

    #[command(flatten)]
    follow: FollowArgs,

    #[command(flatten)]
    common: UseArgs,

    /// Part of the library's file name (libssl) or of the library's name (OpenSSL)
    #[arg(short, long = "library", value_name = "NAME", action = ArgAction::Append, value_parser = not_empty)]
    #[arg(help_heading = "Filters (all must match; repeat one to match any of its values)")]
    libraries: Vec<String>,

    /// Glob for the library's path
    #[arg(short = 'F', long = "file", value_name = "GLOB", action = ArgAction::Append, value_parser = glob)]
    #[arg(help_heading = "Filters (all must match; repeat one to match any of its values)")]
    files: Vec<String>,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        let (files, kinds) = (globs(&self.files)?, vec![LibLoad::KIND]);
        let narrowed = Filter { files, libraries: self.libraries, kinds, ..Filter::default() };
        self.common.check(self.format.into(), narrowed)?.following(&self.follow)
    }
}
