//! `extract`, through the built program: what it keeps shows as it did in the recording, what must not leave is gone, and what is
//! missing is said.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use crypto_trace_format::record::{ApiMeaning, FileOpen, Header, TlsHello};
use crypto_trace_format::segment::{BlockBuffer, SegmentReader};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_crypto-trace-analyze");

fn run(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).env_remove("COLUMNS").stdin(Stdio::null()).output().unwrap()
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

/// Extracts with these options, and holds what was made to `verify`. What was said on stderr.
fn extract(input: &Path, output: &Path, options: &[&str], code: i32) -> String {
    let args = [&["extract", input.to_str().unwrap(), "-o", output.to_str().unwrap()], options].concat();
    let said = told(&args, code).1;
    told(&["verify", output.to_str().unwrap()], 0);
    said
}

/// Events of all types, as JSON lines.
fn events(input: &Path, options: &[&str]) -> String {
    let all = "process_exec,process_fork,process_exit,process_info,file_open,file_change,lib_load,tls_handshake,api_call,\
               loss,clock,probe_status,self_stats,library_info,inventory,suppressed,certificate_file";
    let types: &[&str] = if options.contains(&"--type") { &[] } else { &["--type", all] };
    told(&[&["events", input.to_str().unwrap(), "--no-redact"], types, options].concat(), 0).0
}

/// The header of every segment of a directory, and all its records.
fn segments(directory: &Path) -> Vec<(Vec<String>, String, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = directory.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let of = |path: PathBuf| {
        let reader = SegmentReader::open(&path).unwrap();
        assert!(reader.is_sealed() && reader.faults().is_empty(), "{path:?}: {:?}", reader.faults());
        let (mut buffer, mut raw) = (BlockBuffer::default(), Vec::new());
        for block in 0..reader.blocks().len() {
            reader.read_block(block, &mut buffer).unwrap();
            raw.extend_from_slice(buffer.raw());
        }
        (reader.meta().filters.clone(), reader.meta().tool.clone(), raw)
    };
    paths.into_iter().map(of).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn captures() -> Vec<PathBuf> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let files = testdata.read_dir().unwrap().map(|entry| entry.unwrap().path().join("capture.ctseg"));
    let mut captures: Vec<PathBuf> = files.filter(|path| path.exists()).collect();
    captures.sort();
    assert!(captures.len() >= 12, "{captures:?}");
    captures
}

#[test]
fn an_extract_of_everything_shows_every_event_of_the_recording_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    for (number, capture) in captures().iter().enumerate() {
        let whole = dir.path().join(number.to_string());
        extract(capture, &whole, &[], 0);
        assert!(events(capture, &[]) == events(&whole, &[]), "{}", capture.display());
        let made = segments(&whole);
        let before = SegmentReader::open(capture).unwrap();
        let after = SegmentReader::open(&whole.read_dir().unwrap().next().unwrap().unwrap().path()).unwrap();
        assert_eq!(made[0].0, before.meta().filters, "nothing is missing");
        assert!(made[0].1.contains(", extracted by crypto-trace-analyze "), "{}", made[0].1);
        let of = |reader: &SegmentReader| {
            let meta = reader.meta();
            (meta.capture_id, meta.sequence, meta.host.clone(), meta.clock, reader.totals().unwrap().records)
        };
        assert_eq!(of(&before), of(&after));
    }
}

