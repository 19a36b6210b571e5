//! The file format of crypto-trace: records, segment files, and the catalog of what counts as crypto.
//!
//! This crate builds anywhere: it never loads eBPF, never touches /proc, and has no command line. Every byte it reads is
//! untrusted. The normative description of the bytes is `docs/format.md`.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

pub mod catalog;
pub mod privacy;
pub mod record;
pub mod segment;
pub mod wire;

#[cfg(test)]
mod format_doc;
#[cfg(test)]
mod generated_docs;
