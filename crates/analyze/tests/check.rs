//! `check` through the built program: verdicts of rules with their evidence, and that a recording which shows little never passes.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod common;

use common::*;
use crypto_trace_format::record::{ApiMeaning, Header, Kind};
use crypto_trace_format::segment::SegmentMeta;
use serde_json::Value;
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

/// What a run writes, which has to end with this code.
fn shown(path: &Path, args: &[&str], code: i32) -> String {
    let output = run(&[&["check", path.to_str().unwrap()], args].concat(), b"");
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The document, which keeps to its schema and adds up.
fn report(path: &Path, args: &[&str], code: i32) -> Value {
    let report: Value = serde_json::from_str(&shown(path, &[&["-f", "json"], args].concat(), code)).unwrap();
    let schema: Value = serde_json::from_slice(&run(&["schema", "check"], b"").stdout).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    for pack in report["packs"].as_array().unwrap() {
        let counts = pack["counts"].as_object().unwrap();
        let sum: u64 = counts.values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(sum as usize, pack["rules"].as_array().unwrap().len());
        for rule in pack["rules"].as_array().unwrap() {
            let (verdict, open) = (rule["verdict"].as_str().unwrap(), rule["open"].as_array().unwrap());
            assert_eq!(rule["against"].as_u64() > Some(0), ["fail", "warn"].contains(&verdict), "{rule:#}");
            assert!(verdict != "pass" || open.is_empty(), "{rule:#}");
            assert!(verdict != "unknown" || !open.is_empty(), "{rule:#}");
            assert!(!rule["says"].as_str().unwrap().is_empty() && !rule["document"].as_str().unwrap().is_empty());
        }
    }
    report
}

fn rules(report: &Value) -> Vec<&Value> {
    report["packs"].as_array().unwrap().iter().flat_map(|pack| pack["rules"].as_array().unwrap()).collect()
}

fn rule<'a>(report: &'a Value, id: &str) -> &'a Value {
    let found: Vec<&Value> = rules(report).into_iter().filter(|rule| rule["rule"] == id).collect();
    assert_eq!(found.len(), 1, "{id}: {report:#}");
    found[0]
}

/// Why a rule is left open, joined.
fn open(rule: &Value) -> String {
    rule["open"].as_array().unwrap().iter().map(|why| why.as_str().unwrap()).collect::<Vec<_>>().join("; ")
}

fn write(dir: &tempfile::TempDir, meta: &SegmentMeta, records: &[Vec<u8>]) -> PathBuf {
    let path = dir.path().join(format!("{}-{}.ctseg", meta.host, meta.capture_id[0]));
    write_segment(&path, meta, records, 7);
    path
}

/// A recording that watched all it was asked to, of these programs.
fn watched() -> Vec<Vec<u8>> {
    vec![
        attached(b"tls_hello", b"cgroup_skb/egress"),
        attached(b"file_open, lib_load", b"tp_btf:sys_exit"),
        attached(b"api_call", b"uprobe_multi"),
        exec(curl(1_000), b"/usr/bin/curl", b"curl\0", 1),
        exec(make(1_100), b"/usr/bin/make", b"make\0", 1),
    ]
}

fn attached(name: &[u8], target: &[u8]) -> Vec<u8> {
    use crypto_trace_format::record::{ProbeStatus, ProbeStatusFixed};
    let mut out = Vec::new();
    let fixed = ProbeStatusFixed { state: 1, tier: 3, ..Default::default() };
    ProbeStatus { fixed, probe: name, target, ..Default::default() }.encode(about_capture(1), &mut out);
    out
}

fn curl(at: u64) -> Header {
    header(600, "curl", at)
}

fn make(at: u64) -> Header {
    header(700, "make", at)
}

const ENDS: (&str, &str) = ("10.0.0.8:4000", "10.0.0.1:443");

/// Handshakes of TLS 1.2 in which nothing is hidden and nothing speaks against the IETF's rules on versions.
fn good() -> Vec<Vec<u8>> {
    let mut records = watched();
    records.extend(handshake(curl(10_000), "openssl12", 1, ENDS, true));
    records
}

fn old() -> Vec<Vec<u8>> {
    let mut records = good();
    records.extend(handshake(curl(20_000), "openssl10", 2, ENDS, true));
    records
}

const OLD: &str = "ietf/rfc-8996/4/tls-1.0";

