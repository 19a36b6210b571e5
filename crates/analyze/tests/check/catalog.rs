//! Packs of the catalog: what they find, and that a recording which shows little never passes.

use super::*;

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
    assert!(text.contains("is a draft: it is not binding yet") && text.contains("may be stale"), "{text}");
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
        ("nothing seen", &whole, watched(), "nothing the rule applies to was seen"),
        ("no answer", &whole, unanswered, "no answer was seen"),
        ("lossy", &whole, lost, "lost"),
        ("no probe", &whole, no_probe, "TLS handshakes: not watched"),
        ("tls off", &off, watched()[3..].to_vec(), "recorded with --tls off"),
        ("filtered", &filtered, good(), "only part of what happened was recorded"),
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
        assert!(open(rule(&found, OLD)).contains("this command's filters"), "{args:?}");
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
