//! What several of the live tests need: directories, files, and what the workload said.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crypto_trace_tests::{Finished, analyze_binary, run};
pub use crypto_trace_tests::{directory, until};
use serde_json::Value;

/// A small file; its directories are made as needed.
pub fn touch(path: &Path) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "not a key\n").unwrap();
    path.to_path_buf()
}

/// One open as the workload saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Descriptor or -errno.
    pub result: i32,
    /// Device as records have it.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
}

/// What the workload printed of its opens, in order.
pub fn said(stdout: &[u8]) -> Vec<Said> {
    let line = |line: &str| {
        let numbers: Vec<i64> = line.strip_prefix("open ")?.split(' ').map(|word| word.parse().unwrap()).collect();
        let [result, dev, ino] = numbers[..] else { panic!("not an answer: {line}") };
        let result = i32::try_from(result).unwrap();
        Some(Said { result, dev: dev.try_into().unwrap(), ino: ino.try_into().unwrap() })
    };
    String::from_utf8_lossy(stdout).lines().filter_map(line).collect()
}

/// Runs `crypto-trace-analyze` to its end.
pub fn analyze<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Finished {
    run(Command::new(analyze_binary()).args(arguments))
}

/// What `crypto-trace-analyze events` shows of `input`, with these options.
pub fn shown(input: &Path, options: &[&str]) -> Vec<Value> {
    let mut arguments: Vec<&OsStr> = vec![OsStr::new("events"), OsStr::new("--no-redact")];
    arguments.extend(options.iter().map(OsStr::new));
    arguments.push(input.as_os_str());
    let done = analyze(arguments);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    done.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Numbers of the line that a capture ends with: recorded, lost, dropped, segments.
pub fn stop_line(stderr: &str) -> [u64; 4] {
    let line = stderr.lines().find(|line| line.starts_with("Events recorded: "));
    let line = line.unwrap_or_else(|| panic!("no stop line in:\n{stderr}"));
    ["recorded: ", "lost: ", "dropped: ", "segments: "].map(|what| {
        let (_, rest) = line.split_once(what).unwrap();
        rest.split(',').next().unwrap().trim().parse().unwrap()
    })
}

/// Words of different types as one list of arguments.
#[macro_export]
macro_rules! words {
    ($($word:expr),* $(,)?) => { [$( std::ffi::OsString::from(&$word) ),*] };
}
