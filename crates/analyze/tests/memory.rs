//! How much memory the analyzer takes of what a hostile segment of a few MB holds: less than docs/reports.md says, whatever the
//! command and the format.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::print_stderr)]

mod common;

use common::*;
use crypto_trace_format::record::{ApiMeaning, Kind, Record};
use crypto_trace_format::segment::{BlockBuilder, BlockType, SegmentWriter};
use nix::sys::resource::{UsageWho, getrusage};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// MiB, as docs/reports.md has it: rows, and what is counted at a time by two threads.
const BOUND_MIB: i64 = 640;

/// Each command, and its formats.
const COMMANDS: &[(&str, &[&str])] = &[
    ("files", &["text", "json"]),
    ("libs", &["text", "json-stream"]),
    ("profile", &["text", "json"]),
    ("snapshot", &["text", "json"]),
    ("tls", &["json"]),
    ("ssh", &["json"]),
    ("wire", &["text", "json"]),
    ("readiness", &["text", "json"]),
    ("check", &["sarif"]),
    ("certs", &["text", "json"]),
    ("keys", &["text", "json"]),
    ("diff", &["text", "json"]),
    ("algorithms", &["text"]),
    ("coverage", &["json"]),
    ("events", &["json-stream", "json-pretty", "summary"]),
    ("info", &["json"]),
    ("verify", &["text"]),
    // What took most takes the blame for what comes after it: this is the last one.
    ("report", &["html", "json"]),
];

/// MiB that `report` may take, which counts what five other commands do.
const REPORT_MIB: i64 = 1_536;

/// Without optimisation everything takes some twenty times as long: a tenth of the records then, which is less than fits, and few
/// names of files, which are judged letter by letter. `CRYPTO_TRACE_MEMORY_TENTHS=10` makes it as many as with it.
fn tenths() -> usize {
    let told = std::env::var("CRYPTO_TRACE_MEMORY_TENTHS").ok().and_then(|text| text.parse().ok());
    told.unwrap_or(if cfg!(debug_assertions) { 1 } else { 10 })
}

const SHARE: usize = if cfg!(debug_assertions) { 20 } else { 2 };

/// The most memory that any child took, MiB.
fn peak_mib() -> i64 {
    getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss() / 1_024
}

/// Runs every command on a segment, and holds what they take against the bound.
#[track_caller]
fn check(directory: &Path, name: &str, records: impl Iterator<Item = Vec<u8>>) {
    let path = directory.join(format!("{name}.ctseg"));
    let mut writer = SegmentWriter::create(File::create(&path).unwrap(), &meta("hostile", 1, 0), 1).unwrap();
    let new = |sort| BlockBuilder::new(sort, 1 << 20);
    let mut builders = [new(BlockType::Lifecycle), new(BlockType::Events)];
    for bytes in records {
        let header = Record::parse(&bytes).unwrap().header;
        let builder = &mut builders[usize::from(!Kind(header.kind).is_lifecycle())];
        builder.push(&header, &bytes);
        if builder.len_bytes() > 1_000_000 {
            writer.write_block(builder, 0, 0, false).unwrap();
            builder.clear();
        }
    }
    let [lifecycle, events] = &builders;
    writer.write_block(lifecycle, 0, 0, events.is_empty()).unwrap();
    writer.write_block(events, 0, 0, true).unwrap();
    writer.finish().unwrap();
    // Everything that kept events need is kept of processes, connections, libraries and files.
    let part = directory.join("part");
    let mut extract = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    extract.args(["extract", path.to_str().unwrap(), "--uid", "1000", "--threads", "2", "-o"]).arg(&part);
    assert!(extract.stderr(Stdio::null()).status().unwrap().success(), "{name}: extract");
    assert!(peak_mib() < BOUND_MIB, "{name}: extract took {} MiB, and {BOUND_MIB} are stated", peak_mib());
    std::fs::remove_dir_all(part).unwrap();
    let tables = directory.join("tables");
    let mut export = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    export.args(["export", path.to_str().unwrap(), "--threads", "2", "-o"]).arg(&tables);
    assert!(export.stderr(Stdio::null()).status().unwrap().success(), "{name}: export");
    eprintln!("{name}: export: at most {} MiB until now", peak_mib());
    assert!(peak_mib() < BOUND_MIB, "{name}: export took {} MiB, and {BOUND_MIB} are stated", peak_mib());
    std::fs::remove_dir_all(tables).unwrap();
    for (command, formats) in COMMANDS {
        for format in *formats {
            let status = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"))
                .args([command, path.to_str().unwrap(), "-f", format, "--threads", "2"])
                // With itself.
                .args((*command == "diff").then_some(&path))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            assert!(status.success(), "{name}: {command} -f {format}: {status}");
            let peak = peak_mib();
            eprintln!("{name}: {command} -f {format}: at most {peak} MiB until now");
            let bound = if *command == "report" { REPORT_MIB } else { BOUND_MIB };
            assert!(peak < bound, "{name}: {command} -f {format} took {peak} MiB, and {bound} are stated");
        }
    }
    std::fs::remove_file(path).unwrap();
}

