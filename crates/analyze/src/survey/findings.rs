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
    /// `disallowed by RFC 8996, section 4, 5`
    pub fn told(&self) -> String {
        let Self { status, document, section, effective, .. } = self;
        let draft = if self.draft { " (draft)" } else { "" };
        let from = if self.in_force { String::new() } else { format!(" from {effective} on") };
        format!("{status}{from} by {document}{draft}, section {section}")
    }
}

/// What the rules published by `as_of` say of an algorithm: those in force first, the strictest first among them.
pub fn findings(name: &str, row: &AlgorithmRow, as_of: Date) -> Vec<Finding> {
    let in_handshake = row.places.iter().any(|place| *place != Place::CertificateSignature);
    catalog::assess(name, as_of)
        .into_iter()
        .filter(|finding| in_handshake || !finding.rule.handshake_only)
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
    fn rules_for_signatures_of_the_handshake_are_not_held_against_certificates() {
        let row = |places: &[Place]| AlgorithmRow { places: places.iter().copied().collect(), ..Default::default() };
        let documents = |row: &AlgorithmRow| -> Vec<&str> {
            let found = findings("SHA-1 signature hash", row, "2026-11-23".parse().expect("a date"));
            found.iter().map(|finding| finding.document).collect()
        };
        assert!(documents(&row(&[Place::Authentication])).contains(&"RFC 9155"));
        assert!(!documents(&row(&[Place::CertificateSignature])).contains(&"RFC 9155"));
        assert!(!documents(&row(&[Place::CertificateSignature])).is_empty());
    }
}
