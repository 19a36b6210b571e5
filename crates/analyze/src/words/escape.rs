//! Bytes from a traced host, made safe to show.
//!
//! File names, arguments and comms are bytes that an attacker may choose. In output they are text:
//!
//! - Valid UTF-8 is shown as it is. In JSON, control characters (C0, DEL, C1), bidirectional controls and line separators
//!   are written as `\uXXXX`, so that nothing raw reaches a terminal and every JSON parser gives the exact text back.
//! - Bytes that are not valid UTF-8 are shown as `\xHH`, and within such a string (only there) a backslash is doubled. The
//!   writer says so by returning `true`; events then name the field in `escaped`. [`unescape`] turns it back.

/// Appends `bytes` as the inside of a JSON string. Returns whether `\xHH` escapes were needed, see the module.
#[inline]
pub fn write_json(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
        return false;
    }
    write_json_slow(bytes, out)
}

/// Printable ASCII without quote and backslash.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    let mut special = false;
    for byte in bytes {
        special |= !(b' '..=b'~').contains(byte) | (*byte == b'"') | (*byte == b'\\');
    }
    !special
}

#[cold]
fn write_json_slow(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    if let Ok(text) = std::str::from_utf8(bytes) {
        text.chars().for_each(|c| write_json_char(c, out));
        return false;
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                out.extend_from_slice(br"\\");
            }
            write_json_char(c, out);
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(format!(r"\\x{byte:02x}").as_bytes());
        }
    }
    true
}

fn write_json_char(c: char, out: &mut Vec<u8>) {
    match c {
        '"' => out.extend_from_slice(br#"\""#),
        '\\' => out.extend_from_slice(br"\\"),
        '\n' => out.extend_from_slice(br"\n"),
        '\r' => out.extend_from_slice(br"\r"),
        '\t' => out.extend_from_slice(br"\t"),
        c if is_unsafe(c) => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Characters that could change what a terminal or an editor shows of the rest: all of them are in the basic plane.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Text for people: unsafe characters as `\u{HH}`, other bytes as `\xHH`.
pub fn for_people(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if is_unsafe(c) => out.extend(c.escape_unicode()),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Text that can be turned back, and whether it holds `\xHH` escapes. What is unsafe to show is left to [`write_json`].
pub fn reversible(bytes: &[u8]) -> (String, bool) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.to_owned(), false);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        out.push_str(&chunk.valid().replace('\\', r"\\"));
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    (out, true)
}

/// The bytes that a string named in `escaped` stands for.
pub fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = bytes.get(at + 2..at + 4).and_then(|hex| std::str::from_utf8(hex).ok());
        match (byte, bytes.get(at + 1), hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'\\', Some(b'x'), Some(value)) => {
                out.push(value);
                at += 4;
            }
            (b'\\', Some(b'\\'), _) => {
                out.push(b'\\');
                at += 2;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(bytes: &[u8]) -> (String, bool) {
        let mut out = vec![b'"'];
        let escaped = write_json(bytes, &mut out);
        out.push(b'"');
        (String::from_utf8(out).expect("JSON is UTF-8"), escaped)
    }

    #[test]
    fn what_is_written() {
        let check = |bytes: &[u8], expected: &str, escaped: bool| {
            assert_eq!(json(bytes), (expected.to_owned(), escaped), "{bytes:?}");
        };
        check(b"", r#""""#, false);
        check(b"/etc/ssl/a.pem", r#""/etc/ssl/a.pem""#, false);
        check(b"a\"b\\c", r#""a\"b\\c""#, false);
        check(b"a\nb\x1b[31m\x7f", r#""a\nb\u001b[31m\u007f""#, false);
        check("ü\u{9b}\u{202e}".as_bytes(), r#""ü\u009b\u202e""#, false);
        check(b"a\xffb", r#""a\\xffb""#, true);
        check(br"\xff", r#""\\xff""#, false);
        check(b"\\xff\xff", r#""\\\\xff\\xff""#, true);
    }

    proptest! {
        #[test]
        fn every_byte_string_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let (text, escaped) = reversible(&bytes);
            prop_assert_eq!(if escaped { unescape(&text) } else { text.into_bytes() }, bytes.clone());
            let (text, escaped) = json(&bytes);
            prop_assert!(text.chars().all(|c| !is_unsafe(c)));
            let parsed: String = serde_json::from_str(&text).expect("valid JSON");
            let back = if escaped { unescape(&parsed) } else { parsed.into_bytes() };
            prop_assert_eq!(back, bytes.clone());
            prop_assert!(for_people(&bytes).chars().all(|c| !is_unsafe(c)));
        }

        #[test]
        fn backslashes_and_broken_utf8_come_back(bytes in proptest::collection::vec(prop_oneof![Just(b'\\'), Just(b'x'), Just(b'f'), Just(0xffu8)], 0..12)) {
            let (text, escaped) = json(&bytes);
            let parsed: String = serde_json::from_str(&text).expect("valid JSON");
            let back = if escaped { unescape(&parsed) } else { parsed.into_bytes() };
            prop_assert_eq!(back, bytes);
        }
    }
}
