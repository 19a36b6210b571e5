//! Arguments of `cbom`.

use crate::cli::judged::{CountedArgs, Judge};
use clap::ValueEnum;
use crypto_trace_format::record::{ApiCall, FileOpen, LibLoad, TlsHello};

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze cbom rec -f json -o rec.cdx.json     CycloneDX 1.7
  crypto-trace-analyze cbom rec -f json --spec-version 1.6  for consumers that do not read 1.7 yet
  crypto-trace-analyze cbom rec                             what would be in it, and what could not be seen";

/// Versions of CycloneDX that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Spec {
    /// The first with cryptographic assets
    #[value(name = "1.6")]
    V1_6,
    /// With families and curves of its registry, TLS groups and signature schemes
    #[value(name = "1.7")]
    V1_7,
}

impl Spec {
    /// As documents say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_6 => "1.6",
            Self::V1_7 => "1.7",
        }
    }
}

/// What to count, and how to write it.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub counted: Judge,
    pub spec: Spec,
}

/// Write a cryptography bill of materials (CycloneDX JSON) of what was seen in use: algorithms, protocols, certificates, key files, libraries
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Version of CycloneDX
    #[arg(long, value_enum, default_value = "1.7", value_name = "VERSION")]
    spec_version: Spec,

    #[command(flatten)]
    counted: CountedArgs,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        let kinds = vec![TlsHello::KIND, ApiCall::KIND, FileOpen::KIND, LibLoad::KIND];
        Ok(Task { counted: self.counted.check(kinds)?, spec: self.spec_version })
    }
}
