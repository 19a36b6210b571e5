//! An event as it is shown: its members, and their JSON. `docs/events.md` tells its fields.
//!
//! A file for each type of event declares its members once ([`members`]) and says how they follow from the record; [`types`]
//! lists the types. From the declarations come what is written ([`EventWriter`]), the JSON Schema ([`mod@schema`]), the columns of
//! typed formats ([`mod@columns`]), and the tables of `docs/events.md`.

mod api_call;
mod cache;
mod cells;
mod certificate;
mod certificate_file;
mod choice;
mod clock;
mod columns;
#[cfg(test)]
mod events_doc;
mod file_change;
mod file_open;
#[cfg(test)]
#[path = "../../../format/src/generated_docs.rs"]
mod generated_docs;
mod head;
mod ike_handshake;
mod inventory;
mod json_rows;
mod lib_load;
mod library;
mod library_info;
mod loss;
mod members;
mod object;
mod probe_status;
mod process_exec;
mod process_exit;
mod process_fork;
mod process_info;
mod render;
mod repeated;
mod rows;
mod schema;
mod self_stats;
mod shape;
mod ssh_handshake;
mod suppressed;
mod tls_handshake;
mod types;
mod values;
mod wireguard_handshake;

pub use cells::Filled;
pub(crate) use certificate::CertificateFields;
pub use choice::{Choice, ChosenColumn, Kept, Member, OfType, Place};
pub use columns::{Column, ColumnType, columns};
pub use json_rows::JsonRows;
pub use members::{Field, Form, Type};
pub use object::{Redact, new_line};
pub use render::EventWriter;
pub use repeated::{Dictionary, Repeated, Run};
pub use rows::{RowWriter, Rows};
pub use schema::schema;
pub use shape::{Event, RenderOptions};
pub(crate) use ssh_handshake::{HostKeyFields, ssh_outcome};
#[cfg(test)]
pub(crate) use tls_handshake::handshake_json;
pub use types::{EVENT_TYPES, EventType, Who};
pub(crate) use values::cmdline;
