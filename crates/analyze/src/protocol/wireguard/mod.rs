//! What WireGuard says before data: that a tunnel was asked for, and that it was answered.
//!
//! Its algorithms are fixed, so that an answer says which were used. All that a message holds besides what is recorded, its type
//! and the indexes that both ends know the handshake by, is encrypted, is a key for one handshake, or is a code over others.
//! Whether a preshared key was mixed in cannot be seen by anybody. Knows nothing of records, connections or processes.
//!
//! "WireGuard: Next Generation Kernel Network Tunnel", sections 5.4.2 (initiation), 5.4.3 (response), 5.4.7 (cookie reply).

#![warn(clippy::indexing_slicing)]

use super::{Ends, Outcome, Protocol, Role, those_that_are};

/// What people call it.
pub const NAME: &str = "WireGuard";

/// The construction, as the protocol calls it: a Noise handshake of this pattern, with these algorithms.
pub const CONSTRUCTION: &str = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";

/// How keys are agreed on.
pub const KEY_EXCHANGE: &str = "x25519";

/// What encrypts.
pub const CIPHER: &str = "ChaCha20-Poly1305";

/// What keys are derived with.
pub const HASH: &str = "BLAKE2s";

/// A message, as far as it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// The initiator asks.
    Initiation {
        /// What it knows the handshake by.
        sender: u32,
    },
    /// The responder answers.
    Response {
        /// What it knows the handshake by.
        sender: u32,
        /// What the initiator does.
        receiver: u32,
    },
    /// A busy end wants its cookie first: in answer to an initiation, or to a response.
    CookieReply {
        /// What the end that it answers knows the handshake by.
        receiver: u32,
    },
}

impl Message {
    /// Reads one. None: it is cut, or it is another.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first_chunk::<4>()?;
        let index = |at: usize| Some(u32::from_le_bytes(*rest.get(at..)?.first_chunk()?));
        match *kind {
            [1, 0, 0, 0] => Some(Self::Initiation { sender: index(0)? }),
            [2, 0, 0, 0] => Some(Self::Response { sender: index(0)?, receiver: index(4)? }),
            [3, 0, 0, 0] => Some(Self::CookieReply { receiver: index(0)? }),
            _ => None,
        }
    }
}

/// A handshake.
#[derive(Debug, Clone)]
pub struct View {
    /// Which side this end is: the initiator is the client. None when nothing was read.
    pub role: Option<Role>,
    /// What the initiator knows it by.
    pub initiator: Option<u32>,
    /// What the responder knows it by.
    pub responder: Option<u32>,
    /// An end was busy, and wanted its cookie first.
    pub cookie: bool,
    /// From the initiation to the first answer, as this end saw them, ns.
    pub exchange_ns: Option<u64>,
    /// Datagrams are missing.
    pub gap: bool,
    /// One could not be read.
    pub unread: bool,
}

/// What the initiator that speaks here knows its handshake by.
fn asked(messages: &[Message]) -> Option<u32> {
    messages.iter().find_map(|message| if let Message::Initiation { sender } = message { Some(*sender) } else { None })
}

impl View {
    /// What is to be said of it: what was not seen, and why. `cut`: more was there than was kept; `late`: the socket was there
    /// before the capture.
    pub fn notes(&self, cut: bool, late: bool) -> Vec<&'static str> {
        let notes = [
            (self.responder.is_none(), "response_not_seen"),
            (self.unread, "malformed"),
            (self.gap, "packets_missing"),
            (cut, "hello_cut"),
            (late, "connected_before_capture"),
        ];
        those_that_are(notes)
    }
}

impl Protocol for View {
    fn role(&self) -> Option<Role> {
        self.role
    }

    fn outcome(&self) -> Outcome {
        if self.responder.is_some() { Outcome::ServerHello } else { Outcome::None }
    }

    fn may_go_on(&self) -> bool {
        false
    }

    fn read(ends: &Ends<'_>) -> Self {
        let (sent, sent_unread) = ends.sent.messages(Message::parse);
        let (received, received_unread) = ends.received.messages(Message::parse);
        let (role, initiator, answers) = match (asked(&sent), asked(&received)) {
            (Some(index), _) => (Some(Role::Client), Some(index), &received),
            (None, Some(index)) => (Some(Role::Server), Some(index), &sent),
            (None, None) => (None, None, &received),
        };
        // One that answers another initiation is not of this handshake.
        let answer = |message: &Message| match *message {
            Message::Response { sender, receiver } if Some(receiver) == initiator => Some(sender),
            _ => None,
        };
        let is_cookie = |message: &Message| matches!(message, Message::CookieReply { .. });
        Self {
            role,
            initiator,
            responder: answers.iter().find_map(answer),
            cookie: sent.iter().chain(&received).any(is_cookie),
            exchange_ns: ends.exchange_ns(),
            gap: ends.sent.gap || ends.received.gap,
            unread: sent_unread || received_unread,
        }
    }
}

#[cfg(test)]
mod tests;
