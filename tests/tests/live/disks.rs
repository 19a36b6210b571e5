//! Disks that refuse, in every way they do: said, counted, tried again, and whole again afterwards.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use crypto_trace_tests::{Capture, Done, Faults, Running, SystemCall, Trace, live, workload};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{analyze, directory, stop_line, touch, until};
use crate::words;

const EIO: i32 = 5;
const EROFS: i32 = 30;

/// A disk that can be told to refuse.
#[derive(Default)]
struct Disk {
    /// Refuses each of these calls with this errno.
    refusing: Mutex<HashMap<i64, i32>>,
    /// Works again from the next call of this kind on; 0: until it is told to.
    works_from: AtomicI64,
    refused: AtomicU32,
}

impl Disk {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    /// As for the capture behind it, and its command: only segments are on this disk.
    fn faults(self: &Arc<Self>) -> Faults {
        let disk = Arc::clone(self);
        Faults::new(CHANGES, move |call| {
            let mut refusing = disk.refusing.lock().unwrap();
            let errno = *refusing.get(&call.number())?;
            if !is_of_segment(call) {
                return None;
            }
            if call.number() == disk.works_from.load(Ordering::Relaxed) {
                refusing.clear();
                return None;
            }
            disk.refused.fetch_add(1, Ordering::Relaxed);
            Some(errno)
        })
    }

    fn refuse(&self, calls: &[i64], errno: i32) {
        self.refusing.lock().unwrap().extend(calls.iter().map(|call| (*call, errno)));
    }

    fn work(&self) {
        self.refusing.lock().unwrap().clear();
    }

    /// Not in the middle of a try: after a refused cut of the file, a segment that could then be made would be one more.
    fn work_from(&self, call: i64) {
        self.works_from.store(call, Ordering::Relaxed);
    }

    fn wait_for_refusal(&self) {
        let before = self.refused.load(Ordering::Relaxed);
        until("the disk has refused", || self.refused.load(Ordering::Relaxed) > before);
    }
}

/// What changes a file system. The opens are those that may make files: by a name below a directory's descriptor.
const CHANGES: [i64; 5] =
    [libc::SYS_write, libc::SYS_fdatasync, libc::SYS_ftruncate, libc::SYS_renameat2, libc::SYS_openat];

/// Whether a call is about a segment.
fn is_of_segment(call: &SystemCall) -> bool {
    match call.number() {
        libc::SYS_openat => {
            let creates = call.arg(2) & u64::from(libc::O_CREAT.unsigned_abs()) != 0;
            creates && call.text(1).ends_with(".ctseg.open")
        }
        libc::SYS_renameat2 => call.text(1).ends_with(".ctseg.open"),
        _ => call.file(0).to_string_lossy().ends_with(".ctseg.open"),
    }
}

/// A recording onto a disk, of a shell that opens a file ten times for each line it reads. `$0` is the workload, `$1` the file.
fn capture() -> (TempDir, Arc<Disk>, Running) {
    let (keep, dir) = directory();
    let file = touch(&dir.join("some.pem"));
    let disk = Disk::new();
    let script = "while read line; do \"$0\" quiet repeat 10 openat 0 0 \"$1\"; echo \"did $line\" >&2; done";
    let capture = Capture::new().options(["--flush-interval", "20ms"]).faults(disk.faults());
    let running = capture.command(words!["sh", "-c", script, workload(), file]).start();
    (keep, disk, running)
}

/// The same, when the first ten opens are on the disk.
fn begun() -> (TempDir, Arc<Disk>, Running) {
    let (keep, disk, mut running) = capture();
    open_ten(&mut running, "first");
    running.wait_until("the first", |trace| trace.opens().len() == 10);
    (keep, disk, running)
}

fn open_ten(running: &mut Running, line: &str) {
    writeln!(running.process.child().stdin.as_mut().unwrap(), "{line}").unwrap();
    running.process.wait_for(&format!("did {line}\n"));
}

