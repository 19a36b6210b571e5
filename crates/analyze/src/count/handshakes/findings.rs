//! What the catalog's rules say of the algorithms that were used.

use super::{AlgorithmRow, Place};
use crate::rules::{self, DocumentState, Rules, Status};
use jiff::civil::Date;
use serde::Serialize;
use std::fmt::Write;

/// A rule that speaks of an algorithm, as reports show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `disallowed`, `deprecated` or `discouraged`.
    pub status: &'static str,
    /// Whether it holds on the day of the report; else from `effective` on.
    pub in_force: bool,
    /// The first day it holds.
    pub effective: String,
    /// Who says so.
    pub authority: &'static str,
    /// In which document.
    pub document: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Its revision.
    pub revision: &'static str,
    /// When that was published; the first of the month where only the month is known.
    pub published: String,
    /// The document may change yet.
    pub draft: bool,
    /// Where in it.
    pub section: &'static str,
    /// What it says, in its own words.
    pub says: &'static str,
    /// What the quotation alone does not show: exceptions, and what the algorithm has to do with it.
    pub note: Option<&'static str>,
    /// Whom it speaks to, where not to everyone who uses TLS.
    pub scope: Option<&'static str>,
    /// Where it is.
    pub url: &'static str,
}

impl Finding {
    /// `disallowed`, `disallowed from 2036 (US NSS)`: what that stands for, [`Self::scope_in_short`] tells.
    pub fn told(&self) -> String {
        let mut text = self.status.to_owned();
        if let (false, Some(year)) = (self.in_force, self.effective.split('-').next()) {
            let _ = write!(text, " from {year}");
        }
        if let Some((short, _)) = self.scope_in_short() {
            let _ = write!(text, " ({short})");
        }
        text
    }

    /// Whom it speaks to, where not to everyone: in short, and in full.
    pub fn scope_in_short(&self) -> Option<(&'static str, &'static str)> {
        let scope = self.scope?;
        let short = match self.authority {
            "NSA" => "US NSS",
            "NIST" => "US federal",
            _ => scope,
        };
        Some((short, scope))
    }

    /// `IETF, RFC 8996 (BCP 195) of 2021-03-01, final, section 4, 5`
    pub fn source(&self) -> String {
        let Self { authority, document, revision, published, section, .. } = self;
        let state = if self.draft { "draft" } else { "final" };
        let section = match section.chars().next() {
            Some(first) if first.is_ascii_digit() => format!("section {section}"),
            _ => (*section).to_owned(),
        };
        let revision =
            if revision.contains(document) { (*revision).to_owned() } else { format!("{document}, {revision}") };
        format!("{authority}, {revision} of {published}, {state}; {section}")
    }
}

