//! What the commands say and refuse, through the built program: each test is named after a fault that was there.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use crypto_trace_format::record::{ApiCallFixed, ApiMeaning, FileOpen};
use crypto_trace_format::segment::SegmentMeta;
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

#[test]
fn results_that_no_process_saw_are_neither_errors_nor_failures() {
    let dir = tempfile::tempdir().unwrap();
    let cat = |at| header(500, "cat", at);
    let bind = ApiCallFixed { result: -512, state: 1, level: 3, count: 1, meaning: 18, ..ApiCallFixed::default() };
    let path = written(
        dir.path(),
        &[
            exec(cat(1_000), b"/bin/cat", b"cat\0", 1),
            open(cat(2_000), b"/etc/a.key", -512),
            open(cat(3_000), b"/etc/a.key", 3),
            open(cat(3_500), b"/etc/only.key", -514),
            api_call(cat(4_000), bind, b"bind", b"hash sha256"),
        ],
    );
    let path = path.to_str().unwrap();
    let events = lines(&["events", path, "--type", "file_open,api_call"]);
    for event in [&events[0], &events[2], &events[3]] {
        assert_eq!((&event["result"], event.get("error")), (&Value::Null, None), "{event}");
        assert_eq!(event["notes"], serde_json::json!(["interrupted"]));
    }
    assert_eq!((&events[1]["result"], events[1].get("notes")), (&3.into(), None));
    assert_eq!(events[3]["succeeded"], Value::Null);
    assert_eq!(lines(&["events", path, "--type", "file_open,api_call", "--result", "failed"]).len(), 0);
    assert_eq!(lines(&["events", path, "--type", "file_open,api_call", "--result", "ok"]).len(), 1);
    let files = lines(&["files", path, "-f", "json-stream"]);
    assert_eq!((files.len(), &files[0]["opens"], &files[0]["failed"]), (1, &1.into(), &0.into()), "{files:?}");
    let (summary, _) = told(&["events", path, "-f", "summary"], 0);
    assert!(!summary.contains("512") && !summary.contains("only.key"), "{summary}");
}

#[test]
fn one_empty_argument_is_not_none() {
    let dir = tempfile::tempdir().unwrap();
    let records = [&b"\0"[..], b"", b"sh\0\0", b"sh\0-c\0\0x\0"];
    let records: Vec<Vec<u8>> =
        (0u32..).zip(records).map(|(n, argv)| exec(header(500 + n, "x", 1_000), b"/bin/x", argv, 1)).collect();
    let path = written(dir.path(), &records);
    let shown: Vec<Value> = lines(&["events", path.to_str().unwrap()]).iter().map(|e| e["argv"].clone()).collect();
    assert_eq!(serde_json::json!(shown), serde_json::json!([[""], [], ["sh", ""], ["sh", "-c", "", "x"]]));
}

/// `tls`, `algorithms` and `coverage` kept silent about them, and about counts.
#[test]
fn records_of_kinds_that_are_not_known_are_reported_by_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let mut unknown = open(header(500, "cat", 2_000), b"/etc/a.key", 3);
    let kind = unknown.windows(2).position(|bytes| bytes == FileOpen::KIND.0.to_le_bytes()).unwrap();
    unknown[kind..kind + 2].copy_from_slice(&60u16.to_le_bytes());
    let ends = ("10.0.0.1:40000", "10.0.0.2:443");
    let mut records = handshake(header(500, "cat", 3_000), "openssl13", 1, ends, true);
    // Blocks that have nothing a command asks for are not read.
    let known =
        [open(header(500, "cat", 900), b"/etc/b.key", 3), load(header(500, "cat", 1_000), b"/usr/lib/libssl.so.3")];
    records.extend(known.into_iter().chain([unknown]));
    let count = records.len();
    let path = written(dir.path(), &records);
    let path = path.to_str().unwrap();
    let all = [
        "events",
        "tls",
        "ssh",
        "wire",
        "readiness",
        "certs",
        "keys",
        "algorithms",
        "check",
        "coverage",
        "files",
        "libs",
        "profile",
        "snapshot",
    ];
    for command in all {
        let (_, err) = told(&[command, path, "-v"], 0);
        assert!(err.contains("1 record left out: kinds unknown to this version"), "{command}: {err}");
        assert!(err.contains(&format!("Events processed: {count}\n")) && err.contains("Rate: "), "{command}: {err}");
    }
    let (out, _) = told(&["tls", path], 0);
    assert!(out.contains("1 record left out: kinds unknown to this version"), "{out}");
}

