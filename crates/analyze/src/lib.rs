//! Reads crypto-trace segments and says what is in them. No privileges, no eBPF, no /proc: any machine will do.
//!
//! Every byte it reads is untrusted. See `docs/events.md` for what is shown.
//!
//! The rooms, from the ground up; each uses those before it only. `docs/architecture.md` says what belongs where.

pub mod words;

pub(crate) mod budget;

pub mod protocol;

pub mod stacks;

pub mod rules;

pub mod capture;

pub mod select;

pub mod cli;

pub mod event;

pub mod format;

pub mod read;

pub mod tables;

pub mod count;

pub(crate) mod report;

pub mod commands;
