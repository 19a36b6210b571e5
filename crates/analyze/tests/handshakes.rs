//! `tls_handshake` events through the built program: in files and in a stream, with any number of threads.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use crypto_trace_format::record::TlsHelloFixed;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const RECORDINGS: [&str; 6] =
    ["openssl13", "openssl12", "openssl12_dhe", "openssl12_rsa", "openssl_protocol_version", "gnutls13"];

/// Connections that are all seen from both ends, one per millisecond, their packets in small pieces.
fn busy_server(connections: u16) -> Vec<Vec<u8>> {
    let mut records = vec![
        exec(header(1, "server", 1), b"/usr/bin/server", b"server\0", 0),
        exec(header(2, "client", 2), b"/usr/bin/client", b"client\0", 0),
    ];
    for number in 0..connections {
        let at = 1_000_000 * u64::from(number);
        let name = RECORDINGS[usize::from(number) % RECORDINGS.len()];
        let client = format!("127.0.0.1:{}", 10_000 + number);
        let server = "127.0.0.1:443";
        for is_client in [true, false] {
            let cookie = 2 * u64::from(number) + u64::from(is_client);
            let (local, remote, tgid) = if is_client { (&*client, server, 2) } else { (server, &*client, 1) };
            for (side, answer_ns) in [("client", 0), ("server", 100_000)] {
                let bytes = recorded_tls(name, side);
                for (piece, data) in (0u32..).zip(bytes.chunks(1_400)) {
                    let sent = (side == "client") == is_client;
                    let base = socket(cookie, local, remote, sent);
                    let fixed = TlsHelloFixed { offset: piece * 1_400, owner: SENDER, ..base };
                    records.push(hello(header(tgid, "x", at + answer_ns + u64::from(piece)), fixed, data));
                }
            }
        }
    }
    records
}

fn events(path: &Path, args: &[&str], stdin: Option<&[u8]>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    let input = if stdin.is_some() { Path::new("-") } else { path };
    command.arg("events").arg(input).args(["--type", "tls_handshake"]).args(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.unwrap_or_default()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn files_and_streams_and_any_number_of_threads_show_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tls.ctseg");
    let bytes = segment(&meta("web1", 1, 0), &busy_server(300), 50);
    std::fs::write(&path, &bytes).unwrap();
    let one = events(&path, &["--threads", "1"], None);
    assert_eq!(one.lines().count(), 600);
    assert!(one == events(&path, &["--threads", "4"], None));
    // A stream shows a connection when it is complete, so in another order.
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert!(sorted(&one) == sorted(&events(&path, &[], Some(&bytes))));
    for event in one.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let (own, other) = (event["socket_cookie"].as_u64().unwrap(), event["peer"]["socket_cookie"].as_u64());
        assert_eq!(other, Some(own ^ 1), "{event:#}");
        assert!(event["outcome"] != "none" && event["role"] == if own % 2 == 1 { "client" } else { "server" });
    }
}

#[test]
fn filters_ask_the_process_that_owns_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tls.ctseg");
    let mut records = busy_server(12);
    records.push(hello(
        about_capture(1),
        socket(99, "10.0.0.1:1", "10.0.0.2:2", true),
        &recorded_tls("openssl13", "client"),
    ));
    write_segment(&path, &meta("web1", 1, 0), &records, 7);
    let count = |args: &[&str]| events(&path, args, None).lines().count();
    assert_eq!((count(&[]), count(&["-p", "1"]), count(&["-n", "client"])), (25, 12, 12));
    assert_eq!((count(&["--result", "failed"]), count(&["--result", "failed", "-p", "2"])), (4, 2));
    // Nobody knows whose the last one is: it is not root's because of that.
    assert_eq!((count(&["--uid", "0"]), count(&["--uid", "1000"])), (0, 24));
    let all = events(&path, &[], None);
    let unknown = all.lines().find(|line| line.contains("\"socket_cookie\":99,")).unwrap();
    let unknown: Value = serde_json::from_str(unknown).unwrap();
    for name in ["pid", "tid", "uid", "gid", "process", "exe", "process_known_by", "peer"] {
        assert_eq!(unknown.get(name), Some(&Value::Null), "{name}");
    }
}

