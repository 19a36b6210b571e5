//! Where segments go: rotation, retention, modes, full disks, pipes.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crypto_trace_tests::{
    ATTACHED, Capture, Process, Trace, analyze_binary, capture_binary, live, run, skip, workload,
};
use rustix::process::Signal;

use crate::support::{analyze, directory, stop_line, touch, until};
use crate::words;

/// Steps that open a file this often and say nothing.
fn opens(dir: &Path, count: u64) -> Vec<std::ffi::OsString> {
    let file = touch(&dir.join("busy.pem"));
    words!["quiet", "repeat", count.to_string(), "openat", "0", "0", file].into()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        directory.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn rotation_by_size_loses_nothing_and_each_segment_stands_alone() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let done = Capture::new().options(["--segment-size", "64KiB"]).workload(opens(&dir, 60_000)).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let segments = done.segments();
    assert!(segments.len() >= 3, "{segments:?}");
    assert_eq!(stop_line(&done.stderr)[3], segments.len() as u64);
    let trace = done.trace();
    let stats = trace.stats();
    assert_eq!(trace.from_kernel().len() as u64, stats.recorded);
    let withheld: u64 = trace.suppressed().iter().map(|(_, suppressed)| suppressed.count).sum();
    assert_eq!(trace.opens().len() as u64 + stats.lost + withheld, 60_000);
    let sequences: Vec<_> = trace.metas.iter().map(|meta| meta.sequence).collect();
    assert_eq!(sequences, (0..segments.len() as u64).collect::<Vec<_>>());
    for path in &segments {
        let meta = std::fs::metadata(path).unwrap();
        assert_eq!(meta.permissions().mode() & 0o7777, 0o640, "{}", path.display());
        // A block is written whole, so a segment may be larger by one.
        assert!(meta.len() < 64 << 10 | 32 << 10, "{}", meta.len());
        let alone = Trace::read(std::slice::from_ref(path));
        assert!(!alone.probes().is_empty(), "the opening of {}", path.display());
        assert!(alone.faults.is_empty());
    }
    assert_eq!(std::fs::metadata(&done.output).unwrap().permissions().mode() & 0o7777, 0o750);
}

#[test]
fn rotation_by_age_happens_while_there_is_something_to_record() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let steps = opens(&dir, 1_000_000_000);
    let running =
        Capture::new().options(["--segment-age", "150ms", "--flush-interval", "20ms"]).workload(steps).start();
    until("four segments", || running.segments().len() >= 4);
    let done = running.stop(Signal::INT);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    assert!(trace.metas.windows(2).all(|pair| pair[1].clock.boottime_ns - pair[0].clock.boottime_ns >= 150_000_000));
}

#[test]
fn retention_deletes_the_oldest_segments_and_nothing_else() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let output = dir.join("out");
    let rotating = || Capture::new().output(&output).options(["--segment-size", "64KiB"]);
    let done = rotating().workload(opens(&dir, 60_000)).run();
    let earlier = names(&output);
    assert!(done.code() == 0 && earlier.len() >= 3, "{earlier:?}");
    let foreign = ["notes.txt", "mine.ctseg", "other-20260101T000000Z-00000000-000000.ctseg.open"];
    for name in foreign {
        touch(&output.join(name));
    }

    let done = rotating().options(["--retain-segments", "2"]).workload(opens(&dir, 60_000)).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let mut left = names(&output);
    for name in foreign {
        let at = left.iter().position(|left| left == name).unwrap_or_else(|| panic!("{name} was deleted"));
        left.remove(at);
    }
    // Retention is applied when a segment begins; the last one is sealed after that.
    assert!(left.len() <= 3, "{left:?}");
    assert!(left.iter().all(|name| !earlier.contains(name)), "the oldest go first: {left:?}");
    let newest: Vec<PathBuf> = left.iter().map(|name| output.join(name)).collect();
    let last = Trace::read(&newest).metas.last().unwrap().sequence;
    assert_eq!(last + 1, stop_line(&done.stderr)[3], "the newest stays");

    let options = ["--retain-bytes", "100KiB", "--segment-size", "64KiB"];
    let done = Capture::new().output(&output).options(options).workload(opens(&dir, 60_000)).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let ours = |name: &String| name.ends_with(".ctseg") && !foreign.contains(&name.as_str());
    let bytes: u64 =
        names(&output).iter().filter(|name| ours(name)).map(|name| output.join(name).metadata().unwrap().len()).sum();
    assert!(bytes < (100 << 10) + (96 << 10), "{bytes}: the limit and the segment that was being written");
}

