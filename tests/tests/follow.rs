//! `--follow` and `--replay-speed`: what is recorded is shown as it comes, all of it and once.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crypto_trace_tests::{Capture, Finished, Process, analyze_binary, directory, live, put_program, run, until};
use rustix::process::Signal;
use serde_json::Value;

/// A group that the recordings of these tests belong to, and that nobody is a member of.
const GROUP: u32 = 47_110;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(name).join("capture.ctseg")
}

fn follower(options: &[&str], directory: &Path) -> Process {
    let mut command = Command::new(analyze_binary());
    command.args(["events", "--follow", "--no-redact"]).args(options).arg(directory);
    Process::spawn(&mut command)
}

fn offline(options: &[&str], directory: &Path) -> Finished {
    let done = run(Command::new(analyze_binary()).args(["events", "--no-redact"]).args(options).arg(directory));
    assert_eq!(done.code(), 0, "{}", done.stderr);
    done
}

/// Stops a follower once its output holds as many lines; `shown` is the file it writes to.
fn stop_at(follower: Process, shown: &Path, lines: usize) -> String {
    let text = || std::fs::read_to_string(shown).unwrap_or_default();
    until(&format!("{lines} lines"), || text().lines().count() >= lines);
    // What should not come would come now.
    std::thread::sleep(Duration::from_millis(200));
    follower.signal(Signal::TERM);
    let done = follower.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    text()
}

/// A capture that rotates all the time while a command opens one file after the other.
fn busy(output: &Path, files: &Path, opens: u32) -> Capture {
    let script = format!("i=0; while [ $i -lt {opens} ]; do : < \"$1/$((i % 7)).key\"; i=$((i+1)); done");
    for number in 0..7 {
        std::fs::write(files.join(format!("{number}.key")), "").unwrap();
    }
    let options = ["--segment-size", "64KiB", "--flush-interval", "20ms", "--tls", "off", "--library-calls", "off"];
    Capture::new()
        .output(output)
        .options(options)
        .command(["sh", "-c", &script, "sh"].map(Into::into).into_iter().chain([files.as_os_str().to_owned()]))
}

#[test]
fn every_event_comes_once_across_rotations_and_restarts() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let [rec, files] = ["rec", "files"].map(|name| dir.join(name));
    [&rec, &files].into_iter().for_each(|path| std::fs::create_dir(path).unwrap());
    let shown = dir.join("shown.jsonl");
    let kinds = ["--type", "file_open,process_exec,process_exit"];
    // Begun before anything is recorded.
    let follower = follower(&[&kinds[..], &["-o", shown.to_str().unwrap()]].concat(), &rec);
    std::thread::sleep(Duration::from_millis(100));
    for _ in 0..2 {
        let done = busy(&rec, &files, 50_000).run();
        assert_eq!(done.code(), 0, "{}", done.stderr);
    }
    let segments = std::fs::read_dir(&rec).unwrap().count();
    assert!(segments > 4, "{segments} segments are not enough for a test of rotation");
    let expected = offline(&kinds, &rec).text();
    assert!(expected.lines().count() > 100_000);
    let followed = stop_at(follower, &shown, expected.lines().count());
    // Within what was flushed together they are in order; a recording is read from its beginning to its end.
    let sorted = |text: &str| -> Vec<String> {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert!(sorted(&followed) == sorted(&expected), "{} and {} lines", followed.len(), expected.len());
}

