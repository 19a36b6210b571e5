//! Arguments of `extract`.

use crate::cli::values::kind;
use crate::cli::who::who;
use crate::cli::{WhoArgs, usage};
use crate::select::Filter;
use clap::error::ErrorKind;
use clap::{ArgAction, ValueEnum};
use crypto_trace_format::record::{ArgvMode, Kind, PrivacyMode};
use std::path::PathBuf;

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze extract /var/log/crypto-trace -o day --since 2026-11-22 --until 2026-11-23
  crypto-trace-analyze extract rec -o for-support -n nginx --privacy hash --argv exe
  crypto-trace-analyze extract rec -o handshakes --type tls_handshake
  crypto-trace-analyze extract damaged.ctseg -o salvaged    what can be read of it; exit code 6

Records that the kept events need stay as well: docs/shipping.md lists them.";

/// What to take, and where to put it.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// Also what is in subdirectories.
    pub recursive: bool,
    /// Where to.
    pub output: PathBuf,
    /// Which events.
    pub filter: Filter,
    /// What becomes of names and addresses.
    pub privacy: PrivacyMode,
    /// What becomes of arguments.
    pub argv: ArgvMode,
}

/// How names and addresses are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Privacy {
    /// As recorded
    Off,
    /// A pseudonym for each, the same throughout the extract
    Hash,
    /// Not at all
    Drop,
}

/// How much of arguments is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Argv {
    /// As recorded
    Full,
    /// Only the first
    Exe,
    /// None
    None,
}

/// Write a part of recordings, or what is left of damaged ones, as segments
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Segments, or directories of segments
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,

    /// Search subdirectories for segments, too
    #[arg(short, long)]
    recursive: bool,

    /// Directory for the segments: a new or an empty one. All of them appear in it at the end, or none
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    /// What to do with server names and addresses in TLS hellos, as in a recording; hash and drop leave certificates out
    #[arg(long, value_enum, value_name = "HOW", default_value = "off")]
    privacy: Privacy,

    /// How much of process arguments to keep: they may hold secrets
    #[arg(long, value_enum, value_name = "HOW", default_value = "full")]
    argv: Argv,

    /// Event types [default: all]
    #[arg(long = "type", value_name = "TYPE,…", action = ArgAction::Append, value_delimiter = ',', value_parser = kind,
          help_heading = "Filters (all must match; repeat one to match any of its values)")]
    kinds: Vec<Kind>,

    #[command(flatten)]
    who: WhoArgs,
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        if self.inputs.iter().any(|input| input.as_os_str() == "-") {
            return Err(usage(ErrorKind::ValueValidation, "this command reads files and directories, not stdin"));
        }
        Ok(Task {
            paths: self.inputs,
            recursive: self.recursive,
            output: self.output,
            filter: Filter { kinds: self.kinds, ..who(self.who)? },
            privacy: match self.privacy {
                Privacy::Off => PrivacyMode::OFF,
                Privacy::Hash => PrivacyMode::HASH,
                Privacy::Drop => PrivacyMode::DROP,
            },
            argv: match self.argv {
                Argv::Full => ArgvMode::FULL,
                Argv::Exe => ArgvMode::EXE,
                Argv::None => ArgvMode::NONE,
            },
        })
    }
}
