//! Certificates of TLS ≤ 1.2, which travel in the clear (RFC 5246, section 7.4.2), as X.509 (RFC 5280).
//!
//! Says what a certificate says of itself; whether anyone should believe it is not decided here. Each field is read on its own:
//! one that cannot be read is reported with the reason and takes no other with it.

mod chain;
mod der;
mod key;
mod name;
mod oids;
#[cfg(test)]
mod tests;
mod time;

pub use chain::CertificateChain;

use crate::budget::heap;
use crate::words::escape::for_people;
use crate::words::text::hex;
use der::{BIT_STRING, BOOLEAN, DerError, Element, Elements, INTEGER, Integer, OCTET_STRING, SEQUENCE, context};
use oids::{SIGNATURES, named};
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// Its handshake type.
pub(super) const CERTIFICATE: u8 = 11;
/// Subject alternative names beyond this many are counted only.
const MAX_NAMES: usize = 256;
/// Reasons beyond this many are not kept.
const MAX_REASONS: usize = 16;

/// What one certificate says. Names are safe to show. None: it could not be read, and `not_read` says why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Certificate {
    /// Distinguished name of whom it is for, escaped by RFC 4514, in the order it is written in: `C=DE, O=Example, CN=example.org`.
    pub subject: Option<String>,
    /// Distinguished name of who signed it.
    pub issuer: Option<String>,
    /// Subject alternative names, with their kind: `DNS:example.org`, `IP:127.0.0.1`, `email:a@example.org`, `URI:…`; the first
    /// 256.
    pub alternative_names: Vec<String>,
    /// How many of them there are.
    pub alternative_name_count: usize,
    /// Valid from: RFC 3339, UTC, seconds.
    pub not_before: Option<String>,
    /// Valid to, that second included: RFC 3339, UTC, seconds.
    pub not_after: Option<String>,
    /// The same as seconds since 1970, to compare with.
    pub not_after_unix: Option<i64>,
    /// Serial number, as hexadecimal digits in pairs, with a `-` when it is negative.
    pub serial: Option<String>,
    /// `RSA`, `EC`, `Ed25519`, …, or the algorithm's object identifier.
    pub key_type: Option<String>,
    /// Size of the key: of the modulus for RSA and the prime for DSA, of the field for EC. None as well where a key has none.
    pub key_bits: Option<usize>,
    /// The curve of an EC key, or its object identifier; `explicit` where its parameters are spelled out, `implicit` where they
    /// are those of who signed it. None as well where a key has none.
    pub curve: Option<String>,
    /// `sha256WithRSAEncryption`, …, or the algorithm's object identifier.
    pub signature_algorithm: Option<String>,
    /// SHA-256 of the whole certificate, as hexadecimal digits. None where not all of it is there.
    pub sha256: Option<String>,
    /// Whether subject and issuer are the same; the signature is not checked.
    pub self_issued: Option<bool>,
    /// Whether it may sign other certificates (basicConstraints).
    pub is_ca: Option<bool>,
    /// What could not be read, and why: `serial: tag 0x04 in place of 0x02`; `certificate: …` of what is none at all, `rest: …`
    /// of what comes after the last member that could be read.
    pub not_read: Vec<String>,
    /// What is odd about it: `alternative_names_cut` (there are more), `trailing_bytes` (something comes after it),
    /// `duplicate_extensions` (one stands twice, which RFC 5280 forbids), `signature_algorithms_differ` (that it is signed with
    /// is not the one inside).
    pub notes: Vec<&'static str>,
}

impl Certificate {
    /// Bytes that it holds besides itself, at most about.
    pub fn held_bytes(&self) -> usize {
        let texts = [&self.subject, &self.issuer, &self.serial, &self.key_type, &self.curve, &self.signature_algorithm];
        let texts = texts.into_iter().flatten().chain(&self.alternative_names).chain(&self.not_read);
        texts.map(|text| heap(text.capacity()) + size_of::<String>()).sum::<usize>() + 512
    }

    /// Reads one certificate in DER. Bytes that are none are a certificate with nothing but its SHA-256 and the reason.
    pub fn parse(der: &[u8]) -> Self {
        let mut certificate = Self { sha256: Some(hex(&Sha256::digest(der))), ..Self::default() };
        if let Err(error) = certificate.read(der) {
            certificate.fault("certificate", error);
        }
        certificate
    }

    /// One of which not all is there.
    pub fn incomplete(reason: &str) -> Self {
        let mut certificate = Self::default();
        certificate.fault("certificate", reason);
        certificate
    }

    fn fault(&mut self, member: &str, reason: impl std::fmt::Display) {
        if self.not_read.len() < MAX_REASONS {
            self.not_read.push(format!("{member}: {reason}"));
        }
    }

    fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// What `read` gives; what went wrong with it is a fault of a member.
    fn field<T>(&mut self, member: &str, read: Result<T, DerError>) -> Option<T> {
        read.map_err(|error| self.fault(member, error)).ok()
    }

    /// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }
    fn read(&mut self, der: &[u8]) -> Result<(), DerError> {
        let mut all = Elements::new(der);
        let mut parts = all.next_element()?.within(SEQUENCE)?;
        if !all.rest().is_empty() {
            self.note("trailing_bytes");
        }
        let body = parts.next_element()?.within(SEQUENCE)?;
        let signed_with = self.field("signature_algorithm", parts.next_element());
        self.signature_algorithm =
            signed_with.and_then(|algorithm| self.field("signature_algorithm", algorithm_oid(algorithm)));
        let signature = parts.next_element().and_then(|signature| signature.as_tag(BIT_STRING));
        self.field("signature", signature);
        if let Err(error) = self.read_body(body, signed_with) {
            self.fault("rest", error);
        }
        Ok(())
    }

