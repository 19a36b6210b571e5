//! crypto-trace-capture: attaches the BPF programs, drains their rings into blocks, and writes segments.
//!
//! Two threads: the drain thread (this program's main thread) copies records from the rings into blocks; the writer thread
//! compresses and writes them. Between them is a bounded queue. Everything that can be done later is left to the analyzer.

mod allocator;
pub mod args;
pub mod cgroup;
mod check;
pub mod child;
mod clock;
pub mod config;
mod destination;
pub mod doctor;
mod drain;
pub mod exit;
mod filter;
mod host;
#[doc(hidden)]
pub mod hot_loops;
mod kernel_crypto;
mod libraries;
mod limits;
mod listeners;
mod maps;
pub mod monitor;
mod outcome;
mod output;
mod prepare;
mod privacy;
mod privileges;
mod proc_entry;
mod process_table;
mod random;
pub mod record;
mod renderer;
mod report;
pub mod say;
mod seccomp;
mod service;
mod signals;
pub mod snapshot;
mod stats;
mod stream;
mod tally;
pub mod units;
mod wait;
mod watched;
mod writer;
