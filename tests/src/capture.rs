//! One run of `crypto-trace-capture record`, and what it recorded.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::events::Trace;
use crate::faults::Faults;
use crate::process::{Finished, Process};
use crate::{capture_binary, workload};

/// The beginning of a line of `--verbose` that is told when everything is recorded.
pub const ATTACHED: &str = "process_exec: attached (";

/// Names the attach tier that captures are to use, where there are several: see tests/kernels/matrix.
const TIER: &str = "CRYPTO_TRACE_TIER";

/// What a capture does not record in this time it never will.
const LIMIT: Duration = Duration::from_secs(30);

/// A capture to be started: `record -v -o TEMP/capture OPTIONS [-- COMMAND]`.
#[derive(Debug)]
pub struct Capture {
    directory: TempDir,
    output: OsString,
    options: Vec<OsString>,
    command: Vec<OsString>,
    current_dir: Option<PathBuf>,
    faults: Option<Faults>,
}

impl Default for Capture {
    fn default() -> Self {
        Self::new()
    }
}

impl Capture {
    /// A capture into a directory of its own.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
        let output = directory.path().join("capture").into();
        Self { directory, output, options: Vec::new(), command: Vec::new(), current_dir: None, faults: None }
    }

    /// Writes somewhere else.
    pub fn output(mut self, output: impl Into<OsString>) -> Self {
        self.output = output.into();
        self
    }

    /// More options.
    pub fn options<S: AsRef<OsStr>>(mut self, options: impl IntoIterator<Item = S>) -> Self {
        self.options.extend(options.into_iter().map(|option| option.as_ref().to_owned()));
        self
    }

    /// The command to trace.
    pub fn command<S: AsRef<OsStr>>(mut self, command: impl IntoIterator<Item = S>) -> Self {
        self.command = command.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// Traces the workload, see `src/bin/workload.rs` for its steps.
    pub fn workload<S: AsRef<OsStr>>(self, steps: impl IntoIterator<Item = S>) -> Self {
        let steps = steps.into_iter().map(|step| step.as_ref().to_owned());
        self.command(std::iter::once(workload().into()).chain(steps))
    }

    /// Runs in this directory.
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(directory.into());
        self
    }

    /// Runs behind these faults, and its command too.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }

    /// Starts it.
    pub fn spawn(self) -> Running {
        let mut command = Command::new(capture_binary());
        command.args(["record", "-v", "-o"]).arg(&self.output).args(&self.options);
        if let Some(tier) = std::env::var_os(TIER) {
            command.arg("--tier").arg(tier);
        }
        if !self.command.is_empty() {
            command.arg("--").args(&self.command);
        }
        if let Some(directory) = &self.current_dir {
            command.current_dir(directory);
        }
        if let Some(faults) = self.faults {
            faults.give_to(&mut command);
        }
        command.stdin(Stdio::piped());
        Running { process: Process::spawn(&mut command), directory: self.directory, output: self.output.into() }
    }

    /// Starts it and waits until everything that happens is recorded.
    pub fn start(self) -> Running {
        let running = self.spawn();
        running.process.wait_for(ATTACHED);
        running
    }

    /// Runs it to its end.
    pub fn run(self) -> Done {
        self.spawn().finish()
    }
}

/// A running capture.
pub struct Running {
    /// The capture's process.
    pub process: Process,
    directory: TempDir,
    output: PathBuf,
}

impl Running {
    /// Sends `signal` and waits for the end.
    pub fn stop(self, signal: Signal) -> Done {
        self.process.signal(signal);
        self.finish()
    }

    /// Sends `signal`, waits for the end of the capture itself, then does `and_then`: what it left behind may still hold its
    /// standard output. Returns also how long the capture took to end.
    pub fn stop_and_then(self, signal: Signal, and_then: impl FnOnce()) -> (Done, Duration) {
        self.process.signal(signal);
        let waited = self.process.wait();
        and_then();
        (self.finish(), waited)
    }

    /// Closes its standard input, which is the command's, and waits for the end.
    pub fn finish(self) -> Done {
        let finished = self.process.finish();
        Done { finished, output: self.output, directory: self.directory }
    }

    /// Segments that are there now, oldest first.
    pub fn segments(&self) -> Vec<PathBuf> {
        segments(&self.output)
    }

    /// What can be read of them now.
    pub fn so_far(&self) -> Trace {
        Trace::read_so_far(&self.segments())
    }

    /// Waits until this can be said of what can be read.
    pub fn wait_until(&self, what: &str, said: impl Fn(&Trace) -> bool) -> Trace {
        let started = Instant::now();
        loop {
            let trace = self.so_far();
            if said(&trace) {
                return trace;
            }
            assert!(started.elapsed() < LIMIT, "never recorded: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A capture that has ended.
#[derive(Debug)]
pub struct Done {
    finished: Finished,
    /// Where it wrote.
    pub output: PathBuf,
    directory: TempDir,
}

impl std::ops::Deref for Done {
    type Target = Finished;
    fn deref(&self) -> &Finished {
        &self.finished
    }
}

impl Done {
    /// Segments, oldest first, those without a seal included.
    pub fn segments(&self) -> Vec<PathBuf> {
        segments(&self.output)
    }

    /// The temporary directory that goes when this does.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Everything that was recorded. Fails when a segment is damaged or not sealed, or when something was dropped.
    pub fn trace(&self) -> Trace {
        for segment in self.segments() {
            let sealed = segment.extension().is_some_and(|extension| extension == "ctseg");
            assert!(sealed, "{} is not sealed; standard error:\n{}", segment.display(), self.stderr);
        }
        let trace = self.trace_as_it_is();
        assert!(trace.faults.is_empty(), "damaged: {:?}", trace.faults);
        trace
    }

    /// Everything that can be read, whatever state it is in.
    pub fn trace_as_it_is(&self) -> Trace {
        let segments = self.segments();
        assert!(!segments.is_empty(), "no segments; standard error:\n{}", self.stderr);
        Trace::read(&segments)
    }
}

fn segments(output: &Path) -> Vec<PathBuf> {
    if output.is_file() {
        return vec![output.to_path_buf()];
    }
    let Ok(entries) = std::fs::read_dir(output) else { return Vec::new() };
    let mut segments: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.to_string_lossy().contains(".ctseg"));
    segments.sort();
    segments
}
