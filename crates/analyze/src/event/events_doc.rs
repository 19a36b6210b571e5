//! Holds `docs/events.md` and the code together: its tables of members are made from what is declared.
//!
//! `UPDATE=1 cargo test -p crypto-trace-analyze events_doc` writes the tables anew. The prose around them is written by hand.

use super::generated_docs;
use super::head::{HEAD, TAIL};
use super::members::{Field, Type};
use super::object::Redact;
use super::types::{EVENT_TYPES, process_fields};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What a member holds, in a word or two.
fn type_name(ty: &Type) -> String {
    match ty {
        Type::Bool => "boolean".to_owned(),
        Type::True => "`true`".to_owned(),
        Type::Unsigned { .. } => "integer".to_owned(),
        Type::Signed { .. } => "signed integer".to_owned(),
        Type::Time => "time".to_owned(),
        Type::Text(_) | Type::CodePoint | Type::Named | Type::Hex => "text".to_owned(),
        Type::Host(Redact::Path) => "path".to_owned(),
        Type::Host(Redact::Text) => "host text".to_owned(),
        Type::Host(Redact::Secret) => "masked text".to_owned(),
        Type::Word(_) => "word".to_owned(),
        Type::List { of, .. } => format!("list of {}s", type_name(of)),
        Type::Struct(_) => "object".to_owned(),
    }
}

fn table<'a>(fields: impl Iterator<Item = &'a Field>) -> String {
    let mut out = "| field | type | meaning | source |\n|---|---|---|---|\n".to_owned();
    for field in fields {
        let mut ty = type_name(&field.ty);
        for (holds, more) in [(!field.unit.is_empty(), field.unit), (field.is_nullable, "or `null`")] {
            ty += &if holds { format!(", {more}") } else { String::new() };
        }
        ty += if field.is_optional { ", or left out" } else { "" };
        let meaning = field.meaning.trim().replace('|', "\\|");
        let _ = writeln!(out, "| `{}` | {ty} | {meaning} | {} |", field.name, field.source);
    }
    out
}

/// A table, and one for each member that has members, with the names of those.
fn tables(fields: Vec<&'static Field>) -> String {
    let mut out = table(fields.iter().copied());
    let mut nested: Vec<(&'static [Field], Vec<String>)> = Vec::new();
    for field in fields {
        nest(field.name.to_owned(), &field.ty, &mut nested);
    }
    for (members, names) in nested {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let _ = write!(out, "\nMembers of {}:\n\n{}", names.join(" and of "), table(members.iter()));
    }
    out
}

fn nest(name: String, ty: &Type, nested: &mut Vec<(&'static [Field], Vec<String>)>) {
    match ty {
        Type::List { of, .. } => nest(name, of, nested),
        Type::Struct(members) => match nested.iter_mut().find(|(known, _)| std::ptr::eq(*known, *members)) {
            Some((_, names)) => names.push(name),
            None => {
                nested.push((members, vec![name.clone()]));
                members.iter().for_each(|member| nest(format!("{name}.{}", member.name), &member.ty, nested));
            }
        },
        _ => {}
    }
}

/// Every generated section by name.
fn sections() -> BTreeMap<String, String> {
    let mut sections: BTreeMap<String, String> =
        EVENT_TYPES.iter().map(|ty| (ty.name.to_owned(), tables(ty.members().collect()))).collect();
    sections.insert("every event".to_owned(), tables(HEAD.iter().chain(TAIL).collect()));
    sections.insert("every process".to_owned(), tables(process_fields().collect()));
    sections
}

#[test]
fn docs_events_md_says_what_is_declared() {
    generated_docs::check(env!("CARGO_MANIFEST_DIR"), "events.md", sections());
}
