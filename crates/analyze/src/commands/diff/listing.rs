//! A CBOM as CycloneDX JSON has it, 1.4 to 1.7: what it lists of what can be seen to run. It is read piece by piece, so that a large
//! one takes little room, and what is wrong with it is said with its line and column.

use super::inventory::Category;
use super::json::CbomReport;
use super::things::{Crypto, Few, Plain};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::io::{BufReader, Read};
use std::path::Path;

/// Bytes of a document.
const MAX_BYTES: u64 = 128 << 20;

/// Things of a document that are compared.
pub(super) const MAX_THINGS: usize = 100_000;

/// Bytes of a file that are looked at to find out what it is.
const HEAD: usize = 512;

/// Versions that are read.
const VERSIONS: [&str; 4] = ["1.4", "1.5", "1.6", "1.7"];

/// A thing that is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Listed {
    pub category: Option<Category>,
    pub name: String,
    /// The name, and what else it is called by its properties.
    pub forms: Vec<String>,
    /// Of a library.
    pub version: Option<String>,
    /// Of a certificate.
    pub sha256: Option<String>,
}

/// Everything that is listed.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub things: Vec<Listed>,
    pub report: CbomReport,
}

/// Whether a file is a document in JSON, and no recording.
///
/// # Errors
/// When it is one that is not read.
pub(super) fn is_one(path: &Path) -> Result<bool> {
    // What cannot be read is said where it is.
    if !std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(false);
    }
    let Ok(file) = std::fs::File::open(path) else { return Ok(false) };
    let mut head = Vec::new();
    if file.take(HEAD as u64).read_to_end(&mut head).is_err() {
        return Ok(false);
    }
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head).trim_ascii_start();
    match text.first() {
        Some(b'<') => bail!("{}: XML is not supported: give the CBOM as CycloneDX JSON", path.display()),
        Some(b'[') => bail!("{}: a list is not a CBOM: give one CycloneDX document", path.display()),
        first => Ok(first == Some(&b'{')),
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a document.
///
/// # Errors
/// When it cannot be read, or is no CBOM; with its line and column.
pub(super) fn read(path: &Path) -> Result<Listing> {
    let shown = path.display();
    let unreadable = || format!("{shown}: cannot be read");
    let file = std::fs::File::open(path).with_context(unreadable)?;
    let length = file.metadata().with_context(unreadable)?.len();
    if length > MAX_BYTES {
        bail!("{shown}: more than {} MiB: that is too large for a CBOM", MAX_BYTES >> 20);
    }
    let mut reader = BufReader::with_capacity(64 << 10, file.take(MAX_BYTES));
    let is_marked = std::io::BufRead::fill_buf(&mut reader).with_context(unreadable)?.starts_with(BYTE_ORDER_MARK);
    if is_marked {
        std::io::BufRead::consume(&mut reader, BYTE_ORDER_MARK.len());
    }
    parse(reader).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let whole = error.to_string();
        let what = whole.split(" at line ").next().unwrap_or(&whole);
        anyhow::anyhow!("{shown}:{line}:{column}: not a readable CBOM (CycloneDX JSON): {what}")
    })
}

/// Reads one that this program wrote itself.
pub(super) fn parse(reader: impl Read) -> serde_json::Result<Listing> {
    let mut listing = Listing::default();
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    Document(&mut listing).deserialize(&mut deserializer)?;
    deserializer.end()?;
    listing.report.compared = listing.things.len() as u64;
    listing.report.not_compared = listing.report.not_compared_by.values().sum();
    Ok(listing)
}

/// A visitor of an object whose members are read one by one.
macro_rules! object {
    ($seed:ident, $value:ty, $what:literal, |$this:ident, $map:ident| $body:block) => {
        impl<'de> DeserializeSeed<'de> for $seed<'_> {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<$value, D::Error> {
                deserializer.deserialize_map(self)
            }
        }

        impl<'de> Visitor<'de> for $seed<'_> {
            type Value = $value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($what)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut $map: A) -> Result<$value, A::Error> {
                let $this = self;
                $body
            }
        }
    };
}

/// The whole document.
struct Document<'a>(&'a mut Listing);

