//! `keys` through the built program: who opens which private key, of recordings that saw much, little and nothing.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use crypto_trace_format::record::{
    ApiMeaning, ChangeCall, FileChangeFixed, FileOpen, FileOpenFixed, Header, Kind, LossCause,
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

/// The document, which keeps to its schema.
fn report_of(path: &Path, args: &[&str]) -> Value {
    let report = told(&[&["keys", path.to_str().unwrap(), "-f", "json"], args].concat());
    let report: Value = serde_json::from_str(&report).unwrap();
    let schema: Value = serde_json::from_str(&told(&["schema", "keys"])).unwrap();
    let errors: Vec<String> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert_eq!(report["keys"], report["rows"].as_array().unwrap().len());
    report
}

fn write(dir: &tempfile::TempDir, meta: &SegmentMeta, records: &[Vec<u8>]) -> PathBuf {
    let path = dir.path().join(format!("{}-{}.ctseg", meta.host, meta.capture_id[0]));
    write_segment(&path, meta, records, 7);
    path
}

/// What says that opens, changes and calls were watched.
fn watched() -> Vec<Vec<u8>> {
    [&b"file_open"[..], b"file_change", b"api_call"].into_iter().map(|name| probe(1, name, 1, 0, b"")).collect()
}

fn report(records: &[Vec<u8>]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    report_of(&write(&dir, &meta("web1", 1, 0), &[watched(), records.to_vec()].concat()), &[])
}

fn row<'a>(report: &'a Value, path: &str) -> &'a Value {
    let mut rows = report["rows"].as_array().unwrap().iter().filter(|row| row["path"] == path);
    let row = rows.next().unwrap_or_else(|| panic!("no {path}: {report:#}"));
    assert!(rows.next().is_none(), "{path} twice");
    row
}

fn nginx(at: u64) -> Header {
    header(500, "nginx", at)
}

fn cat(at: u64) -> Header {
    header(600, "cat", at)
}

fn programs() -> Vec<Vec<u8>> {
    vec![exec(nginx(1_000), b"/usr/sbin/nginx", b"nginx\0", 1), exec(cat(1_100), b"/usr/bin/cat", b"cat\0", 1)]
}

/// An open of this file with this mode.
fn opened(header: Header, (path, given): (&[u8], &[u8]), (ino, mode): (u64, u32), flags: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let fixed = FileOpenFixed {
        result: 5,
        flags,
        dfd: -100,
        dev: 8 << 20,
        ino,
        inode_mode: mode,
        tier: 3,
        ..Default::default()
    };
    FileOpen { fixed, path, given, ..Default::default() }.encode(header, &mut out);
    out
}

const KEY: &str = "/etc/ssl/private/site.key";

/// A key file that a library was given had the name of a certificate, and its readers were not those of a key.
#[test]
fn a_file_given_to_a_library_as_its_private_key_is_one_whatever_its_name_and_whoever_else_opens_it() {
    let given = &b"conf/tls.pem"[..];
    let real = &b"/srv/conf/tls.pem"[..];
    let mut records = programs();
    records.push(opened(nginx(10_000), (real, given), (70, 0o100_600), 0));
    records.push(call(nginx(20_000), b"SSL_CTX_use_PrivateKey_file", ApiMeaning::PRIVATE_KEY_FILE, given, 1, 0));
    records.push(opened(cat(30_000), (real, b""), (70, 0o100_600), 0));
    // Of this nobody said anything.
    records.push(opened(cat(40_000), (b"/srv/conf/chain.pem", b""), (71, 0o100_644), 0));
    let report = report(&records);
    assert_eq!((&report["keys"], &report["pem_files_that_may_hold_keys"]), (&json!(1), &json!(1)));
    let row = row(&report, "/srv/conf/tls.pem");
    assert_eq!(
        (&row["type"], &row["type_by"], &row["uses"]),
        (&json!("private_key"), &json!("use"), &json!(["private_key"]))
    );
    assert_eq!(row["loads"], json!({"succeeded": 1, "failed": 0, "unknown": 0}));
    let users: Vec<&Value> = row["users"].as_array().unwrap().iter().map(|user| &user["program"]).collect();
    assert_eq!(users, ["/usr/sbin/nginx", "/usr/bin/cat"]);
    assert_eq!(row["users"][0]["processes"], 1);
}

