//! `report` through the built program: what is in it, that nothing from a host is markup in it, and that little never reads as much.
#![allow(clippy::unwrap_used)]

mod common;

use common::everything::*;
use common::*;
use crypto_trace_format::record::{ApiMeaning, FileOpen, LossCause, TlsHello, TlsHelloFixed};
use crypto_trace_format::segment::SegmentMeta;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SERVER: &str = "10.0.0.1:443";

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze")).args(args).output().unwrap()
}

fn told(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn page(path: &Path) -> String {
    told(&["report", path.to_str().unwrap()])
}

/// The document, which keeps to its schema.
fn document(path: &Path, args: &[&str]) -> Value {
    let report = told(&[&["report", path.to_str().unwrap(), "-f", "json"], args].concat());
    let report: Value = serde_json::from_str(&report).unwrap();
    let schema: Value = serde_json::from_str(&told(&["schema", "report"])).unwrap();
    let errors: Vec<String> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    report
}

fn write(dir: &tempfile::TempDir, meta: &SegmentMeta, records: &[Vec<u8>]) -> PathBuf {
    let path = dir.path().join(format!("{}-{}.ctseg", meta.host, meta.capture_id[0]));
    write_segment(&path, meta, records, 7);
    path
}

fn everything() -> Vec<Vec<u8>> {
    let names = [&b"file_open"[..], b"file_change", b"api_call", b"tls_hello", b"lib_load"];
    let probes = names.into_iter().map(|name| probe(1, name, 1, 0, b""));
    let mut records: Vec<_> = probes.collect();
    records.extend(one_of_everything());
    records.extend(tls_of_all_sorts());
    records.extend(calls_of_all_sorts());
    records.push(call(header(500, "nginx", 30_000), b"EVP_DigestInit_ex", ApiMeaning::DIGEST, b"SHA256", 1, 0));
    records
}

#[test]
fn a_report_holds_what_the_commands_say_and_names_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &meta("web1", 1, 0), &everything());
    let report = document(&path, &[]);
    let of = |args: &[&str]| -> Value {
        serde_json::from_str(&told(&[args, &[path.to_str().unwrap(), "-f", "json"]].concat())).unwrap()
    };
    assert_eq!(report["keys"], of(&["keys"]));
    assert_eq!(report["certs"], of(&["certs"]));
    // Its findings are of library calls, too, which `tls` does not read.
    let versions = |document: &Value| document["versions"].clone();
    assert_eq!(versions(&report["tls"]), versions(&of(&["tls"])));
    assert_eq!(report["coverage"], of(&["coverage"]));
    assert_eq!(report["algorithms"], of(&["algorithms"]));
    let packs = "ietf,nist-800-131a,nist-ir-8547,cnsa-2.0";
    let check = run(&["check", path.to_str().unwrap(), "-f", "json", "--pack", packs]);
    assert_eq!(report["check"], serde_json::from_slice::<Value>(&check.stdout).unwrap());
    // Files are read from a directory: a duration as of readiness depends on nothing else.
    assert_eq!(report["readiness"]["rows"], of(&["readiness"])["rows"]);
    let bytes = std::fs::read(&path).unwrap();
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(report["segments"], json!([{"file": "web1-1.ctseg", "bytes": bytes.len(), "sha256": sha256}]));
    assert_eq!((&report["hosts"], &report["recordings"][0]["host"]), (&json!(["web1"]), &json!("web1")));
    assert!(report["inventory"].as_array().unwrap().iter().any(|row| row["protocol"] == "TLS 1.3"));
    assert!(report["inventory"].as_array().unwrap().iter().any(|row| row["protocol"].is_null()));
    let html = page(&path);
    assert!(html.contains(&sha256) && html.contains("web1") && html.starts_with("<!DOCTYPE html>"));
}

#[test]
fn the_same_recording_gives_the_same_bytes_whatever_the_threads() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &meta("web1", 1, 0), &everything());
    let with = |threads| told(&["report", path.to_str().unwrap(), "--threads", threads]);
    assert_eq!(with("1"), with("4"));
}

