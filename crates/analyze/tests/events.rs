//! Events as users get them, from synthetic segments through the built program.
#![allow(clippy::unwrap_used)]

mod common;

use common::everything::*;
use common::*;
use crypto_trace_analyze::event::schema;
use crypto_trace_format::record::flags;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn analyze(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    command.args(args).env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    analyze(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The events of `path`, parsed.
fn events(path: &Path, args: &[&str]) -> Vec<Value> {
    let path = path.to_str().unwrap();
    let output = run(&[&["events", path], args].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn everything_in(dir: &Path) -> PathBuf {
    let path = dir.join("a.ctseg");
    write_segment(&path, &meta("web1", 1, 0), &one_of_everything(), u32::MAX);
    path
}

const ALL: &str = "process_exec,process_fork,process_exit,process_info,file_open,file_change,lib_load,tls_handshake,api_call,\
    loss,clock,probe_status,self_stats,library_info,inventory,suppressed,certificate_file";

#[test]
fn every_kind_keeps_to_the_schema_and_the_schema_to_the_docs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.ctseg");
    let records = [one_of_everything(), tls_of_all_sorts(), ssh_of_all_sorts(), calls_of_all_sorts()].concat();
    write_segment(&path, &meta("web1", 1, 0), &records, u32::MAX);
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for args in [&["--type", ALL][..], &["--type", ALL, "--no-redact"]] {
        for event in events(&path, args) {
            let errors: Vec<String> = validator.iter_errors(&event).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{event:#}\n{errors:#?}");
            kinds.insert(event["event_type"].as_str().unwrap().to_owned());
        }
    }
    let expected = ALL.split(',').map(str::to_owned).collect();
    assert_eq!(kinds, expected);
    // Every member of the schema is there in one of them, or of what was recorded of QUIC.
    let quic = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/quic-aioquic/capture.ctseg");
    for kind in ["file_change", "tls_handshake", "api_call", "library_info", "certificate_file"] {
        let mut shown = events(&path, &["--type", kind]);
        shown.extend(events(&quic, &["--type", kind]));
        for name in schema["$defs"][kind]["properties"].as_object().unwrap().keys() {
            assert!(shown.iter().any(|event| !event[name].is_null()) || name == "container", "{kind}: no {name}");
        }
    }
    assert_eq!(stdout(&run(&["schema"])), crypto_trace_analyze::event::schema());

    let docs = include_str!("../../../docs/events.md");
    let mut names = Vec::new();
    property_names(&schema, &mut names);
    assert!(names.len() > 50);
    for name in names {
        assert!(docs.contains(&format!("`{name}`")), "docs/events.md does not tell of `{name}`");
    }
    let mut broken = events(&path, &["--type", "file_open"]).remove(0);
    broken["surprise"] = Value::Bool(true);
    assert!(!validator.is_valid(&broken), "the schema must refuse what it does not know");
}

fn property_names(schema: &Value, names: &mut Vec<String>) {
    if let Some(object) = schema.as_object() {
        if let Some(properties) = object.get("properties").and_then(Value::as_object) {
            names.extend(properties.keys().cloned());
        }
        object.values().for_each(|value| property_names(value, names));
    }
}

#[test]
fn events_say_what_happened() {
    let dir = tempfile::tempdir().unwrap();
    let path = everything_in(dir.path());
    let shown = events(&path, &[]);
    let kinds: Vec<&str> = shown.iter().map(|event| event["event_type"].as_str().unwrap()).collect();
    let expected = "process_exec lib_load lib_load file_open file_open file_open file_open file_change file_change file_change \
         file_change loss suppressed process_exit process_exit";
    assert_eq!(kinds.join(" "), expected);

    let open = &shown[3];
    let expected: Value = serde_json::from_str(
        r#"{"event_type":"file_open","timestamp":"2026-11-22T10:30:00.000004Z","host":"web1","pid":500,"tid":500,"uid":1000,
        "gid":1000,"process":"nginx","exe":"/usr/sbin/nginx","cmdline":"nginx -c /home/USER/nginx.conf","ppid":1,
        "parent":"systemd","container":null,"file":"/etc/ssl/certs/server.crt","file_type":"certificate",
        "file_type_confidence":"high","file_type_by":"suffix",
        "flags":"O_RDONLY|O_CLOEXEC","result":3,"device":"8:1","inode":4711,"inode_mode":"100640","syscall":"openat",
        "tier":"raw_tracepoint"}"#,
    )
    .unwrap();
    assert_eq!(*open, expected);

    let denied = &shown[4];
    assert_eq!(
        (&denied["file"], &denied["result"], &denied["error"]),
        (&"/home/ROOT/.ssh/id_ed25519".into(), &(-13).into(), &"EACCES".into())
    );
    // It was forked from nginx, and never exec'd.
    assert_eq!(
        (&denied["exe"], &denied["ppid"], &denied["parent"]),
        (&"/usr/sbin/nginx".into(), &500.into(), &"nginx".into())
    );
    assert!(denied.get("inode").is_none());

    let missing = &shown[5];
    assert_eq!(
        (&missing["file"], &missing["file_given"]),
        (&"/home/USER/tls/missing.key".into(), &"missing.key".into())
    );
    assert_eq!((&missing["directory"], &missing["mode"]), (&"/home/USER/tls".into(), &"0600".into()));
    assert_eq!(missing["flags"], "O_WRONLY|O_CREAT");

    assert_eq!(shown[6]["file_given"], "../USER/keys/tls.key");
    assert_eq!(shown[6]["resolve"], "0x8");
    assert_eq!((&shown[1]["library_name"], &shown[1]["soname_version"]), (&"OpenSSL".into(), &"3".into()));
    assert_eq!((&shown[2]["library_name"], &shown[2]["soname_version"]), (&Value::Null, &Value::Null));
    assert!(shown[1..3].iter().all(|load| load["version"].is_null()), "the capture did not look into them");
    assert_eq!(
        (&shown[11]["count"], &shown[11]["lost_kind"], &shown[11]["class"]),
        (&12.into(), &"file_open".into(), &"lost".into())
    );
    assert_eq!(
        (&shown[13]["exit_code"], &shown[13]["signal"], &shown[13]["core_dumped"]),
        (&Value::Null, &"SIGKILL".into(), &true.into())
    );
    assert_eq!(
        (&shown[14]["exit_code"], &shown[14]["signal"], &shown[14]["duration_ms"]),
        (&3.into(), &Value::Null, &18.into())
    );

    let plain = events(&path, &["--no-redact", "--type", "file_open"]);
    assert_eq!(plain[1]["file"], "/root/.ssh/id_ed25519");
    assert_eq!(plain[3]["file_given"], "../bob/keys/tls.key");
    assert_eq!(plain[0]["cmdline"], "nginx -c /home/alice/nginx.conf");
}

#[test]
fn loss_and_failed_probes_are_always_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = everything_in(dir.path());
    let output = run(&["events", path.to_str().unwrap(), "-q", "-p", "12345"]);
    assert!(output.status.success());
    let told = stderr(&output);
    assert!(told.contains("12 file_open lost (ring_full)"), "{told}");
    assert!(told.contains("probe api_call on raw_tp:sys_exit failed: EACCES: no\\nuprobes"), "{told}");
    let summary = stdout(&run(&["events", path.to_str().unwrap(), "-f", "summary"]));
    assert!(summary.contains("NO: 12 file_open lost"), "{summary}");
}

#[test]
fn filters() {
    let dir = tempfile::tempdir().unwrap();
    let path = everything_in(dir.path());
    let check = |args: &str, expected: &[&str]| {
        let args: Vec<&str> = args.split_whitespace().collect();
        let shown = events(&path, &args);
        let found: Vec<String> = shown
            .iter()
            .filter(|event| event["event_type"] != "loss" && event["event_type"] != "suppressed")
            .map(|event| {
                let what =
                    ["file", "library", "signal", "exit_code", "exe"].iter().find_map(|key| event[*key].as_str());
                let what = what.unwrap_or_default().rsplit('/').next().unwrap_or_default();
                format!("{}:{what}", event["event_type"].as_str().unwrap().trim_start_matches("process_"))
            })
            .collect();
        assert_eq!(found, expected, "{args:?}");
    };
    check("-p 501", &["file_open:id_ed25519", "file_change:tls.key", "file_change:tls.key", "exit:SIGKILL"]);
    check("-p 500 --type file_open", &["file_open:server.crt", "file_open:missing.key", "file_open:tls.key"]);
    check(
        "-p 500 --follow-children --result failed --type file_open",
        &["file_open:id_ed25519", "file_open:missing.key"],
    );
    check(
        "-n ngin --type file_open",
        &["file_open:server.crt", "file_open:id_ed25519", "file_open:missing.key", "file_open:tls.key"],
    );
    check("-n NGINX", &[]);
    check("-F *.{crt,pem}", &["file_open:server.crt", "file_change:cert.pem"]);
    check(
        "-F /home/alice/**",
        &["file_open:missing.key", "file_change:tls.tmp", "file_change:tls.key", "file_change:tls.key"],
    );
    // By either of its names.
    check("-F tls.tmp", &["file_change:tls.tmp"]);
    check("-p 500 -F tls.key --type file_change", &["file_change:tls.tmp"]);
    check("-F /home/USER/**", &[]);
    check("-F id_*", &["file_open:id_ed25519"]);
    check("-l libssl", &["lib_load:libssl.so.3"]);
    check("-l OpenSSL -l foo", &["lib_load:libssl.so.3", "lib_load:libfoo.so"]);
    check("--uid 0", &[]);
    check("--uid 1000 --type process_exec", &["exec:nginx"]);
    check(
        "--cgroup user.slice --type process_exec,lib_load",
        &["exec:nginx", "lib_load:libssl.so.3", "lib_load:libfoo.so"],
    );
    check("--container 0123456 --type process_info", &["info:dockerd"]);
    check("--container 123456 --type process_info", &[]);
    check("--since 2026-11-22T10:30:00.000008Z", &["exit:SIGKILL", "exit:nginx"]);
    check("--until 2026-11-22T10:30:00.000003Z", &["exec:nginx"]);
    check("--since 10:30 --until 10:30 --type file_open", &[]);
    check(
        "--result failed",
        &["file_open:id_ed25519", "file_open:missing.key", "file_change:cert.pem", "exit:SIGKILL", "exit:nginx"],
    );
}

/// A capture over several segments, with a clock step and two hosts.
fn two_hosts(dir: &Path) {
    let records = busy_host(6_000, 40, 300);
    let (first, second) = records.split_at(3_500);
    write_segment(&dir.join("a-0.ctseg"), &meta("a", 1, 0), first, 97);
    let mut second = second.to_vec();
    second.insert(500, clock(3_000_000, WALL_NS - 2_000_000));
    write_segment(&dir.join("a-1.ctseg"), &meta("a", 1, 1), &second, 61);
    write_segment(&dir.join("b-0.ctseg"), &meta("b", 2, 0), &busy_host(3_000, 10, 50), 250);
}

#[test]
fn output_is_the_same_for_any_number_of_threads_and_order_of_inputs() {
    let dir = tempfile::tempdir().unwrap();
    two_hosts(dir.path());
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (a0, a1, b0) = (file("a-0.ctseg"), file("a-1.ctseg"), file("b-0.ctseg"));
    for format in ["json-stream", "json-array", "json-pretty", "summary"] {
        let whole = run(&["events", dir.path().to_str().unwrap(), "-f", format, "--threads", "1"]);
        assert!(whole.status.success(), "{}", stderr(&whole));
        assert!(whole.stdout.len() > 500);
        for threads in ["2", "4"] {
            let other = run(&["events", &b0, &a1, &a0, "-f", format, "--threads", threads]);
            assert!(other.stdout == whole.stdout, "{format} differs with {threads} threads");
        }
    }
    let lines = stdout(&run(&["events", dir.path().to_str().unwrap()]));
    let times: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["timestamp"].as_str().unwrap().to_owned())
        .collect();
    assert!(times.is_sorted(), "events of two hosts are merged by time");
    assert!(times.len() > 9_000);
}

#[test]
fn formats_hold_the_same_events() {
    let dir = tempfile::tempdir().unwrap();
    let path = everything_in(dir.path());
    let expected = events(&path, &[]);
    for format in ["json-array", "json-pretty"] {
        let output = run(&["events", path.to_str().unwrap(), "-f", format]);
        let array: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(array, expected, "{format}");
        let none = run(&["events", path.to_str().unwrap(), "-f", format, "--type", "file_open", "-p", "1"]);
        assert_eq!(serde_json::from_slice::<Value>(&none.stdout).unwrap(), Value::Array(Vec::new()), "{format}");
    }
}

#[test]
fn a_stream_shows_what_its_file_shows() {
    let dir = tempfile::tempdir().unwrap();
    let path = everything_in(dir.path());
    for format in ["json-stream", "summary"] {
        let mut live = analyze(&["events", "-", "-f", format]);
        let live = live.stdin(std::fs::File::open(&path).unwrap()).output().unwrap();
        assert!(live.status.success(), "{}", stderr(&live));
        assert_eq!(stdout(&live), stdout(&run(&["events", path.to_str().unwrap(), "-f", format])), "{format}");
    }
}

#[test]
fn hostile_names_come_out_safe_and_reversible() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ctseg");
    let names: [&[u8]; 4] = [
        b"/tmp/a\n\x1b[31mred.pem",
        b"/tmp/\xff\\x.pem",
        "/tmp/\u{202e}gpj.\u{9b}pem".as_bytes(),
        b"/tmp/\"quote\".pem",
    ];
    let mut records = vec![exec(header(7, "\u{1b}]0;x", 1), b"/tmp/\xfe\n", b"a\xff\0b\\\0c\0", 1)];
    records.extend(names.iter().enumerate().map(|(i, name)| open(header(7, "\u{1b}]0;x", 10 + i as u64), name, 3)));
    records.push(load(header(7, "x", 50), b"/tmp/libssl.so.\x07\xff"));
    write_segment(&path, &meta("h\u{1b}[2J", 1, 0), &records, u32::MAX);
    for format in ["json-stream", "json-array", "json-pretty", "summary"] {
        let output = run(&["events", path.to_str().unwrap(), "-f", format]);
        let text = stdout(&output) + &stderr(&output);
        let raw = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(raw, None, "{format} lets {raw:?} through");
    }
    let shown = events(&path, &[]);
    for (event, name) in shown[1..5].iter().zip(names) {
        let text = event["file"].as_str().unwrap();
        let escaped = event["escaped"].as_array().is_some_and(|fields| fields.contains(&"file".into()));
        let back = if escaped { crypto_trace_analyze::words::escape::unescape(text) } else { text.as_bytes().to_vec() };
        assert_eq!(back, name);
    }
    let argv: Vec<Vec<u8>> = shown[0]["argv"]
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| crypto_trace_analyze::words::escape::unescape(argument.as_str().unwrap()))
        .collect();
    assert_eq!(argv, [&b"a\xff"[..], b"b\\", b"c"]);
    assert!(shown[0]["escaped"].as_array().unwrap().contains(&"argv".into()));
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(shown.iter().all(|event| validator.is_valid(event)));
}

