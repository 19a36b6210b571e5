//! Writing the members of one JSON object straight into bytes: compact, or with a line for each member.

use super::members::{Members, Number, Out, Value};
use crate::capture::clock::WallNs;
use crate::words::escape;
use crate::words::redact;
use crate::words::secrets;
use crate::words::timestamp::TimestampWriter;
use std::borrow::Cow;

/// Members whose text may need `\xHH` escapes, as bits of [`Object::escaped`].
pub const ESCAPABLE: [&str; 29] = [
    "process",
    "exe",
    "cmdline",
    "parent",
    "container",
    "file",
    "file_given",
    "directory",
    "library",
    "library_file",
    "argv",
    "cwd",
    "cgroup",
    "probe",
    "target",
    "message",
    "soname_version",
    "version",
    "function_name",
    "argument",
    "library_version",
    "family",
    "new_file",
    "new_file_given",
    "new_directory",
    "link_target",
    "library_name",
    "algorithm",
    "api_function",
];

/// How text is treated before it is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redact {
    /// An absolute path.
    Path,
    /// Text with paths in it.
    Text,
    /// Text that may hold secrets as well, such as `pin-value` in a PKCS#11 URI.
    Secret,
}

/// Spaces of each level of an indented object.
const INDENT: usize = 2;

/// Where the members of an event are in an array of indented events.
pub const EVENT_DEPTH: usize = 2;

/// A line break, and the indentation of any level that is met.
static NEW_LINE: [u8; 65] = {
    let mut line = [b' '; 65];
    line[0] = b'\n';
    line
};

/// Appends a line break and the indentation of a level.
#[inline]
pub fn new_line(depth: usize, out: &mut Vec<u8>) {
    match NEW_LINE.get(..=INDENT * depth) {
        Some(line) => out.extend_from_slice(line),
        None => {
            out.push(b'\n');
            out.resize(out.len() + INDENT * depth, b' ');
        }
    }
}

/// One object being written, `PRETTY` with a line for each member.
#[derive(Debug)]
pub struct Object<'a, const PRETTY: bool = false> {
    /// Where it is written to.
    pub out: &'a mut Vec<u8>,
    /// Bit by [`ESCAPABLE`].
    pub escaped: u32,
    /// Whether home directories are hidden.
    pub redact: bool,
    /// Reused for redacted text.
    pub scratch: &'a mut Vec<u8>,
    /// How deep its members are; of compact ones it means nothing.
    pub depth: usize,
}

