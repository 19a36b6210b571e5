//! What a TLS connection says of itself before it is encrypted: hellos, TLS 1.2 certificates and key exchange, alerts.
//!
//! Parses bytes that capture recorded, and that may be cut anywhere; what is there is read, and the cut is flagged.
//! Knows nothing of records, connections or processes. Never looks at application data, and keeps no random, key share,
//! ticket or binder.
//!
//! A cursor of our own (`crypto_trace_format::wire`), no parser crate: tls-parser 0.12 answers a hello that is cut short with Incomplete and nothing else,
//! while what is cut here must be read as far as it goes.

#![warn(clippy::indexing_slicing)]

mod alert;
mod certificate;
mod client_hello;
mod extensions;
mod fingerprint;
mod handshake;
mod key_exchange;
mod server_hello;
mod sslv2;
mod stream;
mod view;

pub use crate::protocol::Chunk;
pub use alert::{Alert, AlertLevel};
pub use certificate::{Certificate, CertificateChain};
pub use client_hello::{ClientHello, HelloFormat};
pub use crypto_trace_format::wire::cursor::ParseError;
pub use handshake::{KeyExchange, Negotiated, Resumption};
pub use key_exchange::ServerKeyExchange;
pub use server_hello::ServerHello;
pub use stream::{Message, Part, Stream, StreamEnd, find_hello};
pub use view::{Transport, View};
