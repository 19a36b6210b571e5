//! Do no harm: programs do TLS while captures of them start, stop and are killed, and not one of their handshakes fails.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crypto_trace_tests::{ATTACHED, Capture, Process, alone, capture_binary, run};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::peers;
use crate::support::handshakes;

/// Nothing of what is waited for takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// A program that connects to itself by TLS, again and again, and counts.
struct Target {
    process: Process,
    directory: TempDir,
}

impl Target {
    /// Starts `sh -c COMMAND` in a directory of its own with the certificates of `made`.
    fn start(made: &Path, command: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
        for name in ["cert", "key"] {
            std::fs::copy(made.join(name), directory.path().join(name)).unwrap();
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {command}")]).current_dir(directory.path()).stdin(Stdio::piped());
        let target = Self { process: Process::spawn(&mut shell), directory };
        target.more(1);
        target
    }

    /// Handshakes so far.
    fn count(&self) -> u64 {
        let text = std::fs::read_to_string(self.directory.path().join("count")).unwrap_or_default();
        text.parse().unwrap_or(0)
    }

    /// Waits for so many more.
    fn more(&self, count: u64) {
        let (before, started) = (self.count(), Instant::now());
        while self.count() < before + count {
            assert!(started.elapsed() < LIMIT, "no handshakes any more after {before}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A key, and a certificate of itself.
fn certificate() -> TempDir {
    let directory = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    let made = run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args([
            "-subj",
            "/CN=server.test",
            "-addext",
            "subjectAltName=DNS:server.test",
            "-keyout",
            "key",
            "-out",
            "cert",
        ])
        .current_dir(directory.path()));
    assert_eq!(made.code(), 0, "{}", made.stderr);
    directory
}

#[test]
fn targets_outlive_captures_that_start_stop_and_are_killed() {
    let Some(_permit) = alone() else { return };
    let Some(go) = peers::go() else { return };
    let certificate = certificate();
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("software/python/loop.py");
    let targets = [
        Target::start(certificate.path(), &format!("{} loop cert key cert", go.path().display())),
        Target::start(certificate.path(), &format!("python3 {} cert key cert", python.display())),
    ];
    let pids = targets.each_ref().map(|target| target.process.pid());
    let [go, python] = pids.map(|pid| pid.to_string());
    let options = ["--tls", "on", "-p", &go, "-p", &python];
    let goes_on = |count| targets.iter().for_each(|target| target.more(count));

    for how in [Signal::INT, Signal::KILL, Signal::TERM, Signal::KILL] {
        let running = Capture::new().options(options).start();
        // The first of them may have begun before.
        goes_on(21);
        let done = running.stop(how);
        goes_on(5);
        if how != Signal::KILL {
            assert_eq!(done.code(), 0, "{}", done.stderr);
            // It was they who were traced, and it was TLS, also by probes in the library of the one that has one.
            let seen = handshakes(&done.output);
            assert!(seen.iter().any(|event| event["pid"] == pids[1] && event["api_function"] == "SSL_do_handshake"));
            for (target, pid) in targets.iter().zip(&pids) {
                let ends = seen.iter().filter(|event| event["pid"] == *pid).count();
                assert!(ends >= 2 * 20, "{ends} of {}, which is at {}", pid, target.count());
            }
        }
    }
    // Killed at any moment of its start: with nothing attached, with some, with all.
    let output = certificate.path().join("killed");
    let start = || {
        let mut command = Command::new(capture_binary());
        command.args(["record", "-v", "-o"]).arg(&output).args(options).stdin(Stdio::null());
        Process::spawn(&mut command)
    };
    let begun = Instant::now();
    let process = start();
    process.wait_for(ATTACHED);
    let whole = begun.elapsed();
    process.signal(Signal::KILL);
    process.finish();
    for part in 0..8 {
        let process = start();
        std::thread::sleep(whole * part / 7);
        process.signal(Signal::KILL);
        assert_eq!(process.finish().code(), 128 + 9);
        goes_on(5);
    }
    for target in targets {
        let count = target.count();
        let done = target.process.finish();
        assert_eq!(done.code(), 0, "after {count}: {}", done.stderr);
        assert_eq!(done.stderr, "");
    }
}
