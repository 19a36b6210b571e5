//! The numbers of `tls`, through the built program: each table adds up to what stands above it, of one host and of several.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use crypto_trace_format::record::{Header, TlsHelloFixed};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn run(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    let output = command.args(args).env_remove("COLUMNS").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&run(&[args, &["-f", "json"]].concat())).unwrap()
}

/// The first record of what a client sent.
fn client_hello() -> Vec<u8> {
    let recorded = recorded_tls("openssl12", "client");
    let len = 5 + usize::from(u16::from_be_bytes([recorded[3], recorded[4]]));
    recorded[..len].to_vec()
}

/// A handshake that the server answered and the client then ended by an alert.
fn answered_then_failed(header: Header, cookie: u64) -> Vec<Vec<u8>> {
    let fixed = |sent| TlsHelloFixed { owner: SENDER, ..socket(cookie, "10.0.0.1:5000", "10.0.0.9:443", sent) };
    let later = Header { time_ns: header.time_ns + 1_000_000, ..header };
    let unknown_ca = [21, 3, 3, 0, 2, 2, 48];
    vec![
        hello(header, fixed(true), &[&client_hello()[..], &unknown_ca].concat()),
        hello(later, fixed(false), &server_with(&[])),
    ]
}

fn records() -> Vec<Vec<u8>> {
    let curl = |at| header(600, "curl", at);
    let ends = ("10.0.0.1:5001", "10.0.0.9:443");
    let mut records = vec![exec(curl(1_100), b"/usr/bin/curl", b"curl\0", 1)];
    records.extend(handshake(curl(10_000), "openssl13", 1, ends, true));
    records.extend(handshake(curl(20_000), "openssl12_dhe", 2, ends, true));
    records.extend(handshake(curl(30_000), "openssl12_ticket", 3, ends, true));
    records.extend(handshake(curl(40_000), "openssl_no_shared_cipher", 4, ends, true));
    records.extend(answered_then_failed(curl(50_000), 5));
    records.push(hello(
        curl(60_000),
        TlsHelloFixed { owner: SENDER, ..socket(6, ends.0, ends.1, true) },
        &client_hello(),
    ));
    records
}

fn number(row: &Value, member: &str) -> u64 {
    row[member].as_u64().unwrap_or_else(|| panic!("no {member}: {row}"))
}

fn sum(report: &Value, rows: &str, member: &str) -> u64 {
    report[rows].as_array().unwrap().iter().map(|row| number(row, member)).sum()
}

#[track_caller]
fn check(report: &Value) {
    let ended = |row: &Value| number(row, "answered") + number(row, "failed") + number(row, "unanswered");
    let all = number(report, "handshakes");
    assert_eq!(ended(report), all);
    // What servers chose is of those they answered, whatever came of them.
    let answered = number(report, "answered") + number(report, "answered_then_failed");
    for rows in ["versions", "cipher_suites", "key_exchanges"] {
        assert_eq!(sum(report, rows, "handshakes"), answered, "{rows}: {report:#}");
    }
    assert_eq!(sum(report, "failures", "handshakes"), number(report, "failed"));
    for rows in ["peers", "server_names", "programs"] {
        for row in report[rows].as_array().unwrap() {
            let quantum = ["post_quantum", "classical", "quantum_unknown", "no_key_exchange"];
            assert_eq!(quantum.iter().map(|member| number(row, member)).sum::<u64>(), ended(row), "{row}");
            assert!(number(row, "answered_then_failed") <= number(row, "failed"));
        }
    }
    let peers: u64 = report["peers"].as_array().unwrap().iter().map(ended).sum();
    assert_eq!(peers, all);
    let mut ends = 0;
    for program in report["programs"].as_array().unwrap() {
        let sides = ["as_client", "as_server", "role_unknown"].iter().map(|side| number(program, side)).sum::<u64>();
        assert_eq!(sides, ended(program), "{program}");
        let told: u64 = program["told_by_libraries"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(told, ended(program), "{program}");
        ends += sides;
    }
    assert_eq!(ends, number(report, "ends"));
    let told: u64 = report["told_by_libraries"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(told, all);
}

fn written(dir: &Path, host: &str, id: u8, records: &[Vec<u8>]) -> String {
    let path = dir.join(format!("{host}-{id}.ctseg"));
    write_segment(&path, &meta(host, id, 0), records, 5);
    path.to_str().unwrap().to_owned()
}

/// A handshake that was answered and then failed was in `failed`, and what was agreed on in it in `versions`.
#[test]
fn handshakes_that_failed_after_an_answer_are_told_so_that_each_table_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), "web1", 1, &records());
    let report = json(&["tls", &path]);
    check(&report);
    let counts = ["handshakes", "answered", "failed", "answered_then_failed", "unanswered"]
        .map(|member| number(&report, member));
    assert_eq!(counts, [6, 3, 2, 1, 1]);
    let text = run(&["tls", &path]);
    let told = "6 handshakes: 3 answered, 2 failed with an alert (1 of them after an answer), 1 without an answer";
    assert!(text.contains(told), "{text}");
    let heading = text.lines().find(|line| line.contains("unanswered") && line.contains("peer")).unwrap();
    assert!(heading.contains("handshakes  answered  failed  unanswered"), "{text}");
    assert!(!text.contains("host"), "there is one: {text}");
    assert!(run(&["events", &path, "-f", "summary"]).contains("after an answer: 1"));
}

