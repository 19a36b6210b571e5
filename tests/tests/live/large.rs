//! A process that takes more room in /proc than any other, beside one whose events are wanted.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crypto_trace_format::record::flags;
use crypto_trace_tests::{Capture, Process, Trace, large, live, workload};
use rustix::process::Signal;

use crate::support::{directory, touch};

/// Bytes that a recording may take: docs/operations.md. The unit has 128 MB.
const BYTES: u64 = 96 << 20;

/// Most memory that a process has taken so far.
fn peak_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// One that claimed a gigabyte of arguments got the recorder killed within the unit's memory, again with each segment; one with 65,000
/// mappings took 228 MiB.
#[test]
fn a_process_of_any_size_costs_a_recording_little_and_nothing_of_others() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let key = touch(&dir.join("victim.key"));
    let claim: [OsString; 2] = ["claim".into(), (1_u64 << 30).to_string().into()];
    let map: [OsString; 5] =
        ["map-deep".into(), "65000".into(), "3500".into(), dir.clone().into_os_string(), "libssl.so.3".into()];
    let steps = [&["name".into(), "x".into()][..], &map, &claim, &["ready".into()]].concat();
    let large = Process::spawn(Command::new(large()).args(steps).stdin(Stdio::piped()));
    large.wait_for("ready");
    let mut steps: Vec<OsString> =
        "complain ready wait quiet repeat 10000 open 0 0".split(' ').map(Into::into).collect();
    steps.push(key.into_os_string());
    steps.push("wait".into());
    let mut victim = Process::spawn(Command::new(workload()).args(steps).stdin(Stdio::piped()));
    victim.wait_for("ready");
    let options = ["-p".to_owned(), large.pid().to_string(), "-p".to_owned(), victim.pid().to_string()];
    let running = Capture::new().options(options).start();
    // What is open while the processes that are there are looked at is told once more, as open already.
    let opens = |trace: &Trace| {
        let opens = trace.opens_of("victim.key");
        opens.iter().filter(|(event, _)| !event.has(flags::FROM_PROC)).count()
    };
    let tables = |trace: &Trace| trace.infos().iter().filter(|(event, _)| event.header.tgid == large.pid()).count();
    victim.child().stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    running.wait_until("10,000 opens", |trace| opens(trace) >= 10_000);
    // Each segment tells the processes that are there.
    running.process.signal(Signal::HUP);
    running.wait_until("a second table", |trace| tables(trace) >= 2);
    let peak = peak_bytes(running.process.pid());
    let done = running.stop(Signal::TERM);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(peak < BYTES, "{peak} bytes");
    let trace = done.trace();
    assert_eq!(opens(&trace), 10_000);
    let said = done.stderr.matches("have more arguments, libraries or open files than their share").count();
    assert_eq!(said, 1, "once: {}", done.stderr);
}
