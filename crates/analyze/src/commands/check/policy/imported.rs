//! What rules that others wrote have in common: lists of what may be used, of which everything else is against the rule.

use super::super::rule::{Algorithms, Asked, Condition, Level, Source};
use super::super::scope::Scope;
use crate::protocol::iana::{CipherSuite, cipher_suites};
use crate::rules::{Primitive, algorithms};

/// Where it stands.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// What its rules are called by.
    pub name: String,
    /// What it is.
    pub title: String,
    pub url: Option<String>,
}

impl Document {
    /// A rule: `words` are what the document says, word by word.
    pub fn rule(&self, id: &str, words: String, scope: Scope, condition: Condition) -> Asked {
        Asked {
            id: format!("{}/{id}", self.name),
            level: Level::Fail,
            words,
            note: None,
            from: None,
            source: Source {
                authority: None,
                document: self.title.clone(),
                title: None,
                revision: None,
                published: None,
                draft: false,
                section: None,
                url: self.url.clone(),
                applies_to: None,
            },
            scope,
            condition,
        }
    }
}

/// Of handshakes: these algorithms, and of the kinds given no others.
pub(super) fn only(allow: Vec<String>, kinds: &[Primitive]) -> Condition {
    let is_other = |name: &String| !allow.contains(name);
    let all = algorithms().iter().filter(|row| kinds.contains(&row.primitive)).map(|row| row.name.clone());
    let deny = all.filter(is_other).collect();
    Condition::Algorithms(Algorithms { deny, allow, in_handshakes: true, ..Algorithms::default() })
}

/// Key exchange, in all its kinds.
pub(super) const KEY_EXCHANGE: &[Primitive] =
    &[Primitive::KeyAgreement, Primitive::KeyTransport, Primitive::Kem, Primitive::HybridKem];

/// The suite of a name.
pub(super) fn suite(name: &str) -> Option<CipherSuite> {
    cipher_suites().iter().find(|(_, known)| *known == name).map(|(code, _)| CipherSuite(code))
}

/// The algorithm of one of these kinds that a name means, but for its case.
pub(super) fn named(name: &str, kinds: &[Primitive]) -> Option<String> {
    let mut all = algorithms().iter().filter(|row| kinds.contains(&row.primitive));
    all.find(|row| row.name.eq_ignore_ascii_case(name)).map(|row| row.name.clone())
}
