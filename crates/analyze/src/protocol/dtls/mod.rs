//! What a DTLS connection says of itself before it is encrypted: the hellos, certificates and key exchanges of DTLS 1.0 and 1.2, the
//! hellos of DTLS 1.3, alerts.
//!
//! Works on datagrams, each a [`Chunk`](crate::protocol::Chunk). The messages are those of TLS, but for a cookie in the ClientHello
//! and the heads of fragments: once put together they are read as such. Records after the first epoch are encrypted.

#![warn(clippy::indexing_slicing)]

mod messages;
mod record;

use crate::protocol::Ends;
use crate::protocol::tls::{Transport, View};
use crypto_trace_format::wire::tls::{CLIENT_HELLO, HANDSHAKE};
use messages::Messages;

/// Reads what was seen of a connection at one of its ends.
pub fn read(ends: &Ends<'_>) -> View {
    let (sent, received) = (Messages::of(&ends.sent), Messages::of(&ends.received));
    let missing = sent.is_missing_one() || received.is_missing_one();
    let mut view = View::of(sent.stream(), received.stream(), ends);
    view.gap |= missing;
    view.transport = Transport::Dtls;
    view
}

/// The client's random, where a datagram begins with a ClientHello: its hellos of one handshake have the same (RFC 6347 section
/// 4.2.1, RFC 9147 section 5.3).
pub fn client_random(datagram: &[u8]) -> Option<&[u8]> {
    let first = record::records(datagram).next().filter(|record| record.epoch == 0 && record.content == HANDSHAKE)?;
    let fragment = record::fragments(first.payload).next()?;
    fragment.bytes.get(2..34).filter(|_| fragment.kind == CLIENT_HELLO && fragment.offset == 0)
}

#[cfg(test)]
mod tests;
