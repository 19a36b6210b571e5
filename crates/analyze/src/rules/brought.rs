//! Which version of a library brought post-quantum key exchange: `data/post_quantum.toml`.
//!
//! Says what the makers say and nothing of its own; of a library without a row nothing is said.

use jiff::civil::Date;
use serde::Deserialize;
use std::sync::OnceLock;

/// That a version of a library brought post-quantum key exchange, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brought {
    /// What the capture calls the library.
    pub family: String,
    /// What people call it.
    pub name: String,
    /// The first version that has it: numbers with dots between them.
    pub since: String,
    /// When that was released.
    #[serde(deserialize_with = "super::table::date")]
    pub released: Date,
    /// The group that it brought, as its makers call it.
    pub brings: String,
    /// Their words.
    pub says: String,
    /// Where they say so.
    pub document: String,
    /// Where that is.
    pub url: String,
    /// When the row was compared with a text of theirs.
    #[serde(deserialize_with = "super::table::date")]
    pub compared: Date,
    /// With which: `text`, the document's own, or `copies` of it by others.
    pub compared_with: String,
    /// What else is to be known.
    pub note: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    library: Vec<Brought>,
}

/// The row of a library of these families, which commas separate.
pub fn brought(families: &[u8]) -> Option<&'static Brought> {
    let mut known = families.split(|byte| *byte == b',');
    known.find_map(|family| rows().iter().find(|row| row.family.as_bytes() == family))
}

fn rows() -> &'static [Brought] {
    static TABLE: OnceLock<Table> = OnceLock::new();
    // It is part of the program: a test reads it, so that this cannot fail for a user.
    &TABLE
        .get_or_init(|| {
            toml::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/post_quantum.toml")))
                .unwrap_or_default()
        })
        .library
}

impl Brought {
    /// Whether `version` comes before the one that brought it. None: it is no version that can be compared.
    pub fn is_after(&self, version: &[u8]) -> Option<bool> {
        Some(numbers(version)? < numbers(self.since.as_bytes())?)
    }
}

/// The numbers of a version, without what stands around them: 1, 1, 1 of `1.1.1w`, and 1, 24, 3 of `go1.24.3`.
fn numbers(version: &[u8]) -> Option<Vec<u32>> {
    let version = version.strip_prefix(b"go").unwrap_or(version);
    let mut numbers = Vec::new();
    for part in version.split(|byte| *byte == b'.').take(8) {
        let digits = part.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = std::str::from_utf8(part.get(..digits)?).ok()?;
        match text.parse() {
            Ok(number) => numbers.push(number),
            Err(_) => break,
        }
        if digits < part.len() {
            break;
        }
    }
    // One number alone is a name rather than a version.
    (numbers.len() > 1).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_whole() {
        let table: Table = toml::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/post_quantum.toml")))
            .expect("valid");
        assert!(table.library.len() >= 3);
        for row in &table.library {
            assert!(numbers(row.since.as_bytes()).is_some(), "{row:?}");
            assert!(row.released < row.compared && !row.says.is_empty() && row.url.starts_with("https://"), "{row:?}");
            assert!(["text", "copies"].contains(&&*row.compared_with), "{row:?}");
        }
    }

    #[test]
    fn versions_from_before_are_told_from_later_ones_and_from_no_versions() {
        let check = |families: &str, version: &str, expected: Option<bool>| {
            let row = brought(families.as_bytes()).expect("there");
            assert_eq!(row.is_after(version.as_bytes()), expected, "{families} {version}");
        };
        check("openssl", "3.0.17", Some(true));
        check("openssl", "1.1.1w", Some(true));
        check("x,openssl", "3.4.10", Some(true));
        check("openssl", "3.5.0", Some(false));
        check("openssl", "3.10.0", Some(false));
        check("openssl", "4.0.0-beta1", Some(false));
        check("nss", "3.61", Some(true));
        check("nss", "3.105", Some(false));
        check("go-crypto-tls", "go1.23.12", Some(true));
        check("go-crypto-tls", "go1.24", Some(false));
        for nothing in ["", "3", "x.y", "99999999999.1", "devel"] {
            check("openssl", nothing, None);
        }
        assert!(brought(b"boringssl").is_none() && brought(b"").is_none());
    }
}
