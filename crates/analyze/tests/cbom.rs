//! `cbom` through the built program: what is in the document, what it hides, and what it says of what it could not see. That
//! it is what CycloneDX's schemas ask for is held by `tests/tests/cbom.rs` of the workspace.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use crypto_trace_format::record::{ApiCallFixed, ApiMeaning, FileOpen};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn written(dir: &tempfile::TempDir, records: &[Vec<u8>]) -> PathBuf {
    let path = dir.path().join("a.ctseg");
    write_segment(&path, &meta("web1", 1, 0), records, 5);
    path
}

fn text(path: &Path, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
    let output = command.arg("cbom").arg(path).args(args).env_remove("COLUMNS").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn cbom(path: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&text(path, &[&["-f", "json"], args].concat())).unwrap()
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name).join("capture.ctseg")
}

fn component<'a>(bom: &'a Value, reference: &str) -> &'a Value {
    let found = bom["components"].as_array().unwrap().iter().find(|one| one["bom-ref"] == reference);
    found.unwrap_or_else(|| panic!("no {reference} in {bom:#}"))
}

fn depends_on<'a>(bom: &'a Value, reference: &str) -> Vec<&'a str> {
    let found = bom["dependencies"].as_array().unwrap().iter().find(|one| one["ref"] == reference).unwrap();
    found["dependsOn"].as_array().into_iter().flatten().map(|on| on.as_str().unwrap()).collect()
}

fn properties<'a>(of: &'a Value, name: &str) -> Vec<&'a str> {
    let all = of["properties"].as_array().into_iter().flatten();
    all.filter(|property| property["name"] == name).map(|property| property["value"].as_str().unwrap()).collect()
}

fn aggregate<'a>(bom: &'a Value, area: &str) -> &'a str {
    let wanted = format!("coverage:{area}");
    let found = bom["compositions"].as_array().unwrap().iter().find(|one| one["bom-ref"] == wanted.as_str());
    found.unwrap()["aggregate"].as_str().unwrap()
}

/// Every `bom-ref` of components is there once, and what is referred to is there.
fn assert_refers_to_itself(bom: &Value) {
    let references = |of: &Value| -> Vec<String> {
        of.as_array().into_iter().flatten().map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    let components = bom["components"].as_array().unwrap();
    let all: Vec<String> = components.iter().map(|one| one["bom-ref"].as_str().unwrap().to_owned()).collect();
    let mut known: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(all.len(), known.len(), "a bom-ref stands twice");
    known.extend(bom["metadata"]["component"]["bom-ref"].as_str().map(str::to_owned));
    let mut used = Vec::new();
    for dependency in bom["dependencies"].as_array().unwrap() {
        used.push(dependency["ref"].as_str().unwrap().to_owned());
        used.extend(references(&dependency["dependsOn"]));
        used.extend(references(&dependency["provides"]));
    }
    for composition in bom["compositions"].as_array().unwrap() {
        used.extend(references(&composition["assemblies"]));
        used.extend(references(&composition["dependencies"]));
    }
    for suite in components
        .iter()
        .flat_map(|one| one["cryptoProperties"]["protocolProperties"]["cipherSuites"].as_array().into_iter().flatten())
    {
        used.extend(references(&suite["algorithms"]));
    }
    for reference in used {
        assert!(known.contains(&reference), "{reference} is no component");
    }
}

fn algorithm<'a>(bom: &'a Value, name: &str) -> &'a Value {
    &component(bom, &format!("algorithm:{name}"))["cryptoProperties"]["algorithmProperties"]
}

