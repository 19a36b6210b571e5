//! crypto-trace-capture: attaches the BPF programs, drains their rings into blocks, and writes segments.
//!
//! Two threads: the drain thread (this program's main thread) copies records from the rings into blocks; the writer thread
//! compresses and writes them. Between them is a bounded queue. Everything that can be done later is left to the analyzer.

pub mod args;
pub mod child;
mod clock;
pub mod commands;
pub mod config;
pub mod exit;
#[doc(hidden)]
pub mod hot_loops;
mod libraries;
mod limits;
pub mod on_seal;
mod out;
mod proc;
pub mod say;
mod session;
pub mod units;
