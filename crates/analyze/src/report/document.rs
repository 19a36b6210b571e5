//! Reports as JSON by serde, with text of the traced host as safe and as exact as in events.

use crate::cli::Style;
use crate::event::cmdline;
use crate::words::escape;
use crate::words::redact;
use crate::words::secrets;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use std::cell::Cell;
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

    /// Text in which there may be paths, such as a name that a program gave itself.
    pub fn text(self, text: &[u8], name: &'static str, escaped: &mut Escaped) -> String {
        if !self.redact {
            return self.plain(text, name, escaped);
        }
        let mut out = Vec::with_capacity(text.len());
        redact::text(text, &mut out);
        self.plain(&out, name, escaped)
    }

    /// Text that is not redacted.
    fn plain(self, text: &[u8], name: &'static str, escaped: &mut Escaped) -> String {
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

/// Bytes that are written at a time.
pub(crate) const OUT_BYTES: usize = 64 << 10;

/// Rows that are made one by one as they are written, once: together they may be large.
pub struct Each<I>(Cell<Option<I>>);

impl<I> Each<I> {
    /// Writes what `rows` gives.
    pub fn new(rows: I) -> Self {
        Self(Cell::new(Some(rows)))
    }
}

impl<I: Iterator<Item: Serialize>> Serialize for Each<I> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.take().into_iter().flatten())
    }
}

/// Writes a line of JSON, and its end.
///
/// # Errors
/// When it cannot be written.
pub fn write_line(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    write_to(value, CompactFormatter, out)?;
    out.write_all(b"\n")
}

/// Writes a JSON array, an element a line.
///
/// # Errors
/// When it cannot be written.
pub fn write_array(rows: impl Iterator<Item: Serialize>, out: &mut impl Write) -> io::Result<()> {
    let mut any = false;
    for row in rows {
        out.write_all(if any { b",\n" } else { b"[\n" })?;
        write_to(&row, CompactFormatter, out)?;
        any = true;
    }
    out.write_all(if any { b"\n]\n" } else { b"[]\n" })
}

/// Writes indented JSON, and the end of its line.
///
/// # Errors
/// When it cannot be written.
pub fn write_pretty(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    write_to(value, PrettyFormatter::new(), out)?;
    out.write_all(b"\n")
}

/// Writes documents in JSON as it was asked for: one of them, or all. Each is made when it is written.
pub(crate) fn write_documents<T: Serialize>(
    mut documents: impl Iterator<Item = T>,
    style: Style,
    out: &mut impl Write,
) -> io::Result<()> {
    match style {
        Style::JsonPretty => match (documents.next(), documents.next()) {
            (Some(one), None) => write_pretty(&one, out)?,
            (first, second) => {
                let all = first.into_iter().chain(second).chain(documents);
                write_pretty(&Each::new(all), out)?;
            }
        },
        Style::JsonArray => write_array(documents, out)?,
        Style::JsonStream | Style::Text => {
            for document in documents {
                write_line(&document, out)?;
            }
        }
    }
    Ok(())
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
    write_to(value, formatter, &mut out).map_err(serde_json::Error::io)?;
    String::from_utf8(out).map_err(serde::ser::Error::custom)
}

fn write_to(value: &impl Serialize, formatter: impl Formatter, out: &mut impl Write) -> io::Result<()> {
    Ok(value.serialize(&mut Serializer::with_formatter(out, Safe(formatter)))?)
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
