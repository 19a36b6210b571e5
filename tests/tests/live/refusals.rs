//! Kernels that refuse a probe, or what all of them need: the rest runs, or nothing does, and either way it is said what and why.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crypto_trace_format::record::{ProbeState, Tier};
use crypto_trace_tests::{Capture, Done, Faults, SystemCall, capture_binary, live, run, skip};

use crate::support::{analyze, directory, touch};
use crate::words;

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const EINVAL: i32 = 22;

/// `enum bpf_cmd`, include/uapi/linux/bpf.h, as the others.
const BPF_MAP_CREATE: u64 = 0;
const BPF_PROG_LOAD: u64 = 5;
const BPF_RAW_TRACEPOINT_OPEN: u64 = 17;
const BPF_LINK_CREATE: u64 = 28;
const BPF_MAP_TYPE_RINGBUF: u32 = 27;
const BPF_PROG_TYPE_TRACING: u32 = 26;
const BPF_CGROUP_INET_EGRESS: u32 = 1;
const BPF_TRACE_RAW_TP: u32 = 23;
const BPF_TRACE_FEXIT: u32 = 25;

/// One bpf(2) call.
struct Bpf<'a>(&'a SystemCall);

impl Bpf<'_> {
    fn is(&self, command: u64) -> bool {
        self.0.arg(0) == command
    }

    /// A number in `union bpf_attr`.
    fn number(&self, at: usize) -> u32 {
        let attr = self.0.memory(1, 128);
        attr.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }

    /// Whether it loads a program, and its name.
    fn program(&self) -> Option<String> {
        let attr = self.is(BPF_PROG_LOAD).then(|| self.0.memory(1, 64))?;
        let name = attr.get(48..64)?.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// What kind of thing it attaches a program to.
    fn attaches(&self) -> Option<u32> {
        self.is(BPF_LINK_CREATE).then(|| self.number(8))
    }
}

