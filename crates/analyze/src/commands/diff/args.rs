//! Arguments of `diff`.

use super::ignore::{self, Rule};
use crate::cli::values::day;
use crate::cli::who::who;
use crate::cli::{Input, ReportFormat, Request, WhoArgs, usage};
use crate::rules::Rules;
use clap::ArgAction;
use clap::error::ErrorKind;
use crypto_trace_format::record::{ApiCall, FileChange, FileOpen, Kind, LibLoad, TlsHello};
use jiff::civil::Date;
use std::path::PathBuf;

/// At the end of its help.
const EXAMPLES: &str = "\
Exit codes: 0 ok; with --exit-code: 10 they differ, 9 no difference is known, but one of them could not see everything.

Rules of --ignore are CATEGORY[.ATTRIBUTE][:GLOB]: library, key_file:/tmp/**, file.readers:*.pem, certificate.sha256.

Examples:
  crypto-trace-analyze diff yesterday today             what appeared, vanished or changed
  crypto-trace-analyze diff old new --exit-code --ignore-file crypto-diff.ignore
  crypto-trace-analyze diff app.cdx.json rec            listed and never ran, ran and not listed (CycloneDX)
  crypto-trace-analyze diff old new -f json | jq '.appeared[] | select(.category == \"tls_version\")'";

/// What is compared.
pub(super) const KINDS: [Kind; 5] = [TlsHello::KIND, ApiCall::KIND, FileOpen::KIND, FileChange::KIND, LibLoad::KIND];

/// Compare two of them.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// A recording, or a CBOM.
    pub old: Request,
    pub new: Request,
    pub json: bool,
    /// The day that rules are asked about; when the later one ended, if `None`.
    pub as_of: Option<Date>,
    /// Whose rules; empty means all.
    pub rules: Vec<Rules>,
    pub ignore: Vec<Rule>,
    /// A file with more of those.
    pub ignore_file: Option<PathBuf>,
    /// Names as they are, also temporary ones.
    pub exact_names: bool,
    /// Points from which on a change of a share is one.
    pub share_points: u8,
    /// A difference is told by the exit code.
    pub exit_code: bool,
}

/// Show what appeared, vanished or changed between two recordings, or between a CBOM and a recording
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Segment, directory of segments, or CBOM (CycloneDX JSON 1.4 to 1.7): how it was
    #[arg(value_name = "OLD")]
    old: PathBuf,

    /// Segment or directory of segments: how it is
    #[arg(value_name = "NEW")]
    new: PathBuf,

    /// Search subdirectories for segments, too
    #[arg(short, long)]
    recursive: bool,

    /// Exit with 10 when they differ, and with 9 when no difference is known but one of them could not see everything
    #[arg(long)]
    exit_code: bool,

    /// Leave differences out: a category, such as library or key_file:/tmp/**; see below
    #[arg(long, value_name = "RULE", action = ArgAction::Append, value_parser = ignore::parse)]
    ignore: Vec<Rule>,

    /// File with such rules, one a line; lines that begin with # are comments
    #[arg(long, value_name = "FILE")]
    ignore_file: Option<PathBuf>,

    /// Compare names as they are: temporary names, hashes in names and the like count
    #[arg(long)]
    exact_names: bool,

    /// By how many percentage points a share has to change to be shown as changed
    #[arg(long, value_name = "POINTS", default_value = "5", value_parser = clap::value_parser!(u8).range(0..=100))]
    share_points: u8,

    /// Apply rules as of this day, to both, such as 2031-01-01 [default: the day NEW ended]
    #[arg(long, value_name = "DATE", value_parser = day)]
    as_of: Option<Date>,

    /// Whose rules findings are of [default: all]
    #[arg(long, value_enum, value_name = "WHO,…", action = ArgAction::Append, value_delimiter = ',')]
    rules: Vec<Rules>,

    /// Output format
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: ReportFormat,

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
        if [&self.old, &self.new].into_iter().any(|path| path.as_os_str() == "-") {
            return Err(usage(ErrorKind::ValueValidation, "diff reads files and directories, not stdin"));
        }
        let mut filter = who(self.filters)?;
        filter.kinds = KINDS.to_vec();
        let request = |path: PathBuf, output| Request {
            input: Input::Paths { paths: vec![path], recursive: self.recursive },
            filter: filter.clone(),
            output,
            redact: !self.no_redact,
        };
        let mut rules = self.rules;
        rules.sort_unstable();
        rules.dedup();
        Ok(Task {
            old: request(self.old, None),
            new: request(self.new, self.output),
            json: self.format == ReportFormat::Json,
            as_of: self.as_of,
            rules,
            ignore: self.ignore,
            ignore_file: self.ignore_file,
            exact_names: self.exact_names,
            share_points: self.share_points,
            exit_code: self.exit_code,
        })
    }
}
