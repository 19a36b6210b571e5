//! What the threads of a capture may still do, once everything is attached.

use std::time::{Duration, Instant};

use crypto_trace_tests::{Capture, live};

use crate::support::directory;

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
        if more != [0; 5] || field("NoNewPrivs:") != "1" {
            return Err(format!("{name} has {more:x?}\n{status}"));
        }
        names.push(name);
    }
    let missing = ["ct-finder", "ct-metrics", "ct-writer"].into_iter().find(|name| !names.iter().any(|it| it == name));
    missing.map_or(Ok(()), |name| Err(format!("no {name} in {names:?}")))
}