#[test]
fn without_since_it_begins_now_and_with_it_in_the_past() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let [rec, files] = ["rec", "files"].map(|name| dir.join(name));
    [&rec, &files].into_iter().for_each(|path| std::fs::create_dir(path).unwrap());
    busy(&rec, &files, 500).run();
    let opens = |options: &[&str]| {
        let shown = dir.join("shown.jsonl");
        let _ = std::fs::remove_file(&shown);
        let common = ["--type", "file_open", "-F", "*.key", "-o", shown.to_str().unwrap()];
        let follower = follower(&[&common[..], options].concat(), &rec);
        std::thread::sleep(Duration::from_millis(300));
        busy(&rec, &files, 300).run();
        let all = if options.is_empty() {
            300
        } else {
            offline(&["--type", "file_open", "-F", "*.key"], &rec).text().lines().count()
        };
        stop_at(follower, &shown, all).lines().count()
    };
    assert_eq!(opens(&[]), 300, "the past is not shown");
    assert_eq!(opens(&["--since", "-10m"]), 500 + 300 + 300);
}

/// A daemon records as root; who is in the group of its directory may follow, and nobody else.
#[test]
fn an_unprivileged_user_in_the_group_follows() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let [rec, files] = ["rec", "files"].map(|name| dir.join(name));
    [&rec, &files].into_iter().for_each(|path| std::fs::create_dir(path).unwrap());
    std::os::unix::fs::chown(&rec, None, Some(GROUP)).unwrap();
    // Set-group-id: what is made in it belongs to the group.
    std::fs::set_permissions(&rec, std::fs::Permissions::from_mode(0o2750)).unwrap();
    let analyze = dir.join("crypto-trace-analyze");
    put_program(&analyze_binary(), &analyze);
    let as_nobody = |groups: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--groups", groups]).arg(&analyze);
        command.args(["events", "--follow", "--since", "-10m", "--type", "file_open", "-F", "*.key"]).arg(&rec);
        Process::spawn_with_output(&mut command)
    };
    let (follower, out) = as_nobody(&GROUP.to_string());
    let lines = std::thread::spawn(move || {
        use std::io::BufRead as _;
        std::io::BufReader::new(out).lines().map_while(Result::ok).take(2_000).count()
    });
    busy(&rec, &files, 2_000).run();
    assert_eq!(lines.join().unwrap(), 2_000);
    follower.signal(Signal::TERM);
    follower.finish().expect_success();
    let (outsider, _out) = as_nobody("65534");
    let done = outsider.finish();
    assert_eq!(done.code(), 1, "{}", done.stderr);
    assert!(done.stderr.contains("cannot be listed: Permission denied"), "{}", done.stderr);
}

/// Copies of a real capture stand for a daemon's: what becomes of a directory needs no kernel.
fn segment(directory: &Path, capture: &str, sequence: u32, is_open: bool) -> PathBuf {
    let suffix = if is_open { ".open" } else { "" };
    let path = directory.join(format!("vm-20261123T0700{sequence:02}Z-{capture}-{sequence:06}.ctseg{suffix}"));
    std::fs::copy(testdata("python-https"), &path).unwrap();
    path
}

/// The same of another capture.
fn segment_of(data: &str, directory: &Path) -> PathBuf {
    let path = segment(directory, "00000005", 0, true);
    std::fs::copy(testdata(data), &path).unwrap();
    let sealed = path.with_extension("");
    std::fs::rename(path, &sealed).unwrap();
    sealed
}

#[test]
fn what_was_deleted_before_it_was_read_is_told() {
    let (_keep, dir) = directory();
    let (rec, shown) = (dir.join("rec"), dir.join("shown"));
    std::fs::create_dir(&rec).unwrap();
    let first = segment(&rec, "00000001", 0, false);
    let follower = follower(&["--since", "2020-01-01T00:00:00Z", "-o", shown.to_str().unwrap()], &rec);
    let lines = offline(&[], &first).text().lines().count();
    until("the first is shown", || std::fs::read_to_string(&shown).unwrap_or_default().lines().count() >= lines);
    std::fs::remove_file(first).unwrap();
    segment(&rec, "00000001", 3, false);
    follower.wait_for("segments 1 to 2 were deleted before being read; events are missing");
    stop_at(follower, &shown, 2 * lines);
}

