//! What the commands say and refuse, through the built program: each test is named after a fault that was there.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    command.args(args).env_remove("COLUMNS").stdin(Stdio::null()).output().unwrap()
}

/// What is printed by a run that ends with `code`, and what it says on stderr.
fn told(args: &[&str], code: i32) -> (String, String) {
    let output = run(args);
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
    (out, err)
}

fn lines(args: &[&str]) -> Vec<Value> {
    told(args, 0).0.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn written(dir: &Path, records: &[Vec<u8>]) -> PathBuf {
    let path = dir.join("a.ctseg");
    write_segment(&path, &meta("web1", 1, 0), records, u32::MAX);
    path
}

#[test]
fn a_failed_relative_open_below_the_root_has_one_path_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let cat = |at| header(500, "cat", at);
    let path = written(
        dir.path(),
        &[
            exec(cat(1_000), b"/bin/cat", b"cat\0nothere.key\0", 1),
            failed_relative(cat(2_000), b"nothere.key", b"/"),
            open(cat(3_000), b"/nothere.key", -2),
        ],
    );
    let path = path.to_str().unwrap();
    let of_event = |event: &Value| event["file"].as_str().unwrap().to_owned();
    let shown: Vec<String> = lines(&["events", path, "--type", "file_open"]).iter().map(of_event).collect();
    assert_eq!(shown, ["/nothere.key", "/nothere.key"]);
    assert_eq!(lines(&["events", path, "-F", "/nothere.key"]).len(), 2, "no event is dropped");
    assert_eq!(lines(&["events", path, "-F", "//nothere.key"]).len(), 0);
    let files = lines(&["files", path, "-f", "json-stream"]);
    assert_eq!((files.len(), &files[0]["opens"], &files[0]["failed"]), (1, &2.into(), &2.into()), "{files:?}");
    for command in [&["events", path, "-f", "summary"][..], &["profile", path, "-p", "500"]] {
        let (text, _) = told(command, 0);
        assert!(text.contains("/nothere.key") && !text.contains("//nothere.key"), "{text}");
    }
}
