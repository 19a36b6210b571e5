//! `certs` through the built program: certificates in use and their files, of recordings that saw much, little and nothing.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod common;

use common::*;
use crypto_trace_format::record::{
    ApiMeaning, CertificateFileState, ChangeCall, FileChangeFixed, FileOpen, FileOpenFixed, Header, LossCause,
    TlsHello, TlsHelloFixed,
};
use crypto_trace_format::segment::SegmentMeta;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn told(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze")).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The document, which keeps to its schema and adds up.
fn report_of(path: &Path, args: &[&str]) -> Value {
    let report = told(&[&["certs", path.to_str().unwrap(), "-f", "json"], args].concat());
    let report: Value = serde_json::from_str(&report).unwrap();
    let schema: Value = serde_json::from_str(&told(&["schema", "certs"])).unwrap();
    let errors: Vec<String> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let parts = ["shown", "hidden", "left_out", "resumed", "not_seen", "no_answer"];
    let sum: u64 = parts.iter().map(|part| report[part].as_u64().unwrap()).sum();
    assert_eq!(report["handshakes"], sum, "{report:#}");
    report
}

fn write(dir: &tempfile::TempDir, meta: &SegmentMeta, records: &[Vec<u8>]) -> PathBuf {
    let path = dir.path().join(format!("{}-{}.ctseg", meta.host, meta.capture_id[0]));
    write_segment(&path, meta, records, 7);
    path
}

/// What says that everything was watched.
fn watched() -> Vec<Vec<u8>> {
    let names = [&b"file_open"[..], b"file_change", b"api_call", b"tls_hello"];
    names.into_iter().map(|name| probe(1, name, 1, 0, b"")).collect()
}

fn report_with(records: &[Vec<u8>], args: &[&str]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    report_of(&write(&dir, &meta("web1", 1, 0), &[watched(), records.to_vec()].concat()), args)
}

fn report(records: &[Vec<u8>]) -> Value {
    report_with(records, &[])
}

const SERVER: &str = "10.0.0.1:443";
const FILE: &[u8] = b"/etc/ssl/site.crt";
const MS: u64 = 1_000_000;

fn nginx(at: u64) -> Header {
    header(500, "nginx", at)
}

fn started() -> Vec<Vec<u8>> {
    vec![exec(nginx(1_000), b"/usr/sbin/nginx", b"nginx\0", 1)]
}

/// A TLS 1.2 handshake of a server's process.
fn serves(header: Header, cookie: u64, name: &str) -> Vec<Vec<u8>> {
    handshake(header, name, cookie, (SERVER, "10.0.0.7:4000"), false)
}

fn opened(header: Header, (path, given): (&[u8], &[u8]), ino: u64, flags: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let fixed = FileOpenFixed { result: 5, flags, dfd: -100, dev: 8 << 20, ino, tier: 3, ..Default::default() };
    FileOpen { fixed, path, given, ..Default::default() }.encode(header, &mut out);
    out
}

/// Certbot's way: a new file is given the name.
fn renamed(at: u64, to: &[u8]) -> Vec<u8> {
    let fixed = FileChangeFixed { call: ChangeCall::RENAME.0, ..FileChangeFixed::default() };
    change(header(900, "certbot", at), fixed, [(b"/etc/ssl/new.crt", b""), (to, b"")])
}

/// The certificate that a chain begins with, of a recording with one chain of two.
fn own(report: &Value) -> &Value {
    let (own, issuers): (Vec<&Value>, Vec<&Value>) =
        report["rows"].as_array().unwrap().iter().partition(|row| row["first_of_chain"] == true);
    assert_eq!((own.len(), issuers.len()), (1, 1), "{report:#}");
    own[0]
}

#[test]
fn a_certificate_is_shown_with_who_presents_it_and_a_handshake_seen_from_both_ends_is_one() {
    let mut records = started();
    records.extend(serves(nginx(MS), 1, "openssl12"));
    let curl = header(600, "curl", MS + 10);
    records.extend(handshake(curl, "openssl12", 2, ("10.0.0.7:4000", SERVER), true));
    let both = report(&records);
    assert_eq!((&both["handshakes"], &both["shown"], &both["certificates"]), (&json!(1), &json!(1), &json!(2)));
    let by = &own(&both)["presented_by"];
    assert_eq!(by.as_array().unwrap().len(), 1, "{by:#}");
    assert_eq!(
        (&by[0]["program"], &by[0]["port"], &by[0]["address"]),
        (&json!("/usr/sbin/nginx"), &json!(443), &Value::Null)
    );
    assert_eq!((&by[0]["role"], &by[0]["processes"], &by[0]["ends"]), (&json!("server"), &json!(1), &json!(1)));
    // From the client's end alone it is an address that presents it.
    let client = report(&handshake(curl, "openssl12", 2, ("10.0.0.7:4000", SERVER), true));
    let by = &own(&client)["presented_by"][0];
    assert_eq!((&by["program"], &by["port"], &by["address"]), (&Value::Null, &json!(443), &json!("10.0.0.1")));
    assert_eq!(own(&client)["handshakes"], 1);
}

#[test]
fn a_certificate_that_tls13_hides_is_counted_and_the_file_that_the_server_read_stands_in() {
    let mut records = started();
    records.push(opened(nginx(10_000), (b"/etc/ssl/other.pem", b""), 70, 0));
    records.push(opened(nginx(10_100), (FILE, b""), 71, 0));
    records.push(call(nginx(10_200), b"SSL_CTX_use_certificate_chain_file", ApiMeaning::CERTIFICATE_FILE, FILE, 1, 0));
    records.extend(serves(nginx(MS), 1, "openssl13"));
    let report = report(&records);
    assert_eq!((&report["hidden"], &report["certificates"]), (&json!(1), &json!(0)));
    let service = &report["hidden_services"][0];
    assert_eq!((&service["program"], &service["port"]), (&json!("/usr/sbin/nginx"), &json!(443)));
    let expected = json!([{"path": "/etc/ssl/site.crt", "by": "call"}, {"path": "/etc/ssl/other.pem", "by": "open"}]);
    assert_eq!(service["files"], expected);
    let site = report["files"].as_array().unwrap().iter().find(|file| file["path"] == "/etc/ssl/site.crt").unwrap();
    assert_eq!((&site["type_by"], &site["programs"][0]["loads"]), (&json!("use"), &json!(1)));
}

#[test]
fn validity_is_of_the_day_asked_about_and_use_of_the_time_of_use() {
    let mut records = started();
    records.extend(serves(nginx(MS), 1, "openssl12"));
    let now = report(&records);
    let row = &now["rows"][0];
    let end: &str = row["not_after"].as_str().unwrap();
    // Years after its end; it was presented before.
    let later = report_with(&records, &["--as-of", "2150-01-01"]);
    assert_eq!(
        (&later["rows"][0]["state"], &later["expired"], &later["used_after_end"]),
        (&json!("expired"), &json!(2), &json!(0))
    );
    assert!(later["rows"][0]["days_left"].as_i64().unwrap() < 0);
    let early = report_with(&records, &["--as-of", "2000-01-01"]);
    assert_eq!(early["rows"][0]["state"], "not_yet_valid");
    // The end is at or after the beginning of its day.
    let day = end.get(..10).unwrap();
    let soon = report_with(&records, &["--as-of", day, "--expires-within", "1"]);
    assert_eq!(soon["rows"][0]["state"], "expires_soon");
    assert_eq!(soon["expires_soon"], soon["rows"].as_array().unwrap().len());
    let none = report_with(&records, &["--as-of", "2000-01-01", "--expires-within", "30"]);
    assert_eq!((&none["rows"], &none["certificates"]), (&json!([]), &json!(2)));
}

/// A certificate whose end is before the recording.
#[test]
fn a_certificate_that_is_presented_after_its_end_is_told() {
    let mut der =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls/never_expires.der")).unwrap();
    // The end, a GeneralizedTime, becomes one of 2020.
    let at = der.windows(15).position(|bytes| bytes == b"99991231235959Z").unwrap();
    der[at..at + 4].copy_from_slice(b"2020");
    let fixed = |sent| TlsHelloFixed { owner: SENDER, ..socket(1, SERVER, "10.0.0.7:4000", sent) };
    let mut records = started();
    records.push(hello(nginx(MS), fixed(false), &recorded_tls("openssl12", "client")));
    records.push(hello(nginx(2 * MS), fixed(true), &server_with(&[der])));
    let report = report(&records);
    assert_eq!((&report["used_after_end"], &report["rows"][0]["after_end"]), (&json!(1), &json!(1)), "{report:#}");
    assert_eq!(report["rows"][0]["state"], "expired");
}

/// Where the server stands after a renewal: read at 10 ms, a handshake at 20 ms, renewed at 30 ms, then `more`.
fn renewed(more: &[Vec<u8>]) -> Value {
    let mut records = started();
    records.push(opened(nginx(10 * MS), (FILE, b""), 70, 0));
    records.extend(serves(nginx(20 * MS), 1, "openssl12"));
    records.push(renamed(30 * MS, FILE));
    records.extend_from_slice(more);
    report(&records)["not_read_again"].clone()
}

#[test]
fn a_process_that_presents_the_old_certificate_after_its_file_was_replaced_is_told() {
    let stale = renewed(&serves(nginx(40 * MS), 2, "openssl12"));
    assert_eq!(stale.as_array().unwrap().len(), 1, "{stale:#}");
    let stale = &stale[0];
    assert_eq!(
        (&stale["presented"], &stale["change"], &stale["path"]),
        (&json!("same"), &json!("replaced"), &json!("/etc/ssl/site.crt"))
    );
    assert_eq!((&stale["pid"], &stale["port"], &stale["files_read"]), (&json!(500), &json!(443), &json!(1)));
    assert!(
        stale["read"].as_str() < stale["changed"].as_str()
            && stale["changed"].as_str() < stale["last_presented"].as_str()
    );
    let hidden = renewed(&serves(nginx(40 * MS), 2, "openssl13"));
    assert_eq!((&hidden[0]["presented"], &hidden[0]["sha256"]), (&json!("hidden"), &Value::Null));
}

/// A snapshot of the same host, taken later.
fn with_snapshot(records: &[Vec<u8>], snapshot: &[Vec<u8>]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, &meta("web1", 1, 0), &[watched(), records.to_vec()].concat());
    write(&dir, &meta("web1", 2, 0), snapshot);
    report_of(dir.path(), &[])
}

