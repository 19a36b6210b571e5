//! Exit codes, and errors that know theirs.

use std::ffi::OsString;

use crypto_trace_bpf::LoadError;

use crate::args::UsageError;

/// Something failed.
pub const FAILURE: u8 = 1;
/// The command line makes no sense.
pub const USAGE: u8 = 2;
/// Privileges are missing.
pub const PRIVILEGES: u8 = 3;
/// The kernel lacks something.
pub const UNSUPPORTED: u8 = 4;
/// The BPF programs could not be loaded or attached.
pub const BPF: u8 = 5;

/// Anything of the above where a command is run, whose own codes all others are: as env(1), timeout(1) and nohup(1) have it.
pub const WITH_COMMAND: u8 = 125;
/// The command is there, but cannot be run.
pub const COMMAND_NOT_EXECUTABLE: u8 = 126;
/// There is no such command.
pub const COMMAND_NOT_FOUND: u8 = 127;

/// Commands of this program that run one.
const RUNS_COMMAND: &[&str] = &["record", "monitor", "files", "libs", "profile"];

/// Whether a command line, right or wrong, names a command to run.
pub fn runs_command(words: &[OsString]) -> bool {
    let ours = words.get(1).and_then(|word| word.to_str());
    let behind = words.iter().position(|word| word == "--").map_or(0, |at| words.len() - at - 1);
    ours.is_some_and(|word| RUNS_COMMAND.contains(&word)) && behind > 0
}

/// An error with the exit code it causes.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// What to tell people.
    pub error: anyhow::Error,
}

impl Failure {
    /// Privileges are missing.
    pub fn privileges(message: String) -> Self {
        Self { code: PRIVILEGES, error: anyhow::anyhow!(message) }
    }

    /// The kernel, or this place in it, lacks something.
    pub fn unsupported(message: String) -> Self {
        Self { code: UNSUPPORTED, error: anyhow::anyhow!(message) }
    }

    /// The programs could not be loaded or attached.
    pub fn bpf(message: String) -> Self {
        Self { code: BPF, error: anyhow::anyhow!(message) }
    }
}

impl Failure {
    /// Whoever read our output has seen enough.
    pub fn is_broken_pipe(&self) -> bool {
        let mut causes = self.error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
        causes.any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { code: FAILURE, error }
    }
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Self {
        Self { code: USAGE, error: error.into() }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match &error {
            LoadError::Permission(_) => Self::privileges(format!("{error} (needs CAP_BPF and CAP_PERFMON, or root)")),
            LoadError::Unsupported { .. } => Self::unsupported(error.to_string()),
            LoadError::Failed { log, .. } if !log.is_empty() => {
                Self::bpf(format!("{error}; libbpf said:\n{}", log.trim_end()))
            }
            _ => Self::bpf(error.to_string()),
        }
    }
}
