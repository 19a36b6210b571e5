//! Rules that speak of SSH: what they find in handshakes of it, and that those of TLS find nothing there.

use super::*;
use crypto_trace_format::record::{Protocol, TlsHelloFixed};
use crypto_trace_format::segment::Selected;

/// A recording that looked for SSH as well.
fn both(host: &str) -> SegmentMeta {
    let selected = Selected { wire: Protocol::ALL, ..Selected::default() };
    SegmentMeta { selected: Box::new(selected), ..meta(host, 1, 0) }
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 2 + 4).unwrap();
    [&len.to_be_bytes()[..], &[4, number], body, &[0; 4]].concat()
}

/// What both sides offer: one name of each sort.
struct Offer<'o> {
    kex: &'o str,
    host_key: &'o str,
    cipher: &'o str,
    mac: &'o str,
}

const STRONG: Offer<'_> = Offer {
    kex: "mlkem1024nistp384-sha384",
    host_key: "ecdsa-sha2-nistp384",
    cipher: "aes256-gcm@openssh.com",
    mac: "hmac-sha2-512",
};

impl Offer<'_> {
    fn packet(&self) -> Vec<u8> {
        let Self { kex, host_key, cipher, mac } = self;
        let lists = [kex, host_key, cipher, cipher, mac, mac, &"none", &"none", &"", &""];
        let lists: Vec<u8> = lists.iter().flat_map(|list| string(list.as_bytes())).collect();
        packet(20, &[&[7; 16][..], &lists, &[0; 5]].concat())
    }
}

/// A key of this type, with numbers of so many bits.
fn key(kind: &str, bits: usize) -> Vec<u8> {
    let mut number = vec![0xff; bits / 8];
    number.insert(0, 0);
    let numbers = match kind {
        "ssh-rsa" => [string(&[1, 0, 1]), string(&number)].concat(),
        "ssh-dss" => string(&number).repeat(4),
        _ => [string(b"nistp384"), string(&[4; 97])].concat(),
    };
    [string(kind.as_bytes()), numbers].concat()
}

/// Both ends say the same; the server shows this key, and chooses a group of so many bits where it does. With 0 bits neither was
/// seen.
fn login(at: u64, cookie: u64, offer: &Offer<'_>, shown: &[u8], group: Option<usize>) -> Vec<Vec<u8>> {
    let opening = b"SSH-2.0-OpenSSH_9.9\r\n";
    let client = [&opening[..], &offer.packet(), &packet(30, &[]), &packet(21, &[])].concat();
    let reply = match group {
        Some(0) => Vec::new(),
        Some(bits) => {
            let prime = [&[0][..], &vec![0xff; bits / 8]].concat();
            [packet(31, &string(&prime)), packet(33, &string(shown))].concat()
        }
        None => packet(31, &string(shown)),
    };
    let server = [&opening[..], &offer.packet(), &reply, &packet(21, &[])].concat();
    let fixed = |sent| TlsHelloFixed {
        owner: SENDER,
        protocol: Protocol::SSH.0,
        ..socket(cookie, "10.0.0.8:4000", "10.0.0.1:22", sent)
    };
    vec![hello(ssh(at), fixed(true), &client), hello(ssh(at + 100), fixed(false), &server)]
}

fn ssh(at: u64) -> Header {
    header(610, "ssh", at)
}

fn recorded(logins: &[Vec<Vec<u8>>]) -> Vec<Vec<u8>> {
    let mut records = watched();
    records.push(exec(ssh(1_200), b"/usr/bin/ssh", b"ssh\0", 1));
    records.extend(logins.concat());
    records
}

fn verdicts<'r>(report: &'r Value, pack: &str) -> Vec<(&'r str, &'r str)> {
    let rules =
        rules(report).into_iter().map(|rule| (rule["rule"].as_str().unwrap(), rule["verdict"].as_str().unwrap()));
    rules.filter(|(rule, verdict)| rule.starts_with(pack) && ["fail", "warn"].contains(verdict)).collect()
}

#[test]
fn weak_ssh_is_found_by_the_rules_that_speak_of_it_and_by_no_rule_of_tls() {
    let dir = tempfile::tempdir().unwrap();
    let old = Offer { kex: "diffie-hellman-group1-sha1", host_key: "ssh-rsa", cipher: "arcfour", mac: "hmac-md5" };
    let small = Offer { kex: "diffie-hellman-group-exchange-sha256", host_key: "ssh-dss", cipher: "none", mac: "none" };
    let logins = [
        login(10_000, 1, &old, &key("ssh-rsa", 1_024), None),
        login(20_000, 2, &small, &key("ssh-dss", 1_024), Some(1_024)),
    ];
    let path = write(&dir, &both("web1"), &recorded(&logins));
    let found = report(&path, &["--as-of", "2026-11-29"], 7);
    assert_eq!(
        verdicts(&found, "ietf"),
        [
            ("ietf/rfc-8758/2/rc4-128", "fail"),
            ("ietf/rfc-9142/3.2.1/generated-group-below-2048-bits", "fail"),
            ("ietf/rfc-4253/6.3/null", "warn"),
            ("ietf/rfc-8270/3/generated-group-below-2048-bits", "warn"),
            ("ietf/rfc-8332/5.2/ssh-rsa", "warn"),
            ("ietf/rfc-9142/3.4/diffie-hellman-group1-sha1", "warn"),
            ("ietf/rfc-9142/5/diffie-hellman-group14-sha1", "warn"),
        ]
    );
    let evidence = &rule(&found, "ietf/rfc-8758/2/rc4-128")["evidence"][0];
    assert_eq!((&evidence["what"], &evidence["protocol"]), (&"RC4-128".into(), &"ssh".into()));
    assert_eq!((&evidence["program"], &evidence["peer"]), (&"/usr/bin/ssh".into(), &"10.0.0.1:22".into()));
    assert_eq!((&evidence["role"], &evidence["version"]), (&"client".into(), &"SSH 2.0".into()));

    let nist = report(&path, &["--pack", "nist-800-131a", "--as-of", "2026-11-29"], 7);
    let failed: Vec<&str> =
        verdicts(&nist, "nist").into_iter().filter(|(_, verdict)| *verdict == "fail").map(|(rule, _)| rule).collect();
    for part in ["rsa-1024", "dh-1024", "sha-1-signature-hash"] {
        assert!(failed.iter().any(|rule| rule.ends_with(part)), "{part}: {failed:?}");
    }
    let keys = rule(&nist, "nist-800-131a/sp-800-131a/3-table-2/rsa-1024")["evidence"].as_array().unwrap();
    let keys: Vec<_> = keys.iter().map(|one| (one["what"].as_str().unwrap(), one["place"].as_str().unwrap())).collect();
    assert_eq!(keys, [("RSA-1024", "host_key"), ("DSA-1024", "host_key")]);
}

