//! Random bytes: counted in the kernel, told once a second and at the end of a process, and exact.

use std::collections::BTreeMap;

use crypto_trace_format::record::ApiMeaning;
use crypto_trace_tests::{Capture, Trace, live};
use rustix::process::Signal;

use crate::support::kernel_calls;

/// Calls and bytes, by process, of what was told of this function and text.
fn sums(trace: &Trace, function: &str, text: &str) -> BTreeMap<(u32, u64), (u64, u64)> {
    let mut sums = BTreeMap::new();
    for (event, call) in kernel_calls(trace, function).into_iter().filter(|(_, call)| call.text == text) {
        assert_eq!((call.fixed.meaning, call.fixed.fd), (ApiMeaning::RANDOM.0, -1));
        assert!(call.fixed.count > 0 && event.header.tid == event.header.tgid);
        let sum: &mut (u64, u64) = sums.entry(event.process()).or_default();
        *sum = (sum.0 + call.fixed.count, sum.1 + call.fixed.number);
    }
    sums
}

/// Of all processes, of calls that gave bytes.
fn total(trace: &Trace) -> (u64, u64) {
    let refused: u64 = kernel_calls(trace, "getrandom")
        .iter()
        .filter(|(_, call)| call.fixed.state != 0)
        .map(|(_, call)| call.fixed.count)
        .sum();
    let (calls, bytes) = sums(trace, "getrandom", "").values().fold((0, 0), |sum, n| (sum.0 + n.0, sum.1 + n.1));
    (calls - refused, bytes)
}

fn traced(steps: &str) -> Trace {
    let done = Capture::new().workload(steps.split_whitespace()).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    let stats = trace.stats();
    assert_eq!((stats.lost, stats.dropped, stats.filtered), (0, 0, 0));
    assert_eq!(stats.produced, stats.recorded);
    assert_eq!(stats.recorded, trace.from_kernel().len() as u64);
    trace
}

/// Threads of two processes count at once, over several readings; nothing is lost, nothing is told twice. What a process does
/// by itself (the C library's allocator asks for some) is known from the same without.
#[test]
fn every_call_of_getrandom_is_counted_once() {
    let Some(_permit) = live() else { return };
    let none = total(&traced("quiet procs 2 threads 4 repeat 0 getrandom 16 0 pause 700"));
    let all =
        traced("quiet procs 2 threads 4 repeat 40000 getrandom 16 0 pause 700 getrandom 16 0 pause 700 getrandom 16 0");
    let calls = 2 * 4 * 3 * 40_000;
    assert_eq!(total(&all), (none.0 + calls, none.1 + calls * 16));
    let records = kernel_calls(&all, "getrandom").len();
    assert!(records < 40, "{records} records");
    // Each of the two has its own.
    let busy: Vec<_> = sums(&all, "getrandom", "").into_values().filter(|sum| sum.0 >= 480_000).collect();
    assert_eq!(busy.len(), 2);
}

#[test]
fn refused_calls_are_told_with_their_error() {
    let Some(_permit) = live() else { return };
    // No such flag.
    let trace = traced("quiet repeat 5 getrandom 16 64");
    let mut refused = kernel_calls(&trace, "getrandom");
    refused.retain(|(_, call)| call.fixed.state == 1);
    assert_eq!(refused.len(), 1);
    let fixed = &refused[0].1.fixed;
    assert_eq!((fixed.count, fixed.number, fixed.result), (5, 0, -22));
}

/// Short processes, more of them than one reading takes at once.
#[test]
fn processes_that_end_at_once_are_counted_each() {
    let Some(_permit) = live() else { return };
    let trace = traced("quiet procs 6000 repeat 3 getrandom 7 0");
    let exits: BTreeMap<_, _> = trace.exits().into_iter().map(|(event, _)| (event.process(), event)).collect();
    let sums = sums(&trace, "getrandom", "");
    let children: Vec<_> = sums.iter().filter(|(_, sum)| **sum == (3, 21)).collect();
    assert_eq!(children.len(), 6000);
    for (event, _) in kernel_calls(&trace, "getrandom") {
        let exit = exits[&event.process()];
        assert!(event.header.time_ns <= exit.header.time_ns, "told of a process that had ended");
        assert_eq!((event.comm(), event.header.uid), (exit.comm(), exit.header.uid));
    }
}

/// A process that goes on is told of while it does.
#[test]
fn counts_are_told_once_a_second() {
    let Some(_permit) = live() else { return };
    let steps = ["quiet", "repeat", "11", "getrandom", "16", "0", "complain", "ready", "wait"];
    let running = Capture::new().workload(steps).start();
    let told = |trace: &Trace| sums(trace, "getrandom", "").values().any(|sum| sum.0 >= 11);
    running.wait_until("the calls of a process that goes on", told);
    // Its command goes with it.
    let done = running.stop(Signal::TERM);
    let trace = done.trace();
    assert_eq!(trace.stats().produced, trace.stats().recorded);
}

/// By what they are, not by their names.
#[test]
fn opens_of_the_random_devices_are_counted() {
    let Some(_permit) = live() else { return };
    let dir = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("urandom"), "not a device").unwrap();
    std::os::unix::fs::symlink("/dev/urandom", path("link")).unwrap();
    let steps = format!(
        "quiet repeat 3 openat 0 0 /dev/urandom open 0 0 {} repeat 2 openat2 0 0 /dev/random \
         openat 0 0 {} openat 0 0 /dev/null openat 0 0 {}",
        path("link"),
        path("urandom"),
        path("random"),
    );
    // Also where no opens are recorded, and where all are.
    let only_libraries = ["-l", "ssl", "--kernel-crypto", "on"];
    let all_files = ["-F", "*", "--kernel-crypto", "on"];
    for options in [&[][..], &only_libraries, &all_files] {
        let done = Capture::new().options(options).workload(steps.split_whitespace()).run();
        assert_eq!(done.code(), 0, "{}", done.stderr);
        let trace = done.trace();
        let opens = |text| sums(&trace, "open", text).into_values().collect::<Vec<_>>();
        assert_eq!(opens("/dev/urandom"), [(6, 0)], "{options:?}");
        assert_eq!(opens("/dev/random"), [(2, 0)], "{options:?}");
    }
}