#[test]
fn what_a_snapshot_read_in_files_is_shown_and_tells_whether_the_old_certificate_is_presented() {
    let mut records = started();
    records.push(opened(nginx(10 * MS), (FILE, b""), 70, 0));
    records.extend(serves(nginx(20 * MS), 1, "openssl12"));
    records.push(renamed(30 * MS, FILE));
    records.extend(serves(nginx(40 * MS), 2, "openssl12"));
    let (der, read) = (recorded_certificate("openssl12"), CertificateFileState::READ);
    let sha256 = with_snapshot(&records, &[])["not_read_again"][0]["sha256"].clone();

    let same = with_snapshot(&records, &[certificate_file(about_capture(1), FILE, read, &der)]);
    let held = &same["certificate_files"][0];
    assert_eq!((&held["state"], &held["path"]), (&json!("read"), &json!("/etc/ssl/site.crt")));
    let certificate = &held["certificates"][0];
    assert_eq!((&certificate["presented"], &certificate["sha256"]), (&json!(true), &sha256));
    assert_eq!(same["not_read_again"][0]["file_holds"], sha256);

    let other = b"/etc/ssl/other.crt";
    let moved = [
        certificate_file(about_capture(1), FILE, read, b"no DER"),
        certificate_file(about_capture(2), other, read, &der),
    ];
    let moved = with_snapshot(&records, &moved);
    let stale = &moved["not_read_again"][0];
    assert!(stale["file_holds"] != sha256 && stale["held_by"] == "/etc/ssl/other.crt", "{stale:#}");
    // What is no certificate is shown as what it is.
    let unread = moved["certificate_files"].as_array().unwrap().iter().find(|file| file["path"] == "/etc/ssl/site.crt");
    let unread = &unread.unwrap()["certificates"][0];
    assert!(!unread["not_read"].as_array().unwrap().is_empty() && unread["presented"] == false, "{unread:#}");

    let none = [
        certificate_file(about_capture(1), FILE, CertificateFileState::HOLDS_KEY, b""),
        certificate_file(about_capture(2), b"/etc/ssl/missing.crt", CertificateFileState::NOT_READ, b""),
    ];
    let none = with_snapshot(&records, &none);
    assert_eq!(none["not_read_again"][0].get("file_holds"), None);
    assert_eq!(
        (&none["certificate_files"][0]["error"], &none["certificate_files"][1]["state"]),
        (&json!("ENOENT"), &json!("holds_key"))
    );
}

