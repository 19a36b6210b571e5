//! `record --check`: whether what a configuration names is there, and what it asks for is possible. Nothing is made or changed.

use std::path::Path;

use rustix::fs::{Access, access, statvfs};
use rustix::io::Errno;

use crate::args::RecordArgs;
use crate::on_seal;
use crate::proc::cgroup;
use crate::units::show_size;

/// What is wrong, each with its key; what only the service may see is left to it.
pub fn problems(args: &RecordArgs) -> Vec<String> {
    let mut problems = Vec::new();
    let mut add = |key: &str, result: Result<(), String>| {
        if let Err(message) = result {
            problems.push(format!("{key}: {message}"));
        }
    };
    if !args.to_stdout() {
        add("output", output(args.output()));
        add("retain-bytes", retained(args));
    }
    if let Some(path) = &args.capture.metrics_file {
        add("metrics-file", metrics_file(path));
    }
    for path in &args.capture.cgroup {
        add("cgroup", cgroup::open(path).map(drop).map_err(|failure| format!("{:#}", failure.error)));
    }
    add("on-seal-user", on_seal::check(args).map_err(|failure| format!("{:#}", failure.error)));
    add("ring-size", ring(args));
    problems
}

/// A directory that is there or can be made, or a file that is not there.
fn output(path: &Path) -> Result<(), String> {
    let shown = path.display();
    if path.is_dir() {
        return writable(path);
    }
    if path.symlink_metadata().is_ok() {
        return Err(format!("{shown} exists and is not a directory"));
    }
    let parent = parent(path);
    // Of a directory all that lead to it are made.
    let nearest = parent.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(Path::new("."));
    if !nearest.is_dir() {
        return Err(format!("{shown}: {} is not a directory", nearest.display()));
    }
    if nearest != parent && crate::out::destination::is_file(path) {
        return Err(format!("{shown}: there is no directory {}", parent.display()));
    }
    writable(nearest)
}

fn metrics_file(path: &Path) -> Result<(), String> {
    let directory = parent(path);
    if path.is_dir() || path.file_name().is_none() {
        return Err(format!("{} is a directory: name a file in it", path.display()));
    }
    if !directory.is_dir() {
        return Err(format!("there is no directory {}", directory.display()));
    }
    writable(directory)
}

/// Whether files can be made in a directory: as far as we can tell, since others may be the ones to create them.
fn writable(directory: &Path) -> Result<(), String> {
    match access(directory, Access::WRITE_OK | Access::EXEC_OK) {
        Err(Errno::ACCESS | Errno::PERM) if !rustix::process::geteuid().is_root() => Ok(()),
        Err(error) => Err(format!("{}: cannot be written to: {error}", directory.display())),
        Ok(()) => Ok(()),
    }
}

/// Less than one segment cannot be kept, and no more than the disk holds.
fn retained(args: &RecordArgs) -> Result<(), String> {
    let Some(kept) = args.retain_bytes else { return Ok(()) };
    if kept < args.segment_size {
        return Err(format!(
            "{} is less than one segment, which segment-size lets grow to {}",
            show_size(kept),
            show_size(args.segment_size)
        ));
    }
    let there = args.output().ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    match statvfs(there) {
        Ok(disk) if kept > disk.f_blocks.saturating_mul(disk.f_frsize) => Err(format!(
            "{} is more than the whole file system of {}, which has {}",
            show_size(kept),
            args.output().display(),
            show_size(disk.f_blocks.saturating_mul(disk.f_frsize))
        )),
        _ => Ok(()),
    }
}

/// The kernel takes it from its own memory.
fn ring(args: &RecordArgs) -> Result<(), String> {
    let memory = rustix::system::sysinfo();
    let memory = memory.totalram.saturating_mul(u64::from(memory.mem_unit));
    if args.capture.ring_size > memory / 2 {
        return Err(format!(
            "{} is more than half of this host's memory, which is {}",
            show_size(args.capture.ring_size),
            show_size(memory)
        ));
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
