//! What `events` shows when members are chosen: `--fields`, `--without` and `-f csv`, against whole events.
#![allow(clippy::unwrap_used)]

mod common;

use common::everything::*;
use common::*;
use crypto_trace_analyze::event::EVENT_TYPES;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(path: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"))
        .args(["events", path.to_str().unwrap()])
        .args(args)
        .output()
        .unwrap()
}

fn shown(path: &Path, args: &[&str]) -> String {
    let output = run(path, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(path: &Path, args: &[&str]) -> String {
    let output = run(path, args);
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

fn events(path: &Path, args: &[&str]) -> Vec<Value> {
    shown(path, args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Rows by column.
fn rows(csv: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    reader.deserialize().map(|row| row.unwrap()).collect()
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}

/// What is left of a value of which the members at these paths are wanted; `None`: it is not among them.
fn only(value: &Value, wanted: &[Vec<&str>]) -> Option<Value> {
    if wanted.is_empty() {
        return None;
    }
    if wanted.iter().any(Vec::is_empty) {
        return Some(value.clone());
    }
    match value {
        Value::Object(members) => {
            let members = members.iter().filter_map(|(name, value)| {
                let rests = wanted.iter().filter(|path| path[0] == name);
                let rests: Vec<Vec<&str>> = rests.map(|path| path[1..].to_vec()).collect();
                Some((name.clone(), only(value, &rests)?))
            });
            Some(Value::Object(members.collect()))
        }
        Value::Array(values) => Some(Value::Array(values.iter().map(|value| only(value, wanted).unwrap()).collect())),
        other => Some(other.clone()),
    }
}

fn paths(fields: &str) -> Vec<Vec<&str>> {
    fields.split(',').map(|field| field.split('.').collect()).collect()
}

/// Each whole event with those members alone is what `--fields` shows, in the order of whole events.
#[test]
fn fields_show_what_whole_events_have() {
    let dir = tempfile::tempdir().unwrap();
    let path = every_type_in(dir.path());
    let types = all_types();
    let whole = events(&path, &["--type", &types]);
    for fields in [
        "pid",
        "version,timestamp,event_type",
        "offered.groups,offered.ech,retry.second_hello.changed,peer.pid,server_name",
        "certificates.sha256,certificates.key_bits,client_certificates",
        "offered,offered.groups",
        "notes,file,argv,result",
    ] {
        let chosen = events(&path, &["--type", &types, "--fields", fields]);
        let expected: Vec<Value> = whole.iter().map(|event| only(event, &paths(fields)).unwrap()).collect();
        assert_eq!(chosen, expected, "{fields}");
        assert!(chosen.iter().any(|event| event != &json!({})), "{fields}: nothing was tested");
    }
    let line = shown(&path, &["--type", "tls_handshake", "--fields", "server_name,version,pid"]);
    let names = ["{\"pid\":", ",\"version\":", ",\"server_name\":"].map(|name| line.find(name).unwrap());
    assert!(names.is_sorted(), "{line}");
}

/// All members that there are, and none taken out, are the very bytes of whole events, in each format.
#[test]
fn all_fields_are_whole_events_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let types = all_types();
    for path in [every_type_in(dir.path()), testdata("tls-nginx"), testdata("paths"), testdata("python-https")] {
        let names: BTreeSet<&str> = EVENT_TYPES.iter().flat_map(|ty| ty.fields()).map(|field| field.name).collect();
        let names = names.into_iter().collect::<Vec<_>>().join(",");
        for format in ["json-stream", "json-array", "json-pretty"] {
            let whole = shown(&path, &["--type", &types, "-f", format]);
            assert!(whole.len() > 1_000);
            assert!(whole == shown(&path, &["--type", &types, "-f", format, "--fields", &names]), "{path:?} {format}");
        }
    }
}

#[test]
fn without_takes_out_and_leaves_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let types = all_types();
    for path in [every_type_in(dir.path()), testdata("tls-nginx")] {
        let whole = events(&path, &["--type", &types]);
        let without = events(&path, &["--type", &types, "--without", "offered.cipher_suites,ja3,certificates.sha256"]);
        let expected: Vec<Value> = whole
            .into_iter()
            .map(|mut event| {
                event.as_object_mut().unwrap().remove("ja3");
                if let Some(offered) = event.get_mut("offered") {
                    offered.as_object_mut().unwrap().remove("cipher_suites");
                }
                for certificate in event.get_mut("certificates").and_then(Value::as_array_mut).into_iter().flatten() {
                    certificate.as_object_mut().unwrap().remove("sha256");
                }
                event
            })
            .collect();
        assert_eq!(without, expected);
    }
    // A handshake is some 3 KB whole.
    let of = |args: &[&str]| {
        let text = shown(&testdata("tls-nginx"), &[&["--type", "tls_handshake"], args].concat());
        text.len() / text.lines().count()
    };
    let (whole, small) = (of(&[]), of(&["--fields", "timestamp,process,role,server_name,version,cipher_suite,group"]));
    assert!(whole > 2_000 && of(&["--without", "offered"]) < whole / 2 && small < 250, "{whole} {small}");
}

/// A cell as the value in JSON has it.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[test]
fn a_table_has_a_column_for_each_field_in_the_order_asked() {
    let path = testdata("tls-nginx");
    let fields = ["server_name", "offered.groups", "pid", "certificates.sha256", "peer.process", "certificates"];
    let args = ["--type", "tls_handshake", "-f", "csv", "--fields", &fields.join(",")];
    let csv = shown(&path, &args);
    assert_eq!(csv.lines().next().unwrap(), fields.join(","));
    let (rows, whole) = (rows(&csv), events(&path, &["--type", "tls_handshake"]));
    assert_eq!(rows.len(), whole.len());
    let mut chains = 0;
    for (row, event) in rows.iter().zip(&whole) {
        assert_eq!(row["server_name"], cell(event.get("server_name")));
        assert_eq!(row["pid"], cell(event.get("pid")));
        assert_eq!(row["peer.process"], cell(event.get("peer").and_then(|peer| peer.get("process"))));
        assert_eq!(serde_json::from_str::<Value>(&row["offered.groups"]).unwrap(), event["offered"]["groups"]);
        let Some(chain) = event.get("certificates") else {
            assert!(row["certificates"].is_empty() && row["certificates.sha256"].is_empty());
            continue;
        };
        chains += 1;
        assert_eq!(&serde_json::from_str::<Value>(&row["certificates"]).unwrap(), chain);
        let sums: Vec<&Value> = chain.as_array().unwrap().iter().map(|shown| &shown["sha256"]).collect();
        assert_eq!(serde_json::from_str::<Value>(&row["certificates.sha256"]).unwrap(), json!(sums));
    }
    assert!(chains > 0);
    for threads in ["1", "3"] {
        assert_eq!(shown(&path, &[&args[..], &["--threads", threads]].concat()), csv);
    }
}

/// Without `--fields`, all members of all types, each once; a cell is empty where an event has none.
#[test]
fn a_table_of_all_types_holds_what_whole_events_hold() {
    let dir = tempfile::tempdir().unwrap();
    let path = every_type_in(dir.path());
    let types = all_types();
    let (rows, whole) = (rows(&shown(&path, &["--type", &types, "-f", "csv"])), events(&path, &["--type", &types]));
    assert_eq!(rows.len(), whole.len());
    for (row, event) in rows.iter().zip(&whole) {
        let event = event.as_object().unwrap();
        assert!(event.keys().all(|name| row.contains_key(name)), "{event:?}");
        for (name, text) in row {
            match event.get(name) {
                Some(value @ (Value::Array(_) | Value::Object(_))) => {
                    assert_eq!(&serde_json::from_str::<Value>(text).unwrap(), value, "{name}");
                }
                value => {
                    // Control characters are shown as for people.
                    let expected = cell(value).replace('\n', "\\n");
                    assert_eq!(text.trim_start_matches('\''), expected, "{name}");
                }
            }
        }
    }
    let none = shown(&path, &["-n", "nobody", "--type", "file_open", "-f", "csv", "--fields", "file,pid"]);
    assert_eq!(none, "file,pid\n", "a table without rows has a header");
}

/// Names that a traced host chose are no formulas, and move no cursor.
#[test]
fn cells_run_nothing_in_spreadsheets_and_terminals() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ctseg");
    let paths: [&[u8]; 4] = [b"/a.pem", b"/tmp/=x,\"y\"\n\x1b[31m.pem", b"=cmd|'/C calc'!A0.pem", b"-2\xff.pem"];
    let records: Vec<Vec<u8>> =
        (1u64..).zip(paths).map(|(at, path)| open(header(7, "@SUM(1)", at), path, -2)).collect();
    write_segment(&path, &meta("h", 1, 0), &records, 50);
    let csv = shown(&path, &["-f", "csv", "--fields", "process,file,result,error,escaped"]);
    assert!(!csv.contains('\u{1b}') && csv.lines().count() == 5, "{csv}");
    let rows = rows(&csv);
    let files: Vec<&str> = rows.iter().map(|row| &*row["file"]).collect();
    assert_eq!(files, ["/a.pem", "/tmp/=x,\"y\"\\n\\u{1b}[31m.pem", "'=cmd|'/C calc'!A0.pem", r"'-2\xff.pem"]);
    assert!(rows.iter().all(|row| row["process"] == "'@SUM(1)" && row["result"] == "-2" && row["error"] == "ENOENT"));
    assert_eq!(rows[3]["escaped"], r#"["file"]"#);
}

/// `escaped` names no member that is not there.
#[test]
fn escaped_names_what_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ctseg");
    let name = header(7, "", 1);
    let name = crypto_trace_format::record::Header { comm: comm(b"odd\xff"), ..name };
    write_segment(&path, &meta("h", 1, 0), &[open(name, b"/a\xff.pem", 3)], 50);
    let escaped = |args: &[&str]| events(&path, args)[0].get("escaped").cloned();
    assert_eq!(escaped(&[]), Some(json!(["process", "file"])));
    assert_eq!(escaped(&["--without", "process"]), Some(json!(["file"])));
    assert_eq!(escaped(&["--fields", "pid,escaped"]), None);
    let csv = shown(&path, &["-f", "csv", "--fields", "pid,escaped"]);
    assert_eq!(csv, "pid,escaped\n7,\n");
}

#[test]
fn what_cannot_be_chosen_is_refused() {
    let path = testdata("tls-nginx");
    let check = |args: &[&str], expected: &str| {
        let told = refused(&path, args);
        assert!(told.contains(expected), "{args:?}: {told}");
    };
    check(&["--fields", "servername"], "no event has a member `servername`, did you mean server_name?");
    check(&["--without", "offered.suites"], "`offered` has no member `suites`: there are alpn, cipher_suites,");
    check(&["--fields", "pid,"], "must not be empty");
    check(&["--fields", "offered..groups"], "`offered` has no member ``");
    check(&["--type", "file_open", "--fields", "ja3"], "--type selects those that have it: tls_handshake");
    check(&["-f", "summary", "--fields", "pid"], "which a summary does not show");
    check(&["--fields", "offered", "--without", "offered"], "nothing is left");
}
