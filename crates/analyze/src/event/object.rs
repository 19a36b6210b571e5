//! Writing the members of one JSON object straight into bytes.

use crate::words::escape;
use crate::words::redact;
use crate::words::secrets;

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

    /// Appends a number.
    #[inline]
    pub fn number(&mut self, number: impl itoa::Integer) {
        self.raw(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Appends a string that is known to be plain ASCII.
    #[inline]
    pub fn word(&mut self, text: &str) {
        self.out.push(b'"');
        self.raw(text.as_bytes());
        self.out.push(b'"');
    }

    /// Appends formatted text that is known to be plain ASCII, without quotes.
    pub fn format(&mut self, text: std::fmt::Arguments<'_>) {
        use std::io::Write;
        // Writing to a Vec does not fail.
        let _ = self.out.write_fmt(text);
    }

    /// Appends the inside of a string that is shown as it is.
    pub fn safe(&mut self, text: &str) {
        escape::write_json(text.as_bytes(), self.out);
    }

    /// Appends text of the traced host as a string. `bit` is its member's, see [`escape_bit`].
    pub fn text(&mut self, bit: u32, text: &[u8], redact: Redact) {
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
        if escaped {
            self.escaped |= bit;
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
