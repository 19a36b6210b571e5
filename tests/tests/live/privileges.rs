//! What the threads of a capture may still do, once everything is attached.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crypto_trace_tests::{Capture, Process, Running, capture_binary, libssl, live, workload};
use rustix::process::Signal;

use crate::support::{directory, touch, until};
use crate::words;

/// Bits of capabilities(7): CAP_KILL, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_PERFMON, CAP_BPF,
/// CAP_CHECKPOINT_RESTORE.
const KEPT: u64 = 1 << 5 | 1 << 1 | 1 << 2 | 1 << 19 | 1 << 38 | 1 << 39 | 1 << 40;

const LIMIT: Duration = Duration::from_secs(20);

/// The thread that writes metrics kept all of them, and giving up was not final: uid 0 gets all back by an exec.
#[test]
fn every_thread_gives_up_its_privileges_for_good() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let metrics = dir.join("crypto_trace.prom");
    let options = ["--metrics-file".into(), metrics.into_os_string()];
    let running = Capture::new().options(options).workload(["wait"]).start();
    let started = Instant::now();
    // The finder first tries out what the kernel grants, and the writer comes last.
    while let Err(wrong) = judge(running.process.pid()) {
        assert!(started.elapsed() < LIMIT, "{wrong}");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(running);
}

/// What is wrong with the threads of a capture.
fn judge(pid: u32) -> Result<(), String> {
    let mut names = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        let bits = |name: &str| u64::from_str_radix(&field(name), 16).unwrap();
        let name = field("Name:");
        // It only writes a file.
        let kept = if name == "ct-metrics" { 1 << 1 } else { KEPT };
        let more =
            [bits("CapEff:") & !kept, bits("CapPrm:") & !kept, bits("CapBnd:"), bits("CapInh:"), bits("CapAmb:")];
        if more != [0; 5] || field("NoNewPrivs:") != "1" || field("Seccomp:") != "2" {
            return Err(format!("{name} has {more:x?}\n{status}"));
        }
        names.push(name);
    }
    let missing = ["ct-finder", "ct-metrics", "ct-writer"].into_iter().find(|name| !names.iter().any(|it| it == name));
    missing.map_or(Ok(()), |name| Err(format!("no {name} in {names:?}")))
}

/// Every kind of thing that a recording does once it has given up its system calls; none of them is refused.
#[test]
fn no_system_call_that_a_recording_makes_is_refused() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let key = touch(&dir.join("a.key"));
    let metrics = dir.join("crypto_trace.prom");
    let options: [OsString; 9] = [
        "--api".into(),
        "--stats-interval".into(),
        "200ms".into(),
        "--segment-age".into(),
        "1s".into(),
        "--retain-segments".into(),
        "9".into(),
        "--metrics-file".into(),
        metrics.clone().into_os_string(),
    ];
    let steps =
        words!["open", "0", "0", &key, "wait", "dlopen", libssl().unwrap_or_default(), "open", "0", "0", &key, "wait"];
    let mut running = Capture::new().options(options).workload(&steps[..]).start();
    running.wait_until("the first", |trace| trace.opens().len() == 1);
    running.process.signal(Signal::HUP);
    running.wait_until("another segment", |trace| trace.metas.len() >= 2);
    until("metrics", || std::fs::read_to_string(&metrics).is_ok_and(|text| text.contains("crypto_trace_up 1")));
    let go_on = |running: &mut Running| running.process.child().stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    go_on(&mut running);
    running.wait_until("the second, and a library", |trace| trace.opens().len() == 2 && !trace.libs().is_empty());
    let done = running.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(!done.stderr.contains("refused"), "{}", done.stderr);
    assert!(!done.stderr.contains("not filtered"), "{}", done.stderr);
}

/// The analyzer that shows what is recorded may do no more than read it.
#[test]
fn the_analyzer_is_somebody_who_may_do_nothing() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let key = touch(&dir.join("a.key"));
    let mut command = Command::new(capture_binary());
    command
        .args(["monitor", "-v", "--"])
        .arg(workload())
        .args(words!["complain", "ready", "open", "0", "0", &key, "wait"]);
    let mut monitor = Process::spawn(command.env_remove("SUDO_UID").stdin(Stdio::piped()));
    monitor.wait_for("ready");
    let children = || {
        let children =
            std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", monitor.pid())).unwrap_or_default();
        let mut pids = children.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for task in std::fs::read_dir(format!("/proc/{}/task", monitor.pid())).unwrap().flatten() {
            let more = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            pids.extend(more.split_whitespace().map(str::to_owned));
        }
        pids
    };
    let status = |pid: &String| std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    // The kernel's list of children may lack some while one ends (proc_tid_children(5)).
    let mut analyzer = None;
    until("the analyzer", || {
        analyzer = children().into_iter().find(|pid| status(pid).starts_with("Name:\tcrypto-trace-an"));
        analyzer.is_some()
    });
    let analyzer = analyzer.unwrap();
    let status = status(&analyzer);
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!((field("Seccomp:").as_str(), field("NoNewPrivs:").as_str()), ("2", "1"), "{status}");
    assert_eq!((field("CapEff:"), field("CapPrm:")), ("0".repeat(16), "0".repeat(16)));
    assert_ne!(field("Uid:").split('\t').next(), Some("0"));
    let limits = std::fs::read_to_string(format!("/proc/{analyzer}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    // What may not be looked into by others of the same user belongs to root in /proc; it says so of itself as it begins.
    let mem = format!("/proc/{analyzer}/mem");
    until("it is not for others", || std::fs::metadata(&mem).is_ok_and(|mem| mem.uid() == 0));
    monitor.child().stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    let done = monitor.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(done.text().contains("a.key"), "{}{}", done.text(), done.stderr);
    assert!(!done.stderr.contains("not filtered"), "{}", done.stderr);
}
