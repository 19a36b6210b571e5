//! More than a ring, a pipe or a reader can take: what does not fit is counted, memory stays what it was, and afterwards
//! everything is as before. Nobody has a share here: it is the ring that is full (`floods.rs` has the shares).

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crypto_trace_format::record::{FileOpen, LossCause, LossFixed, ProcessExec, ProcessExit, ProcessFork};
use crypto_trace_tests::{Capture, Faults, Process, Running, Trace, alone, capture_binary, workload};
use rustix::process::Signal;

use crate::support::{directory, stop_line, touch, until};
use crate::words;

/// What a stop may take: DESIGN, "stop under full load".
const STOP: Duration = Duration::from_secs(1);

/// How often the file is opened that comes after a burst.
const AFTER: usize = 10;

/// A shell that does `first` when it is told to, then opens `after`, then waits. `$0` is the workload.
fn command(first: &str, after: &Path) -> Vec<std::ffi::OsString> {
    let script = format!(
        "echo begun >&2; read go; {first}; echo burst over >&2; read go
         \"$0\" quiet repeat {AFTER} openat 0 0 '{}'; echo after >&2; read go; :",
        after.display()
    );
    words!["sh", "-c", script, workload()].into()
}

fn go(process: &mut Process) {
    process.child().stdin.as_mut().unwrap().write_all(b"\n").unwrap();
}

/// How many of a kind are said to be lost.
fn lost(trace: &Trace, kind: u16) -> usize {
    let losses = trace.losses().into_iter().filter(|(_, loss)| loss.lost_kind == kind);
    losses.map(|(_, loss)| usize::try_from(loss.count).unwrap()).sum()
}

/// Recorded and lost are what was produced, and nothing was dropped.
fn adds_up(trace: &Trace) {
    let stats = trace.stats();
    assert_eq!((stats.produced, stats.dropped), (stats.recorded + stats.lost, 0));
    assert_eq!(stats.recorded, trace.from_kernel().len() as u64);
    let told: u64 = trace.losses().iter().map(|(_, loss)| loss.count).sum();
    assert_eq!(told, stats.lost);
}

/// How long attaching takes at most: records are lost from then on, and the segment begins when it is done.
const ATTACHING_NS: u64 = 10_000_000_000;

/// Every loss is of a full ring, tells when it was, and was over when what came after began.
fn told_before(trace: &Trace, after: &str) -> Vec<LossFixed> {
    let first = trace.opens_of(after).iter().map(|(event, _)| event.header.time_ns).min().unwrap();
    let begin = trace.metas[0].clock.boottime_ns.saturating_sub(ATTACHING_NS);
    let losses: Vec<LossFixed> = trace.losses().into_iter().map(|(_, loss)| *loss).collect();
    for loss in &losses {
        assert_eq!(loss.cause, LossCause::RING_FULL.0);
        assert!(
            begin <= loss.from_ns && loss.from_ns <= loss.to_ns && loss.to_ns < first,
            "{loss:?}, {begin}..{first}"
        );
    }
    losses
}

fn stop(running: Running) -> crypto_trace_tests::Done {
    let (done, waited) = running.stop_and_then(Signal::INT, || ());
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(waited <= STOP, "{waited:?}");
    done
}

/// A ring of one page holds some 20 opens.
#[test]
fn after_a_burst_that_the_ring_could_not_hold_recording_goes_on_and_ends_at_once() {
    const OPENS: usize = 4 * 15_000;
    let Some(_permit) = alone() else { return };
    let (_keep, dir) = directory();
    let [busy, after] = ["busy.pem", "after.pem"].map(|name| touch(&dir.join(name)));
    let burst = format!("\"$0\" quiet procs 4 repeat 15000 openat 0 0 '{}'", busy.display());
    let mut running = Capture::new()
        .options(["--ring-size", "4096", "--process-rate", "0", "--user-rate", "0"])
        .command(command(&burst, &after))
        .start();
    running.process.wait_for("begun\n");
    go(&mut running.process);
    running.process.wait_for("burst over\n");
    let accounted = |trace: &Trace| trace.opens_of("busy.pem").len() + lost(trace, FileOpen::KIND.0);
    running.wait_until("the burst is accounted for", |trace| accounted(trace) == OPENS);
    go(&mut running.process);
    running.process.wait_for("after\n");
    running.wait_until("what came after", |trace| trace.opens_of("after.pem").len() == AFTER);
    let trace = stop(running).trace();

    adds_up(&trace);
    assert_eq!(accounted(&trace), OPENS);
    let losses = told_before(&trace, "after.pem");
    assert!(!losses.is_empty(), "this test tests nothing");
    assert!(losses.iter().all(|loss| loss.lost_kind == FileOpen::KIND.0), "processes have a ring of their own");
}

