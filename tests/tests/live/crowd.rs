//! A host with thousands of processes: each is told once, and their events are theirs.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};

use crypto_trace_format::record::FileOpen;
use crypto_trace_tests::{Capture, Process, alone, skip, workload};
use rustix::process::Signal;

use crate::support::{Cgroup, directory, shown, touch, until};
use crate::words;

#[test]
fn of_thousands_of_processes_each_is_told_once_and_its_events_are_its_own() {
    const CHILDREN: usize = 3_000;
    let Some(_permit) = alone() else { return };
    let cgroup = match Cgroup::new(&format!("crypto-trace-crowd-{}", std::process::id())) {
        Ok(cgroup) => cgroup,
        Err(reason) => return skip(&reason),
    };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("crowd.pem"));
    // The children wait for the end of standard input, then open the file.
    let steps = words!["quiet", "wait", "procs", CHILDREN.to_string(), "wait", "openat", "0", "0", file];
    let mut crowd = Process::spawn(Command::new(workload()).args(steps).stdin(Stdio::piped()));
    cgroup.add(&crowd);
    crowd.child().stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    until("all are there", || cgroup.processes().len() == CHILDREN + 1);
    let there: HashSet<u32> = cgroup.processes().into_iter().collect();

    let options = [std::ffi::OsStr::new("--cgroup"), cgroup.path().as_os_str()];
    let running = Capture::new().options(options).start();
    running.wait_until("the table", |trace| trace.infos().len() > CHILDREN);
    let pid = crowd.pid();
    crowd.finish().expect_success();
    running.wait_until("the last exit", |trace| trace.exits().iter().any(|(event, _)| event.header.tgid == pid));
    let done = running.stop(Signal::TERM);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();

    let infos = trace.infos();
    let told: HashMap<u32, u64> = infos.iter().map(|(event, _)| (event.header.tgid, event.header.start_ns)).collect();
    assert_eq!((infos.len(), told.len()), (CHILDREN + 1, CHILDREN + 1), "each once");
    assert!(there.iter().all(|pid| told.contains_key(pid)));
    let exe = workload().canonicalize().unwrap();
    for (_, info) in &infos {
        assert_eq!(info.exe, exe.as_os_str().as_bytes());
        assert!(info.argv.ends_with(b"crowd.pem\0"));
    }
    let stats = trace.stats();
    assert_eq!((stats.produced, stats.dropped), (stats.recorded + stats.lost, 0));
    let lost: u64 = trace.losses().iter().filter(|(_, l)| l.lost_kind == FileOpen::KIND.0).map(|(_, l)| l.count).sum();
    assert_eq!(trace.opens().len() as u64 + lost, CHILDREN as u64);

    let opens = shown(&done.output, &["--type", "file_open"]);
    assert_eq!(opens.len(), trace.opens().len());
    let mut who = HashSet::new();
    for open in &opens {
        assert_eq!(open["exe"], exe.to_str().unwrap(), "{open:#}");
        assert!(open["cmdline"].as_str().unwrap().ends_with("crowd.pem"), "{open:#}");
        assert_eq!(open["ppid"], pid);
        assert!(who.insert(open["pid"].as_u64().unwrap()), "opened twice by {}", open["pid"]);
    }
}
