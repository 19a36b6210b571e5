//! `monitor`: what is recorded is shown at once, by an analyzer that may do nothing.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crypto_trace_tests::{Finished, Process, alone, analyze_binary, capture_binary, live, put_program, run, workload};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{directory, stop_line, touch, until};
use crate::words;

fn monitor() -> Command {
    let mut command = Command::new(capture_binary());
    command.args(["monitor", "--no-redact"]);
    command
}

/// A workload that waits for its standard input to close, then opens this file.
fn opening(file: &Path) -> Process {
    let steps = words!["wait", "openat", "0", "0", file];
    Process::spawn(Command::new(workload()).args(steps).stdin(Stdio::piped()))
}

fn lines(done: &Finished) -> Vec<Value> {
    done.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Files of the opens among these events.
fn files(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .filter(|event| event["event_type"] == "file_open")
        .map(|event| event["file"].as_str().unwrap())
        .collect()
}

/// The analyzer that this capture has started.
fn renderer_of(capture: u32) -> u32 {
    let mut found = None;
    until("the analyzer runs", || {
        let children = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let pid: u32 = entry.unwrap().file_name().to_str()?.parse().ok()?;
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let is = status.starts_with("Name:\tcrypto-trace-an") && status.contains(&format!("PPid:\t{capture}\n"));
            is.then_some(pid)
        });
        found = children.into_iter().next();
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn every_format_shows_what_was_done() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("shown.pem"));
    for format in ["json-stream", "json-array", "json-pretty", "summary"] {
        let output = dir.join(format);
        let mut command = monitor();
        command.args(["-f", format, "-o"]).arg(&output).arg("--").arg(workload());
        let done = run(command.args(words!["openat", "0", "0", file]));
        assert_eq!(done.code(), 0, "{}", done.stderr);
        assert!(done.text().starts_with("open "), "what the command prints is its own: {}", done.text());
        let shown = std::fs::read_to_string(&output).unwrap();
        let events: Vec<Value> = match format {
            "json-stream" => shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
            "summary" => {
                assert!(shown.contains(file.to_str().unwrap()), "{shown}");
                continue;
            }
            _ => serde_json::from_str(&shown).unwrap(),
        };
        assert_eq!(files(&events), [file.to_str().unwrap()]);
        for kind in ["process_exec", "process_exit"] {
            assert!(events.iter().any(|event| event["event_type"] == kind), "{format}: no {kind}");
        }
    }
}

#[test]
fn filters_are_those_of_a_recording_and_of_the_analyzer() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let [pem, key] = ["one.pem", "two.key"].map(|name| touch(&dir.join(name)));
    let shown = |options: &[&str]| {
        let mut command = monitor();
        command
            .args(options)
            .arg("--")
            .arg(workload())
            .args(words!["quiet", "openat", "0", "0", pem, "openat", "0", "0", key]);
        let done = run(&mut command);
        assert_eq!(done.code(), 0, "{}", done.stderr);
        lines(&done)
    };
    let [pem, key] = [&pem, &key].map(|path| path.to_str().unwrap());
    let events = shown(&["-F", "*.pem"]);
    assert_eq!((files(&events), events.len()), (vec![pem], 1), "only what the glob matches");
    let events = shown(&["--type", "file_open"]);
    assert_eq!((files(&events), events.len()), (vec![pem, key], 2));
    assert_eq!(files(&shown(&["-F", "*.key", "-l", "libnothing"])), [key]);
    assert!(shown(&["-l", "libnothing"]).is_empty());
}