/// What is lost before the ring was read for the first time was said to be lost after that: a loss was dated from when the
/// segment began, which is after the programs were attached.
#[test]
fn a_loss_from_before_the_first_reading_is_dated_from_before_attaching() {
    let Some(_permit) = alone() else { return };
    let (_keep, dir) = directory();
    let busy = touch(&dir.join("busy.pem"));
    let steps = words!["quiet", "repeat", "1000000000", "openat", "0", "0", &busy];
    let load = Process::spawn(Command::new(workload()).args(steps).stdin(Stdio::piped()));
    let pid = load.pid().to_string();
    let running =
        Capture::new().options(["--ring-size", "4096", "--process-rate", "0", "--user-rate", "0", "-p", &pid]).start();
    running.wait_until("a loss is told", |trace| !trace.losses().is_empty());
    let trace = stop(running).trace();
    load.signal(Signal::KILL);
    load.wait();

    adds_up(&trace);
    let first = trace.opens_of("busy.pem").iter().map(|(event, _)| event.header.time_ns).min().unwrap();
    let from = trace.losses().iter().map(|(_, loss)| loss.from_ns).min().unwrap();
    assert!(from <= first, "lost from {from} on, recorded from {first} on");
}

/// The reader does not run at all for a while: also the ring of processes, which opens cannot fill, is then full.
#[test]
fn a_storm_of_processes_while_the_reader_is_stopped_is_counted_by_kind() {
    const CHILDREN: usize = 4_000;
    let Some(_permit) = alone() else { return };
    let (_keep, dir) = directory();
    let after = touch(&dir.join("after.pem"));
    let storm = format!("\"$0\" procs {CHILDREN} exit 0");
    let mut running = Capture::new().command(command(&storm, &after)).start();
    running.process.wait_for("begun\n");
    running.process.signal(Signal::STOP);
    let stat = format!("/proc/{}/stat", running.process.pid());
    until("the reader is stopped", || std::fs::read_to_string(&stat).unwrap().contains(") T "));
    go(&mut running.process);
    running.process.wait_for("burst over\n");
    running.process.signal(Signal::CONT);
    // The shell starts two processes, of which one has the children.
    let forks = |trace: &Trace| trace.forks().len() + lost(trace, ProcessFork::KIND.0);
    running.wait_until("the storm is accounted for", |trace| forks(trace) == CHILDREN + 1);
    go(&mut running.process);
    running.process.wait_for("after\n");
    running.wait_until("what came after", |trace| trace.opens_of("after.pem").len() == AFTER);
    let trace = stop(running).trace();

    adds_up(&trace);
    let losses = told_before(&trace, "after.pem");
    assert!(!losses.is_empty(), "this test tests nothing");
    assert_eq!(forks(&trace), CHILDREN + 2);
    // The shell itself ends when the recording does, a little before it or after it.
    let exits = trace.exits().len() + lost(&trace, ProcessExit::KIND.0);
    assert!((CHILDREN + 2..=CHILDREN + 3).contains(&exits), "{exits}");
    assert_eq!(trace.execs().len() + lost(&trace, ProcessExec::KIND.0), 3);
    // What came after is as complete as ever.
    let who = trace.opens_of("after.pem")[0].0.process();
    let execs = trace.execs();
    let (_, exec) = execs.iter().find(|(event, _)| event.process() == who).unwrap();
    assert_eq!(exec.args()[1..3], [&b"quiet"[..], b"repeat"]);
    assert!(trace.forks().iter().any(|(event, _)| event.process() == who));
    assert!(trace.exits().iter().any(|(event, _)| event.process() == who));
}

