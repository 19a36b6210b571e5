//! Every document keeps to the schema that `schema` prints of it, and no schema lets a member pass that it does not list.
#![allow(clippy::unwrap_used)]

mod common;

use common::everything::*;
use common::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(args: &[&str], paths: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze")).args(args).args(paths).output().unwrap()
}

/// The document, of whatever exit code: `verify` and `check` have something to say by theirs.
fn document(args: &[&str], paths: &[&Path]) -> Value {
    let output = run(args, paths);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{args:?} {paths:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn schema(of: &str) -> Value {
    let schema: Value = serde_json::from_slice(&run(&["schema", of], &[]).stdout).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    schema
}

/// Every document but those of events, which are not one document, with the options that show it.
const DOCUMENTS: [(&str, &[&str]); 16] = [
    ("tls", &["tls", "-f", "json", "--as-of", "2031-01-01"]),
    ("ssh", &["ssh", "-f", "json"]),
    ("wire", &["wire", "-f", "json"]),
    ("algorithms", &["algorithms", "-f", "json"]),
    ("coverage", &["coverage", "-f", "json"]),
    ("info", &["info", "-f", "json"]),
    ("verify", &["verify", "-f", "json"]),
    ("files", &["files", "-f", "json"]),
    ("libs", &["libs", "-f", "json"]),
    ("readiness", &["readiness", "-f", "json"]),
    ("check", &["check", "-f", "json"]),
    ("keys", &["keys", "-f", "json"]),
    ("certs", &["certs", "-f", "json"]),
    ("profile", &["profile", "-f", "json"]),
    ("snapshot", &["snapshot", "-f", "json"]),
    ("report", &["report", "-f", "json"]),
];

/// Recordings: real ones, several at once, ones of everything that can be in a record, and damaged ones.
fn recordings(dir: &Path) -> Vec<Vec<PathBuf>> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let real = |name: &str| testdata.join(name).join("capture.ctseg");
    let whole = dir.join("all.ctseg");
    let records = [one_of_everything(), tls_of_all_sorts(), ssh_of_all_sorts(), calls_of_all_sorts()].concat();
    write_segment(&whole, &meta("web1", 1, 0), &records, 7);
    let damaged = dir.join("damaged.ctseg");
    let mut bytes = std::fs::read(&whole).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40].fill(0xa5);
    std::fs::write(&damaged, &bytes).unwrap();
    let torn = dir.join("torn.ctseg");
    std::fs::write(&torn, &std::fs::read(real("tls-nginx")).unwrap()[..9_000]).unwrap();
    let empty = dir.join("empty.ctseg");
    write_segment(&empty, &meta("idle", 2, 0), &[], 7);
    let mut all: Vec<Vec<PathBuf>> =
        ["tls-nginx", "tls-go", "tls-wheels", "algorithms", "failed-opens", "answers", "python-https", "ssh-openssh"]
            .map(|name| vec![real(name)])
            .to_vec();
    all.push(vec![real("tls-nginx"), whole.clone()]);
    all.extend([whole, damaged, torn, empty].map(|path| vec![path]));
    all
}

/// Every object in a document with the way to it, by JSON pointer.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.push(at.to_owned());
            for (name, value) in members {
                objects(value, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(values) => {
            (0..).zip(values).for_each(|(index, value): (usize, _)| objects(value, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

#[test]
fn documents_keep_to_their_schemas() {
    let dir = tempfile::tempdir().unwrap();
    let recordings = recordings(dir.path());
    for (of, args) in DOCUMENTS {
        let validator = jsonschema::validator_for(&schema(of)).unwrap();
        let mut checked = 0;
        for paths in &recordings {
            let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
            let found = document(args, &paths);
            let documents = if let Value::Array(documents) = found { documents } else { vec![found] };
            for document in documents {
                let errors: Vec<String> = validator
                    .iter_errors(&document)
                    .map(|error| format!("{}: {error}", error.instance_path()))
                    .collect();
                assert!(errors.is_empty(), "{args:?} {paths:?}: {errors:#?}");
                let version = [("profile", "profile_version"), ("snapshot", "snapshot_version")];
                let version = version.iter().find(|(name, _)| *name == of).map_or("schema_version", |(_, name)| *name);
                assert!(document.get(version).is_some(), "{of}: no {version}");
                checked += 1;
            }
        }
        assert!(checked >= 10, "{of}: {checked}");
    }
}

/// A member that a schema does not list is refused, wherever in a document it is; and so is a document without one of those that
/// are always there.
#[test]
fn schemas_refuse_what_they_do_not_list() {
    let dir = tempfile::tempdir().unwrap();
    let recordings = recordings(dir.path());
    // Their members are names of kinds of records.
    let open = ["/counts", "/lost", "/statistics/events", "/summary/by_user"];
    for (of, args) in DOCUMENTS {
        let validator = jsonschema::validator_for(&schema(of)).unwrap();
        let mut shapes = BTreeSet::new();
        for paths in recordings.iter().take(9) {
            let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
            let found = document(args, &paths);
            let Some(document) = (if let Value::Array(all) = &found { all.first() } else { Some(&found) }) else {
                continue;
            };
            let mut all = Vec::new();
            objects(document, "", &mut all);
            for at in all {
                let shape: String =
                    at.split('/').filter(|part| part.parse::<u64>().is_err()).collect::<Vec<_>>().join("/");
                if open.iter().any(|open| at.ends_with(open)) || !shapes.insert(shape) {
                    continue;
                }
                let mut more = document.clone();
                more.pointer_mut(&at).unwrap()["surprise"] = json!(1);
                assert!(!validator.is_valid(&more), "{of}: a member more in {at:?} passes");
            }
            for name in document.as_object().unwrap().keys() {
                let mut wrong = document.clone();
                wrong[name] = json!({"surprise": [1]});
                assert!(!validator.is_valid(&wrong), "{of}: {name} may be anything");
            }
        }
        assert!(shapes.len() > 1 || of == "verify", "{of}: {shapes:?}");
    }
}

/// The help of `schema` lists each, and each has a title of its own.
#[test]
fn every_document_has_a_schema() {
    let help = String::from_utf8(run(&["schema", "--help"], &[]).stdout).unwrap();
    let titles: BTreeSet<String> = DOCUMENTS
        .iter()
        .map(|(of, _)| {
            assert!(help.contains(&format!("- {of}")), "{of}: {help}");
            let schema = schema(of);
            assert_eq!(schema["additionalProperties"], json!(false), "{of}");
            schema["title"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(titles.len(), DOCUMENTS.len());
}
