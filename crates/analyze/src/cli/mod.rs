//! The command line: arguments, and what goes to standard error.

pub mod args;
pub mod console;
