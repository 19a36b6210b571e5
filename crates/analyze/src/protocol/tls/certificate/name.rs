//! Names in certificates as text that stands for them and nothing else: RFC 4514, in the order they are written in.
//!
//! What has no text is shown as `#` and its encoding in hexadecimal, so that no part of a name is left out and none takes
//! another with it.

use super::der::{DerError, Element, Elements, OID, SEQUENCE, SET};
use super::oids::{ATTRIBUTES, named};
use crate::words::escape::{for_people, is_unsafe};
use crate::words::text::hex;

/// A distinguished name by what is in its SEQUENCE: `C=DE, O=Example, CN=example.org`. What is not an attribute is an error too,
/// and shown by its encoding.
pub(super) fn distinguished(body: &[u8]) -> (String, Option<DerError>) {
    let mut parts = Vec::new();
    let mut error = None;
    let mut elements = Elements::new(body);
    while !elements.rest().is_empty() {
        let before = elements.rest();
        match elements.next_element() {
            Ok(relative) => parts.push(attributes(relative, &mut error)),
            Err(found) => {
                error = error.or(Some(found));
                parts.push(encoding(before));
                break;
            }
        }
    }
    (parts.join(", "), error)
}

/// `CN=a + O=b`
fn attributes(relative: Element<'_>, error: &mut Option<DerError>) -> String {
    let read = || -> Result<Vec<String>, DerError> {
        let all: Result<Vec<String>, DerError> = relative.within(SET)?.map(|element| attribute(element?)).collect();
        all.and_then(|all| if all.is_empty() { Err(DerError::Value) } else { Ok(all) })
    };
    match read() {
        Ok(all) => all.join(" + "),
        Err(found) => {
            *error = error.or(Some(found));
            encoding(relative.whole)
        }
    }
}

fn attribute(element: Element<'_>) -> Result<String, DerError> {
    let mut parts = element.within(SEQUENCE)?;
    let kind = parts.next_element()?.oid()?;
    let value = parts.next_element()?;
    if !parts.rest().is_empty() {
        return Err(DerError::Value);
    }
    let text = Text::new(value).map_or_else(|| encoding(value.whole), |text| text.escaped());
    Ok(format!("{}={text}", named(ATTRIBUTES, &kind)))
}

/// RFC 4514, section 2.4: what has no text.
fn encoding(whole: &[u8]) -> String {
    format!("#{}", hex(whole))
}

/// What a string holds: characters, and bytes that are none.
struct Text(Vec<Result<char, u8>>);

impl Text {
    /// None of what is no string, or none of its kind. T61 is read as Latin-1, as all do who make or read it.
    fn new(element: Element<'_>) -> Option<Self> {
        const UTF8: u8 = 12;
        const NUMERIC: u8 = 18;
        const PRINTABLE: u8 = 19;
        const T61: u8 = 20;
        const VIDEOTEX: u8 = 21;
        const IA5: u8 = 22;
        const GRAPHIC: u8 = 25;
        const VISIBLE: u8 = 26;
        const GENERAL: u8 = 27;
        const UNIVERSAL: u8 = 28;
        const BMP: u8 = 30;
        let bytes = element.body;
        let characters = match element.tag {
            UTF8 | NUMERIC | PRINTABLE | VIDEOTEX | IA5 | GRAPHIC | VISIBLE | GENERAL => utf8(bytes),
            T61 => bytes.iter().map(|byte| Ok(char::from(*byte))).collect(),
            UNIVERSAL => {
                let (words, []) = bytes.as_chunks::<4>() else { return None };
                let all: Option<Vec<char>> =
                    words.iter().map(|word| char::from_u32(u32::from_be_bytes(*word))).collect();
                all?.into_iter().map(Ok).collect()
            }
            BMP => {
                let (words, []) = bytes.as_chunks::<2>() else { return None };
                let all: Result<Vec<char>, _> =
                    char::decode_utf16(words.iter().map(|word| u16::from_be_bytes(*word))).collect();
                all.ok()?.into_iter().map(Ok).collect()
            }
            _ => return None,
        };
        Some(Self(characters))
    }

    /// RFC 4514, section 2.4. What is unsafe to show, and bytes that are no characters, are written as `\` and two digits for
    /// each byte (of UTF-8), so that the name can be read back.
    fn escaped(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        let last = self.0.len().saturating_sub(1);
        for (at, character) in self.0.iter().enumerate() {
            match *character {
                Ok(c @ ('"' | '+' | ',' | ';' | '<' | '>' | '\\')) => out.extend(['\\', c]),
                Ok(c @ '#') if at == 0 => out.extend(['\\', c]),
                Ok(c @ ' ') if at == 0 || at == last => out.extend(['\\', c]),
                Ok(c) if is_unsafe(c) => {
                    c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("\\{byte:02X}")));
                }
                Ok(c) => out.push(c),
                Err(byte) => out.push_str(&format!("\\{byte:02X}")),
            }
        }
        out
    }
}

fn utf8(bytes: &[u8]) -> Vec<Result<char, u8>> {
    bytes
        .utf8_chunks()
        .flat_map(|chunk| chunk.valid().chars().map(Ok).chain(chunk.invalid().iter().map(|byte| Err(*byte))))
        .collect()
}

/// A general name (RFC 5280, section 4.2.1.6) with its kind: `DNS:example.org`. Safe to show.
pub(super) fn general(element: Element<'_>) -> String {
    // A backslash is doubled: what is written with one stands for a character that is not shown.
    let text = |kind: &str| {
        let doubled: Vec<u8> = element
            .body
            .iter()
            .flat_map(|byte| if *byte == b'\\' { &b"\\\\"[..] } else { std::slice::from_ref(byte) })
            .copied()
            .collect();
        format!("{kind}:{}", for_people(&doubled))
    };
    let coded = |kind: &str| format!("{kind}:{}", encoding(element.body));
    match element.tag {
        0xa0 => other(element).unwrap_or_else(|_| coded("other")),
        0x81 => text("email"),
        0x82 => text("DNS"),
        0xa3 => coded("x400"),
        0xa4 => match Elements::new(element.body).next_element().and_then(|name| name.as_tag(SEQUENCE)) {
            Ok(body) => format!("directory:{}", distinguished(body).0),
            Err(_) => coded("directory"),
        },
        0xa5 => coded("ediParty"),
        0x86 => text("URI"),
        0x87 => match (<[u8; 4]>::try_from(element.body), <[u8; 16]>::try_from(element.body)) {
            (Ok(v4), _) => format!("IP:{}", std::net::Ipv4Addr::from(v4)),
            (_, Ok(v6)) => format!("IP:{}", std::net::Ipv6Addr::from(v6)),
            _ => coded("IP"),
        },
        0x88 => Element { tag: OID, ..element }.oid().map_or_else(|_| coded("RID"), |oid| format!("RID:{oid}")),
        tag => format!("[{tag:#04x}]:{}", encoding(element.body)),
    }
}

/// `other:1.3.6.1.4.1.311.20.2.3=user@example.org`
fn other(element: Element<'_>) -> Result<String, DerError> {
    let mut parts = Elements::new(element.body);
    let kind = parts.next_element()?.oid()?;
    let value = parts.next_element()?.within(super::der::context(0))?.next_element()?;
    let text = Text::new(value).map_or_else(|| encoding(value.whole), |text| text.escaped());
    Ok(format!("other:{kind}={text}"))
}
