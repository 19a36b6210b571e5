//! Packs: the rules of one authority's documents, judged on their own and never merged into one score.

use super::{Document, Rule, document, rules};
use jiff::civil::Date;

/// Rules that are chosen together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Pack {
    /// RFCs of the IETF: for whoever uses TLS, SSH or IKE
    #[value(name = "ietf")]
    Ietf,
    /// NIST SP 800-131A Rev. 2, and what the draft of Rev. 3 adds: for US federal agencies
    #[value(name = "nist-800-131a")]
    Nist800131a,
    /// NIST IR 8547, a draft: the transition to post-quantum cryptography of US federal agencies
    #[value(name = "nist-ir-8547")]
    NistIr8547,
    /// CNSA 2.0 of the NSA and its FAQ: for US national security systems
    #[value(name = "cnsa-2.0")]
    Cnsa20,
}

impl Pack {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ietf, Self::Nist800131a, Self::NistIr8547, Self::Cnsa20];

    /// On the command line, and in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ietf => "ietf",
            Self::Nist800131a => "nist-800-131a",
            Self::NistIr8547 => "nist-ir-8547",
            Self::Cnsa20 => "cnsa-2.0",
        }
    }

    /// Whether a document is one of its.
    pub fn holds(self, document: &Document) -> bool {
        match self {
            Self::Ietf => document.authority == "IETF",
            Self::Nist800131a => document.id.starts_with("SP 800-131A"),
            Self::NistIr8547 => document.id == "IR 8547",
            Self::Cnsa20 => document.authority == "NSA",
        }
    }

    /// Its rules that were compared with their document, which were published by `as_of` and not replaced by then.
    pub fn rules(self, as_of: Date) -> impl Iterator<Item = (&'static Rule, &'static Document)> {
        let with_document = |rule: &'static Rule| Some((rule, document(&rule.document)?));
        rules()
            .iter()
            .filter(|rule| rule.checked.is_some())
            .filter_map(with_document)
            .filter(move |(_, document)| self.holds(document) && document.date <= as_of)
            .filter(move |(rule, _)| rule.until.is_none_or(|until| as_of < until))
    }
}

impl Document {
    /// The day on which the table was compared with it: the last day that [`Document::compared_with`] names.
    pub fn compared(&self) -> Option<Date> {
        let words = self.compared_with.split(|letter: char| !letter.is_ascii_digit() && letter != '-');
        words.filter(|word| word.len() == 10).filter_map(|word| word.parse().ok()).next_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Checked;
    use clap::ValueEnum;

    #[test]
    fn every_rule_is_in_one_pack_and_every_document_says_when_it_was_compared() {
        for rule in rules() {
            let document = document(&rule.document).expect("a document");
            assert_eq!(Pack::ALL.iter().filter(|pack| pack.holds(document)).count(), 1, "{rule:?}");
            assert!(document.compared().is_some_and(|day| day >= document.date), "{document:?}");
        }
        let named = |pack: &Pack| pack.to_possible_value().is_some_and(|value| value.get_name() == pack.name());
        assert!(Pack::value_variants() == Pack::ALL && Pack::ALL.iter().all(named));
    }

    #[test]
    fn rules_come_and_go_on_their_days() {
        let has = |as_of: &str, document: &str| {
            Pack::Ietf.rules(as_of.parse().expect("a day")).any(|(rule, _)| rule.document == document)
        };
        assert!(has("2026-06-30", "RFC 8446") && !has("2026-06-30", "RFC 9846"));
        assert!(!has("2026-07-01", "RFC 8446") && has("2026-07-01", "RFC 9846"));
        let checked = |(rule, _): (&Rule, _)| matches!(rule.checked, Some(Checked::Text | Checked::Copies));
        assert!(Pack::ALL.iter().all(|pack| pack.rules("2026-11-23".parse().expect("a day")).all(checked)));
    }
}
