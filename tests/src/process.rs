//! Processes that a test starts: waited for with a limit, their output read while they run, and never left behind.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::{limits, own_libraries};

/// Nothing a test starts takes longer; what does hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// The same where this is set: in a virtual machine that emulates its processor, where loading programs alone takes most of that.
const PATIENCE: &str = "CRYPTO_TRACE_TEST_PATIENCE_S";

/// How long to wait.
fn limit() -> Duration {
    let patience = std::env::var(PATIENCE).ok().and_then(|seconds| seconds.parse().ok());
    patience.map_or(LIMIT, Duration::from_secs)
}

/// Lines of standard error as they come.
#[derive(Default)]
struct Lines {
    text: Mutex<(String, bool)>,
    changed: Condvar,
}

/// A running process.
pub struct Process {
    child: Child,
    lines: Arc<Lines>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<()>>,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error.
    pub stderr: String,
    /// From the call that waited for it to its end.
    pub waited: Duration,
}

impl Finished {
    /// Exit code, or 128 and the signal, as shells tell it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// It ended with code 0; else the test fails with what was on standard error.
    #[track_caller]
    pub fn expect_success(&self) {
        assert_eq!(self.code(), 0, "standard error:\n{}", self.stderr);
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Process {
    /// Starts `command`; standard output and error are read from now on. Standard input is as the command has it.
    pub fn spawn(command: &mut Command) -> Self {
        let (mut process, mut out) = Self::spawn_with_output(command);
        process.stdout = Some(std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // What came before an error is what there is.
            let _ = out.read_to_end(&mut bytes);
            bytes
        }));
        process
    }

    /// The same, with its standard output left to the caller.
    pub fn spawn_with_output(command: &mut Command) -> (Self, ChildStdout) {
        own_libraries::give_to(command);
        limits::give_to(command);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let lines = Arc::new(Lines::default());
        let out = child.stdout.take().unwrap();
        let err = BufReader::new(child.stderr.take().unwrap());
        let told = Arc::clone(&lines);
        let process = Self {
            child,
            lines,
            stdout: None,
            stderr: Some(std::thread::spawn(move || {
                for line in err.split(b'\n').map_while(Result::ok) {
                    told.text.lock().unwrap().0 += &(String::from_utf8_lossy(&line) + "\n");
                    told.changed.notify_all();
                }
                told.text.lock().unwrap().1 = true;
                told.changed.notify_all();
            })),
        };
        (process, out)
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process, for its standard input.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits until standard error contains `text`.
    pub fn wait_for(&self, text: &str) {
        let held = self.lines.text.lock().unwrap();
        let (held, waited) = self
            .lines
            .changed
            .wait_timeout_while(held, limit(), |(have, ended)| !have.contains(text) && !*ended)
            .unwrap();
        assert!(held.0.contains(text) && !waited.timed_out(), "no `{text}` on standard error, but:\n{}", held.0);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.raw_pid(), signal).unwrap();
    }

    fn raw_pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// Waits for its end, but not for that of others that hold its standard output; returns how long that took.
    pub fn wait(&self) -> Duration {
        let started = Instant::now();
        let pidfd = pidfd_open(self.raw_pid(), PidfdFlags::empty()).unwrap();
        let patience = limit();
        let limit = Timespec { tv_sec: i64::try_from(patience.as_secs()).unwrap(), tv_nsec: 0 };
        let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit)).unwrap();
        assert!(ended > 0, "still running after {patience:?}; standard error:\n{}", self.lines.text.lock().unwrap().0);
        started.elapsed()
    }

    /// Closes its standard input and waits for its end.
    pub fn finish(mut self) -> Finished {
        drop(self.child.stdin.take());
        let waited = self.wait();
        let status = self.child.wait().unwrap();
        let stdout = self.stdout.take().map_or_else(Vec::new, |reader| reader.join().unwrap());
        self.stderr.take().unwrap().join().unwrap();
        let stderr = self.lines.text.lock().unwrap().0.clone();
        Finished { status, stdout, stderr, waited }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended already, most of the time; after a failed assertion it must not outlive the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `command` to its end.
pub fn run(command: &mut Command) -> Finished {
    Process::spawn(command).finish()
}

/// A process id as libc has it.
pub fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}
