//! Arguments of `info`.

use crate::cli::{SegmentArgs, Segments};

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze info /var/log/crypto-trace       host, time, counts, loss, probes, cost
  crypto-trace-analyze info -r captures                 captures of many hosts, a directory each
  crypto-trace-analyze info rec -f json | jq .self_stats";

pub(crate) type Task = Segments;

/// Describe a capture: host, time, counts, loss, probes, cost
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    segments: SegmentArgs,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        self.segments.check()
    }
}
