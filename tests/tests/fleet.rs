//! `export` and fleet/: every field of the tables is what `events` says, and questions in SQL have the answers that the analyzer
//! gives of the recordings themselves.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use crypto_trace_tests::software::{self, Tool};
use crypto_trace_tests::{Finished, analyze_binary, run};

/// The day that rules and certificates are judged on.
const AS_OF: &str = "2026-11-29";

/// All types of events.
const TYPES: &str = "process_exec,process_fork,process_exit,file_open,file_change,lib_load,process_info,loss,clock,probe_status,\
                     self_stats,tls_handshake,ssh_handshake,ike_handshake,wireguard_handshake,api_call,library_info,\
                     inventory,suppressed,certificate_file";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Real captures.
fn segments() -> Vec<PathBuf> {
    let testdata = root().join("testdata");
    let mut segments: Vec<PathBuf> =
        testdata.read_dir().unwrap().map(|entry| entry.unwrap().path().join("capture.ctseg")).collect();
    segments.push(testdata.join("answers/files/certificates.ctseg"));
    segments.retain(|path| path.is_file());
    segments.sort();
    assert!(segments.len() >= 12);
    segments
}

/// Exports segments into tables in `directory`.
fn exported(directory: &Path, segments: &[PathBuf]) -> PathBuf {
    let tables = directory.join("tables");
    let mut command = Command::new(analyze_binary());
    command.args(["export", "-q", "--type", TYPES, "-o"]).arg(&tables).args(segments);
    let done = run(&mut command);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    tables
}

fn python(duckdb: &Tool, script: &Path) -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", duckdb.path()).env("PYTHONDONTWRITEBYTECODE", "1").arg(script);
    command
}

fn script(name: &str) -> PathBuf {
    software::directory().join("duckdb").join(name)
}

fn ask(duckdb: &Tool, tables: &Path, args: &[&str]) -> Finished {
    run(python(duckdb, &root().join("fleet/duckdb/ask.py")).arg(tables).args(args))
}

#[test]
fn every_field_of_every_row_is_what_events_say() {
    let Some(duckdb) = software::duckdb() else { return };
    let directory = tempfile::tempdir().unwrap();
    let segments = segments();
    let tables = exported(directory.path(), &segments);
    let compare = |segments: &[PathBuf]| {
        run(python(&duckdb, &script("compare.py")).arg(analyze_binary()).arg(&tables).args(segments))
    };
    let done = compare(&segments);
    assert_eq!(done.code(), 0, "{}\n{}", done.text(), done.stderr);
    // A comparison that finds nothing is told apart by one that has to.
    let (_, fewer) = segments.split_first().unwrap();
    let done = compare(fewer);
    assert!(done.code() == 1 && done.text().contains("no such event: {"), "{}\n{}", done.text(), done.stderr);
}

#[test]
fn answers_in_sql_are_those_of_the_analyzer() {
    let Some(duckdb) = software::duckdb() else { return };
    let directory = tempfile::tempdir().unwrap();
    let segments = segments();
    let tables = exported(directory.path(), &segments);
    let asks = format!("python3 {} {}", root().join("fleet/duckdb/ask.py").display(), tables.display());
    let check = |segments: &[PathBuf]| {
        let mut command = python(&duckdb, &script("answers.py"));
        run(command.arg(analyze_binary()).arg(&tables).arg(&asks).arg(AS_OF).args(segments))
    };
    let done = check(&segments);
    assert_eq!(done.code(), 0, "{}\n{}", done.text(), done.stderr);
    let tls: Vec<PathBuf> = segments.into_iter().filter(|path| !path.to_str().unwrap().contains("tls-go")).collect();
    let done = check(&tls);
    assert!(done.code() == 1 && done.text().contains("the analyzer says"), "{}\n{}", done.text(), done.stderr);
}

