//! `tls`, `algorithms` and `coverage` through the built program: what they count, what they hide, and why nothing is shown.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use crypto_trace_format::record::{ApiCallFixed, ApiMeaning, LibraryInfo, LibraryInfoFixed, TlsHelloFixed};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn run(args: &[&str], stdin: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    let mut child =
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

fn text(args: &[&str]) -> String {
    let output = run(args, b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn report(what: &str, path: &Path, args: &[&str]) -> Value {
    let path = path.to_str().unwrap();
    serde_json::from_str(&text(&[&[what, path, "-f", "json"], args].concat())).unwrap()
}

/// A web server and its clients: alice's own build of curl, a Go program, and one whose process is not known.
fn records() -> Vec<Vec<u8>> {
    let nginx = |at| header(500, "nginx", at);
    let curl = |at| header(600, "curl", at);
    let go = |at| header(700, "agent", at);
    let ends = ("127.0.0.1:40000", "127.0.0.1:443");
    let own = (8 << 20 | 1, 1_234);
    let mut records = vec![
        exec(nginx(1_000), b"/usr/sbin/nginx", b"nginx\0", 1),
        exec(curl(1_100), b"/home/alice/bin/curl", b"curl\0", 1),
        exec(go(1_200), b"/opt/agent", b"agent\0", 1),
        load(nginx(2_000), b"/usr/lib/libssl.so.3"),
        library(nginx(2_100), LIBRARY, b"/usr/lib/libssl.so.3", 1, b""),
        library(go(2_200), own, b"/opt/agent", 3, b"a Go program"),
        library(curl(2_300), (1, 2), b"/home/alice/lib/libssl.so.1.1", 2, b"see /home/alice/x"),
    ];
    // Seen from both ends; the server's library says that it failed after the hellos.
    records.extend(handshake(curl(10_000), "openssl13", 1, ends, true));
    records.extend(handshake(nginx(11_000), "openssl13", 2, (ends.1, ends.0), false));
    records.push(call(nginx(5_000_000), b"SSL_do_handshake", ApiMeaning::HANDSHAKE, b"", -1, 2));
    records.extend(handshake(nginx(30_000), "openssl12_dhe", 3, ("10.0.0.1:443", "10.0.0.2:5000"), false));
    records.push(call(nginx(5_100_000), b"SSL_do_handshake", ApiMeaning::HANDSHAKE, b"", 1, 3));
    records.extend(handshake(go(40_000), "openssl4_mlkem", 4, ("10.0.0.1:5001", "10.0.0.9:443"), true));
    let nobody = TlsHelloFixed { owner: 0, ..socket(5, "10.0.0.1:5002", "10.0.0.9:443", true) };
    records.push(hello(about_capture(50_000), nobody, &recorded_tls("openssl13", "client")));
    // Not over a socket that was seen.
    records.push(call(nginx(5_200_000), b"SSL_do_handshake", ApiMeaning::HANDSHAKE, b"", 1, 77));
    records.push(call(nginx(5_300_000), b"SSL_do_handshake", ApiMeaning::HANDSHAKE, b"", 1, 0));
    let cipher = |state, count| ApiCallFixed {
        dev: LIBRARY.0,
        ino: LIBRARY.1,
        count,
        fd: -1,
        meaning: ApiMeaning::CIPHER.0,
        level: 2,
        state,
        ..ApiCallFixed::default()
    };
    records.push(api_call(nginx(6_000_000), cipher(0, 41), b"EVP_CipherInit_ex", b"DES-EDE3-CBC"));
    records.push(api_call(nginx(6_000_000), cipher(8, 41), b"EVP_CipherInit_ex", b"AES-256-CTR"));
    records
}

fn written(dir: &tempfile::TempDir) -> PathBuf {
    let path = dir.path().join("a.ctseg");
    write_segment(&path, &meta("web1", 1, 0), &records(), 5);
    path
}

#[test]
fn a_connection_seen_from_both_ends_counts_once_and_each_end_is_its_programs() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir);
    let tls = report("tls", &path, &[]);
    assert_eq!((&tls["handshakes"], &tls["ends"], &tls["unanswered"]), (&4.into(), &5.into(), &1.into()));
    assert_eq!(tls["post_quantum_share"], 0.3333);
    let told = serde_json::json!({"completed": 1, "failed": 1, "result_unknown": 0, "not_told": 2});
    assert_eq!(tls["told_by_libraries"], told);
    let program = |name: &str| {
        let programs = tls["programs"].as_array().unwrap();
        programs.iter().find(|row| row["program"] == name).unwrap_or_else(|| panic!("no {name}: {programs:#?}")).clone()
    };
    assert_eq!(
        (&program("/usr/sbin/nginx")["as_server"], &program("/opt/agent")["post_quantum"]),
        (&2.into(), &1.into())
    );
    assert_eq!(program("/home/USER/bin/curl")["as_client"], 1);
    assert!(tls["programs"].as_array().unwrap().iter().any(|row| row["program"].is_null()));
    assert!(!text(&["tls", path.to_str().unwrap()]).contains("alice"));
    assert!(text(&["tls", path.to_str().unwrap(), "--no-redact"]).contains("/home/alice/bin/curl"));
    let only = report("tls", &path, &["-n", "curl"]);
    assert_eq!((&only["handshakes"], &only["ends"]), (&1.into(), &1.into()));
}

