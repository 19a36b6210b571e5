//! Arguments of `schema`.

use clap::ValueEnum;

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze schema > event.schema.json
  crypto-trace-analyze schema profile";

/// What a JSON Schema is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    /// One event
    Events,
    /// A document of `profile`
    Profile,
    /// A document of `snapshot`
    Snapshot,
    /// The document of `files`
    Files,
    /// The document of `libs`
    Libs,
    /// The document of `readiness`
    Readiness,
    /// The document of `check`
    Check,
    /// The document of `diff`
    Diff,
    /// The document of `keys`
    Keys,
    /// The document of `certs`
    Certs,
    /// The document of `report`
    Report,
    /// The document of `wire`
    Wire,
    /// The document of `tls`
    Tls,
    /// One line of `tls --follow -f json-stream`
    TlsFollow,
    /// The document of `ssh`
    Ssh,
    /// The document of `algorithms`
    Algorithms,
    /// The document of `coverage`
    Coverage,
    /// The document of `info`
    Info,
    /// The document of `verify`
    Verify,
}

/// Print the JSON Schema of events, or of a report
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to print the schema of
    #[arg(value_enum, default_value = "events", value_name = "WHAT")]
    of: Task,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        Ok(self.of)
    }
}
