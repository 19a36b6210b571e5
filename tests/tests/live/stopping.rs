//! How a capture ends: by signal, by time, with its command, and by being killed.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crypto_trace_format::record::ProbeState;
use crypto_trace_tests::{Capture, Done, Faults, Process, alone, live, workload};
use rustix::process::Signal;

use crate::support::{analyze, directory, said, touch};
use crate::words;

/// A workload that waits for its standard input to close.
fn waiting() -> Process {
    Process::spawn(Command::new(workload()).arg("wait").stdin(Stdio::piped()))
}

/// Every segment is sealed, whole and undamaged, and the analyzer agrees.
fn sealed(done: &Done) {
    done.trace();
    let verified = analyze(words!["verify", done.output]);
    assert_eq!(verified.code(), 0, "{}{}", verified.text(), verified.stderr);
}

#[test]
fn a_signal_to_stop_seals_and_is_no_failure() {
    let Some(_permit) = live() else { return };
    for signal in [Signal::INT, Signal::TERM] {
        let process = waiting();
        let done = Capture::new().options(["-p", &process.pid().to_string()]).start().stop(signal);
        assert_eq!(done.code(), 0, "{signal:?}: {}", done.stderr);
        assert!(done.waited < Duration::from_secs(5), "{:?}", done.waited);
        assert!(done.stderr.contains("Events recorded: "), "{}", done.stderr);
        sealed(&done);
        process.finish().expect_success();
    }
}

/// Probes on libraries are let go side by side. Where no thread could be started for that, as with many of them under the unit's
/// `TasksMax`, the stop panicked, and the last segment stayed open.
#[test]
fn a_stop_needs_no_more_threads_than_there_may_be() {
    let Some(_permit) = live() else { return };
    let mut loader = Command::new(workload());
    let process = Process::spawn(loader.args(["dlopen", "libssl.so.3", "wait"]).stdin(Stdio::piped()));
    let (refusing, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let faults = Faults::new([libc::SYS_clone, libc::SYS_clone3], {
        let (refusing, refused) = (Arc::clone(&refusing), Arc::clone(&refused));
        move |_| {
            let refuses = refusing.load(Ordering::Relaxed);
            refused.fetch_add(refuses.into(), Ordering::Relaxed);
            refuses.then_some(libc::EAGAIN)
        }
    });
    let options = ["-p", &process.pid().to_string(), "--library-calls", "on"];
    let running = Capture::new().options(options).faults(faults).start();
    running.wait_until("a library that is probed", |trace| {
        trace.libraries().iter().any(|(_, library)| library.fixed.state == ProbeState::ATTACHED.0)
    });
    refusing.store(true, Ordering::Relaxed);
    let done = running.stop(Signal::INT);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(refused.load(Ordering::Relaxed) > 0, "it asked for none");
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    sealed(&done);
}

/// The reference took 15 s to stop under load.
#[test]
fn a_stop_under_full_load_is_quick_and_accounts_for_everything() {
    let Some(_permit) = alone() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("busy.pem"));
    let steps = words!["quiet", "procs", "4", "repeat", "1000000000", "openat", "0", "0", file];
    let running = Capture::new().workload(steps).start();
    running.wait_until("opens", |trace| trace.opens().len() > 1000);
    let children = Orphans(children_of(child_of(running.process.pid())));
    assert_eq!(children.0.len(), 4);
    // Only the command itself is told to stop, so that the load stays.
    let (done, waited) = running.stop_and_then(Signal::INT, || drop(children));
    assert_eq!(done.code(), 0, "{}", done.stderr);
    // A debug build on a machine that does other things: the target is 1 s.
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    sealed(&done);
    let stats = done.trace().stats();
    assert_eq!(stats.produced, stats.recorded + stats.lost);
    assert_eq!(done.trace().from_kernel().len() as u64, stats.recorded);
}

