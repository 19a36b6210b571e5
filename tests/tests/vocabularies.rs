//! `export --to ocsf` and `--to ecs`: events of real recordings hold against what others publish of their vocabularies.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crypto_trace_tests::{analyze_binary, run, software};
use serde_json::Value;

/// Real captures.
fn segments() -> Vec<PathBuf> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
    let mut segments: Vec<PathBuf> =
        testdata.read_dir().unwrap().map(|entry| entry.unwrap().path().join("capture.ctseg")).collect();
    segments.retain(|path| path.is_file());
    segments.sort();
    assert!(segments.len() >= 12);
    segments
}

/// Their events, as `options` want them.
fn exported(options: &[&str]) -> String {
    let done = run(Command::new(analyze_binary()).args(["export", "-q"]).args(options).args(segments()));
    assert_eq!(done.code(), 0, "{}", done.stderr);
    done.text().to_owned()
}

/// What a program says of lines.
fn judged(command: &mut Command, lines: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lines");
    std::fs::write(&path, lines).unwrap();
    let input = std::fs::File::open(&path).unwrap();
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

fn said(output: &Output) -> (Value, String) {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}")), stderr)
}

/// Readers of 1.1, such as security lakes, accept no attribute that their schema has not.
#[test]
fn ocsf_events_hold_against_the_schema_of_old_and_new_versions() {
    let Some(ocsf) = software::ocsf() else { return };
    let lines = exported(&["--to", "ocsf"]);
    let check = |versions: &[&str]| {
        let script = software::directory().join("ocsf/check.py");
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", ocsf.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        judged(python.arg(script).args(versions), &lines)
    };
    let output = check(&["1.1.0", "1.8.0"]);
    let (held, stderr) = said(&output);
    assert!(output.status.success(), "{stderr}");
    let held: BTreeMap<String, u64> = serde_json::from_value(held).unwrap();
    let classes = ["File System Activity", "Module Activity", "Network Activity", "Process Activity", "SSH Activity"];
    assert_eq!(held.keys().collect::<Vec<_>>(), classes);
    assert_eq!(held.values().sum::<u64>(), 2 * lines.lines().count() as u64);
    assert_eq!(check(&["1.8.0", "--break"]).status.code(), Some(1), "what is wrong has to be found");

    let ssh = lines.lines().filter(|line| line.contains("\"class_uid\":4007")).count();
    assert!(ssh >= 10 && lines.contains("\"client_hassh\""), "{ssh}");
    // Nothing is lost on the way: what has no attribute is in `unmapped`.
    let certificates = lines.lines().filter(|line| line.contains("\"serial_number\"")).count();
    assert!(certificates > 0 && lines.contains("\"post_quantum\":true"), "{certificates}");
}

/// Rows of the tables for Amazon Security Lake are the events of `--to ocsf`, where and how a lake wants them.
#[test]
fn rows_for_a_security_lake_are_the_same_events() {
    let (Some(duckdb), Some(ocsf)) = (software::duckdb(), software::ocsf()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let lake = directory.path().join("lake");
    let place = ["--region", "eu-central-1", "--account-id", "123456789012"];
    exported(&[&["--to", "security-lake", "-o", lake.to_str().unwrap()], &place[..]].concat());
    let mut read = Command::new("python3");
    read.env("PYTHONPATH", duckdb.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    let read = run(read.arg(software::directory().join("duckdb/lake.py")).arg(&lake));
    assert_eq!(read.code(), 0, "{}", read.stderr);
    let sorted = |lines: &str| {
        let mut events: Vec<String> =
            lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap().to_string()).collect();
        events.sort();
        events
    };
    let (rows, events) = (sorted(&read.text()), sorted(&exported(&["--to", "ocsf"])));
    assert_eq!(rows.len(), events.len());
    for (row, event) in rows.iter().zip(&events) {
        assert_eq!(row, event);
    }
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", ocsf.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = judged(python.arg(software::directory().join("ocsf/check.py")).arg("1.1.0"), &read.text());
    let (held, stderr) = said(&output);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(held.as_object().unwrap().len(), 5, "{held}");
}

/// Verdicts of `check` are held to the same schemas, those that pass and those that fail.
#[test]
fn verdicts_are_compliance_findings() {
    let Some(ocsf) = software::ocsf() else { return };
    let mut lines = String::new();
    for segment in segments() {
        let mut check = Command::new(analyze_binary());
        let packs = "ietf,nist-800-131a,nist-ir-8547,cnsa-2.0";
        let done =
            run(check.args(["check", "-q", "-f", "ocsf", "--as-of", "2031-01-01", "--pack", packs]).arg(segment));
        assert!([0, 7].contains(&done.code()), "{}", done.stderr);
        lines += &done.text();
    }
    let check = |options: &[&str]| {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", ocsf.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        judged(python.arg(software::directory().join("ocsf/check.py")).args(options), &lines)
    };
    let output = check(&["1.1.0", "1.8.0"]);
    let (held, stderr) = said(&output);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(held, serde_json::json!({ "Compliance Finding": 2 * lines.lines().count() }));
    assert_eq!(check(&["1.1.0", "--break"]).status.code(), Some(1), "what is wrong has to be found");
    let findings: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for status in ["Warning", "Fail", "Unknown"] {
        let of_status = findings.iter().filter(|finding| finding["compliance"]["status"] == status).count();
        assert!(of_status > 0, "no {status}");
    }
    // Whoever reads a verdict can read what is against it.
    let fails = findings.iter().filter(|finding| finding["compliance"]["status"] == "Fail");
    assert!(fails.into_iter().all(|finding| finding["unmapped"]["evidence"][0]["what"].is_string()));
}

#[test]
fn ecs_events_have_fields_that_there_are() {
    let Some(ecs) = software::ecs() else { return };
    let check = |lines: &str, options: &[&str]| {
        let script = software::directory().join("ecs/check.mjs");
        judged(Command::new("node").arg(script).arg(ecs.path()).args(options), lines)
    };
    let lines = exported(&["--to", "ecs", "--bulk"]);
    let output = check(&lines, &[]);
    let (counts, stderr) = said(&output);
    assert!(output.status.success(), "{stderr}");
    assert!(counts["events"].as_u64() > Some(4_000) && counts["events"] == counts["actions"], "{counts}");
    assert_eq!(check(&lines, &["--break"]).status.code(), Some(1), "what is wrong has to be found");
    let plain = exported(&["--to", "ecs"]);
    assert_eq!(said(&check(&plain, &[])).0["actions"], 0);
}
