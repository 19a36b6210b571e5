//! What algorithms are worth, and which rules of which authorities speak of them: `data/algorithms.toml`.
//!
//! Says what the documents say and nothing of its own. Names of algorithms are those of the table; groups go by their IANA
//! names. Which algorithms a suite, a signature scheme or a key is made of is [`parts`]'s.

#![warn(clippy::indexing_slicing)]

mod brought;
mod ike;
mod packs;
mod parts;
mod ssh;
mod table;

pub use brought::{Brought, brought};
pub use ike::ike_transform;
pub use packs::Pack;
pub use parts::{SuiteParts, certificate_signature, key, key_exchange, signature, suite};
pub use ssh::{ssh_ciphers, ssh_group_bits, ssh_host_key, ssh_key_exchange, ssh_signature};
pub use table::{Algorithm, Checked, Document, DocumentState, Primitive, Rule, Rules, Source, Status};

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

/// All rules, in the order of the table: also those that were not checked, and that [`assess`] never shows.
pub fn rules() -> &'static [Rule] {
    &table().rules
}

/// The passage that an algorithm's numbers are from, by [`Algorithm::bits_from`] or [`Algorithm::level_from`].
pub fn source(id: &str) -> Option<&'static Source> {
    table().sources.get(id)
}

/// The document a rule stands in.
pub fn document(id: &str) -> Option<&'static Document> {
    table().documents.iter().find(|document| document.id == id)
}

/// What the rules that were published by `as_of` say of an algorithm: those in force first, the strictest first among them.
/// Rules that others have replaced by then are left out, and so are those that nobody checked against their document.
/// Some speak of one protocol version only: [`Rule::speaks_of`].
pub fn assess(algorithm: &str, as_of: Date) -> Vec<Finding> {
    judge(table(), algorithm, as_of)
}

