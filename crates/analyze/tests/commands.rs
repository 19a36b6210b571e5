//! What the commands say and refuse, through the built program: each test is named after a fault that was there.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use crypto_trace_format::record::ApiCallFixed;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    command.args(args).env_remove("COLUMNS").stdin(Stdio::null()).output().unwrap()
}

/// What is printed by a run that ends with `code`, and what it says on stderr.
fn told(args: &[&str], code: i32) -> (String, String) {
    let output = run(args);
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
    (out, err)
}

fn lines(args: &[&str]) -> Vec<Value> {
    told(args, 0).0.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn written(dir: &Path, records: &[Vec<u8>]) -> PathBuf {
    let path = dir.join("a.ctseg");
    write_segment(&path, &meta("web1", 1, 0), records, u32::MAX);
    path
}

#[test]
fn a_failed_relative_open_below_the_root_has_one_path_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let cat = |at| header(500, "cat", at);
    let path = written(
        dir.path(),
        &[
            exec(cat(1_000), b"/bin/cat", b"cat\0nothere.key\0", 1),
            failed_relative(cat(2_000), b"nothere.key", b"/"),
            open(cat(3_000), b"/nothere.key", -2),
        ],
    );
    let path = path.to_str().unwrap();
    let of_event = |event: &Value| event["file"].as_str().unwrap().to_owned();
    let shown: Vec<String> = lines(&["events", path, "--type", "file_open"]).iter().map(of_event).collect();
    assert_eq!(shown, ["/nothere.key", "/nothere.key"]);
    assert_eq!(lines(&["events", path, "-F", "/nothere.key"]).len(), 2, "no event is dropped");
    assert_eq!(lines(&["events", path, "-F", "//nothere.key"]).len(), 0);
    let files = lines(&["files", path, "-f", "json-stream"]);
    assert_eq!((files.len(), &files[0]["opens"], &files[0]["failed"]), (1, &2.into(), &2.into()), "{files:?}");
    for command in [&["events", path, "-f", "summary"][..], &["profile", path, "-p", "500"]] {
        let (text, _) = told(command, 0);
        assert!(text.contains("/nothere.key") && !text.contains("//nothere.key"), "{text}");
    }
}

#[test]
fn results_that_no_process_saw_are_neither_errors_nor_failures() {
    let dir = tempfile::tempdir().unwrap();
    let cat = |at| header(500, "cat", at);
    let bind = ApiCallFixed { result: -512, state: 1, level: 3, count: 1, meaning: 18, ..ApiCallFixed::default() };
    let path = written(
        dir.path(),
        &[
            exec(cat(1_000), b"/bin/cat", b"cat\0", 1),
            open(cat(2_000), b"/etc/a.key", -512),
            open(cat(3_000), b"/etc/a.key", 3),
            open(cat(3_500), b"/etc/only.key", -514),
            api_call(cat(4_000), bind, b"bind", b"hash sha256"),
        ],
    );
    let path = path.to_str().unwrap();
    let events = lines(&["events", path, "--type", "file_open,api_call"]);
    for event in [&events[0], &events[2], &events[3]] {
        assert_eq!((&event["result"], event.get("error")), (&Value::Null, None), "{event}");
        assert_eq!(event["notes"], serde_json::json!(["interrupted"]));
    }
    assert_eq!((&events[1]["result"], events[1].get("notes")), (&3.into(), None));
    assert_eq!(events[3]["succeeded"], Value::Null);
    assert_eq!(lines(&["events", path, "--type", "file_open,api_call", "--result", "failed"]).len(), 0);
    assert_eq!(lines(&["events", path, "--type", "file_open,api_call", "--result", "ok"]).len(), 1);
    let files = lines(&["files", path, "-f", "json-stream"]);
    assert_eq!((files.len(), &files[0]["opens"], &files[0]["failed"]), (1, &1.into(), &0.into()), "{files:?}");
    let (summary, _) = told(&["events", path, "-f", "summary"], 0);
    assert!(!summary.contains("512") && !summary.contains("only.key"), "{summary}");
}