#[test]
fn files_and_libs_show_those_alone() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let [pem, key] = ["one.pem", "two.key"].map(|name| touch(&dir.join(name)));
    let shown = |command: &str, options: &[&str]| {
        let mut capture = Command::new(capture_binary());
        capture.args([command, "-v", "--no-redact"]).args(options).args([
            "--",
            "sh",
            "-c",
            "openssl version && cat \"$@\"",
            "sh",
        ]);
        capture.args([&pem, &key]);
        let done = run(&mut capture);
        assert_eq!(done.code(), 0, "{}", done.stderr);
        for probe in ["tls_hello", "api_call"] {
            assert!(!done.stderr.contains(probe), "what is not shown costs nothing: {}", done.stderr);
        }
        lines(&done)
    };
    let opened = |events: &[Value]| -> Vec<String> {
        assert!(events.iter().all(|event| event["event_type"] == "file_open"), "{events:?}");
        files(events).into_iter().map(str::to_owned).collect()
    };
    let [pem, key] = [&pem, &key].map(|path| path.to_str().unwrap().to_owned());
    let all = opened(&shown("files", &[]));
    assert!(all.contains(&pem) && all.contains(&key), "{all:?}");
    assert_eq!(opened(&shown("files", &["-F", "*.key"])), [key]);
    let loaded = |options: &[&str]| -> Vec<String> {
        let events = shown("libs", options);
        assert!(events.iter().all(|event| event["event_type"] == "lib_load"), "{events:?}");
        events.iter().map(|event| event["library_file"].as_str().unwrap().to_owned()).collect()
    };
    let all = loaded(&[]);
    assert!(["libcrypto.so", "libssl.so"].iter().all(|name| all.iter().any(|have| have.starts_with(name))), "{all:?}");
    let [libssl] = &loaded(&["-l", "libssl"])[..] else { panic!("one libssl") };
    assert!(libssl.starts_with("libssl.so"), "{libssl}");
}

#[test]
fn the_analyzer_has_no_privileges() {
    let Some(_permit) = live() else { return };
    for (sudo, uid, gid) in
        [(None, 65534, 65534), (Some(("4711", "4712")), 4711, 4712), (Some(("0", "0")), 65534, 65534)]
    {
        let traced = Process::spawn(Command::new(workload()).arg("wait").stdin(Stdio::piped()));
        let mut command = monitor();
        command.args(["-p", &traced.pid().to_string()]).env_remove("SUDO_UID").env_remove("SUDO_GID");
        if let Some((uid, gid)) = sudo {
            command.env("SUDO_UID", uid).env("SUDO_GID", gid);
        }
        let capture = Process::spawn(&mut command);
        let renderer = renderer_of(capture.pid());
        let status = std::fs::read_to_string(format!("/proc/{renderer}/status")).unwrap();
        for line in [
            format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}"),
            format!("Gid:\t{gid}\t{gid}\t{gid}\t{gid}"),
            "Groups:\t".to_owned(),
            "NoNewPrivs:\t1".to_owned(),
            "CapPrm:\t0000000000000000".to_owned(),
            "CapEff:\t0000000000000000".to_owned(),
            "CapInh:\t0000000000000000".to_owned(),
            "CapAmb:\t0000000000000000".to_owned(),
        ] {
            assert!(status.lines().any(|have| have.trim_end() == line.trim_end()), "{line}? {status}");
        }
        // With the last process of -p the recording ends.
        traced.finish().expect_success();
        let done = capture.finish();
        assert_eq!(done.code(), 0, "{}", done.stderr);
        assert!(done.stderr.contains("every process named by -p has ended"), "{}", done.stderr);
    }
}

#[test]
fn an_event_is_shown_while_it_goes_on_and_a_signal_completes_the_output() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("live.pem"));
    for signal in [Signal::INT, Signal::TERM] {
        let output = dir.join(format!("{signal:?}"));
        let steps = words!["openat", "0", "0", file, "wait"];
        let mut command = monitor();
        command.args(["-v", "-f", "json-array", "-o"]).arg(&output).arg("--").arg(workload()).args(steps);
        let capture = Process::spawn(command.stdin(Stdio::piped()));
        until("the event is shown", || std::fs::read_to_string(&output).is_ok_and(|text| text.contains("live.pem")));
        capture.signal(signal);
        let done = capture.finish();
        assert_eq!(done.code(), 0, "{}", done.stderr);
        let events: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(&output).unwrap()).unwrap();
        assert_eq!(files(&events), [file.to_str().unwrap()]);
        assert!(done.stderr.contains("Events processed: "), "{}", done.stderr);
    }
}

