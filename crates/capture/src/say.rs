//! Everything the program says to people, on standard error. The only module that prints.
#![allow(clippy::print_stderr, reason = "this is the output module")]

/// Something went wrong.
pub fn error(message: &str) {
    eprintln!("crypto-trace-capture: error: {message}");
}

/// Something people should know although it goes on.
pub fn warning(message: &str) {
    eprintln!("WARNING: {message}");
}

/// Something asked for.
pub fn info(message: &str) {
    eprintln!("{message}");
}