    /// TBSCertificate: what is signed. Fields are known by their place, so one of a wrong kind is one field.
    fn read_body(&mut self, mut parts: Elements<'_>, signed_with: Option<Element<'_>>) -> Result<(), DerError> {
        parts.next_if(context(0))?;
        let serial = parts.next_element()?.as_tag(INTEGER).and_then(Integer::new);
        self.serial = self.field("serial", serial).map(|serial| serial.hex());
        let signature = parts.next_element()?;
        if signed_with.is_some_and(|with| with.whole != signature.whole) {
            self.note("signature_algorithms_differ");
        }
        let issuer = parts.next_element()?;
        self.issuer = self.name("issuer", issuer);
        let validity = parts.next_element()?.within(SEQUENCE);
        if let Some(times) = self.field("validity", validity) {
            self.read_validity(times);
        }
        let subject = parts.next_element()?;
        self.subject = self.name("subject", subject);
        self.self_issued = (self.subject.is_some() && self.issuer.is_some()).then(|| subject.whole == issuer.whole);
        let key = parts.next_element()?.within(SEQUENCE);
        if let Some(key) = self.field("key_type", key) {
            let key = key::Key::new(key.rest());
            (self.key_type, self.key_bits, self.curve) = (key.kind, key.bits, key.curve);
            for (member, reason) in key.faults {
                self.fault(member, reason);
            }
        }
        // Unique identifiers, which hardly anything has.
        for number in [1, 2] {
            if parts.peek().is_some_and(|tag| tag & !0x20 == 0x80 | number) {
                parts.next_element()?;
            }
        }
        match parts.next_if(context(3))? {
            Some(extensions) => self.read_extensions(extensions),
            None => self.is_ca = Some(false),
        }
        if parts.rest().is_empty() { Ok(()) } else { Err(DerError::Value) }
    }

    fn name(&mut self, member: &str, name: Element<'_>) -> Option<String> {
        let body = self.field(member, name.as_tag(SEQUENCE))?;
        let (text, error) = name::distinguished(body);
        if let Some(error) = error {
            self.fault(member, format_args!("a part of it: {error}"));
        }
        Some(text)
    }

    fn read_validity(&mut self, mut times: Elements<'_>) {
        let not_before = self.moment("not_before", &mut times);
        let not_after = self.moment("not_after", &mut times);
        self.not_before = not_before.map(|(text, _)| text);
        (self.not_after, self.not_after_unix) = not_after.unzip();
    }

    fn moment(&mut self, member: &str, times: &mut Elements<'_>) -> Option<(String, i64)> {
        let element = self.field(member, times.next_element())?;
        let moment = time::moment(element);
        if moment.is_none() {
            let shown = for_people(element.body.get(..32).unwrap_or(element.body));
            self.fault(member, format_args!("no time in UTC: {shown}"));
        }
        moment
    }

    /// Extensions ::= SEQUENCE OF SEQUENCE { extnID, critical DEFAULT FALSE, extnValue }
    fn read_extensions(&mut self, extensions: Element<'_>) {
        let list = Elements::new(extensions.body).next_element().and_then(|list| list.within(SEQUENCE));
        let Some(list) = self.field("extensions", list) else { return };
        let (mut seen, mut authorities, mut whole) = (HashSet::new(), Vec::new(), true);
        for extension in list {
            let read = extension.and_then(|extension| {
                let mut parts = extension.within(SEQUENCE)?;
                let oid = parts.next_element()?.oid()?;
                parts.next_if(BOOLEAN)?;
                Ok((oid, parts.next_element()?.as_tag(OCTET_STRING)?))
            });
            let Some((oid, value)) = self.field("extensions", read) else {
                whole = false;
                continue;
            };
            match &*oid {
                "2.5.29.17" => self.read_alternative_names(value),
                "2.5.29.19" => authorities.push(self.field("is_ca", is_authority(value))),
                _ => {}
            }
            if !seen.insert(oid) {
                self.note("duplicate_extensions");
            }
        }
        self.is_ca = match authorities.as_slice() {
            [] => whole.then_some(false),
            // Where one contradicts the other, it is not known which would be believed.
            [first, rest @ ..] => first.filter(|_| rest.iter().all(|other| other == first)),
        };
    }

    fn read_alternative_names(&mut self, value: &[u8]) {
        let list = Elements::new(value).next_element().and_then(|list| list.within(SEQUENCE));
        let Some(list) = self.field("alternative_names", list) else { return };
        for element in list {
            let Some(element) = self.field("alternative_names", element) else { break };
            self.alternative_name_count += 1;
            if self.alternative_names.len() < MAX_NAMES {
                self.alternative_names.push(name::general(element));
            } else {
                self.note("alternative_names_cut");
            }
        }
    }
}

/// AlgorithmIdentifier ::= SEQUENCE { algorithm, parameters }
fn algorithm_oid(algorithm: Element<'_>) -> Result<String, DerError> {
    let oid = algorithm.within(SEQUENCE)?.next_element()?.oid()?;
    Ok(named(SIGNATURES, &oid).to_owned())
}

/// BasicConstraints ::= SEQUENCE { cA DEFAULT FALSE, pathLenConstraint OPTIONAL }
fn is_authority(value: &[u8]) -> Result<bool, DerError> {
    match Elements::new(value).next_element()?.within(SEQUENCE)?.next_if(BOOLEAN)? {
        None => Ok(false),
        Some(Element { body: [value], .. }) => Ok(*value != 0),
        Some(_) => Err(DerError::Value),
    }
}
