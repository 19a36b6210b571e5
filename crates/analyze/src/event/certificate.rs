//! A certificate, as events and reports show it.

use super::members::members;
use super::values::{AtLeast, AtMost, DateTime, Listed, Serial, Sha256, When, words};
use crate::protocol::tls::Certificate;

members! {
    /// Members of a certificate.
    pub struct CertificateFields from "certificate" also Serialize {
        /// distinguished name
        subject: Option<String>,
        /// distinguished name of the signer
        issuer: Option<String>,
        /// subject alternative names with their kind, the first 256
        alternative_names: AtMost<256, String>,
        /// how many there are, only when there are more
        alternative_name_count: When<AtLeast<257>>,
        /// valid from
        not_before: Option<DateTime>,
        /// valid to
        not_after: Option<DateTime>,
        /// serial number, hexadecimal, with a `-` when it is negative
        serial: Option<Serial>,
        /// kind of key
        key_type: Option<String>,
        /// exact size of the modulus (RSA, RSASSA-PSS), of the prime (DSA, DH) or of the field (EC); `null` if the kind of
        /// key has no size
        #[unit = "bits"]
        key_bits: Option<AtLeast<0>>,
        /// curve of an EC key
        curve: Option<String>,
        /// how it is signed
        signature_algorithm: Option<String>,
        /// SHA-256 of the bytes as they were sent, whatever they are; `null` if not all of them were recorded
        sha256: Option<Sha256>,
        /// subject and issuer are the same
        self_issued: Option<bool>,
        /// it may sign certificates
        is_ca: Option<bool>,
        /// members that could not be read, and why
        not_read: Listed<String>,
        /// what is odd about it: `alternative_names_cut`, `trailing_bytes`, `duplicate_extensions`,
        /// `signature_algorithms_differ`
        notes: Listed<CertificateNote>,
    }
}

words! {
    /// What is odd about a certificate.
    pub CertificateNote: "alternative_names_cut" "trailing_bytes" "duplicate_extensions" "signature_algorithms_differ"
}

impl CertificateFields {
    /// `RSA 2048`, `EC secp256r1`
    pub fn key(&self) -> String {
        let Some(kind) = &self.key_type else { return "?".to_owned() };
        match (&self.curve, self.key_bits) {
            (Some(curve), _) => format!("{kind} {curve}"),
            (None, Some(bits)) => format!("{kind} {}", bits.get()),
            (None, None) => kind.clone(),
        }
    }

    /// Whom it is for, or what else distinguishes it.
    pub fn name(&self) -> String {
        match (&self.subject, &self.sha256) {
            (Some(subject), _) => subject.clone(),
            (None, Some(sha256)) => format!("(not read) SHA-256 {}", sha256.0),
            (None, None) => "(not read)".to_owned(),
        }
    }

    /// As it was read.
    pub fn new(certificate: &Certificate) -> Self {
        let c = certificate;
        let more = Some(c.alternative_name_count).filter(|count| *count > c.alternative_names.len());
        Self {
            subject: c.subject.clone(),
            issuer: c.issuer.clone(),
            alternative_names: AtMost(c.alternative_names.clone()),
            alternative_name_count: When(more.and_then(AtLeast::new)),
            not_before: c.not_before.clone().map(DateTime),
            not_after: c.not_after.clone().map(DateTime),
            serial: c.serial.clone().map(Serial),
            key_type: c.key_type.clone(),
            key_bits: c.key_bits.and_then(AtLeast::new),
            curve: c.curve.clone(),
            signature_algorithm: c.signature_algorithm.clone(),
            sha256: c.sha256.clone().map(Sha256),
            self_issued: c.self_issued,
            is_ca: c.is_ca,
            not_read: Listed(c.not_read.clone()),
            notes: Listed(c.notes.iter().map(|note| CertificateNote::new(note)).collect()),
        }
    }
}