/// Of another host's file nothing follows for this one.
#[test]
fn a_file_of_another_host_stands_in_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = [watched(), started()].concat();
    records.push(opened(nginx(10_100), (FILE, b""), 71, 0));
    records.extend(serves(nginx(MS), 1, "openssl13"));
    write(&dir, &meta("web1", 1, 0), &records);
    let held = certificate_file(about_capture(1), FILE, CertificateFileState::READ, &recorded_certificate("openssl12"));
    write(&dir, &meta("web2", 2, 0), &[held]);
    let report = report_of(dir.path(), &[]);
    assert_eq!(report["hidden_services"][0]["files"][0].get("holds"), None);
    assert_eq!(report["certificate_files"][0]["host"], "web2");
}

#[test]
fn a_process_that_read_the_file_again_or_presented_nothing_since_is_not() {
    let again = opened(nginx(35 * MS), (FILE, b""), 71, 0);
    assert_eq!(renewed(&[vec![again], serves(nginx(40 * MS), 2, "openssl12")].concat()), json!([]));
    assert_eq!(renewed(&[]), json!([]));
    // Another process, which read nothing: where it has its certificate from is not known.
    let other = header(700, "haproxy", 40 * MS);
    let exec = exec(header(700, "haproxy", 2_000), b"/usr/sbin/haproxy", b"haproxy\0", 1);
    assert_eq!(renewed(&[vec![exec], serves(other, 2, "openssl12")].concat()), json!([]));
}