/// A directory of somebody else was taken without a word, and what was put there in place of a segment was sealed.
#[test]
fn a_directory_that_others_may_write_is_told_and_a_swapped_segment_is_not_sealed() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let output = dir.join("shared");
    std::fs::create_dir(&output).unwrap();
    std::fs::set_permissions(&output, std::fs::Permissions::from_mode(0o777)).unwrap();
    let key = touch(&dir.join("a.key"));
    let running = Capture::new().output(&output).workload(words!["open", "0", "0", &key, "wait"]).start();
    running.process.wait_for("may be written by others (mode 0777): anyone who may write there can remove and replace");
    running.wait_until("the open", |trace| trace.opens().len() == 1);
    let [open] = &running.segments()[..] else { panic!("one segment") };
    std::fs::rename(open, dir.join("taken")).unwrap();
    std::fs::write(open, "theirs").unwrap();
    let done = running.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(done.stderr.contains("is not the segment that was written there"), "{}", done.stderr);
    assert_eq!(std::fs::read_to_string(open).unwrap(), "theirs");
    let sealed = open.with_extension("");
    assert_eq!(Trace::read(&[sealed]).opens().len(), 1, "what was written is sealed");
}

/// Root writes here: a link that somebody planted must not tell it where to.
#[test]
fn links_and_files_that_are_there_are_never_written_to() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let victim = touch(&dir.join("victim"));
    let [link, dangling, below, there] =
        ["link.ctseg", "dangling.ctseg", "below.ctseg", "there.ctseg"].map(|name| dir.join(name));
    symlink(&victim, &link).unwrap();
    symlink(dir.join("not-made"), &dangling).unwrap();
    symlink(dir.join("not-made"), dir.join("below.ctseg.open")).unwrap();
    touch(&there);
    let before = names(&dir);
    for output in [&link, &dangling, &below, &there] {
        let done = Capture::new().output(output).command(["true"]).run();
        assert_eq!(done.code(), 125, "{}: {}", output.display(), done.stderr);
        assert!(done.stderr.contains(&format!("cannot write to {}", output.display())), "{}", done.stderr);
        assert!(done.stderr.contains("exists"), "{}", done.stderr);
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "not a key\n");
    assert_eq!(names(&dir), before);
}

#[test]
fn a_place_that_cannot_be_written_to_is_said_and_the_command_never_runs() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("file"));
    let made = dir.join("made-by-the-command.pem");
    for output in [Path::new("/proc/nowhere/out"), &file.join("below"), &dir.join("missing/dir/file.ctseg")] {
        let done = Capture::new().output(output).workload(words!["creat", "0", "0o600", made]).run();
        assert_eq!(done.code(), 125, "{}", done.stderr);
        assert!(done.stderr.contains(&format!("cannot write to {}", output.display())), "{}", done.stderr);
        assert!(!made.exists(), "{}", done.stderr);
    }
}

