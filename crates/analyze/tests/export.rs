//! `export` through the built program: tables hold what events show, whole or not at all, once.
#![allow(clippy::unwrap_used)]

mod common;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use common::everything::*;
use common::*;
use crypto_trace_analyze::event::EVENT_TYPES;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn analyze(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What it says on stderr of an export that is done.
fn exported(args: &[&str]) -> String {
    let output = analyze(&[&["export"], args].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stderr)
}

/// What it says on stderr of one that is not.
fn refused(args: &[&str]) -> String {
    let output = analyze(&[&["export"], args].concat());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    text(&output.stderr)
}

/// Files below a directory, and what is in them.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(at) = left.pop() {
        for entry in std::fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Tables below a directory: the rows of each type, file by file.
fn tables(directory: &Path) -> BTreeMap<String, Vec<RecordBatch>> {
    let mut tables: BTreeMap<String, Vec<RecordBatch>> = BTreeMap::new();
    for name in files(directory).keys().filter(|name| name.extension().is_some_and(|extension| extension == "parquet"))
    {
        let table = name.to_str().unwrap().strip_prefix("event_type=").unwrap().split('/').next().unwrap().to_owned();
        let file = std::fs::File::open(directory.join(name)).unwrap();
        let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        tables.entry(table).or_default().extend(batches.map(Result::unwrap));
    }
    tables
}

/// A value as JSON shows it, but for code points, which are numbers.
fn value(array: &dyn Array, at: usize) -> Value {
    if array.is_null(at) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => json!(array.as_boolean().value(at)),
        DataType::UInt8 => json!(array.as_primitive::<UInt8Type>().value(at)),
        DataType::UInt16 => json!(array.as_primitive::<UInt16Type>().value(at)),
        DataType::UInt32 => json!(array.as_primitive::<UInt32Type>().value(at)),
        DataType::UInt64 => json!(array.as_primitive::<UInt64Type>().value(at)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(at)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(at)),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => {
            assert_eq!(&**zone, "UTC");
            let time = array.as_primitive::<TimestampMicrosecondType>().value(at);
            json!(format!("{:.6}", jiff::Timestamp::from_microsecond(time).unwrap()))
        }
        DataType::Utf8 => json!(array.as_string::<i32>().value(at)),
        DataType::List(_) => {
            let values = array.as_list::<i32>().value(at);
            (0..values.len()).map(|at| value(&values, at)).collect()
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let members = fields.iter().zip(columns).map(|(field, column)| (field.name().clone(), value(column, at)));
            Value::Object(members.filter(|(_, value)| !value.is_null()).collect())
        }
        other => panic!("{other} in no table"),
    }
}

/// Rows as objects, without what is null.
fn rows(batches: &[RecordBatch]) -> Vec<Map<String, Value>> {
    let of_batch = |batch: &RecordBatch| {
        let names: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        let row = |at| {
            let cells = names.iter().cloned().zip(batch.columns().iter().map(|column| value(column, at)));
            cells.filter(|(_, value)| !value.is_null()).collect::<Map<String, Value>>()
        };
        (0..batch.num_rows()).map(row).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of_batch).collect()
}

/// An event's members as a row has them: no nulls, and code points and addresses as numbers.
fn members(event: &Value, row: &Value) -> Value {
    match (event, row) {
        (Value::String(text), Value::Number(_)) => {
            json!(u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).unwrap())
        }
        // A code point by its name: the row has its number, too.
        (Value::String(name), Value::Object(row)) => {
            let id = row["id"].as_u64().filter(|id| *id <= u16::MAX.into()).unwrap();
            if let Some(unnamed) = name.strip_prefix("0x") {
                assert_eq!(id, u64::from_str_radix(unnamed, 16).unwrap());
            }
            json!({ "id": id, "name": name })
        }
        (Value::Object(event), Value::Object(row)) => event
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), members(value, row.get(name).unwrap_or(&Value::Null))))
            .collect::<Map<_, _>>()
            .into(),
        (Value::Array(values), Value::Array(row)) => {
            let none = Value::Null;
            values.iter().enumerate().map(|(at, value)| members(value, row.get(at).unwrap_or(&none))).collect()
        }
        _ => event.clone(),
    }
}