/// Workers serve what their master read: those of before a reload present the old one, those of after do not.
#[test]
fn workers_have_what_their_master_had_read_when_it_forked_them() {
    let worker = |tgid, at| header(tgid, "nginx", at);
    let mut records = started();
    records.push(opened(nginx(10 * MS), (FILE, b""), 70, 0));
    records.push(fork(worker(501, 12 * MS), 500));
    records.push(renamed(30 * MS, FILE));
    records.push(opened(nginx(35 * MS), (FILE, b""), 71, 0));
    records.push(fork(worker(502, 37 * MS), 500));
    records.extend(serves(worker(501, 40 * MS), 1, "openssl12"));
    records.extend(serves(worker(502, 41 * MS), 2, "openssl12"));
    let stale = report(&records)["not_read_again"].clone();
    let told: Vec<(&Value, &Value)> =
        stale.as_array().unwrap().iter().map(|one| (&one["pid"], &one["presented"])).collect();
    assert_eq!(told, [(&json!(501), &json!("after"))]);
}

#[test]
fn a_link_that_leads_elsewhere_is_a_change_and_a_write_to_another_file_of_that_path_is_none() {
    let (link, real) = (&b"/etc/live/site.crt"[..], &b"/etc/archive/site1.crt"[..]);
    let mut records = started();
    records.push(opened(nginx(10 * MS), (real, link), 70, 0));
    // In another mount namespace: another inode.
    records.push(opened(header(900, "sh", 20 * MS), (real, b""), 99, 0o1));
    records.extend(serves(nginx(40 * MS), 1, "openssl12"));
    assert_eq!(report(&records)["not_read_again"], json!([]));
    let fixed = FileChangeFixed { call: ChangeCall::SYMLINK.0, ..FileChangeFixed::default() };
    records.push(change(header(900, "certbot", 30 * MS), fixed, [(b"../archive/site2.crt", b""), (link, b"")]));
    let stale = report(&records)["not_read_again"].clone();
    assert_eq!((&stale[0]["path"], &stale[0]["by_link"]), (&json!("/etc/live/site.crt"), &json!(true)), "{stale:#}");
    // The same file opened for writing.
    let mut records = records[..2].to_vec();
    records.push(opened(header(900, "sh", 20 * MS), (real, b""), 70, 0o1));
    records.extend(serves(nginx(40 * MS), 1, "openssl12"));
    assert_eq!(report(&records)["not_read_again"][0]["change"], "opened_for_writing");
}

