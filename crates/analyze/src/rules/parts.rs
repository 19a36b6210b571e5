//! What suites, groups, signature schemes and keys are made of, as names of the catalog.

use super::{Algorithm, algorithm};
use crate::protocol::iana::{CipherSuite, Group, SignatureScheme};
use crate::protocol::tls::{Certificate, KeyExchange};

/// What a cipher suite is made of. Empty where the suite leaves it open (TLS 1.3: key exchange and authentication).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SuiteParts {
    /// How keys are agreed on: `ECDHE`, `RSA key transport`, `PSK`; two for `DHE_PSK`.
    pub key_exchange: Vec<&'static str>,
    /// How the server proves who it is.
    pub authentication: Vec<&'static str>,
    /// The cipher, with its mode.
    pub cipher: Option<&'static str>,
    /// Message authentication, where the cipher does not do it.
    pub mac: Option<&'static str>,
    /// The hash of the key schedule, where the suite names it.
    pub hash: Option<&'static str>,
}

impl SuiteParts {
    /// All of its algorithms, each once.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names = self.key_exchange.clone();
        let rest = self.authentication.iter().copied().chain(self.cipher).chain(self.mac).chain(self.hash);
        for name in rest {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// Takes a suite apart by its IANA name. None where it is unknown, or only a signal.
pub fn suite(suite: CipherSuite) -> Option<SuiteParts> {
    let name = suite.name()?.strip_prefix("TLS_")?;
    // The name of everything's absence, and the suites of RFC 9150: integrity without encryption.
    match name {
        "NULL_WITH_NULL_NULL" => return Some(SuiteParts { cipher: Some("NULL"), ..SuiteParts::default() }),
        "SHA256_SHA256" => return Some(integrity_only("HMAC-SHA-256", "SHA-256")),
        "SHA384_SHA384" => return Some(integrity_only("HMAC-SHA-384", "SHA-384")),
        _ => {}
    }
    let (exchange, rest) = match name.split_once("_WITH_") {
        Some((exchange, rest)) => (Some(exchange), rest),
        None => (None, name),
    };
    let (key_exchange, authentication) = match exchange {
        Some(exchange) => method(exchange)?,
        None => (vec![], vec![]),
    };
    let (cipher, after) = CIPHERS.iter().find_map(|(prefix, cipher)| Some((*cipher, rest.strip_prefix(prefix)?)))?;
    let hash = match after.trim_start_matches('_') {
        // TLS 1.2 takes SHA-256 where a suite of AES-CCM names nothing (RFC 6655, section 3).
        "" => None,
        other => Some(*HASHES.iter().find(|(name, ..)| *name == other)?),
    };
    let aead = algorithm(cipher).is_some_and(|row| row.primitive == super::Primitive::Aead);
    let mac = hash.filter(|_| !aead).and_then(|(_, mac, _)| mac);
    // With a MAC of MD5 or SHA-1, the key schedule is the version's: the suite says nothing of it.
    let hash = hash.and_then(|(_, _, hash)| hash);
    Some(SuiteParts { key_exchange, authentication, cipher: Some(cipher), mac, hash })
}

fn integrity_only(mac: &'static str, hash: &'static str) -> SuiteParts {
    SuiteParts { cipher: Some("NULL"), mac: Some(mac), hash: Some(hash), ..SuiteParts::default() }
}

type Method = (Vec<&'static str>, Vec<&'static str>);

/// Key exchange and authentication by the part of the name before `_WITH_`.
fn method(name: &str) -> Option<Method> {
    const RSA: &str = "RSA signature";
    let (name, export) = match name.strip_suffix("_EXPORT") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let (mut exchange, authentication) = match name {
        // With key transport, whoever can decrypt is the one.
        "RSA" => (vec!["RSA key transport"], vec![]),
        "RSA_PSK" => (vec!["RSA key transport", "PSK"], vec![]),
        "DH_RSA" => (vec!["static DH"], vec![RSA]),
        "DH_DSS" => (vec!["static DH"], vec!["DSA"]),
        "DHE_RSA" => (vec!["DHE"], vec![RSA]),
        "DHE_DSS" => (vec!["DHE"], vec!["DSA"]),
        "DHE_PSK" | "PSK_DHE" => (vec!["DHE", "PSK"], vec![]),
        "DH_anon" => (vec!["anonymous DH"], vec!["anonymous"]),
        "ECDH_RSA" => (vec!["static ECDH"], vec![RSA]),
        "ECDH_ECDSA" => (vec!["static ECDH"], vec!["ECDSA"]),
        "ECDHE_RSA" => (vec!["ECDHE"], vec![RSA]),
        "ECDHE_ECDSA" => (vec!["ECDHE"], vec!["ECDSA"]),
        "ECDHE_PSK" => (vec!["ECDHE", "PSK"], vec![]),
        "ECDH_anon" => (vec!["anonymous ECDH"], vec!["anonymous"]),
        "PSK" => (vec!["PSK"], vec![]),
        "KRB5" => (vec!["KRB5"], vec![]),
        "SRP_SHA" => (vec!["SRP"], vec![]),
        "SRP_SHA_RSA" => (vec!["SRP"], vec![RSA]),
        "SRP_SHA_DSS" => (vec!["SRP"], vec!["DSA"]),
        "ECCPWD" => (vec!["ECCPWD"], vec![]),
        "GOSTR341112_256" => (vec!["GOST R 34.10 key exchange"], vec!["GOST R 34.10 signature"]),
        _ => return None,
    };
    if export {
        // Keys of at most 512 bits (RFC 2246, appendix D).
        match name {
            "RSA" => exchange.push("RSA export"),
            "KRB5" => {}
            _ => exchange.push("DH export"),
        }
    }
    Some((exchange, authentication))
}

/// Ciphers by how they start after `_WITH_`; longer names before those they start with.
const CIPHERS: &[(&str, &str)] = &[
    ("NULL", "NULL"),
    ("RC4_40", "RC4-40"),
    ("RC4_128", "RC4-128"),
    ("RC2_CBC_40", "RC2-40"),
    ("IDEA_CBC", "IDEA"),
    ("DES40_CBC", "DES40"),
    ("DES_CBC_40", "DES40"),
    ("DES_CBC", "DES"),
    ("3DES_EDE_CBC", "3DES-EDE"),
    ("SEED_CBC", "SEED"),
    ("AES_128_CBC", "AES-128-CBC"),
    ("AES_256_CBC", "AES-256-CBC"),
    ("AES_128_GCM", "AES-128-GCM"),
    ("AES_256_GCM", "AES-256-GCM"),
    ("AES_128_CCM_8", "AES-128-CCM-8"),
    ("AES_256_CCM_8", "AES-256-CCM-8"),
    ("AES_128_CCM", "AES-128-CCM"),
    ("AES_256_CCM", "AES-256-CCM"),
    ("CAMELLIA_128_CBC", "Camellia-128-CBC"),
    ("CAMELLIA_256_CBC", "Camellia-256-CBC"),
    ("CAMELLIA_128_GCM", "Camellia-128-GCM"),
    ("CAMELLIA_256_GCM", "Camellia-256-GCM"),
    ("ARIA_128_CBC", "ARIA-128-CBC"),
    ("ARIA_256_CBC", "ARIA-256-CBC"),
    ("ARIA_128_GCM", "ARIA-128-GCM"),
    ("ARIA_256_GCM", "ARIA-256-GCM"),
    ("CHACHA20_POLY1305", "ChaCha20-Poly1305"),
    ("SM4_GCM", "SM4-GCM"),
    ("SM4_CCM", "SM4-CCM"),
    ("ASCONAEAD128", "Ascon-AEAD128"),
    ("AEGIS_128L", "AEGIS-128L"),
    ("AEGIS_256", "AEGIS-256"),
    ("KUZNYECHIK_CTR_OMAC", "Kuznyechik-CTR-OMAC"),
    ("MAGMA_CTR_OMAC", "Magma-CTR-OMAC"),
    ("28147_CNT", "GOST 28147-CNT"),
    ("KUZNYECHIK_MGM", "Kuznyechik-MGM"),
    ("MAGMA_MGM", "Magma-MGM"),
];

/// What the end of a suite's name says: MAC where the cipher needs one, hash of the key schedule.
type Hash = (&'static str, Option<&'static str>, Option<&'static str>);
const HASHES: &[Hash] = &[
    ("MD5", Some("HMAC-MD5"), None),
    ("SHA", Some("HMAC-SHA-1"), None),
    ("SHA256", Some("HMAC-SHA-256"), Some("SHA-256")),
    ("SHA384", Some("HMAC-SHA-384"), Some("SHA-384")),
    ("SHA512", None, Some("SHA-512")),
    ("SM3", None, Some("SM3")),
    ("ASCONHASH256", None, Some("Ascon-Hash256")),
    ("IMIT", Some("GOST 28147 IMIT"), Some("GOST R 34.11-2012")),
    // Key meshing of RFC 9367: how often keys change.
    ("L", None, Some("GOST R 34.11-2012")),
    ("S", None, Some("GOST R 34.11-2012")),
];

/// The row of what a key exchange ran in.
pub fn key_exchange(exchange: impl Into<KeyExchange>) -> Option<&'static Algorithm> {
    match exchange.into() {
        KeyExchange::Group(group) => algorithm(group.name()?),
        KeyExchange::FiniteField { prime_bits } => {
            algorithm(finite_field(u32::try_from(prime_bits).unwrap_or(u32::MAX)))
        }
    }
}

/// The row of a group of so many bits.
pub(super) fn finite_field(bits: u32) -> &'static str {
    by_size(bits, &[(4096, "DH-4096"), (3072, "DH-3072"), (2048, "DH-2048")]).unwrap_or("DH-1024")
}

/// The row of an RSA key of so many bits.
pub(super) fn rsa(bits: u32) -> &'static str {
    const ROWS: &[(u32, &str)] =
        &[(15360, "RSA-15360"), (7680, "RSA-7680"), (4096, "RSA-4096"), (3072, "RSA-3072"), (2048, "RSA-2048")];
    by_size(bits, ROWS).unwrap_or("RSA-1024")
}