#[test]
fn recorded_captures_add_up() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let mut seen = 0;
    for capture in testdata.read_dir().unwrap() {
        let path = capture.unwrap().path().join("capture.ctseg");
        if path.exists() {
            check(&json(&["tls", path.to_str().unwrap()]));
            seen += 1;
        }
    }
    assert!(seen > 5);
}

#[test]
fn of_several_hosts_each_finding_peer_and_certificate_has_its_host() {
    let dir = tempfile::tempdir().unwrap();
    let first = written(dir.path(), "web1", 1, &records());
    // Another capture of the same host is no other host.
    let again = written(dir.path(), "web1", 3, &records());
    let report = json(&["tls", &first, &again]);
    for rows in ["peers", "findings", "certificates", "programs", "server_names"] {
        for row in report[rows].as_array().unwrap() {
            assert!(row.get("host").is_none() && row.get("hosts").is_none(), "{row}");
        }
    }
    let second = written(
        dir.path(),
        "db1",
        2,
        &handshake(header(600, "psql", 9_000), "openssl13", 1, ("10.0.0.2:5001", "10.0.0.9:443"), true),
    );
    let inputs = [&first[..], &again, &second];
    let report = json(&[&["tls"], &inputs[..]].concat());
    check(&report);
    let peers: Vec<(&Value, u64)> =
        report["peers"].as_array().unwrap().iter().map(|row| (&row["host"], number(row, "answered"))).collect();
    assert!(peers.contains(&(&"db1".into(), 1)), "{peers:?}");
    assert!(peers.iter().all(|(host, _)| *host == "web1" || *host == "db1"), "{peers:?}");
    let hosts = |rows: &str, member: &str, of: &str| {
        let rows = report[rows].as_array().unwrap();
        rows.iter().find(|row| row[member] == of).unwrap_or_else(|| panic!("no {of}"))["hosts"].clone()
    };
    assert_eq!(hosts("findings", "algorithm", "DHE"), serde_json::json!(["web1"]));
    assert_eq!(hosts("findings", "algorithm", "x25519"), serde_json::json!(["db1", "web1"]));
    let certificates = report["certificates"].as_array().unwrap();
    assert!(!certificates.is_empty() && certificates.iter().all(|row| row["hosts"] == serde_json::json!(["web1"])));
    let algorithms = json(&[&["algorithms"], &inputs[..]].concat());
    assert!(
        algorithms["algorithms"].as_array().unwrap().iter().all(|row| !row["hosts"].as_array().unwrap().is_empty())
    );
    let text = run(&[&["tls"], &inputs[..]].concat());
    assert!(text.contains("    on db1, web1\n") && text.contains("  hosts  subject"), "{text}");
    let one = json(&[&["tls", "--host", "db1"], &inputs[..]].concat());
    assert_eq!(number(&one, "handshakes"), 1);
    assert!(one["peers"][0].get("host").is_none());
}

#[test]
fn rules_are_chosen_and_say_of_whom_they_speak() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), "web1", 1, &records());
    let authorities = |args: &[&str]| {
        let report = json(&[&["tls", &path[..]], args].concat());
        let of = |row: &Value| row["authority"].as_str().unwrap().to_owned();
        let found: std::collections::BTreeSet<String> = report["findings"].as_array().unwrap().iter().map(of).collect();
        (report["rules"].clone(), found.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(authorities(&[]).0, serde_json::json!(["ietf", "nist", "cnsa"]));
    assert_eq!(
        authorities(&["--rules", "cnsa,ietf"]),
        (serde_json::json!(["ietf", "cnsa"]), vec!["IETF".into(), "NSA".into()])
    );
    assert_eq!(authorities(&["--rules", "nist"]).1, ["NIST"]);
    let text = run(&["algorithms", &path, "--rules", "cnsa"]);
    assert!(text.contains("of cnsa only") && text.contains("(cnsa, as --rules says)"), "{text}");
    let row = text.lines().find(|line| line.trim_start().starts_with("x25519 ")).unwrap();
    assert!(row.contains("disallowed from 2031 (US NSS)"), "{text}");
    assert!(text.contains("  US NSS: the rule is for US national security systems\n"), "{text}");
}
