//! Arguments of `ssh`.

use crate::cli::judged::{Judge, JudgedArgs};
use crypto_trace_format::record::SshHandshake;

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze ssh rec                          software, key exchange, host keys, ciphers, peers, programs
  crypto-trace-analyze ssh rec --as-of 2031-01-01       by the rules in force on that day
  crypto-trace-analyze ssh -r captures --host web1 -f json
  crypto-trace-analyze ssh rec -n sshd --since -1d      logins to this host in the last day of the recording";

pub(crate) type Task = Judge;

/// Count SSH handshakes: software, key exchange, host keys, ciphers, MACs, peers, failures, weak findings
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    judged: JudgedArgs,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        self.judged.check(vec![SshHandshake::KIND])
    }
}
