//! Arguments of `algorithms`.

use crate::capture::connections::KINDS;
use crate::cli::judged::{Judge, JudgedArgs};
use crypto_trace_format::record::ApiCall;

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze algorithms rec                   what was used, and the rules about it
  crypto-trace-analyze algorithms rec --rules ietf,nist  without those for US national security systems
  crypto-trace-analyze algorithms rec --as-of 2036-01-01 -f json";

pub(crate) type Task = Judge;

/// List the algorithms that handshakes negotiated and library calls used (not merely offered), and the rules that apply
/// to them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    judged: JudgedArgs,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        self.judged.check([&KINDS[..], &[ApiCall::KIND]].concat())
    }
}