/// The row of a DSA key of so many bits.
pub(super) fn dsa(bits: u32) -> &'static str {
    by_size(bits, &[(3072, "DSA-3072"), (2048, "DSA-2048")]).unwrap_or("DSA-1024")
}

impl From<Group> for KeyExchange {
    fn from(group: Group) -> Self {
        Self::Group(group)
    }
}

/// Signature algorithm and hash of a signature scheme. Empty where it is unknown.
pub fn signature(scheme: SignatureScheme) -> Vec<&'static str> {
    let Some(name) = scheme.name() else { return legacy_signature(scheme) };
    let method = match name {
        "ed25519" => return vec!["Ed25519"],
        "ed448" => return vec!["Ed448"],
        "mldsa44" => return vec!["ML-DSA-44"],
        "mldsa65" => return vec!["ML-DSA-65"],
        "mldsa87" => return vec!["ML-DSA-87"],
        "sm2sig_sm3" => return vec!["SM2 signature", "SM3"],
        _ if name.starts_with("slhdsa_") => return slh_dsa(name).into_iter().collect(),
        _ if name.starts_with("gostr3410") => return vec!["GOST R 34.10 signature"],
        _ if name.starts_with("rsa_") => "RSA signature",
        _ if name.starts_with("ecdsa_") => "ECDSA",
        _ => return vec![],
    };
    let hash = [("sha256", "SHA-256"), ("sha384", "SHA-384"), ("sha512", "SHA-512"), ("sha1", "SHA-1 signature hash")];
    let hash = hash.iter().find(|(part, _)| name.contains(part)).map(|(_, hash)| *hash);
    [method].into_iter().chain(hash).collect()
}

