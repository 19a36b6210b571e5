//! Which tests can run here, and how many at once.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use crate::{Capture, capture_binary};

/// Captures that run at once: as many as the smallest machine of CI has cores.
const PERMITS: usize = 2;

/// Set in CI: what cannot run fails.
const REQUIRE: &str = "CRYPTO_TRACE_REQUIRE_LIVE";

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
            3 | 4 => Some(done.stderr.trim().to_owned()),
            _ => None,
        }
    });
    match missing {
        Some(reason) => {
            skip(reason);
            None
        }
        None => {
            let permit = Permit::take(count);
            let _ = std::fs::remove_file(note());
            Some(permit)
        }
    }
}

/// Says that the running test cannot run here, and leaves a note for `make test` to list at its end.
pub fn skip(reason: &str) {
    assert!(std::env::var_os(REQUIRE).is_none(), "cannot run here, and {REQUIRE} is set: {reason}");
    let test = test_name();
    let (note, line) = (note(), format!("{test}: {reason}\n"));
    std::fs::create_dir_all(note.parent().unwrap()).unwrap();
    std::fs::write(&note, &line).unwrap();
    #[allow(clippy::print_stderr, reason = "this is for the person who runs the tests")]
    {
        eprint!("SKIPPED: {line}");
    }
}

/// `target/could-not-run/TEST`: one line with the reason.
fn note() -> PathBuf {
    let target = capture_binary().ancestors().nth(2).map(Path::to_path_buf).unwrap();
    target.join("could-not-run").join(test_name().replace("::", "-"))
}

/// The test harness names each test's thread after it.
fn test_name() -> String {
    std::thread::current().name().unwrap_or("unnamed").to_owned()
}
