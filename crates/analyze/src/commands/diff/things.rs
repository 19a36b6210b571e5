//! What the components of a CBOM are: which of them can be seen to run, and what this program calls those.

use super::inventory::Category;
use super::listing::{Listed, Listing, MAX_THINGS};
use crate::capture::libraries::product;
use crate::protocol::iana::CipherSuite;
use crypto_trace_format::catalog;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Elements of a list within a component.
const MAX_LIST: usize = 4_096;

/// What any component says.
#[derive(Default)]
pub(super) struct Plain {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) version: Option<String>,
}

/// The first elements of a list; what is beyond is left out.
pub(super) struct Few<T>(pub(super) Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct First<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for First<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T>, A::Error> {
                let mut few = Vec::new();
                while few.len() < MAX_LIST {
                    let Some(one) = list.next_element()? else { return Ok(Few(few)) };
                    few.push(one);
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Few(few))
            }
        }

        deserializer.deserialize_seq(First(PhantomData))
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Crypto {
    pub(super) asset_type: String,
    pub(super) algorithm_properties: Option<Algorithm>,
    pub(super) certificate_properties: Option<Certificate>,
    pub(super) protocol_properties: Option<Protocol>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Algorithm {
    /// Of documents before 1.6, as IBM's extension of 1.4 has it.
    pub(super) variant: Option<String>,
    pub(super) parameter_set_identifier: Option<String>,
    pub(super) mode: Option<String>,
    pub(super) curve: Option<String>,
    pub(super) elliptic_curve: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Certificate {
    pub(super) subject_name: Option<String>,
    pub(super) fingerprint: Option<Fingerprint>,
}

#[derive(Deserialize)]
pub(super) struct Fingerprint {
    pub(super) alg: Option<String>,
    pub(super) content: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Protocol {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) version: Option<String>,
    pub(super) cipher_suites: Few<Suite>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Suite {
    pub(super) name: Option<String>,
    pub(super) identifiers: Few<String>,
}

impl Listing {
    pub(super) fn take(&mut self, plain: Plain, crypto: Option<Crypto>) {
        let Some(crypto) = crypto else { return self.library(plain) };
        match (crypto.asset_type.as_str(), crypto.algorithm_properties, crypto.certificate_properties) {
            ("algorithm", algorithm, _) => self.algorithm(plain, algorithm.unwrap_or_default()),
            ("certificate", _, certificate) => self.certificate(plain, certificate.unwrap_or_default()),
            ("protocol", ..) => self.protocol(plain, crypto.protocol_properties.unwrap_or_default()),
            (other, ..) => self.leave_out(&format!("of assetType {other:.40}")),
        }
    }

    fn leave_out(&mut self, why: &str) {
        // Documents have few sorts of components; a hostile one has many.
        let why = if self.report.not_compared_by.len() < MAX_SORTS { why } else { "of other sorts" };
        *self.report.not_compared_by.entry(why.to_owned()).or_default() += 1;
    }

    fn library(&mut self, plain: Plain) {
        if !matches!(plain.kind.as_str(), "library" | "framework") {
            return self.leave_out(&format!("of type {:.40}", plain.kind));
        }
        match known_library(&plain.name) {
            Some(name) => self.things.push(Listed {
                category: Some(Category::Library),
                forms: vec![name.to_owned()],
                name: name.to_owned(),
                version: plain.version.filter(|version| !version.is_empty()),
                sha256: None,
            }),
            None => self.leave_out("of type library, not known to this version as cryptographic"),
        }
    }

    fn algorithm(&mut self, plain: Plain, properties: Algorithm) {
        let name = properties.variant.filter(|variant| !variant.is_empty()).unwrap_or(plain.name);
        if name.is_empty() {
            return self.leave_out("of assetType algorithm, without a name");
        }
        let mut forms = vec![name.clone()];
        // `AES` with 128 and gcm says no less than `AES-128-GCM`.
        let is_bare = name.bytes().all(|byte| byte.is_ascii_alphabetic());
        if is_bare {
            let parts = [properties.parameter_set_identifier, properties.mode];
            let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
            let curve = properties.elliptic_curve.or(properties.curve).filter(|curve| !curve.is_empty());
            if !parts.is_empty() {
                forms = vec![format!("{name}-{}", parts.join("-"))];
            } else if let Some(curve) = curve {
                // `secg/secp256r1` of 1.7
                forms = vec![curve.rsplit('/').next().unwrap_or(&curve).to_owned()];
            }
        }
        let algorithm =
            |name: String, forms| Listed { category: Some(Category::Algorithm), name, forms, ..Listed::default() };
        match parts(&name) {
            Some(parts) => self.things.extend(parts.map(|part| algorithm(part.clone(), vec![part]))),
            None => self.things.push(algorithm(name, forms)),
        }
    }

    fn certificate(&mut self, plain: Plain, properties: Certificate) {
        let is_sha256 = |of: &Fingerprint| of.alg.as_deref() == Some("SHA-256");
        let sha256 = properties.fingerprint.filter(is_sha256).and_then(|of| of.content);
        let name = properties.subject_name.filter(|name| !name.is_empty()).unwrap_or(plain.name);
        let forms = vec![subject(&name)];
        let sha256 = sha256.map(|sha256| sha256.to_ascii_lowercase());
        self.things.push(Listed { category: Some(Category::Certificate), name, forms, sha256, version: None });
    }

    fn protocol(&mut self, plain: Plain, properties: Protocol) {
        if properties.kind.as_deref() != Some("tls") {
            let kind = properties.kind.unwrap_or_else(|| "no type".to_owned());
            return self.leave_out(&format!("of assetType protocol, {kind:.40}"));
        }
        let version = properties.version.filter(|version| !version.is_empty()).unwrap_or(plain.name);
        // `1.2`, `TLS 1.2`, `TLSv1.2`; `TLS` alone says none.
        let number = version.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        if !number.is_empty() {
            let is_ssl = version.to_ascii_uppercase().starts_with("SSL");
            let name = format!("{} {number}", if is_ssl { "SSL" } else { "TLS" });
            self.things.push(Listed {
                category: Some(Category::TlsVersion),
                forms: vec![name.clone()],
                name,
                ..Listed::default()
            });
        }
        for suite in properties.cipher_suites.0 {
            let by_number = code(&suite.identifiers.0).map(|code| CipherSuite(code).to_string());
            let Some(name) = by_number.or(suite.name).filter(|name| !name.is_empty()) else { continue };
            if self.things.len() > MAX_THINGS {
                return;
            }
            let forms = vec![name.to_ascii_uppercase()];
            self.things.push(Listed { category: Some(Category::CipherSuite), name, forms, ..Listed::default() });
        }
    }
}

/// Sorts of components that are told apart.
const MAX_SORTS: usize = 50;

/// What a signature is made of: `SHA256withRSA`, `ecdsaWithSHA256`. None: it is one algorithm, as `hmacWithSHA256` is.
fn parts(name: &str) -> Option<[String; 2]> {
    let lower = name.to_ascii_lowercase();
    let (first, second) = lower.split_once("with").filter(|(first, _)| !["hmac", "pbe", "hkdf"].contains(first))?;
    let clean = |part: &str| part.trim_matches(['-', '_', ' ']).trim_end_matches("encryption").to_ascii_uppercase();
    let parts = [clean(first), clean(second)];
    parts.iter().all(|part| !part.is_empty()).then_some(parts)
}

/// `["0xC0", "0x30"]` or `["0xC030"]`
fn code(identifiers: &[String]) -> Option<u16> {
    let digits: String = identifiers.iter().map(|one| one.trim_start_matches("0x").trim_start_matches("0X")).collect();
    (digits.len() == 4).then(|| u16::from_str_radix(&digits, 16).ok()).flatten()
}

/// What this program calls a library that others call `openssl`, `libssl3` or `libssl.so.3`.
fn known_library(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let name = name.rsplit('/').next().unwrap_or(&name);
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.' || letter == '-');
    let by_file = |name: &str| catalog::library(name.as_bytes());
    // `nss`, `libgcrypt20`; a name such as `crypto-js` is that of no file.
    product::by_name(name).or_else(|| by_file(name)).or_else(|| by_file(&format!("{stem}.so")))
}

/// A name of which the order of its parts and the spaces between them do not count.
fn subject(name: &str) -> String {
    let mut parts: Vec<String> = name.split(',').map(|part| part.trim().to_owned()).collect();
    parts.sort_unstable();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::super::listing::parse;
    use super::*;

    fn listed(components: &str) -> Listing {
        let head = r#"{"bomFormat": "CycloneDX", "specVersion": "1.4", "components": "#;
        parse(format!("{head}{components}}}").as_bytes()).expect("valid")
    }

    fn forms(components: &str) -> Vec<String> {
        listed(components).things.into_iter().flat_map(|one| one.forms).collect()
    }

    #[test]
    fn algorithms_are_known_by_their_properties_where_the_name_says_little() {
        let of = |name: &str, properties: &str| {
            forms(&format!(
                r#"[{{"type": "cryptographic-asset", "name": "{name}",
                "cryptoProperties": {{"assetType": "algorithm", "algorithmProperties": {properties}}}}}]"#
            ))
        };
        assert_eq!(of("AES", r#"{"parameterSetIdentifier": "128", "mode": "gcm"}"#), ["AES-128-gcm"]);
        assert_eq!(of("EC", r#"{"ellipticCurve": "secg/secp256r1"}"#), ["secp256r1"]);
        assert_eq!(of("AES", r#"{"variant": "AES-256-CBC"}"#), ["AES-256-CBC"]);
        assert_eq!(of("SHA256", r#"{"parameterSetIdentifier": "256"}"#), ["SHA256"]);
        assert_eq!(of("SHA256withRSA", "{}"), ["SHA256", "RSA"]);
        assert_eq!(of("ecdsaWithSHA256", "{}"), ["ECDSA", "SHA256"]);
        assert_eq!(of("hmacWithSHA256", "{}"), ["hmacWithSHA256"]);
        assert_eq!(of("with", "{}"), ["with"]);
        assert_eq!(of("AES", "null"), ["AES"]);
        assert_eq!(of("", "{}"), [""; 0]);
    }

    #[test]
    fn versions_and_suites_are_called_as_they_are_in_recordings() {
        let of = |properties: &str| {
            forms(&format!(
                r#"[{{"name": "TLS", "cryptoProperties": {{"assetType": "protocol", "protocolProperties": {properties}}}}}]"#
            ))
        };
        assert_eq!(of(r#"{"type": "tls", "version": "TLSv1.2"}"#), ["TLS 1.2"]);
        assert_eq!(of(r#"{"type": "tls", "version": "SSL 3.0"}"#), ["SSL 3.0"]);
        assert_eq!(of(r#"{"type": "tls"}"#), [""; 0]);
        let suites = r#"[{"name": "x", "identifiers": ["0xC0", "0x30"]}, {"name": "y"}, {"identifiers": ["0x"]}, {}]"#;
        let of_suites = of(&format!(r#"{{"type": "tls", "version": "1.2", "cipherSuites": {suites}}}"#));
        assert_eq!(of_suites, ["TLS 1.2", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "Y"]);
    }

    #[test]
    fn libraries_are_those_that_are_known_as_cryptographic() {
        for (name, expected) in [
            ("openssl", Some("OpenSSL")),
            ("libssl3", Some("OpenSSL")),
            ("gnutls", Some("GnuTLS")),
            ("libgcrypt20", Some("Libgcrypt")),
            ("org/x/libsodium", Some("libsodium")),
            ("crypto-js", None),
            ("left-pad", None),
            ("", None),
        ] {
            assert_eq!(known_library(name), expected, "{name}");
        }
    }

    #[test]
    fn sorts_without_end_are_counted_together() {
        let sorts: String = (0..1_000).map(|sort| format!(r#"{{"type":"{sort}"}},"#)).collect();
        assert!(listed(&format!("[{sorts}{{}}]")).report.not_compared_by.len() <= MAX_SORTS + 1);
    }
}
