//! Reads crypto-trace segments and says what is in them. No privileges, no eBPF, no /proc: any machine will do.
//!
//! Every byte it reads is untrusted. See `docs/events.md` for what is shown.

pub mod api;
pub mod args;
pub mod budget;
pub mod capture;
pub mod catalog;
pub mod clock;
pub mod commands;
pub mod completeness;
pub mod console;
pub mod escape;
pub mod faults;
pub mod filter;
mod follow;
pub mod handshakes;
pub mod input;
pub mod inventory;
pub mod library;
pub mod names;
pub mod nearest;
pub mod pipeline;
pub mod progress;
pub mod redact;
pub mod registry;
pub mod render;
pub mod rows;
pub mod secrets;
pub mod summary;
pub mod survey;
pub mod table;
pub mod text;
pub mod time_spec;
pub mod timeline;
pub mod timestamp;
pub mod tls;