#[test]
fn rules_are_told_with_their_source_and_judged_by_the_day() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir);
    let found = |args: &[&str]| report("tls", &path, args)["findings"].as_array().unwrap().clone();
    let rule = |found: &[Value], algorithm: &str, document: &str| {
        found.iter().find(|row| row["algorithm"] == algorithm && row["document"] == document).cloned()
    };
    let now = found(&[]);
    let dhe = rule(&now, "DHE", "RFC 10015").unwrap();
    assert_eq!((&dhe["status"], &dhe["in_force"], &dhe["draft"]), (&"disallowed".into(), &true.into(), &false.into()));
    for member in ["authority", "title", "revision", "section", "says", "url", "effective", "published"] {
        assert!(dhe[member].as_str().is_some_and(|text| !text.is_empty()), "no {member}");
    }
    let later = rule(&now, "x25519", "CNSA 2.0").unwrap();
    assert_eq!((&later["in_force"], &later["effective"]), (&false.into(), &"2033-01-01".into()));
    assert_eq!(later["scope"], "US national security systems");
    assert_eq!(rule(&found(&["--as-of", "2033-01-01"]), "x25519", "CNSA 2.0").unwrap()["in_force"], true);
    // Before it was published, a document says nothing.
    assert!(rule(&found(&["--as-of", "2022-01-01"]), "x25519", "CNSA 2.0").is_none());
    let certificates = |args: &[&str]| report("tls", &path, args)["certificates"][0]["state"].clone();
    assert_eq!(certificates(&["--as-of", "2000-01-01"]), "not_yet_valid");
    assert_eq!(certificates(&["--as-of", "2200-01-01"]), "expired");
}

#[test]
fn algorithms_of_calls_are_uses_and_those_of_the_library_itself_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir);
    let report = report("algorithms", &path, &[]);
    let row = |name: &str| report["algorithms"].as_array().unwrap().iter().find(|row| row["name"] == name).cloned();
    let des = row("3DES-EDE").unwrap();
    assert_eq!((&des["calls"], &des["handshakes"]), (&41.into(), &0.into()));
    assert_eq!(des["seen_in"], serde_json::json!(["library_call"]));
    let documents: Vec<&str> =
        des["findings"].as_array().unwrap().iter().map(|finding| finding["document"].as_str().unwrap()).collect();
    assert_eq!(documents, ["SP 800-131A", "CNSA 2.0 FAQ", "CNSA 2.0"], "rules about TLS are not held against calls");
    assert!(row("AES-256-CTR").is_none());
    assert_eq!(row("X25519MLKEM768").unwrap()["nist_level"], 3);
}

/// The file of a program that has a library built in is in no catalog: its functions say what it is.
#[test]
fn a_library_known_by_its_functions_has_the_same_name_in_all_tables_of_the_summary() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("proxy.ctseg");
    let proxy = |at| header(500, "proxy", at);
    let mut told = Vec::new();
    let fixed = LibraryInfoFixed { dev: LIBRARY.0, ino: LIBRARY.1, state: 1, functions: 3, ..Default::default() };
    LibraryInfo { fixed, path: b"/opt/proxy", family: b"boringssl", ..Default::default() }
        .encode(proxy(3_000), &mut told);
    let records = [
        exec(proxy(1_000), b"/opt/proxy", b"proxy\0", 1),
        load(proxy(2_000), b"/opt/proxy"),
        told,
        call(proxy(4_000), b"SSL_CTX_use_PrivateKey_file", ApiMeaning::PRIVATE_KEY_FILE, b"/etc/a.key", 1, 0),
    ];
    write_segment(&path, &meta("web1", 1, 0), &records, 100);
    let summary = text(&["events", "-f", "summary", path.to_str().unwrap()]);
    for (section, row) in [("Crypto libraries", "proxy"), ("Calls of libraries", "SSL_CTX_use_PrivateKey_file")] {
        let rows = summary.split("\n\n").find(|part| part.starts_with(section)).unwrap_or_else(|| panic!("{summary}"));
        let row = rows.lines().find(|line| line.contains(row)).unwrap_or_else(|| panic!("{summary}"));
        assert!(row.contains("BoringSSL"), "{summary}");
    }
}