#[test]
fn a_socket_in_a_hundred_thousand_pieces_is_one_event_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tls.ctseg");
    let bytes = recorded_tls("openssl13", "client");
    let piece = |offset: u32| {
        let fixed = TlsHelloFixed { offset, ..socket(1, "10.0.0.1:1", "10.0.0.2:2", true) };
        hello(header(1, "x", u64::from(offset)), fixed, &bytes[..1])
    };
    let records: Vec<_> = (0..100_000).rev().map(piece).collect();
    write_segment(&path, &meta("web1", 1, 0), &records, 5_000);
    let shown = events(&path, &[], None);
    let event: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(event["hello_notes"], serde_json::json!(["hello_cut"]));
}

#[test]
fn a_narrow_time_shows_the_same_handshakes_as_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.ctseg");
    let mut records = Vec::new();
    for number in 0..200u64 {
        // One every ten seconds, in blocks of their own.
        let at = 10_000_000_000 * number;
        let ends = ("10.0.0.1:5000", "10.0.0.9:443");
        records.extend(handshake(header(7, "curl", at), "openssl12", number + 1, ends, true));
    }
    write_segment(&path, &meta("web1", 1, 0), &records, 2);
    let all = events(&path, &[], None);
    let (since, until) = ("2026-11-22T10:45:00.000000Z", "2026-11-22T10:46:40.000000Z");
    let time = |line: &&str| {
        let event: Value = serde_json::from_str(line).unwrap();
        let time = event["timestamp"].as_str().unwrap().to_owned();
        *since <= *time && *time < *until
    };
    let expected: Vec<&str> = all.lines().filter(time).collect();
    let narrow = events(&path, &["--since", since, "--until", until], None);
    assert_eq!((all.lines().count(), expected.len()), (200, 10));
    assert_eq!(narrow.lines().collect::<Vec<_>>(), expected);
    assert_eq!(events(&path, &["--since", "2026-11-23T00:00:00Z"], None), "");
}

#[test]
fn a_certificate_that_cannot_be_read_keeps_its_place_with_its_digest_and_the_reason() {
    let odd = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/tls/odd/{name}.der"));
        std::fs::read(path).unwrap()
    };
    let mut chain = vec![vec![0x30, 3, 2, 1, 5], odd("names_t61"), odd("serial_negative")];
    chain.extend(vec![vec![5, 0]; 31]);
    let (client, server) = ("127.0.0.1:40000", "127.0.0.1:443");
    let sent = |sent: bool| TlsHelloFixed { owner: SENDER, ..socket(1, client, server, sent) };
    let records = [
        exec(header(2, "client", 2), b"/usr/bin/client", b"client\0", 0),
        hello(header(2, "client", 10), sent(true), &recorded_tls("openssl12", "client")),
        hello(header(2, "client", 20), sent(false), &server_with(&chain)),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tls.ctseg");
    std::fs::write(&path, segment(&meta("web1", 1, 0), &records, 50)).unwrap();
    let event: Value = serde_json::from_str(events(&path, &[], None).trim()).unwrap();
    let schema: Value = serde_json::from_str(&crypto_trace_analyze::event::schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&event).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");

    let shown = event["certificates"].as_array().unwrap();
    assert_eq!((shown.len(), &event["certificates_more"]), (32, &2.into()));
    assert_eq!(shown[0]["not_read"], serde_json::json!(["certificate: tag 0x02 in place of 0x30"]));
    assert_eq!(shown[0]["sha256"], "417c7763c4e320a6b747b3cb0c6d22f93741b29a32b48594b8eb4c144fe6d729");
    assert_eq!((&shown[0]["subject"], &shown[0]["is_ca"]), (&Value::Null, &Value::Null));
    assert_eq!(shown[1]["subject"], r"C=DE, O=Müller\, Söhne \+ Co, CN=names");
    assert_eq!((&shown[1].get("not_read"), &shown[1].get("notes")), (&None, &None));
    assert_eq!(shown[2]["serial"], "-0b72");

    let run = |args: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze")).arg("tls").arg(&path).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let report: Value = serde_json::from_str(&run(&["-f", "json"])).unwrap();
    let rows = report["certificates"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["state"], &rows[3]["state"]), (4, &"not_yet_valid".into(), &Value::Null));
    assert_eq!((&rows[3]["days_left"], rows[3]["not_read"].is_array()), (&Value::Null, true));
    assert!(run(&[]).contains("(not read) SHA-256 "));
}
