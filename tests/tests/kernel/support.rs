//! Python scripts that ask the kernel, and what was recorded of them.

use crypto_trace_format::record::ApiLevel;
use crypto_trace_tests::{Call, Capture, Done, Event, Trace};

/// Makes `call(name, number, arguments…)`, which prints `name result`, with -errno for a failed call.
const PRELUDE: &str = r#"
import ctypes, os, platform, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = {
    "x86_64": dict(bind=49, setsockopt=54, add_key=248, request_key=249, keyctl=250),
    "aarch64": dict(bind=200, setsockopt=208, add_key=217, request_key=218, keyctl=219),
}[platform.machine()]
def call(name, *arguments):
    arguments = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    result = libc.syscall(ctypes.c_long(NUMBERS[name]), *arguments)
    print(name, result if result >= 0 else -ctypes.get_errno(), flush=True)
    return result
"#;

/// A finished script.
pub struct Run {
    /// The capture.
    pub done: Done,
    /// All of its records.
    pub trace: Trace,
    /// The results that the script printed, by name, in order.
    said: Vec<(String, i64)>,
}

/// Runs a Python script, with options for `record`.
pub fn trace(options: &[&str], script: &str) -> Run {
    let dir = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    // In a file: what is in its argument vector would be recorded as such.
    std::fs::write(dir.path().join("script.py"), format!("{PRELUDE}{script}")).unwrap();
    let capture = Capture::new().options(options).current_dir(dir.path());
    let done = capture.command(["timeout", "-k", "1", "50", "python3", "script.py"]).run();
    assert_eq!(done.code(), 0, "{}\n{}", done.text(), done.stderr);
    let text = done.text();
    let said = text.lines().filter_map(|line| {
        let (name, result) = line.split_once(' ')?;
        Some((name.to_owned(), result.parse().ok()?))
    });
    Run { said: said.collect(), trace: done.trace(), done }
}

impl Run {
    /// What the script printed under this name, in order.
    pub fn said(&self, name: &str) -> Vec<i64> {
        self.said.iter().filter(|(said, _)| said == name).map(|(_, result)| *result).collect()
    }

    /// The recorded system calls of this name by the script, in order.
    pub fn calls(&self, function: &str) -> Vec<(&Event, &Call)> {
        let mut calls = kernel_calls(&self.trace, function);
        calls.retain(|(event, _)| event.comm().starts_with(b"python3"));
        calls
    }
}

/// The recorded system calls of this name, in order.
pub fn kernel_calls<'a>(trace: &'a Trace, function: &str) -> Vec<(&'a Event, &'a Call)> {
    let mut calls = trace.calls();
    calls.retain(|(_, call)| call.fixed.level == ApiLevel::KERNEL.0 && call.function == function);
    calls
}