/// Each row against the event it is of, member by member, with and without redaction.
#[test]
fn every_member_of_every_type_of_event_is_in_its_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = every_type_in(dir.path());
    let path = path.to_str().unwrap();
    for (number, options) in [&[][..], &["--no-redact"]].into_iter().enumerate() {
        let out = dir.path().join(format!("tables-{number}"));
        exported(&[&[path, "-o", out.to_str().unwrap()], options].concat());
        let mut tables = tables(&out);
        let types = all_types();
        let shown = analyze(&[&["events", path, "--type", types.as_str()], options].concat());
        let mut events: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for line in text(&shown.stdout).lines() {
            let mut event: Value = serde_json::from_str(line).unwrap();
            let Some(Value::String(ty)) = event.as_object_mut().unwrap().remove("event_type") else { panic!("{line}") };
            events.entry(ty).or_default().push(event);
        }
        assert_eq!(events.keys().len(), EVENT_TYPES.len(), "{:?}", events.keys());
        for (ty, events) in events {
            let rows = rows(&tables.remove(&ty).unwrap_or_default());
            assert_eq!(rows.len(), events.len(), "{ty}");
            for (mut row, event) in rows.into_iter().zip(events) {
                let id = row.remove("event_id").unwrap();
                assert!(id.as_i64().is_some_and(|id| id >= 0), "{id}");
                assert_eq!(row.remove("capture").unwrap(), "01".repeat(16), "{ty}");
                let row = Value::Object(row);
                assert_eq!(row, members(&event, &row), "{ty}");
            }
        }
        assert!(tables.is_empty(), "{:?}", tables.keys());
    }
}

/// What clients offer by number and by name, as the registries have them.
#[test]
fn what_is_offered_has_numbers_and_names() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("tables");
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tls-nginx");
    exported(&[recording.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    let rows = rows(&tables(&out)["tls_handshake"]);
    for (list, id, name) in [
        ("versions", 0x0304, "TLS 1.3"),
        ("cipher_suites", 0x1301, "TLS_AES_128_GCM_SHA256"),
        ("groups", 0x001d, "x25519"),
        ("key_shares", 0x001d, "x25519"),
        ("signature_schemes", 0x0804, "rsa_pss_rsae_sha256"),
    ] {
        let offered: Vec<&Value> = rows.iter().filter_map(|row| row["offered"][list].as_array()).flatten().collect();
        assert!(offered.contains(&&json!({ "id": id, "name": name })), "{list}: {offered:?}");
        assert!(offered.iter().all(|one| (one["id"] == id) == (one["name"] == name)), "{list}");
    }
}

#[test]
fn how_many_threads_there_are_makes_no_difference() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("busy.ctseg");
    write_segment(&path, &meta("web1", 1, 0), &busy_host(30_000, 40, 300), 1_000);
    let written = ["1", "2", "4"].map(|threads| {
        let out = dir.path().join(threads);
        exported(&[path.to_str().unwrap(), "-o", out.to_str().unwrap(), "--threads", threads]);
        files(&out)
    });
    assert!(written[0].len() > 3);
    assert!(written.iter().all(|files| *files == written[0]));
}

/// What a reader is told of order has to be so: it skips by it.
#[test]
fn row_groups_are_sorted_by_time_and_say_so() {
    let dir = tempfile::tempdir().unwrap();
    every_type_in(dir.path());
    let out = dir.path().join("tables");
    exported(&[dir.path().to_str().unwrap(), "-o", out.to_str().unwrap()]);
    for name in files(&out).keys().filter(|name| name.extension().is_some_and(|extension| extension == "parquet")) {
        let reader = SerializedFileReader::new(std::fs::File::open(out.join(name)).unwrap()).unwrap();
        let told = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
        let told: BTreeMap<String, Option<String>> = told.into_iter().map(|pair| (pair.key, pair.value)).collect();
        assert_eq!(told["crypto-trace.schema_version"].as_deref(), Some("2"));
        for group in reader.metadata().row_groups() {
            assert_eq!(group.sorting_columns().map(|columns| columns[0].column_idx), Some(0));
            assert!(group.column(0).statistics().is_some(), "{name:?}");
        }
    }
    for (ty, batches) in tables(&out) {
        let times: Vec<i64> = batches
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<TimestampMicrosecondType>().values().to_vec())
            .collect();
        assert!(times.is_sorted(), "{ty}");
    }
}

