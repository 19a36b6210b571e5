//! Arguments of `profile`.

use crate::cli::DocumentFormat;
use crate::cli::uses::{OF_PROCESSES, UseArgs, UseTask};
use crate::select::Filter;

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze profile rec -p 1234              one process, as a JSON document
  crypto-trace-analyze profile rec -n nginx -f summary --since 10:00 --until 10:30
  crypto-trace-analyze profile rec -f json-stream       all processes that used crypto, one line each";

pub(crate) type Task = UseTask;

/// Show everything recorded about a process: libraries, files, calls, TLS and SSH handshakes
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Output format
    #[arg(short, long, value_enum, default_value = "json-pretty", value_name = "FORMAT")]
    format: DocumentFormat,

    #[command(flatten)]
    common: UseArgs,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        let narrowed = Filter { kinds: OF_PROCESSES.to_vec(), ..Filter::default() };
        self.common.check(self.format.into(), narrowed)
    }
}