#[test]
fn a_recording_that_broke_off_is_left_for_a_newer_one() {
    let (_keep, dir) = directory();
    let (rec, shown) = (dir.join("rec"), dir.join("shown"));
    std::fs::create_dir(&rec).unwrap();
    let broken = segment(&rec, "00000001", 0, true);
    let bytes = std::fs::read(&broken).unwrap();
    std::fs::write(&broken, &bytes[..bytes.len() / 2]).unwrap();
    let follower = follower(&["--since", "2020-01-01T00:00:00Z", "-o", shown.to_str().unwrap()], &rec);
    let newer = segment(&rec, "00000002", 0, false);
    follower.wait_for("broke off; continuing with a newer one");
    let lines = offline(&[], &newer).text().lines().count();
    let text = stop_at(follower, &shown, lines);
    assert!(!text.is_empty());
}

#[test]
fn a_directory_that_goes_away_is_waited_for() {
    let (_keep, dir) = directory();
    let (rec, moved, shown) = (dir.join("rec"), dir.join("moved"), dir.join("shown"));
    std::fs::create_dir(&rec).unwrap();
    let follower = follower(&["--since", "2020-01-01T00:00:00Z", "-o", shown.to_str().unwrap()], &rec);
    until("it follows", || shown.exists());
    std::fs::rename(&rec, &moved).unwrap();
    follower.wait_for("No such file or directory");
    std::fs::create_dir(&rec).unwrap();
    follower.wait_for("is back");
    let made = segment(&rec, "00000009", 0, false);
    let lines = offline(&[], &made).text().lines().count();
    stop_at(follower, &shown, lines);
    let absent = follower_of_nothing(&dir.join("absent"));
    assert_eq!(absent.code(), 1);
    assert!(absent.stderr.contains("cannot be listed"), "{}", absent.stderr);
}

fn follower_of_nothing(path: &Path) -> Finished {
    run(Command::new(analyze_binary()).args(["events", "--follow", "-d", "1"]).arg(path))
}

/// A writer on a full disk cuts its file back to the last whole block and goes on.
#[test]
fn what_a_writer_takes_back_is_not_shown() {
    let (_keep, dir) = directory();
    let (rec, shown) = (dir.join("rec"), dir.join("shown"));
    std::fs::create_dir(&rec).unwrap();
    let open = segment(&rec, "00000003", 0, true);
    let bytes = std::fs::read(&open).unwrap();
    // Part of a block, then less, then all of it.
    std::fs::write(&open, &bytes[..bytes.len() * 3 / 4]).unwrap();
    let follower = follower(&["--since", "2020-01-01T00:00:00Z", "-o", shown.to_str().unwrap()], &rec);
    until("it follows", || shown.exists());
    std::thread::sleep(Duration::from_millis(200));
    let file = std::fs::OpenOptions::new().write(true).open(&open).unwrap();
    let expected = offline(&[], &testdata("python-https")).text();
    for _ in 0..3 {
        use std::os::unix::fs::FileExt as _;
        file.set_len(bytes.len() as u64 * 5 / 8).unwrap();
        std::thread::sleep(Duration::from_millis(60));
        file.write_all_at(&bytes[bytes.len() * 5 / 8..], bytes.len() as u64 * 5 / 8).unwrap();
        std::thread::sleep(Duration::from_millis(60));
    }
    std::fs::rename(&open, open.with_extension("")).unwrap();
    assert_eq!(stop_at(follower, &shown, expected.lines().count()), expected);
}

