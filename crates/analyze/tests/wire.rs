//! `wire` and `ssh`: what is counted of every protocol alike, and of SSH alone.
#![allow(clippy::unwrap_used)]

mod common;

use common::everything::*;
use common::*;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(args: &[&str], path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze")).args(args).arg(path).output().unwrap()
}

fn document(args: &[&str], path: &Path) -> Value {
    let output = run(&[args, &["-f", "json"]].concat(), path);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?} {}: {error}", path.display()))
}

fn text(args: &[&str], path: &Path) -> String {
    String::from_utf8(run(args, path).stdout).unwrap()
}

fn real(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name).join("capture.ctseg")
}

fn of<'d>(wire: &'d Value, protocol: &str) -> &'d Value {
    wire["protocols"].as_array().unwrap().iter().find(|one| one["protocol"] == protocol).unwrap()
}

fn count(document: &Value, member: &str) -> u64 {
    document[member].as_u64().unwrap_or_else(|| panic!("no {member}: {document}"))
}

/// Handshakes of a list by name.
fn named(document: &Value, list: &str) -> Vec<(String, u64)> {
    let rows = document[list].as_array().unwrap_or_else(|| panic!("no {list}"));
    rows.iter().map(|row| (row["name"].as_str().unwrap().to_owned(), count(row, "handshakes"))).collect()
}

fn rows<const N: usize>(rows: [(&str, u64); N]) -> Vec<(String, u64)> {
    rows.map(|(name, count)| (name.to_owned(), count)).to_vec()
}

const SUMS: [&str; 9] = [
    "handshakes",
    "ends",
    "answered",
    "failed",
    "answered_then_failed",
    "unanswered",
    "post_quantum",
    "classical",
    "quantum_unknown",
];

/// Of one protocol `wire` says what the command of that protocol says, and of all together the sum.
#[test]
fn wire_says_what_the_commands_of_its_protocols_say() {
    let dir = tempfile::tempdir().unwrap();
    let mixed = dir.path().join("mixed.ctseg");
    write_segment(&mixed, &meta("web1", 1, 0), &[tls_of_all_sorts(), ssh_of_all_sorts()].concat(), 7);
    let paths = ["tls-wheels", "tls-loopback", "tls-go", "ssh-openssh"].map(real);
    for path in paths.iter().chain([&mixed]) {
        let wire = document(&["wire"], path);
        let protocols = [("tls", document(&["tls"], path)), ("ssh", document(&["ssh"], path))];
        for member in SUMS {
            for (protocol, own) in &protocols {
                assert_eq!(count(of(&wire, protocol), member), count(own, member), "{protocol} {member} {path:?}");
            }
            let sum: u64 = protocols.iter().map(|(_, own)| count(own, member)).sum();
            assert_eq!(count(&wire, member), sum, "{member} {path:?}");
        }
        for (protocol, own) in &protocols {
            let wire = of(&wire, protocol);
            assert_eq!(wire["post_quantum_share"], own["post_quantum_share"], "{protocol} {path:?}");
            assert_eq!(named(wire, "key_exchanges"), named(own, "key_exchanges"), "{protocol} {path:?}");
            assert_eq!(wire["why_none"], own["why_none"], "{protocol} {path:?}");
            for list in ["programs", "peers"] {
                let lens = [wire, own].map(|document| document[list].as_array().unwrap().len());
                assert_eq!(lens[0], lens[1], "{list} of {protocol} {path:?}");
            }
        }
    }
    let wire = document(&["wire"], &mixed);
    assert!(count(of(&wire, "tls"), "handshakes") > 5 && count(of(&wire, "ssh"), "handshakes") == 5, "{wire:#}");
}

