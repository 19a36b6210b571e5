//! A CBOM as CycloneDX JSON has it, 1.4 to 1.7: what it lists of what can be seen to run. It is read piece by piece, so that a large
//! one takes little room, and what is wrong with it is said with its line and column.

use super::inventory::Category;
use super::json::CbomReport;
use crate::capture::libraries::product;
use crate::protocol::iana::CipherSuite;
use anyhow::{Context, Result, bail};
use crypto_trace_format::catalog;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::io::{BufReader, Read};
use std::marker::PhantomData;
use std::path::Path;

/// Bytes of a document.
const MAX_BYTES: u64 = 128 << 20;

/// Things of a document that are compared.
const MAX_THINGS: usize = 100_000;

/// Elements of a list within a component.
const MAX_LIST: usize = 4_096;

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
        Some(b'<') => bail!("{}: XML is not read: give the CBOM as CycloneDX JSON", path.display()),
        Some(b'[') => bail!("{}: a list is no CBOM: give one CycloneDX document", path.display()),
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
        anyhow::anyhow!("{shown}:{line}:{column}: no CBOM that can be read (CycloneDX JSON): {what}")
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

#[derive(Default)]
struct Plain {
    kind: String,
    name: String,
    version: Option<String>,
}

/// The first elements of a list; what is beyond is left out.
struct Few<T>(Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct First<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for First<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T>, A::Error> {
                let mut few = Vec::new();
                while few.len() < MAX_LIST {
                    let Some(one) = list.next_element()? else { return Ok(Few(few)) };
                    few.push(one);
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Few(few))
            }
        }

        deserializer.deserialize_seq(First(PhantomData))
    }
}

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

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Crypto {
    asset_type: String,
    algorithm_properties: Option<Algorithm>,
    certificate_properties: Option<Certificate>,
    protocol_properties: Option<Protocol>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Algorithm {
    /// Of documents before 1.6, as IBM's extension of 1.4 has it.
    variant: Option<String>,
    parameter_set_identifier: Option<String>,
    mode: Option<String>,
    curve: Option<String>,
    elliptic_curve: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Certificate {
    subject_name: Option<String>,
    fingerprint: Option<Fingerprint>,
}

#[derive(Deserialize)]
struct Fingerprint {
    alg: Option<String>,
    content: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Protocol {
    #[serde(rename = "type")]
    kind: Option<String>,
    version: Option<String>,
    cipher_suites: Few<Suite>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Suite {
    name: Option<String>,
    identifiers: Few<String>,
}

impl Listing {
    fn take(&mut self, plain: Plain, crypto: Option<Crypto>) {
        let Some(crypto) = crypto else { return self.library(plain) };
        match (crypto.asset_type.as_str(), crypto.algorithm_properties, crypto.certificate_properties) {
            ("algorithm", algorithm, _) => self.algorithm(plain, algorithm.unwrap_or_default()),
            ("certificate", _, certificate) => self.certificate(plain, certificate.unwrap_or_default()),
            ("protocol", ..) => self.protocol(plain, crypto.protocol_properties.unwrap_or_default()),
            (other, ..) => self.leave_out(&format!("of assetType {other:.40}")),
        }
    }

    fn leave_out(&mut self, why: &str) {
        // Documents have few sorts of components; a hostile one has many.
        let why = if self.report.not_compared_by.len() < MAX_SORTS { why } else { "of other sorts" };
        *self.report.not_compared_by.entry(why.to_owned()).or_default() += 1;
    }

    fn library(&mut self, plain: Plain) {
        if !matches!(plain.kind.as_str(), "library" | "framework") {
            return self.leave_out(&format!("of type {:.40}", plain.kind));
        }
        match known_library(&plain.name) {
            Some(name) => self.things.push(Listed {
                category: Some(Category::Library),
                forms: vec![name.to_owned()],
                name: name.to_owned(),
                version: plain.version.filter(|version| !version.is_empty()),
                sha256: None,
            }),
            None => self.leave_out("of type library, which this version does not know as cryptographic"),
        }
    }

    fn algorithm(&mut self, plain: Plain, properties: Algorithm) {
        let name = properties.variant.filter(|variant| !variant.is_empty()).unwrap_or(plain.name);
        if name.is_empty() {
            return self.leave_out("of assetType algorithm, without a name");
        }
        let mut forms = vec![name.clone()];
        // `AES` with 128 and gcm says no less than `AES-128-GCM`.
        let is_bare = name.bytes().all(|byte| byte.is_ascii_alphabetic());
        if is_bare {
            let parts = [properties.parameter_set_identifier, properties.mode];
            let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
            let curve = properties.elliptic_curve.or(properties.curve).filter(|curve| !curve.is_empty());
            if !parts.is_empty() {
                forms = vec![format!("{name}-{}", parts.join("-"))];
            } else if let Some(curve) = curve {
                // `secg/secp256r1` of 1.7
                forms = vec![curve.rsplit('/').next().unwrap_or(&curve).to_owned()];
            }
        }
        self.things.push(Listed { category: Some(Category::Algorithm), name, forms, ..Listed::default() });
    }

    fn certificate(&mut self, plain: Plain, properties: Certificate) {
        let is_sha256 = |of: &Fingerprint| of.alg.as_deref() == Some("SHA-256");
        let sha256 = properties.fingerprint.filter(is_sha256).and_then(|of| of.content);
        let name = properties.subject_name.filter(|name| !name.is_empty()).unwrap_or(plain.name);
        let forms = vec![subject(&name)];
        let sha256 = sha256.map(|sha256| sha256.to_ascii_lowercase());
        self.things.push(Listed { category: Some(Category::Certificate), name, forms, sha256, version: None });
    }

    fn protocol(&mut self, plain: Plain, properties: Protocol) {
        if properties.kind.as_deref() != Some("tls") {
            let kind = properties.kind.unwrap_or_else(|| "no type".to_owned());
            return self.leave_out(&format!("of assetType protocol, {kind:.40}"));
        }
        let version = properties.version.filter(|version| !version.is_empty()).unwrap_or(plain.name);
        // `1.2`, `TLS 1.2`, `TLSv1.2`; `TLS` alone says none.
        let number = version.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        if !number.is_empty() {
            let is_ssl = version.to_ascii_uppercase().starts_with("SSL");
            let name = format!("{} {number}", if is_ssl { "SSL" } else { "TLS" });
            self.things.push(Listed {
                category: Some(Category::TlsVersion),
                forms: vec![name.clone()],
                name,
                ..Listed::default()
            });
        }
        for suite in properties.cipher_suites.0 {
            let by_number = code(&suite.identifiers.0).map(|code| CipherSuite(code).to_string());
            let Some(name) = by_number.or(suite.name).filter(|name| !name.is_empty()) else { continue };
            if self.things.len() > MAX_THINGS {
                return;
            }
            let forms = vec![name.to_ascii_uppercase()];
            self.things.push(Listed { category: Some(Category::CipherSuite), name, forms, ..Listed::default() });
        }
    }
}

/// Sorts of components that are told apart.
const MAX_SORTS: usize = 50;

/// `["0xC0", "0x30"]` or `["0xC030"]`
fn code(identifiers: &[String]) -> Option<u16> {
    let digits: String = identifiers.iter().map(|one| one.trim_start_matches("0x").trim_start_matches("0X")).collect();
    (digits.len() == 4).then(|| u16::from_str_radix(&digits, 16).ok()).flatten()
}

/// What this program calls a library that others call `openssl`, `libssl3` or `libssl.so.3`.
fn known_library(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let name = name.rsplit('/').next().unwrap_or(&name);
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.' || letter == '-');
    let by_file = |name: &str| catalog::library(name.as_bytes());
    // `nss`, `libgcrypt20`; a name such as `crypto-js` is that of no file.
    product::by_name(name).or_else(|| by_file(name)).or_else(|| by_file(&format!("{stem}.so")))
}

/// A name of which the order of its parts and the spaces between them do not count.
fn subject(name: &str) -> String {
    let mut parts: Vec<String> = name.split(',').map(|part| part.trim().to_owned()).collect();
    parts.sort_unstable();
    parts.join(",")
}
