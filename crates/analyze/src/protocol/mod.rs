//! What the bytes of a protocol say. No capture, no JSON, no input or output.
//!
//! A protocol is a folder with a type that implements [`Protocol`]; `capture/connections` asks it by the code in the record.

pub mod iana;
pub mod tls;

/// A protocol of which the first bytes of connections are recorded.
pub trait Protocol {
    /// What it makes of a connection.
    type View;

    /// Reads what was seen of a connection at one of its ends. Any bytes may be there, and any missing.
    fn view(ends: &Ends<'_>) -> Self::View;
}

/// Both directions of a connection, as one of its ends saw them.
#[derive(Debug, Default)]
pub struct Ends<'a> {
    /// What this end sent.
    pub sent: Said<'a>,
    /// What it received.
    pub received: Said<'a>,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Said<'a> {
    /// Its bytes in order, each once, up to the first that are missing.
    pub chunks: Vec<Chunk<'a>>,
    /// Whether some are missing.
    pub gap: bool,
    /// When its first bytes were seen, boot time, ns.
    pub first_ns: Option<u64>,
    /// When its last bytes were seen, boot time, ns.
    pub last_ns: Option<u64>,
    /// Where in the stream the first of them are.
    pub first_offset: u32,
}

/// Bytes at a place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Where the first of them is.
    pub offset: u32,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// Which side of the handshake this end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It opened the handshake.
    Client,
    /// It answers.
    Server,
}

impl Role {
    /// As events tell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// How far a handshake came, as the wire tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// No answer was seen.
    None,
    /// The server chose version and suite.
    ServerHello,
    /// A fatal alert in the clear.
    Alert,
}

impl Outcome {
    /// As events tell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ServerHello => "server_hello",
            Self::Alert => "alert",
        }
    }
}