/// SLH-DSA by its scheme's name: `slhdsa_sha2_128s` is SLH-DSA-SHA2-128s of FIPS 205.
fn slh_dsa(scheme: &str) -> Option<&'static str> {
    let name =
        scheme.strip_prefix("slhdsa_")?.replacen("sha2_", "SLH-DSA-SHA2-", 1).replacen("shake_", "SLH-DSA-SHAKE-", 1);
    algorithm(&name).map(|row| &*row.name)
}

/// The pairs of hash and signature of TLS 1.2 that TLS 1.3 gave no names (RFC 5246, section 7.4.1.4.1).
fn legacy_signature(scheme: SignatureScheme) -> Vec<&'static str> {
    let [hash, method] = scheme.0.to_be_bytes();
    let hash = match hash {
        1 => "MD5 signature hash",
        2 => "SHA-1 signature hash",
        3 => "SHA-224 signature hash",
        4 => "SHA-256",
        5 => "SHA-384",
        6 => "SHA-512",
        _ => return vec![],
    };
    match method {
        1 => vec!["RSA signature", hash],
        2 => vec!["DSA", hash],
        3 => vec!["ECDSA", hash],
        _ => vec![],
    }
}

/// Signature algorithm and hash of a certificate's signature, by its name. Empty where it is unknown.
pub fn certificate_signature(name: &str) -> Vec<&'static str> {
    let method = match name {
        "rsassaPss" => return vec!["RSA signature"],
        "SM2-with-SM3" => return vec!["SM2 signature", "SM3"],
        _ if name.contains("GOST R 34.11-2012") => return vec!["GOST R 34.10 signature", "GOST R 34.11-2012"],
        _ if name.contains("GOST R 34.10") => return vec!["GOST R 34.10 signature"],
        _ if name.contains("WithRSA") || name.starts_with("RSA-") => "RSA signature",
        _ if name.starts_with("ecdsa-with-") || name.starts_with("ecdsa_with_") => "ECDSA",
        _ if name.starts_with("dsa-with-") || name.starts_with("dsa_with_") => "DSA",
        _ => return algorithm(name).map(|row| &*row.name).into_iter().collect(),
    };
    let hashes = [
        ("sha3-224", "SHA3-224"),
        ("sha3-256", "SHA3-256"),
        ("sha3-384", "SHA3-384"),
        ("sha3-512", "SHA3-512"),
        ("sha512-224", "SHA-512/224"),
        ("sha512-256", "SHA-512/256"),
        ("md5", "MD5 signature hash"),
        ("sha1", "SHA-1 signature hash"),
        ("sha224", "SHA-224 signature hash"),
        ("sha256", "SHA-256"),
        ("sha384", "SHA-384"),
        ("sha512", "SHA-512"),
    ];
    let name = name.to_ascii_lowercase();
    let hash = hashes.iter().find(|(part, _)| name.contains(part)).map(|(_, hash)| *hash);
    [method].into_iter().chain(hash).collect()
}