#[test]
fn a_segment_that_cannot_be_read_hides_none_that_can() {
    let dir = tempfile::tempdir().unwrap();
    let good = written(dir.path(), &[open(header(500, "cat", 2_000), b"/etc/a.key", 3)]);
    // Root may read what nobody else may, but not this.
    let bad = dir.path().join("b.ctseg");
    std::os::unix::fs::symlink("b.ctseg", &bad).unwrap();
    let directory = dir.path().to_str().unwrap();
    for command in ["events", "files"] {
        let (out, err) = told(&[command, directory], 0);
        assert!(out.contains("/etc/a.key"), "{out}");
        assert_eq!(err.matches("b.ctseg").count(), 1, "named once: {err}");
        assert!(err.contains("its events are missing"), "{err}");
    }
    let (out, _) = told(&["tls", directory, "-f", "json"], 0);
    assert!(out.contains("1 segment could not be read"), "{out}");
    // It said "Complete  yes" without that segment.
    let (out, _) = told(&["events", directory, "-f", "summary"], 0);
    assert!(out.contains("Complete    NO: 1 segment could not be read"), "{out}");
    told(&["verify", directory], 1);
    std::fs::remove_file(good).unwrap();
    let (_, err) = told(&["events", directory], 1);
    assert_eq!(err.matches("b.ctseg").count(), 1, "{err}");
}

#[test]
fn a_segment_that_cannot_be_read_is_no_end_of_following() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = segment(&meta("web1", 1, 0), &[open(header(500, "cat", 2_000), b"/etc/a.key", 3)], u32::MAX);
    let name = |sequence: u32| dir.path().join(format!("web1-20261122T103000Z-01010101-{sequence:06}.ctseg.open"));
    // The newest by its time is not readable, and not empty.
    std::fs::write(name(0), &bytes).unwrap();
    std::fs::create_dir(name(1)).unwrap();
    let mut follower = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    let follower = follower.args(["events", "--follow", "--duration", "5s"]).arg(dir.path());
    let follower = follower.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let more = segment(&meta("web1", 1, 2), &[open(header(500, "cat", 3_000), b"/etc/b.key", 3)], u32::MAX);
    std::fs::rename(name(0), name(0).with_extension("")).unwrap();
    std::fs::write(name(2), more).unwrap();
    let output = follower.wait_with_output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(out.contains("/etc/b.key") && !out.contains("/etc/a.key"), "{out}\n{err}");
    assert!(err.contains("its events are not shown") && !err.contains("deleted before being read"), "{err}");
}

#[test]
fn times_the_wrong_way_round_and_outputs_others_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), &[open(header(500, "cat", 2_000), b"/root/.ssh/a.key", 3)]);
    let path = path.to_str().unwrap();
    for command in ["events", "tls", "files"] {
        let (_, err) = told(&[command, path, "--since", "10m", "--until", "2026-11-22"], 1);
        assert!(err.contains("is after --until (2026-11-22T00:00:00.000000Z)"), "{err}");
    }
    let out = dir.path().join("out.json");
    told(&["files", path, "-o", out.to_str().unwrap()], 0);
    let mode = std::fs::metadata(&out).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & !0o640, 0, "{mode:o}");
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.contains("/home/ROOT/.ssh/a.key") && !text.contains("/home/USER"), "redacted once: {text}");
    assert!(told(&["version"], 0).0.starts_with("crypto-trace-analyze "));
}

#[test]
fn tables_take_no_more_columns_than_were_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("/etc/ssl/{}server.key", "very-long-directory/".repeat(8));
    let path = written(dir.path(), &[open(header(500, "cat", 2_000), long.as_bytes(), 3)]);
    let path = path.to_str().unwrap();
    let (piped, _) = told(&["files", path], 0);
    assert!(piped.contains(&long), "all of it when piped: {piped}");
    for command in [&["files"][..], &["events", "-f", "summary"]] {
        let (text, _) = told(&[command, &[path, "-w", "100"]].concat(), 0);
        let tables: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
        assert!(!tables.is_empty() && tables.iter().all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.contains("server.key") && !text.contains(&long), "{text}");
    }
}