#[test]
fn the_same_recording_gives_the_same_bytes_and_another_one_another_serial_number() {
    let mut serials = BTreeSet::new();
    for name in ["tls-wheels", "tls-nginx", "algorithms", "failed-opens"] {
        for version in ["1.6", "1.7"] {
            let args = |threads| ["-f", "json", "--spec-version", version, "--threads", threads];
            let one = text(&testdata(name), &args("1"));
            assert_eq!(one, text(&testdata(name), &args("4")), "{name} {version}");
            let bom: Value = serde_json::from_str(&one).unwrap();
            assert_eq!(bom["specVersion"], version);
            assert_refers_to_itself(&bom);
            assert!(serials.insert(bom["serialNumber"].as_str().unwrap().to_owned()), "{name} {version}");
        }
    }
}

#[test]
fn a_hybrid_is_a_combiner_of_its_parts_and_of_no_family() {
    let bom = cbom(&testdata("tls-wheels"), &[]);
    let hybrid = algorithm(&bom, "X25519MLKEM768");
    assert_eq!((&hybrid["primitive"], hybrid.get("algorithmFamily")), (&"combiner".into(), None));
    assert_eq!(hybrid["nistQuantumSecurityLevel"], 3);
    assert_eq!(depends_on(&bom, "algorithm:X25519MLKEM768"), ["algorithm:MLKEM768", "algorithm:x25519"]);
    let part = algorithm(&bom, "MLKEM768");
    assert_eq!((&part["algorithmFamily"], &part["parameterSetIdentifier"]), (&"ML-KEM".into(), &"768".into()));
    let part = component(&bom, "algorithm:MLKEM768");
    assert_eq!(properties(part, "crypto-trace:part-of"), ["algorithm:X25519MLKEM768"]);
    // It was not agreed on by itself.
    assert!(part.get("evidence").is_none() && properties(part, "crypto-trace:handshakes").is_empty());
}

#[test]
fn what_only_1_7_knows_is_in_properties_of_1_6() {
    let (old, new) = (cbom(&testdata("tls-wheels"), &["--spec-version", "1.6"]), cbom(&testdata("tls-wheels"), &[]));
    let (of_old, of_new) = (algorithm(&old, "x25519"), algorithm(&new, "x25519"));
    assert_eq!((&of_old["curve"], of_old.get("ellipticCurve")), (&"other/Curve25519".into(), None));
    assert_eq!((&of_new["ellipticCurve"], of_new.get("curve")), (&"other/Curve25519".into(), None));
    assert_eq!(of_new["algorithmFamily"], "ECDH");
    assert_eq!(properties(component(&old, "algorithm:x25519"), "crypto-trace:algorithm-family"), ["ECDH"]);
    let suite = |bom: &Value| {
        component(bom, "protocol:TLS 1.2")["cryptoProperties"]["protocolProperties"]["cipherSuites"][0].clone()
    };
    let (of_old, of_new) = (suite(&old), suite(&new));
    let name = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
    assert_eq!((&of_new["name"], &of_new["identifiers"][0]), (&name.into(), &"0xC030".into()));
    assert_eq!(of_new["tlsGroups"], serde_json::json!(["x25519"]));
    assert_eq!(of_new["tlsSignatureSchemes"], serde_json::json!(["rsa_pss_rsae_sha256"]));
    assert!(of_old.get("tlsGroups").is_none() && of_old.get("tlsSignatureSchemes").is_none());
    let protocol = component(&old, "protocol:TLS 1.2");
    assert_eq!(properties(protocol, &format!("crypto-trace:tls-group:{name}")), ["x25519"]);
    assert_eq!(properties(protocol, &format!("crypto-trace:tls-signature-scheme:{name}")), ["rsa_pss_rsae_sha256"]);
}