/// timeout(1) signals the capture, and then the group that it is in; a service manager all processes of a service. The second
/// signal cut the array short, and the one to the analyzer did.
#[test]
fn an_array_is_closed_also_when_the_whole_group_and_the_analyzer_are_signalled() {
    use std::os::unix::process::CommandExt as _;
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("group.pem"));
    let whole = |output: &Path| -> Vec<Value> {
        let text = std::fs::read_to_string(output).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    for signal in [Signal::TERM, Signal::INT] {
        let output = dir.join(format!("{signal:?}.json"));
        let traced = opening(&file);
        // Goes on, so that it is the signal that ends the recording.
        let other = Process::spawn(Command::new(workload()).arg("wait").stdin(Stdio::piped()));
        let [pid, more] = [&traced, &other].map(|process| process.pid().to_string());
        let mut command = monitor();
        command.args(["-p", &pid, "-p", &more, "-f", "json-array", "-o"]).arg(&output).process_group(0);
        let capture = Process::spawn(command.stdin(Stdio::piped()));
        let renderer = Pid::from_raw(renderer_of(capture.pid()).try_into().unwrap()).unwrap();
        traced.finish().expect_success();
        until("the event is shown", || std::fs::read_to_string(&output).is_ok_and(|text| text.contains("group.pem")));
        kill_process(renderer, signal).unwrap();
        let group = Pid::from_raw(capture.pid().try_into().unwrap()).unwrap();
        capture.signal(signal);
        // It may have ended by now.
        let _ = rustix::process::kill_process_group(group, signal);
        let _ = kill_process(renderer, signal);
        let done = capture.finish();
        assert_eq!(done.code(), 0, "{}", done.stderr);
        assert_eq!(files(&whole(&output)), [file.to_str().unwrap()]);
        drop(other);
    }
    let output = dir.join("timeout.json");
    let traced = Process::spawn(Command::new(workload()).arg("wait").stdin(Stdio::piped()));
    let mut timeout = Command::new("timeout");
    timeout.args(["--preserve-status", "4"]).arg(capture_binary()).args(["monitor", "-f", "json-array", "-o"]);
    let done = run(timeout.arg(&output).args(["-p", &traced.pid().to_string()]));
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert_eq!(whole(&output), [] as [Value; 0]);
    drop(traced);
}

#[test]
fn time_ends_it() {
    let Some(_permit) = live() else { return };
    let mut command = monitor();
    let done = run(command.args(["-d", "300ms", "--"]).arg(workload()).arg("wait").stdin(Stdio::piped()));
    assert!(matches!(done.code(), 0 | 143), "{}: {}", done.code(), done.stderr);
    assert!(lines(&done).iter().any(|event| event["event_type"] == "process_exec"));
}

#[test]
fn a_closed_pipe_ends_it_quietly_and_the_command_goes_on() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("first.pem"));
    let steps = words!["quiet", "openat", "0", "0", file, "wait", "complain", "ready"];
    let mut command = monitor();
    command.args(["--type", "file_open", "--"]).arg(workload()).args(steps).stdin(Stdio::piped());
    let (mut capture, out) = Process::spawn_with_output(&mut command);
    let mut first = String::new();
    let mut out = BufReader::new(out);
    out.read_line(&mut first).unwrap();
    assert!(first.contains("first.pem"), "{first}");
    // Nothing more happens; it is noticed all the same.
    drop(out);
    capture.wait_for("stopped: nothing reads the recording any more; the command continues");
    drop(capture.child().stdin.take());
    let done = capture.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(done.stderr.contains("ready"), "{}", done.stderr);
    assert!(!done.stderr.contains("error"), "{}", done.stderr);
}

#[test]
fn a_command_that_nobody_watches_any_more_is_ended_by_a_signal() {
    let Some(_permit) = live() else { return };
    let mut command = monitor();
    command.arg("--").arg(workload()).arg("wait").stdin(Stdio::piped());
    let (capture, out) = Process::spawn_with_output(&mut command);
    drop(out);
    capture.wait_for("the command continues");
    capture.signal(Signal::TERM);
    let done = capture.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
}