/// Directories of two hosts, one within the other, each with a capture; and the path of the outer one.
fn two_hosts(dir: &Path) -> String {
    let records = |file: &[u8]| [open(header(500, "cat", 2_000), file, 3)];
    std::fs::create_dir_all(dir.join("captures/web2.example.org")).unwrap();
    write_segment(&dir.join("captures/a.ctseg"), &meta("web1", 1, 0), &records(b"/etc/one.key"), 5);
    let below = dir.join("captures/web2.example.org/b.ctseg");
    write_segment(&below, &meta("web2.example.org", 2, 0), &records(b"/etc/two.key"), 5);
    dir.join("captures").to_str().unwrap().to_owned()
}

#[test]
fn segments_in_subdirectories_are_read_when_that_is_asked_for_and_else_hinted_at() {
    let dir = tempfile::tempdir().unwrap();
    let captures = two_hosts(dir.path());
    // A link that leads back is not followed.
    std::os::unix::fs::symlink("..", dir.path().join("captures/web2.example.org/back")).unwrap();
    let (out, _) = told(&["events", &captures], 0);
    assert!(out.contains("one.key") && !out.contains("two.key"), "{out}");
    for command in ["events", "files", "info", "verify", "tls", "coverage", "profile"] {
        let (out, _) = told(&[command, &captures, "-r"], 0);
        let shown = ["web1", "one.key", "a.ctseg", "no TLS", "[]"].iter().any(|text| out.contains(text));
        assert!(shown, "{command}: {out}");
        let outer = dir.path().to_str().unwrap();
        let (_, err) = told(&[command, outer], 1);
        assert!(err.contains("there are some below it, such as in ") && err.contains("--recursive (-r)"), "{err}");
        told(&[command, outer, "--recursive"], 0);
    }
    let (out, _) = told(&["events", &captures, "-r"], 0);
    assert!(out.contains("one.key") && out.contains("two.key"), "{out}");
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let (_, err) = told(&["events", empty.to_str().unwrap(), "-r"], 1);
    assert!(err.contains("no segments in this directory or below it"), "{err}");
    let (_, err) = told(&["events", empty.to_str().unwrap()], 1);
    assert!(err.contains("no segments in this directory (") && !err.contains("-r"), "{err}");
}

#[test]
fn hosts_are_chosen_as_processes_are() {
    let dir = tempfile::tempdir().unwrap();
    let captures = two_hosts(dir.path());
    for host in ["web2", "WEB2.example.org"] {
        for command in ["events", "files", "info", "snapshot"] {
            let (out, _) = told(&[command, &captures, "-r", "--host", host], 0);
            assert!(
                !out.contains("web1")
                    && !out.contains("one.key")
                    && (out.contains("web2.example.org") || out.contains("two.key")),
                "{out}"
            );
        }
    }
    let both = lines(&["events", &captures, "-r", "--host", "web1", "--host", "web2"]);
    assert_eq!(both.len(), 2);
    let (out, _) = told(&["verify", &captures, "-r", "--host", "web1", "-f", "json"], 0);
    assert!(out.contains("a.ctseg") && !out.contains("b.ctseg"), "{out}");
    for host in ["web", "example.org", "web3"] {
        let (_, err) = told(&["events", &captures, "-r", "--host", host], 1);
        let expected = format!("nothing from host {host}: the captures are of web1, web2.example.org");
        assert!(err.contains(&expected), "{err}");
    }
    // A stream is the same.
    let segments =
        ["a.ctseg", "web2.example.org/b.ctseg"].map(|name| std::fs::read(format!("{captures}/{name}")).unwrap());
    let piped = |host: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
        let command = command.args(["events", "-", "--host", host]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), &segments.concat()).unwrap();
        let output = child.wait_with_output().unwrap();
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let [out, _] = piped("web2");
    assert!(out.contains("two.key") && !out.contains("one.key"), "{out}");
    assert!(piped("web3")[1].contains("nothing from host web3"));
}

