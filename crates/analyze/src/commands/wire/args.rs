//! Arguments of `wire`.

use crate::capture::connections::KINDS;
use crate::cli::judged::{CountedArgs, Judge};

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze wire rec                         who agreed on what with whom, in any protocol
  crypto-trace-analyze wire -r captures --host web1 -f json
  crypto-trace-analyze tls rec; crypto-trace-analyze ssh rec    more about one protocol";

pub(crate) type Task = Judge;

/// Count handshakes of every protocol: agreed key exchange, post-quantum share, programs, peers
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    counted: CountedArgs,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        self.counted.check(KINDS.to_vec())
    }
}