#[test]
fn what_saw_little_does_not_read_as_nothing_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = report(&[]);
    assert!(nothing["why_none"].is_string() && nothing["why_no_handshakes"].is_string(), "{nothing}");
    let bare = report_of(&write(&dir, &meta("web1", 1, 0), &started()), &[]);
    assert!(bare["missing"].to_string().contains("tls_hello"), "{bare}");
    let lossy = [watched(), started(), vec![loss(40_000, TlsHello::KIND, LossCause::RING_FULL.0, 3)]].concat();
    let path = write(&dir, &meta("web1", 2, 0), &lossy);
    let text = told(&["certs", path.to_str().unwrap()]);
    assert!(text.contains("3 tls_hello lost") && !text.contains("Complete"), "{text}");
    let filtered = report_of(&path, &["-n", "nginx"]);
    assert!(filtered["missing"].to_string().contains("only what passes this command's filters"), "{filtered}");
}

#[test]
fn certificates_that_privacy_left_out_are_not_told_as_none() {
    let dir = tempfile::tempdir().unwrap();
    let whole = recorded_tls("openssl12", "server");
    let hello_len = 5 + usize::from(u16::from_be_bytes([whole[3], whole[4]]));
    let fixed = |sent| TlsHelloFixed { owner: SENDER, ..socket(1, SERVER, "10.0.0.7:4000", sent) };
    let mut records = [watched(), started()].concat();
    records.push(hello(nginx(MS), fixed(false), &recorded_tls("openssl12", "client")));
    records.push(hello(nginx(2 * MS), fixed(true), &whole[..hello_len]));
    let open = report_of(&write(&dir, &meta("web1", 1, 0), &records), &[]);
    assert_eq!((&open["not_seen"], &open["left_out"]), (&json!(1), &json!(0)));
    for privacy in ["hash", "drop"] {
        let meta = with_options(vec![format!("--privacy {privacy}")], meta(privacy, 2, 0));
        let report = report_of(&write(&dir, &meta, &records), &[]);
        assert_eq!((&report["not_seen"], &report["left_out"]), (&json!(0), &json!(1)));
        assert!(report["missing"].to_string().contains("--privacy"), "{report}");
    }
}

/// What a traced host says is shown, and does nothing to a terminal; home directories are hidden.
#[test]
fn names_from_the_host_are_escaped_and_redacted() {
    let dir = tempfile::tempdir().unwrap();
    let path = b"/home/alice/\x1b[31m<b>site.crt";
    let mut records = [watched(), started(), vec![opened(nginx(10 * MS), (path, b""), 70, 0)]].concat();
    records.push(renamed(30 * MS, path));
    records.extend(serves(nginx(40 * MS), 1, "openssl13"));
    let file = write(&dir, &meta("web1", 1, 0), &records);
    for args in [&["-f", "json"][..], &[]] {
        let text = told(&[&["certs", file.to_str().unwrap()], args].concat());
        assert_eq!(text.matches("/home/USER/").count(), 3, "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains("alice"), "{text}");
    }
}