#[test]
fn a_load_that_failed_does_not_make_a_key_of_a_file_but_is_shown() {
    let mut records = programs();
    let path = b"/srv/tls.pem";
    records.push(call(nginx(20_000), b"SSL_CTX_use_PrivateKey_file", ApiMeaning::PRIVATE_KEY_FILE, path, 0, 0));
    let report = report(&records);
    let row = row(&report, "/srv/tls.pem");
    assert_eq!((&row["type"], &row["loads"]["failed"], &row["mode"]), (&json!("certificate"), &json!(1), &Value::Null));
    assert_eq!((&row["readable_by_others"], &report["mode_not_recorded"]), (&Value::Null, &json!(1)));
}

#[test]
fn opens_changes_and_failures_are_counted_by_who_did_them() {
    let mut records = programs();
    let uid0 = |header: Header| Header { uid: 0, ..header };
    let key = KEY.as_bytes();
    records.push(opened(uid0(nginx(10_000)), (key, b""), (70, 0o100_640), 0));
    records.push(opened(uid0(nginx(11_000)), (key, b""), (70, 0o100_640), 0o101));
    records.push(open(cat(12_000), key, -13));
    let at = |header, call: ChangeCall, result, mode, new: &[u8]| {
        let fixed = FileChangeFixed { call: call.0, result, mode, ..FileChangeFixed::default() };
        change(header, fixed, [(key, b""), (new, b"")])
    };
    records.push(at(uid0(nginx(13_000)), ChangeCall::FCHMODAT, 0, 0o644, b""));
    records.push(at(cat(14_000), ChangeCall::UNLINKAT, -1, 0, b""));
    records.push(at(uid0(nginx(15_000)), ChangeCall::RENAME, 0, 0, b"/etc/ssl/private/old.key"));
    let report = report(&records);
    let row = row(&report, KEY);
    assert_eq!(
        (&row["opens"], &row["reads"], &row["writes"], &row["failed"]),
        (&json!(3), &json!(1), &json!(1), &json!(1))
    );
    assert_eq!(row["may_create"], 1);
    let changes =
        |of: &Value| of["changes"].as_array().unwrap().iter().map(|c| c["change"].clone()).collect::<Vec<_>>();
    assert_eq!(changes(row), ["renamed_away", "removed", "mode"]);
    // The mode that was seen last.
    assert_eq!((&row["mode"], &row["readable_by_others"]), (&json!("0644"), &json!(true)));
    assert_eq!(row["modes"].as_array().unwrap().len(), 2);
    let users = row["users"].as_array().unwrap();
    assert_eq!((&users[1]["program"], &users[1]["uid"]), (&json!("/usr/bin/cat"), &json!(1000)));
    assert_eq!(users[1]["failures"], json!([{"error": "EACCES", "count": 1}]));
    assert_eq!(changes(self::row(&report, "/etc/ssl/private/old.key")), ["renamed_here"]);
}

fn in_container(tgid: u32, id: char, at: u64) -> (Header, Vec<u8>) {
    let cgroup = format!("/docker/{}", id.to_string().repeat(64));
    let header = header(tgid, "app", at);
    (header, info(header, b"/app", b"app\0", cgroup.as_bytes(), 1))
}

