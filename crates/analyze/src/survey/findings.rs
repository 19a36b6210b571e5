//! What the catalog's rules say of the algorithms that were used.

use super::{AlgorithmRow, Place};
use crate::catalog::{self, DocumentState, Status};
use jiff::civil::Date;
use serde::Serialize;

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
    /// What it says.
    pub says: &'static str,
    /// Where it is.
    pub url: &'static str,
}

impl Finding {
    /// `disallowed`, `disallowed from 2036`
    pub fn told(&self) -> String {
        match (self.in_force, self.effective.split('-').next()) {
            (false, Some(year)) => format!("{} from {year}", self.status),
            _ => self.status.to_owned(),
        }
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

/// What the rules published by `as_of` say of an algorithm: those in force first, the strictest first among them.
pub fn findings(name: &str, row: &AlgorithmRow, as_of: Date) -> Vec<Finding> {
    let in_handshake =
        row.places.iter().any(|place| !matches!(place, Place::CertificateSignature | Place::LibraryCall));
    // The IETF's rules here are about TLS; calls may be for anything.
    let in_tls = row.places.iter().any(|place| *place != Place::LibraryCall);
    catalog::assess(name, as_of)
        .into_iter()
        .filter(|finding| in_handshake || !finding.rule.handshake_only)
        .filter(|finding| in_tls || finding.document.authority != "IETF")
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
        let row = AlgorithmRow { places: [Place::Protocol].into(), ..Default::default() };
        let found = findings("TLS 1.0", &row, "2026-11-23".parse().expect("a date"));
        let sources: Vec<_> = found.iter().map(Finding::source).collect();
        assert_eq!(sources, ["IETF, RFC 8996 (BCP 195) of 2021-03-01, final; section 4, 5"]);
        let row = AlgorithmRow { places: [Place::KeyExchange].into(), ..Default::default() };
        let found = findings("secp256r1", &row, "2026-11-23".parse().expect("a date"));
        let told: Vec<_> = found.iter().map(|finding| (finding.told(), finding.source())).collect();
        let expected = [
            (
                "disallowed from 2033",
                "NSA, CNSA 2.0, September 2022 (PP-22-1338) of 2022-09-07, final; timing; web browsers, servers and cloud services",
            ),
            ("disallowed from 2036", "NIST, IR 8547 initial public draft of 2024-11-12, draft; section 4.1.2, table 4"),
        ];
        assert_eq!(told, expected.map(|(told, source)| (told.to_owned(), source.to_owned())));
    }

    #[test]
    fn rules_for_signatures_of_the_handshake_are_not_held_against_certificates() {
        let row = |places: &[Place]| AlgorithmRow { places: places.iter().copied().collect(), ..Default::default() };
        let documents = |row: &AlgorithmRow| -> Vec<&str> {
            let found = findings("SHA-1 signature hash", row, "2026-11-23".parse().expect("a date"));
            found.iter().map(|finding| finding.document).collect()
        };
        assert!(documents(&row(&[Place::Authentication])).contains(&"RFC 9155"));
        assert!(!documents(&row(&[Place::CertificateSignature])).contains(&"RFC 9155"));
        assert!(!documents(&row(&[Place::CertificateSignature])).is_empty());
        assert_eq!(documents(&row(&[Place::LibraryCall])), ["SP 800-131A"]);
    }
}
