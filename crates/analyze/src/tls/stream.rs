//! The first bytes of one direction of a connection: TLS records, and the handshake messages inside them.
//!
//! A message may span records and a record may hold several; the bytes may end anywhere. Reading stops where encryption
//! starts: nothing after it is looked at.

use super::alert::Alert;
use super::certificate::{self, CertificateChain};
use super::client_hello::{CLIENT_HELLO, ClientHello};
use super::cursor::HANDSHAKE_HEADER_LEN;
use super::key_exchange::{SERVER_KEY_EXCHANGE, ServerKeyExchange};
use super::server_hello::{SERVER_HELLO, ServerHello};
use super::sslv2;
use crate::registry::{CipherSuite, Version};

/// Length of the header of a record: type, version, length (RFC 8446, section 5.1).
const RECORD_HEADER_LEN: usize = 5;
/// Longest payload of a record: 2^14, and what TLS 1.2 allows encryption to add (RFC 5246, section 6.2.3).
const MAX_RECORD_LEN: usize = (1 << 14) + 2048;
/// More messages than a handshake has in one direction; past it, a stream is not read further.
const MAX_MESSAGES: usize = 64;

/// Something said in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// What the client offers. A second one answers a HelloRetryRequest.
    ClientHello(Box<ClientHello>),
    /// What the server chose.
    ServerHello(Box<ServerHello>),
    /// The server asks for another hello, with a key for another group.
    HelloRetryRequest(Box<ServerHello>),
    /// TLS ≤ 1.2: the certificates of the side that sends.
    Certificate(CertificateChain),
    /// TLS ≤ 1.2: the key exchange of the server.
    ServerKeyExchange(ServerKeyExchange),
    /// TLS ≤ 1.2: the server asks the client for a certificate.
    CertificateRequest,
    /// TLS ≤ 1.2: the server is going to send a session ticket that the client can resume with.
    NewSessionTicket,
    /// TLS ≤ 1.2: another handshake message, by type; its content is not looked at.
    Other(u8),
    /// From here on this side encrypts (TLS ≤ 1.2), or says so for old middleboxes (TLS 1.3).
    ChangeCipherSpec,
    /// An alert in the clear.
    Alert(Alert),
}

/// Why reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEnd {
    /// At the end of the bytes, which is the end of a record.
    Exhausted,
    /// At the end of the bytes, in the middle of a record or message.
    Cut,
    /// Where encryption starts.
    Encrypted,
    /// At bytes that are no TLS record.
    NotTls,
    /// At a record or message that cannot be.
    Malformed,
}

/// What one side of a connection said in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// In the order they were sent.
    pub messages: Vec<Message>,
    /// Why there are no more.
    pub end: StreamEnd,
}

impl Stream {
    /// Reads the bytes that one side sent first.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut assembler = Assembler::default();
        let end = assembler.read(bytes);
        Self { messages: assembler.messages, end }
    }

    /// The first ClientHello.
    pub fn client_hello(&self) -> Option<&ClientHello> {
        self.client_hellos().next()
    }

    /// The last ClientHello: the one the server answered, where it asked for a second.
    pub fn last_client_hello(&self) -> Option<&ClientHello> {
        self.client_hellos().last()
    }

    fn client_hellos(&self) -> impl Iterator<Item = &ClientHello> {
        self.messages
            .iter()
            .filter_map(|message| if let Message::ClientHello(hello) = message { Some(&**hello) } else { None })
    }

    /// The ServerHello.
    pub fn server_hello(&self) -> Option<&ServerHello> {
        self.messages
            .iter()
            .find_map(|message| if let Message::ServerHello(hello) = message { Some(&**hello) } else { None })
    }

    /// The HelloRetryRequest.
    pub fn retry_request(&self) -> Option<&ServerHello> {
        self.messages
            .iter()
            .find_map(|message| if let Message::HelloRetryRequest(hello) = message { Some(&**hello) } else { None })
    }

    /// The certificates (TLS ≤ 1.2).
    pub fn certificates(&self) -> Option<&CertificateChain> {
        self.messages
            .iter()
            .find_map(|message| if let Message::Certificate(chain) = message { Some(chain) } else { None })
    }

    /// The key exchange (TLS ≤ 1.2).
    pub fn key_exchange(&self) -> Option<&ServerKeyExchange> {
        self.messages
            .iter()
            .find_map(|message| if let Message::ServerKeyExchange(exchange) = message { Some(exchange) } else { None })
    }

    /// The first fatal alert.
    pub fn fatal_alert(&self) -> Option<Alert> {
        self.messages.iter().find_map(|message| match message {
            Message::Alert(alert) if alert.level == super::AlertLevel::Fatal => Some(*alert),
            _ => None,
        })
    }
}