/// What is new is told by where it is: a clock that was set back does not hide it.
#[test]
fn a_clock_that_jumps_hides_nothing() {
    let (_keep, dir) = directory();
    let (rec, shown) = (dir.join("rec"), dir.join("shown"));
    std::fs::create_dir(&rec).unwrap();
    // Half of it is there already.
    let open = segment(&rec, "00000004", 0, true);
    let bytes = std::fs::read(&open).unwrap();
    let half = bytes.len() / 2;
    std::fs::write(&open, &bytes[..half]).unwrap();
    let past = offline(&[], &open).text().lines().count();
    let all = offline(&[], &testdata("python-https")).text();
    let follower = follower(&["-o", shown.to_str().unwrap()], &rec);
    until("it follows", || shown.exists());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(std::fs::read_to_string(&shown).unwrap(), "", "the past is not shown");
    // Written now, and of this morning by its clock.
    std::fs::write(&open, &bytes).unwrap();
    std::fs::rename(&open, open.with_extension("")).unwrap();
    let rest = all.lines().count() - past;
    let text = stop_at(follower, &shown, rest.saturating_sub(1));
    assert!(all.ends_with(&text) && text.lines().count() + 1 >= rest, "{} of {rest} lines", text.lines().count());
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(!event["exe"].is_null() || event["event_type"] != "file_open", "what came before tells of processes");
    }
}

#[test]
fn an_array_is_complete_whatever_ends_it() {
    let (_keep, dir) = directory();
    let rec = dir.join("rec");
    std::fs::create_dir(&rec).unwrap();
    segment(&rec, "00000001", 0, false);
    for format in ["json-array", "json-pretty"] {
        let options = ["--since", "2020-01-01T00:00:00Z", "-f", format];
        let timed = follower(&[&options[..], &["-d", "1"]].concat(), &rec).finish();
        assert_eq!(timed.code(), 0, "{}", timed.stderr);
        let events: Value = serde_json::from_str(&timed.text()).unwrap();
        assert!(!events.as_array().unwrap().is_empty());
        assert!(!timed.stderr.contains("not sealed"), "that it was left is no damage: {}", timed.stderr);
    }
    let refused = |options: &[&str], why: &str| {
        let done = run(Command::new(analyze_binary()).args(["events", "--follow"]).args(options));
        assert_eq!(done.code(), 2, "{}", done.stderr);
        assert!(done.stderr.contains(why), "{}", done.stderr);
    };
    let rec = rec.to_str().unwrap();
    refused(&[rec, rec], "--follow follows one directory");
    refused(&[rec, "--until", "10:30"], "end it with --duration");
    refused(&[rec, "--replay-speed", "2"], "cannot be used with");
    refused(&[rec, "-d", "0"], "is not a duration");
}

#[test]
fn a_replay_takes_its_time() {
    // 417 ms of events.
    let capture = testdata("python-https");
    let took = |speed: &str| {
        let begun = Instant::now();
        let done =
            run(Command::new(analyze_binary()).args(["events", "--no-redact", "--replay-speed", speed]).arg(&capture));
        assert_eq!(done.code(), 0, "{}", done.stderr);
        (begun.elapsed(), done.text())
    };
    let (max, at_once) = took("max");
    let (own, paced) = took("1");
    let (half, slowed) = took("0.5");
    assert!(paced == at_once && slowed == at_once, "the same events");
    assert!(own > Duration::from_millis(380) && half > Duration::from_millis(760), "{max:?} {own:?} {half:?}");
}

#[test]
fn reports_follow_too() {
    let (_keep, dir) = directory();
    let rec = dir.join("rec");
    std::fs::create_dir(&rec).unwrap();
    for (report, data, expected) in [
        ("files", "python-https", "/privkey.pem"),
        ("libs", "python-https", "libssl.so.3"),
        ("tls", "tls-nginx", "TLS_AES_256_GCM_SHA384"),
        ("readiness", "tls-nginx", "client did not offer"),
    ] {
        let mut command = Command::new(analyze_binary());
        let out = dir.join(report);
        command.args([report, "--follow", "--since", "2020-01-01T00:00:00Z", "-o"]).arg(&out).arg(&rec);
        let follower = Process::spawn(command.stdin(Stdio::null()));
        let made = segment_of(data, &rec);
        until("the list", || std::fs::read_to_string(&out).unwrap_or_default().contains(expected));
        follower.signal(Signal::INT);
        follower.finish().expect_success();
        std::fs::remove_file(made).unwrap();
    }
}