#[test]
fn one_empty_argument_is_not_none() {
    let dir = tempfile::tempdir().unwrap();
    let records = [&b"\0"[..], b"", b"sh\0\0", b"sh\0-c\0\0x\0"];
    let records: Vec<Vec<u8>> =
        (0u32..).zip(records).map(|(n, argv)| exec(header(500 + n, "x", 1_000), b"/bin/x", argv, 1)).collect();
    let path = written(dir.path(), &records);
    let shown: Vec<Value> = lines(&["events", path.to_str().unwrap()]).iter().map(|e| e["argv"].clone()).collect();
    assert_eq!(serde_json::json!(shown), serde_json::json!([[""], [], ["sh", ""], ["sh", "-c", "", "x"]]));
}

#[test]
fn a_segment_that_cannot_be_read_hides_none_that_can() {
    let dir = tempfile::tempdir().unwrap();
    let good = written(dir.path(), &[open(header(500, "cat", 2_000), b"/etc/a.key", 3)]);
    // Root may read what nobody else may, but not this.
    let bad = dir.path().join("b.ctseg");
    std::os::unix::fs::symlink("b.ctseg", &bad).unwrap();
    let directory = dir.path().to_str().unwrap();
    for command in ["events", "files"] {
        let (out, err) = told(&[command, directory], 0);
        assert!(out.contains("/etc/a.key"), "{out}");
        assert_eq!(err.matches("b.ctseg").count(), 1, "named once: {err}");
        assert!(err.contains("its events are missing"), "{err}");
    }
    let (out, _) = told(&["tls", directory, "-f", "json"], 0);
    assert!(out.contains("1 segment could not be read"), "{out}");
    told(&["verify", directory], 1);
    std::fs::remove_file(good).unwrap();
    let (_, err) = told(&["events", directory], 1);
    assert_eq!(err.matches("b.ctseg").count(), 1, "{err}");
}

#[test]
fn a_segment_that_cannot_be_read_is_no_end_of_following() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = segment(&meta("web1", 1, 0), &[open(header(500, "cat", 2_000), b"/etc/a.key", 3)], u32::MAX);
    let name = |sequence: u32| dir.path().join(format!("web1-20261122T103000Z-01010101-{sequence:06}.ctseg.open"));
    // The newest by its time is not readable, and not empty.
    std::fs::write(name(0), &bytes).unwrap();
    std::fs::create_dir(name(1)).unwrap();
    let mut follower = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    let follower = follower.args(["events", "--follow", "--duration", "5s"]).arg(dir.path());
    let follower = follower.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let more = segment(&meta("web1", 1, 2), &[open(header(500, "cat", 3_000), b"/etc/b.key", 3)], u32::MAX);
    std::fs::rename(name(0), name(0).with_extension("")).unwrap();
    std::fs::write(name(2), more).unwrap();
    let output = follower.wait_with_output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(out.contains("/etc/b.key") && !out.contains("/etc/a.key"), "{out}\n{err}");
    assert!(err.contains("its events are not shown") && !err.contains("deleted before being read"), "{err}");
}

#[test]
fn times_the_wrong_way_round_and_outputs_others_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), &[open(header(500, "cat", 2_000), b"/root/.ssh/a.key", 3)]);
    let path = path.to_str().unwrap();
    for command in ["events", "tls", "files"] {
        let (_, err) = told(&[command, path, "--since", "10m", "--until", "2026-11-22"], 1);
        assert!(err.contains("is after --until (2026-11-22T00:00:00.000000Z)"), "{err}");
    }
    let out = dir.path().join("out.json");
    told(&["files", path, "-o", out.to_str().unwrap()], 0);
    let mode = std::fs::metadata(&out).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & !0o640, 0, "{mode:o}");
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.contains("/home/ROOT/.ssh/a.key") && !text.contains("/home/USER"), "redacted once: {text}");
    assert!(told(&["version"], 0).0.starts_with("crypto-trace-analyze "));
}

#[test]
fn tables_take_no_more_columns_than_were_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("/etc/ssl/{}server.key", "very-long-directory/".repeat(8));
    let path = written(dir.path(), &[open(header(500, "cat", 2_000), long.as_bytes(), 3)]);
    let path = path.to_str().unwrap();
    let (piped, _) = told(&["files", path], 0);
    assert!(piped.contains(&long), "all of it when piped: {piped}");
    for command in [&["files"][..], &["events", "-f", "summary"]] {
        let (text, _) = told(&[command, &[path, "-w", "100"]].concat(), 0);
        let tables: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
        assert!(!tables.is_empty() && tables.iter().all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.contains("server.key") && !text.contains(&long), "{text}");
    }
}