#[test]
fn notes_tell_what_flags_say() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ctseg");
    let header = header(7, "x", 1);
    let flags = flags::TRUNCATED | flags::UNLINKED | 1 << 15;
    write_segment(
        &path,
        &meta("h", 1, 0),
        &[open(crypto_trace_format::record::Header { flags, ..header }, b"/a.pem", 3)],
        9,
    );
    let shown = events(&path, &[]);
    assert_eq!(shown[0]["notes"], serde_json::json!(["truncated", "unlinked", "flags_0x8000"]));
}

#[test]
fn verbose_tells_counts() {
    let dir = tempfile::tempdir().unwrap();
    let path = everything_in(dir.path());
    let told = stderr(&run(&["events", path.to_str().unwrap(), "-v", "--type", "lib_load"]));
    for line in ["Events processed: 25", "Events filtered: 23", "Events output: 2", "Rate: "] {
        assert!(told.contains(line), "{line} not in {told}");
    }
}

/// Many blocks whose times all overlap: what a hostile capture would do to make a merge hold everything at once.
#[test]
fn overlapping_blocks_come_out_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ctseg");
    let mut records = Vec::new();
    for block in 0..200u64 {
        records.push(open(header(7, "x", block), b"/etc/first.pem", 3));
        records.push(open(header(7, "x", 1_000_000 - block), b"/etc/last.pem", 3));
    }
    write_segment(&path, &meta("h", 1, 0), &records, 2);
    let times: Vec<Value> = events(&path, &[]).into_iter().map(|event| event["timestamp"].clone()).collect();
    assert_eq!(times.len(), 400);
    assert!(times.iter().map(|time| time.as_str().unwrap()).is_sorted());
}