/// Every handshake is in one row of a list, and in one of the ways that it can end.
#[test]
fn rows_of_ssh_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let mixed = dir.path().join("mixed.ctseg");
    write_segment(&mixed, &meta("web1", 1, 0), &ssh_of_all_sorts(), 7);
    for path in [real("ssh-openssh"), mixed] {
        let ssh = document(&["ssh"], &path);
        let sum = |members: &[&str]| members.iter().map(|member| count(&ssh, member)).sum::<u64>();
        let of = |list: &str| named(&ssh, list).iter().map(|(_, count)| count).sum::<u64>();
        assert_eq!(count(&ssh, "handshakes"), sum(&["answered", "failed", "unanswered"]));
        assert_eq!(count(&ssh, "handshakes"), sum(&SUMS[6..]) + count(&ssh, "no_key_exchange"));
        let agreed = sum(&["answered", "answered_then_failed"]);
        assert_eq!([of("key_exchanges"), of("host_key_algorithms"), of("ciphers"), of("macs")], [agreed; 4], "{ssh:#}");
        assert_eq!(sum(&["strict_kex", "without_strict_kex"]), agreed);
        assert_eq!(of("failures"), count(&ssh, "failed"));
        let peers = ssh["peers"].as_array().unwrap();
        let peers: u64 = peers.iter().flat_map(|row| ["answered", "failed", "unanswered"].map(|m| count(row, m))).sum();
        assert_eq!(peers, count(&ssh, "handshakes"));
        let programs = ssh["programs"].as_array().unwrap();
        let ends: u64 =
            programs.iter().flat_map(|row| ["as_client", "as_server", "role_unknown"].map(|m| count(row, m))).sum();
        assert_eq!(ends, count(&ssh, "ends"));
    }
}

#[test]
fn ssh_of_real_software_is_what_the_workload_did() {
    let path = real("ssh-openssh");
    let ssh = document(&["ssh"], &path);
    assert_eq!((count(&ssh, "handshakes"), count(&ssh, "ends")), (5, 10));
    assert_eq!(named(&ssh, "client_software"), rows([("OpenSSH_9.2p1", 4), ("dropbear_2022.83", 1)]));
    assert_eq!(named(&ssh, "server_software"), rows([("OpenSSH_9.2p1", 4), ("dropbear_2022.83", 1)]));
    assert_eq!(
        named(&ssh, "key_exchanges"),
        rows([("curve25519-sha256", 2), ("diffie-hellman-group-exchange-sha256", 1), ("sntrup761x25519-sha512", 1)])
    );
    assert_eq!((count(&ssh, "post_quantum"), ssh["post_quantum_share"].as_f64()), (1, Some(0.25)));
    assert_eq!(named(&ssh, "macs"), rows([("none: the cipher authenticates", 3), ("hmac-sha1", 1)]));
    assert_eq!(named(&ssh, "failures"), rows([("nothing in common: kex", 1)]));
    assert_eq!(named(&ssh, "groups").len(), 1);
    let keys = ssh["host_keys"].as_array().unwrap();
    let kinds: Vec<_> = keys.iter().map(|key| (key["key_type"].as_str().unwrap(), count(key, "key_bits"))).collect();
    assert!(
        kinds.contains(&("ssh-rsa", 2048)) && kinds.contains(&("ssh-ed25519-cert-v01@openssh.com", 256)),
        "{kinds:?}"
    );
    assert_eq!(keys.iter().filter(|key| key["certificate"]["key_id"] == "the host").count(), 1);
    assert!(keys.iter().all(|key| key["fingerprint"].as_str().unwrap().starts_with("SHA256:")));

    // One end alone tells the same of what both agreed on.
    let servers = document(&["ssh", "-n", "sshd"], &path);
    assert_eq!((count(&servers, "handshakes"), count(&servers, "ends")), (4, 4));
    assert_eq!(named(&servers, "server_software"), rows([("OpenSSH_9.2p1", 4)]));

    let shown = text(&["ssh"], &path);
    assert!(shown.contains("1 of 4 (25 %)") && shown.contains("strict key exchange: 4 of 4"), "{shown}");
    assert!(shown.contains("sntrup761x25519-sha512                post-quantum"), "{shown}");
}

/// The page on `wire` tells of every member that `ssh` has and `tls` has not.
#[test]
fn the_page_tells_of_what_ssh_counts() {
    let page = include_str!("../../../docs/wire.md");
    let (ssh, tls) = (document(&["ssh"], &real("ssh-openssh")), document(&["tls"], &real("ssh-openssh")));
    let own: Vec<&String> = ssh.as_object().unwrap().keys().filter(|name| tls.get(name).is_none()).collect();
    assert!(own.len() >= 9, "{own:?}");
    for name in own {
        assert!(page.contains(&format!("`{name}`")), "docs/wire.md does not tell of `{name}`");
    }
}

