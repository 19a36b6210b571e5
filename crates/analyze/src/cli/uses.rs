//! Arguments of documents and tables about what processes used.

use crate::cli::input::input;
use crate::cli::who::who;
use crate::cli::{FollowArgs, InputArgs, Request, Style, WhoArgs, follow, usage};
use crate::select::Filter;
use clap::Args;
use clap::error::ErrorKind;
use crypto_trace_format::record::{
    ApiCall, FileChange, FileOpen, IkeHandshake, Kind, LibLoad, ProcessExec, ProcessExit, ProcessFork, ProcessInfo,
    SshHandshake, TlsHello, WireguardHandshake,
};
use std::path::PathBuf;

/// Count what was used.
#[derive(Debug, Clone)]
pub(crate) struct UseTask {
    /// What to count, and where to.
    pub request: Request,
    /// How to show it.
    pub style: Style,
    /// Show what is new as it comes.
    pub follow: bool,
    /// Show each file of a directory of which many were opened.
    pub ungrouped: bool,
}

/// What documents and tables about processes take.
#[derive(Debug, Args)]
pub(crate) struct UseArgs {
    #[command(flatten)]
    input: InputArgs,

    /// Write to FILE instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show names of home directories, and secrets in command lines
    #[arg(long)]
    no_redact: bool,

    #[command(flatten)]
    pub who: WhoArgs,
}

/// Kinds that tell of processes, and what they did.
pub(crate) const OF_PROCESSES: [Kind; 12] = [
    ProcessExec::KIND,
    ProcessFork::KIND,
    ProcessExit::KIND,
    FileOpen::KIND,
    FileChange::KIND,
    LibLoad::KIND,
    TlsHello::KIND,
    SshHandshake::KIND,
    IkeHandshake::KIND,
    WireguardHandshake::KIND,
    ApiCall::KIND,
    ProcessInfo::KIND,
];

impl UseArgs {
    /// What is asked, with a filter by what; by whom is among these arguments.
    pub fn check(self, style: Style, narrowed: Filter) -> Result<UseTask, clap::Error> {
        let base = who(self.who)?;
        let until = narrowed.until.or(base.until);
        let Filter { files, libraries, kinds, outcome, .. } = narrowed;
        let filter = Filter { files, libraries, kinds, outcome, until, ..base };
        let input = input(self.input, &filter)?;
        let request = Request { input, filter, output: self.output, redact: !self.no_redact };
        Ok(UseTask { request, style, follow: false, ungrouped: false })
    }
}

impl UseTask {
    /// The same, shown as it comes where that is asked for.
    pub fn following(self, args: &FollowArgs) -> Result<Self, clap::Error> {
        if args.follow && !matches!(self.style, Style::Text | Style::JsonStream) {
            let message = "--follow has no end: give --format text or json-stream";
            return Err(usage(ErrorKind::ArgumentConflict, message));
        }
        let Request { input, filter, .. } = self.request;
        let input = follow::input(args, input, &filter)?;
        Ok(Self { follow: args.follow, request: Request { input, filter, ..self.request }, ..self })
    }
}