#[test]
fn a_time_filter_spares_the_blocks_outside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ctseg");
    let bytes = segment(&meta("h", 1, 0), &busy_host(10_000, 4, 100), 500);
    std::fs::write(&path, &bytes).unwrap();
    // Damage in the middle of the file is noticed by a run over everything, and not by one over the end alone.
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 0xff;
    std::fs::write(&path, damaged).unwrap();
    let path = path.to_str().unwrap();
    let all = run(&["events", path, "--threads", "2"]);
    assert!(stderr(&all).contains("known to be lost"), "{}", stderr(&all));
    let end = run(&["events", path, "--since", "-1ms", "-v"]);
    assert!(!stderr(&end).contains("known to be lost"), "{}", stderr(&end));
    let pid = run(&["events", path, "--since", "-1ms", "-p", "99999", "-v"]);
    assert!(stderr(&pid).contains("Events output: 0"));
    assert!(stdout(&end).lines().count() > 900);
}

#[test]
fn overlapping_blocks_beyond_the_limit_are_told_and_do_not_depend_on_threads() {
    use crypto_trace_analyze::event::RenderOptions;
    use crypto_trace_analyze::format::JsonStream;
    use crypto_trace_analyze::read::faults::FaultLog;
    use crypto_trace_analyze::read::{Fold, OrderedOutput, Plan, TextSink, read_captures};
    use crypto_trace_analyze::select::Filter;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ctseg");
    let mut records = Vec::new();
    for block in 0..300u64 {
        records.push(open(header(7, "x", block), b"/etc/first.pem", 3));
        records.push(open(header(7, "x", 1_000_000 - block), b"/etc/last.pem", 3));
    }
    write_segment(&path, &meta("h", 1, 0), &records, 2);
    let replay = |limit: usize, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let inputs =
                crypto_trace_analyze::read::input::open(std::slice::from_ref(&path), Default::default()).unwrap();
            let mut faults = FaultLog::default();
            let captures = read_captures(&inputs, &mut faults);
            let filter = Filter::default();
            let plan = Plan::new(&inputs, &captures, &filter);
            let mut out = Vec::new();
            let output =
                OrderedOutput::new(TextSink::new(&JsonStream, RenderOptions { redact: true }, &mut out).unwrap());
            let mut output = output.limit_pending(limit);
            output.read(&plan, &mut faults).unwrap();
            assert_eq!(output.tally().output, 600);
            let out_of_order = output.is_out_of_order();
            output.into_sink().finish().unwrap();
            (out, out_of_order)
        })
    };
    let limited = replay(4_000, 1);
    assert!(limited.1, "the limit must be passed for this test to test anything");
    assert!(limited == replay(4_000, 4));
    assert!(limited == replay(4_000, 3));
    let (whole, out_of_order) = replay(1 << 20, 2);
    assert!(!out_of_order);
    assert!(whole != limited.0);
}

