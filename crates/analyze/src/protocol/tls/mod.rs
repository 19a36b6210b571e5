//! What a TLS connection says of itself before it is encrypted: hellos, TLS 1.2 certificates and key exchange, alerts.
//!
//! Parses bytes that capture recorded, and that may be cut anywhere; what is there is read, and the cut is flagged.
//! Knows nothing of records, connections or processes. Never looks at application data, and keeps no random, key share,
//! ticket or binder.
//!
//! Own cursor, no parser crate: tls-parser 0.12 answers a hello that is cut short with Incomplete and nothing else,
//! while what is cut here must be read as far as it goes.

#![warn(clippy::indexing_slicing)]

mod alert;
mod certificate;
mod client_hello;
mod cursor;
mod extensions;
mod fingerprint;
mod handshake;
mod key_exchange;
mod server_hello;
mod sslv2;
mod stream;

pub use alert::{Alert, AlertLevel};
pub use certificate::{Certificate, CertificateChain};
pub use client_hello::{ClientHello, HelloFormat};
pub use handshake::{KeyExchange, Negotiated, Resumption};
pub use key_exchange::ServerKeyExchange;
pub use server_hello::ServerHello;
pub use stream::{Chunk, Message, Stream, StreamEnd, find_hello};

/// Why bytes could not be read as a handshake message at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The message is of another type.
    #[error("handshake message of type {found}, not {expected}")]
    WrongType {
        /// What was asked for.
        expected: u8,
        /// What is there.
        found: u8,
    },
    /// Cut before anything of use.
    #[error("handshake message cut after {available_bytes} bytes")]
    TooShort {
        /// How much of it there is.
        available_bytes: usize,
    },
}