#[test]
fn a_violation_has_its_evidence_and_its_words_and_ends_with_7() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &meta("web1", 1, 0), &old());
    let report = report(&path, &[], 7);
    let found = rule(&report, OLD);
    assert_eq!((&found["verdict"], &found["against"]), (&"fail".into(), &1.into()), "{found:#}");
    assert!(found["says"].as_str().unwrap().starts_with("TLS 1.0 MUST NOT be used."));
    assert_eq!((&found["revision"], &found["published"]), (&"RFC 8996 (BCP 195)".into(), &"2021-03-01".into()));
    let evidence = &found["evidence"][0];
    assert_eq!(
        (&evidence["what"], &evidence["place"], &evidence["unit"]),
        (&"TLS 1.0".into(), &"protocol".into(), &"handshake".into())
    );
    assert_eq!(
        (&evidence["program"], &evidence["pid"], &evidence["host"]),
        (&"/usr/bin/curl".into(), &600.into(), &"web1".into())
    );
    assert_eq!((&evidence["role"], &evidence["peer"]), (&"client".into(), &"10.0.0.1:443".into()));
    assert_eq!(evidence["first"], "2026-11-22T10:30:00.000020Z");
    assert_eq!(rule(&report, "ietf/rfc-8996/5/tls-1.1")["verdict"], "pass");
    assert_eq!((&report["violated"], &report["packs"][0]["dated"]), (&true.into(), &"2026-07-01".into()));
    let text = shown(&path, &[], 7);
    assert!(text.contains("fail  ietf/rfc-8996/4/tls-1.0") && text.contains("curl (pid 600) on web1"), "{text}");
    // A violation comes before the lack of evidence.
    shown(&path, &["--require-coverage"], 7);
    // The rule was not there before its day.
    let before = rules_as_of(&path, "2021-02-01", 0);
    assert!(!before.contains(&OLD.to_owned()), "{before:?}");
}

#[test]
fn a_day_before_all_rules_passes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &meta("web1", 1, 0), &good());
    let found = report(&path, &["--as-of", "1999-01-01"], 0);
    assert!(rules(&found).is_empty() && found["sufficient"] == false);
    shown(&path, &["--as-of", "1999-01-01", "--require-coverage"], 9);
    assert!(shown(&path, &["--as-of", "1999-01-01"], 0).contains("nothing is judged"));
}