#[test]
fn what_was_asked_for_shows_as_in_the_recording_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (mut number, mut shown) = (0, 0);
    for capture in captures() {
        let times: Vec<String> = lines(&["events", capture.to_str().unwrap()])
            .iter()
            .map(|event| event["timestamp"].as_str().unwrap().to_owned())
            .collect();
        let [third, two_thirds] = [1, 2].map(|part| times[times.len() * part / 3].clone());
        let whose: Vec<&[&str]> =
            vec![&["-n", "openssl"], &["-n", "nginx"], &["-n", "workload", "--follow-children"], &["--uid", "0"]];
        let types: Vec<&[&str]> = ["tls_handshake", "file_open,lib_load", "api_call", "process_exec", "file_change"]
            .iter()
            .map(|ty| Box::leak(Box::new(["--type", *ty])) as &[&str])
            .collect();
        let when: Vec<Vec<&str>> = vec![
            vec!["--since", &third],
            vec!["--until", &third],
            vec!["--since", &third, "--until", &two_thirds],
            vec!["--since", &third, "--type", "tls_handshake"],
            vec!["-n", "openssl", "--until", &two_thirds],
        ];
        for options in whose.into_iter().chain(types).chain(when.iter().map(Vec::as_slice)) {
            number += 1;
            let part = dir.path().join(number.to_string());
            extract(&capture, &part, options, 0);
            // What tells of libraries of others stays behind when processes are chosen.
            let (of_recording, of_part) = (events(&capture, options), events(&part, options));
            let others = options.iter().any(|option| ["-n", "--uid"].contains(option));
            let same = |text: &str| {
                let kept = |line: &&str| !others || !line.starts_with("{\"event_type\":\"library_info\"");
                text.lines().filter(kept).map(str::to_owned).collect::<Vec<_>>()
            };
            assert!(same(&of_recording) == same(&of_part), "{} {options:?}", capture.display());
            shown += of_part.lines().count();
            let told = &segments(&part)[0].0;
            let asked = options.windows(2).find(|pair| pair[0] == "--type").map(|pair| pair[1]);
            let label = told.iter().find(|text| text.starts_with("extract --")).unwrap();
            assert!(asked.is_none_or(|ty| label.contains(ty)), "{told:?}");
        }
    }
    assert!(shown > 2_000, "{shown} events compared");
}

/// Two ends of a connection on loopback, of which one was asked for.
fn two_ends() -> Vec<Vec<u8>> {
    let (client, server) = (header(500, "curl", 1_000), header(600, "nginx", 1_000));
    let at = |header: Header, offset| Header { time_ns: BOOT_NS + offset, ..header };
    let (here, there) = ("127.0.0.1:40000", "127.0.0.1:443");
    [
        vec![
            clock(0, WALL_NS),
            probe(1, b"tls_hello", 1, 0, b""),
            exec(header(1, "init", 2), b"/sbin/init", b"init\0", 0),
            exec(header(400, "bash", 100), b"/bin/bash", b"bash\0-c\0secret-of-the-shell\0", 1),
            exec(client, b"/usr/bin/curl", b"curl\0https://secret.example\0", 400),
            exec(server, b"/usr/sbin/nginx", b"nginx\0", 400),
            exec(header(700, "other", 1_000), b"/bin/other", b"other\0--password\0hidden\0", 400),
            library(at(client, 1_500), LIBRARY, b"/lib/libssl.so.3", 1, b""),
            library(header(700, "other", 1_600), (1, 5), b"/opt/other/libssl.so.3", 1, b""),
            open(header(700, "other", 2_000), b"/etc/other.key", 3),
            open(at(server, 2_100), b"/etc/nginx/site.dat", 3),
            call(
                at(server, 2_200),
                b"SSL_CTX_use_PrivateKey_file",
                ApiMeaning::PRIVATE_KEY_FILE,
                b"/etc/nginx/site.dat",
                1,
                0,
            ),
            call(
                at(server, 2_300),
                b"SSL_CTX_use_PrivateKey_file",
                ApiMeaning::PRIVATE_KEY_FILE,
                b"/etc/nginx/else.dat",
                1,
                0,
            ),
        ],
        handshake(at(client, 3_000), "openssl13", 71, (here, there), true),
        handshake(at(server, 3_500), "openssl13", 72, (there, here), false),
        vec![
            call(at(client, 9_000), b"SSL_do_handshake", ApiMeaning::HANDSHAKE, b"", 1, 71),
            call(at(server, 9_000), b"SSL_do_handshake", ApiMeaning::HANDSHAKE, b"", 1, 72),
            suppressed(header(700, "other", 9_500), FileOpen::KIND, 3, 5),
            exit(at(client, 10_000), 0),
        ],
    ]
    .concat()
}