/// Starts a capture into a pipe that has as little room as a pipe can have; with it comes what was read already.
fn piped(options: &[&str], command: &[std::ffi::OsString]) -> (Process, ChildStdout, Vec<u8>) {
    let mut capture = Command::new(capture_binary());
    capture.args(["record", "-v", "-o", "-"]).args(options).arg("--").args(command).stdin(Stdio::piped());
    let (process, mut out) = Process::spawn_with_output(&mut capture);
    // The command begins when the stream has begun.
    process.wait_for("begun\n");
    let mut read = Vec::new();
    // Refused while there is more in it.
    while rustix::pipe::fcntl_setpipe_size(&out, 4096).is_err() {
        let mut some = [0; 4096];
        let count = out.read(&mut some).unwrap();
        assert!(count > 0, "the stream has ended");
        read.extend_from_slice(&some[..count]);
    }
    (process, out, read)
}

/// Most memory that a process ever had, in KiB.
fn peak_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What a capture may need on top of what it has when it begins, in KiB, however long nobody takes what it records: both rings,
/// which are mapped twice; blocks of 288 KiB, six in the queue, two in the writer, four being filled or waiting for the queue;
/// the compressor and the stream's buffer.
fn bound_kib(ring_kib: u64) -> u64 {
    2 * (ring_kib + 512) + 12 * 288 + 4096
}