/// Names that a host chooses are text, wherever they are shown.
#[test]
fn markup_from_a_host_is_text_in_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let evil = "</script><script>alert(1)</script><img src=x onerror='alert(2)'>\"";
    let process = header(500, "<b>comm</b>", 1_000);
    let at = |offset| header(500, "<b>comm</b>", offset);
    let program = format!("/usr/bin/{evil}");
    let mut records: Vec<_> =
        [&b"file_open"[..], b"tls_hello"].into_iter().map(|name| probe(1, name, 1, 0, b"")).collect();
    records.push(exec(process, program.as_bytes(), format!("{evil}\0--name={evil}\0").as_bytes(), 1));
    records.push(open(at(2_000), format!("/etc/ssl/private/{evil}.key").as_bytes(), 3));
    records.push(open(at(2_100), format!("/etc/ssl/certs/{evil}.crt").as_bytes(), 3));
    records.push(load(at(2_200), format!("/usr/lib/libssl.so.3{evil}").as_bytes()));
    records.extend(handshake(at(10_000), "openssl12", 1, (SERVER, "10.0.0.7:4000"), false));
    let mut evil_host = meta("<script>alert(3)</script>", 1, 0);
    evil_host.kernel = evil.to_owned();
    let path = dir.path().join("a.ctseg");
    write_segment(&path, &evil_host, &records, 7);
    let html = page(&path);
    // One script, the page's own; and no tag that a name brought.
    assert_eq!(html.matches("<script").count(), 1, "{html}");
    assert_eq!(html.matches("</script").count(), 1);
    for tag in ["<img", "<b>comm", "<iframe"] {
        assert!(!html.contains(tag), "{tag}");
    }
    // No quotation mark ends an attribute: what follows a name is the name's end, not another attribute.
    assert!(!html.contains("' \"") && html.contains("alert(2)'&gt;&quot;"), "quotation marks are escaped");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(html.contains("default-src 'none'"));
    let report = document(&path, &[]);
    assert!(report["keys"]["rows"][0]["path"].as_str().unwrap().contains("<script>"), "JSON has it as it is");
}

#[test]
fn what_saw_little_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let empty = document(&write(&dir, &meta("web1", 1, 0), &[]), &[]);
    assert!(empty["readiness"]["why_none"].is_string(), "{empty:#}");
    let packs = empty["check"]["packs"].as_array().unwrap();
    assert!(packs.iter().all(|pack| pack["counts"]["pass"] == 0), "nothing passes");
    let lossy = [everything(), vec![loss(40_000, FileOpen::KIND, LossCause::RING_FULL.0, 3)]].concat();
    let lossy = document(&write(&dir, &meta("web2", 2, 0), &lossy), &[]);
    assert!(lossy["missing"].to_string().contains("file_open lost"), "{}", lossy["missing"]);
    let part = with_options(vec!["-n nginx".to_owned()], meta("web3", 3, 0));
    let part = document(&write(&dir, &part, &everything()), &[]);
    assert!(part["missing"].to_string().contains("only part was recorded"), "{}", part["missing"]);
    let hello = TlsHelloFixed { protocol: 999, ..socket(1, SERVER, "10.0.0.7:4000", true) };
    let unknown = [everything(), vec![hello_of(hello)]].concat();
    let unknown = document(&write(&dir, &meta("web4", 4, 0), &unknown), &[]);
    assert!(unknown["missing"].to_string().contains("protocol"), "{}", unknown["missing"]);
    assert_eq!(TlsHello::KIND.0, 6);
}

fn hello_of(fixed: TlsHelloFixed) -> Vec<u8> {
    hello(header(500, "nginx", 50_000), fixed, b"SSH-2.0-x")
}

#[test]
fn what_cannot_be_reported_is_refused() {
    let refused = |args: &[&str], code: i32, expected: &str| {
        let output = run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && said.contains(expected), "{args:?}: {said}");
    };
    refused(&["report", "-"], 2, "a report lists the SHA-256 of its files");
    refused(&["report"], 2, "a report lists the SHA-256 of its files");
    refused(&["report", "/nonexistent"], 1, "/nonexistent");
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &meta("web1", 1, 0), &everything());
    refused(&["report", path.to_str().unwrap(), "--rules", "/nonexistent.toml"], 1, "/nonexistent.toml");
    refused(&["report", path.to_str().unwrap(), "-o", "/nonexistent/report.html"], 1, "/nonexistent/report.html");
}

/// A table ends, and says how much of it is not there.
#[test]
fn a_table_of_very_many_rows_is_cut_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = vec![probe(1, b"file_open", 1, 0, b"")];
    records.push(exec(header(500, "nginx", 1_000), b"/usr/sbin/nginx", b"nginx\0", 1));
    for number in 0..1_050u64 {
        records.push(open(header(500, "nginx", 2_000 + number), format!("/srv/{number}/private.key").as_bytes(), 3));
    }
    let report = document(&write(&dir, &meta("web1", 1, 0), &records), &[]);
    assert_eq!(report["keys"]["rows"].as_array().unwrap().len(), 1_000);
    assert_eq!(report["rows_left_out"], json!([{"table": "keys", "rows": 50}]));
}
