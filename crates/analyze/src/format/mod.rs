//! How events leave: one trait for formats, one file per format, and the order in which they are written.
//!
//! Every format shows the same JSON object per event ([`EventWriter`]). A format only decides what stands around and between
//! the objects; [`Chosen`] leaves members out of them, and [`Csv`] makes rows of them.

mod chosen;
mod csv;
mod cut;
mod ecs;
mod json_array;
mod json_pretty;
mod json_stream;
mod ocsf;
mod ocsf_columns;
mod told;

#[cfg(test)]
mod tests;

pub use chosen::Chosen;
pub use csv::Csv;
pub use ecs::Ecs;
pub use json_array::JsonArray;
pub use json_pretty::JsonPretty;
pub use json_stream::JsonStream;
pub use ocsf::{KINDS as OCSF_KINDS, Ocsf, VERSION as OCSF_VERSION};
pub use ocsf_columns::{OcsfClass, classes as ocsf_classes};
pub(crate) use told::object as object_of;

use crate::event::{Event, EventWriter};
use crypto_trace_format::record::RecordError;

/// An output format for single events. Stateless, so that many threads may write parts of one output.
pub trait EventFormat: Sync {
    /// What opens the output.
    fn begin(&self) -> Vec<u8> {
        Vec::new()
    }

    /// What stands between two events.
    fn separator(&self) -> &'static [u8] {
        b""
    }

    /// What ends the output; `any` tells whether there was an event.
    fn end(&self, any: bool) -> &'static [u8] {
        let _ = any;
        b""
    }

    /// Appends one event.
    ///
    /// # Errors
    /// When the record's body is malformed; then nothing is appended.
    fn write(&self, writer: &mut EventWriter, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), RecordError>;
}

/// A format whose events are JSON objects with something around them.
pub trait Framed: EventFormat {
    /// Appends an event that is JSON already.
    fn frame(&self, object: &[u8], out: &mut Vec<u8>);
}