/// In user space 200,000 opens would be 40 MB.
#[test]
fn a_reader_slower_than_the_events_costs_counted_events_and_no_memory() {
    const OPENS: usize = 4 * 50_000;
    let Some(_permit) = alone() else { return };
    let (_keep, dir) = directory();
    let [busy, after] = ["busy.pem", "after.pem"].map(|name| touch(&dir.join(name)));
    let burst = format!("\"$0\" quiet procs 4 repeat 50000 openat 0 0 '{}'", busy.display());
    let (mut process, mut out, read) =
        piped(&["--ring-size", "64KiB", "--process-rate", "0", "--user-rate", "0"], &command(&burst, &after));
    let (before, read) = (peak_kib(&process), Arc::new(Mutex::new(read)));
    let slow = Arc::new(AtomicBool::new(true));
    let reader = std::thread::spawn({
        let (read, slow) = (Arc::clone(&read), Arc::clone(&slow));
        move || {
            let mut some = [0; 4096];
            loop {
                let is_slow = slow.load(Ordering::Relaxed);
                let count = out.read(if is_slow { &mut some[..64] } else { &mut some }).unwrap();
                if count == 0 {
                    return;
                }
                read.lock().unwrap().extend_from_slice(&some[..count]);
                if is_slow {
                    // 64 KB a second at most: what is recorded of the burst is several times that.
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    });
    go(&mut process);
    // What is traced does not wait for the reader.
    process.wait_for("burst over\n");
    slow.store(false, Ordering::Relaxed);
    let so_far = || Trace::read_stream(&read.lock().unwrap());
    let accounted = |trace: &Trace| trace.opens_of("busy.pem").len() + lost(trace, FileOpen::KIND.0);
    until("the burst is accounted for", || accounted(&so_far()) == OPENS);
    go(&mut process);
    process.wait_for("after\n");
    until("what came after is read", || so_far().opens_of("after.pem").len() == AFTER);
    let grown = peak_kib(&process) - before;
    assert!(grown <= bound_kib(64), "{grown} KiB more than the {before} KiB at the beginning");

    process.signal(Signal::INT);
    let waited = process.wait();
    assert!(waited <= STOP, "{waited:?}");
    let done = process.finish();
    reader.join().unwrap();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = so_far();
    assert!(trace.faults.is_empty(), "{:?}", trace.faults);
    adds_up(&trace);
    assert_eq!(accounted(&trace), OPENS);
    let losses = told_before(&trace, "after.pem");
    assert!(!losses.is_empty(), "this test tests nothing");
    let [recorded, lost, dropped, _] = stop_line(&done.stderr);
    let stats = trace.stats();
    assert_eq!([recorded, lost, dropped], [stats.recorded, stats.lost, 0]);
}

/// A disk that takes 50 ms for a write takes some 25,000 opens a second.
#[test]
fn a_disk_slower_than_the_events_costs_counted_events_and_no_memory() {
    const OPENS: usize = 4 * 50_000;
    let Some(_permit) = alone() else { return };
    let (_keep, dir) = directory();
    let [busy, after] = ["busy.pem", "after.pem"].map(|name| touch(&dir.join(name)));
    let burst = format!("\"$0\" quiet procs 4 repeat 50000 openat 0 0 '{}'", busy.display());
    let slow = Faults::new([libc::SYS_write], |call| {
        if call.file(0).to_string_lossy().ends_with(".ctseg.open") {
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    });
    let capture =
        Capture::new().options(["--ring-size", "64KiB", "--process-rate", "0", "--user-rate", "0"]).faults(slow);
    let mut running = capture.command(command(&burst, &after)).start();
    running.process.wait_for("begun\n");
    let before = peak_kib(&running.process);
    go(&mut running.process);
    running.process.wait_for("burst over\n");
    let accounted = |trace: &Trace| trace.opens_of("busy.pem").len() + lost(trace, FileOpen::KIND.0);
    running.wait_until("the burst is accounted for", |trace| accounted(trace) == OPENS);
    go(&mut running.process);
    running.process.wait_for("after\n");
    running.wait_until("what came after", |trace| trace.opens_of("after.pem").len() == AFTER);
    let grown = peak_kib(&running.process) - before;
    assert!(grown <= bound_kib(64), "{grown} KiB more than the {before} KiB at the beginning");
    let trace = stop(running).trace();
    adds_up(&trace);
    assert_eq!(accounted(&trace), OPENS);
    assert!(!told_before(&trace, "after.pem").is_empty(), "this test tests nothing");
}

/// It took longer to end than it should, and said that an earlier write had failed partway, not why.
#[test]
fn a_reader_that_never_reads_again_does_not_hold_up_the_end() {
    const OPENS: u64 = 4 * 10_000;
    let Some(_permit) = alone() else { return };
    let (_keep, dir) = directory();
    let [busy, after] = ["busy.pem", "after.pem"].map(|name| touch(&dir.join(name)));
    let burst = format!("\"$0\" quiet procs 4 repeat 10000 openat 0 0 '{}'", busy.display());
    // Of what is counted in the kernel there are as many records as there are seconds.
    let options = ["--ring-size", "64KiB", "--process-rate", "0", "--user-rate", "0", "--kernel-crypto", "off"];
    let (mut process, mut out, mut read) = piped(&options, &command(&burst, &after));
    go(&mut process);
    process.wait_for("burst over\n");
    process.signal(Signal::INT);
    let waited = process.wait();
    assert!(waited <= STOP, "{waited:?}");
    out.read_to_end(&mut read).unwrap();
    let done = process.finish();
    assert_eq!(done.code(), 125, "{}", done.stderr);
    let why = "the end of the stream could not be written: the reader does not read";
    assert!(done.stderr.contains(why), "{}", done.stderr);
    let [recorded, lost, dropped, _] = stop_line(&done.stderr);
    assert!(lost > 0 && dropped > 0, "{}", done.stderr);
    // The shell and its child, which has four.
    let lifecycle = (1 + 1) + (1 + 4) + (1 + 4);
    // The shell's end came after the end of the recording, or before.
    let produced = recorded + lost + dropped;
    assert!((OPENS + lifecycle..=OPENS + lifecycle + 1).contains(&produced), "{produced}: {}", done.stderr);
    let trace = Trace::read_stream(&read);
    assert_eq!(trace.from_kernel().len() as u64, recorded, "{}", done.stderr);
}
