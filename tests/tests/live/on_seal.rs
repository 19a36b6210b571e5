//! `--on-seal`: what is run for sealed segments, as whom, and that the recording never waits for it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crypto_trace_tests::{Capture, live};
use rustix::process::Signal;

use crate::support::{directory, until};
use crate::words;

/// A program that any user may run.
fn program(dir: &Path, script: &str) -> PathBuf {
    let path = dir.join("told");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A file that any user may append to.
fn log(dir: &Path) -> PathBuf {
    let path = dir.join("log");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    path
}

fn lines(log: &Path) -> Vec<String> {
    std::fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect()
}

/// Whether any helper that tells this program is there.
fn helper_of(program: &Path) -> bool {
    let ours = |entry: std::fs::DirEntry| {
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        words.nth(1) == Some(b"__on-seal") && words.any(|word| word == program.as_os_str().as_encoded_bytes())
    };
    Path::new("/proc").read_dir().unwrap().flatten().any(ours)
}

#[test]
fn every_sealed_segment_is_told_of_once_without_privileges() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let log = log(&dir);
    // Nothing of ours is in its way: no descriptor, no capability, no input, no word of the environment.
    let told = program(
        &dir,
        &format!(
            "exec >>{}\ncaps=$(grep -c '^Cap\\(Inh\\|Prm\\|Eff\\|Amb\\):.0*$' /proc/self/status)\n\
             ours=$(readlink /proc/$$/fd/* | grep -c 'ctseg\\|bpf\\|perf\\|capture')\n\
             echo \"$# $1 $(id -u) $(id -G) $caps $(awk '/^NoNewPrivs/ {{print $2}}' /proc/self/status) $(nice) $ours $(wc -c) $SECRET$HOME\"",
            log.display()
        ),
    );
    let capture = Capture::new().options(words!["--on-seal", &told]).workload(words!["wait"]).start();
    for segments in 1..=3 {
        capture.process.signal(Signal::HUP);
        until("the segment is told of", || lines(&log).len() == segments);
    }
    let done = capture.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let expected: Vec<String> = done.segments().iter().map(|path| path.display().to_string()).collect();
    assert_eq!(expected.len(), 4);
    let home = lines(Path::new("/etc/passwd"));
    let home = home.iter().find(|line| line.starts_with("nobody:")).unwrap().split(':').nth(5).unwrap();
    let expected: Vec<String> = expected.iter().map(|path| format!("1 {path} 65534 65534 4 1 0 0 0 {home}")).collect();
    assert_eq!(lines(&log), expected);
    assert!(!helper_of(&told));
}

#[test]
fn what_fails_is_said_once_and_costs_the_recording_nothing() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let log = log(&dir);
    let told = program(&dir, &format!("echo x >>{}\nexit 3", log.display()));
    let capture = Capture::new().options(words!["--on-seal", &told]).workload(words!["wait"]).start();
    for segments in 1..=3 {
        capture.process.signal(Signal::HUP);
        until("the segment is told of", || lines(&log).len() == segments);
    }
    let done = capture.finish();
    assert_eq!((done.code(), lines(&log).len()), (0, 4), "{}", done.stderr);
    assert_eq!(done.stderr.matches("failed with exit code 3; it is not run again").count(), 1, "{}", done.stderr);
    assert!(done.stderr.contains("failed 3 more times, of 4"), "{}", done.stderr);
    let missing = dir.join("missing");
    let done = Capture::new().options(words!["--on-seal", &missing]).workload(words!["quiet"]).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(done.stderr.contains("missing") && done.stderr.contains("cannot be run: No such file"), "{}", done.stderr);
}

#[test]
fn a_program_that_hangs_stops_neither_the_recording_nor_its_end() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let log = log(&dir);
    let gate = dir.join("gate");
    let told =
        program(&dir, &format!("echo x >>{}\nwhile [ ! -e {} ]; do sleep 0.1; done", log.display(), gate.display()));
    // With paths as long as may be, a pipe holds few.
    let mut output = dir.clone();
    while output.as_os_str().len() < 3_700 {
        output.push("x".repeat(180));
    }
    let options = words!["--on-seal", &told];
    let capture = Capture::new().output(&output).options(options).workload(words!["wait"]).start();
    for segments in 1..=40 {
        capture.process.signal(Signal::HUP);
        until("another segment", || capture.segments().len() > segments);
    }
    assert_eq!(lines(&log).len(), 1, "one at a time");
    let (done, waited) = capture.stop_and_then(Signal::TERM, || std::fs::write(&gate, "").unwrap());
    assert!(waited < std::time::Duration::from_secs(13), "{waited:?}");
    assert_eq!(done.segments().len(), 41);
    assert!(
        done.stderr.contains("--on-seal does not keep up: it was not run for 1 sealed segments"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("--on-seal was not run for ") && done.stderr.contains("goes on without"),
        "{}",
        done.stderr
    );
    until("the helper has ended", || !helper_of(&told));
    let told_of = lines(&log).len();
    let rest = done.stderr.split_once("--on-seal was not run for ").unwrap().1.split_once(' ').unwrap().0;
    assert_eq!(told_of + 1 + rest.parse::<usize>().unwrap(), 41, "{}", done.stderr);
}

#[test]
fn a_user_who_cannot_be_had_is_refused_before_anything_is_recorded() {
    let Some(_permit) = live() else { return };
    for (user, why) in [("no-such-user", "there is no user `no-such-user`"), ("root", "is root")] {
        let done = Capture::new().options(["--on-seal", "true", "--on-seal-user", user]).command(["true"]).run();
        assert_eq!(done.code(), 125, "{}", done.stderr);
        assert!(done.stderr.contains(why) && !done.output.exists(), "{}", done.stderr);
    }
    let done = Capture::new().options(["--on-seal-user", "nobody"]).command(["true"]).run();
    assert!(done.stderr.contains("--on-seal"), "{}", done.stderr);
}
