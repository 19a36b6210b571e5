//! ServerHello: what the server chose, and HelloRetryRequest, which is written the same way (RFC 8446, sections 4.1.3, 4.1.4).

use super::ParseError;
use super::extensions;
use crate::protocol::iana::{CipherSuite, ExtensionType, Group, Version};
use crypto_trace_format::wire::cursor::{Cursor, Shape};
use crypto_trace_format::wire::tls::SERVER_HELLO;

/// The random of a HelloRetryRequest: SHA-256 of "HelloRetryRequest" (RFC 8446, section 4.1.3).
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What a server chose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerHello {
    /// Whether it asks the client for another hello instead.
    pub retry_request: bool,
    /// The version of the old field; TLS 1.3 servers say TLS 1.2 here. See [`Self::version`].
    pub legacy_version: Version,
    /// The version of supported_versions, where it was sent.
    pub selected_version: Option<Version>,
    /// Compared with the client's; never shown.
    pub(super) session_id: Box<[u8]>,
    /// The suite. None where the hello was cut before it.
    pub cipher_suite: Option<CipherSuite>,
    /// The compression method; 0 is none.
    pub compression_method: Option<u8>,
    /// Types of the extensions, in the order they were sent.
    pub extensions: Vec<ExtensionType>,
    /// TLS 1.3: the group of its key share, or the one a retry request asks for.
    pub group: Option<Group>,
    /// TLS 1.3: which of the offered PSKs it takes; 0 is the first.
    pub pre_shared_key: Option<u16>,
    /// TLS 1.2: the ALPN protocol it chose. Bytes of the peer. (TLS 1.3 answers encrypted.)
    pub alpn: Option<Box<[u8]>>,
    /// Point formats; 0 is uncompressed.
    pub ec_point_formats: Vec<u8>,
    /// Whether it is going to send a session ticket (TLS 1.2).
    pub session_ticket: bool,
    /// extended_master_secret (RFC 7627).
    pub extended_master_secret: bool,
    /// renegotiation_info (RFC 5746).
    pub secure_renegotiation: bool,
    /// encrypt_then_mac (RFC 7366).
    pub encrypt_then_mac: bool,
    /// Whether the end of its random says that it could do a newer version than it chose (RFC 8446, section 4.1.3): one that
    /// the client offered as well was taken out on the way.
    pub downgrade_sentinel: bool,
    /// The bytes ended before the hello did.
    pub truncated: bool,
    /// Lengths in it contradict each other.
    pub malformed: bool,
}

impl ServerHello {
    /// Reads a ServerHello or HelloRetryRequest from the start of its handshake message (type and length included).
    ///
    /// # Errors
    /// Another type of message, or cut before the version.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let shape = Shape::default();
        let mut body = Cursor::message(bytes, SERVER_HELLO, &shape)?;
        let mut hello = Self::default();
        let version = body.u16().ok_or(ParseError::TooShort { available_bytes: bytes.len() })?;
        hello.legacy_version = Version(version);
        // None: the hello ended early, which `shape` shows.
        let _: Option<()> = hello.read_body(&mut body);
        hello.truncated = shape.truncated.get();
        hello.malformed = shape.malformed.get();
        Ok(hello)
    }

    fn read_body(&mut self, body: &mut Cursor<'_>) -> Option<()> {
        let random: [u8; 32] = body.array()?;
        self.retry_request = random == RETRY_RANDOM;
        self.downgrade_sentinel = random.ends_with(b"DOWNGRD\x01") || random.ends_with(b"DOWNGRD\x00");
        // Drafts of TLS 1.3 before 22 had neither session id nor compression method here (draft-ietf-tls-tls13-21).
        let is_draft = self.legacy_version.is_tls13_draft();
        if !is_draft {
            self.session_id = body.vec8()?.rest().into();
        }
        self.cipher_suite = Some(CipherSuite(body.u16()?));
        if !is_draft {
            self.compression_method = Some(body.u8()?);
        }
        extensions::read_all(body, |extension, data| {
            self.extensions.push(extension);
            let _: Option<()> = self.read_extension(extension, data);
        });
        Some(())
    }

    fn read_extension(&mut self, extension: ExtensionType, mut data: Cursor<'_>) -> Option<()> {
        match extension {
            ExtensionType::SUPPORTED_VERSIONS => self.selected_version = Some(Version(data.u16()?)),
            ExtensionType::KEY_SHARE => self.group = Some(Group(data.u16()?)),
            ExtensionType::PRE_SHARED_KEY => self.pre_shared_key = Some(data.u16()?),
            ExtensionType::ALPN => self.alpn = extensions::alpn(data).into_iter().next(),
            ExtensionType::EC_POINT_FORMATS => self.ec_point_formats = data.vec8()?.rest().into(),
            ExtensionType::SESSION_TICKET => self.session_ticket = true,
            ExtensionType::EXTENDED_MASTER_SECRET => self.extended_master_secret = true,
            ExtensionType::ENCRYPT_THEN_MAC => self.encrypt_then_mac = true,
            ExtensionType::RENEGOTIATION_INFO => self.secure_renegotiation = true,
            _ => {}
        }
        Some(())
    }

    /// The version it chose. None where the hello was cut before the extension that would tell.
    pub fn version(&self) -> Option<Version> {
        match self.selected_version {
            Some(version) => Some(version),
            None if self.truncated && self.legacy_version >= Version::TLS_1_2 => None,
            None => Some(self.legacy_version),
        }
    }

    /// Length of the session id.
    pub fn session_id_bytes(&self) -> usize {
        self.session_id.len()
    }
}
