//! Golden replays: the real captures in testdata/ render to the same bytes as when they were looked at and committed.
//!
//! `make goldens` (UPDATE_GOLDENS=1) writes the outputs anew; what changed is then read in `git diff`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use crypto_trace_tests::{analyze_binary, run};

/// Formats, and the file that keeps what each renders.
const FORMATS: [(&str, &str); 4] = [
    ("json-stream", "events.jsonl"),
    ("json-array", "events.array.json"),
    ("json-pretty", "events.pretty.json"),
    ("summary", "summary.txt"),
];

/// Reports of every capture, and the file that keeps what each says.
const REPORTS: [(&[&str], &str); 4] =
    [(&["tls"], "tls.txt"), (&["coverage"], "coverage.txt"), (&["files"], "files.txt"), (&["libs"], "libs.txt")];

/// Captures of which there are goldens of documents.
const DOCUMENTED: [&str; 4] = ["failed-opens", "python-https", "tls-nginx", "tls-wheels"];

/// Documents of those.
const DOCUMENTS: [(&[&str], &str); 5] = [
    (&["profile", "-f", "summary"], "profile.txt"),
    (&["profile"], "profile.json"),
    (&["files", "-f", "json"], "files.json"),
    (&["libs", "-f", "json"], "libs.json"),
    (&["libs", "-f", "json-stream"], "libs.jsonl"),
];

/// Reports of captures with TLS; the last one as if rules of 2036 held.
const TLS_REPORTS: [(&[&str], &str); 5] = [
    (&["algorithms"], "algorithms.txt"),
    (&["tls", "-f", "json"], "tls.json"),
    (&["algorithms", "-f", "json"], "algorithms.json"),
    (&["coverage", "-f", "json"], "coverage.json"),
    (&["tls", "--as-of", "2036-01-01"], "tls-2036.txt"),
];

/// Reports of captures with SSH.
const SSH_REPORTS: [(&[&str], &str); 2] = [(&["ssh"], "ssh.txt"), (&["ssh", "-f", "json"], "ssh.json")];

/// Reports of captures with other protocols than TLS over TCP, by the beginnings of their names; and of one with that.
const WIRE_REPORTS: [(&[&str], &str); 2] = [(&["wire"], "wire.txt"), (&["wire", "-f", "json"], "wire.json")];
const WITH_WIRE: [&str; 5] = ["dtls-", "ike-", "quic-", "ssh-", "tls-wheels"];

/// Reports of captures with IKE.
const IKE_REPORTS: [(&[&str], &str); 3] = [
    (&["algorithms"], "algorithms.txt"),
    (&["readiness"], "readiness.txt"),
    (&["coverage", "-f", "json"], "coverage.json"),
];

/// Documents of the longer ones of those: of a moment at which their processes are there, or all have ended.
const SNAPSHOTS: [(&[&str], &str); 2] = [
    (&["snapshot", "--at", "-100ms"], "snapshot.json"),
    (&["snapshot", "--at", "-100ms", "-f", "summary"], "snapshot.txt"),
];

/// Bills of materials: of library calls, and of hybrids.
const CBOMS: [(&str, &[&str], &str); 3] = [
    ("algorithms", &["cbom", "-f", "json"], "cbom-1.7.cdx.json"),
    ("tls-wheels", &["cbom", "-f", "json"], "cbom-1.7.cdx.json"),
    ("tls-wheels", &["cbom", "-f", "json", "--spec-version", "1.6"], "cbom-1.6.cdx.json"),
];

const UPDATE: &str = "UPDATE_GOLDENS";

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata")
}

/// Captures that answers.rs replays.
const ANSWERS: [&str; 2] = ["answers", "answers-before"];

fn captures() -> Vec<PathBuf> {
    let is_ours = |path: &PathBuf| path.is_dir() && !ANSWERS.iter().any(|name| path.ends_with(name));
    let mut captures: Vec<_> =
        testdata().read_dir().unwrap().map(|entry| entry.unwrap().path()).filter(is_ours).collect();
    captures.sort();
    captures
}

fn replay(capture: &Path, format: &str, threads: &str) -> Vec<u8> {
    replay_as(capture, &["events", "--format", format], threads)
}

fn replay_as(capture: &Path, args: &[&str], threads: &str) -> Vec<u8> {
    let mut command = Command::new(analyze_binary());
    // From inside the directory, so that no path of this machine can get into the output.
    command.current_dir(capture).args(args).args(["capture.ctseg", "--threads", threads]);
    let done = run(&mut command);
    assert_eq!(done.code(), 0, "{}: {}", capture.display(), done.stderr);
    done.stdout
}

/// Holds what `args` render to a golden.
fn check(capture: &Path, args: &[&str], name: &str) {
    let golden = capture.join(name);
    let one = replay_as(capture, args, "1");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&golden, &one).unwrap();
    }
    let expected = std::fs::read(&golden)
        .unwrap_or_else(|error| panic!("{}: {error}; `make goldens` writes it", golden.display()));
    assert_same(&one, &expected, &golden.display().to_string());
    assert_same(&replay_as(capture, args, "4"), &expected, &format!("{} with 4 threads", golden.display()));
}

/// Says where two outputs part, rather than printing both.
fn assert_same(found: &[u8], expected: &[u8], what: &str) {
    if found == expected {
        return;
    }
    let [found, expected] = [found, expected].map(String::from_utf8_lossy);
    let (mut found, mut expected) = (found.lines(), expected.lines());
    for line in 1.. {
        let (found, expected) = (found.next(), expected.next());
        assert!(
            found == expected && found.is_some(),
            "{what} differs from line {line}\n found:    {found:?}\n expected: {expected:?}\nIf that is as it should be: make goldens"
        );
    }
}