#[test]
fn an_analyzer_that_fails_is_told() {
    let Some(_permit) = live() else { return };
    let mut command = monitor();
    let done = run(command.args(["-o", "/dev/full", "--"]).arg(workload()).arg("wait").stdin(Stdio::piped()));
    assert_eq!(done.code(), 125, "{}", done.stderr);
    assert!(done.stderr.contains("No space left"), "{}", done.stderr);
    assert!(done.stderr.contains("crypto-trace-analyze failed with exit code 1"), "{}", done.stderr);

    let traced = Process::spawn(Command::new(workload()).arg("wait").stdin(Stdio::piped()));
    let capture = Process::spawn(monitor().args(["-p", &traced.pid().to_string()]));
    let renderer = Pid::from_raw(renderer_of(capture.pid()).try_into().unwrap()).unwrap();
    kill_process(renderer, Signal::KILL).unwrap();
    // Nothing happens, and still it ends.
    let done = capture.finish();
    assert_eq!(done.code(), 1, "{}", done.stderr);
    assert!(done.stderr.contains("crypto-trace-analyze was killed by signal 9"), "{}", done.stderr);
    traced.finish().expect_success();
}

/// The host and what is traced must not wait for whoever reads.
#[test]
fn a_reader_that_does_not_read_costs_events_and_they_are_counted() {
    let Some(_permit) = alone() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("busy.pem"));
    let traced = opening(&file);
    let steps = words!["quiet", "repeat", "300000", "openat", "0", "0", file, "complain", "ready", "wait"];
    let mut command = monitor();
    command
        .args(["--ring-size", "64KiB", "--process-rate", "0", "--user-rate", "0", "--type", "file_open,loss", "--"])
        .arg(workload())
        .args(steps);
    let (mut capture, out) = Process::spawn_with_output(command.stdin(Stdio::piped()));
    // Nobody reads, and what is traced goes on.
    capture.wait_for("ready\n");
    drop(capture.child().stdin.take());
    let reading = std::thread::spawn(move || {
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        lines.filter(|line| line.contains("\"event_type\":\"file_open\"")).count() as u64
    });
    let done = capture.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let shown = reading.join().unwrap();
    let [recorded, lost, dropped, _] = stop_line(&done.stderr);
    assert!(lost > 0 && shown < 300_000, "{}", done.stderr);
    assert!(done.stderr.contains("WARNING: Ring buffer backpressure detected"), "{}", done.stderr);
    // Opens, and few others: an exec, an exit, counted calls.
    assert!((300_000..300_100).contains(&(recorded + lost + dropped)), "{}", done.stderr);
    assert!(shown <= recorded && shown + 100 > recorded, "{shown}: {}", done.stderr);
    drop(traced);
}

#[test]
fn processes_that_are_not_there_are_told() {
    let Some(_permit) = live() else { return };
    let traced = Process::spawn(Command::new(workload()).arg("wait").stdin(Stdio::piped()));
    let pid = traced.pid();
    traced.finish().expect_success();
    let (_keep, dir) = directory();
    let output = dir.join("never.json");
    for (pid, why) in [(pid.to_string(), "it may have ended"), ("4194305".to_owned(), "no process")] {
        let done = run(monitor().args(["-p", &pid, "-f", "json-array", "-o"]).arg(&output));
        assert_eq!(done.code(), 1, "{}", done.stderr);
        assert!(done.stderr.contains(&format!("no process {pid}")) && done.stderr.contains(why), "{}", done.stderr);
    }
}

#[test]
fn a_name_that_never_matches_is_told_with_what_comes_near() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    put_program(&workload(), &dir.join("ct-nearby"));
    let there = Process::spawn(Command::new(dir.join("ct-nearby")).arg("wait").stdin(Stdio::piped()));
    let mut command = monitor();
    let done = run(command.args(["-n", "ct-naerby", "-d", "300ms", "--tls", "off", "--library-calls", "off"]));
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let told = "no process is named \"ct-naerby\"; running, nearest names first: ct-nearby, ";
    assert!(done.stderr.contains(told), "{}", done.stderr);
    there.finish().expect_success();
}

