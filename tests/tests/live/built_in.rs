//! Libraries that are built into programs and extensions have rows like others, with the version that is in the file.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crypto_trace_tests::{Capture, analyze_binary, capture_binary, live, run, skip, software};
use serde_json::Value;

use crate::support::{directory, shown};
use crate::words;

/// The rows of `libs` of a recording whose file has this name.
fn rows(recording: &Path, file: &str) -> Vec<Value> {
    let output = run(Command::new(analyze_binary()).args(["libs", "-f", "json-stream"]).arg(recording));
    assert_eq!(output.code(), 0, "{}", output.stderr);
    let rows = output.text();
    let rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter(|row| Path::new(row["path"].as_str().unwrap()).file_name().is_some_and(|name| name == file)).collect()
}

fn node() -> Option<PathBuf> {
    let path =
        std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join("node")).find(|path| path.exists())?;
    let path = path.canonicalize().ok()?;
    // Some distributions' loads its libraries.
    let ldd = run(Command::new("ldd").arg(&path));
    (!ldd.text().contains("libssl")).then_some(path)
}

#[test]
fn a_program_that_holds_openssl_has_a_row_with_its_version_by_record_and_by_snapshot() {
    let Some(_permit) = live() else { return };
    let Some(node) = node() else { return skip("there is no node that holds its OpenSSL") };
    let version = run(Command::new(&node).args(["-p", "process.versions.openssl.split('+')[0]"])).text();
    let done = Capture::new().command([node.to_str().unwrap(), "-e", "setTimeout(() => {}, 4000)"]).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let found = rows(&done.output, "node");
    assert_eq!(found.len(), 1, "{found:#?}");
    let row = &found[0];
    assert_eq!((&row["library_name"], &row["library_name_by"]), (&"OpenSSL".into(), &"functions".into()));
    assert_eq!((&row["version"], &row["soname_version"]), (&version.trim().into(), &Value::Null));
    assert_eq!((&row["loads"], &row["already_mapped"], &row["processes"]), (&0.into(), &1.into(), &1.into()));

    let mut idle = Command::new(&node);
    idle.args(["-e", "setTimeout(() => {}, 60000); console.log('ready')"]).stdout(Stdio::piped());
    let mut idle = idle.spawn().unwrap();
    std::io::Read::read_exact(idle.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
    let (_keep, dir) = directory();
    let file = dir.join("now.ctseg");
    let pid = idle.id().to_string();
    let snapshot = run(Command::new(capture_binary()).args(["snapshot", "-p", &pid, "-o"]).arg(&file));
    idle.kill().unwrap();
    idle.wait().unwrap();
    assert_eq!(snapshot.code(), 0, "{}", snapshot.stderr);
    assert_eq!(rows(&file, "node")[0]["version"], version.trim());
}

/// A program that ended before it was looked at left no row: its file is still there.
#[test]
fn a_program_that_is_gone_before_it_is_looked_at_has_its_row() {
    let Some(_permit) = live() else { return };
    let Some(node) = node() else { return skip("there is no node that holds its OpenSSL") };
    let done = Capture::new().command(["sh", "-c", &format!("{} -e 1; true", node.display())]).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let found = rows(&done.output, "node");
    assert_eq!(
        (found.len(), &found[0]["library_name"], &found[0]["processes"]),
        (1, &"OpenSSL".into(), &1.into()),
        "{found:#?}"
    );
}

/// libssl tells no version of its own.
#[test]
fn libssl_has_the_version_of_the_libcrypto_beside_it() {
    let Some(_permit) = live() else { return };
    let told = run(Command::new("openssl").arg("version")).text();
    let version = told.split_ascii_whitespace().nth(1).unwrap();
    let done = Capture::new().command(words!["openssl", "version"]).run();
    let loads = shown(&done.output, &["--type", "lib_load", "--library", "libssl"]);
    let Some(load) = loads.first() else { return skip("openssl does not load libssl") };
    assert_eq!((&load["version"], &load["library_version"]), (&version.into(), &version.into()), "{load:#}");
    assert_eq!(load["library_name"], "OpenSSL");
}

#[test]
fn a_go_program_is_known_by_what_its_linker_wrote() {
    let Some(_permit) = live() else { return };
    let Some(go) = software::go() else { return };
    let path = go.path();
    let running = Capture::new().command([path.to_str().unwrap(), "wait", "", ""]).start();
    // It is looked at once it runs, not when it begins.
    running.wait_until("its row", |trace| trace.libs().iter().any(|(_, lib)| lib.path.ends_with(b"/go-peer")));
    let done = running.finish();
    let found = rows(&done.output, path.file_name().unwrap().to_str().unwrap());
    assert_eq!(found.len(), 1, "{found:#?} {}", done.stderr);
    assert_eq!((&found[0]["library_name"], &found[0]["library_name_by"]), (&"Go crypto/tls".into(), &"text".into()));
    assert!(found[0]["version"].as_str().is_some_and(|version| version.starts_with("go1.")), "{found:#?}");
}