/// Where in a stream that starts in the clear (STARTTLS) a TLS record with a hello begins.
pub fn find_hello(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find(|at| bytes.get(*at..).is_some_and(starts_with_hello))
}

/// Whether the bytes start with a record that starts with a hello: two headers whose types, versions and lengths agree.
fn starts_with_hello(bytes: &[u8]) -> bool {
    let [
        22,
        3,
        record_minor,
        record_high,
        record_low,
        CLIENT_HELLO | SERVER_HELLO,
        len_high,
        len_mid,
        len_low,
        3,
        minor,
        ..,
    ] = *bytes
    else {
        return false;
    };
    let record_len = usize::from(u16::from_be_bytes([record_high, record_low]));
    let message_len = u32::from_be_bytes([0, len_high, len_mid, len_low]);
    // A hello is at least version, random, session id, one suite, one compression method; and no longer than 2^17 or so.
    record_minor <= 4
        && minor <= 4
        && (6..=MAX_RECORD_LEN).contains(&record_len)
        && (38..=1 << 17).contains(&message_len)
}

#[derive(Default)]
struct Assembler {
    messages: Vec<Message>,
    /// Bytes of handshake records that are not a whole message yet.
    pending: Vec<u8>,
    /// Suite and version of the ServerHello: a key exchange cannot be read without.
    chosen: Option<(CipherSuite, Version)>,
}

impl Assembler {
    fn read(&mut self, bytes: &[u8]) -> StreamEnd {
        if let Some(hello) = sslv2::parse(bytes) {
            let end = if hello.truncated { StreamEnd::Cut } else { StreamEnd::Exhausted };
            self.messages.push(Message::ClientHello(Box::new(hello)));
            // What follows, if anything, is an answer to an answer of the server; no client that talks so is left.
            return end;
        }
        let mut rest = bytes;
        while self.messages.len() < MAX_MESSAGES {
            if rest.is_empty() {
                return self.at_end(StreamEnd::Exhausted);
            }
            let Some((header, after)) = rest.split_first_chunk::<RECORD_HEADER_LEN>() else {
                return self.at_end(StreamEnd::Cut);
            };
            let [kind, major, minor, len_high, len_low] = *header;
            let len = usize::from(u16::from_be_bytes([len_high, len_low]));
            if !(20..=24).contains(&kind) || major != 3 || minor > 4 || len > MAX_RECORD_LEN {
                return if rest.len() == bytes.len() { StreamEnd::NotTls } else { StreamEnd::Malformed };
            }
            let (payload, next) = after.split_at_checked(len).unwrap_or((after, &[]));
            if let Some(end) = self.record(kind, payload, len) {
                return end;
            }
            if payload.len() < len {
                return self.at_end(StreamEnd::Cut);
            }
            rest = next;
        }
        StreamEnd::Malformed
    }

    /// Reads the payload of one record, which may be cut: `len` is how long it is. Some where reading is to stop.
    fn record(&mut self, kind: u8, payload: &[u8], len: usize) -> Option<StreamEnd> {
        const CHANGE_CIPHER_SPEC: u8 = 20;
        const ALERT: u8 = 21;
        const HANDSHAKE: u8 = 22;
        match kind {
            CHANGE_CIPHER_SPEC => self.messages.push(Message::ChangeCipherSpec),
            ALERT if len != 2 => return Some(StreamEnd::Encrypted),
            ALERT => self.messages.extend(Alert::parse(payload).map(Message::Alert)),
            HANDSHAKE if self.is_encrypted(payload, len) => return Some(StreamEnd::Encrypted),
            HANDSHAKE => {
                self.pending.extend_from_slice(payload);
                self.take_messages();
            }
            // Application data, heartbeats.
            _ => return Some(StreamEnd::Encrypted),
        }
        None
    }