/// Processes whose parent goes before them; they go when this does.
struct Orphans(Vec<rustix::process::Pid>);

impl Drop for Orphans {
    fn drop(&mut self) {
        for pid in &self.0 {
            // Gone already is as well.
            let _ = rustix::process::kill_process(*pid, Signal::KILL);
        }
    }
}

/// The one child of a process.
fn child_of(pid: u32) -> rustix::process::Pid {
    let children = children_of(rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap());
    assert_eq!(children.len(), 1);
    children[0]
}

fn children_of(pid: rustix::process::Pid) -> Vec<rustix::process::Pid> {
    let pid = pid.as_raw_nonzero();
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let child = |word: &str| rustix::process::Pid::from_raw(word.parse().unwrap()).unwrap();
    list.split_whitespace().map(child).collect()
}

#[test]
fn the_time_given_is_the_time_recorded() {
    let Some(_permit) = live() else { return };
    let process = waiting();
    let done = Capture::new().options(["-d", "700ms", "-p", &process.pid().to_string()]).start().finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(done.waited > Duration::from_millis(500) && done.waited < Duration::from_secs(10), "{:?}", done.waited);
    sealed(&done);
}

#[test]
fn a_command_does_not_outlive_the_time_given() {
    let Some(_permit) = live() else { return };
    let done = Capture::new().options(["-d", "500ms"]).command(["sleep", "60"]).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    sealed(&done);
}

#[test]
fn a_capture_of_a_command_ends_as_the_command_does() {
    let Some(_permit) = live() else { return };
    for (steps, code, said) in [
        (words!["exit", "0"], 0, "command exited with code 0"),
        (words!["exit", "7"], 7, "command exited with code 7"),
        (words!["exit", "255"], 255, "command exited with code 255"),
        (words!["kill", "9"], 137, "command was killed by signal 9"),
        (words!["kill", "15"], 143, "command was killed by signal 15"),
    ] {
        let done = Capture::new().workload(steps).run();
        assert_eq!(done.code(), code, "{}", done.stderr);
        assert!(done.stderr.contains(said), "{}", done.stderr);
        sealed(&done);
    }
}

#[test]
fn a_command_that_cannot_run_is_said_with_the_code_of_a_shell() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let not_a_program = touch(&dir.join("notes.txt"));
    for (command, code) in [(PathBuf::from("/nonexistent/program"), 127), (not_a_program, 126)] {
        let done = Capture::new().command([&command]).run();
        assert_eq!(done.code(), code, "{}", done.stderr);
        assert!(done.stderr.contains(&format!("cannot run {}", command.display())), "{}", done.stderr);
        sealed(&done);
    }
}

#[test]
fn sighup_begins_a_new_segment_and_nothing_is_lost_between_them() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("a.pem"));
    let steps = words!["quiet", "repeat", "20000", "openat", "0", "0", file, "wait"];
    let mut command = Command::new(workload());
    let process = Process::spawn(command.arg("wait").args(steps).stdin(Stdio::piped()));
    let running = Capture::new().options(["-p", &process.pid().to_string()]).start();
    for number in 1..=3 {
        running.wait_until("a whole opening", |trace| trace.infos().len() == number);
        running.process.signal(Signal::HUP);
        crate::support::until("a new segment", || running.segments().len() == number + 1);
    }
    running.wait_until("a whole opening", |trace| trace.infos().len() == 4);
    process.finish().expect_success();
    let done = running.stop(Signal::TERM);
    sealed(&done);
    let trace = done.trace();
    assert_eq!(trace.opens().len(), 20_000);
    let sequences: Vec<_> = trace.metas.iter().map(|meta| meta.sequence).collect();
    assert_eq!(sequences, [0, 1, 2, 3]);
    assert!(trace.metas.iter().all(|meta| meta.capture_id == trace.metas[0].capture_id));
    assert_eq!(trace.infos().len(), 4, "each segment tells the processes anew");
}

