//! Arguments of `tls`, `algorithms` and `coverage`.

use super::input::{InputArgs, input};
use super::values::day;
use super::{ReportFormat, Request, WhoArgs, who};
use crate::report::judged::Manner;
use crate::rules::Rules;
use clap::{ArgAction, Args};
use crypto_trace_format::record::{ApiCall, LibLoad, TlsHello};
use jiff::civil::Date;
use std::path::PathBuf;

/// Count TLS handshakes.
#[derive(Debug, Clone)]
pub struct SurveyTask {
    /// What to tell of them.
    pub report: SurveyReport,
    /// Which, and where to.
    pub request: Request,
    /// How to judge and show them.
    pub manner: Manner,
}

/// What is told of TLS handshakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SurveyReport {
    /// Who negotiated what with whom.
    Tls,
    /// Algorithms.
    Algorithms,
    /// What could be seen, and what not.
    Coverage,
}

#[derive(Debug, Args)]
pub(super) struct JudgedArgs {
    /// Judge rules and certificates as of this day, such as 2031-01-01 [default: when the capture ended]
    #[arg(long, value_name = "DATE", value_parser = day)]
    as_of: Option<Date>,

    /// Whose rules judge [default: all]. NIST speaks to US federal agencies, CNSA 2.0 (the NSA) to US national security systems
    #[arg(long, value_enum, value_name = "WHO,…", action = ArgAction::Append, value_delimiter = ',')]
    rules: Vec<Rules>,

    #[command(flatten)]
    survey: SurveyArgs,
}

#[derive(Debug, Args)]
pub(super) struct SurveyArgs {
    #[command(flatten)]
    input: InputArgs,

    /// How to show it
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

impl JudgedArgs {
    pub(super) fn task(self, report: SurveyReport) -> Result<SurveyTask, clap::Error> {
        let mut rules = self.rules;
        rules.sort_unstable();
        rules.dedup();
        let task = self.survey.task(report)?;
        Ok(SurveyTask { manner: Manner { as_of: self.as_of, rules, ..task.manner }, ..task })
    }
}

impl SurveyArgs {
    pub(super) fn task(self, report: SurveyReport) -> Result<SurveyTask, clap::Error> {
        let mut filter = who(self.filters)?;
        filter.kinds = match report {
            SurveyReport::Tls => vec![TlsHello::KIND],
            SurveyReport::Algorithms => vec![TlsHello::KIND, ApiCall::KIND],
            SurveyReport::Coverage => vec![TlsHello::KIND, ApiCall::KIND, LibLoad::KIND],
        };
        let input = input(self.input, &filter)?;
        let request = Request { input, filter, output: self.output, redact: !self.no_redact };
        let manner = Manner { json: self.format == ReportFormat::Json, ..Manner::default() };
        Ok(SurveyTask { report, request, manner })
    }
}
