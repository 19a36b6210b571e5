//! Code points of names, from the registries of IANA that the analyzer has its names from too.

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

type Codes = HashMap<String, u16>;

fn read(file: &str) -> Codes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/analyze/data/iana").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let code = |value: &str| match value.split_once(',') {
        // "0x13,0x01"
        Some((high, low)) => Some((number(high)? << 8) | number(low)?),
        None => number(value),
    };
    let row = |line: &str| {
        let (value, rest) = match line.strip_prefix('"') {
            Some(quoted) => quoted.split_once("\",")?,
            None => line.split_once(',')?,
        };
        Some((rest.split(',').next()?.to_owned(), code(value)?))
    };
    let codes: Codes = text.lines().filter_map(row).collect();
    assert!(codes.len() > 20, "{file}: {codes:?}");
    codes
}

fn number(text: &str) -> Option<u16> {
    match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

macro_rules! registry {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        pub fn $name(name: &str) -> Option<u16> {
            static CODES: OnceLock<Codes> = OnceLock::new();
            number_of(CODES.get_or_init(|| read($file)), name)
        }
    };
}

/// A name of the registry, or the code point itself, which events show when it has none.
fn number_of(codes: &Codes, name: &str) -> Option<u16> {
    codes.get(name).copied().or_else(|| name.starts_with("0x").then(|| number(name)).flatten())
}

registry!(
    /// Of a suite.
    suite,
    "tls-parameters-4.csv"
);
registry!(
    /// Of a group.
    group,
    "tls-parameters-8.csv"
);
registry!(
    /// Of an alert.
    alert,
    "tls-parameters-6.csv"
);
registry!(
    /// Of a signature scheme that has a name as one.
    registered_scheme,
    "tls-signaturescheme.csv"
);

/// Of a signature scheme: also of those of TLS 1.2 that are named by their hash and their signature (RFC 5246, section 7.4.1.4.1).
pub fn scheme(name: &str) -> Option<u16> {
    const HASHES: [&str; 7] = ["none", "md5", "sha1", "sha224", "sha256", "sha384", "sha512"];
    const SIGNATURES: [&str; 4] = ["anonymous", "rsa", "dsa", "ecdsa"];
    let at = |names: &[&str], word: &str| names.iter().position(|known| *known == word);
    registered_scheme(name).or_else(|| {
        let words: Vec<_> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let [one, two] = words[..] else { return None };
        let (hash, signature) = match at(&HASHES, one) {
            Some(hash) => (hash, at(&SIGNATURES, two)?),
            None => (at(&HASHES, two)?, at(&SIGNATURES, one)?),
        };
        u16::try_from(hash << 8 | signature).ok()
    })
}

/// Of a version.
pub fn version(name: &str) -> Option<u16> {
    Some(match name {
        "SSL 3.0" => 0x0300,
        "TLS 1.0" => 0x0301,
        "TLS 1.1" => 0x0302,
        "TLS 1.2" => 0x0303,
        "TLS 1.3" => 0x0304,
        other => return other.starts_with("0x").then(|| number(other)).flatten(),
    })
}

/// Values that mean nothing (RFC 8701), which events leave out.
pub fn is_grease(code: u16) -> bool {
    let [high, low] = code.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}