/// Kills a capture once its file has this many bytes; checks that what could be read before still can, and that
/// the command never noticed. Returns how many opens could be read before.
fn kill_at(bytes: u64, flush: &str) -> usize {
    const OPENS: usize = 60_000;
    let (_keep, dir) = directory();
    let file = touch(&dir.join("busy.pem"));
    let opens = OPENS.to_string();
    let steps = words!["quiet", "repeat", opens, "openat", "0", "0", file, "ready"];
    let output = dir.join("out");
    let running = Capture::new().output(&output).options(["--flush-interval", flush]).workload(&steps).start();
    crate::support::until("a file of that size", || {
        running.segments().first().and_then(|path| std::fs::metadata(path).ok()).is_some_and(|meta| meta.len() >= bytes)
    });
    let before = running.so_far();
    let killed = running.stop(Signal::KILL);
    assert_eq!(killed.code(), 137, "{}", killed.stderr);
    // The end of the command's output is the end of the command. It never began if it had not been let go yet.
    let began = !killed.stdout.is_empty();
    assert!(began || before.execs().is_empty(), "at {bytes} bytes the command was harmed: {}", killed.stderr);
    if began {
        assert_eq!(killed.text(), "ready\n");
    }

    // What was there is there.
    let segments = killed.segments();
    assert_eq!(segments.len(), 1);
    assert!(segments[0].to_string_lossy().ends_with(".ctseg.open"));
    let content = std::fs::read(&segments[0]).unwrap();
    if !before.metas.is_empty() {
        let after = killed.trace_as_it_is();
        assert!(after.raw.starts_with(&before.raw), "{} bytes were readable", before.raw.len());
        let torn = after.faults.iter().filter(|fault| fault.is_damage()).count();
        assert_eq!(torn, 0, "{:?}", after.faults);

        let verified = analyze(words!["verify", output]);
        assert_eq!(verified.code(), 0, "{}{}", verified.text(), verified.stderr);
        let events = analyze(words!["events", "--type", "file_open", output]);
        assert_eq!(events.code(), 0, "{}", events.stderr);
        assert_eq!(events.text().lines().count(), after.opens().len());
    }

    // The next capture leaves it alone.
    let next = Capture::new().output(&output).workload(words!["openat", "0", "0", file]).run();
    assert_eq!(next.code(), 0, "{}", next.stderr);
    assert_eq!(std::fs::read(&segments[0]).unwrap(), content, "the old file was changed");
    let mut now = next.segments();
    now.retain(|path| *path != segments[0]);
    assert_eq!(now.len(), 1);
    assert_eq!(crypto_trace_tests::Trace::read(&now).opens().len(), 1);
    before.opens().len()
}

#[test]
fn what_was_flushed_before_a_sigkill_stays_readable() {
    let Some(_permit) = live() else { return };
    // From before the header is written to well into the records; the last ones with large blocks.
    let opens = [0, 1, 500, 4_000, 6_000, 9_000, 12_000, 15_000, 18_000, 21_000, 24_000].map(|at| kill_at(at, "5ms"));
    assert!(opens[10] > 0, "killed too early: {opens:?}");
    assert!(kill_at(30_000, "1s") > 0);
}

/// `--flush-interval` is what a crash costs at most.
#[test]
fn what_is_older_than_the_flush_interval_survives_a_sigkill() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("a.pem"));
    let steps = words!["openat", "0", "0", file, "wait", "openat", "0", "0", file];
    let running = Capture::new().options(["--flush-interval", "50ms"]).workload(steps).start();
    // Nothing happens any more: only the interval can bring it to the disk.
    running.wait_until("the open", |trace| trace.opens().len() == 1);
    let killed = running.stop(Signal::KILL);
    assert_eq!(said(&killed.stdout).len(), 2, "the command went on");
    let trace = killed.trace_as_it_is();
    assert_eq!((trace.opens().len(), trace.execs().len()), (1, 1));
}
