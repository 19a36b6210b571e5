//! Text of the traced host in every field of every kind of record: nothing of it reaches a terminal as it is, and where home
//! directories are hidden the name of nobody is in any output, whatever the command and the format.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod common;

use common::*;
use crypto_trace_format::record::{
    ApiCallFixed, ApiMeaning, FileChange, FileChangeFixed, FileOpen, FileOpenFixed, Header, LibLoad, LibLoadFixed,
    LibraryInfo, LibraryInfoFixed, ProbeStatus, ProbeStatusFixed, ProcessExec, ProcessExecFixed, ProcessInfo,
    ProcessInfoFixed,
};
use crypto_trace_format::segment::SegmentMeta;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whose name must not be told.
const NAME: &str = "zqzq";

/// What must not be shown as it is: escape, DEL, C1, a line separator, and what turns the direction of text round.
const RAW: [&str; 5] = ["\u{1b}", "\u{7f}", "\u{9b}", "\u{2028}", "\u{202e}"];

const COMMANDS: &[(&str, &[&str])] = &[
    ("events", &["json-stream", "json-array", "json-pretty", "summary"]),
    ("files", &["text", "json", "json-stream", "json-array"]),
    ("libs", &["text", "json", "json-stream"]),
    ("profile", &["text", "json", "json-array", "json-stream"]),
    ("snapshot", &["text", "json", "json-stream"]),
    ("tls", &["text", "json"]),
    ("readiness", &["text", "json"]),
    ("check", &["text", "json", "sarif", "junit"]),
    ("certs", &["text", "json"]),
    ("keys", &["text", "json"]),
    ("algorithms", &["text", "json"]),
    ("coverage", &["text", "json"]),
    ("info", &["text", "json"]),
    ("verify", &["text", "json"]),
];

/// Records with `text` wherever there may be text; `comm` in their headers.
fn records(text: &[u8], comm_text: &[u8], ino: u64) -> Vec<Vec<u8>> {
    let mut tgid = 100 + ino as u32 * 100;
    let mut header = || {
        tgid += 1;
        Header { comm: comm(comm_text), ..header(tgid, "", u64::from(tgid) * 10) }
    };
    let mut all = Vec::new();
    let mut put = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        encode(&mut out);
        all.push(out);
    };
    let first = header();
    let (exe, argv) = (text, [text, b"\0", text, b"\0"].concat());
    let fixed = ProcessExecFixed { ppid: 1, argv_full_len: argv.len() as u32, ..Default::default() };
    put(&|out| {
        ProcessExec { fixed, exe, argv: &argv, cwd: text, cgroup: text, ..Default::default() }.encode(first, out)
    });
    let other = header();
    let fixed = ProcessInfoFixed { ppid: first.tgid, ..Default::default() };
    put(&|out| {
        ProcessInfo { fixed, exe, argv: &argv, cwd: text, cgroup: text, ..Default::default() }.encode(other, out)
    });
    for result in [3, -13] {
        let fixed = FileOpenFixed { result, dfd: -100, call: 2, tier: 3, ..Default::default() };
        put(&|out| FileOpen { fixed, path: text, given: text, ..Default::default() }.encode(first, out));
        put(&|out| FileOpen { fixed, path: b"x.key", dir: text, ..Default::default() }.encode(other, out));
    }
    let fixed = FileChangeFixed { call: 2, tier: 5, ..FileChangeFixed::default() };
    put(&|out| {
        FileChange { fixed, path: text, dir: text, new: text, new_dir: text, ..FileChange::default() }
            .encode(first, out)
    });
    let id = LibLoadFixed { dev: 1, ino, tier: 3, ..Default::default() };
    put(&|out| LibLoad { fixed: id, path: text, ..Default::default() }.encode(first, out));
    put(&|out| LibLoad { fixed: id, path: text, ..Default::default() }.encode(other, out));
    for state in [1, 2] {
        let fixed = ProbeStatusFixed { state, errno: 13, tier: 3, ..Default::default() };
        put(&|out| {
            ProbeStatus { fixed, probe: text, target: text, message: text, ..Default::default() }
                .encode(about_capture(1), out)
        });
        // One that the state of libraries and of the kernel is told by.
        for probe in [&b"api_call"[..], b"kernel_crypto", b"tls_hello"] {
            let target = [b"cgroup_skb ", text].concat();
            put(&|out| {
                ProbeStatus { fixed, probe, target: &target, message: text, ..Default::default() }
                    .encode(about_capture(2), out)
            });
        }
    }
    let fixed = LibraryInfoFixed { dev: 1, ino, state: 1, functions: 3, features: 7, ..Default::default() };
    let info = LibraryInfo {
        fixed,
        path: text,
        family: text,
        version: text,
        build_id: text,
        message: text,
        ..Default::default()
    };
    put(&|out| info.encode(about_capture(3), out));
    for (number, meaning) in (1..32u16).map(ApiMeaning).enumerate() {
        let fixed = ApiCallFixed {
            dev: 1,
            ino,
            meaning: meaning.0,
            count: 1,
            state: 1,
            level: 1,
            fd: 5,
            cookie: 77 + number as u64,
            result: 1,
            ..Default::default()
        };
        all.push(api_call(first, fixed, text, text));
        all.push(api_call(other, ApiCallFixed { ino: 0, dev: 0, level: 3, ..fixed }, text, text));
    }
    all
}