fn judge(table: &'static table::Table, algorithm: &str, as_of: Date) -> Vec<Finding> {
    let document = |id: &str| table.documents.iter().find(|document| document.id == id);
    let mut findings: Vec<Finding> = table
        .rules
        .iter()
        .filter(|rule| rule.checked.is_some())
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
    TABLE.get_or_init(|| {
        toml::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/algorithms.toml"))).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::iana::{CipherSuite, Group, SignatureScheme, cipher_suites, groups, signature_schemes};
    use std::collections::HashSet;

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn whole_table() -> table::Table {
        toml::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/algorithms.toml"))).expect("valid")
    }

    #[test]
    fn the_table_is_read_whole() {
        let table = whole_table();
        assert!(table.documents.len() >= 25 && table.rules.len() >= 40 && table.algorithms.len() >= 150);
        let names: HashSet<&str> = table.algorithms.iter().map(|algorithm| &*algorithm.name).collect();
        assert_eq!(names.len(), table.algorithms.len(), "a name stands twice");
        let ids: HashSet<&str> = table.documents.iter().map(|document| &*document.id).collect();
        assert_eq!(ids.len(), table.documents.len(), "a document stands twice");
    }

    #[test]
    fn every_document_can_be_found_and_was() {
        for document in &table().documents {
            for text in [&document.id, &document.authority, &document.title, &document.revision] {
                assert!(!text.trim().is_empty(), "{document:?}");
            }
            assert!(document.url.starts_with("https://"), "{document:?}");
            assert!(document.scope.as_ref().is_none_or(|scope| !scope.is_empty()), "{document:?}");
            assert_eq!(document.scope.is_none(), document.authority == "IETF", "{document:?}");
            // With what, and when.
            assert!(document.compared_with.contains("2026-11-2"), "{document:?}");
        }
    }

    #[test]
    fn every_rule_has_its_source_and_its_algorithms() {
        for rule in rules() {
            let document = document(&rule.document).unwrap_or_else(|| panic!("no document {}", rule.document));
            for text in [&rule.section, &rule.says] {
                assert!(!text.trim().is_empty(), "{rule:?}");
            }
            assert!(rule.note.as_ref().is_none_or(|note| !note.is_empty()), "{rule:?}");
            assert!(rule.effective >= document.date, "{rule:?} holds before it was written");
            assert!(rule.until.is_none_or(|until| until > rule.effective), "{rule:?}");
            assert!(!rule.algorithms.is_empty(), "{rule:?}");
            let distinct: HashSet<&String> = rule.algorithms.iter().collect();
            assert_eq!(distinct.len(), rule.algorithms.len(), "{rule:?}");
            for name in &rule.algorithms {
                assert!(algorithm(name).is_some(), "{name} has no row");
            }
            for version in &rule.versions {
                assert_eq!(algorithm(version).map(|row| row.primitive), Some(Primitive::Protocol), "{rule:?}");
            }
        }
    }

    #[test]
    fn every_number_has_its_source() {
        for row in algorithms() {
            assert_eq!(row.classical_bits.is_some(), row.bits_from.is_some(), "{row:?}");
            assert_eq!(row.nist_level.is_some_and(|level| level > 0), row.level_from.is_some(), "{row:?}");
            assert!(row.nist_level.is_none_or(|level| level <= 5), "{row:?}");
        }
        let used: HashSet<&String> =
            algorithms().iter().flat_map(|row| row.bits_from.iter().chain(&row.level_from)).collect();
        for id in &used {
            let source = source(id).unwrap_or_else(|| panic!("no source {id}"));
            assert!(document(&source.document).is_some() && !source.section.is_empty(), "{source:?}");
        }
        assert_eq!(used.len(), table().sources.len(), "a source that nothing is from");
    }

    /// RFC 10024 and RFC 10042 of August 2026: their texts were not found, so that they define and rule nothing.
    #[test]
    fn hybrids_with_ml_kem_are_defined_by_their_rfcs() {
        let defined: Vec<(&str, &str)> = algorithms()
            .iter()
            .filter_map(|row| Some((&*row.name, row.defined_in.as_deref()?)))
            .inspect(|(_, id)| assert!(document(id).is_some(), "no document {id}"))
            .collect();
        let expected = [
            ("X25519MLKEM768", "RFC 10024"),
            ("SecP256r1MLKEM768", "RFC 10024"),
            ("SecP384r1MLKEM1024", "RFC 10024"),
            ("mlkem768x25519-sha256", "RFC 10042"),
            ("mlkem768nistp256-sha256", "RFC 10042"),
            ("mlkem1024nistp384-sha384", "RFC 10042"),
        ];
        assert_eq!(defined, expected);
        assert!(rules().iter().all(|rule| !["RFC 10024", "RFC 10042"].contains(&&*rule.document)));
    }

    #[test]
    fn what_was_not_checked_is_not_shown() {
        let mut unchecked = whole_table();
        for rule in &mut unchecked.rules {
            rule.checked = None;
        }
        let unchecked: &'static table::Table = Box::leak(Box::new(unchecked));
        for row in algorithms() {
            assert_eq!(judge(unchecked, &row.name, date("2026-11-23")), []);
            for finding in assess(&row.name, date("2100-01-01")) {
                assert!(finding.rule.checked.is_some(), "{finding:?}");
            }
        }
    }

    #[test]
    fn rules_begin_and_end_on_their_days() {
        let state = |rule: &Rule, as_of: Date| {
            let name = rule.algorithms.first().expect("an algorithm");
            assess(name, as_of).iter().find(|finding| std::ptr::eq(finding.rule, rule)).map(|finding| finding.in_force)
        };
        for rule in rules().iter().filter(|rule| rule.checked.is_some()) {
            let published = document(&rule.document).expect("a document").date;
            let eve = rule.effective.yesterday().expect("a day");
            assert_eq!(state(rule, eve), (published <= eve).then_some(false), "{rule:?}");
            assert_eq!(state(rule, rule.effective), Some(true), "{rule:?}");
            assert_eq!(state(rule, published.yesterday().expect("a day")), None, "{rule:?}");
            if let Some(until) = rule.until {
                assert_eq!(state(rule, until.yesterday().expect("a day")), Some(true), "{rule:?}");
                assert_eq!(state(rule, until), None, "{rule:?}");
            }
        }
    }

    #[test]
    fn some_rules_speak_of_one_version() {
        let found = |version: &str| -> Vec<&str> {
            let mut found = assess("DHE", date("2026-11-23"));
            found.retain(|finding| finding.in_force && finding.rule.speaks_of(version));
            found.into_iter().map(|finding| &*finding.rule.document).collect()
        };
        assert_eq!(found("TLS 1.2"), ["RFC 10015"]);
        assert_eq!(found("TLS 1.3"), [""; 0]);
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
        // Curves that no rule and no strength is encoded for: binary, GOST, explicit.
        assert!(
            unknown.iter().all(|name| ["sect2", "sect4", "sect5", "secp224k1", "GC", "arbitrary_"]
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
        check(
            "TLS 1.0",
            "2026-11-23",
            &[("RFC 8996", Status::Disallowed, true), ("RFC 9325", Status::Disallowed, true)],
        );
        check("TLS 1.0", "2021-02-28", &[]);
        check("TLS 1.0", "2021-03-01", &[("RFC 8996", Status::Disallowed, true)]);
        check("TLS 1.0", "2020-01-01", &[]);
        check("TLS 1.3", "2026-11-23", &[]);
        let cnsa = [("CNSA 2.0 FAQ", Status::Disallowed, false), ("CNSA 2.0", Status::Disallowed, false)];
        check("AES-128-GCM", "2026-11-23", &cnsa);
        check("AES-256-GCM", "2099-01-01", &[]);
        check("MLKEM768", "2026-11-23", &cnsa);
        check("MLKEM1024", "2099-01-01", &[]);
        check(
            "3DES-EDE",
            "2020-06-01",
            &[("SP 800-131A", Status::Deprecated, true), ("SP 800-131A", Status::Disallowed, false)],
        );
        check(
            "3DES-EDE",
            "2026-11-23",
            &[
                ("SP 800-131A", Status::Disallowed, true),
                ("RFC 9325", Status::Discouraged, true),
                ("CNSA 2.0 FAQ", Status::Disallowed, false),
                ("CNSA 2.0", Status::Disallowed, false),
            ],
        );
        check(
            "RSA-2048",
            "2026-11-23",
            &[
                ("CNSA 2.0 FAQ", Status::Disallowed, false),
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
                ("CNSA 2.0 FAQ", Status::Disallowed, false),
                ("CNSA 2.0", Status::Disallowed, false),
                ("IR 8547", Status::Disallowed, false),
            ],
        );
        check(
            "RSA key transport",
            "2026-06-30",
            &[
                ("SP 800-131A", Status::Disallowed, true),
                ("RFC 9325", Status::Discouraged, true),
                ("CNSA 2.0 FAQ", Status::Disallowed, false),
                ("CNSA 2.0", Status::Disallowed, false),
            ],
        );
        check(
            "RSA key transport",
            "2026-07-01",
            &[
                ("SP 800-131A", Status::Disallowed, true),
                ("RFC 10015", Status::Disallowed, true),
                ("CNSA 2.0 FAQ", Status::Disallowed, false),
                ("CNSA 2.0", Status::Disallowed, false),
            ],
        );
        check("no such thing", "2026-11-23", &[]);
    }

    /// CNSA 2.0 is used "exclusively" by its dates: what it does not list was not judged.
    #[test]
    fn what_cnsa_does_not_list_is_judged_as_exclusively_says() {
        // What it lists, what it allows for some use, what is made of a hash or key that no name tells; and hybrids with
        // ML-KEM-1024, of which it says that they are not required.
        const NOT_JUDGED: &[&str] = &[
            "MLKEM1024",
            "ML-DSA-87",
            "SecP384r1MLKEM1024",
            "mlkem1024nistp384-sha384",
            "SHA-384",
            "SHA-512",
            "SHA3-384",
            "SHA3-512",
            "PSK",
            "KRB5",
            "anonymous",
        ];
        for row in algorithms() {
            let of = |id: &str| assess(&row.name, date("2036-01-01")).iter().any(|found| found.document.id == id);
            let judged = of("CNSA 2.0") && of("CNSA 2.0 FAQ");
            assert_eq!(of("CNSA 2.0"), of("CNSA 2.0 FAQ"), "{row:?}");
            let by_itself = !matches!(row.primitive, Primitive::Protocol | Primitive::Mac | Primitive::Kdf);
            let listed = NOT_JUDGED.contains(&&*row.name)
                || row.name.starts_with("AES-256")
                || row.name.ends_with(" + ML-KEM-1024");
            assert!(!by_itself || judged != listed, "{row:?}");
        }
        for name in ["HMAC-SHA-256", "HMAC-MD5", "X25519MLKEM768", "AES-128-GCM", "SHA-256", "ChaCha20-Poly1305"] {
            let state = |day| {
                assess(name, date(day)).iter().filter(|f| f.document.authority == "NSA").map(|f| f.in_force).max()
            };
            assert_eq!((state("2031-12-30"), state("2031-12-31")), (Some(false), Some(true)), "{name}");
        }
        assert!(assess("HMAC-SHA-384", date("2036-01-01")).is_empty());
    }

    #[test]
    fn rules_are_of_someone_who_can_be_chosen() {
        let all = [Rules::Ietf, Rules::Nist, Rules::Cnsa];
        for document in &table().documents {
            assert_eq!(all.iter().filter(|rules| rules.are_in(document)).count(), 1, "{document:?}");
        }
    }

    #[test]
    fn drafts_are_drafts() {
        let drafts: Vec<&str> =
            table().documents.iter().filter(|d| d.state == DocumentState::Draft).map(|d| &*d.id).collect();
        assert_eq!(drafts, ["SP 800-57 Rev. 6", "SP 800-131A Rev. 3", "IR 8547"]);
        for document in table().documents.iter().filter(|document| document.revision.contains("draft")) {
            assert_eq!(document.state, DocumentState::Draft, "{document:?}");
        }
        // A draft binds nobody from its publication on: only days that it names itself are told.
        for rule in rules() {
            let document = document(&rule.document).expect("a document");
            assert!(document.state == DocumentState::Final || rule.effective > document.date, "{rule:?}");
        }
    }
}