fn written(directory: &Path, records: &[Vec<u8>]) -> PathBuf {
    let path = directory.join("a.ctseg");
    write_segment(&path, &meta("web1", 1, 0), records, 4);
    path
}

#[test]
fn the_other_end_of_a_connection_is_told_and_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (path, part) = (written(dir.path(), &two_ends()), dir.path().join("part"));
    let ends = events(&path, &["--type", "tls_handshake"]);
    assert_eq!(ends.lines().count(), 2, "{ends}");
    extract(&path, &part, &["-n", "nginx", "--type", "tls_handshake"], 0);
    let shown = events(&part, &["--type", "tls_handshake"]);
    assert_eq!(shown, events(&path, &["-n", "nginx", "--type", "tls_handshake"]));
    assert!(shown.contains("\"peer\":{\"pid\":500,\"process\":\"curl\"") && shown.contains("\"api_result\":\"ok\""));
    let summary = |path: &Path, options: &[&str]| {
        let text = told(&[&["tls", path.to_str().unwrap(), "-f", "json"], options].concat(), 0).0;
        let mut document: Value = serde_json::from_str(&text).unwrap();
        // There it says that it is a part.
        document["missing"].take();
        document
    };
    let of_part = summary(&part, &[]);
    assert_eq!(of_part, summary(&path, &["-n", "nginx"]));
    assert_eq!(of_part["handshakes"], 1, "{of_part}");
}

#[test]
fn what_is_of_other_processes_stays_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (path, part) = (written(dir.path(), &two_ends()), dir.path().join("part"));
    extract(&path, &part, &["-n", "nginx", "--type", "file_open"], 0);
    let raw = &segments(&part)[0].2;
    for gone in [&b"hidden"[..], b"other.key", b"secret.example", b"/opt/other", b"else.dat", b"/usr/bin/curl"] {
        assert!(!contains(raw, gone), "{}", gone.escape_ascii());
    }
    // Its ancestors tell who started it, and a call what the file holds.
    for kept in [&b"/sbin/init"[..], b"/bin/bash", b"nginx", b"SSL_CTX_use_PrivateKey_file"] {
        assert!(contains(raw, kept), "{}", kept.escape_ascii());
    }
    let shown = events(&part, &["--type", "file_open"]);
    assert_eq!(shown, events(&path, &["-n", "nginx", "--type", "file_open"]));
    assert!(shown.contains("\"file_type\":\"private_key\""), "{shown}");
    let (_, said) = told(&["events", part.to_str().unwrap()], 0);
    assert!(said.contains("5 file_open of user 1000 withheld"), "{said}");
}

#[test]
fn names_addresses_and_arguments_do_not_leave() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = two_ends();
    let outside = handshake(header(500, "curl", 20_000), "openssl12", 73, ("10.1.2.3:40001", "192.0.2.7:443"), true);
    records.extend(outside);
    records.push(call(header(500, "curl", 21_000), b"SSL_ctrl", ApiMeaning::SERVER_NAME, b"inner.example", 1, 73));
    let path = written(dir.path(), &records);
    let before = lines(&["events", path.to_str().unwrap(), "--type", "tls_handshake"]);
    let name = before[2]["server_name"].as_str().unwrap().to_owned();
    for how in ["hash", "drop"] {
        let part = dir.path().join(how);
        extract(&path, &part, &["--privacy", how, "--argv", "exe"], 0);
        let (filters, _, raw) = segments(&part).remove(0);
        assert_eq!(filters, [format!("--privacy {how}"), "--argv exe".to_owned()]);
        let addresses = [&[10, 1, 2, 3][..], &[192, 0, 2, 7]];
        for gone in [name.as_bytes(), b"inner.example", b"secret", b"hidden"].into_iter().chain(addresses) {
            assert!(!contains(&raw, gone), "--privacy {how}: {}", gone.escape_ascii());
        }
        let after = lines(&["events", part.to_str().unwrap(), "--type", "tls_handshake"]);
        assert_eq!(after.len(), before.len());
        for (after, before) in after.iter().zip(&before) {
            for same in ["timestamp", "pid", "exe", "version", "cipher_suite", "remote_port", "api_result"] {
                assert_eq!(after[same], before[same], "{same}");
            }
            assert_ne!(after["server_name"], before["server_name"]);
        }
        assert_eq!(after[0]["server_name"], after[1]["server_name"], "one pseudonym for one name");
        assert_eq!(after[0]["remote_address"], "127.0.0.1");
        assert!(told(&["coverage", part.to_str().unwrap()], 0).0.contains(&format!("--privacy {how}")));
        // What is gone does not come back, and is not said to.
        let again = dir.path().join(format!("{how}-again"));
        extract(&part, &again, &[], 0);
        assert_eq!(segments(&again)[0].0, filters);
    }
    let none = dir.path().join("none");
    extract(&path, &none, &["--argv", "none"], 0);
    let cmdlines = lines(&["events", none.to_str().unwrap(), "--type", "process_exec"]);
    assert!(cmdlines.iter().all(|event| event["cmdline"].is_null()), "{cmdlines:?}");
}