#[test]
fn coverage_says_what_was_seen_on_the_wire_only_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir);
    let coverage = report("coverage", &path, &[]);
    let capture = &coverage["captures"][0];
    assert_eq!(
        capture["library_calls"],
        "1 of 3 library files probed; 4 handshakes seen, 1 of them with no known socket, 1 of them not seen on the wire"
    );
    assert_eq!(capture["libraries"][0]["state"], "attached");
    assert_eq!(capture["libraries"][1]["message"], "see /home/USER/x");
    let why = |program: &str| {
        let rows = coverage["wire_only"].as_array().unwrap();
        let row = rows.iter().find(|row| row["program"] == program)?;
        Some(row["why"].as_array().unwrap().iter().map(|why| why.as_str().unwrap().to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(why("/opt/agent").unwrap(), ["agent is not probed: a Go program"]);
    assert!(why("/home/USER/bin/curl").unwrap()[0].starts_with("no crypto library seen"));
    assert_eq!(why("(process not known)").unwrap(), [""; 0]);
    assert!(why("/usr/sbin/nginx").is_none(), "its library told of all");
    let never = coverage["never_seen"].to_string();
    assert!(!never.contains("completed") && never.contains("without TLS"), "{never}");
    assert!(!text(&["coverage", path.to_str().unwrap()]).contains("alice"));
}

#[test]
fn files_streams_and_any_number_of_threads_say_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir);
    let bytes = std::fs::read(&path).unwrap();
    for what in ["tls", "algorithms", "coverage"] {
        for format in ["text", "json"] {
            let args = |input| vec![what, input, "-f", format];
            let one = text(&[args(path.to_str().unwrap()), vec!["--threads", "1"]].concat());
            assert_eq!(one, text(&[args(path.to_str().unwrap()), vec!["--threads", "7"]].concat()));
            if what != "coverage" {
                assert_eq!(one, String::from_utf8(run(&args("-"), &bytes).stdout).unwrap(), "{what} of a stream");
            }
        }
    }
    // Of a stream it is not known any more which sockets there were.
    let streamed: Value = serde_json::from_slice(&run(&["coverage", "-", "-f", "json"], &bytes).stdout).unwrap();
    assert!(streamed["captures"][0]["library_handshakes_not_on_wire"].is_null());
    assert_eq!(streamed["wire_only"], report("coverage", &path, &[])["wire_only"]);
}

#[test]
fn nothing_is_never_shown_without_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.ctseg");
    let check = |records: &[Vec<u8>], args: &[&str], reason: &str| {
        write_segment(&path, &meta("web1", 1, 0), records, 9);
        let [name, rest @ ..] = args else { panic!("no command") };
        let output = run(&[&[name, path.to_str().unwrap()], rest].concat(), b"");
        let both = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&both);
        assert!(said.contains(reason), "{args:?} does not say {reason:?} but\n{said}");
    };
    let file_probe = probe(1, b"file_open, lib_load", 1, 0, b"");
    let failed = probe(2, b"tls_hello", 2, 1, b"no cgroup v2");
    check(&[], &["tls"], "which probes were attached is not recorded");
    check(std::slice::from_ref(&file_probe), &["tls"], "not watched: no probe for it was attached");
    check(&[file_probe.clone(), failed.clone()], &["tls"], "the probe for tls_hello failed: no cgroup v2");
    check(&[file_probe.clone(), failed.clone()], &["algorithms"], "the probe for tls_hello failed: no cgroup v2");
    check(&[file_probe.clone(), failed.clone()], &["coverage"], "the probe for tls_hello failed: no cgroup v2");
    check(&[file_probe.clone(), failed.clone()], &["events", "--type", "tls_handshake"], "failed: no cgroup v2");
    check(&[file_probe.clone(), failed], &["events", "-f", "summary"], "failed: no cgroup v2");
    check(std::slice::from_ref(&file_probe), &["events", "--type", "api_call"], "no probe for api_call was attached");
    check(
        std::slice::from_ref(&file_probe),
        &["events", "--type", "file_open"],
        "no events: none of 1 record passed the filters",
    );
    check(&[file_probe], &["events", "-f", "summary"], "no events: none of 1 record passed the filters");
    check(&records(), &["tls", "-p", "4711"], "none of the 5 sockets of connections with TLS passed the filters");
}

/// Every member of every report is explained.
#[test]
fn the_docs_tell_of_every_member() {
    fn names(value: &Value, into: &mut std::collections::BTreeSet<String>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                into.insert(name.clone());
                names(value, into);
            }),
            Value::Array(items) => items.iter().for_each(|item| names(item, into)),
            _ => {}
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir);
    let mut all = std::collections::BTreeSet::new();
    for what in ["tls", "algorithms", "coverage"] {
        names(&report(what, &path, &[]), &mut all);
    }
    names(&report("tls", &path, &["-p", "4711"]), &mut all);
    let docs = include_str!("../../../docs/tls.md");
    assert!(all.len() > 90, "{all:?}");
    for name in all {
        assert!(docs.contains(&format!("`{name}`")), "docs/tls.md does not tell of `{name}`");
    }
}
