//! A CBOM as the old side.

use super::*;
use serde_json::json;

fn written(dir: &tempfile::TempDir, document: &Value) -> PathBuf {
    let path = dir.path().join("a.cdx.json");
    std::fs::write(&path, document.to_string()).unwrap();
    path
}

fn algorithm(name: &str, properties: Value) -> Value {
    let crypto = json!({"assetType": "algorithm", "algorithmProperties": properties});
    json!({"type": "cryptographic-asset", "name": name, "cryptoProperties": crypto})
}

#[test]
fn a_cbom_of_the_same_recording_differs_in_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("own.cdx.json");
    for name in ["algorithms", "answers", "tls-nginx", "tls-wheels", "tls-rustls", "python-https"] {
        for version in ["1.6", "1.7"] {
            let capture = testdata(name);
            let text = told(&["cbom", capture.to_str().unwrap(), "-f", "json", "--spec-version", version]);
            std::fs::write(&path, text).unwrap();
            let document = diff_of(&path, &capture, &[]);
            assert!(is_same(&document), "{name}: {document:#}");
            assert_ne!(document["counts"]["same"], 0, "{name}");
            let said = &document["old"];
            assert_eq!((&said["kind"], &said["cbom"]["spec_version"]), (&json!("cbom"), &json!(version)));
        }
    }
}

#[test]
fn what_is_listed_and_never_ran_and_what_ran_and_is_not_listed() {
    let dir = tempfile::tempdir().unwrap();
    let suites = json!([{"name": "a", "identifiers": ["0x13", "0x02"]}, {"name": "TLS_RSA_WITH_NULL_MD5"}]);
    let ssh = json!({"type": "ssh", "version": "2.0"});
    let protocol = |properties: Value| {
        let crypto = json!({"assetType": "protocol", "protocolProperties": properties});
        json!({"type": "cryptographic-asset", "name": "x", "cryptoProperties": crypto})
    };
    let protocols = [protocol(protocol_of(&suites)), protocol(ssh)];
    let listed = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"timestamp": "2026-11-01T00:00:00Z", "tools": [{"vendor": "x", "name": "scanner"}]},
        "components": [
            algorithm("SHA256", json!({"primitive": "hash", "parameterSetIdentifier": "256"})),
            algorithm("AES", json!({"primitive": "block-cipher"})),
            algorithm("Blowfish", json!({})),
            protocols[0], protocols[1],
            {"type": "library", "name": "openssl", "version": "3.0.1"},
            {"type": "library", "name": "wolfssl"},
            {"type": "library", "name": "left-pad"},
            {"type": "application", "name": "x", "components": [algorithm("MD5", json!({}))]},
        ],
    });
    let path = written(&dir, &listed);
    let document = diff_of(&path, &testdata("algorithms"), &[]);
    let unlisted = names(&document, "appeared");
    assert!(unlisted.contains(&"algorithm SHA3-256".to_owned()), "{unlisted:#?}");
    for listed in ["SHA-256", "MD5", "AES-128-GCM", "AES-256-CBC"] {
        assert!(!unlisted.contains(&format!("algorithm {listed}")), "{listed}");
    }
    let never = [names(&document, "vanished"), names(&document, "unknown")].concat();
    for expected in ["algorithm Blowfish", "library wolfSSL", "cipher_suite TLS_RSA_WITH_NULL_MD5"] {
        assert!(never.contains(&expected.to_owned()), "{never:#?}");
    }
    assert_eq!(changes(row(&document, "changed", "OpenSSL"))[0].split_once(" +").unwrap().0, "version: -3.0.1");
    let by = &document["old"]["cbom"]["not_compared_by"];
    assert_eq!(by["of assetType protocol, ssh"], 1);
    assert_eq!(by["of type library, not known to this version as cryptographic"], 1);
    let text = told(&["diff", path.to_str().unwrap(), testdata("algorithms").to_str().unwrap()]);
    assert!(text.contains("Ran and not listed") && text.contains("made by scanner"), "{text}");
}

fn protocol_of(suites: &Value) -> Value {
    json!({"type": "tls", "version": "1.3", "cipherSuites": suites})
}

#[test]
fn what_is_no_cbom_is_refused_with_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    let capture = testdata("algorithms");
    for (text, expected) in [
        ("{\"bomFormat\":\"CycloneDX\",\n \"specVersion\": \"1.6\",", ":2:22: not a readable CBOM"),
        ("{\n\"bomFormat\": \"SPDX\"}", ":2:20: not a readable CBOM (CycloneDX JSON): bomFormat is \"SPDX\""),
        (
            "{\"bomFormat\":\"CycloneDX\", \"specVersion\": \"1.2\"}",
            "specVersion \"1.2\" is not one of 1.4, 1.5, 1.6, 1.7",
        ),
        ("{}", "there is no bomFormat"),
        ("{\"bomFormat\":\"CycloneDX\"}", "there is no specVersion"),
        ("{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\",\"components\":{}}", "a list of components"),
        ("{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\",\n\"components\":[{\"name\":7}]}", ":2:"),
        ("{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\"} x", "trailing characters"),
        ("<bom/>", "XML is not supported: give the CBOM as CycloneDX JSON"),
        ("[]", "a list is not a CBOM"),
        ("hello", "not a crypto-trace segment"),
        ("", "empty"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = failure(&["diff", path.to_str().unwrap(), capture.to_str().unwrap()], 1);
        assert!(error.contains(expected), "{text}: {error}");
        assert!(error.contains("a.json"), "{error}");
    }
    let deep = "\"components\":[{".repeat(100_000);
    let text = format!("{{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\",{deep}");
    std::fs::write(&path, text).unwrap();
    let error = failure(&["diff", path.to_str().unwrap(), capture.to_str().unwrap()], 1);
    assert!(error.contains("recursion limit"), "{error}");
    std::fs::write(&path, "{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\"}").unwrap();
    let error = failure(&["diff", capture.to_str().unwrap(), path.to_str().unwrap()], 1);
    assert!(error.contains("give a CBOM as OLD"), "{error}");
    let before = std::fs::read(&path).unwrap();
    let path = path.to_str().unwrap();
    let error = failure(&["diff", path, capture.to_str().unwrap(), "-o", path], 1);
    assert!(error.contains("cannot be the output") && std::fs::read(path).unwrap() == before, "{error}");
}
