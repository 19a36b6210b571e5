//! `check` of every real capture as SARIF and as JUnit XML, held to the schemas of others by validators of others.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use crypto_trace_tests::{Finished, analyze_binary, run, software};
use serde_json::Value;

/// All packs, and a waiver.
const RULES: &str = r#"name = "acme"
extends = ["ietf", "nist-800-131a", "nist-ir-8547", "cnsa-2.0"]

[[rule]]
id = "keys"
says = "No private key is <opened> & read"
files = { types = ["private_key"] }

[[waiver]]
rule = "ietf/*"
owner = "Alice"
reason = "until the box is gone"
expires = 2027-01-01
"#;

fn captures() -> Vec<PathBuf> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
    let mut captures: Vec<_> =
        testdata.read_dir().unwrap().map(|entry| entry.unwrap().path().join("capture.ctseg")).collect();
    captures.retain(|path| path.exists());
    assert!(captures.len() >= 12);
    captures
}

/// What `check` writes of each capture, with each of these options.
fn documents(format: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let rules = directory.path().join("rules.toml");
    std::fs::write(&rules, RULES).unwrap();
    let with_rules = ["--rules", rules.to_str().unwrap()];
    let mut documents = Vec::new();
    for capture in captures() {
        for options in [&[][..], &[&with_rules[..], &["--as-of", "2026-12-01", "--require-coverage"]].concat()] {
            let done = run(Command::new(analyze_binary()).args(["check", "-f", format]).args(options).arg(&capture));
            assert!([0, 7, 9].contains(&done.code()), "{}: {}", capture.display(), done.stderr);
            documents.push(done.text().to_owned());
        }
    }
    documents
}

/// The schema of SARIF 2.1.0 as the crate serde-sarif has it.
fn sarif_schema() -> Value {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--format-version=1", "--locked", "--offline"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    // What other platforms need is not here.
    command.arg("--filter-platform").arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH));
    let metadata: Value = serde_json::from_str(&run(&mut command).text()).unwrap();
    let of_crate = |package: &&Value| package["name"] == "serde-sarif";
    let package = metadata["packages"].as_array().unwrap().iter().find(of_crate).unwrap();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let schema = std::fs::read_to_string(manifest.with_file_name("src").join("schema.json")).unwrap();
    // A bracket too many makes it no regular expression by the letter; it is of a member that is not written here.
    let broken = "^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$";
    assert!(schema.contains(broken));
    serde_json::from_str(&schema.replace(broken, "^[a-zA-Z]{2}(-[a-zA-Z]{2})?$")).unwrap()
}

#[test]
fn sarif_is_valid_and_read_back() {
    let schema = sarif_schema();
    assert!(schema["title"].as_str().unwrap().contains("(SARIF) Version 2.1.0"));
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let errors = |log: &Value| validator.iter_errors(log).map(|error| error.to_string()).collect::<Vec<String>>();
    let (mut suppressed, mut open, mut failed) = (0, 0, 0);
    let all = documents("sarif");
    for document in &all {
        let log: Value = serde_json::from_str(document).unwrap();
        assert_eq!(errors(&log), [""; 0]);
        let read: serde_sarif::sarif::Sarif = serde_json::from_str(document).unwrap();
        for run in &read.runs {
            let rules = run.tool.driver.rules.as_ref().unwrap();
            for result in run.results.as_ref().unwrap() {
                let rule = &rules[usize::try_from(result.rule_index.unwrap()).unwrap()];
                assert_eq!(Some(&rule.id), result.rule_id.as_ref());
                suppressed += usize::from(result.suppressions.is_some());
            }
        }
        let results = log["runs"].as_array().unwrap().iter().flat_map(|run| run["results"].as_array().unwrap());
        for result in results {
            // Section 3.27.9 and 3.27.10: what is no failure has no level.
            assert_eq!(result["kind"] == "fail", result["level"] != "none", "{result:#}");
            open += usize::from(result["kind"] == "open");
            failed += usize::from(result["kind"] == "fail");
        }
    }
    assert!(suppressed > 0 && open > 0 && failed > 0);
    // A validator that finds nothing is told apart by this.
    let mut log: Value = serde_json::from_str(&all[0]).unwrap();
    log["runs"][0]["results"][0]["level"] = "no such level".into();
    assert!(!errors(&log).is_empty());
}

#[test]
fn junit_is_valid() {
    let Some(xmllint) = software::xmllint() else { return };
    let directory = tempfile::tempdir().unwrap();
    let schema = software::directory().join("check/junit-10.xsd");
    let validate = |paths: &[PathBuf]| -> Finished {
        run(Command::new(xmllint.path()).args(["--noout", "--nonet", "--schema"]).arg(&schema).args(paths))
    };
    let write = |(number, document): (usize, &String)| {
        let path = directory.path().join(format!("{number}.xml"));
        std::fs::write(&path, document).unwrap();
        path
    };
    let all = documents("junit");
    let paths: Vec<PathBuf> = all.iter().enumerate().map(write).collect();
    let done = validate(&paths);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    for wanted in ["<failure ", "<skipped ", "<error ", "&lt;opened&gt; &amp; read"] {
        assert!(all.iter().any(|document| document.contains(wanted)), "{wanted}");
    }
    let broken = write((all.len(), &all[0].replace("<testcase ", "<testcase bogus=\"1\" ")));
    assert_ne!(validate(&[broken]).code(), 0);
}
