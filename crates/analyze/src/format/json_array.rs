//! One JSON array, an event per line.

use super::{Event, EventFormat, EventWriter, Framed};
use crypto_trace_format::record::RecordError;

/// `--format json-array`.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonArray;

impl EventFormat for JsonArray {
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
        out.push(b'\n');
        writer.write(event, out).inspect_err(|_| out.truncate(start))
    }
}

impl Framed for JsonArray {
    fn frame(&self, object: &[u8], out: &mut Vec<u8>) {
        out.push(b'\n');
        out.extend_from_slice(object);
    }
}