#[test]
fn certificates_refer_to_their_keys_and_signatures() {
    let bom = cbom(&testdata("tls-wheels"), &[]);
    let all = bom["components"].as_array().unwrap();
    let certificate = all.iter().find(|one| one["cryptoProperties"]["assetType"] == "certificate").unwrap();
    let of = &certificate["cryptoProperties"]["certificateProperties"];
    assert_eq!((&of["subjectName"], &of["issuerName"]), (&"CN=server.test".into(), &"CN=test CA".into()));
    let related = of["relatedCryptographicAssets"].as_array().unwrap();
    for asset in related {
        component(&bom, asset["ref"].as_str().unwrap());
    }
    assert_eq!(related.len(), 2);
    let key = component(&bom, related[1]["ref"].as_str().unwrap());
    let key = &key["cryptoProperties"]["relatedCryptoMaterialProperties"];
    assert_eq!((&key["type"], &key["size"], key.get("value")), (&"public-key".into(), &2048.into(), None));
}

#[test]
fn key_files_are_material_without_a_value_and_those_that_were_not_there_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let nginx = |at| header(500, "nginx", at);
    let path = written(
        &dir,
        &[
            exec(nginx(1_000), b"/usr/sbin/nginx", b"nginx\0", 1),
            open(nginx(2_000), b"/etc/ssl/server.key", 3),
            open(nginx(3_000), b"/etc/ssl/absent.key", -2),
        ],
    );
    let bom = cbom(&path, &[]);
    let key = component(&bom, "file:web1:/etc/ssl/server.key");
    let material = &key["cryptoProperties"]["relatedCryptoMaterialProperties"];
    assert_eq!(material, &serde_json::json!({"type": "private-key"}));
    assert_eq!(key["evidence"]["occurrences"][0]["location"], "/etc/ssl/server.key");
    assert_eq!(properties(key, "crypto-trace:opens"), ["1"]);
    assert_eq!(depends_on(&bom, "program:/usr/sbin/nginx"), ["file:web1:/etc/ssl/server.key"]);
    assert!(!bom["components"].to_string().contains("absent"));
    assert_eq!(properties(&bom["metadata"], "crypto-trace:files-that-were-never-opened-well"), ["1"]);
}

#[test]
fn names_of_people_are_hidden_and_what_looks_the_same_stays_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = Vec::new();
    for (pid, user) in [(500, "alice"), (501, "bob")] {
        let exe = format!("/home/{user}/bin/tool");
        records.push(exec(header(pid, "tool", 1_000), exe.as_bytes(), b"tool\0", 1));
        records.push(open(header(pid, "tool", 2_000), format!("/home/{user}/id.key").as_bytes(), 3));
        records.push(load(header(pid, "tool", 2_500), format!("/home/{user}/lib/libssl.so.3").as_bytes()));
    }
    let path = written(&dir, &records);
    let hidden = text(&path, &["-f", "json"]);
    assert!(!hidden.contains("alice") && !hidden.contains("bob"), "{hidden}");
    let bom: Value = serde_json::from_str(&hidden).unwrap();
    assert_refers_to_itself(&bom);
    for reference in ["program:/home/USER/bin/tool", "file:web1:/home/USER/id.key"] {
        component(&bom, reference);
        component(&bom, &format!("{reference}#2"));
    }
    assert!(depends_on(&bom, "program:/home/USER/bin/tool#2").contains(&"file:web1:/home/USER/id.key#2"));
    let shown = text(&path, &["-f", "json", "--no-redact"]);
    assert!(shown.contains("/home/alice/id.key") && shown.contains("/home/bob/id.key"));
}

#[test]
fn hostile_names_neither_break_the_document_nor_reach_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let evil = |at| header(500, "evil\u{1b}", at);
    let name = b"/tmp/\x1b[31m\"},{\"bom-ref\":\"x\xff\xe2\x80\xae.key";
    let cipher = ApiCallFixed { count: 1, fd: -1, meaning: ApiMeaning::CIPHER.0, level: 2, ..ApiCallFixed::default() };
    let path = written(
        &dir,
        &[
            exec(evil(1_000), b"/tmp/\x1b]0;x\x07<script>", b"x\0", 1),
            open(evil(2_000), name, 3),
            load(evil(3_000), b"/tmp/libcrypto.so.3\n"),
            api_call(evil(4_000), cipher, b"EVP_\x1bInit", b"AES\x1b[2J\"]"),
        ],
    );
    for args in [&["-f", "json"][..], &["-f", "json", "--no-redact"], &[]] {
        let shown = text(&path, args);
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown}");
    }
    let bom = cbom(&path, &["--no-redact"]);
    assert_refers_to_itself(&bom);
    assert!(bom["components"].as_array().unwrap().iter().all(|one| one["bom-ref"] != "x"));
}

