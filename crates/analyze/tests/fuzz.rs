//! Records of every kind, mutated and in segments with right checksums, through every command and format: no panic, JSON that
//! is JSON, and the same from one thread and from four. Times and globs as a user gives them.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::indexing_slicing)]

mod common;
#[path = "../../format/tests/mutate/mod.rs"]
mod mutate;

use common::*;
use crypto_trace_analyze::commands;
use crypto_trace_format::record::{Header, Record};
use crypto_trace_format::segment::{BlockBuffer, SegmentReader};
use mutate::{EDGES, Rng, mutate, overwrite, run};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Commands that write to a file, with a format each, and what else they are asked.
const RUNS: &[(&str, &str, &[&str])] = &[
    ("events", "json-stream", &[]),
    ("events", "json-array", &["--no-redact"]),
    ("events", "json-pretty", &["--since", "-1h"]),
    ("events", "summary", &[]),
    ("files", "text", &[]),
    ("files", "json", &[]),
    ("files", "json-stream", &["-F", "*.pem"]),
    ("files", "text", &["--ungrouped", "--no-redact"]),
    ("libs", "text", &[]),
    ("libs", "json", &["-l", "ssl"]),
    ("profile", "text", &[]),
    ("profile", "json", &["-p", "500"]),
    ("profile", "json-array", &[]),
    ("profile", "json-stream", &["-n", "nginx"]),
    ("snapshot", "text", &[]),
    ("snapshot", "json", &["--at", "-10s"]),
    ("tls", "text", &[]),
    ("tls", "json", &["--as-of", "2031-01-01"]),
    ("ssh", "text", &[]),
    ("ssh", "json", &["--no-redact"]),
    ("wire", "text", &[]),
    ("wire", "json", &[]),
    ("readiness", "text", &[]),
    ("readiness", "json", &["--no-redact"]),
    ("check", "text", &[]),
    ("check", "sarif", &["--pack", "ietf,cnsa-2.0"]),
    ("check", "junit", &["--require-coverage"]),
    ("certs", "text", &[]),
    ("certs", "json", &["--expires-within", "30"]),
    ("keys", "text", &[]),
    ("keys", "json", &["--no-redact"]),
    ("algorithms", "text", &[]),
    ("algorithms", "json", &[]),
    ("coverage", "text", &[]),
    ("coverage", "json", &[]),
];

/// Records of every kind: of a test's own, and of recordings.
fn corpus() -> Vec<Vec<u8>> {
    let mut records = everything::one_of_everything();
    records.extend(handshake(header(500, "nginx", 7_000), "openssl12", 1, ("10.0.0.1:4000", "10.0.0.2:443"), true));
    records.push(library(header(0, "", 100), LIBRARY, b"/usr/lib/libssl.so.3", 1, b"why"));
    for meaning in 1..32 {
        let fixed = crypto_trace_format::record::ApiCallFixed {
            dev: LIBRARY.0,
            ino: LIBRARY.1,
            meaning,
            count: 2,
            state: 1,
            cookie: 1,
            ..Default::default()
        };
        records.push(api_call(
            header(500, "nginx", 8_000 + u64::from(meaning)),
            fixed,
            b"SSL_do_handshake",
            b"AES-256-GCM",
        ));
    }
    let mut buffer = BlockBuffer::default();
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    for entry in std::fs::read_dir(testdata).unwrap().flatten() {
        let Ok(reader) = SegmentReader::open(&entry.path().join("capture.ctseg")) else { continue };
        let mut kept = [0; 64];
        for block in 0..reader.blocks().len() {
            reader.read_block(block, &mut buffer).unwrap();
            let mut at = 0;
            for record in buffer.records().flatten() {
                let len = usize::try_from(record.header.len).unwrap();
                let kind = usize::from(record.header.kind).min(63);
                if kept[kind] < 12 {
                    records.push(buffer.raw()[at..at + len].to_vec());
                    kept[kind] += 1;
                }
                at += len;
            }
        }
    }
    records
}

/// A record that can be read, whatever is in it: its frame is right.
fn mutated(record: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = record.to_vec();
    if rng.one_in(3) {
        return bytes;
    }
    // Most of what is interesting is behind the lengths and kinds at the beginning.
    let from = if rng.one_in(8) { 0 } else { 16.min(bytes.len()) };
    let mut rest = bytes.split_off(from);
    if rng.one_in(3) {
        mutate(&mut rest, rng);
    } else {
        let at = rng.below(rest.len() / 4) * 4;
        overwrite(&mut rest, at, rng);
    }
    bytes.extend(rest);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    // Its own length, where the format has it.
    let len = bytes.len() as u32;
    if let Some(field) = bytes.get_mut(..4) {
        field.copy_from_slice(&len.to_le_bytes());
    }
    bytes
}

