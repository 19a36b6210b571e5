//! The catalog as tables for SQL: `fleet/sql/seeds` says what the catalog says.
//!
//! `UPDATE_GOLDENS=1` writes the files anew.
#![allow(clippy::unwrap_used, reason = "tests")]

use crypto_trace_analyze::protocol::iana::{CipherSuite, Group, cipher_suites, groups};
use crypto_trace_analyze::protocol::tls::{Certificate, KeyExchange};
use crypto_trace_analyze::rules;
use std::path::Path;

/// Sizes of keys that rows are told apart by.
const BITS: std::ops::RangeInclusive<usize> = 0..=20_000;

/// Names of signatures in certificates, as events have them.
const SIGNATURES: [&str; 21] = [
    "md5WithRSAEncryption",
    "sha1WithRSAEncryption",
    "sha224WithRSAEncryption",
    "sha256WithRSAEncryption",
    "sha384WithRSAEncryption",
    "sha512WithRSAEncryption",
    "rsassaPss",
    "ecdsa-with-SHA1",
    "ecdsa-with-SHA224",
    "ecdsa-with-SHA256",
    "ecdsa-with-SHA384",
    "ecdsa-with-SHA512",
    "dsa-with-sha1",
    "dsa-with-sha224",
    "dsa-with-sha256",
    "Ed25519",
    "Ed448",
    "ML-DSA-44",
    "ML-DSA-65",
    "ML-DSA-87",
    "SM2-with-SM3",
];

/// Rows of one file.
struct Seed(csv::Writer<Vec<u8>>);

impl Seed {
    fn new(columns: &[&str]) -> Self {
        let mut seed = Self(csv::Writer::from_writer(Vec::new()));
        seed.row(columns);
        seed
    }

    fn row(&mut self, cells: &[&str]) {
        self.0.write_record(cells).unwrap();
    }

    /// Holds the file to it, or writes it.
    fn agree(self, name: &str) {
        let expected = String::from_utf8(self.0.into_inner().unwrap()).unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fleet/sql/seeds").join(name);
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == expected,
            "{name} is not what the catalog says: UPDATE_GOLDENS=1 writes it anew, then read the diff"
        );
    }
}

#[test]
fn suites_are_those_of_the_catalog() {
    let mut seed = Seed::new(&["cipher_suite", "key_exchange"]);
    for (code, name) in cipher_suites().iter() {
        let Some(parts) = rules::suite(CipherSuite(code)) else { continue };
        seed.row(&[name, &parts.key_exchange.join(" + ")]);
    }
    seed.agree("suites.csv");
}

#[test]
fn groups_are_those_of_the_registry() {
    let mut seed = Seed::new(&["name", "post_quantum"]);
    for (code, name) in groups().iter() {
        seed.row(&[name, &Group(code).post_quantum().unwrap().to_string()]);
    }
    seed.agree("groups.csv");
}

/// Each run of sizes that are one algorithm.
fn by_size(seed: &mut Seed, column: &str, value: &str, place: &str, algorithm: impl Fn(usize) -> Option<String>) {
    let mut from = *BITS.start();
    for bits in BITS {
        let (own, next) = (algorithm(bits), algorithm(bits + 1));
        let is_last = bits == *BITS.end();
        if own == next && !is_last {
            continue;
        }
        if let Some(own) = own {
            let below = if is_last { String::new() } else { (bits + 1).to_string() };
            seed.row(&[column, value, &from.to_string(), &below, place, &own]);
        }
        from = bits + 1;
    }
}

fn key(key_type: &str, bits: Option<usize>, curve: Option<&str>) -> Option<String> {
    let (key_type, curve) = (Some(key_type.to_owned()), curve.map(str::to_owned));
    rules::key(&Certificate { key_type, key_bits: bits, curve, ..Certificate::default() }).map(|row| row.name.clone())
}

#[test]
fn columns_are_taken_apart_as_the_catalog_does_it() {
    let mut seed = Seed::new(&["column_name", "value", "from_bits", "below_bits", "place", "algorithm"]);
    for row in rules::algorithms().iter().filter(|row| row.primitive == rules::Primitive::Protocol) {
        if row.name.starts_with("SSH") {
            continue;
        }
        seed.row(&["version", &row.name, "", "", "protocol", &row.name]);
    }
    for (code, name) in cipher_suites().iter() {
        let Some(parts) = rules::suite(CipherSuite(code)) else { continue };
        let rest = parts.cipher.into_iter().chain(parts.mac).chain(parts.hash).map(|part| ("cipher_suite", part));
        let exchange = parts.key_exchange.into_iter().map(|part| ("key_exchange", part));
        let proof = parts.authentication.into_iter().map(|part| ("authentication", part));
        for (place, part) in exchange.chain(proof).chain(rest) {
            seed.row(&["cipher_suite", name, "", "", place, part]);
        }
    }
    for (code, name) in groups().iter() {
        let Some(row) = rules::key_exchange(Group(code)) else { continue };
        seed.row(&["group", name, "", "", "key_exchange", &row.name]);
    }
    by_size(&mut seed, "dh_bits", "", "key_exchange", |prime_bits| {
        rules::key_exchange(KeyExchange::FiniteField { prime_bits }).map(|row| row.name.clone())
    });
    for key_type in ["RSA", "RSASSA-PSS", "RSAES-OAEP", "DSA"] {
        by_size(&mut seed, "key_type", key_type, "certificate_key", |bits| key(key_type, Some(bits), None));
    }
    for (_, curve) in groups().iter() {
        if let Some(name) = key("EC", None, Some(curve)) {
            seed.row(&["curve", curve, "", "", "certificate_key", &name]);
        }
    }
    for key_type in ["Ed25519", "Ed448", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"] {
        seed.row(&["key_type", key_type, "", "", "certificate_key", &key(key_type, None, None).unwrap()]);
    }
    for name in SIGNATURES {
        for part in rules::certificate_signature(name) {
            seed.row(&["signature_algorithm", name, "", "", "certificate_signature", part]);
        }
    }
    seed.agree("algorithms.csv");
}

#[test]
fn rules_are_those_of_the_catalog() {
    let mut seed = Seed::new(&[
        "rule",
        "algorithm",
        "version",
        "handshake_only",
        "status",
        "effective",
        "until",
        "published",
        "authority",
        "document",
        "section",
        "url",
    ]);
    for (number, rule) in rules::rules().iter().enumerate().filter(|(_, rule)| rule.checked.is_some()) {
        let document = rules::document(&rule.document).unwrap();
        // The tables are asked about TLS.
        if document.protocol.as_deref().is_some_and(|protocol| protocol != "tls") {
            continue;
        }
        let status = match rule.status {
            rules::Status::Disallowed => "disallowed",
            rules::Status::Deprecated => "deprecated",
            rules::Status::Discouraged => "discouraged",
        };
        let until = rule.until.map(|until| until.to_string()).unwrap_or_default();
        let any = [String::new()];
        let versions = if rule.versions.is_empty() { &any[..] } else { &rule.versions };
        for (algorithm, version) in rule.algorithms.iter().flat_map(|one| versions.iter().map(move |on| (one, on))) {
            seed.row(&[
                &number.to_string(),
                algorithm,
                version,
                &rule.handshake_only.to_string(),
                status,
                &rule.effective.to_string(),
                &until,
                &document.date.to_string(),
                &document.authority,
                &document.id,
                &rule.section,
                &document.url,
            ]);
        }
    }
    seed.agree("rules.csv");
}