fn rules_as_of(path: &Path, day: &str, code: i32) -> Vec<String> {
    let report = report(path, &["--as-of", day], code);
    rules(&report).iter().map(|rule| rule["rule"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn packs_are_judged_apart_and_drafts_never_fail() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &meta("web1", 1, 0), &good());
    let packs = "ietf,nist-ir-8547,cnsa-2.0,nist-800-131a";
    let later = report(&path, &["--pack", packs, "--as-of", "2036-01-01"], 7);
    let names: Vec<&Value> = later["packs"].as_array().unwrap().iter().map(|pack| &pack["pack"]).collect();
    assert_eq!(names, ["ietf", "nist-800-131a", "nist-ir-8547", "cnsa-2.0"]);
    for pack in later["packs"].as_array().unwrap() {
        assert_eq!(pack["stale"], true, "2036 is long after {}", pack["compared"]);
        for rule in pack["rules"].as_array().unwrap() {
            assert!(rule["draft"] == false || rule["verdict"] != "fail", "{rule:#}");
        }
    }
    let counts = |report: &Value, at: usize, verdict: &str| report["packs"][at]["counts"][verdict].as_u64().unwrap();
    assert!(counts(&later, 2, "warn") > 0 && counts(&later, 2, "fail") == 0, "a draft in force");
    assert!(counts(&later, 3, "fail") > 0, "CNSA 2.0 is in force by then");
    let now = report(&path, &["--pack", packs], 0);
    assert!(counts(&now, 3, "fail") == 0 && counts(&now, 3, "warn") > 0, "and still to come now");
    assert_eq!(now["packs"][0]["stale"], false);
    let text = shown(&path, &["--pack", "nist-ir-8547", "--as-of", "2036-01-01"], 0);
    assert!(text.contains("is a draft: it binds nobody yet") && text.contains("may be stale"), "{text}");
}

#[test]
fn a_recording_that_shows_nothing_hides_or_lost_something_never_passes() {
    let lost = [good(), vec![loss(30_000, Kind(17), 1, 3)]].concat();
    let unanswered =
        [watched(), vec![hello(curl(10_000), socket(1, ENDS.0, ENDS.1, true), &recorded_tls("openssl12", "client"))]]
            .concat();
    let no_probe = [vec![probe(0, b"tls_hello", 2, -1, b"not allowed")], good()[1..].to_vec()].concat();
    let off = with_options(vec!["--tls off".to_owned()], meta("web1", 1, 0));
    let filtered = with_options(vec!["-n curl".to_owned()], meta("web1", 1, 0));
    let hashed = with_options(vec!["--privacy hash".to_owned()], meta("web1", 1, 0));
    let dropped = with_options(vec!["--privacy drop".to_owned()], meta("web1", 1, 0));
    let late = meta("web1", 1, 3);
    let whole = meta("web1", 1, 0);
    for (name, meta, records, why) in [
        ("empty", &whole, vec![], "nothing was recorded"),
        ("nothing seen", &whole, watched(), "nothing that the rule speaks of was seen"),
        ("no answer", &whole, unanswered, "no answer was seen"),
        ("lossy", &whole, lost, "lost"),
        ("no probe", &whole, no_probe, "TLS was not watched"),
        ("tls off", &off, watched()[3..].to_vec(), "recorded with --tls off"),
        ("filtered", &filtered, good(), "only a part was recorded"),
        ("hashed", &hashed, good(), "--privacy"),
        ("dropped", &dropped, good(), "--privacy"),
        ("begun", &late, good(), "the first segments"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = write(&dir, meta, &records);
        let found = report(&path, &["--pack", "ietf,nist-800-131a,nist-ir-8547,cnsa-2.0"], 0);
        let passed: Vec<&Value> = rules(&found).into_iter().filter(|rule| rule["verdict"] == "pass").collect();
        assert!(passed.is_empty(), "{name}: {passed:#?}");
        assert!(open(rule(&found, OLD)).contains(why), "{name}: {}", open(rule(&found, OLD)));
        assert_eq!(found["sufficient"], false, "{name}");
        shown(&path, &["--require-coverage"], 9);
    }
}

#[test]
fn filters_of_the_command_leave_rules_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &meta("web1", 1, 0), &good());
    assert_eq!(rule(&report(&path, &[], 0), OLD)["verdict"], "pass");
    for args in [
        &["-n", "curl"][..],
        &["-p", "600"],
        &["--since", "2026-11-22"],
        &["--until", "2027-01-01"],
        &["--uid", "1000"],
    ] {
        let found = report(&path, args, 0);
        assert_eq!(rule(&found, OLD)["verdict"], "unknown", "{args:?}");
        assert!(open(rule(&found, OLD)).contains("filters of this command"), "{args:?}");
    }
    // Which hosts are read is what is judged.
    assert_eq!(rule(&report(&path, &["--host", "web1"], 0), OLD)["verdict"], "pass");
}

#[test]
fn a_recorded_command_is_the_whole_of_its_recording() {
    let dir = tempfile::tempdir().unwrap();
    let of_command = with_options(vec!["-- make test".to_owned()], meta("ci", 1, 0));
    let path = write(&dir, &of_command, &good());
    assert_eq!(rule(&report(&path, &[], 0), OLD)["verdict"], "pass");
}

