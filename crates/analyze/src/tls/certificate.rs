//! Certificates of TLS ≤ 1.2, which travel in the clear (RFC 5246, section 7.4.2), as X.509 (RFC 5280).
//!
//! Says what a certificate says of itself; whether anyone should believe it is not decided here.

use super::ParseError;
use super::cursor::{Cursor, Shape};
use crate::text::hex;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;

/// Its handshake type.
pub(super) const CERTIFICATE: u8 = 11;
/// Longer chains are not read further.
const MAX_CHAIN: usize = 32;
/// Subject alternative names beyond this many are counted only.
const MAX_NAMES: usize = 256;

/// The certificates of one side, its own first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateChain {
    /// Those that could be read.
    pub certificates: Vec<Certificate>,
    /// How many are no X.509 that can be read.
    pub unreadable: usize,
    /// The bytes ended before the chain did: certificates may be missing.
    pub truncated: bool,
    /// Lengths contradict each other.
    pub malformed: bool,
}

impl CertificateChain {
    /// Reads a Certificate message from its start.
    ///
    /// # Errors
    /// Another type of message, or cut inside its header.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let shape = Shape::default();
        let mut body = Cursor::message(bytes, CERTIFICATE, &shape)?;
        let mut chain = Self::default();
        if let Some(mut list) = body.vec24() {
            for _ in 0..MAX_CHAIN {
                let Some(der) = (if list.is_empty() { None } else { list.vec24() }) else { break };
                if !der.is_complete() {
                    break;
                }
                match Certificate::parse(der.rest()) {
                    Ok(certificate) => chain.certificates.push(certificate),
                    Err(_) => chain.unreadable += 1,
                }
            }
        }
        chain.truncated = shape.truncated.get();
        chain.malformed = shape.malformed.get();
        Ok(chain)
    }
}

/// Why a certificate could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an X.509 certificate: {0}")]
pub struct CertificateError(String);

/// What one certificate says. Names are text of the peer, to be escaped before they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Distinguished name of whom it is for: `C=DE, O=Example, CN=example.org`.
    pub subject: String,
    /// Distinguished name of who signed it.
    pub issuer: String,
    /// Subject alternative names, with their kind: `DNS:example.org`, `IP:127.0.0.1`, `email:a@example.org`, `URI:…`.
    pub alternative_names: Vec<String>,
    /// Whether there were more of them than are kept.
    pub more_names: bool,
    /// Valid from: RFC 3339, UTC, seconds.
    pub not_before: String,
    /// Valid to, that second included: RFC 3339, UTC, seconds.
    pub not_after: String,
    /// The same as seconds since 1970, to compare with.
    pub not_after_unix: i64,
    /// Serial number, as hexadecimal digits in pairs.
    pub serial: String,
    /// `RSA`, `EC`, `Ed25519`, …, or the algorithm's object identifier.
    pub key_type: String,
    /// Size of the key: of the modulus for RSA and the prime for DSA, of the field for EC.
    pub key_bits: Option<usize>,
    /// The curve of an EC key, or its object identifier.
    pub curve: Option<String>,
    /// `sha256WithRSAEncryption`, …, or the algorithm's object identifier.
    pub signature_algorithm: String,
    /// SHA-256 of the whole certificate, as hexadecimal digits.
    pub sha256: String,
    /// Whether subject and issuer are the same; the signature is not checked.
    pub self_issued: bool,
    /// Whether it may sign other certificates (basicConstraints).
    pub is_ca: bool,
}

impl Certificate {
    /// Reads one certificate in DER.
    ///
    /// # Errors
    /// The bytes are no certificate.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let (_, x509) = X509Certificate::from_der(der).map_err(|error| CertificateError(error.to_string()))?;
        let key = x509.public_key();
        let key_oid = key.algorithm.algorithm.to_id_string();
        let parameters = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
        let curve_oid = parameters.filter(|_| key_oid == "1.2.840.10045.2.1").map(|oid| oid.to_id_string());
        let key_bits = key.parsed().ok().and_then(|parsed| key_bits(&parsed)).filter(|bits| *bits > 0);
        let mut names = alternative_names(&x509);
        let more_names = names.len() > MAX_NAMES;
        names.truncate(MAX_NAMES);
        Ok(Self {
            subject: x509.subject().to_string(),
            issuer: x509.issuer().to_string(),
            alternative_names: names,
            more_names,
            not_before: rfc3339(x509.validity().not_before),
            not_after: rfc3339(x509.validity().not_after),
            not_after_unix: x509.validity().not_after.timestamp(),
            serial: hex(serial(x509.raw_serial())),
            key_bits: curve_oid.as_deref().and_then(curve_bits).or(key_bits),
            curve: curve_oid.map(|oid| named(CURVES, &oid)),
            key_type: named(KEYS, &key_oid),
            signature_algorithm: named(SIGNATURES, &x509.signature_algorithm.algorithm.to_id_string()),
            sha256: hex(&Sha256::digest(der)),
            self_issued: x509.subject().as_raw() == x509.issuer().as_raw(),
            is_ca: x509.is_ca(),
        })
    }
}

