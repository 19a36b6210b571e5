//! Arguments of `snapshot`.

use crate::capture::connections::KINDS;
use crate::cli::uses::{OF_PROCESSES, UseArgs, UseTask};
use crate::cli::{DocumentFormat, usage};
use crate::select::Filter;
use crate::select::time::TimeSpec;
use clap::error::ErrorKind;
use crypto_trace_format::record::FileChange;

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze snapshot rec                     at the end of the capture
  crypto-trace-analyze snapshot rec --at 2026-11-22T10:30:00Z -f summary
  crypto-trace-analyze snapshot inventory.ctseg         what crypto-trace-capture snapshot wrote";

pub(crate) type Task = UseTask;

/// List the processes with crypto libraries mapped or crypto files open at a given time
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Output format
    #[arg(short, long, value_enum, default_value = "json-pretty", value_name = "FORMAT")]
    format: DocumentFormat,

    /// Point in time: 2026-11-22T10:30:45Z, 10:30 (UTC), -10m (before the capture's end) [default: the capture's end]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<TimeSpec>,

    #[command(flatten)]
    common: UseArgs,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        if self.common.who.since.is_some() || self.common.who.until.is_some() {
            let message = "a snapshot is of a moment: give --at TIME, not --since or --until";
            return Err(usage(ErrorKind::ArgumentConflict, message));
        }
        let of_a_moment = |kind: &_| !KINDS.contains(kind) && *kind != FileChange::KIND;
        let kinds = OF_PROCESSES.into_iter().filter(of_a_moment).collect();
        let narrowed = Filter { kinds, until: self.at, ..Filter::default() };
        self.common.check(self.format.into(), narrowed)
    }
}
