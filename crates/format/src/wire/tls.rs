//! Records, handshake messages and the parts of a ClientHello (RFC 8446, sections 4 and 5.1).

use super::cursor::{Cursor, ParseError, Shape};

/// Content types of records.
pub const CHANGE_CIPHER_SPEC: u8 = 20;
/// A warning, or why a connection ends.
pub const ALERT: u8 = 21;
/// Handshake messages.
pub const HANDSHAKE: u8 = 22;
/// Data.
pub const APPLICATION_DATA: u8 = 23;
/// RFC 6520.
pub const HEARTBEAT: u8 = 24;

/// Handshake type of a ClientHello.
pub const CLIENT_HELLO: u8 = 1;
/// Handshake type of a ServerHello.
pub const SERVER_HELLO: u8 = 2;

/// The extension that names the host a client asks for (RFC 6066, section 3).
pub const SERVER_NAME: u16 = 0;

/// Length of the header of a record, bytes: type, version, length.
pub const RECORD_HEADER_LEN: usize = 5;

/// Length of the header of a handshake message, bytes: type, 24-bit length.
pub const HANDSHAKE_HEADER_LEN: usize = 4;

/// Longest payload of a record, bytes: 2^14, and what TLS 1.2 allows encryption to add (RFC 5246, section 6.2.3).
pub const MAX_RECORD_LEN: usize = (1 << 14) + 2048;

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// Content type.
    pub content: u8,
    /// Length of the payload, bytes.
    pub len: usize,
}

impl RecordHeader {
    /// Reads one; `None`: no record of any version begins so.
    #[inline]
    pub fn parse([content, major, minor, high, low]: [u8; RECORD_HEADER_LEN]) -> Option<Self> {
        let len = usize::from(u16::from_be_bytes([high, low]));
        let is_one = (CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(&content) && major == 3 && minor <= 4;
        (is_one && len <= MAX_RECORD_LEN).then_some(Self { content, len })
    }
}

/// Length of a handshake message's body, bytes, by its first four; `None`: there are fewer.
#[inline]
pub fn message_len(message: &[u8]) -> Option<usize> {
    let [_, high, mid, low, ..] = *message else { return None };
    Some(usize::from(high) << 16 | usize::from(mid) << 8 | usize::from(low))
}

/// The parts of a ClientHello, as far as they are there.
#[derive(Debug)]
pub struct ClientHelloParts<'a> {
    /// The version of the old field.
    pub legacy_version: u16,
    /// Session id.
    pub session_id: Option<Cursor<'a>>,
    /// Numbers of two bytes.
    pub cipher_suites: Option<Cursor<'a>>,
    /// Numbers of one byte.
    pub compression_methods: Option<Cursor<'a>>,
    /// The extension block, with its length, see [`read_extensions`]; empty in SSL 3.0.
    pub extensions: Option<Cursor<'a>>,
}

impl<'a> ClientHelloParts<'a> {
    /// Reads them from the start of the handshake message, header included; `shape` says whether it was cut.
    ///
    /// # Errors
    /// Another type of message, or cut before the version.
    pub fn parse(message: &'a [u8], shape: &'a Shape) -> Result<Self, ParseError> {
        let mut body = Cursor::message(message, CLIENT_HELLO, shape)?;
        let version = body.u16().ok_or(ParseError::TooShort { available_bytes: message.len() })?;
        let (session_id, cipher_suites, compression_methods, extensions) = (None, None, None, None);
        let mut parts = Self { legacy_version: version, session_id, cipher_suites, compression_methods, extensions };
        // None: the hello ended early, which `shape` shows.
        let _: Option<()> = parts.read(body);
        Ok(parts)
    }

    fn read(&mut self, mut body: Cursor<'a>) -> Option<()> {
        let _random: [u8; 32] = body.array()?;
        self.session_id = Some(body.vec8()?);
        self.cipher_suites = Some(body.vec16()?);
        self.compression_methods = Some(body.vec8()?);
        self.extensions = Some(body);
        Some(())
    }
}

/// Hands each extension of a hello's block to `read`, in order: its type and its data.
pub fn read_extensions<'a>(body: &mut Cursor<'a>, mut read: impl FnMut(u16, Cursor<'a>)) {
    // SSL 3.0 and old TLS hellos end here.
    if body.is_empty() && !body.is_cut() {
        return;
    }
    let Some(mut block) = body.vec16() else { return };
    while !block.is_empty() {
        let Some(code) = block.u16() else { break };
        let Some(data) = block.vec16() else { break };
        read(code, data);
    }
}