/// A handshake whose client asks for a host of such a name.
fn hello_with(name: &[u8; 9]) -> Vec<Vec<u8>> {
    let mut sent = recorded_tls("openssl12", "client");
    if let Some(at) = sent.windows(9).position(|bytes| bytes == b"localhost") {
        sent[at..at + 9].copy_from_slice(name);
    }
    let owner = Header { comm: comm(b"/home/zqzq\x1b"), ..header(900, "", 90_000) };
    vec![
        hello(owner, socket(5, "10.0.0.1:40000", "10.0.0.2:443", true), &sent),
        hello(owner, socket(5, "10.0.0.1:40000", "10.0.0.2:443", false), &recorded_tls("openssl12", "server")),
    ]
}

fn write(path: &Path) {
    let odd = RAW.concat();
    let mut all = vec![clock(0, WALL_NS)];
    let paths = [
        // Inside of somebody's directory, right below /home, and as a word in a text.
        format!("/home/{NAME}/{odd}.pem"),
        format!("/home/{NAME}"),
        format!("/home/{NAME}.so.3"),
        format!("/home/{NAME}/libssl.so.3"),
        format!("/home/{NAME}{odd}/libfoo.so.1"),
        format!("cannot read /home/{NAME}/x: {odd}"),
    ];
    for (path, number) in paths.iter().zip(1u64..) {
        let comm = if path.ends_with(NAME) { NAME.as_bytes() } else { b"/home/zqzq\x1b\x7f\xc2\x9b" };
        all.extend(records(path.as_bytes(), comm, number));
    }
    all.extend(hello_with(b"\x1b\x7f\xc2\x9b\xe2\x80\xaexy"));
    let meta = SegmentMeta {
        host: format!("host{odd}"),
        kernel: odd.clone(),
        arch: odd.clone(),
        boot_id: odd.clone(),
        tool: odd.clone(),
        filters: vec![format!("-F /home/{NAME}/{odd}")],
        ..meta("host", 7, 0)
    };
    write_segment(path, &meta, &all, 50);
}

/// What a command says on both outputs.
fn said(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze")).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.code().is_some_and(|code| code != 101), "{arguments:?}: {output:?}");
    let told = [output.stdout, b"\nstderr:\n".to_vec(), output.stderr].concat();
    String::from_utf8(told).unwrap()
}

/// What is wrong with what a command says.
fn check(arguments: &[&str], redacted: bool, wrong: &mut Vec<String>) {
    let told = said(arguments);
    let around = |found: &str| {
        told.split(found).next().map(|before| before.chars().rev().take(120).collect::<Vec<_>>()).unwrap_or_default()
    };
    let never = RAW.iter().chain(redacted.then_some(&NAME));
    for found in never.filter(|found| told.contains(**found)) {
        let before: String = around(found).into_iter().rev().collect();
        wrong.push(format!("{arguments:?} shows {found:?} after {before:?}"));
    }
}

#[test]
fn nothing_of_the_traced_host_is_shown_raw_and_no_name_of_a_home_directory() {
    // A directory whose name is odd, too; paths of inputs are the user's own and are not redacted.
    let directory = tempfile::tempdir().unwrap();
    let odd = directory.path().join("a\u{1b}\u{7f}\u{9b}\u{202e}\u{2028}b");
    std::fs::create_dir(&odd).unwrap();
    let path = odd.join("x.ctseg");
    write(&path);
    let torn = odd.join("torn.ctseg");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&torn, &bytes[..bytes.len() - 700]).unwrap();
    let mut wrong = Vec::new();
    for (command, formats) in COMMANDS {
        for format in *formats {
            // What is torn off is told the same way by all.
            let both = [&path, &torn];
            for path in both.into_iter().take(if ["events", "info", "verify"].contains(command) { 2 } else { 1 }) {
                let arguments = [command, path.to_str().unwrap(), "-f", format];
                check(&arguments, true, &mut wrong);
                if *command != "verify" {
                    check(&[&arguments[..], &["--no-redact"]].concat(), false, &mut wrong);
                }
            }
        }
        if !["info", "verify"].contains(command) {
            let path = path.to_str().unwrap();
            check(&[command, path, "-n", "nobody-has-it", "-p", "4"], true, &mut wrong);
            check(&[command, path, "-n", "nobody-has-it", "-p", "4", "--no-redact"], false, &mut wrong);
        }
    }
    for command in ["events", "libs", "profile"] {
        check(&[command, path.to_str().unwrap(), "-l", "nothing-has-it"], true, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