/// What the rules published by `as_of` say of an algorithm: those in force first, the strictest first among them. `rules`: whose;
/// none means all.
pub fn findings(name: &str, row: &AlgorithmRow, as_of: Date, rules: &[Rules]) -> Vec<Finding> {
    let is_call = |place: &Place| matches!(place, Place::LibraryCall | Place::KernelCall);
    let in_handshake = row.places.iter().any(|place| !is_call(place) && *place != Place::CertificateSignature);
    // Some documents are about one protocol; calls may be for anything.
    let is_spoken_of =
        |protocol: &Option<String>| protocol.as_deref().is_none_or(|protocol| row.protocols.contains(protocol));
    rules::assess(name, as_of)
        .into_iter()
        .filter(|finding| rules.is_empty() || rules.iter().any(|whose| whose.are_in(finding.document)))
        .filter(|finding| in_handshake || !finding.rule.handshake_only)
        .filter(|finding| is_spoken_of(&finding.document.protocol))
        .filter(|finding| {
            finding.rule.versions.is_empty() || row.versions.iter().any(|version| finding.rule.speaks_of(version))
        })
        .map(|finding| {
            let (rule, document) = (finding.rule, finding.document);
            Finding {
                status: match rule.status {
                    Status::Disallowed => "disallowed",
                    Status::Deprecated => "deprecated",
                    Status::Discouraged => "discouraged",
                },
                in_force: finding.in_force,
                effective: rule.effective.to_string(),
                authority: &document.authority,
                document: &document.id,
                title: &document.title,
                revision: &document.revision,
                published: document.date.to_string(),
                draft: document.state == DocumentState::Draft,
                section: &rule.section,
                says: &rule.says,
                note: rule.note.as_deref(),
                scope: document.scope.as_deref(),
                url: &document.url,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_can_be_found() {
        let row = AlgorithmRow { places: [Place::Protocol].into(), protocols: ["tls"].into(), ..Default::default() };
        let found = findings("TLS 1.0", &row, "2026-11-23".parse().expect("a date"), &[]);
        let sources: Vec<_> = found.iter().map(Finding::source).collect();
        let expected = [
            "IETF, RFC 8996 (BCP 195) of 2021-03-01, final; section 4",
            "IETF, RFC 9325 (BCP 195) of 2022-11-01, final; section 3.1.1",
        ];
        assert_eq!(sources, expected);
        let row = AlgorithmRow { places: [Place::KeyExchange].into(), protocols: ["tls"].into(), ..Default::default() };
        let found = findings("secp256r1", &row, "2026-11-23".parse().expect("a date"), &[]);
        let told: Vec<_> = found.iter().map(|finding| (finding.told(), finding.source())).collect();
        let expected = [
            (
                "disallowed from 2031 (US NSS)",
                "NSA, CNSA 2.0 FAQ, Version 2.1, December 2024 (U/OO/194427-22, PP-24-4014) of 2024-12-01, final; Timeframe",
            ),
            (
                "disallowed from 2033 (US NSS)",
                "NSA, CNSA 2.0, Version 1.0, September 2022 (U/OO/194427-22, PP-22-1338) of 2022-09-07, final; \
                 pages 5-6: web browsers/servers and cloud services",
            ),
            (
                "disallowed from 2036 (US federal)",
                "NIST, IR 8547, initial public draft of 2024-11-12, draft; table 4, page 14",
            ),
        ];
        let scopes: Vec<_> = found.iter().filter_map(|finding| finding.scope).collect();
        assert!(scopes.len() == 3 && scopes[0] == "US national security systems");
        assert_eq!(told, expected.map(|(told, source)| (told.to_owned(), source.to_owned())));
    }

    #[test]
    fn rules_are_those_that_were_chosen() {
        let row = AlgorithmRow { places: [Place::KeyExchange].into(), protocols: ["tls"].into(), ..Default::default() };
        let authorities = |rules: &[Rules]| -> Vec<&str> {
            let found = findings("RSA key transport", &row, "2025-01-01".parse().expect("a date"), rules);
            let mut authorities: Vec<&str> = found.iter().map(|finding| finding.authority).collect();
            authorities.sort_unstable();
            authorities.dedup();
            authorities
        };
        assert_eq!(authorities(&[]), ["IETF", "NIST", "NSA"]);
        assert_eq!(authorities(&[Rules::Ietf]), ["IETF"]);
        assert_eq!(authorities(&[Rules::Nist, Rules::Cnsa]), ["NIST", "NSA"]);
    }

    #[test]
    fn rules_of_one_version_are_not_held_against_others() {
        let documents = |version: &str| -> Vec<&str> {
            let versions = [version.to_owned()].into();
            let row = AlgorithmRow {
                places: [Place::KeyExchange].into(),
                protocols: ["tls"].into(),
                versions,
                ..Default::default()
            };
            let found = findings("DHE", &row, "2026-11-23".parse().expect("a date"), &[]);
            found.iter().filter(|finding| finding.in_force).map(|finding| finding.document).collect()
        };
        assert_eq!(documents("TLS 1.2"), ["RFC 10015"]);
        assert_eq!(documents("TLS 1.0"), [""; 0]);
    }

    #[test]
    fn rules_for_signatures_of_the_handshake_are_not_held_against_certificates() {
        let row = |places: &[Place]| AlgorithmRow {
            places: places.iter().copied().collect(),
            protocols: if places.contains(&Place::LibraryCall) { [].into() } else { ["tls"].into() },
            versions: ["TLS 1.2".to_owned()].into(),
            ..Default::default()
        };
        let documents = |row: &AlgorithmRow| -> Vec<&str> {
            let found = findings("SHA-1 signature hash", row, "2026-11-23".parse().expect("a date"), &[]);
            found.iter().map(|finding| finding.document).collect()
        };
        assert!(documents(&row(&[Place::Authentication])).contains(&"RFC 9155"));
        assert!(!documents(&row(&[Place::CertificateSignature])).contains(&"RFC 9155"));
        assert!(!documents(&row(&[Place::CertificateSignature])).is_empty());
        assert_eq!(documents(&row(&[Place::LibraryCall])), ["SP 800-131A", "CNSA 2.0 FAQ", "CNSA 2.0"]);
    }

    #[test]
    fn rules_of_one_protocol_are_not_held_against_others() {
        let documents = |name: &str, protocols: &[&'static str]| -> Vec<&str> {
            let protocols = protocols.iter().copied().collect();
            let row = AlgorithmRow { places: [Place::CipherSuite].into(), protocols, ..Default::default() };
            let found = findings(name, &row, "2026-11-29".parse().expect("a date"), &[Rules::Ietf]);
            found.iter().map(|finding| finding.document).collect()
        };
        assert_eq!(documents("RC4-128", &["ssh"]), ["RFC 8758"]);
        assert_eq!(documents("RC4-128", &["tls"]), ["RFC 7465", "RFC 9325"]);
        assert_eq!(documents("RC4-128", &["ssh", "tls"]), ["RFC 7465", "RFC 8758", "RFC 9325"]);
        assert_eq!(documents("RC4-128", &[]), [""; 0]);
        assert_eq!(documents("3DES-EDE", &["ssh"]), [""; 0]);
    }
}
