//! ClientHello: what a client offers (RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2).

use super::ParseError;
use super::extensions;
use crate::protocol::iana::{CipherSuite, ExtensionType, Group, SignatureScheme, Version, is_grease};
use crypto_trace_format::wire::cursor::{Cursor, Shape};
use crypto_trace_format::wire::tls::ClientHelloParts;

/// How a hello was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HelloFormat {
    /// As a TLS handshake message.
    #[default]
    Tls,
    /// In the format of SSL 2.0, whatever version it asks for (RFC 5246, appendix E.2).
    Sslv2,
}

/// What a client offers, in its order of preference. GREASE values (RFC 8701) are in none of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientHello {
    /// How it was written.
    pub format: HelloFormat,
    /// The version of the old field; TLS 1.3 clients say TLS 1.2 here. See [`Self::versions`].
    pub legacy_version: Version,
    /// Compared with the server's; never shown.
    pub(super) session_id: Box<[u8]>,
    /// Cipher suites, signalling values (renegotiation, fallback) included.
    pub cipher_suites: Vec<CipherSuite>,
    /// Compression methods; 0 is none, 1 is DEFLATE.
    pub compression_methods: Vec<u8>,
    /// Types of the extensions, in the order they were sent.
    pub extensions: Vec<ExtensionType>,
    /// Whether GREASE values were sent anywhere.
    pub grease: bool,
    /// Versions of supported_versions; empty where the client knows nothing newer than TLS 1.2.
    pub supported_versions: Vec<Version>,
    /// Groups it can do.
    pub groups: Vec<Group>,
    /// Groups it sent a key for.
    pub key_shares: Vec<Group>,
    /// Point formats; 0 is uncompressed.
    pub ec_point_formats: Vec<u8>,
    /// Signature schemes it accepts.
    pub signature_schemes: Vec<SignatureScheme>,
    /// Those it accepts inside certificates, where it says so separately.
    pub signature_schemes_cert: Vec<SignatureScheme>,
    /// The host it asks for (SNI): bytes of the peer, to be escaped before they are shown. The public name, where `ech`.
    pub server_name: Option<Box<[u8]>>,
    /// ALPN protocols: bytes of the peer.
    pub alpn: Vec<Box<[u8]>>,
    /// Whether encrypted_client_hello was sent: a real one or a decoy, which look alike on purpose.
    pub ech: bool,
    /// Whether it offers to resume a TLS 1.3 session, or an external PSK.
    pub pre_shared_key: bool,
    /// PSK modes: 0 without, 1 with a fresh key exchange.
    pub psk_modes: Vec<u8>,
    /// Whether it sends data before the server has answered.
    pub early_data: bool,
    /// Length of the TLS 1.2 session ticket; 0 asks for one. None: no tickets.
    pub session_ticket_bytes: Option<usize>,
    /// extended_master_secret (RFC 7627).
    pub extended_master_secret: bool,
    /// renegotiation_info, as an extension or as a signalling suite (RFC 5746).
    pub secure_renegotiation: bool,
    /// encrypt_then_mac (RFC 7366).
    pub encrypt_then_mac: bool,
    /// What a QUIC client says of itself (RFC 9001, section 8.2), as it stands there.
    pub quic_parameters: Option<Box<[u8]>>,
    /// The bytes ended before the hello did: lists may lack their ends.
    pub truncated: bool,
    /// Lengths in it contradict each other.
    pub malformed: bool,
}

