//! One JSON array of indented objects, for eyes.

use super::{Event, EventFormat, EventWriter, Framed};
use crate::event::new_line;
use crypto_trace_format::record::RecordError;

/// `--format json-pretty`.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonPretty;

impl EventFormat for JsonPretty {
    fn begin(&self) -> Vec<u8> {
        b"[".to_vec()
    }

    fn separator(&self) -> &'static [u8] {
        b","
    }

    fn end(&self, any: bool) -> &'static [u8] {
        if any { b"\n]\n" } else { b"]\n" }
    }

    fn write(&self, writer: &mut EventWriter, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let start = out.len();
        new_line(1, out);
        writer.write_pretty(event, out).inspect_err(|_| out.truncate(start))
    }
}

impl Framed for JsonPretty {
    fn frame(&self, object: &[u8], out: &mut Vec<u8>) {
        new_line(1, out);
        indent(object, 1, out);
    }
}

/// Appends compact JSON with a member or element per line.
fn indent(compact: &[u8], mut depth: usize, out: &mut Vec<u8>) {
    let (mut in_string, mut after_backslash) = (false, false);
    let mut bytes = compact.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if in_string {
            out.push(byte);
            in_string = byte != b'"' || after_backslash;
            after_backslash = byte == b'\\' && !after_backslash;
            continue;
        }
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                if let Some(close) = bytes.next_if(|next| matches!(next, b'}' | b']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(depth, out);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                new_line(depth, out);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(depth, out);
            }
            b':' => out.extend_from_slice(b": "),
            _ => {
                in_string = byte == b'"';
                out.push(byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indents_as_serde_json_does() {
        for compact in [r#"{"a":1,"b":[],"c":{},"d":["x,{\"\\",{"e":null}],"f":"\\\\\""}"#, r#"{}"#, r#"[1]"#] {
            let value: serde_json::Value = serde_json::from_str(compact).expect("valid");
            let mut out = Vec::new();
            indent(compact.as_bytes(), 0, &mut out);
            assert_eq!(String::from_utf8(out).expect("UTF-8"), serde_json::to_string_pretty(&value).expect("valid"));
        }
    }
}
