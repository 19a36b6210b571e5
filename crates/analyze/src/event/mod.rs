//! An event as it is shown: its members, as JSON. `docs/events.md` tells its fields.

mod change;
mod fields;
pub mod library;
mod object;
mod render;

pub(crate) use fields::cmdline;
pub use render::{Event, EventWriter, RenderOptions};
