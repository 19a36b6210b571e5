//! Kernels that refuse a probe, or what all of them need: the rest runs, or nothing does, and either way it is said what and why.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crypto_trace_format::record::{ProbeState, Tier};
use crypto_trace_tests::{Capture, Done, Faults, SystemCall, capture_binary, live, run, skip, workload};

use crate::support::{analyze, directory, shown, touch};
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
    let [(_, failed)] = failed[..] else { panic!("one failed: {failed:?}") };
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

/// Nothing was recorded and nothing done: it ended with this code and these words; with a command, whose own code this could be,
/// with 125.
fn refused(options: &[&str], faults: impl Fn() -> Faults, code: i32, words: &[&str]) {
    let (with_command, made) = capture(options, faults());
    assert!(!made, "the command ran, and nobody recorded it");
    let without = Capture::new().options(options).options(["-d", "10"]).faults(faults()).run();
    for (done, code) in [(with_command, 125), (without, code)] {
        assert_eq!(done.code(), code, "{}", done.stderr);
        for word in words {
            assert!(done.stderr.contains(word), "no `{word}` in:\n{}", done.stderr);
        }
        assert!(done.segments().is_empty(), "{:?}", done.segments());
    }
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
    recorded_without_tls(&done, "cgroup_skb:egress", "Operation not permitted", EPERM);
    assert!(attached(&done, "tls_hello") > 0, "ingress is seen");
    // Who asks for it gets all of it or nothing.
    refused(&["--tls", "on"], no_egress, 5, &["cannot attach tls_hello on cgroup_skb:egress: "]);

    // Not even loaded. Calls into libraries, which are not at fault, were given up first, for a reason that was not theirs.
    let no_program = || refusing(|bpf| (bpf.program()? == "packets").then_some(EACCES));
    let (done, _) = capture(&[], no_program());
    recorded_without_tls(&done, "cgroup_skb", "cannot load the BPF programs", 0);
    assert_eq!(attached(&done, "tls_hello"), 0);
    refused(&["--tls", "on"], no_program, 5, &["cannot load the BPF programs", "packets"]);

    // The other one; then both.
    let refuse = |names: &'static [&'static str]| {
        refusing(move |bpf| bpf.program().is_some_and(|name| names.contains(&name.as_str())).then_some(EACCES))
    };
    for (programs, lacking) in
        [(&["library_enter"][..], &["api_call"][..]), (&["library_enter", "packets"], &["api_call", "tls_hello"])]
    {
        let (done, made) = capture(&[], refuse(programs));
        assert!(done.code() == 0 && made, "{}", done.stderr);
        let trace = done.trace();
        let failed: Vec<_> =
            trace.probes().into_iter().filter(|(_, p)| p.fixed.state == ProbeState::FAILED.0).collect();
        let names: Vec<_> = failed.iter().map(|(_, probe)| probe.probe.as_str()).collect();
        assert_eq!(names, lacking);
        assert!(failed.iter().all(|(_, probe)| probe.message.contains("cannot load the BPF programs")), "{failed:?}");
        assert_eq!(attached(&done, "tls_hello") > 0, !lacking.contains(&"tls_hello"));
        for probe in lacking {
            assert!(done.stderr.contains(&format!("WARNING: no {probe} on ")), "{}", done.stderr);
        }
        assert_eq!(trace.opens_of("made.pem").len(), 1);
    }
    refused(&["--library-calls", "on"], || refuse(&["library_enter"]), 5, &["library_enter"]);
}

/// The verifier of Linux 6.1 refused the programs on packets with SSH in them, and nothing else; those for datagrams may be refused likewise.
#[test]
fn a_kernel_that_refuses_what_is_beside_tls_does_not_cost_tls() {
    let Some(_permit) = live() else { return };
    // With one tier there is one attempt for each set of programs, which shows in what is loaded before those on packets.
    let mut attempts = 0;
    let no_ssh = refusing(move |bpf| {
        let program = bpf.program()?;
        attempts += i32::from(program == "sys_exit");
        (attempts == 1 && program == "packets").then_some(EACCES)
    });
    let (done, made) = capture(&["--tier", "tracepoint"], no_ssh);
    assert!(done.code() == 0 && made, "{}", done.stderr);
    let trace = done.trace();
    let probes = trace.probes();
    let failed: Vec<_> = probes.iter().filter(|(_, p)| p.fixed.state == ProbeState::FAILED.0).collect();
    let failed: Vec<_> = failed.iter().map(|(_, probe)| (probe.probe.as_str(), probe.target.as_str())).collect();
    assert_eq!(failed, [("ssh_hello", "cgroup_skb"), ("datagram_hello", "cgroup_skb")]);
    let attached: Vec<_> = probes.iter().filter(|(_, p)| p.fixed.state == ProbeState::ATTACHED.0).collect();
    for probe in ["tls_hello", "file_open"] {
        assert!(attached.iter().any(|(_, p)| p.probe == probe), "{probe}");
    }
    assert!(done.stderr.contains("WARNING: no ssh_hello on cgroup_skb: "), "{}", done.stderr);
    for (command, part) in [("info", "ssh_hello"), ("coverage", "cannot load the BPF programs")] {
        let told = analyze(words![command, done.output]);
        assert!(told.text().contains(part), "{command}: {}", told.text());
    }
}

