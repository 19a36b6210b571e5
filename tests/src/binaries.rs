//! Where the programs under test are: built once per test run, in the profile the tests themselves were built in.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The directory of this run's binaries, for example `target/debug`.
pub(crate) fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        if let Some(directory) = std::env::var_os("CRYPTO_TRACE_BIN_DIR") {
            return directory.into();
        }
        // target/PROFILE/deps/TEST-HASH
        let exe = std::env::current_exe().unwrap();
        let directory = exe.ancestors().nth(2).unwrap().to_path_buf();
        let profile = match directory.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            other => other,
        };
        // The whole workspace, so that features are those of every other build of it and nothing is built twice.
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--workspace", "--bins", "--profile", profile])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(status.success(), "the programs under test do not build");
        directory
    })
}

/// Path of `crypto-trace-capture`.
pub fn capture_binary() -> PathBuf {
    directory().join("crypto-trace-capture")
}

/// Path of `crypto-trace-analyze`.
pub fn analyze_binary() -> PathBuf {
    directory().join("crypto-trace-analyze")
}

/// Path of the workload, see `src/bin/workload.rs`.
pub fn workload() -> PathBuf {
    directory().join("workload")
}

/// Path of the flood, see `src/bin/flood.rs`.
pub fn flood() -> PathBuf {
    directory().join("flood")
}

/// Path of the process that takes much room in /proc, see `src/bin/large.rs`.
pub fn large() -> PathBuf {
    directory().join("large")
}

/// Puts a program somewhere else, to be run from there at once.
///
/// Not by writing it from here: a process that another test forks meanwhile would hold it open for writing, and it could
/// not be executed (ETXTBSY).
pub fn put_program(program: &Path, at: &Path) {
    if std::fs::hard_link(program, at).is_err() {
        let status = Command::new("cp").arg(program).arg(at).status().unwrap();
        assert!(status.success(), "cannot copy {}", program.display());
    }
}