#[test]
fn damage_leaves_rules_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &meta("web1", 1, 0), &good());
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(rule(&report(&path, &[], 0), OLD)["verdict"], "pass");
    let mut seen = 0;
    // A byte at a time, and cut anywhere: never a pass, whatever else.
    for at in (0..whole.len()).step_by(whole.len() / 97) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        for bytes in [damaged, whole[..at].to_vec()] {
            std::fs::write(&path, &bytes).unwrap();
            let output = run(&["check", path.to_str().unwrap(), "-f", "json"], b"");
            let Ok(found) = serde_json::from_slice::<Value>(&output.stdout) else {
                assert_eq!(output.status.code(), Some(1));
                continue;
            };
            // A bit of what only describes the recording, or that is padding, damages nothing that was recorded.
            let is_read = found["sufficient"] == true || rules(&found).iter().any(|rule| rule["verdict"] == "pass");
            if is_read {
                let verified = run(&["verify", path.to_str().unwrap()], b"");
                let told = String::from_utf8_lossy(&verified.stdout);
                assert_eq!(verified.status.code(), Some(0), "damage at {at} reads as a pass: {told}{found:#}");
            } else {
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn what_tls13_encrypts_is_not_passed() {
    let dir = tempfile::tempdir().unwrap();
    let records = [watched(), handshake(curl(10_000), "openssl13", 1, ENDS, true)].concat();
    let path = write(&dir, &meta("web1", 1, 0), &records);
    let found = report(&path, &[], 0);
    assert_eq!(rule(&found, OLD)["verdict"], "pass");
    let certificate = rule(&found, "ietf/rfc-9325/4.5/rsa-1024");
    assert_eq!(certificate["verdict"], "unknown", "{certificate:#}");
    assert!(open(certificate).contains("1 handshake does not show on the wire"), "{certificate:#}");
}

#[test]
fn rules_on_what_clients_offer_do_not_pass() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &meta("web1", 1, 0), &good());
    let found = report(&path, &[], 0);
    let of_offers = rule(&found, "ietf/rfc-7465/2/rc4-128");
    assert_eq!(of_offers["verdict"], "unknown");
    assert!(open(of_offers).contains("what clients offer"), "{of_offers:#}");
}

#[test]
fn calls_are_judged_where_they_were_recorded() {
    let with_api = with_options(vec!["--api --api-budget 1%".to_owned(), "-- make".to_owned()], meta("ci", 1, 0));
    let probed = library(about_capture(1), LIBRARY, b"/usr/lib/libcrypto.so.3", 1, b"");
    let used = |name: &[u8]| call(make(9_000), b"EVP_CipherInit_ex", ApiMeaning::CIPHER, name, 1, 0);
    let dir = tempfile::tempdir().unwrap();
    let id = "nist-800-131a/sp-800-131a/2-table-1/3des-ede/2024-01-01";
    let args = ["--pack", "nist-800-131a"];
    let records = |name: &[u8]| [watched(), vec![probed.clone(), used(name)]].concat();
    let path = write(&dir, &with_api, &records(b"DES-EDE3-CBC"));
    let found = report(&path, &args, 7);
    let evidence = &rule(&found, id)["evidence"][0];
    assert_eq!(
        (&evidence["what"], &evidence["place"], &evidence["unit"]),
        (&"3DES-EDE".into(), &"EVP_CipherInit_ex".into(), &"call".into())
    );
    assert_eq!((&evidence["program"], &evidence["pid"]), (&"/usr/bin/make".into(), &700.into()));
    let path = write(&dir, &with_api, &records(b"AES-256-GCM"));
    assert_eq!(rule(&report(&path, &args, 0), id)["verdict"], "pass");
    let path = write(&dir, &meta("web2", 2, 0), &records(b"AES-256-GCM"));
    let found = report(&path, &args, 0);
    assert_eq!(rule(&found, id)["verdict"], "unknown");
    assert!(open(rule(&found, id)).contains("record with --api"));
    let refused = library(about_capture(1), (8 << 20 | 1, 98), b"/opt/libcrypto.so.1", 2, b"");
    let path = write(&dir, &with_api, &[records(b"AES-256-GCM"), vec![refused]].concat());
    let found = report(&path, &args, 0);
    assert!(open(rule(&found, id)).contains("1 library file was not probed"), "{}", open(rule(&found, id)));
}

#[test]
fn every_recording_of_testdata_is_judged_alike_by_any_number_of_threads() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let mut count = 0;
    for entry in std::fs::read_dir(testdata).unwrap() {
        let path = entry.unwrap().path().join("capture.ctseg");
        if !path.exists() {
            continue;
        }
        count += 1;
        let args =
            ["check", path.to_str().unwrap(), "--pack", "ietf,nist-800-131a,nist-ir-8547,cnsa-2.0", "-f", "json"];
        let outputs = ["1", "4"].map(|threads| run(&[&args[..], &["--threads", threads]].concat(), b"").stdout);
        assert!(outputs[0] == outputs[1] && !outputs[0].is_empty());
        let found: Value = serde_json::from_slice(&outputs[0]).unwrap();
        report(&path, &[], if found["packs"][0]["counts"]["fail"] == 0 { 0 } else { 7 });
        let streamed = run(
            &["check", "-", "--pack", "ietf,nist-800-131a,nist-ir-8547,cnsa-2.0", "-f", "json"],
            &std::fs::read(&path).unwrap(),
        );
        let streamed: Value = serde_json::from_slice(&streamed.stdout).unwrap();
        assert_eq!(streamed["packs"], found["packs"], "{}", path.display());
    }
    assert!(count > 10);
}

