//! Rules of one's own: a job that fails when it should, scopes, sizes, libraries, waivers, and files that are wrong.

use super::*;

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
    crate::common::open(header, path, 5)
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
        let mut verdicts: Vec<_> = super::rules(&found)
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
    assert_eq!(verdicts(&[crate::common::open(make(2_500), b"/tmp/new.key", -13)], 0), expected(""));
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
        assert_eq!(open(found).contains("nothing recorded is within"), verdict == "unknown", "{scope}");
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
    assert!(open(&check(&path, "3.0.18", "unknown")).contains("version of such a library is not known"));
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
    assert!(shown(&path, &["--rules", &rules], 7).contains("ietf/nonsense: belongs to no rule that is judged"));
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
        told(&rules).contains("rules.toml:5:9: `MD6` is not an algorithm of the catalog, did you mean MD5?"),
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
    assert!(String::from_utf8_lossy(&output.stderr).contains("two rule files are named acme"));
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

#[test]
fn what_the_recording_did_not_watch_leaves_its_rules_open_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules_file(&dir, JOB);
    let without_kernel: Vec<Vec<u8>> = {
        let kernel = attached(b"kernel_crypto", b"tp_btf:sys_exit");
        job(&[]).into_iter().filter(|record| *record != kernel).collect()
    };
    let uring = with_options([of_job().filters, vec!["--io-uring off".to_owned()]].concat(), of_job());
    // A library made a handshake on a socket that the wire knows nothing of.
    let off_wire = call(curl(9_500), b"SSL_do_handshake", ApiMeaning::HANDSHAKE, b"", 1, 77);
    for (meta, records, open_rule, why) in [
        (of_job(), without_kernel, "md5", "the kernel's own crypto: not watched"),
        (uring, job(&[]), "keys", "--io-uring off"),
        (of_job(), job(&[off_wire]), "versions", "1 handshake that a library made was not seen on the wire"),
    ] {
        let path = write(&dir, &meta, &records);
        let found = report(&path, &["--rules", &rules, "--require-coverage"], 9);
        for id in ["keys", "md5", "versions"] {
            let rule = rule(&found, &format!("acme/{id}"));
            assert_eq!(rule["verdict"] == "unknown", id == open_rule, "{open_rule}: {rule:#}");
        }
        assert!(open(rule(&found, &format!("acme/{open_rule}"))).contains(why), "{why}: {found:#}");
    }
}