/// Nothing is missing, nothing is there twice, and every segment can stand alone.
fn is_whole(done: &Done, opens: usize, segments: usize) {
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert_eq!(done.segments().len(), segments, "{:?}", done.segments());
    let trace = done.trace();
    let stats = trace.stats();
    assert_eq!((stats.produced, stats.lost, stats.dropped), (stats.recorded, 0, 0), "{}", done.stderr);
    assert_eq!(trace.from_kernel().len() as u64, stats.recorded);
    assert_eq!(trace.opens().len(), opens);
    let [recorded, lost, dropped, told] = stop_line(&done.stderr);
    assert_eq!([recorded, lost, dropped, told], [stats.recorded, 0, 0, segments as u64]);
    for segment in done.segments() {
        let alone = Trace::read(&[segment]);
        assert!(!alone.probes().is_empty(), "the opening is missing");
    }
    let verified = analyze(words!["verify", done.output]);
    assert_eq!(verified.code(), 0, "{}{}", verified.text(), verified.stderr);
}

#[test]
fn an_io_error_is_said_once_and_recording_goes_on_when_it_is_over() {
    let Some(_permit) = live() else { return };
    let (_keep, disk, mut running) = begun();
    disk.refuse(&[libc::SYS_write], EIO);
    open_ten(&mut running, "second");
    running.process.wait_for("cannot write: Input/output error");
    // Refused again and again, and not said again.
    disk.wait_for_refusal();
    open_ten(&mut running, "third");
    assert_eq!(running.so_far().opens().len(), 10);
    disk.work();
    running.process.wait_for("writing again after");
    running.wait_until("all", |trace| trace.opens().len() == 30);
    let done = running.finish();
    assert_eq!(done.stderr.matches("Input/output error").count(), 1, "{}", done.stderr);
    is_whole(&done, 30, 1);
}

/// A disk with errors becomes read-only by itself. With SIGHUP meanwhile: a new segment cannot begin, which was said at every
/// block, each time with "writing again after 0.0 s".
#[test]
fn a_disk_that_is_read_only_for_a_while_costs_nothing_but_time() {
    let Some(_permit) = live() else { return };
    let (_keep, disk, mut running) = begun();
    disk.refuse(&CHANGES, EROFS);
    running.process.signal(Signal::HUP);
    running.process.wait_for("cannot start a new segment: Read-only file system");
    open_ten(&mut running, "second");
    running.process.wait_for("cannot write: Read-only file system");
    disk.wait_for_refusal();
    disk.work_from(libc::SYS_ftruncate);
    running.process.wait_for("writing again after");
    open_ten(&mut running, "third");
    running.process.wait_for("a new segment after");
    open_ten(&mut running, "fourth");
    running.wait_until("all", |trace| trace.opens().len() == 40);
    let done = running.finish();
    for said in ["cannot start a new segment", "cannot write", "writing again", "a new segment after"] {
        assert_eq!(done.stderr.matches(said).count(), 1, "{said}: {}", done.stderr);
    }
    is_whole(&done, 40, 2);
}

/// The old segment was sealed and the next could not be made. When it could, it began without the processes and the probes that
/// each segment opens with.
#[test]
fn a_segment_that_could_not_be_made_at_first_opens_as_every_other() {
    let Some(_permit) = live() else { return };
    let (_keep, disk, mut running) = begun();
    disk.refuse(&[libc::SYS_openat], EIO);
    running.process.signal(Signal::HUP);
    running.process.wait_for("cannot start a new segment: Input/output error");
    open_ten(&mut running, "second");
    disk.wait_for_refusal();
    disk.work();
    running.process.wait_for("writing again after");
    running.wait_until("all", |trace| trace.opens().len() == 20);
    let done = running.finish();
    assert_eq!(done.stderr.matches("Input/output error").count(), 1, "{}", done.stderr);
    is_whole(&done, 20, 2);
    let second = Trace::read(&done.segments()[1..]);
    // The shell.
    assert_eq!(second.infos().len(), 1);
    assert_eq!(second.opens().len(), 10);
}

