//! Rules that are asked: those of packs, and those of a file of the user's, in one form.

use super::scope::Scope;
use crate::protocol::iana::CipherSuite;
use crate::rules::{Document, DocumentState, Pack, Primitive, Rule, Status, algorithm};
use crate::select::Globs;
use crypto_trace_format::catalog::FileType;
use jiff::civil::Date;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a use against a rule makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Fail,
    Warn,
}

/// What is held against uses.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    Algorithms(Algorithms),
    /// Smallest sizes, in bits, by what has them: `RSA`, `DSA`, `EC`, `DH`.
    Minimum(BTreeMap<&'static str, u32>),
    /// Cipher suites that may be agreed on, and no others.
    Suites(BTreeSet<CipherSuite>),
    /// Key exchange is post-quantum.
    PostQuantum,
    Files(Files),
    Libraries(Libraries),
    /// Nothing: what a document asks besides, which no recording shows.
    NotJudged(String),
}

/// Which algorithms may be used, by their names in the catalog.
#[derive(Debug, Clone, Default)]
pub(super) struct Algorithms {
    pub deny: Vec<String>,
    /// Of the kinds that these are of nothing else; empty: whatever is not denied.
    pub allow: Vec<String>,
    pub in_handshakes: bool,
    pub in_calls: bool,
    /// Handshakes of this protocol only; of all when `None`.
    pub protocol: Option<String>,
    /// Handshakes of these versions only; empty: of all.
    pub versions: Vec<String>,
    /// Not in signatures of certificates.
    pub handshake_only: bool,
    /// What clients offer is asked about as well, which is not judged.
    pub offers: bool,
}

/// Which files may not be opened.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub types: Vec<FileType>,
    /// Of these only; all when `None`.
    pub paths: Option<Globs>,
    /// But for these.
    pub known: Globs,
    /// But by these.
    pub readers: Globs,
}

/// Which libraries may not be loaded.
#[derive(Debug, Clone)]
pub(super) struct Libraries {
    /// Their name in the catalog, or a glob of their file's.
    pub names: Vec<String>,
    pub globs: Globs,
    /// Of versions below this one; of any when `None`.
    pub below: Option<String>,
}

/// Who says it, where and when.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Source {
    pub authority: Option<String>,
    pub document: String,
    pub title: Option<String>,
    pub revision: Option<String>,
    /// When that was published; the first of the month where only the month is known.
    pub published: Option<String>,
    pub draft: bool,
    pub section: Option<String>,
    pub url: Option<String>,
    /// Whom it speaks to, where not to everyone.
    pub applies_to: Option<String>,
}

/// A rule that is asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub id: String,
    pub level: Level,
    /// In the rule's own words.
    pub words: String,
    pub note: Option<String>,
    /// The first day that it holds, when that is still to come.
    pub from: Option<Date>,
    pub source: Source,
    pub scope: Scope,
    pub condition: Condition,
}

/// Letters, digits and dots of a text, with a hyphen between.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for letter in text.chars() {
        match letter.to_ascii_lowercase() {
            letter if letter.is_ascii_alphanumeric() || letter == '.' => slug.push(letter),
            _ if !slug.ends_with('-') && !slug.is_empty() => slug.push('-'),
            _ => {}
        }
    }
    slug.trim_end_matches(['-', '.']).to_owned()
}

/// `ietf/rfc-8996/4/tls-1.0`: document, section and the first algorithm it speaks of; a date that replaces others besides.
fn id(pack: Pack, rule: &Rule) -> String {
    let name = rule.algorithms.first().map(|name| slug(name)).unwrap_or_default();
    let mut id = format!("{}/{}/{}/{name}", pack.name(), slug(&rule.document), slug(&rule.section));
    let is_alike = |other: &&Rule| {
        other.document == rule.document
            && other.section == rule.section
            && other.algorithms.first() == rule.algorithms.first()
    };
    if crate::rules::rules().iter().filter(is_alike).count() > 1 {
        id = format!("{id}/{}", rule.effective);
    }
    id
}

