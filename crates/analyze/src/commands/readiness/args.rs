//! Arguments of `readiness`.

use crate::capture::connections::KINDS;
use crate::cli::judged::{CountedArgs, LiveJudge};
use crate::cli::{FollowArgs, LiveFormat};
use crypto_trace_format::record::{ApiCall, LibLoad};

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze readiness rec                    services and clients, most to migrate first
  crypto-trace-analyze readiness -r captures --since 2026-11-01
  crypto-trace-analyze readiness rec -f json | jq '.rows[] | select(.classical > 0)'
  crypto-trace-analyze readiness --follow /var/log/crypto-trace -f json-stream";

pub(crate) type Task = LiveJudge;

/// Show which services and clients agree on post-quantum key exchange, with whom, and why others do not
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    counted: CountedArgs<LiveFormat>,

    #[command(flatten)]
    follow: FollowArgs,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        let format = self.counted.format;
        self.counted.check([&KINDS[..], &[ApiCall::KIND, LibLoad::KIND]].concat())?.following(&self.follow, format)
    }
}
