//! What several of the live tests need: directories, files, and what the workload said.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crypto_trace_tests::{Finished, Process, analyze_binary, run};
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

/// A cgroup that goes when this does.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes one; the reason when that is not possible here.
    pub fn new(name: &str) -> Result<Self, String> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let root = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (at, kind) = (words.next()?, words.next()?);
            (kind == "cgroup2").then_some(at)
        });
        let path = Path::new(root.ok_or("cgroup v2 is not mounted")?).join(name);
        std::fs::create_dir(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Moves a process into it.
    pub fn add(&self, process: &Process) {
        std::fs::write(self.0.join("cgroup.procs"), process.pid().to_string()).unwrap();
    }

    /// Ids of the processes in it.
    pub fn processes(&self) -> Vec<u32> {
        let list = std::fs::read_to_string(self.0.join("cgroup.procs")).unwrap();
        list.lines().map(|line| line.parse().unwrap()).collect()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Its processes have ended, or do so now because the test has failed.
        for _ in 0..5_000 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

/// Words of different types as one list of arguments.
#[macro_export]
macro_rules! words {
    ($($word:expr),* $(,)?) => { [$( std::ffi::OsString::from(&$word) ),*] };
}
