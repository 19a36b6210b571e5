//! Arguments of `events`.

use crate::cli::input::read_or_follow;
use crate::cli::values::not_empty;
use crate::cli::which::WhichArgs;
use crate::cli::{FollowArgs, Input, InputArgs, Request, usage};
use crate::event::Choice;
use crate::select::Filter;
use clap::error::ErrorKind;
use clap::{ArgAction, ValueEnum};
use std::path::PathBuf;

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze events /var/log/crypto-trace --since -1h
  crypto-trace-analyze events rec -n nginx -F '*.pem' -f json-array -o events.json
  crypto-trace-analyze events rec -f summary
  crypto-trace-analyze events rec --type tls_handshake -f csv --fields timestamp,process,server_name,version,group
  crypto-trace-analyze events rec --without offered,ja3,ja4,ja3s
  crypto-trace-analyze events --follow /var/log/crypto-trace --type tls_handshake | jq -r .server_name
  crypto-trace-analyze events rec --replay-speed 10
  crypto-trace-capture record -o - -- ./deploy.sh | crypto-trace-analyze events -";

/// Show events.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// Which, and where to.
    pub request: Request,
    /// How to show them.
    pub format: Format,
    /// What to show of each; all of it when `None`.
    pub choice: Option<Choice>,
    /// Show each event when it is due, rather than at once.
    pub speed: Speed,
    /// In the summary, show each file of a directory of which many were opened.
    pub ungrouped: bool,
}

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object per line
    JsonStream,
    /// One JSON array, one event per line
    JsonArray,
    /// One JSON array, indented
    JsonPretty,
    /// A table, one event per row; columns by --fields and --without
    Csv,
    /// Counts and tables for people
    Summary,
}

/// How fast a replay is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Speed {
    /// As fast as possible.
    Max,
    /// So many times as fast as it happened.
    Times(f64),
}

/// Show events, or a summary of them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    input: InputArgs,

    /// Output format
    #[arg(short, long, value_enum, default_value = "json-stream", value_name = "FORMAT")]
    format: Format,

    /// Write to FILE instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show names of home directories, which are hidden as /home/USER and /home/ROOT
    #[arg(long)]
    no_redact: bool,

    /// In the summary, list certificates one by one even if many in a directory were opened
    #[arg(long)]
    ungrouped: bool,

    /// Show only these members: file, offered.groups, certificates.sha256. Of csv the columns, in this order
    #[arg(long, value_name = "FIELD,…", action = ArgAction::Append, value_delimiter = ',', value_parser = not_empty)]
    fields: Vec<String>,

    /// Leave these members out
    #[arg(long, value_name = "FIELD,…", action = ArgAction::Append, value_delimiter = ',', value_parser = not_empty)]
    without: Vec<String>,

    #[command(flatten)]
    follow: FollowArgs,

    /// Replay speed: 1 is the capture's own pace, 10 is faster, 0.5 slower; max shows everything at once
    #[arg(long, value_name = "SPEED", value_parser = speed, default_value = "max", conflicts_with = "follow")]
    replay_speed: Speed,

    #[command(flatten)]
    which: WhichArgs,
}

impl Task {
    /// Whether single events go to stdout.
    pub fn shows_events(&self) -> bool {
        self.request.output.is_none() && self.format != Format::Summary
    }
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        let filter = self.which.check()?;
        let (input, speed) = (read_or_follow(self.input, &self.follow, &filter)?, self.replay_speed);
        if speed != Speed::Max && (input == Input::Stdin || self.format == Format::Summary) {
            let message =
                "--replay-speed replays files event by event: it works neither with a stream nor with -f summary";
            return Err(usage(ErrorKind::ArgumentConflict, message));
        }
        let choice = choice(&self.fields, &self.without, self.format, &filter)?;
        let request = Request { input, filter, output: self.output, redact: !self.no_redact };
        Ok(Task { request, format: self.format, choice, speed, ungrouped: self.ungrouped })
    }
}

/// What is shown of events. A table always has columns.
fn choice(
    fields: &[String],
    without: &[String],
    format: Format,
    filter: &Filter,
) -> Result<Option<Choice>, clap::Error> {
    let chosen = !fields.is_empty() || !without.is_empty();
    if chosen && format == Format::Summary {
        let message = "--fields and --without choose members of single events, which a summary does not show";
        return Err(usage(ErrorKind::ArgumentConflict, message));
    }
    if !chosen && format != Format::Csv {
        return Ok(None);
    }
    let choice = Choice::new(fields, without, filter.shown_kinds());
    choice.map(Some).map_err(|message| usage(ErrorKind::InvalidValue, &message))
}

/// A speed.
fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    let speed = text.parse::<f64>().ok().filter(|speed| speed.is_finite() && *speed > 0.0);
    speed.map(Speed::Times).ok_or_else(|| format!("`{text}` is not a speed such as 1, 10, 0.5 or max"))
}