fn write(path: &Path, corpus: &[Vec<u8>], rng: &mut Rng) {
    let mut records = vec![clock(0, WALL_NS)];
    for _ in 0..4 + rng.below(60) {
        let record: &Vec<u8> = rng.pick(corpus);
        let record = mutated(record, rng);
        if Record::parse(&record).is_ok() {
            records.push(record);
        }
    }
    if rng.one_in(4) {
        let at = *rng.pick(&EDGES);
        let header = Header { time_ns: at, ..header(0, "", 0) };
        let mut out = Vec::new();
        let fixed = crypto_trace_format::record::ClockFixed {
            boottime_ns: at,
            realtime_ns: rng.next() as i64,
            ..Default::default()
        };
        crypto_trace_format::record::Clock { fixed, ..Default::default() }.encode(header, &mut out);
        records.push(out);
    }
    let bytes = segment(&meta("host", rng.below(3) as u8, rng.below(2) as u64), &records, 1 + rng.below(40) as u32);
    std::fs::write(path, bytes).unwrap();
}

/// What a command writes; none where it fails with a message.
fn output(input: &Path, out: &Path, (command, format, more): (&str, &str, &[&str]), threads: &str) -> Option<Vec<u8>> {
    let texts = ["crypto-trace-analyze", command, "-q", "--threads", threads, "-f", format];
    let mut words: Vec<OsString> = texts.iter().chain(more).map(OsString::from).collect();
    words.extend(["-o".into(), out.into(), input.into()]);
    let job = commands::parse(words.clone()).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    commands::run(&job).ok()?;
    std::fs::read(out).ok()
}

fn check(input: &Path, out: &Path, asked: (&str, &str, &[&str])) {
    let Some(one) = output(input, out, asked, "1") else { return };
    let text = std::str::from_utf8(&one).unwrap();
    let bad = |c: char| c.is_control() && c != '\n' || ('\u{2028}'..='\u{202e}').contains(&c);
    assert!(!text.contains(bad), "{asked:?} shows something raw: {text}");
    match asked.1 {
        "json-stream" => text.lines().for_each(|line| {
            serde_json::from_str::<serde_json::Value>(line)
                .unwrap_or_else(|error| panic!("{asked:?}: {error}: {line}"));
        }),
        "text" | "summary" | "junit" => {}
        _ => {
            serde_json::from_str::<serde_json::Value>(text)
                .unwrap_or_else(|error| panic!("{asked:?}: {error}: {text}"));
        }
    }
    let four = output(input, out, asked, "4");
    assert!(four.as_deref() == Some(&one[..]), "{asked:?} is another from four threads");
}

/// A directory of the thread's own.
fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let captures = directory.path().join("captures");
    std::fs::create_dir(&captures).unwrap();
    let out = directory.path().join("out");
    (directory, captures, out)
}

thread_local! {
    static PLACE: (tempfile::TempDir, PathBuf, PathBuf) = place();
}

#[test]
fn fuzz_commands() {
    let corpus = corpus();
    run(60, |rng| {
        PLACE.with(|(_, captures, out)| {
            write(&captures.join("a.ctseg"), &corpus, rng);
            if rng.one_in(3) {
                write(&captures.join("b.ctseg"), &corpus, rng);
            } else {
                let _ = std::fs::remove_file(captures.join("b.ctseg"));
            }
            for _ in 0..4 {
                check(captures, out, *rng.pick(RUNS));
            }
        });
    });
}

/// What `extract` is asked. Types without `loss`, which says more in an extract of what is damaged.
const EXTRACTS: &[&[&str]] = &[
    &[],
    &["-p", "500"],
    &["-n", "nginx"],
    &["-n", "nginx", "--follow-children"],
    &["--type", "tls_handshake"],
    &["--type", "file_open,api_call"],
    &["--since", "2026-11-22T10:30:00.000004Z", "--until", "2026-11-22T10:30:00.000008Z"],
];