object!(Document, (), "a CycloneDX document", |this, map| {
    let (mut format, mut version) = (None::<String>, None::<String>);
    while let Some(key) = map.next_key::<String>()? {
        match key.as_str() {
            "bomFormat" => {
                let said = map.next_value::<String>()?;
                if said != "CycloneDX" {
                    return Err(A::Error::custom(format!("bomFormat is {said:.40?} and not \"CycloneDX\"")));
                }
                format = Some(said);
            }
            "specVersion" => {
                let said = map.next_value::<String>()?;
                if !VERSIONS.contains(&said.as_str()) {
                    let known = VERSIONS.join(", ");
                    return Err(A::Error::custom(format!("specVersion {said:.40?} is not one of {known}")));
                }
                version = Some(said);
            }
            "metadata" => {
                let metadata = map.next_value::<Metadata>()?;
                this.0.report.timestamp = metadata.timestamp;
                this.0.report.made_by = metadata.tools.0;
            }
            "components" => map.next_value_seed(Components(&mut *this.0))?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
    }
    match (format, version) {
        (None, _) => Err(A::Error::custom("there is no bomFormat")),
        (_, None) => Err(A::Error::custom("there is no specVersion")),
        (Some(_), Some(version)) => {
            this.0.report.spec_version = version;
            Ok(())
        }
    }
});

/// Components, each taken in as it comes.
struct Components<'a>(&'a mut Listing);

impl<'de> DeserializeSeed<'de> for Components<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Components<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of components")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Component(&mut *self.0))?.is_some() {
            if self.0.things.len() > MAX_THINGS {
                return Err(A::Error::custom(format!("more than {MAX_THINGS} components to compare")));
            }
        }
        Ok(())
    }
}

/// One component, with those within it.
struct Component<'a>(&'a mut Listing);

object!(Component, (), "a component", |this, map| {
    let mut plain = Plain::default();
    let mut crypto = None;
    while let Some(key) = map.next_key::<String>()? {
        match key.as_str() {
            "type" => plain.kind = map.next_value()?,
            "name" => plain.name = map.next_value()?,
            "version" => plain.version = map.next_value()?,
            "cryptoProperties" => crypto = map.next_value::<Option<Crypto>>()?,
            "components" => map.next_value_seed(Components(&mut *this.0))?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
    }
    this.0.take(plain, crypto);
    Ok(())
});

#[derive(Default, Deserialize)]
struct Metadata {
    timestamp: Option<String>,
    #[serde(default)]
    tools: Tools,
}

#[derive(Deserialize)]
struct Tool {
    #[serde(default)]
    name: String,
}

/// Names of tools: of a list, as up to 1.4, or of components and services.
#[derive(Default)]
struct Tools(Vec<String>);

impl<'de> Deserialize<'de> for Tools {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Tools;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tools")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tools, A::Error> {
                let mut tools = Tools::default();
                while let Some(tool) = list.next_element::<Tool>()? {
                    tools.add(tool);
                }
                Ok(tools)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tools, A::Error> {
                let mut tools = Tools::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "components" | "services" => {
                            map.next_value::<Few<Tool>>()?.0.into_iter().for_each(|tool| tools.add(tool));
                        }
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(tools)
            }
        }

        deserializer.deserialize_any(Names)
    }
}

impl Tools {
    fn add(&mut self, tool: Tool) {
        if self.0.len() < 10 && !tool.name.is_empty() {
            self.0.push(tool.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_make_it_panic_or_hold_without_end() {
        let whole = include_bytes!("../../../../../testdata/algorithms/cbom-1.7.cdx.json");
        assert!(parse(&whole[..]).expect("valid").things.len() > 10);
        for cut in (0..whole.len()).step_by(97) {
            assert!(parse(whole.get(..cut).expect("within")).is_err() || cut + 2 >= whole.len(), "{cut}");
            let mut flipped = whole.to_vec();
            flipped.iter_mut().skip(cut).take(1).for_each(|byte| *byte ^= 0x15);
            let _ = parse(&flipped[..]);
        }
        let many = format!("[{}{{}}]", r#"{"type":"library","name":"openssl"},"#.repeat(MAX_THINGS + 2));
        let head = r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": "#;
        let error = parse(format!("{head}{many}}}").as_bytes()).expect_err("too many").to_string();
        assert!(error.contains("more than 100000 components to compare"), "{error}");
    }
}
