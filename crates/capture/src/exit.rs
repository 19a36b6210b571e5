//! Exit codes, and errors that know theirs.

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
