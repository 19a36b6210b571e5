//! A format of whole events, with those members alone that were chosen.

use super::{EventFormat, Framed, cut};
use crate::event::{Choice, Event, EventWriter};
use crypto_trace_format::record::RecordError;
use std::fmt;

/// `--fields` and `--without` of the formats that are JSON.
pub struct Chosen<'a> {
    /// What stands around and between events.
    pub format: &'a dyn Framed,
    /// What is shown of them.
    pub choice: &'a Choice,
}

impl fmt::Debug for Chosen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chosen").field("choice", &self.choice).finish_non_exhaustive()
    }
}

impl EventFormat for Chosen<'_> {
    fn begin(&self) -> Vec<u8> {
        self.format.begin()
    }

    fn separator(&self) -> &'static [u8] {
        self.format.separator()
    }

    fn end(&self, any: bool) -> &'static [u8] {
        self.format.end(any)
    }

    fn write(&self, writer: &mut EventWriter, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let mut whole = Vec::with_capacity(1_024);
        writer.write(event, &mut whole)?;
        let ty = self.choice.index_of(event.record.kind()).and_then(|index| self.choice.types().get(index));
        let Some(ty) = ty else {
            self.format.frame(&whole, out);
            return Ok(());
        };
        let mut chosen = Vec::with_capacity(whole.len());
        cut::event(&whole, ty, &mut chosen);
        self.format.frame(&chosen, out);
        Ok(())
    }
}
