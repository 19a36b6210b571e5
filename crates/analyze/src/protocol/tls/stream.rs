//! The first bytes of one direction of a connection: TLS records, and the handshake messages inside them.
//!
//! A message may span records and a record may hold several; the bytes may end anywhere. Reading stops where encryption
//! starts: nothing after it is looked at.

use super::alert::{Alert, AlertLevel};
use super::certificate::{self, CertificateChain};
use super::client_hello::ClientHello;
use super::key_exchange::{SERVER_KEY_EXCHANGE, ServerKeyExchange};
use super::server_hello::ServerHello;
use super::sslv2;
use crate::protocol::Chunk;
use crate::protocol::iana::{CipherSuite, Version};
use crypto_trace_format::wire::tls::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, CLIENT_HELLO, HANDSHAKE, HANDSHAKE_HEADER_LEN, HEARTBEAT,
    MAX_RECORD_LEN, RECORD_HEADER_LEN, RecordHeader, SERVER_HELLO, message_len,
};

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

/// What a side said, where something other than TLS records tells where it begins and ends, as in DTLS.
#[derive(Debug)]
pub enum Part<'a> {
    /// A handshake message with its head of four bytes; one that is not whole ends early.
    Message(Vec<u8>),
    /// From here on it encrypts.
    ChangeCipherSpec,
    /// The payload of an alert.
    Alert(&'a [u8]),
}

/// What one side of a connection said in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// In the order they were sent.
    pub messages: Vec<Message>,
    /// Why there are no more.
    pub end: StreamEnd,
    /// Type of the handshake message that is there in part only: the last one, in DTLS the first. None: all are whole.
    pub incomplete: Option<u8>,
}

impl Stream {
    /// Reads the bytes that one side sent first, none of them missing. What follows ChangeCipherSpec is taken for encrypted.
    pub fn parse(bytes: &[u8]) -> Self {
        Self::parse_chunks(&[Chunk { offset: 0, bytes }], false)
    }

    /// Reads handshake messages that stand one after the other without records around them, as in QUIC.
    pub fn of_messages(bytes: &[u8]) -> Self {
        let mut assembler = Assembler::default();
        let end = assembler.handshake(bytes).unwrap_or(StreamEnd::Exhausted);
        let end = assembler.at_end(end);
        Self { messages: assembler.messages, end, incomplete: assembler.incomplete }
    }

    /// Reads what one side said, in its order. A message that is not whole keeps nothing from those after it.
    pub fn of_parts<'a>(parts: impl Iterator<Item = Part<'a>>) -> Self {
        let mut assembler = Assembler::default();
        let mut end = StreamEnd::Exhausted;
        for part in parts.take(MAX_MESSAGES) {
            match part {
                Part::Message(bytes) => {
                    let whole = message_len(&bytes).is_some_and(|len| bytes.len() >= HANDSHAKE_HEADER_LEN + len);
                    assembler.message(&bytes);
                    if !whole {
                        assembler.incomplete = assembler.incomplete.or(bytes.first().copied());
                        end = StreamEnd::Cut;
                    }
                }
                Part::ChangeCipherSpec => assembler.messages.push(Message::ChangeCipherSpec),
                Part::Alert(payload) => assembler.messages.extend(Alert::parse(payload).map(Message::Alert)),
            }
        }
        Self { messages: assembler.messages, end, incomplete: assembler.incomplete }
    }

    /// Reads what one side sent, of which parts were left out on purpose: whole TLS records, and the bodies of messages that
    /// are not looked at. `chunks` are in order and do not overlap. `retried` says that the other side asked for a second
    /// hello, so that one after ChangeCipherSpec is in the clear.
    pub fn parse_chunks(chunks: &[Chunk<'_>], retried: bool) -> Self {
        let mut assembler = Assembler { other_retried: retried, ..Assembler::default() };
        let end = assembler.read(chunks);
        Self { messages: assembler.messages, end, incomplete: assembler.incomplete }
    }

    /// Reads both sides of a connection, of which either may be the client. A retry that one asks for is known to the other.
    pub fn parse_both(one: &[Chunk<'_>], other: &[Chunk<'_>]) -> (Self, Self) {
        let (mut first, mut second) = (Self::parse_chunks(one, false), Self::parse_chunks(other, false));
        if second.retry_request().is_some() {
            first = Self::parse_chunks(one, true);
        } else if first.retry_request().is_some() {
            second = Self::parse_chunks(other, true);
        }
        (first, second)
    }

    /// The first ClientHello.
    pub fn client_hello(&self) -> Option<&ClientHello> {
        self.client_hellos().next()
    }

    /// The ClientHello after the first: the one the server answered, where it asked for it.
    pub fn second_client_hello(&self) -> Option<&ClientHello> {
        self.client_hellos().nth(1)
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

    /// The alert that says most: the first fatal one, or else the first warning.
    pub fn alert(&self) -> Option<Alert> {
        let alerts = || {
            self.messages
                .iter()
                .filter_map(|message| if let Message::Alert(alert) = message { Some(*alert) } else { None })
        };
        alerts().find(|alert| alert.level == AlertLevel::Fatal).or_else(|| alerts().next())
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

/// Chunks, read one after the other.
struct Source<'a> {
    chunks: &'a [Chunk<'a>],
    /// Bytes of the first chunk that were read.
    used: usize,
}

impl<'a> Source<'a> {
    /// Where the next byte is; None at the end.
    fn at(&mut self) -> Option<u64> {
        while let Some((chunk, rest)) = self.chunks.split_first() {
            if self.used < chunk.bytes.len() {
                return Some(u64::from(chunk.offset) + self.used as u64);
            }
            (self.chunks, self.used) = (rest, 0);
        }
        None
    }

    /// The next bytes that stand side by side, `max` at most.
    fn take(&mut self, max: usize) -> &'a [u8] {
        let Some(chunk) = self.chunks.first() else { return &[] };
        let rest = chunk.bytes.get(self.used..).unwrap_or_default();
        let taken = rest.get(..max).unwrap_or(rest);
        self.used += taken.len();
        taken
    }
}

