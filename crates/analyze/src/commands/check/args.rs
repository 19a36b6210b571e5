//! Arguments of `check`.

use crate::capture::connections::KINDS;
use crate::cli::input::input;
use crate::cli::values::day;
use crate::cli::who::who;
use crate::cli::{InputArgs, Request, WhoArgs};
use crate::rules::Pack;
use clap::{ArgAction, ValueEnum};
use crypto_trace_format::record::{ApiCall, FileOpen, LibLoad};
use jiff::civil::Date;
use std::path::PathBuf;

/// At the end of its help.
const EXAMPLES: &str = "\
Exit codes: 0 no rule is violated, 7 a rule is violated, 9 no rule is violated, but --require-coverage found too little evidence.

Examples:
  crypto-trace-analyze check rec                        by the IETF's rules
  crypto-trace-analyze check rec --pack ietf,cnsa-2.0 --as-of 2031-01-01
  crypto-trace-analyze check rec --rules rules.toml --require-coverage -f json";

/// How verdicts are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for programs that show findings; a run for each pack
    Sarif,
    /// JUnit XML, for CI systems; a suite for each pack
    Junit,
    /// Open Cybersecurity Schema Framework: a Compliance Finding for each rule, one JSON object per line
    Ocsf,
}

/// Hold rules against recordings.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// Which, and where to.
    pub request: Request,
    pub format: Format,
    /// The day that rules are asked about; when the recording ended, if `None`.
    pub as_of: Option<Date>,
    /// Packs that judge, each on its own.
    pub packs: Vec<Pack>,
    /// Files of rules.
    pub rules: Vec<PathBuf>,
    /// Too little evidence is a failure.
    pub require_coverage: bool,
}

/// Judge recordings by rules: pass, warn, fail or unknown for each rule, with its evidence and its words
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    input: InputArgs,

    /// Packs of rules that judge, each on its own [default: ietf, without --rules]
    #[arg(long = "pack", value_enum, value_name = "PACK,…", action = ArgAction::Append, value_delimiter = ',')]
    packs: Vec<Pack>,

    /// Rules of your own, in TOML (docs/rules.md); Mozilla's guidelines (6.0.json#intermediate), or a policy of crypto-policies
    /// (CURRENT.pol). May be given several times
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    rules: Vec<PathBuf>,

    /// Judge rules and waivers as of this day, such as 2031-01-01 [default: when the recording ended]
    #[arg(long, value_name = "DATE", value_parser = day)]
    as_of: Option<Date>,

    /// Exit with 9 when evidence does not suffice for a rule that is not violated
    #[arg(long)]
    require_coverage: bool,

    /// How to show it
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
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
        filter.kinds = [&KINDS[..], &[ApiCall::KIND, FileOpen::KIND, LibLoad::KIND]].concat();
        let input = input(self.input, &filter)?;
        let request = Request { input, filter, output: self.output, redact: !self.no_redact };
        let mut packs = self.packs;
        packs.sort_unstable();
        packs.dedup();
        if packs.is_empty() && self.rules.is_empty() {
            packs.push(Pack::Ietf);
        }
        let (format, as_of, require_coverage) = (self.format, self.as_of, self.require_coverage);
        Ok(Task { request, format, as_of, packs, rules: self.rules, require_coverage })
    }
}
