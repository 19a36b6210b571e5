//! Arguments of `verify`.

use crate::cli::{SegmentArgs, Segments};

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze verify /var/log/crypto-trace     exit code 6 when a byte is wrong";

pub(crate) type Task = Segments;

/// Check every byte of segments; exit with code 6 if any are damaged
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
