//! Everything the program says to people, on standard error. The only module that prints.
//!
//! What is said may have names in it that others chose. Here, once for all, what a terminal or a reader of logs would take for something
//! else than text is escaped: a line is one message, and looks as it is.
#![allow(clippy::print_stderr, reason = "this is the output module")]

pub(crate) mod outcome;
pub(crate) mod report;

use std::borrow::Cow;

/// Something went wrong. It may have several lines: what libbpf said, the line of a configuration that is wrong.
pub fn error(message: &str) {
    eprintln!("crypto-trace-capture: error: {}", shown(message, true));
}

/// Something people should know although it goes on.
pub fn warning(message: &str) {
    eprintln!("WARNING: {}", shown(message, false));
}

/// Something asked for.
pub fn info(message: &str) {
    eprintln!("{}", shown(message, false));
}

/// What is no text: control characters (C0, DEL, C1), separators of lines, and what changes the direction of text (Unicode Standard
/// Annex 9).
fn is_no_text(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn shown(message: &str, has_lines: bool) -> Cow<'_, str> {
    let is_escaped = |character: char| is_no_text(character) && !(has_lines && character == '\n');
    if !message.contains(is_escaped) {
        return Cow::Borrowed(message);
    }
    let mut shown = String::with_capacity(message.len() + 16);
    for character in message.chars() {
        match character {
            '\n' | '\r' | '\t' if is_escaped(character) => shown.extend(character.escape_default()),
            _ if is_escaped(character) => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library's path set the title of the terminal, and made a line of its own that began with WARNING.
    #[test]
    fn names_that_others_chose_are_no_control_codes() {
        for (message, expected) in [
            ("library /lib/libssl.so.3: attached", "library /lib/libssl.so.3: attached"),
            ("/\u{1b}]0;x\u{7}\nWARNING: y", r"/\u{1b}]0;x\u{7}\nWARNING: y"),
            ("a\rb\tc\u{7f}d\u{9b}e", r"a\rb\tc\u{7f}d\u{9b}e"),
            ("a\u{202e}b\u{2066}c\u{200f}d\u{2028}e\u{61c}", r"a\u{202e}b\u{2066}c\u{200f}d\u{2028}e\u{61c}"),
            // Letters of any script are text, and so is a backslash.
            ("ключ \u{5d0} 鍵 \\n", "ключ \u{5d0} 鍵 \\n"),
        ] {
            assert_eq!(shown(message, false), expected);
        }
        assert_eq!(shown("libbpf said:\none\ntwo\u{1b}", true), "libbpf said:\none\ntwo\\u{1b}");
    }
}