#[test]
fn real_captures_replay_byte_for_byte() {
    let captures = captures();
    assert!(captures.len() >= 12, "captures are missing from testdata/: {captures:?}");
    for capture in captures {
        for (format, name) in FORMATS {
            check(&capture, &["events", "--format", format], name);
        }
        for (args, name) in REPORTS {
            check(&capture, args, name);
        }
        let name = capture.file_name().unwrap().to_str().unwrap();
        if DOCUMENTED.contains(&name) {
            let snapshots = if name == "failed-opens" { &[][..] } else { &SNAPSHOTS };
            for (args, name) in DOCUMENTS.iter().chain(snapshots) {
                check(&capture, args, name);
            }
        }
        for (_, args, name) in CBOMS.iter().filter(|(of, ..)| *of == name) {
            check(&capture, args, name);
        }
        let mut reports = Vec::new();
        if name.starts_with("ssh-") || name == "tls-wheels" {
            reports.extend(SSH_REPORTS);
        }
        if WITH_WIRE.iter().any(|beginning| name.starts_with(beginning)) {
            reports.extend(WIRE_REPORTS);
        }
        if name.starts_with("ike-") {
            reports.extend(IKE_REPORTS);
        }
        for (args, name) in reports {
            check(&capture, args, name);
        }
        if name.starts_with("tls-") || name == "algorithms" {
            for (args, name) in TLS_REPORTS {
                check(&capture, args, name);
            }
        }
    }
}

/// What each capture was made for is in it: so that a golden cannot be of an empty or a wrong recording.
#[test]
fn each_capture_shows_what_it_was_made_for() {
    let text = |name: &str| String::from_utf8(replay(&testdata().join(name), "json-stream", "2")).unwrap();
    let events = |name: &str| -> Vec<serde_json::Value> {
        text(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let count = |events: &[serde_json::Value], field: &str, value: &str| {
        events.iter().filter(|event| event[field].as_str().is_some_and(|text| text.contains(value))).count()
    };

    let tls = events("openssl-loopback");
    assert!(count(&tls, "file", "server.key") >= 2 && count(&tls, "library", "libssl") >= 2);
    let wire = events("tls-loopback");
    assert_eq!(count(&wire, "event_type", "tls_handshake"), 20, "ten connections, each from both ends");
    assert_eq!(count(&wire, "resumption", "psk"), 2);
    assert_eq!(count(&wire, "alert", "protocol_version"), 2);
    let calls = events("tls-libraries");
    assert_eq!((count(&calls, "api_result", "ok"), count(&calls, "api_result", "failed")), (7, 1));
    assert_eq!(count(&calls, "meaning", "private_key_file"), 1);
    assert!(count(&calls, "library_version", "3.7.9") >= 4, "GnuTLS tells its version");
    let dtls = events("dtls-openssl");
    assert_eq!(
        (count(&dtls, "transport", "udp"), count(&dtls, "version", "DTLS 1.2")),
        (10, 6),
        "five, from both ends"
    );
    assert_eq!((count(&dtls, "version", "DTLS 1.0"), count(&dtls, "alert", "handshake_failure")), (2, 2));
    let ike = events("ike-strongswan");
    assert_eq!(
        (count(&ike, "event_type", "ike_handshake"), count(&ike, "key_exchange", "1024-bit MODP Group")),
        (6, 2),
        "three exchanges, from both ends"
    );
    assert_eq!(
        ike.iter().filter(|event| event["intermediate_seen"] == true && event["post_quantum"] == true).count(),
        2
    );
    let wireguard = events("wireguard-go");
    assert_eq!(count(&wireguard, "outcome", "agreed"), 2, "both ends");
    assert!(count(&wireguard, "outcome", "none") >= 1, "nobody answered the second");
    let go = events("tls-go");
    assert_eq!((count(&go, "event_type", "tls_handshake"), count(&go, "group", "X25519MLKEM768")), (16, 4));
    let rustls = events("tls-rustls");
    assert_eq!((count(&rustls, "event_type", "tls_handshake"), count(&rustls, "group", "X25519MLKEM768")), (10, 4));
    let nginx = events("tls-nginx");
    assert!(nginx.iter().filter(|event| event["process"] == "nginx" && event["role"] == "server").count() == 5);
    let wheels = events("tls-wheels");
    assert_eq!((count(&wheels, "event_type", "tls_handshake"), count(&wheels, "group", "X25519MLKEM768")), (8, 4));
    assert!(count(&wheels, "library", "psycopg2_binary.libs/libssl-") >= 3);
    let counted = events("algorithms");
    assert!(count(&counted, "algorithm", "3DES-EDE") >= 1 && count(&counted, "algorithm", "RSA") >= 1);
    let python = events("python-https");
    assert!(count(&python, "library", "libssl") >= 1 && count(&python, "file_type", "private_key") >= 1);
    let burst = events("burst");
    assert!(count(&burst, "event_type", "process_exit") >= 200, "a burst of 200 processes");
    let failed = events("failed-opens");
    for error in ["ENOENT", "EACCES"] {
        assert!(count(&failed, "error", error) >= 1, "no {error}");
    }
    assert!(failed.iter().any(|event| event["result"].as_i64() == Some(-2)));
    let paths = events("paths");
    assert!(count(&paths, "file", ".pem") + count(&paths, "file", ".key") + count(&paths, "file", ".crt") >= 5);
    // Whatever the path was given as, what is shown is absolute.
    for event in paths.iter().filter(|event| event["event_type"] == "file_open" && event["result"].as_i64() >= Some(0))
    {
        assert!(event["file"].as_str().unwrap().starts_with('/'), "{event}");
    }
}