/// A file of rules with these, named acme.
fn rules_file(dir: &tempfile::TempDir, rules: &str) -> String {
    let path = dir.path().join("rules.toml");
    std::fs::write(&path, format!("name = \"acme\"\n{rules}")).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The rules of a sample project's job: an old version, a key file that is not known, MD5 by a call of a library.
const JOB: &str = r#"
[[rule]]
id = "versions"
says = "We speak TLS 1.2 or 1.3"
allow = ["TLS 1.2", "TLS 1.3"]

[[rule]]
id = "keys"
says = "Only the keys that we know of are opened"
files = { types = ["private_key"], known = ["/srv/app/tls/server.key"] }

[[rule]]
id = "md5"
says = "Nothing uses MD5"
deny = ["MD5", "HMAC-MD5"]
in = ["calls"]
"#;

/// A recording of `make test` with everything watched.
fn job(more: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let probed = library(about_capture(1), LIBRARY, b"/usr/lib/libcrypto.so.3", 1, b"");
    let mut records = watched();
    records.extend([probed, open_of(make(2_000), b"/srv/app/tls/server.key"), digest(b"SHA256")]);
    records.extend(handshake(curl(10_000), "openssl12", 1, ENDS, true));
    records.extend_from_slice(more);
    records
}

fn open_of(header: Header, path: &[u8]) -> Vec<u8> {
    common::open(header, path, 5)
}

fn digest(name: &[u8]) -> Vec<u8> {
    call(make(9_000), b"EVP_DigestInit_ex", ApiMeaning::DIGEST, name, 1, 0)
}

fn of_job() -> SegmentMeta {
    with_options(vec!["--api --api-budget 1%".to_owned(), "-- make test".to_owned()], meta("ci", 1, 0))
}

#[test]
fn a_job_fails_by_an_old_version_a_new_key_and_md5_and_passes_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules_file(&dir, JOB);
    let args = ["--rules", &*rules, "--require-coverage"];
    let verdicts = |more: &[Vec<u8>], code: i32| -> Vec<(String, String)> {
        let path = write(&dir, &of_job(), &job(more));
        let found = report(&path, &args, code);
        assert_eq!(found["packs"].as_array().unwrap().len(), 1, "no pack but its own");
        let mut verdicts: Vec<_> = self::rules(&found)
            .iter()
            .map(|rule| (rule["rule"].as_str().unwrap().to_owned(), rule["verdict"].as_str().unwrap().to_owned()))
            .collect();
        verdicts.sort();
        verdicts
    };
    let expected = |failing: &str| -> Vec<(String, String)> {
        ["keys", "md5", "versions"]
            .map(|id| (format!("acme/{id}"), if id == failing { "fail" } else { "pass" }.to_owned()))
            .to_vec()
    };
    assert_eq!(verdicts(&[], 0), expected(""));
    let old = handshake(curl(20_000), "openssl10", 2, ENDS, true);
    assert_eq!(verdicts(&old, 7), expected("versions"));
    assert_eq!(verdicts(&[open_of(make(2_500), b"/tmp/new.key")], 7), expected("keys"));
    assert_eq!(verdicts(&[digest(b"MD5")], 7), expected("md5"));
    // An open that failed opened nothing.
    assert_eq!(verdicts(&[common::open(make(2_500), b"/tmp/new.key", -13)], 0), expected(""));
    // Nothing was called, so nothing is known of calls.
    let path = write(&dir, &of_job(), &good());
    assert_eq!(rule(&report(&path, &args, 9), "acme/md5")["verdict"], "unknown");
}

#[test]
fn evidence_of_files_and_calls_says_who_and_when() {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules_file(&dir, JOB);
    let path = write(&dir, &of_job(), &job(&[open_of(make(2_500), b"/home/alice/new.key"), digest(b"MD5")]));
    let found = report(&path, &["--rules", &rules], 7);
    let key = &rule(&found, "acme/keys")["evidence"][0];
    assert_eq!(
        (&key["what"], &key["place"], &key["unit"]),
        (&"/home/USER/new.key".into(), &"private_key".into(), &"open".into())
    );
    assert_eq!(
        (&key["program"], &key["pid"], &key["first"]),
        (&"/usr/bin/make".into(), &700.into(), &"2026-11-22T10:30:00.000002Z".into())
    );
    let shown_whole = report(&path, &["--rules", &rules, "--no-redact"], 7);
    assert_eq!(rule(&shown_whole, "acme/keys")["evidence"][0]["what"], "/home/alice/new.key");
    assert_eq!(rule(&found, "acme/md5")["evidence"][0]["place"], "EVP_DigestInit_ex");
    assert_eq!(rule(&found, "acme/md5")["says"], "Nothing uses MD5");
}