/// Where cgroup v2 is not mounted, a mount of the capture's own does; where that is refused, TLS is missing and the rest runs.
#[test]
fn without_a_mount_of_cgroup_v2_tls_is_recorded_or_told_to_be_missing() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let (file, script) = (touch(&dir.join("made.pem")), "umount -l -a -t cgroup2 || exit 99; exec \"$0\" \"$@\"");
    for refused in [false, true] {
        let output = dir.join(format!("out-{refused}"));
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]).arg(capture_binary()).args(["record", "-o"]).arg(&output);
        command.arg("--").arg(workload()).args(words!["openat", "0", "0", file]);
        Faults::new([libc::SYS_fsopen], move |_| refused.then_some(EPERM)).give_to(&mut command);
        let done = run(&mut command);
        if done.code() == 99 {
            return skip("cannot unmount in a mount namespace");
        }
        assert_eq!(done.code(), 0, "{}", done.stderr);
        let warning = "WARNING: no tls_hello on cgroup_skb: cgroup v2 is not mounted here and cannot be: Operation not";
        assert_eq!(done.stderr.contains(warning), refused, "{}", done.stderr);
        let events = shown(&output, &["--type", "file_open,probe_status"]);
        let opens = events.iter().filter(|event| event["event_type"] == "file_open").count();
        let tls: Vec<_> = events.iter().filter(|event| event["probe"] == "tls_hello").collect();
        assert_eq!(opens, 1);
        let state = if refused { "failed" } else { "attached" };
        assert!(!tls.is_empty() && tls.iter().all(|probe| probe["state"] == state), "{tls:#?}");
    }
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
        let faults = || {
            let seen = AtomicUsize::new(0);
            refusing(move |bpf| {
                let is_one = bpf.attaches() == Some(BPF_TRACE_RAW_TP) || bpf.is(BPF_RAW_TRACEPOINT_OPEN);
                (is_one && seen.fetch_add(1, Ordering::Relaxed) == number).then_some(EPERM)
            })
        };
        refused(&["--tier", "tracepoint"], faults, 5, &[&format!("cannot attach {probe}: "), "doctor"]);
    }
    let not_loaded = |errno| refusing(move |bpf| (bpf.program()? == "process_exec").then_some(errno));
    // The verifier; then a policy.
    refused(&[], || not_loaded(EACCES), 5, &["cannot load the BPF programs", "process_exec"]);
    refused(&[], || not_loaded(EPERM), 3, &["not allowed to load BPF programs", "CAP_BPF", "doctor"]);
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
    refused(&["--tier", "fentry"], by_policy, 4, &["lacks programs on kernel functions", "--tier auto"]);
    refused(&["--tier", "fentry"], by_verifier, 5, &["cannot load the BPF programs"]);
}

#[test]
fn a_kernel_without_ring_buffers_or_btf_is_told_what_it_lacks() {
    let Some(_permit) = live() else { return };
    let no_rings = || {
        refusing(|bpf| {
            let is_ring = bpf.is(BPF_MAP_CREATE) && bpf.number(0) == BPF_MAP_TYPE_RINGBUF;
            is_ring.then_some(EINVAL)
        })
    };
    refused(&[], no_rings, 4, &["this kernel lacks BPF ring buffers", "5.10 or newer", "doctor"]);

    let (_keep, dir) = directory();
    let (empty, out, made) = (touch(&dir.join("empty")), dir.join("out"), dir.join("made"));
    std::fs::write(&empty, "").unwrap();
    let none = "mount -t tmpfs none /sys";
    let unreadable = "mount --bind \"$EMPTY\" /sys/kernel/btf/vmlinux";
    for (how, lacks) in [(none, "lacks BTF (CONFIG_DEBUG_INFO_BTF"), (unreadable, "lacks readable BTF")] {
        let script = format!("{how} || exit 99; exec \"$0\" \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]).arg(capture_binary()).env("EMPTY", &empty);
        let done = run(command.args(["record", "-o"]).arg(&out).arg("--").args(["touch"]).arg(&made));
        if done.code() == 99 {
            return skip("cannot mount in a mount namespace");
        }
        assert_eq!(done.code(), 125, "{}", done.stderr);
        assert!(done.stderr.contains(lacks) && done.stderr.contains("/sys/kernel/btf/vmlinux"), "{}", done.stderr);
        assert!(!out.exists() && !made.exists());
    }
}
