//! What tests stand on: directories of their own, waiting for what must come, a library of this machine.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::run;

/// A directory of the test's own, which any user may enter, without symbolic links in its path.
pub fn directory() -> (TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = directory.path().canonicalize().unwrap();
    (directory, path)
}

/// Waits until `happened`; fails when it does not within half a minute.
pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < Duration::from_secs(30), "never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The libssl that the `openssl` of this machine uses.
pub fn libssl() -> Option<PathBuf> {
    let openssl = std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join("openssl")).find(|p| p.exists());
    let list = run(Command::new("ldd").arg(openssl?));
    let text = list.text();
    text.split_whitespace().find(|word| word.starts_with('/') && word.contains("libssl.so")).map(PathBuf::from)
}
