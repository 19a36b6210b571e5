//! `cbom` of every real capture, held to CycloneDX's own schemas by validators of others, and read back by a consumer.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use crypto_trace_tests::{Finished, analyze_binary, run, software};
use serde_json::Value;

/// Writes the documents of all captures in both versions.
fn written(directory: &Path) -> Vec<PathBuf> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
    let mut paths = Vec::new();
    for capture in testdata.read_dir().unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for version in ["1.6", "1.7"] {
            let name = capture.file_name().unwrap().to_str().unwrap();
            let path = directory.join(format!("{name}-{version}.cdx.json"));
            let mut command = Command::new(analyze_binary());
            command.args(["cbom", "-f", "json", "--spec-version", version, "-o"]).arg(&path);
            let done = run(command.arg(capture.join("capture.ctseg")));
            assert_eq!(done.code(), 0, "{name}: {}", done.stderr);
            paths.push(path);
        }
    }
    assert!(paths.len() >= 24);
    paths
}

/// A document that is not valid in one place: what a validator that finds nothing is told apart by.
fn broken(directory: &Path, of: &Path) -> PathBuf {
    let mut bom: Value = serde_json::from_str(&std::fs::read_to_string(of).unwrap()).unwrap();
    let components = bom["components"].as_array_mut().unwrap();
    let algorithm = components.iter_mut().find(|one| one["cryptoProperties"]["assetType"] == "algorithm").unwrap();
    algorithm["cryptoProperties"]["algorithmProperties"]["primitive"] = "no such primitive".into();
    let path = directory.join("broken.json");
    std::fs::write(&path, bom.to_string()).unwrap();
    path
}

fn script(name: &str) -> PathBuf {
    software::directory().join("cbom").join(name)
}

/// Holds all documents to a validator, and the validator to one that is not valid.
fn check(validate: impl Fn(&[PathBuf]) -> Finished) {
    let directory = tempfile::tempdir().unwrap();
    let paths = written(directory.path());
    let done = validate(&paths);
    assert_eq!(done.code(), 0, "{}\n{}", done.text(), done.stderr);
    for version in ["1.6", "1.7"] {
        let of = paths.iter().find(|path| path.ends_with(format!("tls-wheels-{version}.cdx.json"))).unwrap();
        let done = validate(&[broken(directory.path(), of)]);
        assert!(done.code() == 1 && done.text().contains("broken.json"), "{}\n{}", done.text(), done.stderr);
    }
}

#[test]
fn documents_are_valid_by_the_python_library() {
    let Some(wheels) = software::cyclonedx_python() else { return };
    check(|paths| run(Command::new("python3").env("PYTHONPATH", wheels.path()).arg(script("validate.py")).args(paths)));
}

#[test]
fn documents_are_valid_by_the_node_library() {
    let Some(node) = software::cyclonedx_node() else { return };
    let directory = node.path().canonicalize().unwrap();
    check(|paths| run(Command::new("node").arg(script("validate.mjs")).arg(&directory).args(paths)));
}

#[test]
fn families_and_curves_are_those_of_the_registry() {
    let Some(wheels) = software::cyclonedx_python() else { return };
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/analyze/data/cyclonedx.toml");
    let mut command = Command::new("python3");
    let done = run(command.env("PYTHONPATH", wheels.path()).arg(script("families.py")).arg(table));
    assert_eq!(done.code(), 0, "{}\n{}", done.text(), done.stderr);
}

/// What docs/reports.md says that it makes of our documents.
#[test]
fn cbomctl_reads_hybrids_as_hybrids_and_key_agreements_as_such() {
    let Some(wheels) = software::cyclonedx_python() else { return };
    let directory = tempfile::tempdir().unwrap();
    for path in written(directory.path()).iter().filter(|path| path.to_str().unwrap().contains("tls-wheels")) {
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", wheels.path()).env("COLUMNS", "200").env("NO_COLOR", "1");
        let done = run(command.arg(wheels.path().join("bin/cbomctl")).arg("normalize").arg(path));
        assert_eq!(done.code(), 0, "{}", done.stderr);
        let text = done.text();
        for (name, words) in [
            ("X25519MLKEM768 ", ["key-agreement", "hybrid", "pq-secure"]),
            ("x25519 ", ["key-agreement", "classical", "broken-by-shor"]),
            ("MLKEM768 ", ["key-agreement", "pure-pqc", "pq-secure"]),
        ] {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}\n{text}"));
            assert!(words.iter().all(|word| line.contains(word)), "{line}");
        }
    }
}