#[test]
fn damage_costs_what_is_damaged_and_is_said_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), &two_ends());
    let whole = events(&path, &[]);
    let reader = SegmentReader::open(&path).unwrap();
    let block = reader.blocks().iter().find(|block| block.header.kinds & FileOpen::KIND.bit() != 0).unwrap();
    let lost = block.header.record_count;
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[usize::try_from(block.payload_offset).unwrap() + 20] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let part = dir.path().join("part");
    let said = extract(&path, &part, &[], 6);
    assert!(said.contains(&format!("bad checksum, {lost} records lost")), "{said}");
    let shown = events(&part, &[]);
    let of_recording = |line: &&str| whole.contains(*line);
    let (kept, new): (Vec<&str>, Vec<&str>) = shown.lines().partition(of_recording);
    assert!(kept.len() + 1 >= events(&path, &[]).lines().count(), "as much as can be read");
    assert!(new.iter().any(|line| line.contains("\"cause\":\"damaged\"")), "{new:?}");
    for path in [part.clone(), dir.path().join("again")] {
        if !path.exists() {
            extract(&part, &path, &[], 0);
        }
        let label = format!("extract of damaged segments, {lost} records known to be lost");
        assert!(segments(&path)[0].0.contains(&label), "{:?}", segments(&path)[0].0);
        let (_, said) = told(&["events", path.to_str().unwrap()], 0);
        assert!(said.contains(&format!("{lost} records of any type dropped (damaged)")), "{said}");
        let (check, _) = told(&["check", path.to_str().unwrap(), "--pack", "ietf"], 0);
        assert!(check.contains("extract of damaged segments"), "{check}");
    }
    // The end is missing, and with it nobody knows how much.
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let cut = dir.path().join("cut");
    let said = extract(&path, &cut, &[], 6);
    assert!(said.contains("no footer"), "{said}");
    assert!(segments(&cut)[0].0.iter().any(|text| text.starts_with("extract of damaged segments")));
    // Nothing at all.
    std::fs::write(&path, bytes[..300].repeat(3)).unwrap();
    let nothing = dir.path().join("nothing");
    let output = run(&["extract", path.to_str().unwrap(), "-o", nothing.to_str().unwrap()]);
    assert!(output.status.code() == Some(1) && !nothing.exists(), "{output:?}");
}

