//! `profile`, `snapshot`, `files` and `libs` over real captures: their documents are what their schemas say, and what they say
//! agrees with the events.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crypto_trace_tests::{Finished, analyze_binary, run};
use serde_json::Value;

fn captures() -> Vec<PathBuf> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
    let mut captures: Vec<_> =
        testdata.read_dir().unwrap().map(|entry| entry.unwrap().path().join("capture.ctseg")).collect();
    captures.retain(|path| path.exists());
    captures.sort();
    assert!(captures.len() >= 12);
    captures
}

fn capture(name: &str) -> PathBuf {
    captures().into_iter().find(|path| path.parent().unwrap().ends_with(name)).unwrap()
}

fn analyze(args: &[&str], capture: &Path) -> Finished {
    run(Command::new(analyze_binary()).args(args).arg(capture))
}

fn json(args: &[&str], capture: &Path) -> Value {
    let done = analyze(args, capture);
    assert_eq!(done.code(), 0, "{args:?} {}: {}", capture.display(), done.stderr);
    serde_json::from_str(&done.text()).unwrap_or_else(|error| panic!("{args:?} {}: {error}", capture.display()))
}

/// Documents: one of them stands alone.
fn documents(value: Value) -> Vec<Value> {
    match value {
        Value::Array(documents) => documents,
        one => vec![one],
    }
}

