//! How many descriptors there may be. Probes need some for each library, so we take what we may have; what we start has what it would
//! have had.

pub(crate) mod allocator;
pub(crate) mod privileges;
pub(crate) mod seccomp;

use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that probes leave for everything else: segments, /proc, what is looked at.
const RESERVE: u64 = 64;

/// What there was before.
static BEFORE: OnceLock<Option<u64>> = OnceLock::new();

/// Raises the soft limit to the hard one.
pub fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let _ = BEFORE.set(limit.current);
    // Where that is refused the reserve is kept all the same.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// The soft limit as we were given it, as a word: for [`give_back`].
pub fn before() -> String {
    let before = BEFORE.get().copied().unwrap_or_else(|| getrlimit(Resource::Nofile).current);
    before.map_or_else(|| "unlimited".to_owned(), |before| before.to_string())
}

/// Sets the soft limit to what [`before`] said.
pub fn give_back(before: &str) {
    let limit = getrlimit(Resource::Nofile);
    let current = if before == "unlimited" { None } else { before.parse().ok().or(limit.current) };
    // It was allowed before.
    let _ = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
}

/// Whether there are descriptors for probes; if not, how many there may be. Any descriptor will do.
pub fn descriptors_are_left(any: BorrowedFd<'_>) -> Result<(), u64> {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(()) };
    // The lowest that is free is given, so this is about how many there are.
    let used = rustix::io::fcntl_dupfd_cloexec(any, 0)
        .map_or(limit, |lowest| u64::try_from(lowest.as_raw_fd()).unwrap_or(limit));
    if used.saturating_add(RESERVE) > limit { Err(limit) } else { Ok(()) }
}