#[test]
fn why_there_is_no_ssh_is_said() {
    let why = "no SSH handshakes: not watched: recorded before there was anything to see SSH with";
    assert_eq!(document(&["ssh"], &real("tls-nginx"))["why_none"], why);
    assert!(text(&["ssh"], &real("tls-nginx")).contains(why));
    assert!(text(&["wire"], &real("tls-nginx")).contains(why));
    let dir = tempfile::tempdir().unwrap();
    let idle = dir.path().join("idle.ctseg");
    write_segment(&idle, &meta("idle", 1, 0), &[], 7);
    let wire = document(&["wire"], &idle);
    let why = wire["why_none"].as_str().unwrap();
    assert!(why.contains("no TLS handshakes") && why.contains("no SSH handshakes"), "{why}");
}

/// A service of SSH is a row of `readiness` like one of TLS, with a reason that both offers show.
#[test]
fn readiness_has_rows_of_ssh_and_says_which_side_is_in_the_way() {
    let path = real("ssh-openssh");
    let readiness = document(&["readiness"], &path);
    let sums = ["post_quantum", "classical", "unknown", "no_agreement"].map(|member| count(&readiness, member));
    assert_eq!(sums, [1, 3, 0, 1]);
    let reasons = |of: &Value| -> Vec<(String, u64)> {
        let reasons = of["why_not"].as_array().unwrap().iter();
        reasons.map(|one| (one["reason"].as_str().unwrap().to_owned(), count(one, "handshakes"))).collect()
    };
    assert_eq!(reasons(&readiness), rows([("client_did_not_offer", 2), ("server_did_not_offer", 1)]));
    let all = readiness["rows"].as_array().unwrap();
    assert!(all.iter().all(|row| row["protocol"] == "ssh"), "{all:#?}");
    let sshd = all.iter().find(|row| row["program"] == "/usr/sbin/sshd").unwrap();
    assert_eq!((&sshd["role"], &sshd["port"], count(sshd, "handshakes")), (&"server".into(), &2222.into(), 4));
    // OpenSSL is loaded, and is not what OpenSSH agrees on keys with.
    assert!(!readiness.to_string().contains("library_too_old\":[{"), "{readiness:#}");
    assert!(readiness["watched"][0]["ssh"].as_str().unwrap().starts_with("watched since"));

    // The client's order decides.
    let dir = tempfile::tempdir().unwrap();
    let swapped = dir.path().join("swapped.ctseg");
    let prefers = |bytes: Vec<u8>| {
        let names = b"sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,";
        let other = b"curve25519-sha256,curve25519-sha256@libssh.org,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,";
        let at = bytes.windows(names.len()).position(|window| window == names).expect("OpenSSH's order");
        [&bytes[..at], other, &bytes[at + names.len()..]].concat()
    };
    let fixed = |sent| crypto_trace_format::record::TlsHelloFixed {
        owner: SENDER,
        protocol: 1,
        ..socket(1, "10.0.0.1:4000", "10.0.0.2:22", sent)
    };
    let ssh = |at| header(710, "ssh", at);
    let records = vec![
        hello(ssh(2_000), fixed(true), &prefers(recorded_ssh("openssh", "client"))),
        hello(ssh(2_100), fixed(false), &recorded_ssh("openssh", "server")),
    ];
    write_segment(&swapped, &meta("web1", 1, 0), &records, 7);
    assert_eq!(reasons(&document(&["readiness"], &swapped)), rows([("client_prefers_classical", 1)]));
}