/// The row of a certificate's key.
pub fn key(certificate: &Certificate) -> Option<&'static Algorithm> {
    let bits = || Some(u32::try_from(certificate.key_bits?).unwrap_or(u32::MAX));
    algorithm(match certificate.key_type.as_deref()? {
        "RSA" | "RSASSA-PSS" | "RSAES-OAEP" => rsa(bits()?),
        "DSA" => dsa(bits()?),
        "EC" if certificate.curve.as_deref() == Some("curveSM2") => "SM2 signature",
        "EC" => return algorithm(&format!("ECDSA {}", certificate.curve.as_deref()?)),
        "ML-KEM-512" => "MLKEM512",
        "ML-KEM-768" => "MLKEM768",
        "ML-KEM-1024" => "MLKEM1024",
        gost if gost.starts_with("GOST R 34.10") => "GOST R 34.10 signature",
        other => other,
    })
}

fn by_size(bits: u32, rows: &[(u32, &'static str)]) -> Option<&'static str> {
    rows.iter().find(|(from, _)| bits >= *from).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::iana::{cipher_suites, signature_schemes};

    #[test]
    fn suites() {
        let check = |name: &str, expected: &[&str]| {
            let code = cipher_suites().code(name).unwrap_or_else(|| panic!("no {name}"));
            assert_eq!(suite(CipherSuite(code)).expect("known").names(), expected, "{name}");
        };
        check("TLS_AES_128_GCM_SHA256", &["AES-128-GCM", "SHA-256"]);
        check("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", &["ECDHE", "RSA signature", "AES-128-GCM", "SHA-256"]);
        check("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", &["ECDHE", "ECDSA", "AES-256-CBC", "HMAC-SHA-384", "SHA-384"]);
        check("TLS_RSA_WITH_AES_128_CBC_SHA", &["RSA key transport", "AES-128-CBC", "HMAC-SHA-1"]);
        check("TLS_RSA_WITH_3DES_EDE_CBC_SHA", &["RSA key transport", "3DES-EDE", "HMAC-SHA-1"]);
        check("TLS_RSA_EXPORT_WITH_RC4_40_MD5", &["RSA key transport", "RSA export", "RC4-40", "HMAC-MD5"]);
        check("TLS_DH_anon_WITH_AES_128_CBC_SHA", &["anonymous DH", "anonymous", "AES-128-CBC", "HMAC-SHA-1"]);
        check("TLS_ASCONAEAD128_ASCONHASH256", &["Ascon-AEAD128", "Ascon-Hash256"]);
        check("TLS_AES_128_CCM_ASCONHASH256", &["AES-128-CCM", "Ascon-Hash256"]);
        check("TLS_PSK_DHE_WITH_AES_128_CCM_8", &["DHE", "PSK", "AES-128-CCM-8"]);
        check("TLS_SHA256_SHA256", &["NULL", "HMAC-SHA-256", "SHA-256"]);
        check("TLS_NULL_WITH_NULL_NULL", &["NULL"]);
    }

    #[test]
    fn schemes() {
        let check =
            |code: u16, expected: &[&str]| assert_eq!(signature(SignatureScheme(code)), expected, "{code:#06x}");
        check(0x0804, &["RSA signature", "SHA-256"]);
        check(0x0403, &["ECDSA", "SHA-256"]);
        check(0x0201, &["RSA signature", "SHA-1 signature hash"]);
        check(0x0101, &["RSA signature", "MD5 signature hash"]);
        check(0x0202, &["DSA", "SHA-1 signature hash"]);
        check(0x0905, &["ML-DSA-65"]);
        check(0x0911, &["SLH-DSA-SHA2-128s"]);
        check(0x091c, &["SLH-DSA-SHAKE-256f"]);
        check(0x4242, &[]);
        // Identity-based signatures are the only named ones without a row.
        let without: Vec<u16> = signature_schemes()
            .iter()
            .map(|(code, _)| code)
            .filter(|c| signature(SignatureScheme(*c)).is_empty())
            .collect();
        assert_eq!(without, [0x0704, 0x0705, 0x0706, 0x0707]);
    }

    #[test]
    fn signatures_of_certificates() {
        let check = |name: &str, expected: &[&str]| {
            let found = certificate_signature(name);
            assert_eq!(found, expected, "{name}");
            assert!(found.iter().all(|part| algorithm(part).is_some()), "{name}");
        };
        check("sha256WithRSAEncryption", &["RSA signature", "SHA-256"]);
        check("ecdsa-with-SHA1", &["ECDSA", "SHA-1 signature hash"]);
        check("dsa-with-SHA224", &["DSA", "SHA-224 signature hash"]);
        check("md5WithRSAEncryption", &["RSA signature", "MD5 signature hash"]);
        check("rsassaPss", &["RSA signature"]);
        check("Ed25519", &["Ed25519"]);
        check("ML-DSA-65", &["ML-DSA-65"]);
        check("ecdsa_with_SHA3-256", &["ECDSA", "SHA3-256"]);
        check("RSA-SHA3-512", &["RSA signature", "SHA3-512"]);
        check("dsa_with_SHA3-224", &["DSA", "SHA3-224"]);
        check("sha512-256WithRSAEncryption", &["RSA signature", "SHA-512/256"]);
        check("sha1WithRSA", &["RSA signature", "SHA-1 signature hash"]);
        check("ripemd160WithRSA", &["RSA signature"]);
        check("SM2-with-SM3", &["SM2 signature", "SM3"]);
        check("GOST R 34.10-2012 with GOST R 34.11-2012 (256 bit)", &["GOST R 34.10 signature", "GOST R 34.11-2012"]);
        check("GOST R 34.11-94 with GOST R 34.10-2001", &["GOST R 34.10 signature"]);
        check("SLH-DSA-SHAKE-192f", &["SLH-DSA-SHAKE-192f"]);
        check("1.2.3.4", &[]);
    }

    #[test]
    fn key_exchanges() {
        let check = |exchange: KeyExchange, name: &str, bits: Option<u16>, vulnerable: bool| {
            let row = key_exchange(exchange).unwrap_or_else(|| panic!("no row for {exchange:?}"));
            assert_eq!((&*row.name, row.classical_bits, row.quantum_vulnerable), (name, bits, Some(vulnerable)));
        };
        check(KeyExchange::Group(Group(29)), "x25519", Some(128), true);
        check(KeyExchange::Group(Group(0x11ec)), "X25519MLKEM768", None, false);
        check(KeyExchange::FiniteField { prime_bits: 1024 }, "DH-1024", Some(80), true);
        check(KeyExchange::FiniteField { prime_bits: 2048 }, "DH-2048", Some(112), true);
        check(KeyExchange::FiniteField { prime_bits: 8192 }, "DH-4096", Some(128), true);
        assert!(key_exchange(Group(0x4242)).is_none());
    }
}