#[test]
fn what_is_in_an_export_is_not_added_again() {
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("rec");
    std::fs::create_dir(&recording).unwrap();
    let opens =
        |from: u64| (0..50).map(|at| open(header(500, "nginx", from + at), b"/etc/a.key", 3)).collect::<Vec<_>>();
    write_segment(&recording.join("0.ctseg"), &meta("web1", 1, 0), &opens(1_000), 7);
    let out = dir.path().join("tables");
    let (recording_arg, out_arg) = (recording.to_str().unwrap(), out.to_str().unwrap());
    exported(&[recording_arg, "-o", out_arg, "--append"]);
    let count = |out: &Path| rows(&tables(out)["file_open"]).len();
    assert_eq!(count(&out), 50);
    let before = files(&out);
    let told = exported(&[recording_arg, "-o", out_arg, "--append"]);
    assert!(told.contains("all that is sealed is in it already") && !told.contains("no events"), "{told}");
    assert!(files(&out) == before);

    write_segment(&recording.join("1.ctseg"), &meta("web1", 1, 1), &opens(2_000), 7);
    let told = exported(&[recording_arg, "-o", out_arg, "--append"]);
    assert!(told.contains("50 rows of 1 segment"), "{told}");
    assert_eq!(count(&out), 100);
    let ids: std::collections::BTreeSet<i64> =
        rows(&tables(&out)["file_open"]).iter().map(|row| row["event_id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), 100, "each event has an id of its own");
    assert_eq!(files(&out).keys().filter(|name| name.to_str().unwrap().starts_with("_export-")).count(), 2);
}

#[test]
fn a_directory_with_something_in_it_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = every_type_in(dir.path());
    let path = path.to_str().unwrap();
    let out = dir.path().join("tables");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("mine"), "precious").unwrap();
    let out_arg = out.to_str().unwrap();
    assert!(refused(&[path, "-o", out_arg]).contains("is not empty, and no earlier export"));
    assert!(refused(&[path, "-o", out_arg, "--append"]).contains("nothing can be added to it"));
    assert_eq!(files(&out).len(), 1);
    std::fs::remove_file(out.join("mine")).unwrap();
    exported(&[path, "-o", out_arg]);
    let before = files(&out);
    assert!(refused(&[path, "-o", out_arg]).contains("holds an earlier export; give --append"));
    assert!(files(&out) == before);
}

#[test]
fn an_export_of_another_schema_version_is_not_added_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = every_type_in(dir.path());
    let out = dir.path().join("tables");
    let out_arg = out.to_str().unwrap();
    exported(&[path.to_str().unwrap(), "-o", out_arg]);
    let manifest = files(&out).into_keys().find(|name| name.to_str().unwrap().starts_with("_export-")).unwrap();
    let manifest = out.join(manifest);
    let changed = std::fs::read_to_string(&manifest).unwrap().replace("\"schema_version\": 2", "\"schema_version\": 9");
    std::fs::write(&manifest, changed).unwrap();
    let told = refused(&[path.to_str().unwrap(), "-o", out_arg, "--append"]);
    assert!(told.contains("schema version 9, and this program writes version 2"), "{told}");
}