    /// Whether a handshake record is encrypted. After ChangeCipherSpec it is, but for the second hello of a TLS 1.3 client:
    /// that one comes after nothing but the first, and says in the clear what it is.
    fn is_encrypted(&self, payload: &[u8], len: usize) -> bool {
        if !self.pending.is_empty() || !self.messages.contains(&Message::ChangeCipherSpec) {
            return false;
        }
        if self.messages.last() != Some(&Message::ChangeCipherSpec) {
            return true;
        }
        let only_hellos =
            self.messages.iter().all(|message| matches!(message, Message::ClientHello(_) | Message::ChangeCipherSpec));
        let in_clear = match *payload {
            [CLIENT_HELLO, len_high, len_mid, len_low, 3, 3, ..] => {
                let message_len = usize::from(len_high) << 16 | usize::from(len_mid) << 8 | usize::from(len_low);
                message_len + HANDSHAKE_HEADER_LEN == len || len == 1 << 14
            }
            _ => false,
        };
        // A server's own hello follows its retry request after ChangeCipherSpec.
        let after_retry = matches!(self.messages.first(), Some(Message::HelloRetryRequest(_)))
            && matches!(*payload, [SERVER_HELLO, 0, _, _, 3, 3, ..]);
        !(only_hellos && in_clear || after_retry)
    }

    /// Takes the whole messages off the pending bytes.
    fn take_messages(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let mut rest = &*pending;
        while self.messages.len() < MAX_MESSAGES {
            let [_, len_high, len_mid, len_low, ..] = *rest else { break };
            let len = usize::from(len_high) << 16 | usize::from(len_mid) << 8 | usize::from(len_low);
            let Some((message, next)) = rest.split_at_checked(HANDSHAKE_HEADER_LEN + len) else { break };
            self.message(message);
            rest = next;
        }
        self.pending = rest.to_vec();
    }

    /// The end of the bytes: a message that is not whole is read as far as it goes.
    fn at_end(&mut self, end: StreamEnd) -> StreamEnd {
        if self.pending.is_empty() {
            return end;
        }
        let pending = std::mem::take(&mut self.pending);
        self.message(&pending);
        StreamEnd::Cut
    }

    fn message(&mut self, bytes: &[u8]) {
        const NEW_SESSION_TICKET: u8 = 4;
        const CERTIFICATE_REQUEST: u8 = 13;
        let Some(kind) = bytes.first().copied() else { return };
        let message = match kind {
            CLIENT_HELLO => ClientHello::parse(bytes).ok().map(|hello| Message::ClientHello(Box::new(hello))),
            SERVER_HELLO => ServerHello::parse(bytes).ok().map(|hello| self.server_hello(hello)),
            certificate::CERTIFICATE => CertificateChain::parse(bytes).ok().map(Message::Certificate),
            SERVER_KEY_EXCHANGE => {
                let (suite, version) = self.chosen.unwrap_or_default();
                ServerKeyExchange::parse(bytes, suite, version).ok().map(Message::ServerKeyExchange)
            }
            NEW_SESSION_TICKET => Some(Message::NewSessionTicket),
            CERTIFICATE_REQUEST => Some(Message::CertificateRequest),
            _ => Some(Message::Other(kind)),
        };
        self.messages.extend(message);
    }

    fn server_hello(&mut self, hello: ServerHello) -> Message {
        if hello.retry_request {
            return Message::HelloRetryRequest(Box::new(hello));
        }
        self.chosen = hello.cipher_suite.zip(hello.version());
        Message::ServerHello(Box::new(hello))
    }
}
