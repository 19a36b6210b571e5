//! Arguments of `doctor`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    /// For people
    Text,
    /// One JSON document, indented
    #[value(alias = "json-pretty")]
    Json,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Directory to record into: check how much room it has
    #[arg(short, long, value_name = "DIR", default_value = "/var/log/crypto-trace")]
    pub output: PathBuf,

    /// Output format
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub format: DoctorFormat,

    /// Show only findings that something can be done about
    #[arg(short, long)]
    pub quiet: bool,
}
