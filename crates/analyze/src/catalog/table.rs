//! The rows of `data/algorithms.toml`.

use jiff::civil::Date;
use serde::{Deserialize, Deserializer};

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
    /// NIST's post-quantum security level, 1 to 5; 0 where a quantum computer breaks it. None where NIST names none.
    pub nist_level: Option<u8>,
    /// Whether a quantum computer breaks it (Shor). None where the question makes no sense.
    pub quantum_vulnerable: Option<bool>,
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

/// A document with rules.
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
    /// The first day that it holds no more, where a stricter rule of the same document takes its place.
    #[serde(default, deserialize_with = "date_if_any")]
    pub until: Option<Date>,
    /// What it says, close to its own words.
    pub says: String,
    /// It speaks of what a handshake does, not of the signatures of certificates.
    #[serde(default)]
    pub handshake_only: bool,
    /// Of which algorithms.
    pub algorithms: Vec<String>,
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
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn date_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    date(deserializer).map(Some)
}
