//! Exit codes and messages of the built program.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use serde_json::Value;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze")).args(args).stdin(Stdio::null()).output().unwrap()
}

/// Checks the exit code, and that stderr holds `message`. Returns stdout.
#[track_caller]
fn check(args: &[&str], code: i32, message: &str) -> String {
    let output = run(args);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
    assert!(told.contains(message), "{args:?}: {told}");
    assert!(!told.contains("panicked"), "{told}");
    String::from_utf8(output.stdout).unwrap()
}

fn sample(path: &Path) -> Vec<u8> {
    let bytes = segment(&meta("web1", 1, 0), &busy_host(3_000, 20, 100), 200);
    std::fs::write(path, &bytes).unwrap();
    bytes
}

#[test]
fn wrong_usage_exits_2() {
    check(&[], 2, "Usage");
    check(&["events", "--bogus"], 2, "--bogus");
    check(&["events", "x", "-"], 2, "must be the only input");
    check(&["events", "x", "--type", "no_such"], 2, "process_exec");
    check(&["events", "x", "-F", "a{"], 2, "--file");
    check(&["verify"], 2, "INPUT");
    check(&["--version"], 0, "");
    check(&["events", "--help"], 0, "");
}

#[test]
fn inputs_that_are_none_exit_1_before_any_output() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let good = path("good.ctseg");
    let bytes = sample(Path::new(&good));
    std::fs::write(path("empty.ctseg"), b"").unwrap();
    std::fs::write(path("text.ctseg"), b"this is no segment, but a text of some length\n".repeat(20)).unwrap();
    let mut newer = bytes.clone();
    newer[16..18].copy_from_slice(&99u16.to_le_bytes());
    std::fs::write(path("newer.ctseg"), newer).unwrap();
    std::fs::create_dir(path("nothing")).unwrap();
    for command in ["events", "info", "verify"] {
        for (name, message) in [
            ("missing.ctseg", "missing.ctseg"),
            ("empty.ctseg", "empty"),
            ("text.ctseg", "not a crypto-trace segment"),
            ("nothing", "no segments in this directory"),
        ] {
            let out = check(&[command, &good, &path(name)], 1, message);
            assert_eq!(out, "", "{command} {name} printed before it failed");
        }
    }
    check(&["events", &good, "-o", &path("no/such/dir/out")], 1, "cannot be written");
    check(&["events", &good, "-o", &good], 1, "cannot be the output");
    assert_eq!(std::fs::read(&good).unwrap(), bytes);
    let hostile = path("no\n\u{1b}[31m.ctseg");
    let output = run(&["events", &hostile]);
    assert!(!String::from_utf8_lossy(&output.stderr).trim_end().contains(['\n', '\u{1b}']));
}

#[test]
fn every_truncation_is_read_as_far_as_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.ctseg");
    let bytes = segment(&meta("web1", 1, 0), &busy_host(60, 3, 10), 10);
    let name = path.to_str().unwrap();
    // Through the library in the format crate every byte is tried; here the program, at some.
    for len in (1..bytes.len()).step_by(211) {
        std::fs::write(&path, &bytes[..len]).unwrap();
        for command in ["events", "verify", "info"] {
            let output = run(&[command, name]);
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(matches!(output.status.code(), Some(0 | 1 | 6)), "{command} at {len}: {told}");
            assert!(!told.contains("panicked"), "{told}");
        }
    }
}

#[test]
fn verify_tells_damage_from_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("v.ctseg");
    let name = path.to_str().unwrap();
    let bytes = sample(&path);
    let out = check(&["verify", name], 0, "");
    assert!(out.contains("ok: ") && out.contains("3,022 records"), "{out}");

    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let out = check(&["verify", name], 6, "");
    assert!(out.contains("DAMAGED") && out.contains("at byte"), "{out}");
    let report: Value = serde_json::from_str(&check(&["verify", name, "-f", "json"], 6, "")).unwrap();
    assert_eq!(report["damaged"], true);
    assert!(report["segments"][0]["faults"][0]["at_bytes"].is_u64());
    // The rest is still shown, and the loss is told.
    let out = check(&["events", name], 0, "records lost");
    assert!(out.lines().count() > 2_000);

    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let out = check(&["verify", name], 6, "");
    assert!(out.contains("cut short"), "a file named as sealed is whole or damaged: {out}");
    let open = format!("{name}.open");
    std::fs::write(&open, &bytes[..bytes.len() / 2]).unwrap();
    let out = check(&["verify", &open], 0, "");
    assert!(out.contains("not sealed") && out.contains("note: torn tail"), "{out}");
}

#[test]
fn info_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("i.ctseg");
    let mut records = busy_host(100, 5, 10);
    records.push(loss(900_000, crypto_trace_format::record::FileOpen::KIND, 1, 7));
    records.push(loss(900_001, crypto_trace_format::record::LibLoad::KIND, 16, 2));
    records.push(self_stats(900_002));
    write_segment(&path, &meta("web1", 1, 0), &records, 50);
    let info: Value = serde_json::from_str(&check(&["info", path.to_str().unwrap(), "-f", "json"], 0, "")).unwrap();
    assert_eq!((&info["host"], &info["counts"]["file_open"]), (&"web1".into(), &98.into()));
    assert_eq!(
        (&info["lost"]["total"], &info["lost"]["file_open"], &info["dropped"]),
        (&7.into(), &7.into(), &2.into())
    );
    assert_eq!(info["self_stats"]["rss_peak_bytes"], 14 << 20);
    assert_eq!(info["complete"], false);
    let text = check(&["info", path.to_str().unwrap()], 0, "");
    assert!(text.contains("7 lost, 2 dropped"), "{text}");
}

#[test]
fn the_same_segment_twice_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.ctseg"), dir.path().join("b.ctseg"));
    sample(&a);
    std::fs::copy(&a, &b).unwrap();
    let once = check(&["events", a.to_str().unwrap()], 0, "");
    let twice = check(&["events", a.to_str().unwrap(), b.to_str().unwrap()], 0, "given twice");
    assert_eq!(once, twice);
}

#[test]
fn segments_one_after_the_other_in_a_file_are_all_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.ctseg");
    let records = busy_host(200, 5, 10);
    let (first, second) = records.split_at(100);
    let bytes = [segment(&meta("web1", 1, 0), first, 50), segment(&meta("web1", 1, 1), second, 50)].concat();
    std::fs::write(&path, bytes).unwrap();
    let out = check(&["events", path.to_str().unwrap()], 0, "");
    assert_eq!(out.lines().count(), 205);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.ctseg");
    write_segment(&path, &meta("web1", 1, 0), &busy_host(20_000, 20, 100), 2_000);
    let mut child = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"))
        .args(["events", path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_stream_that_is_none_exits_1() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    std::fs::write(&path, "no segment").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    let output = command.args(["events", "-"]).stdin(std::fs::File::open(&path).unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    check(&["events"], 1, "not a crypto-trace segment");
}
