//! Holds `docs/format.md` and the code together: its tables are made from the constants and layouts that the code uses.
//!
//! `UPDATE=1 cargo test -p crypto-trace-format format_doc` writes the tables anew. The prose around them is written by hand.

use super::generated_docs;
use crate::record::{
    ApiLevel, ApiMeaning, ArgvMode, ChangeCall, ClockReason, Direction, FieldLayout, Header, KINDS, LossCause,
    OpenCall, PrivacyMode, ProbeState, Protocol, SocketOwner, SuppressionReason, Tier, Wanted, api_state, flags,
    hello_state, library_features,
};
use crate::segment;
use std::collections::BTreeMap;
use std::fmt::Write;

const KINDS_SOURCE: &str = concat!(include_str!("record/kinds.rs"), include_str!("record/kinds_of_capture.rs"));
const CODES_SOURCE: &str = include_str!("record/codes.rs");
const META_SOURCE: &str = include_str!("segment/meta.rs");

/// Doc comments of the fields of the struct declared after `marker`, by field; strings of a record kind included.
fn field_docs(source: &str, marker: &str) -> BTreeMap<String, String> {
    let start = source.find(marker).unwrap_or_else(|| panic!("{marker} is not declared"));
    let end =
        source[start..].find("\n    }\n}").or(source[start..].find("\n}")).map_or(source.len(), |end| start + end);
    let (mut docs, mut doc) = (BTreeMap::new(), String::new());
    for line in source[start..end].lines().skip(1).map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc = format!("{doc} {}", text.trim());
        } else if let Some((name, _)) = line.split_once([':', '[']).filter(|_| line.ends_with(',')) {
            docs.insert(name.trim().to_owned(), plain(&std::mem::take(&mut doc)));
        }
    }
    docs
}

/// A doc comment without the targets of its links.
fn plain(doc: &str) -> String {
    let mut out = String::new();
    let mut rest = doc.trim();
    while let Some((before, link)) = rest.split_once("[`") {
        let (text, after) = link.split_once("`]").unwrap_or((link, ""));
        let _ = write!(out, "{before}`{text}`");
        rest = match after.strip_prefix('(') {
            Some(target) => target.split_once(')').map_or("", |(_, rest)| rest),
            None => after,
        };
    }
    (out + rest).replace('|', "\\|")
}

/// A struct as rows of eight bytes, and as a table.
fn layout(fields: &[FieldLayout], docs: &BTreeMap<String, String>) -> String {
    const BYTE: usize = 11;
    let mut out = format!("```text\n<{:-^width$}>\n", " 8 bytes ", width = 8 * BYTE - 1);
    let mut column = 0;
    for field in fields {
        for part in 0..field.size.div_ceil(8) {
            let name = if part == 0 { field.name } else { "(continued)" };
            let _ = write!(out, "| {name:<width$}", width = field.size.min(8) * BYTE - 2);
            column += field.size.min(8);
            if column == 8 {
                out += "|\n";
                column = 0;
            }
        }
    }
    assert_eq!(column, 0, "not a multiple of 8 bytes");
    out += "```\n\n| offset | size | type | field | meaning |\n|---:|---:|---|---|---|\n";
    for FieldLayout { name, ty, offset, size } in fields {
        let doc = docs.get(*name).unwrap_or_else(|| panic!("`{name}` has no doc comment"));
        let _ = writeln!(out, "| {offset} | {size} | {ty} | `{name}` | {doc} |");
    }
    out
}

fn codes<T: std::fmt::Display>(names: &[(T, &str)]) -> String {
    let rows = names.iter().map(|(value, name)| format!("| {value} | `{name}` |\n"));
    "| value | name |\n|---:|---|\n".to_owned() + &rows.collect::<String>()
}

/// The same with what codes.rs says of each number of the struct `name`.
fn codes_explained(name: &str, names: &[(u16, &str)]) -> String {
    let docs = number_docs(&format!("pub struct {name}("));
    let rows = names.iter().map(|(value, name)| format!("| {value} | `{name}` | {} |\n", docs[&u32::from(*value)]));
    "| value | name | meaning |\n|---:|---|---|\n".to_owned() + &rows.collect::<String>()
}

/// The items of a struct of the metadata blob, in order.
fn items(marker: &str) -> String {
    let docs = field_docs(META_SOURCE, marker);
    let start = META_SOURCE.find(marker).unwrap_or_else(|| panic!("{marker} is not declared"));
    let fields = META_SOURCE[start..].lines().skip(1).take_while(|line| *line != "}");
    let rows = fields.filter_map(|line| line.trim().strip_prefix("pub ")?.strip_suffix(',')?.split_once(": ")).map(
        |(name, ty)| {
            let ty = match ty {
                "u64" => "u64",
                "bool" => "u8",
                "u16" | "Wanted" | "PrivacyMode" | "ArgvMode" => "u16",
                "Vec<u32>" => "list of u32",
                "Vec<String>" => "list of string",
                "Option<u64>" => "optional u64",
                "Option<String>" => "optional string",
                ty => panic!("how is {ty} encoded?"),
            };
            format!("| `{name}` | {ty} | {} |\n", docs[&format!("pub {name}")])
        },
    );
    "| item | type | meaning |\n|---|---|---|\n".to_owned() + &rows.collect::<String>()
}