#[test]
fn one_key_in_several_containers_is_told_from_two_keys_of_one_name() {
    let ((a, first), (b, second)) = (in_container(700, 'a', 2_000), in_container(800, 'b', 2_100));
    let same = &b"/run/secrets/tls.key"[..];
    let records = |inodes: [u64; 2]| {
        let later = |header: Header| Header { time_ns: header.time_ns + 50_000, ..header };
        vec![
            first.clone(),
            second.clone(),
            opened(later(a), (same, b""), (inodes[0], 0o100_600), 0),
            opened(later(b), (same, b""), (inodes[1], 0o100_600), 0),
        ]
    };
    let shared = report(&records([70, 70]));
    assert_eq!((&shared["keys"], &shared["in_several_containers"]), (&json!(2), &json!(2)));
    assert_eq!(shared["rows"][0]["also_at"][0]["container"], "b".repeat(64));
    let apart = report(&records([70, 71]));
    assert_eq!((&apart["keys"], &apart["in_several_containers"]), (&json!(2), &json!(0)));
}

#[test]
fn the_same_file_under_another_name_is_a_key_as_well() {
    let mut records = programs();
    records.push(opened(nginx(10_000), (KEY.as_bytes(), b""), (70, 0o100_600), 0));
    records.push(opened(cat(11_000), (b"/tmp/copy.pem", b""), (70, 0o100_600), 0));
    let report = report(&records);
    let copy = row(&report, "/tmp/copy.pem");
    assert_eq!((&copy["type"], &copy["type_by"]), (&json!("private_key"), &json!("same_file")));
    assert_eq!((&copy["also_at"][0]["path"], &report["in_several_containers"]), (&json!(KEY), &json!(0)));
}

#[test]
fn readers_that_the_baseline_does_not_have_are_new_unless_it_could_not_see_them() {
    let dir = tempfile::tempdir().unwrap();
    let reads = |header| opened(header, (KEY.as_bytes(), b""), (70, 0o100_600), 0);
    let before = [watched(), programs(), vec![reads(nginx(10_000))]].concat();
    let mut now = [watched(), programs(), vec![reads(nginx(10_000)), reads(cat(20_000))]].concat();
    now.push(open(header(900, "sh", 30_000), KEY.as_bytes(), -13));
    let new = |baseline: &Path, host: &str| {
        let path = write(&dir, &meta(host, 9, 0), &now);
        let report = report_of(&path, &["--baseline", baseline.to_str().unwrap()]);
        let users = row(&report, KEY)["users"].as_array().unwrap().clone();
        let mut new: Vec<(String, Value)> =
            users.iter().map(|user| (user["program"].as_str().unwrap().to_owned(), user["new"].clone())).collect();
        new.sort_by(|a, b| a.0.cmp(&b.0));
        (new.into_iter().map(|(_, new)| new).collect::<Vec<_>>(), report["baseline"].clone())
    };
    // cat, nginx, and a shell that was refused: it read nothing.
    let (told, baseline) = new(&write(&dir, &meta("web1", 1, 0), &before), "web1");
    assert_eq!(told, [json!("yes"), json!("no"), Value::Null]);
    assert_eq!((&baseline["new_readers"], &baseline["not_known"]), (&json!(1), &json!(0)));
    // One that lost records, one of another host, one without probes, one that was selective.
    let lossy = [before.clone(), vec![loss(40_000, FileOpen::KIND, LossCause::RING_FULL.0, 3)]].concat();
    let (told, baseline) = new(&write(&dir, &meta("web1", 2, 0), &lossy), "web1");
    assert_eq!(told, [json!("not_known"), json!("no"), Value::Null]);
    assert!(baseline["missing"][0].as_str().unwrap().contains("3 file_open lost"), "{baseline}");
    let (told, _) = new(&write(&dir, &meta("web2", 3, 0), &before), "web1");
    assert_eq!(told, [json!("not_known"), json!("not_known"), Value::Null]);
    let (told, _) = new(&write(&dir, &meta("web1", 4, 0), &before[3..]), "web1");
    assert_eq!(told, [json!("not_known"), json!("no"), Value::Null]);
    let selective = with_options(vec!["-n nginx".to_owned()], meta("web1", 5, 0));
    let (told, _) = new(&write(&dir, &selective, &before), "web1");
    assert_eq!(told, [json!("not_known"), json!("no"), Value::Null]);
}

