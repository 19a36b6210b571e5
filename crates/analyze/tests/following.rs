//! `tls --follow` and `readiness --follow`: rows as they come, held to the documents of the same stream.
#![allow(clippy::unwrap_used)]

mod common;

use common::everything::*;
use common::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn run(args: &[&str], stream: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    let mut child =
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let stream = stream.to_vec();
    // What is refused does not read it.
    let writer = std::thread::spawn(move || _ = stdin.write_all(&stream));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn shown(args: &[&str], stream: &[u8]) -> String {
    let output = run(args, stream);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn lines(report: &str, stream: &[u8]) -> Vec<Value> {
    let text = shown(&[report, "--follow", "-f", "json-stream", "-"], stream);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn testdata(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name).join("capture.ctseg");
    std::fs::read(path).unwrap()
}

/// The last line of each row, by what tells rows apart, and how many lines there were.
fn last<'a>(lines: &'a [Value], key: &[&str]) -> BTreeMap<String, &'a Value> {
    lines
        .iter()
        .map(|line| (json!(key.iter().map(|name| &line[*name]).collect::<Vec<_>>()).to_string(), line))
        .collect()
}

fn sum(rows: &BTreeMap<String, &Value>, member: &str) -> u64 {
    rows.values().map(|row| row[member].as_u64().unwrap()).sum()
}

const TLS: [&str; 9] = [
    "host",
    "role",
    "program",
    "remote_address",
    "remote_port",
    "server_name",
    "version",
    "cipher_suite",
    "key_exchange",
];
const READINESS: [&str; 8] = ["host", "protocol", "role", "program", "container", "unit", "port", "server_name"];

/// Streams: real recordings, one that goes on in another segment, and all sorts of handshakes.
fn streams() -> Vec<Vec<u8>> {
    let sorts = segment(&meta("web1", 1, 0), &tls_of_all_sorts(), 3);
    let mut all: Vec<Vec<u8>> = ["tls-nginx", "tls-go", "tls-wheels", "tls-rustls", "answers"].map(testdata).to_vec();
    all.push([testdata("tls-nginx"), testdata("tls-go")].concat());
    all.push(sorts);
    all
}

#[test]
fn what_tls_showed_last_is_what_there_is() {
    let schema: Value = serde_json::from_str(&shown(&["schema", "tls-follow"], b"")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut any = 0;
    for stream in streams() {
        let shown_rows = lines("tls", &stream);
        for row in &shown_rows {
            let errors: Vec<String> = validator.iter_errors(row).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{row:#}: {errors:#?}");
        }
        let rows = last(&shown_rows, &TLS);
        let document: Value = serde_json::from_str(&shown(&["tls", "-f", "json", "-"], &stream)).unwrap();
        assert_eq!(sum(&rows, "handshakes"), document["ends"].as_u64().unwrap());
        for program in document["programs"].as_array().unwrap() {
            let own = rows.iter().filter(|(_, row)| row["program"] == program["program"]);
            let own: BTreeMap<String, &Value> = own.map(|(key, row)| (key.clone(), *row)).collect();
            for member in ["answered", "failed", "answered_then_failed", "unanswered"] {
                assert_eq!(sum(&own, member), program[member].as_u64().unwrap(), "{member} of {program:#}");
            }
            let quantum = own.values().filter(|row| row["post_quantum"] == true);
            let quantum: u64 = quantum.map(|row| row["handshakes"].as_u64().unwrap()).sum();
            assert_eq!(quantum, program["post_quantum"].as_u64().unwrap(), "{program:#}");
        }
        any += rows.len();
    }
    assert!(any > 20, "{any} rows test nothing");
}

#[test]
fn what_readiness_showed_last_is_what_the_document_has() {
    let mut any = 0;
    for stream in streams() {
        let shown_rows = lines("readiness", &stream);
        let document: Value = serde_json::from_str(&shown(&["readiness", "-f", "json", "-"], &stream)).unwrap();
        let expected = document["rows"].as_array().unwrap();
        let (found, expected) = (last(&shown_rows, &READINESS), last(expected, &READINESS));
        assert_eq!(found, expected);
        any += found.len();
    }
    assert!(any > 10, "{any} rows test nothing");
}

/// A second handshake of the same kind shows the row again, with both; other rows are not repeated.
#[test]
fn a_row_that_changes_is_shown_again() {
    let mut stream = Vec::new();
    for (sequence, port) in [(0, "40000"), (1, "40001"), (2, "40002")] {
        let at = 1_000_000_000 * (sequence + 1);
        let (name, ends) = ("openssl13", (format!("127.0.0.1:{port}"), "127.0.0.1:443"));
        let ends = (ends.0.as_str(), if sequence == 2 { "127.0.0.2:443" } else { ends.1 });
        let records = common::handshake(header(7, "x", at), name, sequence + 1, ends, true);
        stream.extend(segment(&meta("h", 1, sequence), &records, 50));
    }
    for report in ["tls", "readiness"] {
        let rows = lines(report, &stream);
        let counts: Vec<u64> = rows.iter().map(|row| row["handshakes"].as_u64().unwrap()).collect();
        match report {
            // One by one, or together where they came together.
            "tls" => assert_eq!(counts.last(), Some(&1), "{rows:#?}"),
            _ => assert_eq!(counts.last(), Some(&3), "{rows:#?}"),
        }
        assert!(counts.iter().max() >= Some(&2) && rows.len() <= 3, "{report}: {counts:?}");
        let text = shown(&[report, "--follow", "-"], &stream);
        assert_eq!(text.lines().count(), rows.len() + 1, "a heading, and the same rows:\n{text}");
    }
}

#[test]
fn formats_that_cannot_follow_are_refused() {
    for report in ["tls", "readiness"] {
        for (args, expected) in [
            (&["--follow", "-f", "json", "-"][..], "--follow goes on for ever: give --format text or json-stream"),
            (&["-f", "json-stream", "-"], "json-stream shows rows as they come: give --follow"),
            (&["--follow", "a", "b"], "--follow follows one directory"),
            (&["--follow", "a", "--until", "10:30"], "end it with --duration"),
        ] {
            let output = run(&[&[report], args].concat(), b"");
            let told = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.code() == Some(2) && told.contains(expected), "{report} {args:?}: {told}");
        }
    }
}

/// A stream without handshakes is a heading and a sentence that says why, and no silence.
#[test]
fn nothing_is_not_silence() {
    let stream = segment(&meta("h", 1, 0), &[open(header(7, "x", 1), b"/a.pem", 3)], 50);
    for report in ["tls", "readiness"] {
        let output = run(&[report, "--follow", "-"], &stream);
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("no TLS"), "{report}: {told}");
    }
}