/// A kernel that refuses these.
fn refusing(mut refuse: impl FnMut(&Bpf<'_>) -> Option<i32> + Send + 'static) -> Faults {
    Faults::new([libc::SYS_bpf], move |call| refuse(&Bpf(call)))
}

/// Opens `FILE`, which must not happen where nothing is recorded.
fn capture(options: &[&str], faults: Faults) -> (Done, bool) {
    let (_keep, dir) = directory();
    let made = dir.join("made.pem");
    let done = Capture::new().options(options).faults(faults).workload(words!["creat", "0", "0o600", made]).run();
    (done, made.exists())
}

/// It recorded, but not TLS, and says why wherever one may look.
fn recorded_without_tls(done: &Done, target: &str, why: &str, errno: i32) {
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let warning = format!("WARNING: no tls_hello on {target}: ");
    let line = done.stderr.lines().find(|line| line.starts_with(&warning));
    let line = line.unwrap_or_else(|| panic!("no `{warning}` in:\n{}", done.stderr));
    assert!(line.contains(why), "{line}");
    let trace = done.trace();
    assert_eq!(trace.opens_of("made.pem").len(), 1, "the rest is recorded");
    let probes = trace.probes();
    let failed: Vec<_> = probes.iter().filter(|(_, probe)| probe.fixed.state == ProbeState::FAILED.0).collect();
    let [(_, failed)] = failed[..] else { panic!("one failed: {probes:?}") };
    assert_eq!((failed.probe.as_str(), failed.target.as_str(), failed.fixed.errno), ("tls_hello", target, errno));
    assert!(failed.message.contains(why), "{}", failed.message);

    for (command, part) in [("info", "tls_hello"), ("coverage", why)] {
        let told = analyze(words![command, done.output]);
        assert_eq!(told.code(), 0, "{}", told.stderr);
        assert!(told.text().contains(part), "{command}: {}", told.text());
    }
    let summary = analyze(words!["events", "--format", "summary", done.output]);
    assert!(summary.text().contains(why), "{}", summary.text());
}

/// Nothing was recorded and nothing done: it ended with this code and these words.
fn refused((done, made): &(Done, bool), code: i32, words: &[&str]) {
    assert_eq!(done.code(), code, "{}", done.stderr);
    for word in words {
        assert!(done.stderr.contains(word), "no `{word}` in:\n{}", done.stderr);
    }
    assert!(!made, "the command ran, and nobody recorded it");
    assert!(done.segments().is_empty(), "{:?}", done.segments());
}

#[test]
fn a_probe_that_not_every_host_has_may_fail_and_the_rest_runs() {
    let Some(_permit) = live() else { return };
    let no_egress = || refusing(|bpf| (bpf.attaches() == Some(BPF_CGROUP_INET_EGRESS)).then_some(EPERM));
    let (done, _) = capture(&[], no_egress());
    let attached = |done: &Done, probe: &str| {
        let probes = done.trace();
        probes.probes().iter().filter(|(_, p)| p.probe == probe && p.fixed.state == ProbeState::ATTACHED.0).count()
    };
    recorded_without_tls(&done, "cgroup_skb:egress", "ermission", EPERM);
    assert!(attached(&done, "tls_hello") > 0, "ingress is seen");
    // Who asks for it gets all of it or nothing.
    refused(&capture(&["--tls", "on"], no_egress()), 5, &["cannot attach tls_hello on cgroup_skb:egress: "]);

    // Not even loaded.
    let no_program = || refusing(|bpf| (bpf.program()? == "tls_egress").then_some(EACCES));
    let (done, _) = capture(&[], no_program());
    recorded_without_tls(&done, "cgroup_skb", "cannot load the BPF programs", 0);
    assert_eq!(attached(&done, "tls_hello"), 0);
    refused(&capture(&["--tls", "on"], no_program()), 5, &["cannot load the BPF programs", "tls_egress"]);
}

/// Silence would look like absence.
#[test]
fn without_a_probe_that_every_host_has_nothing_is_recorded_and_nothing_runs() {
    let Some(_permit) = live() else { return };
    let attached = [
        "process_exec on tp_btf:sched_process_exec",
        "process_fork on tp_btf:sched_process_fork",
        "process_exit on tp_btf:sched_process_exit",
        "file_open, lib_load on tp_btf:sys_exit",
    ];
    for (number, probe) in attached.into_iter().enumerate() {
        let seen = AtomicUsize::new(0);
        let faults = refusing(move |bpf| {
            let is_one = bpf.attaches() == Some(BPF_TRACE_RAW_TP) || bpf.is(BPF_RAW_TRACEPOINT_OPEN);
            (is_one && seen.fetch_add(1, Ordering::Relaxed) == number).then_some(EPERM)
        });
        refused(&capture(&["--tier", "tracepoint"], faults), 5, &[&format!("cannot attach {probe}: "), "doctor"]);
    }
    let not_loaded = |errno| refusing(move |bpf| (bpf.program()? == "process_exec").then_some(errno));
    // The verifier; then a policy.
    refused(&capture(&[], not_loaded(EACCES)), 5, &["cannot load the BPF programs", "process_exec"]);
    refused(&capture(&[], not_loaded(EPERM)), 3, &["not allowed to load BPF programs", "CAP_BPF", "doctor"]);
}

/// Where fexit programs are refused, by whatever: `auto` goes on to the next tier and tells which it is; what was asked for is
/// had or not.
#[test]
fn a_tier_that_is_refused_is_replaced_by_the_next_and_that_is_told() {
    let Some(_permit) = live() else { return };
    let is_fexit = |bpf: &Bpf<'_>| {
        let is = bpf.is(BPF_PROG_LOAD) && bpf.number(0) == BPF_PROG_TYPE_TRACING;
        is && bpf.number(68) == BPF_TRACE_FEXIT
    };
    let by_policy = move || refusing(move |bpf| is_fexit(bpf).then_some(EPERM));
    // Who may load such programs is told that the trial's target is none.
    let by_verifier = move || {
        refusing(move |bpf| is_fexit(bpf).then(|| if bpf.program().unwrap() == "ct_trial" { EINVAL } else { EACCES }))
    };
    for faults in [by_policy(), by_verifier()] {
        let (done, _) = capture(&["--tier", "auto"], faults);
        assert_eq!(done.code(), 0, "{}", done.stderr);
        let trace = done.trace();
        let (_, open) = trace.open_of("made.pem");
        assert!([Tier::KPROBE.0, Tier::RAW_TRACEPOINT.0].contains(&open.fixed.tier), "{open:?}");
        let probes = trace.probes();
        let tiers: Vec<_> = probes.iter().filter(|(_, probe)| probe.probe.starts_with("file_open")).collect();
        assert!(!tiers.is_empty());
        for (_, probe) in tiers {
            assert_eq!((probe.fixed.state, probe.fixed.tier), (ProbeState::ATTACHED.0, open.fixed.tier));
        }
        let told = if open.fixed.tier == Tier::KPROBE.0 { "attached (kprobe, " } else { "attached (raw_tracepoint, " };
        assert!(
            done.stderr.lines().any(|line| line.starts_with("file_open") && line.contains(told)),
            "{}",
            done.stderr
        );
    }
    refused(&capture(&["--tier", "fentry"], by_policy()), 4, &["lacks programs on kernel functions", "--tier auto"]);
    refused(&capture(&["--tier", "fentry"], by_verifier()), 5, &["cannot load the BPF programs"]);
}

#[test]
fn a_kernel_without_ring_buffers_or_btf_is_told_what_it_lacks() {
    let Some(_permit) = live() else { return };
    let no_rings = refusing(|bpf| {
        let is_ring = bpf.is(BPF_MAP_CREATE) && bpf.number(0) == BPF_MAP_TYPE_RINGBUF;
        is_ring.then_some(EINVAL)
    });
    refused(&capture(&[], no_rings), 4, &["this kernel lacks BPF ring buffers", "5.10 or newer", "doctor"]);

    let (_keep, dir) = directory();
    let (empty, out, made) = (touch(&dir.join("empty")), dir.join("out"), dir.join("made"));
    std::fs::write(&empty, "").unwrap();
    let none = "mount -t tmpfs none /sys";
    let unreadable = "mount --bind \"$EMPTY\" /sys/kernel/btf/vmlinux";
    for (how, lacks) in [(none, "lacks BTF (CONFIG_DEBUG_INFO_BTF"), (unreadable, "lacks BTF that can be read")] {
        let script = format!("{how} || exit 99; exec \"$0\" \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]).arg(capture_binary()).env("EMPTY", &empty);
        let done = run(command.args(["record", "-o"]).arg(&out).arg("--").args(["touch"]).arg(&made));
        if done.code() == 99 {
            return skip("cannot mount in a mount namespace");
        }
        assert_eq!(done.code(), 4, "{}", done.stderr);
        assert!(done.stderr.contains(lacks) && done.stderr.contains("/sys/kernel/btf/vmlinux"), "{}", done.stderr);
        assert!(!out.exists() && !made.exists());
    }
}
