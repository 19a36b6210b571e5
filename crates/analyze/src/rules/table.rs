//! The rows of `data/algorithms.toml`.

use jiff::civil::Date;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// What an algorithm does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Primitive {
    /// A protocol version.
    Protocol,
    /// Agrees on a key, Diffie-Hellman fashion.
    KeyAgreement,
    /// Sends a key, encrypted.
    KeyTransport,
    /// Encapsulates a key.
    Kem,
    /// Encapsulates a key, and agrees on one the classical way besides.
    HybridKem,
    /// Signs.
    Signature,
    /// A key of some size, for whatever it is used.
    PublicKey,
    /// Encrypts.
    Cipher,
    /// Encrypts and authenticates.
    Aead,
    /// Authenticates.
    Mac,
    /// Hashes.
    Hash,
    /// Hashes, to as many bytes as are asked for.
    Xof,
    /// Makes keys of other keys, of secrets or of passwords.
    Kdf,
}

impl Primitive {
    /// As the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::KeyAgreement => "key-agreement",
            Self::KeyTransport => "key-transport",
            Self::Kem => "kem",
            Self::HybridKem => "hybrid-kem",
            Self::Signature => "signature",
            Self::PublicKey => "public-key",
            Self::Cipher => "cipher",
            Self::Aead => "aead",
            Self::Mac => "mac",
            Self::Hash => "hash",
            Self::Xof => "xof",
            Self::Kdf => "kdf",
        }
    }
}

/// What an algorithm is worth.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Algorithm {
    /// Its name in this catalog.
    pub name: String,
    /// What it does.
    pub primitive: Primitive,
    /// Bits of security against classical computers. None where no source says, or where it depends on a group or key.
    pub classical_bits: Option<u16>,
    /// Which [`Source`] says so.
    pub bits_from: Option<String>,
    /// NIST's post-quantum security category, 1 to 5; 0 where none is met, because a quantum computer breaks it. None where
    /// NIST names none.
    pub nist_level: Option<u8>,
    /// Which [`Source`] says so. None for 0, which is no category of NIST's.
    pub level_from: Option<String>,
    /// Whether a quantum computer breaks it (Shor). None where the question makes no sense.
    pub quantum_vulnerable: Option<bool>,
    /// The id of the [`Document`] that defines it, where the table names one.
    pub defined_in: Option<String>,
}

/// Whose rules judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Rules {
    /// RFCs: for whoever uses TLS, SSH or IKE
    Ietf,
    /// SP 800-131A, IR 8547: for US federal agencies, unclassified information
    Nist,
    /// CNSA 2.0 of the NSA: for US national security systems
    Cnsa,
}

impl Rules {
    /// In output, and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ietf => "ietf",
            Self::Nist => "nist",
            Self::Cnsa => "cnsa",
        }
    }

    /// Whether a document has these rules.
    pub fn are_in(self, document: &Document) -> bool {
        document.authority
            == match self {
                Self::Ietf => "IETF",
                Self::Nist => "NIST",
                Self::Cnsa => "NSA",
            }
    }
}

/// How far a document has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentState {
    /// Published.
    Final,
    /// May change yet.
    Draft,
}

/// A passage that numbers were taken from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The document's id.
    pub document: String,
    /// Where in it.
    pub section: String,
}

/// A document with rules or numbers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What rules call it.
    pub id: String,
    /// Who speaks: `IETF`, `NIST`, `NSA`.
    pub authority: String,
    /// Its title.
    pub title: String,
    /// Which revision the rules were taken from.
    pub revision: String,
    /// Whether it is final.
    pub state: DocumentState,
    /// When that revision was published; the first of the month where only the month is known.
    #[serde(deserialize_with = "date")]
    pub date: Date,
    /// Where it is.
    pub url: String,
    /// The protocol that its rules speak of, as reports name it: `tls`. None: of whatever protocol, and of calls.
    pub protocol: Option<String>,
    /// Whom or what it speaks to, where not to everyone who uses its protocol: `US national security systems`.
    pub scope: Option<String>,
    /// Which text the table was compared with, and on which day.
    pub compared_with: String,
}

/// How a rule judges, the strictest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// MUST NOT; disallowed.
    Disallowed,
    /// May be used, at a risk that the user has to weigh.
    Deprecated,
    /// SHOULD NOT.
    Discouraged,
}

/// How a rule's quotation was compared with its document. A rule without it is never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checked {
    /// With the document's own text, word by word.
    Text,
    /// With passages that others copied from it, which agree with one another.
    Copies,
}

/// What a document says of some algorithms.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The document's id.
    pub document: String,
    /// Where in it.
    pub section: String,
    /// How it judges.
    pub status: Status,
    /// The first day that it holds.
    #[serde(deserialize_with = "date")]
    pub effective: Date,
    /// The first day that it holds no more: a stricter rule, or a document that updates this one, takes its place.
    #[serde(default, deserialize_with = "date_if_any")]
    pub until: Option<Date>,
    /// What it says, in its own words; `[…]` where words were left out. Cells of a table are joined by `: `.
    pub says: String,
    /// What the quotation alone does not show: exceptions, and what the algorithms have to do with it. The table's own
    /// words.
    pub note: Option<String>,
    /// It speaks of what a handshake does, not of the signatures of certificates.
    #[serde(default)]
    pub handshake_only: bool,
    /// It speaks of what clients offer, too, and not only of what is agreed on and done.
    #[serde(default)]
    pub offers: bool,
    /// The protocol versions it speaks of. Empty where it speaks of all.
    #[serde(default)]
    pub versions: Vec<String>,
    /// Of which algorithms.
    pub algorithms: Vec<String>,
    /// How it was checked.
    pub checked: Option<Checked>,
}

impl Rule {
    /// Whether it speaks of connections of a version: `TLS 1.2`.
    pub fn speaks_of(&self, version: &str) -> bool {
        self.versions.is_empty() || self.versions.iter().any(|known| known == version)
    }
}

/// All of it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    #[serde(rename = "document")]
    pub documents: Vec<Document>,
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
    #[serde(rename = "algorithm")]
    pub algorithms: Vec<Algorithm>,
    #[serde(rename = "source")]
    pub sources: BTreeMap<String, Source>,
}

pub(super) fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn date_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    date(deserializer).map(Some)
}
