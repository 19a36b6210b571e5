//! One JSON object per line.

use super::{Event, EventFormat, EventWriter, Framed};
use crypto_trace_format::record::RecordError;

/// `--format json-stream`.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonStream;

impl EventFormat for JsonStream {
    fn write(&self, writer: &mut EventWriter, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
        writer.write(event, out)?;
        out.push(b'\n');
        Ok(())
    }
}

impl Framed for JsonStream {
    fn frame(&self, object: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(object);
        out.push(b'\n');
    }
}
