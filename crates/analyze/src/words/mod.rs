//! Text for people: tables, times, escaping and redaction, and the kernel's names of numbers.

pub mod escape;
pub mod kernel;
pub mod redact;
pub mod secrets;
pub mod table;
pub mod text;
pub mod timestamp;
