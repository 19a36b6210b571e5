//! Reports as JSON by serde, with text of the traced host as safe and as exact as in events.

use super::cmdline;
use crate::{escape, redact, secrets};
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use std::io::{self, Write};

/// Names of members whose text holds `\xHH` escapes.
pub type Escaped = Vec<&'static str>;

/// How text of the traced host is shown.
#[derive(Debug, Clone, Copy)]
pub struct Reveal {
    /// Hide the names of home directories, and secrets.
    pub redact: bool,
}

impl Reveal {
    /// An absolute path, shown as member `name`.
    pub fn path(self, path: &[u8], name: &'static str, escaped: &mut Escaped) -> String {
        if !self.redact {
            return self.plain(path, name, escaped);
        }
        let mut out = Vec::with_capacity(path.len());
        redact::path(path, &mut out);
        self.plain(&out, name, escaped)
    }

    /// Text that is not redacted.
    pub fn plain(self, text: &[u8], name: &'static str, escaped: &mut Escaped) -> String {
        let (text, is_escaped) = escape::reversible(text);
        if is_escaped && !escaped.contains(&name) {
            escaped.push(name);
        }
        text
    }

    /// Arguments joined by spaces, as events show them.
    pub fn cmdline(self, argv: &[u8], name: &'static str, escaped: &mut Escaped) -> String {
        if !self.redact {
            return self.plain(&cmdline(argv), name, escaped);
        }
        let mut out = Vec::new();
        redact::text(&cmdline(&secrets::mask(argv)), &mut out);
        self.plain(&out, name, escaped)
    }
}

/// One line of JSON, without its end.
pub fn line(value: &impl Serialize) -> serde_json::Result<String> {
    write(value, CompactFormatter)
}

/// Indented JSON, without its end.
pub fn pretty(value: &impl Serialize) -> serde_json::Result<String> {
    write(value, PrettyFormatter::new())
}

fn write(value: &impl Serialize, formatter: impl Formatter) -> serde_json::Result<String> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, Safe(formatter)))?;
    String::from_utf8(out).map_err(serde::ser::Error::custom)
}

/// A formatter that lets no character through that could change what a terminal shows.
struct Safe<F>(F);

/// Passes methods on.
macro_rules! pass_on {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        $(fn $name<W: ?Sized + Write>(&mut self, writer: &mut W, $($arg: $type),*) -> io::Result<()> {
            self.0.$name(writer, $($arg),*)
        })*
    };
}

impl<F: Formatter> Formatter for Safe<F> {
    pass_on! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut out = Vec::with_capacity(fragment.len());
        // What JSON itself must escape is in no fragment, so nothing is escaped twice.
        escape::write_json(fragment.as_bytes(), &mut out);
        writer.write_all(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_characters_are_escaped_and_parse_back() {
        let text = "a\"\\\n\u{1b}[31m\u{202e}é\u{7f}";
        for json in [line(&[text]), pretty(&[text])] {
            let json = json.expect("valid");
            assert!(!json.contains(['\u{1b}', '\u{202e}', '\u{7f}']), "{json}");
            let back: Vec<String> = serde_json::from_str(&json).expect("valid");
            assert_eq!(back, [text]);
        }
    }

    #[test]
    fn text_is_redacted_first_and_then_made_reversible() {
        let mut escaped = Escaped::new();
        let reveal = Reveal { redact: true };
        assert_eq!(reveal.path(b"/home/alice/\xff.pem", "path", &mut escaped), r"/home/USER/\xff.pem");
        assert_eq!(
            reveal.cmdline(b"x\0--password=a\0/home/bob/k\0", "cmdline", &mut escaped),
            "x --password=*** /home/USER/k"
        );
        assert_eq!(escaped, ["path"]);
        assert_eq!(Reveal { redact: false }.path(b"/home/alice/a", "path", &mut escaped), "/home/alice/a");
    }
}
