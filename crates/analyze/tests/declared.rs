//! Events hold what is declared of them: the built program's output against columns and schema.
#![allow(clippy::unwrap_used)]

mod common;

use common::everything::*;
use common::*;
use crypto_trace_analyze::event::{Column, ColumnType, EVENT_TYPES, columns, schema};
use crypto_trace_format::record::{ApiCallFixed, ApiMeaning, LibraryInfo, LibraryInfoFixed};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What the built program writes for all types of events.
fn written(path: &Path, args: &[&str]) -> String {
    let types: Vec<&str> = EVENT_TYPES.iter().map(|ty| ty.name).collect();
    let output = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"))
        .args(["events", path.to_str().unwrap(), "--type", &types.join(",")])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn events(path: &Path) -> Vec<Value> {
    written(path, &[]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A number, also as JSON shows code points: `0x1301`.
fn number(value: &Value) -> Option<u64> {
    let hexadecimal = value.as_str().and_then(|text| text.strip_prefix("0x"));
    value.as_u64().or_else(|| u64::from_str_radix(hexadecimal?, 16).ok())
}

/// Whether a JSON value is what a column of this type holds.
fn fits(value: &Value, ty: &ColumnType) -> bool {
    match ty {
        ColumnType::Boolean => value.is_boolean(),
        ColumnType::UInt8 => value.as_u64().is_some_and(|number| u8::try_from(number).is_ok()),
        ColumnType::UInt16 => number(value).is_some_and(|number| u16::try_from(number).is_ok()),
        ColumnType::UInt32 => value.as_u64().is_some_and(|number| u32::try_from(number).is_ok()),
        ColumnType::UInt64 => number(value).is_some(),
        ColumnType::Int32 => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        ColumnType::Int64 => value.is_i64(),
        ColumnType::TimestampMicros => value.as_str().is_some_and(|time| time.len() == 27 && time.ends_with('Z')),
        ColumnType::Utf8 => value.is_string(),
        ColumnType::Dictionary(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        ColumnType::List(of) => value.as_array().is_some_and(|values| values.iter().all(|value| fits(value, of))),
        // A code point that JSON shows by its name alone.
        ColumnType::Struct(columns) if value.is_string() => columns.iter().map(|column| column.name).eq(["id", "name"]),
        ColumnType::Struct(columns) => value.as_object().is_some_and(|members| {
            let known = members.keys().all(|name| columns.iter().any(|column| column.name == name));
            known && columns.iter().all(|column| holds(members.get(column.name), column))
        }),
    }
}

fn holds(value: Option<&Value>, column: &Column) -> bool {
    match value {
        None | Some(Value::Null) => column.is_nullable,
        Some(value) => fits(value, &column.ty),
    }
}

/// The names of an event's own members in the order in which they are written, from its lines of indented JSON.
fn written_names(pretty: &str) -> Vec<Vec<&str>> {
    let mut events = Vec::new();
    for line in pretty.lines() {
        if line == "  {" {
            events.push(Vec::new());
        } else if let Some((name, _)) = line.strip_prefix("    \"").and_then(|rest| rest.split_once("\": ")) {
            events.last_mut().unwrap().push(name);
        }
    }
    events
}

/// What an event holds is what its columns say, in their order; and each may be `null` or missing only where they say so.
#[test]
fn what_is_written_is_what_is_declared() {
    let dir = tempfile::tempdir().unwrap();
    let path = every_type_in(dir.path());
    let shown = events(&path);
    let pretty = written(&path, &["-f", "json-pretty"]);
    let names = written_names(&pretty);
    assert_eq!(names.len(), shown.len());
    let mut types = std::collections::BTreeSet::new();
    for (event, names) in shown.iter().zip(names) {
        let ty = EVENT_TYPES.iter().find(|ty| event["event_type"] == ty.name).unwrap();
        types.insert(ty.name);
        let declared = columns(ty);
        let mut rest = declared.iter();
        for name in &names {
            assert!(rest.any(|column| column.name == *name), "{}: {name} is not declared there: {names:?}", ty.name);
        }
        for column in &declared {
            assert!(holds(event.get(column.name), column), "{column:?} does not hold {:?}", event.get(column.name));
        }
        for field in ty.fields() {
            let value = event.get(field.name);
            assert!(value.is_some() || field.is_optional, "{}: no {}", ty.name, field.name);
            assert!(value != Some(&Value::Null) || field.is_nullable, "{}: {} is null", ty.name, field.name);
        }
    }
    assert_eq!(types.len(), EVENT_TYPES.len(), "an event of every type");
}

/// The schema refuses an event that lacks a member which is always there, or has `null` where that cannot be.
#[test]
fn the_schema_refuses_what_is_not_declared() {
    let dir = tempfile::tempdir().unwrap();
    let path = every_type_in(dir.path());
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut refused = 0;
    for event in events(&path) {
        let ty = EVENT_TYPES.iter().find(|ty| event["event_type"] == ty.name).unwrap();
        for field in ty.fields().filter(|field| event.get(field.name).is_some()) {
            let mut lacking = event.clone();
            lacking.as_object_mut().unwrap().remove(field.name);
            assert_eq!(validator.is_valid(&lacking), field.is_optional, "{} without {}", ty.name, field.name);
            let mut null = event.clone();
            null[field.name] = Value::Null;
            assert_eq!(validator.is_valid(&null), field.is_nullable, "{}: {} as null", ty.name, field.name);
            let mut wrong = event.clone();
            wrong[field.name] = serde_json::json!({"surprise": 1});
            assert!(!validator.is_valid(&wrong), "{}: {} as something else", ty.name, field.name);
            refused += 1;
        }
    }
    assert!(refused > 500);
}

/// `escaped` named `family` and `function_name` where the text was in `library_name` and `api_function`.
#[test]
fn escaped_names_the_member_that_holds_the_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ctseg");
    let mut named = Vec::new();
    LibraryInfo {
        fixed: LibraryInfoFixed { dev: 7, ino: 8, state: 1, ..Default::default() },
        path: b"/opt/a.so",
        family: b"odd\xff",
        ..Default::default()
    }
    .encode(header(7, "x", 1), &mut named);
    let handshake = ApiCallFixed {
        dev: 7,
        ino: 8,
        meaning: ApiMeaning::HANDSHAKE.0,
        cookie: 1,
        result: 1,
        count: 1,
        state: 1,
        level: 1,
        ..ApiCallFixed::default()
    };
    let cipher = ApiCallFixed { meaning: ApiMeaning::CIPHER.0, cookie: 0, level: 2, ..handshake };
    let mut records = vec![
        named,
        api_call(header(7, "x", 2), handshake, b"do\xff", b""),
        api_call(header(7, "x", 3), cipher, b"EVP_CipherInit_ex", b"AES-\xff"),
    ];
    let ends = ("127.0.0.1:40000", "127.0.0.1:443");
    records.extend(common::handshake(header(7, "x", 10), "openssl12", 1, ends, true));
    write_segment(&path, &meta("h", 1, 0), &records, 50);
    let shown = events(&path);
    let escaped = |ty: &str| -> Vec<&Value> {
        shown.iter().filter(|event| event["event_type"] == ty).map(|event| &event["escaped"]).collect()
    };
    let names = |names: &[&str]| serde_json::json!(names);
    assert_eq!(escaped("library_info"), [&names(&["family", "library_name"])]);
    assert_eq!(
        escaped("api_call"),
        [&names(&["function_name", "library_name"]), &names(&["argument", "library_name"])]
    );
    assert_eq!(escaped("tls_handshake"), [&names(&["library_name", "api_function"])]);
}
