//! What algorithms are worth, and which rules of which authorities speak of them: `data/algorithms.toml`.
//!
//! Says what the documents say and nothing of its own. Names of algorithms are those of the table; groups go by their IANA
//! names. Which algorithms a suite, a signature scheme or a key is made of is [`parts`]'s.

#![warn(clippy::indexing_slicing)]

mod parts;
mod table;

pub use parts::{SuiteParts, certificate_signature, key, key_exchange, signature, suite};
pub use table::{Algorithm, Document, DocumentState, Primitive, Rule, Status};

use jiff::civil::Date;
use std::sync::OnceLock;

/// What one rule says of one algorithm on one day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// The document that it stands in.
    pub document: &'static Document,
    /// Whether it holds on that day; else it is going to, from [`Rule::effective`] on.
    pub in_force: bool,
}

/// The row of an algorithm.
pub fn algorithm(name: &str) -> Option<&'static Algorithm> {
    table().algorithms.iter().find(|algorithm| algorithm.name == name)
}

/// All of them, in the order of the table.
pub fn algorithms() -> &'static [Algorithm] {
    &table().algorithms
}

/// All rules, in the order of the table.
pub fn rules() -> &'static [Rule] {
    &table().rules
}

/// The document a rule stands in.
pub fn document(id: &str) -> Option<&'static Document> {
    table().documents.iter().find(|document| document.id == id)
}

/// What the rules that were published by `as_of` say of an algorithm: those in force first, the strictest first among them.
/// Rules that another of the same document has replaced by then are left out.
pub fn assess(algorithm: &str, as_of: Date) -> Vec<Finding> {
    let mut findings: Vec<Finding> = rules()
        .iter()
        .filter(|rule| rule.algorithms.iter().any(|name| name == algorithm))
        .filter(|rule| rule.until.is_none_or(|until| as_of < until))
        .filter_map(|rule| {
            Some(Finding { rule, document: document(&rule.document)?, in_force: rule.effective <= as_of })
        })
        .filter(|finding| finding.document.date <= as_of)
        .collect();
    findings.sort_by_key(|finding| (!finding.in_force, finding.rule.status, finding.rule.effective));
    findings
}

fn table() -> &'static table::Table {
    static TABLE: OnceLock<table::Table> = OnceLock::new();
    // The table is part of the program: a test reads it, so that this cannot fail for a user.
    TABLE.get_or_init(|| toml::from_str(include_str!("../../data/algorithms.toml")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{CipherSuite, Group, SignatureScheme, cipher_suites, groups, signature_schemes};
    use std::collections::HashSet;

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    #[test]
    fn the_table_is_read_whole() {
        let table: table::Table = toml::from_str(include_str!("../../data/algorithms.toml")).expect("valid");
        assert!(table.documents.len() >= 10 && table.rules.len() >= 20 && table.algorithms.len() >= 100);
        let names: HashSet<&str> = table.algorithms.iter().map(|algorithm| &*algorithm.name).collect();
        assert_eq!(names.len(), table.algorithms.len(), "a name stands twice");
    }

    #[test]
    fn every_rule_has_its_source_and_its_algorithms() {
        for rule in rules() {
            let document = document(&rule.document).unwrap_or_else(|| panic!("no document {}", rule.document));
            for text in [&document.authority, &document.title, &document.revision, &rule.section, &rule.says] {
                assert!(!text.is_empty(), "{rule:?}");
            }
            assert!(document.url.starts_with("https://"), "{document:?}");
            assert!(rule.effective >= document.date, "{rule:?} holds before it was written");
            assert!(rule.until.is_none_or(|until| until > rule.effective), "{rule:?}");
            assert!(!rule.algorithms.is_empty(), "{rule:?}");
            for name in &rule.algorithms {
                assert!(algorithm(name).is_some(), "{name} has no row");
            }
        }
    }

    #[test]
    fn quantum_vulnerable_and_level_0_go_together() {
        for row in algorithms() {
            assert_eq!(row.quantum_vulnerable == Some(true), row.nist_level == Some(0), "{row:?}");
        }
    }

    #[test]
    fn every_suite_is_made_of_algorithms_of_the_table() {
        // Not suites at all.
        const SIGNALS: [u16; 2] = [0x00ff, 0x5600];
        for (code, name) in cipher_suites().iter().filter(|(code, _)| !SIGNALS.contains(code)) {
            let parts = suite(CipherSuite(code)).unwrap_or_else(|| panic!("{name} is not taken apart"));
            assert!(!parts.names().is_empty(), "{name}");
            for part in parts.names() {
                assert!(algorithm(part).is_some(), "{part} of {name} has no row");
            }
        }
        assert!(SIGNALS.iter().all(|code| suite(CipherSuite(*code)).is_none()));
    }

    #[test]
    fn groups_and_schemes_are_in_the_table_or_known_not_to_be() {
        let unknown: Vec<&str> =
            groups().iter().filter(|(code, _)| key_exchange(Group(*code)).is_none()).map(|(_, name)| name).collect();
        // Curves that no rule and no strength is encoded for: binary, small, GOST, explicit.
        assert!(
            unknown.iter().all(|name| ["sect", "secp160", "secp192k1", "secp224k1", "GC", "arbitrary_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))),
            "{unknown:?}"
        );
        for (code, name) in signature_schemes().iter() {
            for part in signature(SignatureScheme(code)) {
                assert!(algorithm(part).is_some(), "{part} of {name} has no row");
            }
        }
    }

    #[test]
    fn what_holds_when() {
        let check = |name: &str, as_of: &str, expected: &[(&str, Status, bool)]| {
            let found: Vec<_> = assess(name, date(as_of))
                .into_iter()
                .map(|finding| (&*finding.document.id, finding.rule.status, finding.in_force))
                .collect();
            assert_eq!(found, expected, "{name} as of {as_of}");
        };
        check("TLS 1.0", "2026-11-23", &[("RFC 8996", Status::Disallowed, true)]);
        check("TLS 1.0", "2020-01-01", &[]);
        check("TLS 1.3", "2026-11-23", &[]);
        check("AES-128-GCM", "2026-11-23", &[]);
        check("MLKEM768", "2099-01-01", &[]);
        check(
            "3DES-EDE",
            "2020-06-01",
            &[("SP 800-131A", Status::Deprecated, true), ("SP 800-131A", Status::Disallowed, false)],
        );
        check(
            "3DES-EDE",
            "2026-11-23",
            &[("SP 800-131A", Status::Disallowed, true), ("RFC 9325", Status::Discouraged, true)],
        );
        check(
            "RSA-2048",
            "2026-11-23",
            &[
                ("CNSA 2.0", Status::Disallowed, false),
                ("IR 8547", Status::Disallowed, false),
                ("IR 8547", Status::Deprecated, false),
            ],
        );
        check(
            "RSA-2048",
            "2031-06-01",
            &[
                ("IR 8547", Status::Deprecated, true),
                ("CNSA 2.0", Status::Disallowed, false),
                ("IR 8547", Status::Disallowed, false),
            ],
        );
        check("no such thing", "2026-11-23", &[]);
    }

    #[test]
    fn drafts_are_drafts() {
        let drafts: Vec<&str> =
            table().documents.iter().filter(|d| d.state == DocumentState::Draft).map(|d| &*d.id).collect();
        assert_eq!(drafts, ["draft-ietf-tls-deprecate-obsolete-kex", "IR 8547"]);
    }
}
