//! A file per command.

mod check;
pub mod doctor;
pub mod monitor;
pub mod record;
pub mod snapshot;