/// A handshake message, as far as it came.
#[derive(Default)]
struct Partial {
    /// Its bytes; of one that is not looked at perhaps not all.
    bytes: Vec<u8>,
    /// Bytes that were left out.
    left_out: usize,
}

impl Partial {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn kind(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    /// Bytes still to come; None before its length is known.
    fn missing(&self) -> Option<usize> {
        let len = message_len(&self.bytes)?;
        Some((HANDSHAKE_HEADER_LEN + len).saturating_sub(self.bytes.len() + self.left_out))
    }

    /// Whether it is one of those whose content is read, so that nothing of it is left out on purpose.
    fn is_read(&self) -> bool {
        const CERTIFICATE_STATUS: u8 = 22;
        matches!(
            self.kind(),
            Some(CLIENT_HELLO | SERVER_HELLO | certificate::CERTIFICATE | SERVER_KEY_EXCHANGE | CERTIFICATE_STATUS)
        )
    }
}

#[derive(Default)]
struct Assembler {
    messages: Vec<Message>,
    /// The message that goes on.
    pending: Partial,
    /// Suite and version of the ServerHello: a key exchange cannot be read without.
    chosen: Option<(CipherSuite, Version)>,
    changed_cipher: bool,
    /// The other side asked for a second hello.
    other_retried: bool,
    incomplete: Option<u8>,
}

impl Assembler {
    fn read(&mut self, chunks: &[Chunk<'_>]) -> StreamEnd {
        let mut source = Source { chunks, used: 0 };
        let Some(mut at) = source.at() else { return StreamEnd::Exhausted };
        if let Some(end) = self.old_hello(&mut source, &mut at) {
            return end;
        }
        let began = at;
        while self.messages.len() < MAX_MESSAGES {
            let Some(next) = source.at() else { return self.at_end(StreamEnd::Exhausted) };
            if next != at {
                // Whole records were left out. Where a message went on, they may have been of it.
                if !self.pending.is_empty() {
                    return self.at_end(StreamEnd::Cut);
                }
                at = next;
            }
            let mut header = [0; RECORD_HEADER_LEN];
            match take_header(&mut source, &mut at, &mut header) {
                Header::Whole => {}
                Header::LeftOut => continue,
                Header::Cut => return self.at_end(StreamEnd::Cut),
            }
            let Some(RecordHeader { content, len }) = RecordHeader::parse(header) else {
                let is_first = at == began + RECORD_HEADER_LEN as u64;
                return if is_first { StreamEnd::NotTls } else { self.at_end(StreamEnd::Malformed) };
            };
            if let Some(end) = self.record(&mut source, &mut at, content, len) {
                return self.at_end(end);
            }
        }
        StreamEnd::Malformed
    }

    /// A hello in the format of SSL 2.0 at the start; what follows it are TLS records.
    fn old_hello(&mut self, source: &mut Source<'_>, at: &mut u64) -> Option<StreamEnd> {
        let bytes = source.chunks.first()?.bytes;
        let hello = sslv2::parse(bytes)?;
        let cut = hello.truncated;
        self.messages.push(Message::ClientHello(Box::new(hello)));
        if cut {
            self.incomplete = Some(CLIENT_HELLO);
            return Some(StreamEnd::Cut);
        }
        *at += source.take(sslv2::record_len(bytes)).len() as u64;
        None
    }

    /// Reads the payload of one record, of `len` bytes. Some where reading is to stop.
    fn record(&mut self, source: &mut Source<'_>, at: &mut u64, kind: u8, len: usize) -> Option<StreamEnd> {
        match kind {
            CHANGE_CIPHER_SPEC => {
                self.messages.push(Message::ChangeCipherSpec);
                self.changed_cipher = true;
            }
            ALERT if len != 2 => return Some(StreamEnd::Encrypted),
            HANDSHAKE if self.is_encrypted() => return Some(StreamEnd::Encrypted),
            // A client may send data before the server answers; when that asks for another hello, it follows.
            APPLICATION_DATA if !(self.other_retried && self.hellos() == 1) => return Some(StreamEnd::Encrypted),
            HEARTBEAT if self.changed_cipher => return Some(StreamEnd::Encrypted),
            _ => {}
        }
        let mut left = len;
        let mut alert = Vec::new();
        while left > 0 {
            let Some(next) = source.at() else {
                // Its rest may have been left out, when nobody reads it.
                let all_there = kind != HANDSHAKE || !self.pending.is_empty() && !self.pending.is_read();
                return Some(if all_there && kind != ALERT { StreamEnd::Exhausted } else { StreamEnd::Cut });
            };
            let hole = usize::try_from(next - *at).unwrap_or(usize::MAX);
            if hole > 0 {
                let within = hole.min(left);
                if kind == HANDSHAKE && !self.leave_out(within) {
                    return Some(StreamEnd::Cut);
                }
                if hole > left && kind == HANDSHAKE && !self.pending.is_empty() {
                    return Some(StreamEnd::Cut);
                }
                *at += within as u64;
                left -= within;
                continue;
            }
            let bytes = source.take(left);
            *at += bytes.len() as u64;
            left -= bytes.len();
            match kind {
                HANDSHAKE => {
                    if let Some(end) = self.handshake(bytes) {
                        return Some(end);
                    }
                }
                ALERT => alert.extend_from_slice(bytes),
                _ => {}
            }
        }
        self.messages.extend(Alert::parse(&alert).map(Message::Alert));
        None
    }

    fn hellos(&self) -> usize {
        self.messages.iter().filter(|message| matches!(message, Message::ClientHello(_))).count()
    }

    /// Whether handshake records are encrypted. After ChangeCipherSpec they are, but for what follows a HelloRetryRequest:
    /// the client's second hello, and the server's own.
    fn is_encrypted(&self) -> bool {
        let retried = |message: &Message| matches!(message, Message::HelloRetryRequest(_));
        let answered = |message: &Message| matches!(message, Message::ServerHello(_));
        let client = self.other_retried && self.hellos() == 1;
        let server = self.messages.iter().any(retried) && !self.messages.iter().any(answered);
        self.changed_cipher && !client && !server
    }

    /// Takes bytes of handshake messages. Some where reading is to stop.
    fn handshake(&mut self, mut bytes: &[u8]) -> Option<StreamEnd> {
        while let Some(first) = bytes.first() {
            if self.messages.len() >= MAX_MESSAGES {
                return Some(StreamEnd::Malformed);
            }
            if self.pending.is_empty()
                && self.changed_cipher
                && (!matches!(*first, CLIENT_HELLO | SERVER_HELLO) || self.is_encrypted())
            {
                return Some(StreamEnd::Encrypted);
            }
            let missing =
                self.pending.missing().unwrap_or(HANDSHAKE_HEADER_LEN.saturating_sub(self.pending.bytes.len()));
            let (taken, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
            self.pending.bytes.extend_from_slice(taken);
            bytes = rest;
            self.take_whole();
        }
        None
    }

    /// `count` bytes of a message were left out; false where they are missed.
    fn leave_out(&mut self, count: usize) -> bool {
        let can_miss = self.pending.missing().filter(|missing| *missing >= count && !self.pending.is_read());
        if can_miss.is_none() {
            return false;
        }
        self.pending.left_out += count;
        self.take_whole();
        true
    }

    /// The pending message, when it is whole.
    fn take_whole(&mut self) {
        if self.pending.missing() == Some(0) {
            let message = std::mem::take(&mut self.pending);
            self.message(&message.bytes);
        }
    }

    /// The end of the bytes: a message that is not whole is read as far as it goes.
    fn at_end(&mut self, end: StreamEnd) -> StreamEnd {
        let pending = std::mem::take(&mut self.pending);
        let Some(kind) = pending.kind() else { return end };
        self.message(&pending.bytes);
        if !pending.is_read() && pending.missing().is_some() {
            return end;
        }
        self.incomplete = Some(kind);
        if end == StreamEnd::Exhausted { StreamEnd::Cut } else { end }
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

/// How much of a record's header is there.
enum Header {
    Whole,
    /// The record was left out, after its header began.
    LeftOut,
    Cut,
}

fn take_header(source: &mut Source<'_>, at: &mut u64, header: &mut [u8; RECORD_HEADER_LEN]) -> Header {
    let mut have = 0;
    while let Some(rest) = header.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match source.at() {
            None => return Header::Cut,
            Some(next) if next != *at => return Header::LeftOut,
            Some(_) => {}
        }
        let bytes = source.take(rest.len());
        rest.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        have += bytes.len();
        *at += bytes.len() as u64;
    }
    Header::Whole
}
