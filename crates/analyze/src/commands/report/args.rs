//! Arguments of `report`.

use crate::capture::connections::KINDS;
use crate::cli::input::input;
use crate::cli::values::day;
use crate::cli::who::who;
use crate::cli::{Input, InputArgs, Request, WhoArgs};
use crate::rules::Pack;
use clap::{ArgAction, ValueEnum};
use crypto_trace_format::record::{ApiCall, FileChange, FileOpen, LibLoad};
use jiff::civil::Date;
use std::path::PathBuf;

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze report rec -o report.html
  crypto-trace-analyze report -r /var/log/fleet --pack ietf,cnsa-2.0 --rules rules.toml -o report.html
  crypto-trace-analyze report rec -f json | jq .readiness.post_quantum_share";

/// How a report is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One page that needs nothing else, for browsers and printers
    Html,
    /// The same as one JSON document
    Json,
}

/// What goes into a report.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// Of which recordings, and where to.
    pub request: Request,
    pub format: Format,
    /// The day that rules and certificates are judged by; when the recording ended, if `None`.
    pub as_of: Option<Date>,
    /// Packs that judge, each on its own.
    pub packs: Vec<Pack>,
    /// Files of rules.
    pub rules: Vec<PathBuf>,
}

/// Write a report to hand in: readiness, findings, inventory, certificates, keys, libraries, coverage, as one HTML page
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    input: InputArgs,

    /// Packs of rules that judge, each on its own [default: all]
    #[arg(long = "pack", value_enum, value_name = "PACK,…", action = ArgAction::Append, value_delimiter = ',')]
    packs: Vec<Pack>,

    /// Rules of your own, as those of `check`. May be given several times
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    rules: Vec<PathBuf>,

    /// Judge rules and certificates as of this day, such as 2031-01-01 [default: when the recording ended]
    #[arg(long, value_name = "DATE", value_parser = day)]
    as_of: Option<Date>,

    /// How to show it
    #[arg(short, long, value_enum, default_value = "html", value_name = "FORMAT")]
    format: Format,

    /// Write to FILE instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show names of home directories
    #[arg(long)]
    no_redact: bool,

    #[command(flatten)]
    filters: WhoArgs,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        let mut filter = who(self.filters)?;
        filter.kinds = [&KINDS[..], &[ApiCall::KIND, FileOpen::KIND, FileChange::KIND, LibLoad::KIND]].concat();
        let input = input(self.input, &filter)?;
        if input == Input::Stdin {
            let message = "a report lists the SHA-256 of its files: give segments or directories, not a stream";
            return Err(clap::Error::raw(clap::error::ErrorKind::MissingRequiredArgument, format!("{message}\n")));
        }
        let request = Request { input, filter, output: self.output, redact: !self.no_redact };
        let packs = if self.packs.is_empty() { Pack::ALL.to_vec() } else { self.packs };
        Ok(Task { request, format: self.format, as_of: self.as_of, packs, rules: self.rules })
    }
}