fn schema(of: &str) -> jsonschema::Validator {
    let done = run(Command::new(analyze_binary()).args(["schema", of]));
    let schema: Value = serde_json::from_str(&done.text()).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn documents_are_what_their_schemas_say() {
    for (report, args) in [
        ("profile", &["profile", "--no-redact"][..]),
        ("snapshot", &["snapshot"]),
        ("snapshot", &["snapshot", "--at", "-50ms"]),
        ("files", &["files", "-f", "json"]),
        ("libs", &["libs", "-f", "json"]),
        ("readiness", &["readiness", "-f", "json"]),
        ("check", &["check", "-f", "json", "--as-of", "2021-01-01"]),
        ("keys", &["keys", "-f", "json"]),
        ("certs", &["certs", "-f", "json"]),
    ] {
        let schema = schema(report);
        for capture in captures() {
            for document in documents(json(args, &capture)) {
                let errors: Vec<String> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{args:?} of {}: {errors:#?}", capture.display());
            }
        }
    }
}

/// The same numbers by another way: counted from the events one by one.
#[test]
fn they_agree_with_the_events() {
    let of = |events: &[Value], kind: &str| events.iter().filter(|event| event["event_type"] == kind).count() as u64;
    for capture in captures() {
        let done = analyze(&["events"], &capture);
        let events: Vec<Value> = done.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let files = json(&["files", "-f", "json"], &capture);
        let sum = |rows: &Value, field: &str| -> u64 {
            rows.as_array().unwrap().iter().map(|row| row[field].as_u64().unwrap()).sum()
        };
        assert_eq!(sum(&files["files"], "opens"), of(&events, "file_open"), "{}", capture.display());
        let paths: BTreeSet<&str> = events
            .iter()
            .filter(|event| event["event_type"] == "file_open")
            .map(|event| event["file"].as_str().unwrap())
            .collect();
        assert_eq!(files["files"].as_array().unwrap().len(), paths.len(), "{}", capture.display());
        let failed = events.iter().filter(|event| event["result"].as_i64().is_some_and(|result| result < 0));
        let failed = failed.filter(|event| event["event_type"] == "file_open").count() as u64;
        assert_eq!(sum(&files["files"], "failed"), failed, "{}", capture.display());
        let libs = json(&["libs", "-f", "json"], &capture);
        let loads = sum(&libs["libraries"], "loads") + sum(&libs["libraries"], "already_mapped");
        assert_eq!(loads, of(&events, "lib_load"), "{}", capture.display());

        let profiles = documents(json(&["profile"], &capture));
        let mut by_pid: BTreeMap<u64, u64> = BTreeMap::new();
        for event in events.iter().filter(|event| event["event_type"] == "file_open") {
            *by_pid.entry(event["pid"].as_u64().unwrap()).or_default() += 1;
        }
        for (pid, opens) in by_pid {
            let of_pid = profiles.iter().filter(|profile| profile["process"]["pid"] == pid);
            let told: u64 = of_pid.map(|profile| profile["statistics"]["file_opens"].as_u64().unwrap()).sum();
            assert_eq!(told, opens, "process {pid} of {}", capture.display());
        }
        let told: u64 = profiles.iter().map(|profile| profile["statistics"]["tls_handshakes"].as_u64().unwrap()).sum();
        let known = events.iter().filter(|event| event["event_type"] == "tls_handshake" && !event["pid"].is_null());
        assert_eq!(told, known.count() as u64, "{}", capture.display());
    }
}

#[test]
fn a_profile_is_of_the_process_that_was_asked_for() {
    let nginx = capture("tls-nginx");
    let all = documents(json(&["profile", "-n", "nginx"], &nginx));
    assert_eq!(all.len(), 3, "the master and two workers");
    let master = all.iter().find(|profile| profile["process"]["children"].as_array().unwrap().len() == 2).unwrap();
    let pid = master["process"]["pid"].to_string();
    let one = json(&["profile", "-p", &pid], &nginx);
    assert_eq!(&one, master, "one alone is no array");
    assert_eq!(documents(json(&["profile", "-p", &pid, "--follow-children"], &nginx)).len(), 3);
    let worker = all.iter().find(|profile| profile["process"]["ppid"] == master["process"]["pid"]).unwrap();
    assert!(worker["libraries"].as_array().unwrap().iter().all(|library| library["inherited"] == true));
    assert!(worker["statistics"]["tls_handshakes"].as_u64().unwrap() > 0);
}

/// What was mapped before the time that is asked for is mapped.
#[test]
fn a_profile_since_a_time_has_the_libraries_of_before() {
    let nginx = capture("tls-nginx");
    let libraries = |options: &[&str]| -> Vec<usize> {
        let profiles = documents(json(&[&["profile", "-n", "nginx"], options].concat(), &nginx));
        profiles.iter().map(|profile| profile["libraries"].as_array().unwrap().len()).collect()
    };
    assert_eq!(libraries(&[]), [3, 3, 3]);
    assert_eq!(libraries(&["--since", "2026-11-23T10:54:24.8Z"]), [3, 3, 3]);
}

#[test]
fn a_snapshot_is_of_its_moment() {
    let nginx = capture("tls-nginx");
    let at = |time: &str| json(&["snapshot", "--at", time], &nginx);
    let end = json(&["snapshot"], &nginx);
    assert_eq!(end["summary"]["total_processes"], 0, "all have ended");
    assert!(end["why_none"].as_str().unwrap().contains("had ended before"), "{end}");
    let later = at("-100ms");
    let names: Vec<&str> =
        later["processes"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| **name == "nginx").count(), 3, "{names:?}");
    let before = analyze(&["snapshot", "--at", "2020-01-01T00:00:00Z"], &nginx);
    assert_eq!((before.code(), before.text().trim()), (0, "[]"));
    assert!(before.stderr.contains("outside the capture"), "{}", before.stderr);
}

#[test]
fn formats_hold_the_same_rows() {
    let wheels = capture("tls-wheels");
    for report in ["files", "libs", "profile"] {
        let text = |format: &str| analyze(&[report, "-f", format], &wheels).text();
        let lines: Vec<Value> = text("json-stream").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let array: Value = serde_json::from_str(&text("json-array")).unwrap();
        assert_eq!(array, Value::Array(lines.clone()), "{report}");
        assert!(text("summary").lines().count() > lines.len(), "{report}");
        let pretty: Value = serde_json::from_str(&text("json-pretty")).unwrap();
        let rows = pretty.get("files").or(pretty.get("libraries")).unwrap_or(&pretty);
        assert_eq!(rows, &array, "{report}");
    }
}

/// A stream shows the same as the file; with --follow each change of a row is a line, and the last one stands.
#[test]
fn a_stream_tells_the_same() {
    for name in ["tls-wheels", "python-https"] {
        let capture = capture(name);
        let piped = |args: &[&str]| {
            let file = std::fs::File::open(&capture).unwrap();
            let done = run(Command::new(analyze_binary()).args(args).arg("-").stdin(Stdio::from(file)));
            assert_eq!(done.code(), 0, "{}", done.stderr);
            done.text()
        };
        for args in [&["files", "-f", "json"][..], &["libs", "-f", "json"], &["snapshot"]] {
            assert_eq!(piped(args), analyze(args, &capture).text(), "{args:?} of {name}");
        }
        for (report, member) in [("files", "files"), ("libs", "libraries")] {
            let mut latest = BTreeMap::new();
            for line in piped(&[report, "-f", "json-stream", "--follow"]).lines() {
                let row: Value = serde_json::from_str(line).unwrap();
                latest.insert((row["path"].to_string(), row["inode"].to_string()), row);
            }
            let rows = json(&[report, "-f", "json"], &capture)[member].take();
            let rows = rows.as_array().unwrap().iter();
            let rows: BTreeMap<_, _> =
                rows.map(|row| ((row["path"].to_string(), row["inode"].to_string()), row.clone())).collect();
            assert_eq!(latest, rows, "{report} of {name}");
        }
    }
}

#[test]
fn what_was_never_there_is_told_with_what_comes_near() {
    let nginx = capture("tls-nginx");
    for report in ["profile", "snapshot", "files", "libs", "events", "tls"] {
        let done = analyze(&[report, "-n", "ngnix"], &nginx);
        assert_eq!(done.code(), 0, "{}", done.stderr);
        assert!(done.stderr.contains("no process named \"ngnix\"; seen: nginx (3)"), "{report}: {}", done.stderr);
        let done = analyze(&[report, "-p", "1"], &nginx);
        assert!(done.stderr.contains("no process 1; seen: "), "{report}: {}", done.stderr);
    }
}

/// Damage is told, and what can be read is told all the same.
#[test]
fn damaged_captures_are_read_as_far_as_they_go() {
    let whole = std::fs::read(capture("tls-nginx")).unwrap();
    let dir = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    let path = dir.path().join("damaged.ctseg");
    let reports = [&["profile"][..], &["snapshot"], &["files", "-f", "json"], &["libs", "-f", "json"]];
    for at in (200..whole.len()).step_by(whole.len() / 60) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(&path, &bytes).unwrap();
        for args in reports {
            let done = analyze(args, &path);
            assert!([0, 1].contains(&done.code()), "byte {at}, {args:?}: {}", done.stderr);
            assert!(!done.stderr.contains("panicked"), "byte {at}, {args:?}: {}", done.stderr);
            if done.code() == 0 {
                serde_json::from_str::<Value>(&done.text()).unwrap();
            }
        }
        let done = analyze(&["snapshot"], &path);
        assert!(!done.text().contains("1970-"), "byte {at}: a time that is not known is not made up: {}", done.text());
        std::fs::write(&path, &whole[..at]).unwrap();
        for args in reports {
            let done = analyze(args, &path);
            assert!([0, 1].contains(&done.code()) && !done.stderr.contains("panicked"), "{at}: {}", done.stderr);
        }
    }
}