#[test]
fn a_profile_has_the_ssh_handshakes_of_its_process() {
    let profiles = document(&["profile", "-n", "sshd"], &real("ssh-openssh"));
    let profiles = profiles.as_array().unwrap();
    let all: Vec<&Value> = profiles.iter().flat_map(|one| one["ssh_handshakes"].as_array().unwrap()).collect();
    let total: u64 = all.iter().map(|row| count(row, "count")).sum();
    assert_eq!(total, 4, "{all:#?}");
    assert!(all.iter().all(|row| row["role"] == "server" && row["remote_port"].is_null()), "{all:#?}");
    let dropbear = all.iter().find(|row| row["remote_software"] == "dropbear_2022.83").unwrap();
    let kex = (&dropbear["key_exchange"], &dropbear["post_quantum"], &dropbear["host_key_algorithm"]);
    assert_eq!(kex, (&"curve25519-sha256".into(), &false.into(), &"ssh-ed25519".into()));
    let failed = all.iter().find(|row| row["outcome"] == "failed").unwrap();
    assert_eq!((&failed["failure"], &failed["key_exchange"]), (&"nothing in common: kex".into(), &"not seen".into()));
    let sum: u64 = profiles.iter().map(|one| count(&one["statistics"], "ssh_handshakes")).sum();
    assert_eq!(sum, total);
}

/// strongSwan with itself: with ML-KEM, in a weak group, and with nothing in common.
#[test]
fn ike_is_counted_judged_and_explained() {
    let path = real("ike-strongswan");
    let algorithms = document(&["algorithms"], &path);
    let names: Vec<&str> =
        algorithms["algorithms"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    for expected in ["IKE 2.0", "Curve25519 + ML-KEM-768", "1024-bit MODP Group", "AES-256-GCM", "HMAC-SHA-384"] {
        assert!(names.contains(&expected), "{expected}: {names:?}");
    }
    // The keys are those of both: the first by itself is no finding.
    assert!(!names.contains(&"x25519"), "{names:?}");

    let readiness = document(&["readiness"], &path);
    let why: Vec<(&str, u64)> = readiness["why_not"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["reason"].as_str().unwrap(), count(row, "handshakes")))
        .collect();
    assert_eq!(why, [("client_did_not_offer", 1)]);

    let checked = run(&["check", "--pack", "ietf"], &path);
    assert_eq!(checked.status.code(), Some(0), "RFC 8247 discourages the group, which fails nothing");
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.contains("1024-bit MODP Group") && checked.contains("RFC 8247"), "{checked}");

    let profiles = document(&["profile", "-n", "charon"], &path);
    let all: Vec<&Value> =
        profiles.as_array().unwrap().iter().flat_map(|one| one["ike_handshakes"].as_array().unwrap()).collect();
    assert_eq!(all.iter().map(|row| count(row, "count")).sum::<u64>(), 6, "{all:#?}");
    let hybrid: Vec<_> = all.iter().filter(|row| row["post_quantum"] == true).collect();
    assert!(hybrid.len() == 2 && hybrid.iter().all(|row| row["encryption"] == "ENCR_AES_GCM_16-256"), "{hybrid:#?}");
    assert_eq!(all.iter().filter(|row| row["failure"] == "NO_PROPOSAL_CHOSEN").count(), 2);
    assert!(text(&["events", "-f", "summary"], &path).contains("IKE handshakes"));
}

/// Rules whose scope was one of these were about none.
#[test]
fn a_scope_of_quic_is_about_quic() {
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("rules.toml");
    for (scope, capture, code) in [
        ("quic", "quic-aioquic", 7),
        ("tls", "quic-aioquic", 7),
        ("dtls", "quic-aioquic", 0),
        ("dtls", "dtls-openssl", 7),
        ("tls", "dtls-openssl", 7),
        ("quic", "dtls-openssl", 0),
        ("ike", "ike-strongswan", 7),
        ("tls", "ike-strongswan", 0),
        ("wireguard", "wireguard-go", 7),
        ("ike", "wireguard-go", 0),
    ] {
        let text = format!(
            "name = \"own\"\n[[rule]]\nid = \"groups\"\nsays = \"No classical groups\"\ndeny = [\"secp256r1\", \"x25519\", \
             \"1024-bit MODP Group\"]\nscope = {{ protocol = [\"{scope}\"] }}\n"
        );
        std::fs::write(&policy, text).unwrap();
        let output = run(&["check", "--rules", policy.to_str().unwrap()], &real(capture));
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let has_failed = output.status.code() == Some(code);
        assert!(has_failed, "{scope} of {capture}: {:?}\n{told}", output.status);
    }
}
