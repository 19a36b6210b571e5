//! `readiness` through the built program: who agrees on post-quantum key exchange, and why others do not, of recordings that saw
//! much, little and nothing.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod common;

use common::*;
use crypto_trace_format::record::{ApiCallFixed, ApiMeaning, Header, Kind, TlsHelloFixed, hello_state};
use crypto_trace_format::segment::SegmentMeta;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn run(args: &[&str], stdin: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    let mut child =
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

fn shown(paths: &[&Path], args: &[&str]) -> String {
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let output = run(&[&["readiness"], &*paths, args].concat(), b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The document, which keeps to its schema and adds up.
fn report_of(paths: &[&Path], args: &[&str]) -> Value {
    let report: Value = serde_json::from_str(&shown(paths, &[&["-f", "json"], args].concat())).unwrap();
    let schema = run(&["schema", "readiness"], b"");
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    adds_up(&report, "handshakes");
    let rows = report["rows"].as_array().unwrap();
    rows.iter().for_each(|row| adds_up(row, "handshakes"));
    assert_eq!(sum(rows, "handshakes") + n(&report, "ends_in_no_row"), n(&report, "ends"));
    let buckets = report["over_time"]["buckets"].as_array().unwrap();
    assert_eq!(sum(buckets, "post_quantum"), n(&report, "post_quantum"));
    report
}

fn n(of: &Value, member: &str) -> u64 {
    of[member].as_u64().unwrap_or_else(|| panic!("no {member}: {of:#}"))
}

fn sum(rows: &[Value], member: &str) -> u64 {
    rows.iter().map(|row| n(row, member)).sum()
}

/// Each handshake is one thing, and has one reason unless it is post-quantum or nothing was agreed on.
fn adds_up(of: &Value, all: &str) {
    let parts = ["post_quantum", "classical", "unknown", "resumed", "not_seen", "no_agreement"];
    assert_eq!(parts.iter().map(|part| n(of, part)).sum::<u64>(), n(of, all), "{of:#}");
    let reasons = of["why_not"].as_array().unwrap();
    assert_eq!(sum(reasons, "handshakes") + n(of, "post_quantum") + n(of, "no_agreement"), n(of, all), "{of:#}");
}

/// Reasons with their counts.
fn reasons(of: &Value) -> Vec<(String, u64)> {
    let reason = |reason: &Value| (reason["reason"].as_str().unwrap().to_owned(), n(reason, "handshakes"));
    of["why_not"].as_array().unwrap().iter().map(reason).collect()
}

fn reason(name: &str, count: u64) -> Vec<(String, u64)> {
    vec![(name.to_owned(), count)]
}

/// The only row of a program in a role.
fn row(report: &Value, program: &str, role: &str) -> Value {
    let is = |row: &&Value| row["program"] == program && row["role"] == role;
    let rows: Vec<&Value> = report["rows"].as_array().unwrap().iter().filter(is).collect();
    assert_eq!(rows.len(), 1, "{program} {role}: {report:#}");
    rows[0].clone()
}

fn write(dir: &tempfile::TempDir, meta: &SegmentMeta, records: &[Vec<u8>]) -> PathBuf {
    let path = dir.path().join(format!("{}-{}.ctseg", meta.host, meta.capture_id[0]));
    write_segment(&path, meta, records, 7);
    path
}

/// The document of these records alone.
fn report(records: &[Vec<u8>]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    report_of(&[&write(&dir, &meta("web1", 1, 0), records)], &[])
}

/// What two sides said, as one end saw it.
fn talk(header: Header, cookie: u64, ends: (&str, &str), client: bool, said: (&[u8], &[u8])) -> Vec<Vec<u8>> {
    let fixed = |sent| TlsHelloFixed { owner: SENDER, ..socket(cookie, ends.0, ends.1, sent) };
    let later = Header { time_ns: header.time_ns + 1_000, ..header };
    vec![hello(header, fixed(client), said.0), hello(later, fixed(!client), said.1)]
}

fn mlkem_client() -> Vec<u8> {
    recorded_tls("openssl4_mlkem", "client")
}

/// A client that offers X25519MLKEM768 with its share, and a server that chooses x25519.
fn declined() -> (Vec<u8>, Vec<u8>) {
    (mlkem_client(), recorded_tls("openssl13", "server"))
}

/// The same client without that share: its bytes are another group's.
fn without_share() -> Vec<u8> {
    let mut hello = mlkem_client();
    // Group 0x11ec with a share of 1,216 bytes: secp521r1 takes its place.
    let at = hello.windows(4).position(|bytes| bytes == [0x11, 0xec, 0x04, 0xc0]).unwrap();
    hello[at..at + 2].copy_from_slice(&[0, 25]);
    hello
}

const SERVER: &str = "10.0.0.1:443";

fn nginx(at: u64) -> Header {
    header(500, "nginx", at)
}

fn curl(at: u64) -> Header {
    header(600, "curl", at)
}

fn programs() -> Vec<Vec<u8>> {
    vec![
        exec(nginx(1_000), b"/usr/sbin/nginx", b"nginx\0", 1),
        exec(curl(1_100), b"/usr/bin/curl", b"curl\0", 1),
        load(curl(1_200), b"/usr/lib/libssl.so.3"),
    ]
}

#[test]
fn what_a_server_took_from_another_client_it_declined() {
    let (client, classical) = declined();
    let quantum = (client.clone(), recorded_tls("openssl4_mlkem", "server"));
    let mut records = programs();
    records.extend(talk(nginx(10_000), 1, (SERVER, "10.0.0.7:4000"), false, (&quantum.0, &quantum.1)));
    records.extend(talk(nginx(20_000), 2, (SERVER, "10.0.0.8:4000"), false, (&client, &classical)));
    let told = row(&report(&records), "/usr/sbin/nginx", "server");
    assert_eq!(reasons(&told), reason("server_declined", 1));
    assert_eq!((&told["post_quantum_share"], &told["port"], &told["peers"]), (&json!(0.5), &443.into(), &2.into()));

    // The same client once and once not: nobody else was seen to get it.
    let mut records = programs();
    records.extend(talk(nginx(10_000), 1, (SERVER, "10.0.0.7:4000"), false, (&quantum.0, &quantum.1)));
    records.extend(talk(nginx(20_000), 2, (SERVER, "10.0.0.7:4001"), false, (&client, &classical)));
    assert_eq!(reasons(&report(&records)), reason("server_chose_another", 1));

    // Another service: of another port.
    let mut records = programs();
    records.extend(talk(nginx(10_000), 1, ("10.0.0.1:8443", "10.0.0.7:4000"), false, (&quantum.0, &quantum.1)));
    records.extend(talk(nginx(20_000), 2, (SERVER, "10.0.0.8:4000"), false, (&client, &classical)));
    assert_eq!(reasons(&report(&records)), reason("server_chose_another", 1));
}

/// 127.0.0.1:443 of two hosts are two services, and so are 10.0.0.1:443; an address of the whole internet is one.
#[test]
fn a_service_of_another_host_is_another_unless_its_address_is_good_everywhere() {
    let (client, classical) = declined();
    let quantum = recorded_tls("openssl4_mlkem", "server");
    for (service, from, expected) in [
        ("127.0.0.1:443", "127.0.0.1", "server_chose_another"),
        ("10.0.0.1:443", "10.0.0.8", "server_chose_another"),
        ("198.51.100.7:443", "10.0.0.8", "server_declined"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (local, other) = (format!("{from}:4000"), "10.0.0.99:4000");
        let first = talk(curl(10_000), 1, (other, service), true, (&client, &quantum));
        let second = talk(curl(10_000), 1, (&local, service), true, (&client, &classical));
        let paths = [
            write(&dir, &meta("web1", 1, 0), &[programs(), first].concat()),
            write(&dir, &meta("web2", 2, 0), &[programs(), second].concat()),
        ];
        let report = report_of(&[&paths[0], &paths[1]], &[]);
        assert_eq!(reasons(&report), reason(expected, 1), "{service}");
        let hosts: Vec<&Value> = report["rows"].as_array().unwrap().iter().map(|row| &row["host"]).collect();
        assert_eq!(hosts, ["web2", "web1"], "the one with a classical handshake first");
    }
}

#[test]
fn a_group_without_a_share_would_have_cost_a_round_trip() {
    let (_, server) = declined();
    let mut records = programs();
    records.extend(talk(curl(10_000), 1, ("10.0.0.8:4000", SERVER), true, (&without_share(), &server)));
    let report = report(&records);
    assert_eq!(reasons(&report), reason("retry_needed", 1));
    let text = report["why_not"][0]["meaning"].as_str().unwrap();
    assert!(text.contains("HelloRetryRequest"), "{text}");
}

#[test]
fn each_handshake_has_the_reason_that_its_hellos_show() {
    let whole = |name: &str| (recorded_tls(name, "client"), recorded_tls(name, "server"));
    let both = |client: &str, server: &str| (recorded_tls(client, "client"), recorded_tls(server, "server"));
    let cut = |(client, server): (Vec<u8>, Vec<u8>)| (client[..60].to_vec(), server);
    for (name, said, expected) in [
        ("", whole("openssl4_mlkem"), None),
        ("", whole("openssl13"), Some("client_did_not_offer")),
        ("", whole("gnutls13"), Some("client_did_not_offer")),
        ("", whole("openssl13_retry"), Some("client_did_not_offer")),
        ("a resumed session with a key exchange is one", whole("openssl13_resumed"), Some("client_did_not_offer")),
        ("", whole("gnutls12"), Some("client_offers_old_version")),
        ("the server was told -tls1_2", whole("openssl12_dhe"), Some("server_chose_old_version")),
        ("", whole("openssl10"), Some("client_offers_old_version")),
        ("", both("openssl13", "openssl12"), Some("server_chose_old_version")),
        ("", both("openssl4_mlkem", "openssl12_rsa"), Some("server_chose_old_version")),
        ("", whole("openssl12_ticket"), Some("resumed")),
        ("", whole("openssl12_session_id"), Some("resumed")),
        ("the hello ends before its groups", cut(whole("openssl13")), Some("offer_not_seen")),
        ("", (Vec::new(), recorded_tls("openssl13", "server")), Some("offer_not_seen")),
        ("", (Vec::new(), recorded_tls("openssl12", "server")), Some("old_version")),
        ("an alert", whole("openssl_protocol_version"), None),
        ("no answer", (recorded_tls("openssl13", "client"), Vec::new()), None),
    ] {
        let mut records = programs();
        records.extend(talk(curl(10_000), 1, ("10.0.0.8:4000", SERVER), true, (&said.0, &said.1)));
        let expected = expected.map(|name| reason(name, 1)).unwrap_or_default();
        assert_eq!(reasons(&report(&records)), expected, "{name}");
    }
}

/// A group that only those know who use it is neither post-quantum nor not.
#[test]
fn groups_without_a_name_are_not_judged() {
    let unnamed = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        // The three hybrids with ML-KEM that it offers, in lists and before shares.
        for at in 0..bytes.len() - 1 {
            if matches!(bytes[at..at + 2], [0x11, 0xeb | 0xec | 0xee]) {
                bytes[at..at + 2].copy_from_slice(&[0xfe, 0x32]);
            }
        }
        bytes
    };
    let (client, server) = declined();
    let unknown = unnamed(&client);
    let mut records = programs();
    records.extend(talk(curl(10_000), 1, ("10.0.0.8:4000", SERVER), true, (&unknown, &server)));
    assert_eq!(reasons(&report(&records))[0].0, "offer_not_known");
    let chosen = unnamed(&recorded_tls("openssl4_mlkem", "server"));
    let mut records = programs();
    records.extend(talk(curl(10_000), 1, ("10.0.0.8:4000", SERVER), true, (&unknown, &chosen)));
    let report = report(&records);
    assert_eq!((reasons(&report), n(&report, "unknown")), (reason("group_not_known", 1), 1));
    assert_eq!(report["post_quantum_share"], 0.0);
}

/// A client of its library 3.0.17, by a call on its socket, or as the only TLS library that it loaded.
#[test]
fn a_library_is_too_old_when_its_version_is_and_it_is_known_which_one() {
    let ends = ("10.0.0.8:4000", SERVER);
    let old = library(curl(1_300), LIBRARY, b"/usr/lib/libssl.so.3", 1, b"");
    let classical = || handshake(curl(10_000), "openssl13", 1, ends, true);
    let libraries = |records: &[Vec<u8>]| {
        let row = row(&report(records), "/usr/bin/curl", "client");
        assert_eq!(reasons(&row), reason("client_did_not_offer", 1));
        row["why_not"][0]["library_too_old"].clone()
    };
    let loaded = libraries(&[programs(), vec![old.clone()], classical()].concat());
    assert_eq!((&loaded[0]["version"], &loaded[0]["since"]), (&"3.0.17".into(), &"3.5.0".into()));
    assert_eq!((&loaded[0]["known_by"], &loaded[0]["released"]), (&"loaded".into(), &"2025-04-08".into()));
    let by_call = call(curl(12_000), b"SSL_do_handshake", ApiMeaning::HANDSHAKE, b"", 1, 1);
    let called = libraries(&[programs(), vec![old.clone(), by_call], classical()].concat());
    assert_eq!((&called[0]["known_by"], &called[0]["library"]), (&"call".into(), &"/usr/lib/libssl.so.3".into()));
    // Nothing is known of a second TLS library: it may have been that one.
    let mut other = load(curl(1_250), b"/usr/lib/libgnutls.so.30");
    let at = other.windows(8).position(|bytes| bytes == 99u64.to_le_bytes()).unwrap();
    other[at..at + 8].copy_from_slice(&98u64.to_le_bytes());
    assert_eq!(libraries(&[programs(), vec![old.clone(), other], classical()].concat()), Value::Null);
    // No version is no old version.
    let unknown = library(curl(1_300), LIBRARY, b"/usr/lib/libssl.so.3", 3, b"");
    assert_eq!(libraries(&[programs(), vec![unknown], classical()].concat()), Value::Null);
    // What speaks TLS 1.2 is no reason of the library's.
    let twelve = handshake(curl(10_000), "gnutls12", 1, ends, true);
    let row = row(&report(&[programs(), vec![old], twelve].concat()), "/usr/bin/curl", "client");
    assert_eq!(row["why_not"], json!([{"reason": "client_offers_old_version", "handshakes": 1}]));
}

/// Of the process that made the handshake, or that forked it: not of another one that runs the same program.
#[test]
fn a_list_of_groups_counts_for_the_process_that_gave_it_and_its_forks() {
    let given = |header: Header, text: &[u8]| call(header, b"SSL_CTX_ctrl", ApiMeaning::GROUPS, text, 1, 0);
    let worker = |at| header(501, "nginx", at);
    let other = |at| header(502, "nginx", at);
    let begin = [
        exec(nginx(1_000), b"/usr/sbin/nginx", b"nginx\0", 1),
        exec(other(1_100), b"/usr/sbin/nginx", b"nginx\0", 1),
        fork(worker(3_000), 500),
    ];
    let (client, classical) = declined();
    let answered =
        |header: Header, cookie: u64, from: &str| talk(header, cookie, (SERVER, from), false, (&client, &classical));
    let of = |list: Vec<u8>| {
        let mut records = begin.to_vec();
        records.push(list);
        records.extend(answered(worker(10_000), 1, "10.0.0.7:1"));
        records.extend(answered(other(20_000), 2, "10.0.0.7:2"));
        let row = row(&report(&records), "/usr/sbin/nginx", "server");
        assert_eq!(reasons(&row), reason("server_chose_another", 2));
        (row["why_not"][0]["configured_without"].clone(), row["configured_groups"].clone())
    };
    let (count, lists) = of(given(nginx(2_000), b"X25519:P-256"));
    assert_eq!(count, 1, "the worker inherited it");
    assert_eq!(lists, json!([{"groups": "X25519:P-256", "function": "SSL_CTX_ctrl", "handshakes": 1}]));
    let nothing = (Value::Null, Value::Null);
    assert_eq!(of(given(nginx(2_000), b"X25519MLKEM768:X25519")), nothing);
    assert_eq!(of(given(nginx(2_000), b"DEFAULT")), nothing, "whatever that is");
    let refused = call(nginx(2_000), b"SSL_CTX_ctrl", ApiMeaning::GROUPS, b"X25519", 0, 0);
    assert_eq!(of(refused), nothing, "what failed configures nothing");
    let fixed = ApiCallFixed {
        dev: LIBRARY.0,
        ino: LIBRARY.1,
        count: 1,
        fd: -1,
        meaning: ApiMeaning::GROUPS.0,
        state: 1 | 8,
        result: 1,
        level: 1,
        ..ApiCallFixed::default()
    };
    assert_eq!(of(api_call(nginx(2_000), fixed, b"SSL_CTX_ctrl", b"X25519")), nothing, "the library's own defaults");
}

#[test]
fn a_connection_seen_from_both_ends_is_one_handshake_and_two_rows() {
    let mut records = programs();
    let ends = ("127.0.0.1:4000", "127.0.0.1:443");
    records.extend(handshake(curl(10_000), "openssl4_mlkem", 1, ends, true));
    records.extend(handshake(nginx(11_000), "openssl4_mlkem", 2, (ends.1, ends.0), false));
    let report = report(&records);
    assert_eq!((n(&report, "handshakes"), n(&report, "ends")), (1, 2));
    assert_eq!((&report["post_quantum_share"], reasons(&report)), (&json!(1.0), Vec::new()));
    let client = row(&report, "/usr/bin/curl", "client");
    let agreed = json!([
        {"version": "TLS 1.3", "key_exchange": "X25519MLKEM768", "post_quantum": true, "handshakes": 1}
    ]);
    assert_eq!((&client["agreed"], &client["port"]), (&agreed, &443.into()));
    assert_eq!(row(&report, "/usr/sbin/nginx", "server")["port"], 443);
}

#[test]
fn containers_and_units_are_rows_of_their_own() {
    let id = "0123456789abcdef".repeat(4);
    let places = [format!("/docker/{id}"), "/system.slice/nginx.service".to_owned(), "/user.slice".to_owned()];
    let mut records = Vec::new();
    for (number, place) in (0u32..).zip(&places) {
        let header = |at: u64| header(700 + number, "nginx", at);
        records.push(info(header(100), b"/usr/sbin/nginx", b"nginx\0", place.as_bytes(), 1));
        let from = format!("10.0.0.7:{}", 1_000 + number);
        let cookie = u64::from(number) + 1;
        records.extend(handshake(header(10_000), "openssl13", cookie, (SERVER, &from), false));
    }
    let report = report(&records);
    let place = |row: &Value| (row["container"].clone(), row["unit"].clone());
    let mut found: Vec<_> = report["rows"].as_array().unwrap().iter().map(place).collect();
    found.sort_by_key(|(container, unit)| (container.is_null(), unit.is_null()));
    assert_eq!(found, [(json!(id), json!(null)), (json!(null), json!("nginx.service")), (json!(null), json!(null))]);
}

#[test]
fn the_share_is_by_the_hour_and_over_longer_times_by_the_day() {
    const HOUR_NS: u64 = 3_600_000_000_000;
    let at = |hours: &[u64]| {
        let records = hours.iter().zip(1u64..).flat_map(|(hour, cookie)| {
            let name = if cookie % 2 == 0 { "openssl4_mlkem" } else { "openssl13" };
            handshake(curl(10_000 + hour * HOUR_NS), name, cookie, ("10.0.0.8:4000", SERVER), true)
        });
        let report = report(&programs().into_iter().chain(records).collect::<Vec<_>>());
        let buckets = report["over_time"]["buckets"].as_array().unwrap();
        let bucket =
            |bucket: &Value| (bucket["from"].as_str().unwrap()[..13].to_owned(), bucket["post_quantum"].clone());
        (report["over_time"]["by"].clone(), buckets.iter().map(bucket).collect::<Vec<_>>())
    };
    let expect = |all: &[(&str, u64)]| all.iter().map(|(at, n)| ((*at).to_owned(), json!(n))).collect::<Vec<_>>();
    let by_hour = expect(&[("2026-11-22T10", 1), ("2026-11-22T15", 0)]);
    assert_eq!(at(&[0, 0, 5]), ("hour".into(), by_hour));
    let by_day = expect(&[("2026-11-22T00", 1), ("2026-12-02T00", 1)]);
    assert_eq!(at(&[0, 1, 240, 241]), ("day".into(), by_day));
}

/// Nothing recorded, nothing that passes, or TLS not watched: no share, no pass, and why.
#[test]
fn a_recording_that_saw_nothing_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let off = with_options(vec!["--tls off".to_owned()], meta("off", 2, 0));
    let full = write(
        &dir,
        &meta("web1", 1, 0),
        &[programs(), handshake(curl(9_000), "openssl4_mlkem", 1, ("10.0.0.8:1", SERVER), true)].concat(),
    );
    for (path, args, why) in [
        (write(&dir, &meta("empty", 3, 0), &[]), &[][..], "nothing seen"),
        (write(&dir, &off, &programs()), &[], "recorded with --tls off"),
        (full, &["-n", "nginx"], "passed the filters"),
    ] {
        let report = report_of(&[&path], args);
        assert_eq!((&report["post_quantum_share"], n(&report, "handshakes")), (&Value::Null, 0));
        assert!(report["why_none"].as_str().unwrap().contains(why), "{report:#}");
        assert_eq!(report["rows"], json!([]));
        let text = shown(&[&path], args);
        assert!(
            text.contains(why) && !text.contains('%') && text.contains("listening sockets are not recorded"),
            "{text}"
        );
    }
}

#[test]
fn what_was_lost_left_out_or_filtered_is_said_beside_the_share() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = [programs(), handshake(curl(9_000), "openssl4_mlkem", 1, ("10.0.0.8:1", SERVER), true)].concat();
    records.push(loss(20_000, Kind(6), 1, 17));
    let selective = with_options(vec!["-n curl".to_owned()], meta("web1", 1, 0));
    let path = write(&dir, &selective, &records);
    let missing = |args: &[&str]| report_of(&[&path], args)["missing"].to_string();
    let all = missing(&[]);
    assert!(all.contains("17 tls_hello lost") && all.contains("only part was recorded"), "{all}");
    assert!(!all.contains("this command's filters"));
    assert!(missing(&["-n", "curl"]).contains("only what passes this command's filters"));
    assert!(missing(&["--until", "2027-01-01"]).contains("only what passes this command's filters"));
    let text = shown(&[&path], &[]);
    assert!(text.contains("17 tls_hello lost") && text.contains("recorded only -n curl"), "{text}");
    assert!(!text.contains("Complete"), "{text}");
    // A block of it damaged.
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 0x55;
    let damaged = dir.path().join("damaged.ctseg");
    std::fs::write(&damaged, bytes).unwrap();
    let report = report_of(&[&damaged], &[]);
    assert!(report["missing"].to_string().contains("damaged"), "{report:#}");
}

/// With pseudonyms a service is still one service of its recording; without any names it is none that can be compared.
#[test]
fn privacy_takes_away_what_cannot_be_known_without_names() {
    let (client, classical) = declined();
    let quantum = recorded_tls("openssl4_mlkem", "server");
    let mut records = programs();
    records.extend(talk(nginx(10_000), 1, ("77.1.2.3:443", "78.0.0.7:4000"), false, (&client, &quantum)));
    records.extend(talk(nginx(20_000), 2, ("77.1.2.3:443", "79.0.0.8:4000"), false, (&client, &classical)));
    for (option, expected, said) in [
        ("--privacy hash", "server_declined", "are pseudonyms (--privacy hash)"),
        ("--privacy drop", "server_chose_another", "were left out (--privacy drop)"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let hidden = with_options(vec![option.to_owned()], meta("web1", 1, 0));
        let report = report_of(&[&write(&dir, &hidden, &records)], &[]);
        assert_eq!(reasons(&report), reason(expected, 1), "{option}");
        assert!(report["missing"].to_string().contains(said), "{report:#}");
        let name = &report["rows"][0]["server_name"];
        assert_eq!(name.is_null(), option == "--privacy drop");
    }
    // The same pseudonym in two recordings is chance.
    let dir = tempfile::tempdir().unwrap();
    let hidden = |id| with_options(vec!["--privacy hash".to_owned()], meta("web1", id, 0));
    let of = |number: u64, server: &[u8]| {
        let from = format!("78.0.0.{number}:4000");
        talk(nginx(10_000), number, ("77.1.2.3:443", &from), false, (&client, server))
    };
    let first = write(&dir, &hidden(1), &[programs(), of(1, &quantum)].concat());
    let second = write(&dir, &hidden(2), &[programs(), of(2, &classical)].concat());
    assert_eq!(reasons(&report_of(&[&first, &second], &[])), reason("server_chose_another", 1));
}

#[test]
fn connections_from_before_the_recording_are_counted_apart() {
    let mut records = programs();
    let fixed = TlsHelloFixed { owner: SENDER, ..socket(1, "10.0.0.8:1", SERVER, true) };
    let late = TlsHelloFixed { state: hello_state::LATE, ..fixed };
    records.push(hello(curl(9_000), late, &recorded_tls("openssl13", "client")));
    let report = report(&records);
    assert_eq!((n(&report, "ends_of_connections_from_before"), n(&report, "no_agreement")), (1, 1));
}

/// Names from elsewhere are shown as safe text, homes without the names of their owners.
#[test]
fn names_are_escaped_and_homes_are_nobodys() {
    let dir = tempfile::tempdir().unwrap();
    let evil = |at| header(600, "x", at);
    let mut records = vec![
        exec(evil(1_000), b"/home/alice/<script>\x1b[31m", b"x\0", 1),
        call(evil(2_000), b"SSL_CTX_ctrl", ApiMeaning::GROUPS, b"P-256\x1b]0;/home/alice/x\x07", 1, 0),
    ];
    records.extend(handshake(evil(9_000), "openssl13", 1, ("10.0.0.8:1", SERVER), true));
    let path = write(&dir, &meta("web\u{1b}1", 1, 0), &records);
    for args in [&[][..], &["-f", "json"]] {
        let text = shown(&[&path], args);
        assert!(!text.contains(['\u{1b}', '\u{7}']) && !text.contains("alice"), "{text}");
        assert!(text.contains("/home/USER/"), "{text}");
    }
    assert!(shown(&[&path], &["--no-redact"]).contains("alice"));
}

#[test]
fn a_stream_and_any_number_of_threads_show_the_same() {
    let names = ["openssl13", "openssl4_mlkem", "openssl12", "gnutls13", "openssl12_ticket"];
    let mut records = programs();
    for number in 0..300u64 {
        let from = format!("10.0.{}.{}:4000", number % 3, number % 7);
        let name = names[number as usize % names.len()];
        records.extend(handshake(nginx(10_000 + number * 2_000_000), name, number + 1, (SERVER, &from), false));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &meta("web1", 1, 0), &records);
    let one = shown(&[&path], &["-f", "json", "--threads", "1"]);
    assert_eq!(one, shown(&[&path], &["-f", "json", "--threads", "4"]));
    let streamed = run(&["readiness", "-", "-f", "json"], &std::fs::read(&path).unwrap());
    let (file, stream): (Value, Value) =
        (serde_json::from_str(&one).unwrap(), serde_json::from_slice(&streamed.stdout).unwrap());
    for member in ["handshakes", "rows", "why_not", "over_time", "missing"] {
        assert_eq!(file[member], stream[member], "{member}");
    }
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name).join("capture.ctseg")
}

/// What the workloads of testdata did, by their scripts.
#[test]
fn real_recordings() {
    let report = report_of(&[&testdata("tls-nginx")], &[]);
    assert_eq!((n(&report, "handshakes"), n(&report, "ends"), &report["post_quantum_share"]), (5, 10, &json!(0.0)));
    let curl = row(&report, "/usr/bin/curl", "client");
    assert_eq!(reasons(&curl)[0], ("client_did_not_offer".to_owned(), 2));
    assert_eq!(curl["why_not"][0]["library_too_old"][0]["version"], "3.0.19");
    // `curl --curves P-384` was one of the two.
    let lists = json!([{"groups": "P-384", "function": "SSL_CTX_ctrl", "handshakes": 1}]);
    assert_eq!((&curl["why_not"][0]["configured_without"], &curl["configured_groups"]), (&1.into(), &lists));

    let wheels = report_of(&[&testdata("tls-wheels")], &[]);
    assert_eq!(
        (&wheels["post_quantum_share"], reasons(&wheels)),
        (&json!(0.5), reason("client_offers_old_version", 2))
    );
    let go = report_of(&[&testdata("tls-go")], &[]);
    assert_eq!((n(&go, "post_quantum"), n(&go, "resumed")), (2, 1));
    let rustls = report_of(&[&testdata("tls-rustls")], &[]);
    let all = [("client_offers_old_version".to_owned(), 2), ("resumed".to_owned(), 1)];
    assert_eq!((&rustls["post_quantum_share"], &*reasons(&rustls)), (&json!(0.5), &all[..]));
    let together = report_of(&[&testdata("tls-nginx"), &testdata("tls-go"), &testdata("tls-rustls")], &[]);
    assert_eq!(n(&together, "handshakes"), 5 + n(&go, "handshakes") + n(&rustls, "handshakes"));
    // Nothing of TLS in it.
    let files = report_of(&[&testdata("failed-opens")], &[]);
    assert!(files["why_none"].is_string() && files["post_quantum_share"].is_null(), "{files:#}");
}