fn kinds() -> String {
    let mut out = String::new();
    for kind in KINDS {
        let marker = format!("kind {} \"{}\"", kind.kind, kind.name);
        let declared = KINDS_SOURCE.find(&marker).unwrap_or_else(|| panic!("{marker} is not declared"));
        let end = KINDS_SOURCE[declared..].find("\n}\n").map_or(KINDS_SOURCE.len(), |end| declared + end);
        let docs = field_docs(&KINDS_SOURCE[declared..end], &marker);
        let about: Vec<_> = KINDS_SOURCE[..declared]
            .lines()
            .rev()
            .skip(1)
            .map_while(|line| line.trim().strip_prefix("///"))
            .map(plain)
            .collect();
        let about = about.into_iter().rev().collect::<Vec<_>>().join(" ");
        let _ = writeln!(out, "### {} `{}`\n\n{about}\n", kind.kind, kind.name);
        let _ = writeln!(out, "Fixed part, {} bytes:\n\n{}", kind.fixed_len, layout(kind.fields, &docs));
        if !kind.strings.is_empty() {
            out += "Strings, in this order:\n\n| string | length in | meaning |\n|---|---|---|\n";
            for string in kind.strings {
                let _ = writeln!(out, "| `{string}` | `{string}_len` | {} |", docs[*string]);
            }
            out.push('\n');
        }
    }
    out.trim_end().to_owned() + "\n"
}

/// Every generated section by name.
fn sections() -> BTreeMap<String, String> {
    let mut sections = BTreeMap::new();
    let rows: String = segment::constants().iter().map(|(name, value)| format!("| {name} | {value} |\n")).collect();
    sections.insert("constants".to_owned(), "| what | value |\n|---|---|\n".to_owned() + &rows);
    for (name, fields, source) in segment::LAYOUTS {
        let docs = field_docs(source, &format!("pub struct {name} {{"));
        sections.insert((*name).to_owned(), layout(fields, &docs));
    }
    let docs = field_docs(KINDS_SOURCE, "pub struct Header {");
    sections.insert("Header".to_owned(), layout(Header::FIELDS, &docs));
    for (name, names) in [
        ("flags", flags::NAMES),
        ("hello_state", hello_state::NAMES),
        ("api_state", api_state::NAMES),
        ("library_features", library_features::NAMES),
    ] {
        sections.insert(name.to_owned(), bits(name, names));
    }
    sections.insert("Tier".to_owned(), codes(Tier::NAMES));
    sections.insert("OpenCall".to_owned(), codes(OpenCall::NAMES));
    sections.insert("ChangeCall".to_owned(), codes(ChangeCall::NAMES));
    sections.insert("Protocol".to_owned(), codes(Protocol::NAMES));
    sections.insert("Direction".to_owned(), codes(Direction::NAMES));
    sections.insert("SocketOwner".to_owned(), codes_explained("SocketOwner", SocketOwner::NAMES));
    sections.insert("ClockReason".to_owned(), codes(ClockReason::NAMES));
    sections.insert("SuppressionReason".to_owned(), codes(SuppressionReason::NAMES));
    sections.insert("LossCause".to_owned(), codes(LossCause::NAMES));
    sections.insert("ProbeState".to_owned(), codes(ProbeState::NAMES));
    sections.insert("ApiLevel".to_owned(), codes(ApiLevel::NAMES));
    sections.insert("ApiMeaning".to_owned(), codes(ApiMeaning::NAMES));
    sections.insert("Selected".to_owned(), items("pub struct Selected {"));
    for (marker, names) in
        [("Wanted", Wanted::NAMES), ("PrivacyMode", PrivacyMode::NAMES), ("ArgvMode", ArgvMode::NAMES)]
    {
        sections.insert(marker.to_owned(), codes_explained(marker, names));
    }
    sections.insert("kinds".to_owned(), kinds());
    sections
}

/// What the doc comments of codes.rs say of the numbers that it declares behind `marker`.
fn number_docs(marker: &str) -> BTreeMap<u32, String> {
    let (mut docs, mut doc) = (BTreeMap::new(), String::new());
    let start = CODES_SOURCE.find(marker).unwrap_or_else(|| panic!("{marker} is not declared"));
    for line in CODES_SOURCE[start..].lines().skip(1).map(str::trim).take_while(|line| *line != "}") {
        if let Some(text) = line.strip_prefix("///") {
            doc = format!("{doc} {}", text.trim());
        } else if let Some((number, _)) = line.split_once(" = ").and_then(|(_, value)| value.split_once(' ')) {
            docs.insert(number.parse().expect("a number"), plain(&std::mem::take(&mut doc)));
        }
    }
    docs
}

/// Bits that codes.rs declares as the module `name`.
fn bits(name: &str, names: &[(u16, &str)]) -> String {
    let docs = number_docs(&format!("pub mod {name},"));
    let rows = names.iter().map(|(bit, name)| {
        let number = bit.trailing_zeros();
        format!("| {number} | `{name}` | {} |\n", docs[&number])
    });
    "| bit | name | meaning |\n|---:|---|---|\n".to_owned() + &rows.collect::<String>()
}

#[test]
fn docs_format_md_says_what_the_code_does() {
    generated_docs::check(env!("CARGO_MANIFEST_DIR"), "format.md", sections());
}
