//! What the recorder and the analyzer both know of bytes on the wire: fields that may be cut short, and how TLS and SSH are framed.
//!
//! Pure: no capture, no output. The analyzer's `protocol/` says what the bytes mean; `--privacy` finds by this where the names are.

pub mod cursor;
pub mod ssh;
pub mod tls;
