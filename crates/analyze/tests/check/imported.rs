//! Rules that others wrote: Mozilla's guidelines and policies of crypto-policies.

use super::*;

const GUIDELINES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/check/guidelines.json");
const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/check/CURRENT.pol");

/// A recording in which everything was watched, of servers with these handshakes.
fn served(dir: &tempfile::TempDir, handshakes: &[&str]) -> PathBuf {
    let mut records = watched();
    for (number, name) in (1u64..).zip(handshakes) {
        records.extend(handshake(
            header(500, "nginx", number * 10_000),
            name,
            number,
            ("10.0.0.1:443", "10.0.0.7:4000"),
            false,
        ));
    }
    write(dir, &meta("web1", 1, 0), &records)
}

fn verdicts(report: &Value) -> Vec<(String, String)> {
    let of = |rule: &&Value| {
        let id = rule["rule"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        (id, rule["verdict"].as_str().unwrap().to_owned())
    };
    rules(report).iter().map(of).collect()
}

fn has(report: &Value, id: &str, verdict: &str) -> bool {
    verdicts(report).contains(&(id.to_owned(), verdict.to_owned()))
}

#[test]
fn mozillas_guidelines_judge_servers_by_versions_suites_and_curves() {
    let dir = tempfile::tempdir().unwrap();
    let path = served(&dir, &["openssl13"]);
    for name in ["modern", "intermediate"] {
        let args = ["--rules", &*format!("{GUIDELINES}#{name}")];
        let found = report(&path, &args, 0);
        assert!(has(&found, "tls_versions", "pass") && has(&found, "ciphers", "pass"), "{found:#}");
        // What no handshake shows is never kept.
        assert!(has(&found, "rest", "unknown"), "{found:#}");
        let rule = rules(&found).into_iter().find(|rule| rule["verdict"] == "unknown").unwrap();
        assert!(rule["open"].to_string().contains("not judged here: certificate_types") || name == "intermediate");
    }
    let old = served(&dir, &["openssl13", "openssl12"]);
    let modern = report(&old, &["--rules", &*format!("{GUIDELINES}#modern")], 7);
    assert!(has(&modern, "tls_versions", "fail") && has(&modern, "ciphers", "fail"), "{modern:#}");
    let rule =
        rules(&modern).into_iter().find(|rule| rule["rule"].as_str().unwrap().ends_with("/tls_versions")).unwrap();
    assert_eq!((&rule["says"], &rule["evidence"][0]["what"]), (&"tls_versions: TLSv1.3".into(), &"TLS 1.2".into()));
    // Of a client's end nothing is said: they are for servers.
    let client = handshake(header(600, "curl", 10_000), "openssl12", 1, ("10.0.0.7:4000", "10.0.0.1:443"), true);
    let client = write(&dir, &meta("web2", 1, 0), &[watched(), client].concat());
    let found = report(&client, &["--rules", &*format!("{GUIDELINES}#modern")], 0);
    assert!(has(&found, "tls_versions", "unknown"), "{found:#}");
}

#[test]
fn a_policy_of_crypto_policies_judges_what_it_says_of_tls() {
    let dir = tempfile::tempdir().unwrap();
    let path = served(&dir, &["openssl13", "openssl12"]);
    let found = report(&path, &["--rules", POLICY], 0);
    for id in ["protocol", "cipher", "key_exchange"] {
        assert!(has(&found, id, "pass"), "{id}: {found:#}");
    }
    assert!(has(&found, "rest", "unknown"), "{found:#}");
    let strict = dir.path().join("STRICT.pol");
    std::fs::write(&strict, "protocol@TLS = TLS1.3\ncipher = AES-256-CBC AES-128-CBC +AES-128-GCM -AES-*-CBC\n")
        .unwrap();
    let found = report(&path, &["--rules", strict.to_str().unwrap()], 7);
    assert!(has(&found, "protocol", "fail") && has(&found, "cipher", "fail"), "{found:#}");
    let rule = rules(&found).into_iter().find(|rule| rule["rule"].as_str().unwrap().ends_with("/cipher")).unwrap();
    assert_eq!(rule["says"], "cipher = AES-128-GCM");
}

#[test]
fn what_is_wrong_with_the_files_of_others_is_said_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = served(&dir, &["openssl13"]);
    let refused = |name: &str, content: &str, chosen: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, content).unwrap();
        let rules = format!("{}{chosen}", file.display());
        let output = run(&["check", path.to_str().unwrap(), "--rules", &rules], b"");
        assert_eq!(output.status.code(), Some(1), "{name}");
        String::from_utf8(output.stderr).unwrap().replace(&format!("{}", file.display()), name)
    };
    let check = |name: &str, content: &str, chosen: &str, expected: &str| {
        let told = refused(name, content, chosen);
        assert!(told.contains(expected), "{expected} is not in {told}");
    };
    let guidelines = std::fs::read_to_string(GUIDELINES).unwrap();
    check(
        "g.json",
        &guidelines,
        "",
        "g.json:1:1: say which configuration is meant, FILE.json#NAME: there are intermediate, modern",
    );
    check("g.json", &guidelines, "#old", "there is no configuration `old`: there are intermediate, modern");
    check("g.json", "{\n \"version\": 6.0,\n oops }", "", "g.json:3:2: not Mozilla's guidelines: ");
    check("g.json", "{}", "", "g.json:1:2: not Mozilla's guidelines: missing field `version`");
    let unknown = guidelines.replace("\"TLS_AES_128_GCM_SHA256\"", "\"TLS_AES_129\"");
    check("g.json", &unknown, "#modern", "`TLS_AES_129` is no cipher suite");
    let unknown = guidelines.replace("\"prime256v1\"", "\"prime257v1\"");
    check("g.json", &unknown, "#modern", "g.json:14:");
    check("a.pol", "# a\nprotocol TLS1.3\n", "", "a.pol:2:1: neither a comment nor `key = values`");
    check("a.pol", "min_rsa_size = many\n", "", "a.pol:1:1: `min_rsa_size` is not one number of bits");
    check("a.pol", "cipher@SSH = AES-256-CTR\n", "", "a.pol:1:1: it says nothing of TLS");
    check("a.pol", "protocol = TLS1.3\ncipher = -[\n", "", "a.pol:2:1: `[`: ");
}
