//! Cuts members out of compact JSON that [`crate::event::EventWriter`] wrote.
//!
//! Names of members hold no escapes, there is no white space, and brackets match: what is read is our own. Were it not so, less
//! would be found, and nothing worse happens.

use crate::event::{Kept, Member, OfType};
use memchr::memchr2;

/// Names and values of an object, in order.
pub(super) fn members(object: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = object.get(1..).unwrap_or_default();
    std::iter::from_fn(move || {
        let at_name = rest.strip_prefix(b",").unwrap_or(rest);
        let (name, after) = at_name.split_at(value_len(at_name));
        let name = name.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let at_value = after.strip_prefix(b":")?;
        let (value, after) = at_value.split_at(value_len(at_value));
        rest = after;
        Some((name, value))
    })
}

/// Values of a list.
pub(super) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list.get(1..).unwrap_or_default();
    std::iter::from_fn(move || {
        let at_value = rest.strip_prefix(b",").unwrap_or(rest);
        let (value, after) = at_value.split_at(value_len(at_value));
        rest = after;
        (!value.is_empty()).then_some(value)
    })
}

/// How long the value is that `json` begins with; 0 where there is none.
fn value_len(json: &[u8]) -> usize {
    match json.first() {
        Some(b'"') => string_len(json),
        Some(b'{' | b'[') => {
            let (mut depth, mut at) = (0_usize, 0);
            while let Some(byte) = json.get(at) {
                match byte {
                    b'"' => {
                        at += string_len(json.get(at..).unwrap_or_default());
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return at;
                }
            }
            json.len()
        }
        _ => json.iter().position(|byte| matches!(byte, b',' | b'}' | b']')).unwrap_or(json.len()),
    }
}

/// How long the string is that `json` begins with, quotes included.
fn string_len(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(rest) = json.get(at..) {
        match memchr2(b'"', b'\\', rest) {
            Some(found) if rest.get(found) == Some(&b'"') => return at + found + 1,
            Some(found) => at += found + 2,
            None => break,
        }
    }
    json.len()
}

/// Finds members in the order in which they are declared, which is that in which they are written.
pub(super) struct Cursor<'a>(pub std::iter::Enumerate<std::slice::Iter<'a, Member>>);

impl<'a> Cursor<'a> {
    pub fn new(members: &'a [Member]) -> Self {
        Self(members.iter().enumerate())
    }

    /// The number of the member of this name, and what is kept of it.
    pub fn find(&mut self, name: &[u8]) -> Option<(usize, &'a Member)> {
        self.0.find(|(_, member)| member.name.as_bytes() == name)
    }
}

/// Appends what is kept of an event.
pub(super) fn event(json: &[u8], ty: &OfType, out: &mut Vec<u8>) {
    let mut cursor = Cursor::new(&ty.members);
    object(out, members(json), |name, value, out| {
        let Some((_, Member { kept: Some(kept), .. })) = cursor.find(name) else { return false };
        if name == b"escaped" {
            return escaped(value, ty, out);
        }
        start_member(name, out);
        copy(value, kept, out);
        true
    });
}

/// Appends `escaped`, without what is not shown; nothing where none is left.
fn escaped(value: &[u8], ty: &OfType, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    start_member(b"escaped", out);
    let any = escaped_list(value, ty, out);
    if !any {
        out.truncate(start);
    }
    any
}

/// Appends those names of `value` that are shown. Returns whether there are any.
pub(super) fn escaped_list(value: &[u8], ty: &OfType, out: &mut Vec<u8>) -> bool {
    let shown = elements(value).filter(|name| {
        let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
        !ty.leaves_out(name)
    });
    list(out, shown, |element, out| out.extend_from_slice(element)) > 0
}