/// What a day had that the day before had not.
#[test]
fn diff_shows_what_appeared_and_what_vanished() {
    let Some(duckdb) = software::duckdb() else { return };
    let directory = tempfile::tempdir().unwrap();
    let testdata = root().join("testdata");
    let segments = ["tls-go", "answers"].map(|name| testdata.join(name).join("capture.ctseg"));
    let tables = exported(directory.path(), &segments);
    let spans = ["--before", "2026-11-23", "--after", "2026-11-28..2026-11-30"];
    let done = ask(&duckdb, &tables, &[&["diff", "-f", "json"], &spans[..]].concat());
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let rows: Vec<serde_json::Value> = done.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let has = |change: &str, what: &str, name: &str| {
        rows.iter().any(|row| row["change"] == change && row["what"] == what && row["name"] == name)
    };
    assert!(has("appeared", "server_name", "shop.test"), "{}", done.text());
    assert!(has("vanished", "server_name", "server.test"), "{}", done.text());
}

/// Whoever collects SSH alone has no table of TLS: no question was answered.
#[test]
fn questions_about_ssh_need_no_tables_of_tls() {
    let Some(duckdb) = software::duckdb() else { return };
    let directory = tempfile::tempdir().unwrap();
    let testdata = root().join("testdata");
    let tables = exported(directory.path(), &[testdata.join("ssh-openssh/capture.ctseg")]);
    let asked = |args: &[&str]| -> Vec<serde_json::Value> {
        let done = ask(&duckdb, &tables, &[args, &["-f", "json"]].concat());
        assert_eq!(done.code(), 0, "{args:?}: {}", done.stderr);
        done.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let rows = asked(&["ssh_readiness"]);
    let row = |program: &str, role: &str| {
        let found = rows.iter().find(|row| row["program"] == program && row["role"] == role);
        found.unwrap_or_else(|| panic!("{program}: {rows:#?}"))
    };
    // It never agreed on anything else; the other server did.
    let only = row("/usr/sbin/dropbear", "server");
    assert_eq!((&only["post_quantum"], &only["classical"]), (&0.into(), &1.into()));
    assert_eq!(
        (&only["first_method"], &only["last_method"]),
        (&"curve25519-sha256".into(), &"curve25519-sha256".into())
    );
    assert_eq!(row("/usr/sbin/sshd", "server")["post_quantum"], 1);
    assert_eq!(rows.last().unwrap()["post_quantum"], 1, "those that never did come first: {rows:#?}");
    let changes = asked(&["ssh_diff", "--before", "2026-11-29", "--after", "2026-11-30"]);
    let vanished = |what: &str, name: &str| {
        changes.iter().any(|row| row["change"] == "vanished" && row["what"] == what && row["name"] == name)
    };
    assert!(vanished("kex", "sntrup761x25519-sha512") && vanished("cipher", "aes128-ctr"), "{changes:#?}");
    assert!(vanished("host_key", "SHA256:Gs2shw0L3DFKsPjrDheXGHf7Tl/niJf4pQLONZUCbVU"), "{changes:#?}");
    let done = ask(&duckdb, &tables, &["handshakes"]);
    assert!(done.code() == 1 && done.stderr.contains("no table tls_handshake"), "{}", done.stderr);
    let done = ask(&duckdb, &tables, &["ike"]);
    assert!(done.code() == 1 && done.stderr.contains("no table ike_handshake"), "{}", done.stderr);
}

#[test]
fn tables_without_handshakes_are_said_to_have_none() {
    let Some(duckdb) = software::duckdb() else { return };
    let directory = tempfile::tempdir().unwrap();
    let tables = exported(directory.path(), &[root().join("testdata/burst/capture.ctseg")]);
    let done = ask(&duckdb, &tables, &["handshakes"]);
    assert!(done.code() == 1 && done.stderr.contains("no table tls_handshake"), "{}", done.stderr);
    let done = ask(&duckdb, &directory.path().join("elsewhere"), &["handshakes"]);
    assert!(done.code() == 1 && done.stderr.contains("no such directory"), "{}", done.stderr);
}
