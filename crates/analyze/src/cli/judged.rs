//! Arguments of reports about handshakes: which are counted, and what judges them.

use crate::cli::input::input;
use crate::cli::values::day;
use crate::cli::who::who;
use crate::cli::{FollowArgs, InputArgs, LiveFormat, ReportFormat, Request, WhoArgs, follow, usage};
use crate::rules::Rules;
use clap::error::ErrorKind;
use clap::{ArgAction, Args, ValueEnum};
use crypto_trace_format::record::Kind;
use jiff::civil::Date;
use std::path::PathBuf;

/// Count handshakes, and judge them.
#[derive(Debug, Clone)]
pub(crate) struct Judge {
    /// Which, and where to.
    pub request: Request,
    /// As JSON.
    pub json: bool,
    /// The day that rules and certificates are judged by; when the capture ended, if `None`.
    pub as_of: Option<Date>,
    /// Whose rules judge; empty means all of them.
    pub rules: Vec<Rules>,
}

/// The same, or show rows as they come.
#[derive(Debug, Clone)]
pub(crate) struct LiveJudge {
    /// What to count.
    pub judge: Judge,
    /// Show what is new as it comes.
    pub follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JudgedArgs<F: ValueEnum + Send + Sync + 'static = ReportFormat> {
    /// Apply rules and check certificates as of this day, such as 2031-01-01 [default: the day the capture ended]
    #[arg(long, value_name = "DATE", value_parser = day)]
    as_of: Option<Date>,

    /// Whose rules to apply [default: all]. NIST addresses US federal agencies, CNSA 2.0 (the NSA) US national security
    /// systems
    #[arg(long, value_enum, value_name = "WHO,…", action = ArgAction::Append, value_delimiter = ',')]
    rules: Vec<Rules>,

    #[command(flatten)]
    pub counted: CountedArgs<F>,
}

#[derive(Debug, Args)]
pub(crate) struct CountedArgs<F: ValueEnum + Send + Sync + 'static = ReportFormat> {
    #[command(flatten)]
    input: InputArgs,

    /// Output format
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub format: F,

    /// Write to FILE instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show names of home directories
    #[arg(long)]
    no_redact: bool,

    #[command(flatten)]
    filters: WhoArgs,
}

impl<F: ValueEnum + Send + Sync + Into<ReportFormat> + 'static> JudgedArgs<F> {
    /// What is asked, of events of `kinds`.
    pub fn check(self, kinds: Vec<Kind>) -> Result<Judge, clap::Error> {
        let mut rules = self.rules;
        rules.sort_unstable();
        rules.dedup();
        Ok(Judge { as_of: self.as_of, rules, ..self.counted.check(kinds)? })
    }
}

impl<F: ValueEnum + Send + Sync + Into<ReportFormat> + 'static> CountedArgs<F> {
    /// What is asked, of events of `kinds`.
    pub fn check(self, kinds: Vec<Kind>) -> Result<Judge, clap::Error> {
        let mut filter = who(self.filters)?;
        filter.kinds = kinds;
        let input = input(self.input, &filter)?;
        let request = Request { input, filter, output: self.output, redact: !self.no_redact };
        Ok(Judge { request, json: self.format.into() == ReportFormat::Json, as_of: None, rules: Vec::new() })
    }
}

impl Judge {
    /// The same, shown as it comes where that is asked for.
    pub fn following(self, args: &FollowArgs, format: LiveFormat) -> Result<LiveJudge, clap::Error> {
        let message = match (args.follow, format) {
            (true, LiveFormat::Json) => Some("--follow goes on for ever: give --format text or json-stream"),
            (false, LiveFormat::JsonStream) => {
                Some("--format json-stream shows rows as they come: give --follow, or --format json for the document")
            }
            _ => None,
        };
        if let Some(message) = message {
            return Err(usage(ErrorKind::ArgumentConflict, message));
        }
        let Request { input, filter, .. } = self.request;
        let input = follow::input(args, input, &filter)?;
        let request = Request { input, filter, ..self.request };
        Ok(LiveJudge { judge: Self { request, ..self }, follow: args.follow })
    }
}