#[test]
fn scopes_say_where_a_rule_holds_and_one_that_takes_in_nothing_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &meta("web1", 1, 0), &old());
    for (scope, verdict) in [
        ("program = [\"curl\"]", "fail"),
        ("program = [\"/usr/bin/*\"]", "fail"),
        ("program = [\"nginx\"]", "unknown"),
        ("role = \"client\"", "fail"),
        ("role = \"server\"", "unknown"),
        ("peer = [\"10.0.0.1\"]", "fail"),
        ("peer = [\"10.0.0.1:443\"]", "fail"),
        ("peer = [\"10.9.*\"]", "unknown"),
        ("host = [\"web*\"]", "fail"),
        ("host = [\"db*\"]", "unknown"),
        ("container = [\"abc\"]", "unknown"),
        ("protocol = [\"tls\"]", "fail"),
    ] {
        let text = format!("[[rule]]\nid = \"a\"\nsays = \"b\"\ndeny = [\"TLS 1.0\"]\nscope = {{ {scope} }}\n");
        let rules = rules_file(&dir, &text);
        let found = report(&path, &["--rules", &rules], if verdict == "fail" { 7 } else { 0 });
        let found = rule(&found, "acme/a");
        assert_eq!(found["verdict"], verdict, "{scope}: {found:#}");
        assert_eq!(open(found).contains("takes in nothing that was recorded"), verdict == "unknown", "{scope}");
    }
}

#[test]
fn sizes_and_post_quantum_are_required() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &meta("web1", 1, 0), &good());
    let check = |rule_text: &str, verdict: &str| {
        let rules = rules_file(&dir, &format!("[[rule]]\nid = \"a\"\nsays = \"b\"\n{rule_text}\n"));
        let found = report(&path, &["--rules", &rules], if verdict == "fail" { 7 } else { 0 });
        assert_eq!(rule(&found, "acme/a")["verdict"], verdict, "{rule_text}: {found:#}");
    };
    check("minimum = { rsa = 2048 }", "pass");
    check("minimum = { rsa = 4096 }", "fail");
    check("minimum = { rsa = 4096 }\nlevel = \"warn\"", "warn");
    check("require = \"post-quantum\"", "fail");
    let quantum = [watched(), handshake(curl(10_000), "openssl4_mlkem", 1, ENDS, true)].concat();
    write(&dir, &meta("web1", 1, 0), &quantum);
    check("require = \"post-quantum\"", "pass");
    // Keys are hidden in TLS 1.3.
    check("minimum = { rsa = 2048 }", "unknown");
    let resumed = [watched(), handshake(curl(10_000), "openssl12_ticket", 1, ENDS, true)].concat();
    write(&dir, &meta("web1", 1, 0), &resumed);
    check("require = \"post-quantum\"", "unknown");
}

#[test]
fn libraries_are_judged_by_the_version_they_report() {
    let dir = tempfile::tempdir().unwrap();
    let probed = library(about_capture(1), LIBRARY, b"/usr/lib/libssl.so.3", 1, b"");
    let loaded = load(curl(2_000), b"/usr/lib/libssl.so.3");
    let path = write(&dir, &meta("web1", 1, 0), &[watched(), vec![probed, loaded.clone()]].concat());
    let check = |path: &Path, below: &str, verdict: &str| {
        let text = format!(
            "[[rule]]\nid = \"a\"\nsays = \"b\"\nlibraries = {{ names = [\"OpenSSL\"], below = \"{below}\" }}\n"
        );
        let found = report(path, &["--rules", &rules_file(&dir, &text)], if verdict == "fail" { 7 } else { 0 });
        assert_eq!(rule(&found, "acme/a")["verdict"], verdict, "{below}: {found:#}");
        rule(&found, "acme/a").clone()
    };
    let found = check(&path, "3.0.18", "fail");
    assert_eq!(
        (&found["evidence"][0]["what"], &found["evidence"][0]["place"]),
        (&"/usr/lib/libssl.so.3".into(), &"version 3.0.17".into())
    );
    check(&path, "3.0.17", "pass");
    let path = write(&dir, &meta("web1", 1, 0), &[watched(), vec![loaded]].concat());
    assert!(open(&check(&path, "3.0.18", "unknown")).contains("the version is not known"));
}

