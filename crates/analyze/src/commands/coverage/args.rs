//! Arguments of `coverage`.

use crate::capture::connections::KINDS;
use crate::cli::judged::{CountedArgs, Judge};
use crypto_trace_format::record::{ApiCall, LibLoad};

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze coverage rec                     what could be seen, what could not, and why
  crypto-trace-analyze coverage rec -n nginx";

pub(crate) type Task = Judge;

/// Show what the capture could see of TLS and SSH, and what it could not
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    judged: CountedArgs,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        self.judged.check([&KINDS[..], &[ApiCall::KIND, LibLoad::KIND]].concat())
    }
}