#[test]
fn an_extract_is_never_taken_for_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (path, part) = (written(dir.path(), &two_ends()), dir.path().join("part"));
    extract(&path, &part, &["-p", "600", "--type", "tls_handshake"], 0);
    let part = part.to_str().unwrap();
    let label = "extract --pid 600 --type tls_handshake";
    for command in [&["coverage", part][..], &["tls", part], &["info", part], &["check", part, "--pack", "ietf"]] {
        let (text, _) = told(command, 0);
        assert!(text.contains(label) || command[0] == "tls", "{command:?}\n{text}");
    }
    for command in ["events", "tls", "files", "summary"] {
        let args =
            if command == "summary" { vec!["events", part, "-q", "-f", "summary"] } else { vec![command, part, "-q"] };
        let (_, said) = told(&args, 0);
        let warning =
            format!("WARNING: only a part of what was recorded is here ({label}): nothing is known of the rest");
        assert!(said.contains(&warning), "{command}: {said}");
    }
    let check: Value = serde_json::from_str(&told(&["check", part, "--pack", "ietf", "-f", "json"], 0).0).unwrap();
    let rows = check["packs"][0]["rules"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["verdict"] == "unknown"), "{rows:?}");
    // An older reader knows no such option, and takes what it does not know for one that restricts.
    let meta = SegmentReader::open(&Path::new(part).read_dir().unwrap().next().unwrap().unwrap().path()).unwrap();
    assert_eq!(meta.meta().options().1, [label]);
}

#[test]
fn a_directory_that_is_not_empty_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), &two_ends());
    let (_, said) = told(&["extract", path.to_str().unwrap(), "-o", dir.path().to_str().unwrap()], 1);
    assert!(said.contains("cannot be written: the directory is not empty"), "{said}");
    let (_, said) = told(&["extract", path.to_str().unwrap(), "-o", path.to_str().unwrap()], 1);
    assert!(said.contains("cannot be written"), "{said}");
    assert_eq!(dir.path().read_dir().unwrap().count(), 1);
}

#[test]
fn a_full_disk_leaves_nothing_that_passes_for_a_recording() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("busy.ctseg");
    write_segment(&path, &meta("web1", 1, 0), &busy_host(20_000, 8, 500), u32::MAX);
    for (made, output) in [(true, dir.path().join("empty")), (false, dir.path().join("new"))] {
        if made {
            std::fs::create_dir(&output).unwrap();
        }
        // No file may be longer than 16 blocks of a half or a whole KiB; the error is that of a full disk but for its number.
        let script = "trap '' XFSZ; ulimit -f 16; exec \"$@\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh", PROGRAM, "extract"]).arg(&path).arg("-o").arg(&output);
        let done = shell.output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("{}: cannot be written: ", output.display())), "{said}");
        assert_eq!(output.exists(), made);
        assert!(!made || output.read_dir().unwrap().next().is_none());
    }
}

#[test]
fn segments_outside_of_the_time_stay_behind_but_not_what_their_events_need() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("rec");
    std::fs::create_dir(&input).unwrap();
    const SECOND: u64 = 1_000_000_000;
    let curl = |at| header(500, "curl", at);
    let info = |at| info(curl(at), b"/usr/bin/curl", b"curl\0as it calls itself\0", b"/", 1);
    let second = |n: u64| n * SECOND;
    let records = [
        vec![
            exec(header(900, "gone", 5), b"/bin/gone", b"gone\0", 1),
            exec(curl(10), b"/usr/bin/curl", b"curl\0x\0", 1),
        ],
        vec![info(second(1)), open(header(900, "gone", second(1)), b"/a.key", 3)],
        vec![info(second(2)), open(curl(second(2) + 5), b"/b.key", 3)],
        vec![info(second(3)), open(curl(second(3) + 5), b"/c.key", 3)],
        vec![info(second(4)), open(curl(second(4) + 5), b"/d.key", 3)],
    ];
    for (sequence, records) in (0u64..).zip(records) {
        let at = sequence * SECOND;
        let mut meta = meta("web1", 1, sequence);
        meta.clock.boottime_ns += at;
        meta.clock.realtime_ns += i64::try_from(at).unwrap();
        let records = [vec![clock(at, meta.clock.realtime_ns)], records].concat();
        write_segment(&input.join(format!("{sequence}.ctseg")), &meta, &records, u32::MAX);
    }
    let part = dir.path().join("part");
    let options = ["--since", "2026-11-22T10:30:03Z", "--until", "2026-11-22T10:30:04Z"];
    extract(&input, &part, &options, 0);
    let shown = events(&part, &options);
    assert_eq!(shown, events(&input, &options));
    assert!(shown.contains("/c.key") && !shown.contains("/b.key"), "{shown}");
    let raw: Vec<Vec<u8>> = segments(&part).into_iter().map(|(.., raw)| raw).collect();
    // 0 has the exec, 2 the look at /proc and the clock before, 1 the look at /proc; 4 is after the time.
    assert_eq!(raw.len(), 4);
    assert!(!raw.iter().any(|raw| contains(raw, b"gone") || contains(raw, b"b.key") || contains(raw, b"d.key")));
    let label = "extract --since 2026-11-22T10:30:03.000000Z --until 2026-11-22T10:30:04.000000Z";
    assert!(segments(&part).iter().all(|(filters, ..)| filters == &[label]));
}