#[test]
fn waivers_cover_what_they_name_until_they_expire() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &meta("web1", 1, 0), &old());
    let waiver = |rule: &str, scope: &str, expires: &str| {
        let text = format!(
            "extends = [\"ietf\"]\n[[waiver]]\nrule = \"{rule}\"\nowner = \"Alice\"\nreason = \"until the box is gone\"\nexpires = {expires}\n{scope}"
        );
        rules_file(&dir, &text)
    };
    let all = "ietf/*";
    let found = report(&path, &["--rules", &waiver(all, "", "2027-01-01")], 0);
    let covered = rule(&found, OLD);
    assert_eq!((&covered["against"], &covered["waived"], &covered["verdict"]), (&0.into(), &1.into(), &"pass".into()));
    assert_eq!(covered["evidence"][0]["waiver"], 0);
    assert!(found["waivers"][0]["covers"].as_u64() > Some(0) && found["waivers"][0]["expired"] == false);
    // By the day that is asked about.
    let found = report(&path, &["--rules", &waiver(all, "", "2027-01-01"), "--as-of", "2027-01-01"], 7);
    assert_eq!((&found["waivers"][0]["expired"], &found["waivers"][0]["covers"]), (&true.into(), &0.into()));
    report(&path, &["--rules", &waiver(all, "scope = { program = [\"nginx\"] }", "2027-01-01")], 7);
    report(&path, &["--rules", &waiver(all, "scope = { program = [\"curl\"] }", "2027-01-01")], 0);
    let rules = waiver("ietf/nonsense", "", "2027-01-01");
    assert_eq!(report(&path, &["--rules", &rules], 7)["waivers"][0]["of_a_rule"], false);
    assert!(shown(&path, &["--rules", &rules], 7).contains("ietf/nonsense: is of no rule that is judged"));
}

#[test]
fn files_of_rules_that_are_wrong_are_refused_with_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &meta("web1", 1, 0), &good());
    let told = |rules: &str| {
        let output = run(&["check", path.to_str().unwrap(), "--rules", rules], b"");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        String::from_utf8(output.stderr).unwrap()
    };
    let rules = rules_file(&dir, "[[rule]]\nid = \"a\"\nsays = \"b\"\ndeny = [\"MD6\"]\n");
    assert!(
        told(&rules).contains("rules.toml:5:9: `MD6` is no algorithm of the catalog, did you mean MD5?"),
        "{}",
        told(&rules)
    );
    assert!(told("/nonexistent/rules.toml").contains("/nonexistent/rules.toml"));
    std::fs::write(&rules, [0xff, 0xfe]).unwrap();
    assert!(told(&rules).contains("UTF-8"), "{}", told(&rules));
    std::fs::write(&rules, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(told(&rules).contains("too many"), "{}", told(&rules));
    let twice = rules_file(&dir, "extends = [\"ietf\"]\n");
    let output = run(&["check", path.to_str().unwrap(), "--rules", &twice, "--rules", &twice], b"");
    assert!(String::from_utf8_lossy(&output.stderr).contains("two files of rules have the name acme"));
}

/// The file of rules in docs/rules.md.
#[test]
fn the_rules_of_the_documentation_are_accepted() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let (_, rest) = docs.split_once("```toml\n").unwrap();
    let (rules, _) = rest.split_once("```").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("acme.toml");
    std::fs::write(&file, rules).unwrap();
    let path = write(&dir, &of_job(), &job(&[]));
    let found = report(&path, &["--rules", file.to_str().unwrap()], 7);
    assert_eq!(found["packs"].as_array().unwrap().len(), 2);
    assert_eq!(rule(&found, "acme/keys")["verdict"], "fail", "make reads a key of its own");
    for pack in ["ietf", "nist-800-131a", "nist-ir-8547", "cnsa-2.0"] {
        assert!(docs.contains(&format!("| `{pack}` |")), "{pack} is not in docs/rules.md");
    }
}
