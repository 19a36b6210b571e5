//! Which tests can run here, and how many at once.

use std::io::Write as _;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use crate::Capture;

/// Captures that run at once: as many as the smallest machine of CI has cores.
const PERMITS: usize = 2;

/// Set to 1 in CI: what cannot run fails.
const REQUIRE: &str = "CRYPTO_TRACE_REQUIRE_LIVE";

/// Names the file that `make test` lists at its end: a line for each test that could not run.
const SKIPPED_FILE: &str = "CRYPTO_TRACE_SKIPPED_FILE";

static FREE: Mutex<usize> = Mutex::new(PERMITS);
static CHANGED: Condvar = Condvar::new();

/// The right to run a live test; others wait while it is held.
#[must_use]
#[derive(Debug)]
pub struct Permit(usize);

impl Permit {
    fn take(count: usize) -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = CHANGED.wait_while(free, |free| *free < count).unwrap_or_else(PoisonError::into_inner);
        *free -= count;
        Self(count)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += self.0;
        CHANGED.notify_all();
    }
}

/// Call first in a live test. `None`: this machine does not allow it, which has been said; return.
pub fn live() -> Option<Permit> {
    begin(1)
}

/// The same for a test that needs the machine to itself, as far as this test run goes.
pub fn alone() -> Option<Permit> {
    begin(PERMITS)
}

fn begin(count: usize) -> Option<Permit> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    let missing = MISSING.get_or_init(|| {
        let done = Capture::new().command(["true"]).run();
        match done.code() {
            // Privileges missing, or a kernel that lacks something. Anything else is a defect and fails the tests.
            3 | 4 => Some(done.stderr.trim().trim_start_matches("crypto-trace-capture: error: ").to_owned()),
            _ => None,
        }
    });
    match missing {
        Some(reason) => {
            skip(reason);
            None
        }
        None => Some(Permit::take(count)),
    }
}

/// Says that the running test cannot run here, and why; with `CRYPTO_TRACE_REQUIRE_LIVE=1` it fails instead.
pub fn skip(reason: &str) {
    let required = std::env::var_os(REQUIRE).is_some_and(|value| value == "1");
    assert!(!required, "cannot run here, and {REQUIRE} is set: {reason}");
    // The test harness names each test's thread after it.
    let thread = std::thread::current();
    let line = format!("{}: {}\n", thread.name().unwrap_or("unnamed"), reason.replace('\n', " "));
    if let Some(path) = std::env::var_os(SKIPPED_FILE) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    #[allow(clippy::print_stderr, reason = "this is for the person who runs the tests")]
    {
        eprint!("SKIPPED: {line}");
    }
}
