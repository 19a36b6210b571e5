//! What the bytes of a protocol say. No capture, no JSON, no input or output.

pub mod iana;
pub mod tls;