/// Without the zero byte that DER puts in front of a number whose top bit is set; OpenSSL prints it so too.
fn serial(raw: &[u8]) -> &[u8] {
    match raw {
        [0, rest @ ..] if !rest.is_empty() => rest,
        _ => raw,
    }
}

fn key_bits(key: &PublicKey<'_>) -> Option<usize> {
    match key {
        PublicKey::RSA(rsa) => Some(rsa.key_size()),
        PublicKey::DSA(prime) => Some(prime.len() * 8),
        _ => None,
    }
}

fn alternative_names(x509: &X509Certificate<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for extension in x509.extensions() {
        let ParsedExtension::SubjectAlternativeName(alternative) = extension.parsed_extension() else { continue };
        names.extend(alternative.general_names.iter().take(MAX_NAMES + 1).map(general_name));
    }
    names
}

fn general_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(host) => format!("DNS:{host}"),
        GeneralName::RFC822Name(address) => format!("email:{address}"),
        GeneralName::URI(uri) => format!("URI:{uri}"),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(v4), _) => format!("IP:{}", std::net::Ipv4Addr::from(v4)),
            (_, Ok(v6)) => format!("IP:{}", std::net::Ipv6Addr::from(v6)),
            _ => format!("IP:{}", hex(bytes)),
        },
        GeneralName::DirectoryName(directory) => format!("directory:{directory}"),
        GeneralName::RegisteredID(oid) => format!("RID:{oid}"),
        _ => "other".to_owned(),
    }
}

/// Not by way of a timestamp: certificates that do not expire say 9999-12-31 (RFC 5280, section 4.1.2.5), which jiff's do not reach.
fn rfc3339(time: ASN1Time) -> String {
    let time = time.to_datetime();
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
}

/// The name of an object identifier, or itself.
fn named(names: &[(&str, &str)], oid: &str) -> String {
    names.iter().find(|(known, _)| *known == oid).map_or(oid, |(_, name)| name).to_owned()
}

fn curve_bits(oid: &str) -> Option<usize> {
    let name = named(CURVES, oid);
    let digits: String = name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|_| name != oid)
}

/// Public key algorithms: RFC 3279, RFC 4055, RFC 5480, RFC 8410, RFC 9881 (ML-DSA), RFC 9814 and 9909 (SLH-DSA).
const KEYS: &[(&str, &str)] = &[
    ("1.2.840.113549.1.1.1", "RSA"),
    ("1.2.840.113549.1.1.10", "RSASSA-PSS"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.10046.2.1", "DH"),
    ("1.2.840.10045.2.1", "EC"),
    ("1.3.101.110", "X25519"),
    ("1.3.101.111", "X448"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
];

/// Curves by their names in TLS: RFC 5480, RFC 5639.
const CURVES: &[(&str, &str)] = &[
    ("1.2.840.10045.3.1.1", "secp192r1"),
    ("1.3.132.0.33", "secp224r1"),
    ("1.2.840.10045.3.1.7", "secp256r1"),
    ("1.3.132.0.10", "secp256k1"),
    ("1.3.132.0.34", "secp384r1"),
    ("1.3.132.0.35", "secp521r1"),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"),
    ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1"),
];

/// Signature algorithms: RFC 3279, RFC 4055, RFC 5758, RFC 8410, RFC 9881.
const SIGNATURES: &[(&str, &str)] = &[
    ("1.2.840.113549.1.1.2", "md2WithRSAEncryption"),
    ("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    ("1.2.840.113549.1.1.10", "rsassaPss"),
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
    ("1.2.840.113549.1.1.14", "sha224WithRSAEncryption"),
    ("1.2.840.10040.4.3", "dsa-with-SHA1"),
    ("2.16.840.1.101.3.4.3.1", "dsa-with-SHA224"),
    ("2.16.840.1.101.3.4.3.2", "dsa-with-SHA256"),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
    ("1.2.840.10045.4.3.1", "ecdsa-with-SHA224"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
];