impl ClientHello {
    /// Reads a ClientHello from the start of its handshake message (type and length included).
    ///
    /// # Errors
    /// Another type of message, or cut before the version.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let shape = Shape::default();
        let parts = ClientHelloParts::parse(bytes, &shape)?;
        let mut hello = Self { legacy_version: Version(parts.legacy_version), ..Self::default() };
        hello.read(parts);
        hello.truncated = shape.truncated.get();
        hello.malformed = shape.malformed.get();
        Ok(hello)
    }

    fn read(&mut self, parts: ClientHelloParts<'_>) {
        let bytes = |part: Option<Cursor<'_>>| part.map_or(&[][..], |part| part.rest()).to_vec();
        self.session_id = bytes(parts.session_id).into();
        if let Some(suites) = parts.cipher_suites {
            self.set_cipher_suites(suites.u16s());
        }
        self.compression_methods = bytes(parts.compression_methods);
        let Some(mut block) = parts.extensions else { return };
        let grease = extensions::read_all(&mut block, |extension, data| {
            self.extensions.push(extension);
            let _: Option<()> = self.read_extension(extension, data);
        });
        self.grease |= grease;
    }

    pub(super) fn set_cipher_suites(&mut self, codes: impl Iterator<Item = u16>) {
        /// TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746, section 3.3).
        const RENEGOTIATION_INFO_SCSV: CipherSuite = CipherSuite(0x00ff);
        self.cipher_suites = self.without_grease(codes).into_iter().map(CipherSuite).collect();
        self.secure_renegotiation |= self.cipher_suites.contains(&RENEGOTIATION_INFO_SCSV);
    }

    fn read_extension(&mut self, extension: ExtensionType, mut data: Cursor<'_>) -> Option<()> {
        match extension {
            ExtensionType::SERVER_NAME => self.server_name = server_name(data),
            ExtensionType::SUPPORTED_GROUPS => {
                self.groups = self.without_grease(data.vec16()?.u16s()).into_iter().map(Group).collect();
            }
            ExtensionType::EC_POINT_FORMATS => self.ec_point_formats = data.vec8()?.rest().into(),
            ExtensionType::SIGNATURE_ALGORITHMS => self.signature_schemes = self.schemes(data)?,
            ExtensionType::SIGNATURE_ALGORITHMS_CERT => self.signature_schemes_cert = self.schemes(data)?,
            ExtensionType::ALPN => self.alpn = extensions::alpn(data),
            ExtensionType::SUPPORTED_VERSIONS => {
                let list = data.vec8()?.u16s();
                self.supported_versions = self.without_grease(list).into_iter().map(Version).collect();
            }
            ExtensionType::KEY_SHARE => self.read_key_shares(data.vec16()?)?,
            ExtensionType::PSK_KEY_EXCHANGE_MODES => self.psk_modes = data.vec8()?.rest().into(),
            ExtensionType::SESSION_TICKET => self.session_ticket_bytes = Some(data.len()),
            ExtensionType::PRE_SHARED_KEY => self.pre_shared_key = true,
            ExtensionType::EARLY_DATA => self.early_data = true,
            ExtensionType::ENCRYPTED_CLIENT_HELLO => self.ech = true,
            ExtensionType::EXTENDED_MASTER_SECRET => self.extended_master_secret = true,
            ExtensionType::QUIC_TRANSPORT_PARAMETERS => self.quic_parameters = Some(data.rest().into()),
            ExtensionType::ENCRYPT_THEN_MAC => self.encrypt_then_mac = true,
            ExtensionType::RENEGOTIATION_INFO => self.secure_renegotiation = true,
            _ => {}
        }
        Some(())
    }

    fn read_key_shares(&mut self, mut list: Cursor<'_>) -> Option<()> {
        while !list.is_empty() {
            let group = list.u16()?;
            if is_grease(group) {
                self.grease = true;
            } else {
                self.key_shares.push(Group(group));
            }
            list.vec16()?;
        }
        Some(())
    }

    fn schemes(&mut self, mut data: Cursor<'_>) -> Option<Vec<SignatureScheme>> {
        Some(self.without_grease(data.vec16()?.u16s()).into_iter().map(SignatureScheme).collect())
    }

    fn without_grease(&mut self, codes: impl Iterator<Item = u16>) -> Vec<u16> {
        let (grease, kept): (Vec<u16>, Vec<u16>) = codes.partition(|code| is_grease(*code));
        self.grease |= !grease.is_empty();
        kept
    }

    /// Length of the session id; TLS 1.3 clients send 32 random bytes for old middleboxes.
    pub fn session_id_bytes(&self) -> usize {
        self.session_id.len()
    }

    /// The versions it offers: supported_versions, or else the old field (which then offers all up to it).
    pub fn versions(&self) -> &[Version] {
        if self.supported_versions.is_empty() {
            std::slice::from_ref(&self.legacy_version)
        } else {
            &self.supported_versions
        }
    }

    /// Whether all of it was there and made sense.
    pub fn is_whole(&self) -> bool {
        !self.truncated && !self.malformed
    }
}

/// The host name in a server_name extension (RFC 6066, section 3); none where it was cut.
fn server_name(mut data: Cursor<'_>) -> Option<Box<[u8]>> {
    const HOST_NAME: u8 = 0;
    let mut list = data.vec16()?;
    while !list.is_empty() {
        let kind = list.u8()?;
        let name = list.vec16()?;
        if kind == HOST_NAME && name.is_complete() {
            return Some(name.rest().into());
        }
    }
    None
}
