//! What transforms of IKEv2 are made of, as names of the catalog: `data/ike_algorithms.toml`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Transforms by their names, and what they are made of.
type Names = BTreeMap<String, Vec<String>>;

/// Stands in a name for the length of a key.
const BITS: &str = "{bits}";

fn table() -> &'static Names {
    static TABLE: OnceLock<Names> = OnceLock::new();
    // It is part of the program: a test reads it, so that this cannot fail for a user.
    TABLE.get_or_init(|| {
        toml::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/ike_algorithms.toml")))
            .unwrap_or_default()
    })
}

/// What a transform is made of, by its name and the length of its key in bits; itself where that is not known.
pub fn ike_transform(name: &str, key_bits: Option<u16>) -> Vec<String> {
    let itself = || vec![name.to_owned()];
    let Some(parts) = table().get(name) else { return itself() };
    let part = |part: &String| match key_bits {
        _ if !part.contains(BITS) => Some(part.clone()),
        Some(bits) => Some(part.replace(BITS, &bits.to_string())),
        None => None,
    };
    parts.iter().map(part).collect::<Option<Vec<String>>>().unwrap_or_else(itself)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ike::{TransformType, transform_name};
    use crate::rules::{algorithm, assess};

    #[test]
    fn the_table_is_read_whole_and_speaks_of_the_catalog() {
        assert!(table().len() > 60);
        let kinds = [1_u8, 2, 3, 4].map(TransformType);
        let known: Vec<&str> = kinds.iter().flat_map(|ty| (0..64).filter_map(|id| transform_name(*ty, id))).collect();
        for (name, parts) in table() {
            assert!(known.contains(&name.as_str()), "{name} is no transform");
            for part in parts {
                // Every cipher with a length of its key has one of 256 bits.
                assert!(algorithm(&part.replace(BITS, "256")).is_some(), "{part} of {name} has no row");
            }
        }
    }

    #[test]
    fn a_cipher_is_worth_what_its_key_is() {
        assert_eq!(ike_transform("ENCR_AES_CBC", Some(192)), ["AES-192-CBC"]);
        assert_eq!(ike_transform("ENCR_AES_CBC", None), ["ENCR_AES_CBC"]);
        assert_eq!(ike_transform("ENCR_3DES", None), ["3DES-EDE"]);
        assert_eq!(ike_transform("NONE", None), [""; 0]);
        assert_eq!(ike_transform("65001", Some(128)), ["65001"]);
    }

    #[test]
    fn rules_of_the_ietf_speak_of_ike() {
        let says = |name: &str| -> Vec<&str> {
            let found = assess(name, "2026-11-29".parse().expect("a day"));
            let of_ike = found.iter().filter(|finding| finding.document.protocol.as_deref() == Some("ike"));
            of_ike.map(|finding| &*finding.document.id).collect()
        };
        for (transform, expected) in [
            ("ENCR_DES", 1),
            ("ENCR_NULL", 1),
            // As a pseudorandom function, and for integrity.
            ("PRF_HMAC_MD5", 2),
            ("AUTH_DES_MAC", 1),
            ("1024-bit MODP Group", 1),
            ("2048-bit MODP Group with 256-bit Prime Order Subgroup", 1),
            ("2048-bit MODP Group", 0),
            ("Curve25519", 0),
        ] {
            let found: Vec<&str> = ike_transform(transform, None).iter().flat_map(|name| says(name)).collect();
            assert_eq!(found, vec!["RFC 8247"; expected], "{transform}");
        }
    }
}
