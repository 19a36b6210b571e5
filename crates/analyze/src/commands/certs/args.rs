//! Arguments of `certs`.

use crate::cli::judged::{CountedArgs, Judge};
use crate::cli::values::day;
use crypto_trace_format::record::{ApiCall, FileChange, FileOpen, Kind, TlsHello};
use jiff::civil::Date;

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze certs rec                        certificates in use, soonest to expire first
  crypto-trace-analyze certs -r captures --expires-within 30
  crypto-trace-analyze certs rec --as-of 2027-01-01 -f json | jq '.rows[] | select(.state == \"expired\")'";

/// What is shown.
pub(super) const KINDS: [Kind; 4] = [TlsHello::KIND, FileOpen::KIND, FileChange::KIND, ApiCall::KIND];

/// Which certificates.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub judge: Judge,
    /// Only those that end within so many days.
    pub expires_within: Option<u16>,
}

/// Show certificates in use: who presents them, when they expire, which files were opened and not read again after a change
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Judge certificates as of this day, such as 2031-01-01 [default: when the capture ended]
    #[arg(long, value_name = "DATE", value_parser = day)]
    as_of: Option<Date>,

    /// Only certificates that have expired by then, or expire within so many days of it
    #[arg(long, value_name = "DAYS")]
    expires_within: Option<u16>,

    #[command(flatten)]
    counted: CountedArgs,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        let judge = Judge { as_of: self.as_of, ..self.counted.check(KINDS.to_vec())? };
        Ok(Task { judge, expires_within: self.expires_within })
    }
}
