//! Arguments of `tls`.

use crate::cli::judged::{JudgedArgs, LiveJudge};
use crate::cli::{FollowArgs, LiveFormat};
use crypto_trace_format::record::TlsHello;

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze tls rec                          versions, suites, peers, failures, certificates
  crypto-trace-analyze tls rec --as-of 2031-01-01       by the rules in force on that day
  crypto-trace-analyze tls -r captures --host web1 -f json
  crypto-trace-analyze tls --follow /var/log/crypto-trace    what is negotiated, as it comes";

pub(crate) type Task = LiveJudge;

/// Count TLS handshakes: versions, suites, key exchange, peers, failures, weak findings, certificates
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    judged: JudgedArgs<LiveFormat>,

    #[command(flatten)]
    follow: FollowArgs,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        let format = self.judged.counted.format;
        self.judged.check(vec![TlsHello::KIND])?.following(&self.follow, format)
    }
}