/// The limit on the size of files stands in for a full disk: writing fails in the middle of it.
#[test]
fn an_export_that_fails_leaves_nothing_that_a_reader_takes_for_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("busy.ctseg");
    write_segment(&path, &meta("web1", 1, 0), &busy_host(30_000, 40, 300), 1_000);
    let out = dir.path().join("tables");
    let command = format!(
        "ulimit -f 8; trap '' XFSZ; exec {} export {} -o {}",
        env!("CARGO_BIN_EXE_crypto-trace-analyze"),
        path.display(),
        out.display()
    );
    let failed = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed.stderr));
    assert!(text(&failed.stderr).contains("error"), "{}", text(&failed.stderr));
    assert!(!out.exists());
    let left: Vec<PathBuf> = files(dir.path()).into_keys().collect();
    assert_eq!(left, [PathBuf::from("busy.ctseg")]);
    exported(&[path.to_str().unwrap(), "-o", out.to_str().unwrap()]);
}

/// What a killed export leaves has a name that says what it is, and the next one clears it.
#[test]
fn what_a_killed_export_left_is_not_in_the_way_and_what_others_put_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = every_type_in(dir.path());
    let (path, out) = (path.to_str().unwrap(), dir.path().join("tables"));
    let unfinished = dir.path().join(".tables.unfinished");
    std::fs::create_dir(&unfinished).unwrap();
    std::fs::write(unfinished.join("mine"), "precious").unwrap();
    assert!(refused(&[path, "-o", out.to_str().unwrap()]).contains("is in the way, and no unfinished export"));
    assert!(unfinished.join("mine").exists());
    std::fs::write(unfinished.join("_crypto-trace-export.lock"), "").unwrap();
    exported(&[path, "-o", out.to_str().unwrap()]);
    assert!(!unfinished.exists() && out.exists());
}

#[test]
fn segments_that_are_still_open_are_left_out_and_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let whole = every_type_in(dir.path());
    let bytes = std::fs::read(&whole).unwrap();
    let recording = dir.path().join("rec");
    std::fs::create_dir(&recording).unwrap();
    std::fs::write(recording.join("a.ctseg.open"), &bytes[..bytes.len() / 2]).unwrap();
    let out = dir.path().join("tables");
    let told = exported(&[recording.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    assert!(told.contains("1 segment is still open and left out"), "{told}");
    assert!(told.contains("nothing to export") && !out.exists(), "{told}");
    exported(&[recording.to_str().unwrap(), "-o", out.to_str().unwrap(), "--open"]);
    assert!(!tables(&out).is_empty());
}

#[test]
fn two_hosts_of_one_name_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let one = meta("web1", 1, 0);
    let other = crypto_trace_format::segment::SegmentMeta { boot_id: "another".to_owned(), ..meta("web1", 2, 0) };
    let records: Vec<Vec<u8>> = (0..9).map(|at| open(header(500, "nginx", 1_000 + at), b"/etc/a.key", 3)).collect();
    write_segment(&dir.path().join("1.ctseg"), &one, &records, 7);
    let out = dir.path().join("one");
    let told = exported(&[dir.path().to_str().unwrap(), "-o", out.to_str().unwrap()]);
    assert!(!told.contains("several hosts"), "{told}");
    write_segment(&dir.path().join("2.ctseg"), &other, &records, 7);
    let out = dir.path().join("two");
    let told = exported(&[dir.path().to_str().unwrap(), "-o", out.to_str().unwrap()]);
    assert!(told.contains("several hosts are called web1"), "{told}");
}

