//! What an algorithm of the catalog is in CycloneDX: `data/cyclonedx.toml`, and what follows from its primitive.

use crate::rules::{self, Primitive};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A row of the table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub family: Option<String>,
    pub set: Option<String>,
    pub curve: Option<String>,
    pub primitive: Option<String>,
    pub mode: Option<String>,
    pub padding: Option<String>,
    /// What a hybrid combines, by names of the catalog.
    #[serde(default)]
    pub parts: Vec<String>,
}

/// The row of an algorithm, by its name in the catalog.
pub(super) fn row(name: &str) -> Option<&'static Row> {
    table().get(name)
}

fn table() -> &'static BTreeMap<String, Row> {
    static TABLE: OnceLock<BTreeMap<String, Row>> = OnceLock::new();
    // The table is part of the program: a test reads it, so that this cannot fail for a user.
    TABLE.get_or_init(|| {
        toml::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/cyclonedx.toml"))).unwrap_or_default()
    })
}

/// Its primitive in CycloneDX; `unknown` where the catalog does not know the algorithm, or what its key is used for.
pub(super) fn primitive(name: &str) -> &'static str {
    if let Some(primitive) = row(name).and_then(|row| row.primitive.as_deref()) {
        return primitive;
    }
    let Some(known) = rules::algorithm(name) else { return "unknown" };
    match known.primitive {
        Primitive::KeyAgreement => "key-agree",
        Primitive::KeyTransport => "pke",
        Primitive::Kem => "kem",
        Primitive::HybridKem => "combiner",
        Primitive::Signature => "signature",
        Primitive::Cipher => "block-cipher",
        Primitive::Aead => "ae",
        Primitive::Mac => "mac",
        Primitive::Hash => "hash",
        Primitive::Xof => "xof",
        Primitive::Kdf => "kdf",
        Primitive::PublicKey | Primitive::Protocol => "unknown",
    }
}

/// What algorithms of a primitive do.
pub(super) fn functions(primitive: &str) -> &'static [&'static str] {
    match primitive {
        // There is no function for the agreement itself, and keyderive is what a KDF does.
        "key-agree" => &["keygen"],
        "pke" => &["keygen", "encrypt", "decrypt"],
        "kem" | "combiner" => &["keygen", "encapsulate", "decapsulate"],
        "signature" => &["keygen", "sign", "verify"],
        "block-cipher" | "stream-cipher" | "ae" | "key-wrap" => &["encrypt", "decrypt"],
        "mac" => &["tag"],
        "hash" | "xof" => &["digest"],
        "kdf" => &["keyderive"],
        "other" => &["other"],
        _ => &["unknown"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_whole_and_speaks_of_the_catalog() {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/cyclonedx.toml"));
        let table: BTreeMap<String, Row> = toml::from_str(text).expect("valid");
        let is_part = |name: &String| table.values().any(|row| row.parts.contains(name));
        for (name, row) in &table {
            assert!(rules::algorithm(name).is_some() || is_part(name), "{name} is in no catalog");
            for part in &row.parts {
                assert!(table.contains_key(part), "{part} of {name} has no row");
            }
        }
    }

    #[test]
    fn hybrids_are_combiners_of_parts_and_of_no_family() {
        let hybrids = rules::algorithms().iter().filter(|row| row.primitive == Primitive::HybridKem);
        for hybrid in hybrids {
            let row = row(&hybrid.name).unwrap_or_else(|| panic!("no row of {}", hybrid.name));
            assert_eq!((primitive(&hybrid.name), &row.family), ("combiner", &None), "{}", hybrid.name);
            assert!(row.parts.len() > 1, "{}", hybrid.name);
        }
    }
}