/// The disk had taken the block, but could not say that it was safe: the block was written again, every record of it twice.
#[test]
fn a_sync_that_fails_does_not_have_a_block_written_twice() {
    let Some(_permit) = live() else { return };
    let (_keep, disk, mut running) = capture();
    disk.refuse(&[libc::SYS_fdatasync], EIO);
    let mut rounds = 0;
    // Synced every five seconds, after what is written then.
    while disk.refused.load(Ordering::Relaxed) == 0 {
        rounds += 1;
        open_ten(&mut running, &format!("round {rounds}."));
        running.wait_until("the round", |trace| trace.opens().len() >= 10 * rounds);
        // So that it does not become a flood.
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    running.process.wait_for("cannot sync: Input/output error");
    disk.work();
    let done = running.finish();
    is_whole(&done, 10 * rounds, 1);
}

/// SIGHUP wrote the opening again into a file that stays the only one, and counted it as a segment.
#[test]
fn a_single_file_stays_the_only_segment() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("some.pem"));
    let output = dir.join("only.ctseg");
    let steps = words!["wait", "openat", "0", "0", file];
    let running = Capture::new().output(&output).options(["--flush-interval", "20ms"]).workload(steps).start();
    // It writes as X.open until it is sealed.
    let open = dir.join("only.ctseg.open");
    until("it has begun", || Trace::read_so_far(std::slice::from_ref(&open)).execs().len() == 1);
    running.process.signal(Signal::HUP);
    let done = running.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    assert_eq!((trace.metas.len(), trace.opens().len(), stop_line(&done.stderr)[3]), (1, 1, 1));
    let exec_probes = trace.probes().iter().filter(|(_, probe)| probe.probe == "process_exec").count();
    assert_eq!(exec_probes, 1, "the opening is there once");
}

/// Standard output may be a file, on a disk that is full for a while: what was cut off is gone on with. It never was, and
/// everything after it was lost.
#[test]
fn standard_output_on_a_disk_that_refuses_is_gone_on_with() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("some.pem"));
    let refuse = Arc::new(AtomicBool::new(false));
    let faults = Faults::new([libc::SYS_write], {
        let refuse = Arc::clone(&refuse);
        move |call| {
            let is_stream = call.file(0).to_string_lossy().ends_with("stream.ctseg");
            (is_stream && refuse.load(Ordering::Relaxed)).then_some(libc::ENOSPC)
        }
    });
    let stream = dir.join("stream.ctseg");
    let script = "exec \"$0\" record -o - --flush-interval 20ms -- \"$@\" > \"$STREAM\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]).arg(crypto_trace_tests::capture_binary()).arg(workload()).env("STREAM", &stream);
    let steps = words![
        "quiet", "complain", "openat", "0", "0", file, "ready", "wait", "openat", "0", "0", file, "ready", "wait"
    ];
    faults.give_to(command.args(steps).stdin(std::process::Stdio::piped()));
    let mut process = crypto_trace_tests::Process::spawn(&mut command);
    let so_far = || Trace::read_stream(&std::fs::read(&stream).unwrap());
    process.wait_for("ready\n");
    until("the first", || so_far().opens().len() == 1);
    refuse.store(true, Ordering::Relaxed);
    writeln!(process.child().stdin.as_mut().unwrap()).unwrap();
    process.wait_for("cannot write: No space left on device");
    refuse.store(false, Ordering::Relaxed);
    process.wait_for("writing again after");
    until("the second", || so_far().opens().len() == 2);
    let done = process.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = so_far();
    assert!(trace.faults.is_empty(), "{:?}", trace.faults);
    let stats = trace.stats();
    assert_eq!((stats.produced, stats.lost, stats.dropped), (stats.recorded, 0, 0));
    assert_eq!(trace.from_kernel().len() as u64, stats.recorded);
}