/// A wrong `-n` was told, a wrong `-l` was not: no library is silence.
#[test]
fn a_library_that_never_comes_is_told_with_what_comes_near() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let Some(object) = crypto_trace_tests::libssl() else { return crypto_trace_tests::skip("there is no libssl.so") };
    let library = dir.join("libssl-ctnear.so.3");
    std::fs::copy(object, &library).unwrap();
    let there = Process::spawn(
        Command::new(workload()).args(words!["dlopen", library, "complain", "ready", "wait"]).stdin(Stdio::piped()),
    );
    there.wait_for("ready");
    let libs = |options: &[&str]| run(Command::new(capture_binary()).args(["libs"]).args(options));
    let waits = |done: &Finished| done.stderr.contains("no library mapped now matches");
    let nearest = |done: &Finished| {
        let line = done.stderr.lines().find(|line| line.starts_with("no crypto library named "));
        line.map(|line| {
            line.split("nearest names first: ").nth(1).unwrap_or_default().split(", ").next().unwrap().to_owned()
        })
    };
    // Mapped before; loaded by a command.
    let done = libs(&["-l", "libssl-ctnaer", "-d", "300ms"]);
    assert!(waits(&done), "{}", done.stderr);
    assert_eq!(nearest(&done).as_deref(), Some("libssl-ctnear.so.3"), "{}", done.stderr);
    let here = libs(&["-l", "libssl-ctnear", "-d", "300ms"]);
    assert!(!waits(&here) && nearest(&here).is_none(), "{}", here.stderr);
    there.finish().expect_success();
    let [program, library] = [workload(), library].map(|path| path.to_str().unwrap().to_owned());
    let command = ["--", &program, "dlopen", &library];
    let done = libs(&[&["-l", "libssl-ctnaer"], &command[..]].concat());
    assert!(!waits(&done) && nearest(&done).as_deref() == Some("libssl-ctnear.so.3"), "{}", done.stderr);
    let done = libs(&[&["-l", "libssl-ctnear"], &command[..]].concat());
    assert_eq!(nearest(&done), None, "{}", done.stderr);
}

#[test]
fn without_an_analyzer_it_says_what_to_do() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let alone = dir.join("crypto-trace-capture");
    put_program(&capture_binary(), &alone);
    let done = run(Command::new(&alone).args(["monitor", "--", "true"]).env("PATH", "/nowhere"));
    assert_eq!(done.code(), 125, "{}", done.stderr);
    assert!(done.stderr.contains("crypto-trace-analyze is neither beside this program nor in PATH"), "{}", done.stderr);
    put_program(&analyze_binary(), &dir.join("bin-crypto-trace-analyze"));
    std::fs::create_dir(dir.join("bin")).unwrap();
    std::fs::rename(dir.join("bin-crypto-trace-analyze"), dir.join("bin/crypto-trace-analyze")).unwrap();
    let path = format!("{}:/usr/bin:/bin", dir.join("bin").display());
    let done = run(Command::new(&alone).args(["monitor", "--", "true"]).env("PATH", &path));
    // Below a directory where anybody makes files.
    assert_eq!(done.code(), 125, "{}", done.stderr);
    assert!(done.stderr.contains("is not run as root, because others may replace it"), "{}", done.stderr);
    // Found where programs are, and root alone puts them.
    let theirs = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir_in("/var/lib").unwrap();
    std::fs::rename(dir.join("bin"), theirs.path().join("bin"))
        .or_else(|_| {
            std::fs::create_dir(theirs.path().join("bin"))?;
            std::fs::copy(analyze_binary(), theirs.path().join("bin/crypto-trace-analyze")).map(drop)
        })
        .unwrap();
    for directory in [theirs.path(), &theirs.path().join("bin")] {
        std::fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", theirs.path().join("bin").display());
    let done = run(Command::new(&alone).args(["monitor", "--", "true"]).env("PATH", path));
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(!lines(&done).is_empty());
}

#[test]
fn every_event_type_that_can_be_asked_for_is_one_of_the_analyzers() {
    let Some(_permit) = live() else { return };
    let refused = run(monitor().args(["--type", "nonsense", "--", "true"]));
    assert_eq!(refused.code(), 125, "{}", refused.stderr);
    let refused = run(Command::new(analyze_binary()).args(["events", "--type", "nonsense"]));
    let (_, all) = refused.stderr.split_once("event types are ").unwrap();
    let all: String = all.lines().next().unwrap().split(", ").collect::<Vec<_>>().join(",");
    let done = run(monitor().args(["--type", &all, "--"]).arg(workload()));
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(lines(&done).iter().any(|event| event["event_type"] == "probe_status"));
}

