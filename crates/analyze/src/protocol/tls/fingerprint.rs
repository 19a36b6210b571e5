//! JA3, JA3S and JA4: short fingerprints of hellos, by which the software that wrote them is looked up.
//!
//! JA3 and JA3S: Althouse, Atkinson, Atkins (Salesforce, 2017), BSD 3-clause. JA4: FoxIO (2023), BSD 3-clause. JA4S and the
//! others of FoxIO's family are under a licence of their own and are not here.
//!
//! A hello that was cut has none; one that is malformed has: it is what was sent.

use super::client_hello::{ClientHello, HelloFormat};
use super::server_hello::ServerHello;
use crate::protocol::iana::{ExtensionType, Version};
use crate::words::text::hex;
use md5::Md5;
use sha2::{Digest, Sha256};
use std::fmt::Display;

impl ClientHello {
    /// What JA3 is the MD5 of: version, suites, extensions, groups and point formats, as decimal numbers. None for a hello
    /// that was cut, which has no fingerprint.
    pub fn ja3_text(&self) -> Option<String> {
        let fingerprinted = !self.truncated && self.format == HelloFormat::Tls;
        fingerprinted.then(|| {
            [
                self.legacy_version.0.to_string(),
                joined(self.cipher_suites.iter().map(|suite| suite.0), "-"),
                joined(self.extensions.iter().map(|extension| extension.0), "-"),
                joined(self.groups.iter().map(|group| group.0), "-"),
                joined(&self.ec_point_formats, "-"),
            ]
            .join(",")
        })
    }

    /// JA3: 32 hexadecimal digits.
    pub fn ja3(&self) -> Option<String> {
        self.ja3_text().map(|text| md5_hex(&text))
    }

    /// The newest that it offers: of DTLS, the least number.
    fn newest_version(&self) -> Version {
        let versions = self.versions();
        let of_dtls = versions.iter().filter(|version| version.is_dtls()).min();
        of_dtls.or(versions.iter().max()).copied().unwrap_or_default()
    }

    /// JA4 over TCP: `t13d1516h2_8daaf6152771_e5627efa2ab1`. None for a hello that was cut, which has no fingerprint.
    pub fn ja4(&self) -> Option<String> {
        self.ja4_over('t')
    }

    /// The same over another transport, by the letter that it begins with.
    pub fn ja4_over(&self, transport: char) -> Option<String> {
        if self.truncated || self.format != HelloFormat::Tls {
            return None;
        }
        let mut suites: Vec<u16> = self.cipher_suites.iter().map(|suite| suite.0).collect();
        suites.sort_unstable();
        let mut extensions: Vec<u16> = self.extensions.iter().map(|extension| extension.0).collect();
        extensions.retain(|code| *code != ExtensionType::SERVER_NAME.0 && *code != ExtensionType::ALPN.0);
        extensions.sort_unstable();
        let mut described = hex_list(&extensions);
        if !self.signature_schemes.is_empty() {
            let schemes: Vec<u16> = self.signature_schemes.iter().map(|scheme| scheme.0).collect();
            described = format!("{described}_{}", hex_list(&schemes));
        }
        Some(format!(
            "{transport}{version}{sni}{suites:02}{extensions:02}{alpn}_{suite_hash}_{extension_hash}",
            version = ja4_version(self.newest_version()),
            sni = if self.extensions.contains(&ExtensionType::SERVER_NAME) { 'd' } else { 'i' },
            suites = suites.len().min(99),
            extensions = self.extensions.len().min(99),
            alpn = ja4_alpn(self.alpn.first().map(|protocol| &**protocol)),
            suite_hash = if suites.is_empty() { NO_HASH.to_owned() } else { sha256_12(&hex_list(&suites)) },
            extension_hash = if extensions.is_empty() { NO_HASH.to_owned() } else { sha256_12(&described) },
        ))
    }
}

impl ServerHello {
    /// What JA3S is the MD5 of: version, suite and extensions, as decimal numbers. None for a hello that was cut.
    pub fn ja3s_text(&self) -> Option<String> {
        let suite = self.cipher_suite.filter(|_| !self.truncated)?;
        let extensions = joined(self.extensions.iter().map(|extension| extension.0), "-");
        Some(format!("{},{},{extensions}", self.legacy_version.0, suite.0))
    }

    /// JA3S: 32 hexadecimal digits.
    pub fn ja3s(&self) -> Option<String> {
        self.ja3s_text().map(|text| md5_hex(&text))
    }
}

/// Stands for the hash of an empty list.
const NO_HASH: &str = "000000000000";

fn ja4_version(version: Version) -> &'static str {
    match version {
        Version::TLS_1_3 => "13",
        Version::TLS_1_2 => "12",
        Version::TLS_1_1 => "11",
        Version::TLS_1_0 => "10",
        Version::SSL_3_0 => "s3",
        Version::SSL_2_0 => "s2",
        Version::DTLS_1_0 => "d1",
        Version::DTLS_1_2 => "d2",
        Version::DTLS_1_3 => "d3",
        _ => "00",
    }
}

/// First and last character of the first ALPN protocol; of its hexadecimal digits where one of them is no letter or digit.
fn ja4_alpn(protocol: Option<&[u8]>) -> String {
    let ends = |bytes: &[u8]| Some((*bytes.first()?, *bytes.last()?));
    let Some((first, last)) = protocol.and_then(ends) else { return "00".to_owned() };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)].iter().collect();
    }
    format!("{:x}{:x}", first >> 4, last & 0x0f)
}

fn joined<T: Display>(numbers: impl IntoIterator<Item = T>, separator: &str) -> String {
    numbers.into_iter().map(|number| number.to_string()).collect::<Vec<_>>().join(separator)
}

fn hex_list(codes: &[u16]) -> String {
    joined(codes.iter().map(|code| format!("{code:04x}")), ",")
}

fn md5_hex(text: &str) -> String {
    hex(&Md5::digest(text))
}

fn sha256_12(text: &str) -> String {
    hex(&Sha256::digest(text)).chars().take(12).collect()
}