#[test]
fn a_directory_of_which_many_certificates_were_read_is_one_row_that_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = vec![
        exec(header(500, "git", 1_000), b"/usr/bin/git", b"git\0", 1),
        exec(header(501, "uv", 1_000), b"/usr/bin/uv", b"uv\0", 1),
    ];
    for number in 0..290u32 {
        let path = format!("/etc/ssl/certs/ca-{number:03}.crt");
        records.push(open(header(500, "git", 2_000 + u64::from(number)), path.as_bytes(), 3));
        if number < 100 {
            records.push(open(header(501, "uv", 3_000 + u64::from(number)), path.as_bytes(), 3));
        }
        // Keys stay single, and so do a few certificates; what failed is a row of its own.
        if number < 50 {
            let key = format!("/etc/keys/host-{number:03}.key");
            records.push(open(header(500, "git", 4_000 + u64::from(number)), key.as_bytes(), 3));
        }
        if number < 25 {
            let refused = format!("/etc/ssl/certs/refused-{number:03}.crt");
            records.push(open(header(500, "git", 5_000 + u64::from(number)), refused.as_bytes(), -13));
        }
        if number < 5 {
            let few = format!("/srv/few/{number}.crt");
            records.push(open(header(500, "git", 6_000 + u64::from(number)), few.as_bytes(), 3));
        }
    }
    let path = written(dir.path(), &records);
    let path = path.to_str().unwrap();
    let (text, _) = told(&["files", path], 0);
    let row = |end: &str| {
        let row = text.lines().find(|line| line.contains(end)).unwrap_or_else(|| panic!("no {end}:\n{text}"));
        row.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let trust = row("/etc/ssl/certs: 290 files");
    assert_eq!(trust[..3], ["390", "0", "2"], "opens, failed, processes: {trust:?}");
    assert!(trust.concat().ends_with("/usr/bin/git,/usr/bin/uv"), "{trust:?}");
    assert_eq!(row("/etc/ssl/certs: 25 files")[..3], ["25", "25", "1"]);
    assert!(text.contains("/srv/few/3.crt") && text.contains("/etc/keys/host-007.key") && !text.contains("ca-007.crt"));
    let (singly, _) = told(&["files", path, "--ungrouped", "-f", "json"], 0);
    let (document, _) = told(&["files", path, "-f", "json"], 0);
    let [singly, document]: [Value; 2] = [singly, document].map(|text| serde_json::from_str(&text).unwrap());
    assert!(singly.get("directories").is_none());
    assert_eq!(singly["files"], document["files"], "rows of JSON stay single");
    let directories = document["directories"].as_array().unwrap();
    assert_eq!(directories.len(), 2, "{directories:#?}");
    for directory in directories {
        let failed = directory["failed"].as_u64().unwrap() > 0;
        let of = |file: &&Value| {
            let path = file["path"].as_str().unwrap();
            path.starts_with("/etc/ssl/certs/") && (file["failed"].as_u64().unwrap() > 0) == failed
        };
        let files: Vec<&Value> = document["files"].as_array().unwrap().iter().filter(of).collect();
        assert_eq!(directory["files"], files.len());
        for member in ["opens", "failed", "already_open"] {
            let sum: u64 = files.iter().map(|file| file[member].as_u64().unwrap()).sum();
            assert_eq!(directory[member], sum, "{member}");
        }
        let uses = |row: &Value| -> u64 {
            row["programs"].as_array().unwrap().iter().map(|program| program["uses"].as_u64().unwrap()).sum()
        };
        assert_eq!(uses(directory), files.iter().map(|file| uses(file)).sum::<u64>());
    }
    let (summary, _) = told(&["events", path, "-f", "summary"], 0);
    let counted =
        |text: &str| text.lines().any(|line| line.contains("390") && line.ends_with("/etc/ssl/certs: 290 files"));
    assert!(counted(&summary) && !summary.contains("ca-000.crt"), "{summary}");
    assert!(!told(&["events", path, "-f", "summary", "--ungrouped"], 0).0.contains("290 files"));
    assert_eq!(lines(&["events", path, "--type", "file_open", "-F", "ca-*.crt"]).len(), 390, "events stay single");
}