/// Names and bytes of what was extracted, which is to be whole.
fn extracted(input: &Path, out: &Path, options: &[&str], threads: &str) -> Option<Vec<(OsString, Vec<u8>)>> {
    let mut words: Vec<OsString> =
        ["crypto-trace-analyze", "extract", "-q", "--threads", threads].iter().map(OsString::from).collect();
    words.extend(options.iter().map(OsString::from));
    words.extend(["-o".into(), out.into(), input.into()]);
    let job = commands::parse(words.clone()).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    if let Err(error) = commands::run(&job) {
        assert!(!out.exists(), "{words:?}: {error:#}");
        return None;
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(out).unwrap() {
        let path = entry.unwrap().path();
        let reader = SegmentReader::open(&path).unwrap();
        assert!(reader.is_sealed() && reader.faults().is_empty(), "{words:?}: {:?}", reader.faults());
        files.push((path.file_name().unwrap().to_owned(), std::fs::read(&path).unwrap()));
    }
    let checked = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze")).arg("verify").arg(out).output().unwrap();
    assert!(files.is_empty() || checked.status.success(), "{words:?}: {}", String::from_utf8_lossy(&checked.stdout));
    files.sort();
    Some(files)
}

/// Whatever is in a recording, an extract of it is whole, and shows of it what it would have shown.
#[test]
fn fuzz_extract() {
    let corpus = corpus();
    run(40, |rng| {
        PLACE.with(|(_, captures, out)| {
            let part = out.with_file_name("part");
            let _ = std::fs::remove_file(captures.join("b.ctseg"));
            write(&captures.join("a.ctseg"), &corpus, rng);
            let options = *rng.pick(EXTRACTS);
            let one = extracted(captures, &part, options, "1");
            if one.as_ref().is_some_and(|files| !files.is_empty()) {
                let types = "process_exec,process_exit,file_open,file_change,lib_load,tls_handshake,api_call";
                let types: &[&str] = if options.contains(&"--type") { &[] } else { &["--type", types] };
                let asked = [types, options].concat();
                let [before, after] =
                    [captures, &part].map(|input| output(input, out, ("events", "json-stream", &asked), "1"));
                let [before, after] =
                    [before, after].map(|bytes| String::from_utf8(bytes.unwrap_or_default()).unwrap());
                assert_eq!(before, after, "{options:?}");
            }
            let _ = std::fs::remove_dir_all(&part);
            assert!(extracted(captures, &part, options, "4") == one, "{options:?} is another from four threads");
            let _ = std::fs::remove_dir_all(&part);
            let private = [options, &["--privacy", "drop", "--argv", "none"]].concat();
            extracted(captures, &part, &private, "1");
            let _ = std::fs::remove_dir_all(&part);
        });
    });
}

/// What goes on for ever, by the program itself: following a directory, a stream, and a replay in its own time.
#[test]
fn fuzz_following() {
    let corpus = corpus();
    run(12, |rng| {
        PLACE.with(|(_, captures, _)| {
            let _ = std::fs::remove_file(captures.join("b.ctseg"));
            let input = captures.join("a.ctseg");
            write(&input, &corpus, rng);
            if rng.one_in(2) {
                let mut bytes = std::fs::read(&input).unwrap();
                mutate(&mut bytes, rng);
                std::fs::write(&input, bytes).unwrap();
            }
            let followed = ["--follow", "--since", "-100000d", "--duration", "150ms"];
            let (command, more): (&str, &[&str]) = match rng.below(6) {
                0 => ("events", &followed),
                1 => ("files", &followed),
                2 => ("libs", &followed),
                3 => ("events", &["--replay-speed", "1e300"]),
                _ => (*rng.pick(&["events", "files", "libs", "profile", "snapshot", "tls", "coverage"]), &["-"]),
            };
            let stream = more == ["-"];
            let stdin = if stream { Stdio::from(File::open(&input).unwrap()) } else { Stdio::null() };
            let mut program = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
            program.arg(command).args(more);
            if !stream {
                program.arg(if more.contains(&"--follow") { captures } else { &input });
            }
            let ended = program.stdin(stdin).output().unwrap();
            let told = String::from_utf8_lossy(&ended.stderr);
            assert!(matches!(ended.status.code(), Some(0 | 1 | 6)), "{command} {more:?}: {:?}: {told}", ended.status);
            assert!(!told.contains("panicked"), "{command} {more:?}: {told}");
        });
    });
}

/// Words for times, dates and globs: what makes no sense is said, and nothing else happens.
#[test]
fn fuzz_words() {
    const WORDS: &[&str] = &[
        "2026-11-22T10:30:45Z",
        "10:30",
        "-10m",
        "2h",
        "now",
        "2026-11-22",
        "1.5s",
        "-9223372036854775808s",
        "+1d",
        "2026-11-22T10:30:45.123456789+14:00",
        "99999999999999999999h",
        "*.pem",
        "/etc/**/x",
        "[a-z]*",
        "{a,b}?",
        "!x",
        "\\",
        "[[:alpha:]]",
        "1x",
        "max",
        "0.1x",
        "1e400x",
        "",
    ];
    const OPTIONS: &[&str] =
        &["--since", "--until", "-F", "-l", "-n", "-p", "--uid", "--replay-speed", "--duration", "--host"];
    run(3_000, |rng| {
        let mut word = rng.pick(WORDS).as_bytes().to_vec();
        mutate(&mut word, rng);
        word.retain(|byte| *byte != 0);
        let word = std::os::unix::ffi::OsStringExt::from_vec(word);
        let option = *rng.pick(OPTIONS);
        let command = *rng.pick(&["events", "files", "snapshot", "tls"]);
        let words: [OsString; 5] = ["crypto-trace-analyze".into(), command.into(), "x".into(), option.into(), word];
        let _ = commands::parse(words).map_err(|error| error.to_string());
    });
}

/// What was found once stays found: inputs are in testdata/fuzz.
#[test]
fn inputs_that_were_found_are_read() {
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/fuzz");
    let Ok(inputs) = std::fs::read_dir(inputs) else { return };
    let (_directory, _, out) = place();
    for input in
        inputs.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "ctseg"))
    {
        RUNS.iter().for_each(|asked| check(&input, &out, *asked));
    }
}