#[test]
fn strong_ssh_is_against_no_rule_and_passes_those_that_are_about_what_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let records = recorded(&[login(10_000, 1, &STRONG, &key("ecdsa-sha2-nistp384", 0), None)]);
    let path = write(&dir, &both("web1"), &records);
    let found = report(&path, &["--as-of", "2026-11-29"], 0);
    assert_eq!(verdicts(&found, "ietf"), []);
    for passes in ["ietf/rfc-8758/2/rc4-128", "ietf/rfc-4253/6.3/null", "ietf/rfc-8332/5.2/ssh-rsa"] {
        assert_eq!(rule(&found, passes)["verdict"], "pass", "{found:#}");
    }
    // What should not be implemented may yet be offered.
    assert!(open(rule(&found, "ietf/rfc-9142/3.3/rsa1024-sha1")).contains("what clients offer"), "{found:#}");
    assert!(open(rule(&found, OLD)).contains("nothing the rule applies to was seen"), "{found:#}");
    // ECDSA is none of CNSA 2.0's from its day on.
    let cnsa = report(&path, &["--pack", "cnsa-2.0", "--as-of", "2034-01-01"], 7);
    let what: Vec<&Value> =
        rules(&cnsa).iter().flat_map(|rule| rule["evidence"].as_array().unwrap()).map(|one| &one["what"]).collect();
    assert!(what.contains(&&"ECDSA".into()) && !what.contains(&&"mlkem1024nistp384-sha384".into()), "{what:?}");
}

#[test]
fn rules_of_ssh_stay_open_where_it_was_not_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let only_tls = Selected { wire: Protocol::TLS.bit(), ..Selected::default() };
    let only_tls = SegmentMeta { selected: Box::new(only_tls), ..meta("web1", 1, 0) };
    let found = report(&write(&dir, &only_tls, &recorded(&[])), &[], 0);
    let why = open(rule(&found, "ietf/rfc-8758/2/rc4-128"));
    assert!(why.contains("SSH handshakes: not watched: recorded with --wire for other protocols than ssh"), "{why}");
    // Of those that are about whatever protocol it is no reason, and of those about TLS neither.
    assert!(!open(rule(&found, OLD)).contains("SSH"), "{found:#}");
    let nist = report(&write(&dir, &only_tls, &old()), &["--pack", "nist-800-131a"], 0);
    assert!(rules(&nist).iter().all(|rule| !open(rule).contains("SSH")), "{nist:#}");
    // A group that was not seen may be too small.
    let chosen = Offer { kex: "diffie-hellman-group-exchange-sha256", ..STRONG };
    let records = recorded(&[login(10_000, 1, &chosen, &[], Some(0))]);
    let found = report(&write(&dir, &both("web2"), &records), &[], 0);
    let why = open(rule(&found, "ietf/rfc-9142/3.2.1/generated-group-below-2048-bits"));
    assert!(why.contains("1 handshake does not show on the wire everything the rule asks about"), "{why}");
}

#[test]
fn rules_of_ones_own_are_about_ssh_as_well_where_they_say_so_or_say_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let policy = dir.path().join("own.toml");
    let text = r#"
name = "own"
[[rule]]
id = "versions"
says = "TLS 1.2 or 1.3"
allow = ["TLS 1.2", "TLS 1.3"]
in = ["handshakes"]
[[rule]]
id = "post-quantum"
says = "SSH is post-quantum"
require = "post-quantum"
scope = { protocol = ["ssh"] }
[[rule]]
id = "sizes"
says = "3072 bits"
minimum = { rsa = 3072, dh = 3072 }
[[rule]]
id = "tls-only"
says = "No AES-128-CTR in TLS"
deny = ["AES-128-CTR"]
scope = { protocol = ["tls"] }
"#;
    std::fs::write(&policy, text).unwrap();
    let offer =
        Offer { kex: "diffie-hellman-group14-sha256", host_key: "rsa-sha2-512", cipher: "aes128-ctr", ..STRONG };
    let records = recorded(&[login(10_000, 1, &offer, &key("ssh-rsa", 2_048), None)]);
    let path = write(&dir, &both("web1"), &records);
    let found = report(&path, &["--rules", policy.to_str().unwrap()], 7);
    assert_eq!(verdicts(&found, "own"), [("own/post-quantum", "fail"), ("own/sizes", "fail")]);
    let what: Vec<&str> = rule(&found, "own/sizes")["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["what"].as_str().unwrap())
        .collect();
    assert_eq!(what, ["DH, 2048 bits", "RSA, 2048 bits"]);
    assert!(open(rule(&found, "own/tls-only")).contains("nothing recorded is within the rule's scope"));
}