#[test]
fn what_is_still_written_and_what_is_gone_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("rec");
    std::fs::create_dir(&input).unwrap();
    let bytes = segment(&meta("web1", 1, 0), &two_ends(), 4);
    // As of a recorder that is in the middle of a block.
    std::fs::write(input.join("a.ctseg.open"), &bytes[..bytes.len() * 3 / 4]).unwrap();
    let part = dir.path().join("part");
    let said = extract(&input, &part, &[], 0);
    assert!(said.contains("note:") && said.contains("torn tail"), "{said}");
    assert_eq!(events(&part, &[]), events(&input, &[]));
    // One that retention has deleted since the directory was listed.
    std::os::unix::fs::symlink(dir.path().join("deleted"), input.join("b.ctseg")).unwrap();
    let part = dir.path().join("without");
    let said = extract(&input, &part, &[], 6);
    assert!(said.contains("b.ctseg: No such file or directory"), "{said}");
    assert_eq!(segments(&part)[0].0, ["extract without 1 segment that could not be read"]);
}

#[test]
fn what_nobody_knows_leaves_only_with_everything() {
    let dir = tempfile::tempdir().unwrap();
    let mut strange = open(header(500, "curl", 2_500), b"/secret-of-a-later-version", 3);
    strange[4] = 14;
    let path = written(dir.path(), &[two_ends(), vec![strange]].concat());
    let all = dir.path().join("all");
    extract(&path, &all, &[], 0);
    assert!(contains(&segments(&all)[0].2, b"later-version"));
    for (name, options) in [("private", ["--privacy", "drop"]), ("some", ["-n", "curl"]), ("argv", ["--argv", "none"])]
    {
        let part = dir.path().join(name);
        let said = extract(&path, &part, &options, 0);
        assert!(said.contains("1 record left out: kinds unknown to this version"), "{said}");
        let (filters, _, raw) = segments(&part).remove(0);
        assert!(!contains(&raw, b"later-version"));
        assert!(filters.iter().any(|text| text.starts_with("extract without 1 record unknown to")), "{filters:?}");
    }
}

#[test]
fn only_the_hosts_that_were_asked_for_leave() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("rec");
    std::fs::create_dir(&input).unwrap();
    for (id, host) in [(1, "web1.example"), (2, "db1.example"), (3, "web1.example")] {
        let path = input.join(format!("{id}.ctseg"));
        write_segment(&path, &meta(host, id, 0), &two_ends(), u32::MAX);
    }
    let part = dir.path().join("part");
    extract(&input, &part, &["--host", "web1"], 0);
    assert_eq!(segments(&part).len(), 2);
    assert_eq!(events(&part, &[]), events(&input, &["--host", "web1"]));
    let none = dir.path().join("none");
    let args = ["extract", input.to_str().unwrap(), "-o", none.to_str().unwrap(), "--host", "web2"];
    assert!(told(&args, 1).1.contains("nothing from host web2") && !none.exists());
    let nobody = dir.path().join("nobody");
    assert!(extract(&input, &nobody, &["-n", "nobody"], 0).contains("no event is among what was asked for"));
    assert!(!segments(&nobody).iter().any(|(.., raw)| contains(raw, b"curl") && !contains(raw, b"other")));
    assert_eq!(events(&nobody, &["--type", TlsHello::KIND.event_type()]), "");
}
