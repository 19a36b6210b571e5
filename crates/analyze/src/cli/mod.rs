//! The command line: arguments, what goes to standard error, and how a run ends.

pub mod args;
pub mod console;
pub mod exit;