#[test]
fn numbers_are_told_while_it_goes_on() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let metrics = dir.join("crypto_trace.prom");
    let file = touch(&dir.join("counted.pem"));
    let steps = words!["quiet", "repeat", "500", "openat", "0", "0", file, "wait"];
    let mut command = monitor();
    command.args(["-f", "summary", "--stats-interval", "100ms", "--metrics-file"]).arg(&metrics);
    let capture = Process::spawn(command.arg("--").arg(workload()).args(steps).stdin(Stdio::piped()));
    let value = |name: &str| {
        let text = std::fs::read_to_string(&metrics).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("crypto_trace_{name} ")));
        line.map_or(0.0, |value| value.parse::<f64>().unwrap())
    };
    until("the file tells of them", || value("events_recorded_total") >= 501.0);
    assert!((value("up") - 1.0).abs() < 1e-9);
    capture.wait_for("recorded: 50");
    let done = capture.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let line = done.stderr.lines().find(|line| line.contains("recorded: 50")).unwrap();
    for part in ["Rate: ", "processed: ", "filtered: 0", "lost: 0", "dropped: 0", "ring: ", "CPU: ", "RSS: "] {
        assert!(line.contains(part), "{line}");
    }
    let [recorded, ..] = stop_line(&done.stderr);
    #[allow(clippy::cast_precision_loss, reason = "small")]
    let recorded = recorded as f64;
    assert!((value("events_recorded_total") - recorded).abs() < 1e-9);
    assert!(value("up").abs() < 1e-9, "it has ended");

    // The metrics are not what is recorded: that they cannot be written is said, and it goes on.
    let done = run(monitor().args(["--metrics-file", "/proc/nowhere/x.prom", "--", "true"]));
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let warning = "WARNING: --metrics-file /proc/nowhere/x.prom: cannot be written: ";
    assert_eq!(done.stderr.matches(warning).count(), 1, "{}", done.stderr);
    assert!(done.stderr.contains("--metrics-file /proc/nowhere/x.prom: cannot be written"), "{}", done.stderr);
}

#[test]
fn a_first_signal_after_the_command_ended_waits_for_the_reader() {
    let Some(_permit) = alone() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("busy.pem"));
    let steps = words!["quiet", "repeat", "20000", "openat", "0", "0", file, "complain", "ready"];
    let mut command = monitor();
    command.arg("--").arg(workload()).args(steps);
    let (capture, out) = Process::spawn_with_output(&mut command);
    capture.wait_for("ready\n");
    let children = format!("/proc/{0}/task/{0}/children", capture.pid());
    until("the command has ended", || {
        // The analyzer alone is left.
        std::fs::read_to_string(&children).unwrap().split_whitespace().count() == 1
    });
    capture.signal(Signal::INT);
    // That it would end now cannot be waited for.
    std::thread::sleep(Duration::from_millis(300));
    let shown = BufReader::new(out).lines().map(Result::unwrap);
    let events: Vec<Value> = shown.map(|line| serde_json::from_str(&line).unwrap()).collect();
    let done = capture.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(events.iter().any(|event| event["event_type"] == "process_exit"), "to the last event");
}

#[test]
fn a_second_signal_does_not_wait_for_a_reader_that_never_reads() {
    let Some(_permit) = alone() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("busy.pem"));
    let steps = words!["quiet", "repeat", "100000", "openat", "0", "0", file, "complain", "ready", "wait"];
    let mut command = monitor();
    command.arg("--").arg(workload()).args(steps);
    let (capture, out) = Process::spawn_with_output(command.stdin(Stdio::piped()));
    capture.wait_for("ready\n");
    capture.signal(Signal::INT);
    // What has not ended by now waits for its reader.
    let ended = std::thread::spawn({
        let pid = Pid::from_raw(capture.pid().try_into().unwrap()).unwrap();
        move || {
            until("it is asked once more", || {
                std::thread::sleep(Duration::from_millis(50));
                kill_process(pid, Signal::INT).is_err()
                    || !Path::new(&format!("/proc/{pid}/task")).exists()
                    || is_zombie(pid)
            });
        }
    });
    let done = capture.finish();
    ended.join().unwrap();
    assert_eq!(done.code(), 125, "{}", done.stderr);
    assert!(done.stderr.contains("stopped before it had read everything"), "{}", done.stderr);
    drop(out);
}

fn is_zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}