/// Appends what is kept of a value.
pub(super) fn copy(value: &[u8], kept: &Kept, out: &mut Vec<u8>) {
    let Kept::Members(declared) = kept else { return out.extend_from_slice(value) };
    match value.first() {
        Some(b'{') => {
            let mut cursor = Cursor::new(declared);
            object(out, members(value), |name, value, out| {
                let Some((_, Member { kept: Some(kept), .. })) = cursor.find(name) else { return false };
                start_member(name, out);
                copy(value, kept, out);
                true
            });
        }
        Some(b'[') => {
            list(out, elements(value), |element, out| copy(element, kept, out));
        }
        _ => out.extend_from_slice(value),
    }
}

/// Appends the value at `path` within a value; of a list, that of each element, or `null`. Returns whether there is any.
pub(super) fn at(value: &[u8], path: &[&str], kept: &Kept, out: &mut Vec<u8>) -> bool {
    let Some((first, rest)) = path.split_first() else {
        copy(value, kept, out);
        return true;
    };
    match value.first() {
        Some(b'{') => {
            let found = members(value).find(|(name, _)| *name == first.as_bytes());
            found.is_some_and(|(_, value)| at(value, rest, kept, out))
        }
        Some(b'[') => {
            list(out, elements(value), |element, out| {
                if !at(element, path, kept, out) {
                    out.extend_from_slice(b"null");
                }
            });
            true
        }
        _ => false,
    }
}

fn start_member(name: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":");
}

/// Appends an object of those members that `write` appends, which says so.
fn object<'a>(
    out: &mut Vec<u8>,
    members: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    mut write: impl FnMut(&[u8], &[u8], &mut Vec<u8>) -> bool,
) {
    out.push(b'{');
    for (name, value) in members {
        if write(name, value, out) {
            out.push(b',');
        }
    }
    out.pop_if(|last| *last == b',');
    out.push(b'}');
}

/// Appends a list. Returns how many elements it has.
fn list<'a>(
    out: &mut Vec<u8>,
    elements: impl Iterator<Item = &'a [u8]>,
    mut write: impl FnMut(&'a [u8], &mut Vec<u8>),
) -> usize {
    let mut count = 0;
    out.push(b'[');
    for element in elements {
        if count > 0 {
            out.push(b',');
        }
        write(element, out);
        count += 1;
    }
    out.push(b']');
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn texts<'a>(values: impl Iterator<Item = &'a [u8]>) -> Vec<&'a str> {
        values.map(|value| std::str::from_utf8(value).expect("UTF-8")).collect()
    }

    #[test]
    fn values_end_where_they_end() {
        let json = br#"{"a":"x\"},\\","b":[1,{"c":"]"},[]],"d":null,"e":{},"f":-1.5}"#;
        let found: Vec<(&str, &str)> = texts(members(json).map(|(name, _)| name))
            .into_iter()
            .zip(texts(members(json).map(|(_, value)| value)))
            .collect();
        let expected = [("a", r#""x\"},\\""#), ("b", r#"[1,{"c":"]"},[]]"#), ("d", "null"), ("e", "{}"), ("f", "-1.5")];
        assert_eq!(found, expected);
        assert_eq!(texts(elements(br#"[1,{"c":"]"},[]]"#)), ["1", r#"{"c":"]"}"#, "[]"]);
        assert_eq!(members(b"{}").count() + elements(b"[]").count(), 0);
    }

    /// What is not JSON ends, and does no harm.
    #[test]
    fn broken_text_ends() {
        let json = br#"{"a":"x\"},\\","b":[1,{"c":"]"},[]],"d":nul"#;
        for len in 0..json.len() {
            let _ = (members(&json[..len]).count(), elements(&json[..len]).count());
        }
    }

    #[test]
    fn paths_lead_through_lists() {
        let value = br#"[{"a":{"b":1}},{"a":{}},{"a":{"b":[2]}}]"#;
        let mut out = Vec::new();
        assert!(at(value, &["a", "b"], &Kept::Whole, &mut out));
        assert_eq!(serde_json::from_slice::<Value>(&out).expect("JSON"), serde_json::json!([1, null, [2]]));
    }
}
