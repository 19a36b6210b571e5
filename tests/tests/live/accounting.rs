//! Loss is never silent: what the programs produced is what was recorded plus what is said to be lost, exactly.

use crypto_trace_format::record::{FileOpen, LossCause};
use crypto_trace_tests::{Capture, Done, alone};

use crate::support::{analyze, directory, stop_line, touch};
use crate::words;

const PROCESSES: u64 = 8;
const OPENS_EACH: u64 = 12_500;
const OPENS: u64 = PROCESSES * OPENS_EACH;

/// One exec, a fork for each process, an exit for each and for the first.
const LIFECYCLE: u64 = 1 + PROCESSES + PROCESSES + 1;

/// Opens a file 100,000 times from 8 processes.
fn storm(options: &[&str]) -> Done {
    let (_keep, dir) = directory();
    let file = touch(&dir.join("busy.pem"));
    let (processes, each) = (PROCESSES.to_string(), OPENS_EACH.to_string());
    let steps = words!["quiet", "procs", processes, "repeat", each, "openat", "0", "0", file];
    let done = Capture::new().options(options).workload(steps).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    done
}

/// Checks that all places which tell numbers tell the same, and that they add up. Returns how much was lost.
fn adds_up(done: &Done) -> u64 {
    let trace = done.trace();
    let stats = trace.stats();
    // What is counted in the kernel (the allocator's getrandom) no ring can lose.
    let counts = trace.calls().len() as u64;
    assert_eq!(stats.produced, OPENS + LIFECYCLE + counts, "what happened was not what the programs saw");
    assert_eq!(stats.produced, stats.recorded + stats.lost);
    assert_eq!((stats.dropped, stats.filtered, stats.missed_runs), (0, 0, 0));
    assert_eq!(stats.recorded, trace.from_kernel().len() as u64);

    // Per kind.
    let told: Vec<_> = trace.losses().iter().map(|(_, loss)| **loss).collect();
    assert!(told.iter().all(|loss| loss.cause == LossCause::RING_FULL.0 && loss.from_ns <= loss.to_ns), "{told:?}");
    let lost_opens: u64 = told.iter().filter(|loss| loss.lost_kind == FileOpen::KIND.0).map(|loss| loss.count).sum();
    assert_eq!(trace.opens().len() as u64 + lost_opens, OPENS);
    let lifecycle = trace.execs().len() + trace.forks().len() + trace.exits().len();
    assert_eq!(lifecycle as u64, LIFECYCLE, "opens never starve the records of processes");
    assert_eq!(told.iter().map(|loss| loss.count).sum::<u64>(), stats.lost);

    let [recorded, lost, dropped, _] = stop_line(&done.stderr);
    assert_eq!([recorded, lost, dropped], [stats.recorded, stats.lost, 0]);
    let warning = format!("WARNING: Ring buffer backpressure detected, {lost} events lost\n");
    assert_eq!(done.stderr.contains("WARNING"), lost > 0, "{}", done.stderr);
    assert_eq!(done.stderr.contains(&warning), lost > 0, "{}", done.stderr);

    let info = analyze(words!["info", "--format", "json", done.output]);
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
    let told = info["lost"]["total"].as_u64().or_else(|| info["captures"][0]["lost"]["total"].as_u64());
    assert_eq!(told, Some(lost), "{info:#}");
    lost
}

/// The reference lost a third of 100,000 events and said "dropped: 0".
#[test]
fn a_hundred_thousand_opens_are_recorded_or_counted() {
    let Some(_permit) = alone() else { return };
    adds_up(&storm(&[]));
}

#[test]
fn what_a_ring_of_one_page_cannot_hold_is_counted_every_time() {
    let Some(_permit) = alone() else { return };
    for _ in 0..3 {
        let lost = adds_up(&storm(&["--ring-size", "4096", "--process-rate", "0", "--user-rate", "0"]));
        assert!(lost > 0, "a ring of 4 KiB holds 20 records: this test tests nothing");
    }
}

/// A loss is told with the time in which it happened, inside the time of the capture.
#[test]
fn loss_is_told_between_the_events_around_it() {
    let Some(_permit) = alone() else { return };
    let done = storm(&["--ring-size", "4096", "--process-rate", "0", "--user-rate", "0"]);
    let trace = done.trace();
    let times = || trace.from_kernel().into_iter().map(|event| event.header.time_ns);
    let (first, last) = (times().min().unwrap(), times().max().unwrap());
    for (_, loss) in trace.losses() {
        assert!(loss.to_ns >= first && loss.to_ns <= last, "{loss:?} is not within {first}..{last}");
    }
}