/// A name of 4 KB that is no other's.
fn long(directory: &str, number: usize, suffix: &str) -> Vec<u8> {
    // Most of it digits, which are no words: what names say is not what this is about.
    format!("{directory}/{number}/{}/n{suffix}", "0123456789/".repeat(363)).into_bytes()
}

/// 150,000 records with names of 4 KB, 2.5 MB on disk, took `profile` to 2 GB, `libs` to 1.2 and `files` to 0.8. These are more
/// than fit, too.
#[test]
fn unique_names_take_no_more_memory_than_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let processes = (0..3u32).map(|process| exec(header(100 + process, "x", 10), b"/usr/bin/x", b"x\0", 1));
    let records = (0..15_000 * tenths()).map(|number| {
        let header = header(100 + number as u32 % 3, "x", 1_000 + number as u64);
        match number % SHARE {
            0 => open(header, &long("/srv", number, ".pem"), 3),
            _ => load(header, &long("/opt", number, "/libssl.so.3")),
        }
    });
    check(directory.path(), "names", processes.chain(records));
}

/// Of each process little is recorded, but there are very many.
#[test]
fn many_processes_take_no_more_memory_than_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let records = (0..30_000 * tenths()).map(|number| {
        let header = header(100 + number as u32, "x", 1_000 + number as u64);
        match number % 4 {
            0 => load(header, b"/usr/lib/libssl.so.3"),
            _ => open(header, format!("/srv/{number}.pem").as_bytes(), -13),
        }
    });
    check(directory.path(), "processes", records);
}

/// Algorithms of invented names, used by programs of long ones; messages and paths of libraries and probes without an end.
#[test]
fn invented_algorithms_take_no_more_memory_than_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let programs = 50u32;
    let execs = (0..programs)
        .map(|process| exec(header(100 + process, "x", 10), &long("/opt", process as usize, ""), b"x\0", 1));
    let calls = (0..15_000 * tenths()).map(|number| {
        let header = header(100 + number as u32 % programs, "x", 2_000 + number as u64);
        let name = format!("{}-{}", "ALGORITHM".repeat(20), number / programs as usize);
        call(header, b"EVP_CipherInit_ex", ApiMeaning::CIPHER, name.as_bytes(), 1, 0)
    });
    let files = (0..7_000 * tenths()).map(|number| {
        let header = header(100 + number as u32 % programs, "x", 500_000 + number as u64);
        call(header, b"SSL_CTX_use_PrivateKey_file", ApiMeaning::PRIVATE_KEY_FILE, &long("", number, ""), 1, 0)
    });
    let probes = (0..50 * tenths())
        .map(|number| probe(100, format!("probe-{number}").as_bytes(), 2, 1, "no ".repeat(5_000).as_bytes()));
    check(directory.path(), "algorithms", execs.chain(probes).chain(calls).chain(files));
}

/// Software and algorithms of SSH of invented names, shown by hosts without an end.
#[test]
fn invented_names_of_ssh_take_no_more_memory_than_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let string = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
    let packet =
        |kind: u8, body: &[u8]| [&(body.len() as u32 + 6).to_be_bytes()[..], &[4, kind], body, &[0; 4]].concat();
    let said = |number: u64, side: &str| {
        let name = format!("{number}{}", "name".repeat(60));
        let lists: Vec<u8> = (0..8).flat_map(|_| string(name.as_bytes())).chain([0; 8]).collect();
        let line = format!("SSH-2.0-{side}{name}\r\n");
        let key = [string(name.as_bytes()), string(number.to_string().as_bytes())].concat();
        let offer = [&[7; 16][..], &lists, &[0; 5]].concat();
        [line.as_bytes(), &packet(20, &offer), &packet(31, &string(&key)), &packet(21, &[])].concat()
    };
    let records = (0..4_000 * tenths() as u64).flat_map(move |number| {
        let header = header(100 + number as u32, "sshd", 1_000 + 10 * number);
        let remote = format!("10.{}.{}.{}:4000", number >> 16 & 255, number >> 8 & 255, number & 255);
        let fixed = |sent| crypto_trace_format::record::TlsHelloFixed {
            owner: SENDER,
            protocol: 1,
            ..socket(1 + number, "10.0.0.1:22", &remote, sent)
        };
        [hello(header, fixed(true), &said(number, "s")), hello(header, fixed(false), &said(number, "c"))]
    });
    check(directory.path(), "ssh", records);
}
