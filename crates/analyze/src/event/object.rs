//! Writing the members of one JSON object straight into bytes.

use crate::capture::clock::WallNs;
use crate::words::escape;
use crate::words::redact;
use crate::words::secrets;
use crate::words::timestamp::TimestampWriter;

/// Members whose text may need `\xHH` escapes, as bits of [`Object::escaped`].
pub const ESCAPABLE: [&str; 26] = [
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

/// One object being written. Keys come with their punctuation, `,"pid":`, so that a member is two copies.
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

impl Object<'_> {
    /// Appends bytes that are JSON already.
    #[inline]
    pub fn raw(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    /// Appends a number.
    #[inline]
    pub fn number(&mut self, key: &[u8], number: impl itoa::Integer) {
        self.raw(key);
        self.raw(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Appends a number, or `null`.
    pub fn number_or_null(&mut self, key: &[u8], number: Option<impl itoa::Integer>) {
        match number {
            Some(number) => self.number(key, number),
            None => {
                self.raw(key);
                self.raw(b"null");
            }
        }
    }

    /// Appends text that is known to be plain ASCII.
    #[inline]
    pub fn plain(&mut self, key: &[u8], text: &str) {
        self.raw(key);
        self.out.push(b'"');
        self.raw(text.as_bytes());
        self.out.push(b'"');
    }

    /// Appends a number in another base as text.
    pub fn formatted(&mut self, key: &[u8], text: std::fmt::Arguments<'_>) {
        use std::io::Write;
        self.raw(key);
        self.out.push(b'"');
        // Writing to a Vec does not fail.
        let _ = self.out.write_fmt(text);
        self.out.push(b'"');
    }

    /// Appends `true`.
    pub fn yes(&mut self, key: &[u8]) {
        self.raw(key);
        self.raw(b"true");
    }

    /// Appends a time.
    pub fn time(&mut self, key: &[u8], time: WallNs) {
        self.raw(key);
        self.out.push(b'"');
        TimestampWriter::default().write(time, self.out);
        self.out.push(b'"');
    }

    /// Appends text of the traced host. `name` is its row of [`ESCAPABLE`].
    pub fn text(&mut self, key: &[u8], name: &str, text: &[u8], redact: Redact) {
        self.raw(key);
        self.value(name, text, redact);
    }

    /// Appends text of the traced host, or `null`.
    pub fn text_or_null(&mut self, key: &[u8], name: &str, text: Option<&[u8]>, redact: Redact) {
        self.raw(key);
        match text {
            Some(text) => self.value(name, text, redact),
            None => self.raw(b"null"),
        }
    }

    /// Appends one string value without a key.
    pub fn value(&mut self, name: &str, text: &[u8], redact: Redact) {
        self.out.push(b'"');
        let escaped = match redact {
            _ if !self.redact => escape::write_json(text, self.out),
            redact => {
                self.scratch.clear();
                match redact {
                    Redact::Path => redact::path(text, self.scratch),
                    Redact::Secret => redact::text(&secrets::mask_words(text), self.scratch),
                    Redact::Text => redact::text(text, self.scratch),
                }
                escape::write_json(self.scratch, self.out)
            }
        };
        self.out.push(b'"');
        self.mark(name, escaped);
    }

    /// Notes that a member needed escapes.
    pub fn mark(&mut self, name: &str, escaped: bool) {
        if escaped {
            let bit = ESCAPABLE.iter().position(|known| *known == name);
            debug_assert!(bit.is_some(), "{name} is not in ESCAPABLE");
            self.escaped |= bit.map_or(0, |bit| 1 << bit);
        }
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