#[test]
fn a_stream_for_a_pipe_has_the_rows_of_one_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = every_type_in(dir.path());
    let out = dir.path().join("tables");
    exported(&[path.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    let stream = analyze(&["export", path.to_str().unwrap(), "--to", "arrow", "--type", "tls_handshake"]).stdout;
    let reader = arrow_ipc::reader::StreamReader::try_new(&stream[..], None).unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(rows(&batches), rows(&tables(&out)["tls_handshake"]));
}

/// Members of an event that another vocabulary has no place for are there under their own names.
#[test]
fn nothing_is_lost_on_the_way_into_other_vocabularies() {
    fn leaves(value: &Value, out: &mut Vec<Value>) {
        match value {
            Value::Object(members) => members.values().for_each(|value| leaves(value, out)),
            Value::Array(values) => values.iter().for_each(|value| leaves(value, out)),
            Value::Null => {}
            // Ids are text there, and hashes may be in capitals.
            other => out.push(json!(other.to_string().trim_matches('"').to_ascii_lowercase())),
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = every_type_in(dir.path());
    let path = path.to_str().unwrap();
    let types = "process_exec,process_exit,file_open,file_change,lib_load,tls_handshake";
    let told = |args: &[&str]| -> Vec<Value> {
        let output = analyze(&[args, &[path, "--type", types]].concat());
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let events = told(&["events"]);
    assert!(events.len() > 20);
    for format in ["ocsf", "ecs"] {
        let mapped = told(&["export", "--to", format]);
        assert_eq!(mapped.len(), events.len());
        for (event, mapped) in events.iter().zip(&mapped) {
            let (mut said, mut there) = (Vec::new(), Vec::new());
            leaves(event, &mut said);
            leaves(mapped, &mut there);
            let shown = there.iter().map(|value| value.as_str().unwrap()).collect::<Vec<_>>().join("\n");
            for value in said.iter().map(|value| value.as_str().unwrap()) {
                let version = value.trim_start_matches("tls ");
                // Times are told in other units.
                let is_time = value.ends_with('z') && value.starts_with("20") && format == "ocsf";
                let san = value.split_once(':').map(|(_, name)| name).unwrap_or(value);
                assert!(
                    is_time || [value, version, san].iter().any(|value| shown.contains(value)),
                    "{format}: {value} of {event:#} is not in {mapped:#}"
                );
            }
        }
    }
}

/// QUIC, DTLS and IKE were told as TCP.
#[test]
fn other_vocabularies_say_what_carries_a_handshake() {
    for (capture, transport, number) in [
        ("tls-loopback", "tcp", 6),
        ("ssh-openssh", "tcp", 6),
        ("quic-aioquic", "udp", 17),
        ("dtls-openssl", "udp", 17),
        ("ike-strongswan", "udp", 17),
        ("wireguard-go", "udp", 17),
    ] {
        let segment = format!("{}/../../testdata/{capture}/capture.ctseg", env!("CARGO_MANIFEST_DIR"));
        let rows = |to: &str, member: &str| -> Vec<Value> {
            let text = text(&analyze(&["export", "--to", to, &segment]).stdout);
            let all = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            all.map(|row| row[member].clone()).filter(Value::is_object).collect()
        };
        let (ocsf, ecs) = (rows("ocsf", "connection_info"), rows("ecs", "network"));
        assert!(!ocsf.is_empty() && ocsf.len() == ecs.len(), "{capture}");
        for (connection, network) in ocsf.iter().zip(&ecs) {
            let told = (&connection["protocol_name"], &connection["protocol_num"], &network["transport"]);
            assert_eq!(told, (&json!(transport), &json!(number), &json!(transport)), "{capture}");
        }
    }
}

#[test]
fn wrong_usage_says_what_is_needed() {
    for (args, expected) in [
        (&["rec"][..], "-o DIR"),
        (&["rec", "--to", "arrow"], "--type TYPE"),
        (&["rec", "--to", "arrow", "--type", "tls_handshake,file_open"], "--type TYPE"),
        (&["rec", "--to", "arrow", "--type", "loss", "--append"], "--append adds to a directory of Parquet files"),
        (&["-", "-o", "x"], "tables are made of files"),
        (&["rec", "--to", "ocsf", "--type", "loss"], "OCSF has no class for loss"),
        (&["rec", "--to", "ocsf", "--bulk"], "--bulk is for --to ecs"),
        (&["rec", "--to", "ecs", "--open"], "--open is for tables"),
        (&["rec", "-o", "x", "--append", "--open"], "cannot be used with"),
    ] {
        let output = analyze(&[&["export"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains(expected), "{args:?}: {}", text(&output.stderr));
    }
}
