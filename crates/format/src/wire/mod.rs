//! What the recorder and the analyzer both know of bytes on the wire: fields that may be cut short, and how TLS, SSH, QUIC, DTLS
//! and IKE are framed.
//!
//! Pure: no capture, no output. The analyzer's `protocol/` says what the bytes mean; `--privacy` finds by this where the names are.

pub mod cursor;
pub mod dtls;
pub mod ike;
pub mod quic;
pub mod ssh;
pub mod tls;