/// The rules of a pack, as of a day.
pub(super) fn of_pack(pack: Pack, as_of: Date) -> Vec<Asked> {
    pack.rules(as_of).map(|(rule, document)| asked(pack, rule, document, as_of)).collect()
}

fn asked(pack: Pack, rule: &Rule, document: &Document, as_of: Date) -> Asked {
    let is_in_force = rule.effective <= as_of;
    let draft = document.state == DocumentState::Draft;
    // What may be used at a risk or should not be used is no violation; a draft binds nobody; what is to come is not there yet.
    let level = if rule.status == Status::Disallowed && is_in_force && !draft { Level::Fail } else { Level::Warn };
    Asked {
        id: id(pack, rule),
        level,
        words: rule.says.clone(),
        note: rule.note.clone(),
        from: (!is_in_force).then_some(rule.effective),
        source: Source {
            authority: Some(document.authority.clone()),
            document: document.id.clone(),
            title: Some(document.title.clone()),
            revision: Some(document.revision.clone()),
            published: Some(document.date.to_string()),
            draft,
            section: Some(rule.section.clone()),
            url: Some(document.url.clone()),
            applies_to: document.scope.clone(),
        },
        scope: Scope::default(),
        condition: Condition::Algorithms(Algorithms {
            deny: rule.algorithms.clone(),
            allow: Vec::new(),
            in_handshakes: true,
            // Calls may be for anything: for no protocol that is known, and of no version.
            protocol: document.protocol.clone(),
            in_calls: document.protocol.is_none() && rule.algorithms.iter().any(|name| !is_protocol(name)),
            versions: rule.versions.clone(),
            handshake_only: rule.handshake_only,
            offers: rule.offers,
        }),
    }
}

fn is_protocol(name: &str) -> bool {
    algorithm(name).is_some_and(|row| row.primitive == Primitive::Protocol)
}

impl Source {
    /// `IETF, RFC 8996 (BCP 195) of 2021-03-01, final; section 4`
    pub fn told(&self) -> String {
        let revision = match &self.revision {
            Some(revision) if revision.contains(&self.document) => revision.clone(),
            Some(revision) => format!("{}, {revision}", self.document),
            None => self.document.clone(),
        };
        let mut text = match &self.authority {
            Some(authority) => format!("{authority}, {revision}"),
            None => revision,
        };
        if let Some(published) = &self.published {
            text = format!("{text} of {published}");
        }
        if self.authority.is_some() {
            text.push_str(if self.draft { ", draft" } else { ", final" });
        }
        match &self.section {
            Some(section) if section.starts_with(|letter: char| letter.is_ascii_digit()) => {
                format!("{text}; section {section}")
            }
            Some(section) => format!("{text}; {section}"),
            None => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_rule_of_every_pack_has_an_id_of_its_own() {
        for day in ["2015-01-01", "2021-12-01", "2026-06-30", "2026-11-23", "2036-01-01"] {
            let day = day.parse().expect("a day");
            let rules: Vec<Asked> = Pack::ALL.iter().flat_map(|pack| of_pack(*pack, day)).collect();
            let ids: HashSet<&str> = rules.iter().map(|rule| &*rule.id).collect();
            assert_eq!(ids.len(), rules.len(), "{rules:#?}");
        }
    }

    #[test]
    fn only_final_documents_whose_day_has_come_fail() {
        let day = "2036-01-01".parse().expect("a day");
        for rule in Pack::ALL.iter().flat_map(|pack| of_pack(*pack, day)) {
            assert!(!(rule.source.draft && rule.level == Level::Fail), "{rule:?}");
        }
        let day = "2026-11-23".parse().expect("a day");
        for rule in Pack::ALL.iter().flat_map(|pack| of_pack(*pack, day)) {
            assert!(!(rule.from.is_some() && rule.level == Level::Fail), "{rule:?}");
        }
        let ietf = of_pack(Pack::Ietf, day);
        let rule = ietf.iter().find(|rule| rule.id == "ietf/rfc-8996/4/tls-1.0").expect("RFC 8996");
        assert_eq!(rule.source.told(), "IETF, RFC 8996 (BCP 195) of 2021-03-01, final; section 4");
        assert!(rule.level == Level::Fail);
    }
}