#[test]
fn a_library_that_does_not_match_is_told_with_those_that_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), &[load(header(500, "curl", 2_000), b"/usr/lib/libssl.so.3")]);
    let path = path.to_str().unwrap();
    for command in ["events", "libs"] {
        let (_, err) = told(&[command, path, "-l", "libsll"], 0);
        assert!(err.contains("no library named \"libsll\"; seen: "), "{err}");
        assert!(err.contains("libssl.so.3 (1)") && err.contains("OpenSSL (1)"), "{err}");
        assert!(!told(&[command, path, "-l", "libssl"], 0).1.contains("no library named"));
    }
}

#[test]
fn minus_one_of_openssl_is_no_number_of_an_algorithm() {
    let dir = tempfile::tempdir().unwrap();
    let of = |number, state| ApiCallFixed {
        meaning: ApiMeaning::PUBLIC_KEY.0,
        number,
        fd: -1,
        count: 3,
        level: 2,
        state,
        ..ApiCallFixed::default()
    };
    let sign = |at, fixed| api_call(header(500, "openssl", at), fixed, b"EVP_DigestSignInit", b"");
    let path = written(dir.path(), &[sign(2_000, of(0xffff_ffff, 0)), sign(3_000, of(6, 0))]);
    let path = path.to_str().unwrap();
    let events = lines(&["events", path]);
    assert_eq!(events[0]["meaning"], "public_key", "{events:?}");
    assert_eq!((events[0].get("number"), &events[0]["algorithm"]), (None, &Value::Null));
    assert_eq!(events[1]["number"], 6);
    for format in ["text", "json"] {
        let (out, _) = told(&["algorithms", path, "-f", format], 0);
        assert!(!out.contains("4294967295"), "{out}");
        assert!(
            out.contains("3 calls more used an algorithm") || out.contains("\"calls_without_algorithm\": 3"),
            "{out}"
        );
    }
}

#[test]
fn a_certificate_that_another_process_trusts_is_both() {
    let dir = tempfile::tempdir().unwrap();
    let told_to_load = |tgid, name, meaning| {
        let fixed =
            ApiCallFixed { meaning, level: 1, count: 1, fd: -1, result: 1, state: 1, ..ApiCallFixed::default() };
        api_call(header(tgid, name, 1_500), fixed, b"SSL_CTX_load", b"/srv/self-signed.pem")
    };
    let opened = |tgid, name| open(header(tgid, name, 2_000), b"/srv/self-signed.pem", 3);
    let [server, client] = [
        [told_to_load(500, "server", ApiMeaning::CERTIFICATE_FILE.0), opened(500, "server")],
        [told_to_load(501, "client", ApiMeaning::TRUST_FILE.0), opened(501, "client")],
    ];
    for records in [[&server[..], &client].concat(), [&client[..], &server].concat()] {
        let path = written(dir.path(), &records);
        let path = path.to_str().unwrap();
        let files = lines(&["files", path, "-f", "json-stream"]);
        assert_eq!((files.len(), &files[0]["type"], &files[0]["type_by"]), (1, &"certificate".into(), &"use".into()));
        assert_eq!(files[0]["loaded_as"], serde_json::json!(["certificate", "trust_store"]), "{files:?}");
        assert!(told(&["files", path], 0).0.contains("  certificate, trust_store  "));
        let types: Vec<Value> =
            lines(&["events", path, "--type", "file_open"]).iter().map(|event| event["file_type"].clone()).collect();
        assert!(types.contains(&"certificate".into()) && types.contains(&"trust_store".into()), "{types:?}");
    }
}

/// A question to a fleet's segments failed where there were more of them than a process may have open.
#[test]
fn more_segments_are_read_than_files_may_be_open() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..800u32 {
        let meta = SegmentMeta { capture_id: u128::from(number).to_le_bytes(), ..meta("web1", 1, 0) };
        let records = [open(header(500, "cat", 2_000), format!("/etc/{number}.key").as_bytes(), 3)];
        write_segment(&dir.path().join(format!("{number}.ctseg")), &meta, &records, 7);
    }
    let script = format!("ulimit -n 640; exec {} events -q \"$1\"", env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    let output = Command::new("sh").args(["-c", &script, "sh"]).arg(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 800);
}