/// The bit of a member in [`Object::escaped`]. Of one that is not in [`ESCAPABLE`] nothing is compiled.
pub const fn escape_bit(name: &str) -> u32 {
    let mut bit = 0;
    while bit < ESCAPABLE.len() {
        if is_same(ESCAPABLE[bit].as_bytes(), name.as_bytes()) {
            return 1 << bit;
        }
        bit += 1;
    }
    panic!("the member's text may need escapes: it has to be in ESCAPABLE")
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

impl<const PRETTY: bool> Object<'_, PRETTY> {
    /// Appends bytes that are JSON already.
    #[inline]
    pub fn raw(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    /// Appends the name of a member; `key` is `,"name":`.
    #[inline(always)]
    pub fn key(&mut self, key: &'static str) {
        if !PRETTY {
            return self.raw(key.as_bytes());
        }
        self.out.push(b',');
        new_line(self.depth, self.out);
        self.raw(key.as_bytes().get(1..).unwrap_or_default());
        self.out.push(b' ');
    }

    /// Ends the object.
    #[inline]
    pub fn finish(&mut self) {
        if self.escaped != 0 {
            let escaped = self.escaped;
            self.key(",\"escaped\":");
            let names = ESCAPABLE.iter().enumerate().filter(|(bit, _)| escaped & (1 << bit) != 0);
            self.elements(names, |object, (_, name)| object.word(name));
        }
        self.close();
    }

    /// Ends an object whose members are where those of this one are.
    #[inline]
    fn close(&mut self) {
        if PRETTY {
            new_line(self.depth.saturating_sub(1), self.out);
        }
        self.out.push(b'}');
    }

    /// Appends a list.
    #[inline]
    pub fn elements<T>(&mut self, values: impl Iterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.out.push(b'[');
        self.depth += 1;
        let mut any = false;
        for value in values {
            if any {
                self.out.push(b',');
            }
            any = true;
            if PRETTY {
                new_line(self.depth, self.out);
            }
            write(self, value);
        }
        self.depth -= 1;
        if PRETTY && any {
            new_line(self.depth, self.out);
        }
        self.out.push(b']');
    }
}

/// Text of the traced host as it is shown: without home directories, and without secrets where there may be any.
pub fn redacted(text: &[u8], redact: Redact, out: &mut Vec<u8>) {
    match redact {
        Redact::Path => redact::path(text, out),
        Redact::Secret => redact::text(&secrets::mask_words(text), out),
        Redact::Text => redact::text(text, out),
    }
}

impl<const PRETTY: bool> Out for Object<'_, PRETTY> {
    /// In line, as all of this: what is made of a record to be written is never in memory then.
    #[inline(always)]
    fn member<T: Value>(&mut self, key: &'static str, bit: u32, value: &T) {
        if !value.is_left_out() {
            self.key(key);
            value.write(self, bit);
        }
    }

    #[inline(always)]
    fn null(&mut self) {
        self.raw(b"null");
    }

    #[inline(always)]
    fn boolean(&mut self, is: bool) {
        self.raw(if is { b"true" } else { b"false" });
    }

    #[inline]
    fn number(&mut self, number: impl Number) {
        self.raw(itoa::Buffer::new().format(number).as_bytes());
    }

    fn number_as(&mut self, _number: u64, text: std::fmt::Arguments<'_>) {
        use std::io::Write;
        self.out.push(b'"');
        // Writing to a Vec does not fail.
        let _ = self.out.write_fmt(text);
        self.out.push(b'"');
    }

    fn time(&mut self, time: WallNs) {
        self.made(|out| TimestampWriter::default().write(time, out));
    }

    #[inline]
    fn word(&mut self, text: &str) {
        self.out.push(b'"');
        self.raw(text.as_bytes());
        self.out.push(b'"');
    }

    #[inline(always)]
    fn made(&mut self, make: impl FnOnce(&mut Vec<u8>)) {
        self.out.push(b'"');
        make(self.out);
        self.out.push(b'"');
    }

    #[inline(always)]
    fn rendered(&mut self, json: &[u8], _shown: &[u8]) {
        self.raw(json);
    }

    fn safe(&mut self, text: &str) {
        self.out.push(b'"');
        escape::write_json(text.as_bytes(), self.out);
        self.out.push(b'"');
    }

    fn text(&mut self, bit: u32, text: &[u8], redact: Redact) {
        self.out.push(b'"');
        let escaped = if self.redact {
            self.scratch.clear();
            redacted(text, redact, self.scratch);
            escape::write_json(self.scratch, self.out)
        } else {
            escape::write_json(text, self.out)
        };
        self.out.push(b'"');
        if escaped {
            self.escaped |= bit;
        }
    }

    fn list<'v, T: Value + 'v>(&mut self, values: impl Iterator<Item = &'v T>, bit: u32) {
        self.elements(values, |object, value| value.write(object, bit));
    }

    fn texts<'v>(&mut self, texts: impl Iterator<Item = Cow<'v, [u8]>>, bit: u32, redact: Redact) {
        self.elements(texts, |object, text| object.text(bit, &text, redact));
    }

    fn nested<M: Members>(&mut self, members: &M) {
        const {
            assert!(
                !M::FIELDS.is_empty() && !M::FIELDS[0].is_optional,
                "the first member stands for the opening brace"
            );
        }
        let start = self.out.len();
        self.depth += 1;
        members.write_members(self);
        // Instead of the first comma.
        if let Some(first) = self.out.get_mut(start) {
            *first = b'{';
        }
        self.close();
        self.depth -= 1;
    }

    fn redacts(&self) -> bool {
        self.redact
    }
}
