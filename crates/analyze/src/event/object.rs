//! Writing the members of one JSON object straight into bytes.

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

/// One object being written.
#[derive(Debug)]
pub struct Object<'a> {
    /// Where it is written to.
    pub out: &'a mut Vec<u8>,
    /// Bit by [`ESCAPABLE`].
    pub escaped: u32,
    /// Whether home directories are hidden.
    pub redact: bool,
    /// Reused for redacted text.
    pub scratch: &'a mut Vec<u8>,
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

impl Object<'_> {
    /// Appends bytes that are JSON already.
    #[inline]
    pub fn raw(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    /// Ends the object.
    #[inline]
    pub fn finish(&mut self) {
        if self.escaped != 0 {
            let names = ESCAPABLE.iter().enumerate().filter(|(bit, _)| self.escaped & (1 << bit) != 0);
            self.out.extend_from_slice(b",\"escaped\":[");
            for (index, (_, name)) in names.enumerate() {
                self.out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b'"');
            }
            self.out.push(b']');
        }
        self.out.push(b'}');
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

impl Out for Object<'_> {
    /// In line, as all of this: what is made of a record to be written is never in memory then.
    #[inline(always)]
    fn member<T: Value>(&mut self, key: &'static str, bit: u32, value: &T) {
        if !value.is_left_out() {
            self.raw(key.as_bytes());
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
        self.out.push(b'[');
        for (index, value) in values.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            value.write(self, bit);
        }
        self.out.push(b']');
    }

    fn texts<'v>(&mut self, texts: impl Iterator<Item = Cow<'v, [u8]>>, bit: u32, redact: Redact) {
        self.out.push(b'[');
        for (index, text) in texts.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.text(bit, &text, redact);
        }
        self.out.push(b']');
    }

    fn nested<M: Members>(&mut self, members: &M) {
        const {
            assert!(
                !M::FIELDS.is_empty() && !M::FIELDS[0].is_optional,
                "the first member stands for the opening brace"
            );
        }
        let start = self.out.len();
        members.write_members(self);
        // Instead of the first comma.
        if let Some(first) = self.out.get_mut(start) {
            *first = b'{';
        }
        self.out.push(b'}');
    }

    fn redacts(&self) -> bool {
        self.redact
    }
}