#[test]
fn a_capture_that_saw_little_is_never_complete() {
    let dir = tempfile::tempdir().unwrap();
    let nginx = |at| header(500, "nginx", at);
    let empty = written(&dir, &[]);
    let bom = cbom(&empty, &[]);
    for area in ["tls-handshakes", "library-calls", "files", "libraries"] {
        assert_eq!(aggregate(&bom, area), "incomplete", "{area}");
    }
    let watched = || vec![probe(500, b"file_open", 1, 0, b""), open(nginx(2_000), b"/etc/ssl/server.key", 3)];
    let path = written(&dir, &watched());
    let bom = cbom(&path, &[]);
    assert_eq!((aggregate(&bom, "files"), aggregate(&bom, "tls-handshakes")), ("unknown", "incomplete"));
    // Selected, or lost: not all of it.
    assert_eq!(aggregate(&cbom(&path, &["-p", "500"]), "files"), "incomplete");
    let lossy = written(&dir, &[watched(), vec![loss(3_000, FileOpen::KIND, 1, 7)]].concat());
    let bom = cbom(&lossy, &[]);
    assert_eq!(aggregate(&bom, "files"), "incomplete");
    let missing = properties(&bom["metadata"], "crypto-trace:missing");
    assert!(missing.iter().any(|gap| gap.starts_with("7 file_open lost")), "{missing:?}");
    assert!(text(&lossy, &[]).contains("7 file_open lost"));
}

#[test]
fn calls_that_are_counted_together_are_not_told_of_each_program() {
    let bom = cbom(&testdata("algorithms"), &[]);
    let occurrences = component(&bom, "algorithm:SHA-1")["evidence"]["occurrences"].as_array().unwrap();
    let calls = occurrences.iter().filter(|one| one["symbol"] == "EVP_DigestInit_ex");
    let contexts: Vec<&str> = calls.map(|one| one["additionalContext"].as_str().unwrap()).collect();
    assert!(contexts.len() == 2 && contexts.iter().all(|one| one.starts_with("among 2 calls of ")), "{contexts:?}");
}

#[test]
fn key_wrapping_is_a_primitive_of_1_7_only() {
    let dir = tempfile::tempdir().unwrap();
    let wrap = |at| header(500, "wrap", at);
    let cipher = ApiCallFixed {
        dev: LIBRARY.0,
        ino: LIBRARY.1,
        count: 3,
        fd: -1,
        meaning: ApiMeaning::CIPHER.0,
        level: 2,
        ..ApiCallFixed::default()
    };
    let path = written(
        &dir,
        &[
            exec(wrap(1_000), b"/usr/bin/wrap", b"wrap\0", 1),
            load(wrap(1_500), b"/usr/lib/libssl.so.3"),
            library(wrap(1_600), LIBRARY, b"/usr/lib/libssl.so.3", 1, b""),
            api_call(wrap(2_000), cipher, b"EVP_CipherInit_ex", b"AES-128-WRAP"),
        ],
    );
    for (version, primitive) in [("1.6", "other"), ("1.7", "key-wrap")] {
        let bom = cbom(&path, &["--spec-version", version]);
        assert_eq!(algorithm(&bom, "AES-128-WRAP")["primitive"], primitive, "{version}");
        let occurrence = &component(&bom, "algorithm:AES-128-WRAP")["evidence"]["occurrences"][0];
        assert_eq!(occurrence["location"], "/usr/bin/wrap", "{version}");
    }
}