/// Every event of the real captures keeps to the schema.
#[test]
fn real_captures_keep_to_the_schema() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut captures = 0;
    for entry in std::fs::read_dir(testdata).unwrap() {
        let path = entry.unwrap().path().join("capture.ctseg");
        if !path.exists() {
            continue;
        }
        captures += 1;
        let shown = events(&path, &["--type", ALL, "--no-redact"]);
        assert!(!shown.is_empty());
        for event in &shown {
            let errors: Vec<String> = validator.iter_errors(event).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {event:#}\n{errors:#?}", path.display());
        }
        // Who did it is known of every event: real captures see processes from their first instant on.
        let unknown = shown.iter().find(|event| !event["pid"].is_null() && event["exe"].is_null());
        assert_eq!(unknown, None, "{}", path.display());
    }
    assert!(captures >= 5, "the real captures are missing");
}

#[test]
fn calls_of_libraries_are_told_and_belong_to_their_handshake() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("calls.ctseg");
    let records = [one_of_everything(), tls_of_all_sorts(), ssh_of_all_sorts(), calls_of_all_sorts()].concat();
    write_segment(&path, &meta("web1", 1, 0), &records, u32::MAX);
    let shown = |args: &[&str]| events(&path, args);
    let handshakes = shown(&["--type", "tls_handshake"]);
    let of = |cookie: u64| handshakes.iter().find(|event| event["socket_cookie"] == cookie).unwrap();
    assert_eq!(of(1)["api_result"], "ok");
    assert_eq!(of(1)["library_version"], "3.0.17");
    assert_eq!(of(4)["api_result"], "failed");
    assert!(of(2).get("api_result").is_none() && of(2).get("library").is_none());
    let load = shown(&["--type", "lib_load", "-l", "libssl"]).remove(0);
    assert_eq!((&load["library_version"], &load["build_id"]), (&"3.0.17".into(), &"ab01".into()));

    let calls = shown(&["--type", "api_call"]);
    assert_eq!(calls.len(), 8);
    let by = |meaning: &str| calls.iter().find(|call| call["meaning"] == meaning).unwrap();
    assert_eq!(by("private_key_file")["argument"], "/home/USER/a.key");
    assert_eq!(by("certificate_file")["succeeded"], false);
    assert_eq!(by("min_version")["argument"], "TLS 1.2");
    assert_eq!(by("cipher")["argument"], "AES-\\xff");
    assert_eq!(by("cipher")["escaped"], serde_json::json!(["argument"]));
    assert_eq!((&by("kernel_tls")["error"], &by("kernel_tls")["succeeded"]), (&"ENOENT".into(), &false.into()));
    let last = calls.iter().find(|call| call["socket_cookie"] == 4).unwrap();
    assert_eq!((&last["tls_version"], &last["cipher_suite"]), (&"TLS 1.3".into(), &"TLS_AES_128_GCM_SHA256".into()));

    let count = |args: &[&str]| shown(&[&["--type", "api_call"], args].concat()).len();
    assert_eq!((count(&["--result", "failed"]), count(&["--result", "ok"])), (3, 5));
    assert_eq!((count(&["-F", "*.key"]), count(&["-l", "OpenSSL"]), count(&["-l", "gnutls"])), (1, 4, 0));
    // They are shown when nothing is asked for; libraries are not.
    let kinds: Vec<_> = shown(&[]).into_iter().map(|event| event["event_type"].clone()).collect();
    assert!(kinds.contains(&"api_call".into()) && !kinds.contains(&"library_info".into()));
}