/// A baseline that was recorded as narrowly as what is compared with it, `record -- make test` of yesterday and today, cannot say
/// that a reader is new was not known: all of both would have been recorded.
#[test]
fn recordings_of_one_selection_know_who_is_new_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let reads = |header| opened(header, (KEY.as_bytes(), b""), (70, 0o100_600), 0);
    let recorded = |capture, options: &[&str], records: Vec<Vec<u8>>| {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        write(&dir, &with_options(options, meta("web1", capture, 0)), &[watched(), programs(), records].concat())
    };
    let now = recorded(9, &["-- make test"], vec![reads(nginx(10_000)), reads(cat(20_000))]);
    let new = |baseline: &Path| {
        let report = report_of(&now, &["--baseline", baseline.to_str().unwrap()]);
        let users = row(&report, KEY)["users"].as_array().unwrap().clone();
        users.iter().find(|user| user["program"] == "/usr/bin/cat").unwrap()["new"].clone()
    };
    assert_eq!(new(&recorded(1, &["-- make test"], vec![reads(nginx(10_000))])), "yes");
    assert_eq!(new(&recorded(2, &[], vec![reads(nginx(10_000))])), "yes");
    assert_eq!(new(&recorded(3, &["-- make check"], vec![reads(nginx(10_000))])), "not_known");
    assert_eq!(new(&recorded(4, &["-- make test", "-n nginx"], vec![reads(nginx(10_000))])), "not_known");
}

#[test]
fn the_baseline_is_read_whole_whatever_the_filters() {
    let dir = tempfile::tempdir().unwrap();
    let reads = |header| opened(header, (KEY.as_bytes(), b""), (70, 0o100_600), 0);
    let records = [watched(), programs(), vec![reads(nginx(10_000))]].concat();
    let path = write(&dir, &meta("web1", 1, 0), &records);
    let text = path.to_str().unwrap();
    let report = report_of(&path, &["--baseline", text, "-p", "500", "-F", "*.key", "--since", "2026-11-22"]);
    assert_eq!(report["rows"][0]["users"][0]["new"], "no");
    assert_eq!(report["baseline"]["missing"], json!([]));
}

#[test]
fn what_saw_little_does_not_read_as_nothing_wrong() {
    let nothing = report(&[]);
    assert!(nothing["why_none"].as_str().unwrap().contains("no key files"), "{nothing}");
    let dir = tempfile::tempdir().unwrap();
    let bare = report_of(&write(&dir, &meta("web1", 1, 0), &programs()), &[]);
    assert!(
        bare["missing"].as_array().unwrap().iter().any(|gap| gap.as_str().unwrap().contains("file_open")),
        "{bare}"
    );
    let lossy = [watched(), programs(), vec![loss(40_000, Kind(4), LossCause::RING_FULL.0, 3)]].concat();
    let path = write(&dir, &meta("web1", 2, 0), &lossy);
    let text = told(&["keys", path.to_str().unwrap()]);
    assert!(text.contains("3 file_open lost") && !text.contains("Complete"), "{text}");
    let filtered = report_of(&path, &["-n", "nginx"]);
    assert!(filtered["missing"].to_string().contains("only what passes this command's filters"), "{filtered}");
}

/// What a traced host says is shown, and does nothing to a terminal; home directories are hidden.
#[test]
fn names_from_the_host_are_escaped_and_redacted() {
    let dir = tempfile::tempdir().unwrap();
    let path = b"/home/alice/\x1b[31m<b>id.key";
    let records = [watched(), programs(), vec![opened(nginx(10_000), (path, b""), (70, 0o100_600), 0)]].concat();
    let file = write(&dir, &meta("web1", 1, 0), &records);
    for args in [&["-f", "json"][..], &[]] {
        let text = told(&[&["keys", file.to_str().unwrap()], args].concat());
        assert!(text.contains("/home/USER/") && !text.contains('\u{1b}') && !text.contains("alice"), "{text}");
    }
    assert!(told(&["keys", file.to_str().unwrap(), "--no-redact"]).contains("/home/alice/"));
}
