//! Names of TLS code points, from the IANA registries vendored in `data/iana` (see its README for where they come from).
//!
//! Parsed once, at first use. Knows names only: what an algorithm is worth is [`crate::rules`]'s.

#![warn(clippy::indexing_slicing)]

mod code;
mod csv;

pub use code::{AlertDescription, CipherSuite, ExtensionType, Group, SignatureScheme, Version};

pub use csv::Names;
use std::sync::OnceLock;

macro_rules! registry {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        pub fn $name() -> &'static Names {
            static NAMES: OnceLock<Names> = OnceLock::new();
            NAMES.get_or_init(|| Names::parse(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/iana/", $file))))
        }
    };
}

registry!(
    /// TLS Cipher Suites.
    cipher_suites,
    "tls-parameters-4.csv"
);
registry!(
    /// TLS Supported Groups.
    groups,
    "tls-parameters-8.csv"
);
registry!(
    /// TLS SignatureScheme.
    signature_schemes,
    "tls-signaturescheme.csv"
);
registry!(
    /// TLS ExtensionType Values.
    extension_types,
    "tls-extensiontype-values-1.csv"
);
registry!(
    /// TLS Alerts.
    alerts,
    "tls-parameters-6.csv"
);

/// Whether a 16-bit code point (suite, group, extension, version, signature scheme) is one of the sixteen that clients send
/// to keep servers tolerant, and that mean nothing (RFC 8701, section 2).
pub fn is_grease(code: u16) -> bool {
    let [high, low] = code.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registry_is_read_whole() {
        let check = |names: &Names, rows: usize| {
            assert_eq!(names.len(), rows);
            assert!(
                names.iter().all(|(_, name)| !name.is_empty() && name.is_ascii() && !name.contains([' ', ',', '"']))
            );
        };
        check(cipher_suites(), 356);
        check(groups(), 59);
        check(signature_schemes(), 49);
        check(extension_types(), 63);
        check(alerts(), 37);
    }

    #[test]
    fn no_code_point_and_no_name_stands_twice() {
        let check = |file: &str, names: &Names| {
            // A header, then a row for each: rows of the same code point would have been merged.
            assert_eq!(file.lines().count() - 1, names.len());
            let distinct: std::collections::HashSet<&str> = names.iter().map(|(_, name)| name).collect();
            assert_eq!(distinct.len(), names.len());
        };
        check(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/iana/tls-parameters-4.csv")), cipher_suites());
        check(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/iana/tls-parameters-8.csv")), groups());
        check(
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/iana/tls-signaturescheme.csv")),
            signature_schemes(),
        );
        check(
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/iana/tls-extensiontype-values-1.csv")),
            extension_types(),
        );
        check(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/iana/tls-parameters-6.csv")), alerts());
    }

    #[test]
    fn post_quantum_groups_have_names() {
        let check = |code: u16, name: &str| assert_eq!(groups().get(code), Some(name), "{code:#06x}");
        check(0x11eb, "SecP256r1MLKEM768");
        check(0x11ec, "X25519MLKEM768");
        check(0x11ed, "SecP384r1MLKEM1024");
        check(0x0200, "MLKEM512");
        check(0x0201, "MLKEM768");
        check(0x0202, "MLKEM1024");
        check(0x6399, "X25519Kyber768Draft00");
    }

    #[test]
    fn no_registry_names_a_grease_value() {
        for names in [cipher_suites(), groups(), signature_schemes(), extension_types()] {
            assert!(names.iter().all(|(code, _)| !is_grease(code)));
        }
    }

    #[test]
    fn sixteen_values_are_grease() {
        let all: Vec<u16> = (0..=u16::MAX).filter(|code| is_grease(*code)).collect();
        assert_eq!(all.len(), 16);
        assert_eq!(all.first(), Some(&0x0a0a));
        assert_eq!(all.last(), Some(&0xfafa));
    }
}