/// A capture whose output is a small tmpfs of its own with ballast in it; `copy` gets what is there in the end.
fn on_a_small_disk(dir: &Path, options: &[&str], steps: &[std::ffi::OsString]) -> Option<Process> {
    let script = r#"
        mount -t tmpfs -o size=700k,mode=700 none "$DIR/disk" || exit 99
        head -c 600k /dev/zero > "$DIR/disk/ballast"
        "$@"; code=$?
        cp "$DIR"/disk/*ctseg* "$DIR/copy"
        exit $code
    "#;
    std::fs::create_dir(dir.join("disk")).unwrap();
    std::fs::create_dir(dir.join("copy")).unwrap();
    let mut probe = Command::new("unshare");
    let probe = run(probe.args(["-m", "sh", "-c", "mount -t tmpfs none \"$0\""]).arg(dir.join("disk")));
    if probe.code() != 0 {
        skip("cannot mount a tmpfs in a mount namespace (unshare -m)");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).env("DIR", dir).stdin(Stdio::piped());
    command.arg(capture_binary()).args(["record", "-v", "-o"]).arg(dir.join("disk")).args(options);
    Some(Process::spawn(command.arg("--").arg(workload()).args(steps)))
}

/// While the disk refuses the ring fills up: it is that which loses events here, not the share of the process.
const NO_SHARES: [&str; 4] = ["--process-rate", "0", "--user-rate", "0"];

/// Steps that write more than a small disk holds, then wait, then open once more.
fn too_much(dir: &Path) -> Vec<std::ffi::OsString> {
    let mut steps = opens(dir, 60_000);
    steps.extend(words!["complain", "ready", "wait"]);
    steps.extend(opens(dir, 5));
    steps
}

#[test]
fn a_full_disk_is_said_and_recording_goes_on_when_there_is_room_again() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let options = [&["--flush-interval", "20ms"][..], &NO_SHARES].concat();
    let Some(process) = on_a_small_disk(&dir, &options, &too_much(&dir)) else { return };
    process.wait_for("cannot write: No space left on device");
    // The command is not held up by the disk.
    process.wait_for("ready\n");
    let inside = PathBuf::from(format!("/proc/{}/root", process.pid()));
    std::fs::remove_file(inside.join(dir.strip_prefix("/").unwrap()).join("disk/ballast")).unwrap();
    process.wait_for("writing again after");
    let done = process.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert_eq!(done.stderr.matches("No space left").count(), 1, "said once: {}", done.stderr);
    let copies: Vec<_> = names(&dir.join("copy")).iter().map(|name| dir.join("copy").join(name)).collect();
    assert!(copies.iter().all(|path| path.extension().unwrap() == "ctseg"), "{copies:?}");
    let trace = Trace::read(&copies);
    assert!(trace.faults.is_empty(), "{:?}", trace.faults);
    let stats = trace.stats();
    assert_eq!((stats.produced, stats.dropped), (stats.recorded + stats.lost, 0));
    assert_eq!(stats.recorded, trace.from_kernel().len() as u64);
    let told: u64 = trace.losses().iter().map(|(_, loss)| loss.count).sum();
    assert_eq!(trace.opens().len() as u64 + told, 60_005);
}

/// What the writer had to drop was counted as recorded too, so the numbers did not add up.
#[test]
fn a_disk_that_stays_full_costs_what_does_not_fit_and_is_a_failure_in_the_end() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    // Of what is counted in the kernel there are as many records as there are seconds.
    let options = [&["--flush-interval", "20ms", "--kernel-crypto", "off"][..], &NO_SHARES].concat();
    let Some(process) = on_a_small_disk(&dir, &options, &too_much(&dir)) else { return };
    process.wait_for("cannot write: No space left on device");
    let done = process.finish();
    assert_eq!(done.code(), 125, "{}", done.stderr);
    assert!(done.stderr.contains("cannot seal the last segment"), "{}", done.stderr);
    // A small block may still fit, so that it works again for a while.
    let told = |what: &str| done.stderr.matches(what).count();
    assert!(told("cannot write: ") <= told("writing again") + 1, "said once, not at every try: {}", done.stderr);
    let [recorded, lost, dropped, _] = stop_line(&done.stderr);
    assert!(dropped > 0, "{}", done.stderr);
    assert!(done.stderr.contains(&format!("WARNING: {dropped} events could not be written")), "{}", done.stderr);

    let copies: Vec<_> = names(&dir.join("copy")).iter().map(|name| dir.join("copy").join(name)).collect();
    let trace = Trace::read(&copies);
    assert!(trace.faults.iter().all(|fault| !fault.is_damage()), "{:?}", trace.faults);
    // One exec, one exit.
    let produced = 60_005 + 2;
    assert_eq!(recorded + lost + dropped, produced, "{}", done.stderr);
    assert_eq!(recorded, trace.from_kernel().len() as u64, "{}", done.stderr);
    let bytes: u64 = copies.iter().map(|path| path.metadata().unwrap().len()).sum();
    let shown = format!("bytes: {:.1} KiB", f64::from(u32::try_from(bytes).unwrap()) / 1024.0);
    assert!(done.stderr.contains(&shown), "{shown}? {}", done.stderr);
}

#[test]
fn a_stream_into_the_analyzer_is_shown_while_it_goes_on() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("streamed.pem"));
    let steps = words!["wait", "openat", "0", "0", file];
    let traced = Process::spawn(Command::new(workload()).args(steps).stdin(Stdio::piped()));
    let mut command = Command::new(capture_binary());
    command.args(["record", "-v", "-o", "-", "-p", &traced.pid().to_string()]);
    let (capture, segments) = Process::spawn_with_output(&mut command);
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" events --no-redact --type file_open - > \"$1\""]).arg(analyze_binary());
    let shown = dir.join("shown");
    let analyzer = Process::spawn(command.arg(&shown).stdin(segments));
    capture.wait_for(ATTACHED);
    traced.finish().expect_success();
    let shown = || std::fs::read_to_string(&shown).unwrap_or_default();
    until("the event is shown", || shown().ends_with('\n'));
    let event: serde_json::Value = serde_json::from_str(&shown()).unwrap();
    assert_eq!(event["file"], file.to_str().unwrap());

    capture.signal(Signal::TERM);
    capture.finish().expect_success();
    let done = analyzer.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
}

#[test]
fn stock_zstd_reads_segments_and_gives_exactly_the_records() {
    let Some(_permit) = live() else { return };
    if Command::new("zstd").arg("--version").output().is_err() {
        return skip("zstd is not installed");
    }
    let (_keep, dir) = directory();
    let done = Capture::new().options(["--segment-size", "64KiB"]).workload(opens(&dir, 30_000)).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    let tested = run(Command::new("zstd").arg("-tq").args(done.segments()));
    assert_eq!(tested.code(), 0, "{}", tested.stderr);
    let raw = run(Command::new("zstd").arg("-dcq").args(done.segments()));
    assert_eq!(raw.code(), 0, "{}", raw.stderr);
    assert!(raw.stdout == trace.raw, "{} and {} bytes", raw.stdout.len(), trace.raw.len());
    assert_eq!(analyze(words!["verify", done.output]).code(), 0);
}
