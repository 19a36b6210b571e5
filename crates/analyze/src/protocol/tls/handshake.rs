//! What the two sides of a connection agreed on.

use super::client_hello::ClientHello;
use super::server_hello::ServerHello;
use super::stream::{Message, Stream};
use crate::protocol::iana::{CipherSuite, Group, Version};

/// Whether an earlier session went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resumption {
    /// A full handshake.
    No,
    /// TLS ≤ 1.2, by the session id.
    SessionId,
    /// TLS ≤ 1.2, by a ticket.
    Ticket,
    /// TLS 1.3, by a pre-shared key: of an earlier session, or agreed on otherwise. The wire does not show which.
    Psk,
}

/// What the key exchange ran in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyExchange {
    /// A named group.
    Group(Group),
    /// TLS ≤ 1.2: finite-field Diffie-Hellman with parameters of the server, by the size of its prime.
    FiniteField {
        /// Bits of the prime.
        prime_bits: usize,
    },
}

/// What the two sides agreed on, as far as their hellos show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The version.
    pub version: Option<Version>,
    /// The cipher suite.
    pub cipher_suite: Option<CipherSuite>,
    /// What the key exchange ran in. None: there was none (resumption in TLS 1.2, PSK alone), it was RSA key transport, or it was not seen.
    pub key_exchange: Option<KeyExchange>,
    /// ALPN, where the server answers in the clear (TLS ≤ 1.2).
    pub alpn: Option<Box<[u8]>>,
    /// Whether an earlier session went on. None where the hellos were not seen whole.
    pub resumption: Option<Resumption>,
    /// Whether the server asked for a second hello.
    pub retried: bool,
}

impl Negotiated {
    /// What was agreed on; None without a ServerHello. The client's side may be missing.
    pub fn new(client: Option<&Stream>, server: &Stream) -> Option<Self> {
        let chosen = server.server_hello()?;
        let retried = server.retry_request().is_some();
        let first = client.and_then(Stream::client_hello);
        let offered = client.and_then(Stream::second_client_hello).filter(|_| retried).or(first);
        Some(Self {
            version: chosen.version(),
            cipher_suite: chosen.cipher_suite,
            key_exchange: key_exchange(chosen, server),
            alpn: chosen.alpn.clone(),
            resumption: resumption(offered, chosen, server),
            retried,
        })
    }
}

fn key_exchange(chosen: &ServerHello, server: &Stream) -> Option<KeyExchange> {
    if let Some(group) = chosen.group {
        return Some(KeyExchange::Group(group));
    }
    let exchange = server.key_exchange()?;
    let finite_field = || Some(KeyExchange::FiniteField { prime_bits: exchange.prime_bits? });
    exchange.group.map(KeyExchange::Group).or_else(finite_field)
}

fn resumption(offered: Option<&ClientHello>, chosen: &ServerHello, server: &Stream) -> Option<Resumption> {
    if chosen.pre_shared_key.is_some() {
        return Some(Resumption::Psk);
    }
    let full_tls13 = chosen.version().is_some_and(Version::is_tls13) && !chosen.truncated;
    if full_tls13 || server.certificates().is_some() {
        return Some(Resumption::No);
    }
    // What was cut away might have told otherwise.
    let offered = offered.filter(|offered| !offered.truncated && !chosen.truncated)?;
    // RFC 5246, section 7.4.1.3: the server answers with the client's id to resume; RFC 5077, section 3.4: also when it is a
    // ticket that it resumes by, for which the client makes an id up.
    let echoed = !offered.session_id.is_empty() && offered.session_id == chosen.session_id;
    let ticket = offered.session_ticket_bytes.is_some_and(|bytes| bytes > 0);
    // A server may also take a ticket that came without an id; then it goes to ChangeCipherSpec at once.
    let at_once = server.messages.iter().skip_while(|message| !matches!(message, Message::ServerHello(_))).nth(1);
    let abbreviated = matches!(at_once, Some(Message::ChangeCipherSpec | Message::NewSessionTicket));
    Some(match (echoed, ticket) {
        (_, true) if echoed || abbreviated => Resumption::Ticket,
        (true, _) => Resumption::SessionId,
        _ => Resumption::No,
    })
}
