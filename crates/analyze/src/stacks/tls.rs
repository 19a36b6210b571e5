//! What a stack decides of a client's hello.

use crate::protocol::iana::ExtensionType;
use crate::protocol::quic;
use crate::protocol::tls::{ClientHello, HelloFormat, Transport};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Extensions that programs decide about rather than stacks: the name and the protocols they ask for, and what fills up a hello
/// that got long.
const OF_PROGRAMS: [ExtensionType; 3] = [ExtensionType::SERVER_NAME, ExtensionType::ALPN, ExtensionType(21)];

/// Parameters of QUIC whose value stacks decide about: max_udp_payload_size, ack_delay_exponent, max_ack_delay,
/// active_connection_id_limit. Of others only that they are there is compared: programs set them.
const VALUES: [u64; 4] = [0x03, 0x0a, 0x0b, 0x0e];

/// Of which the length is compared: of the connection id that the client chose.
const LENGTHS: [u64; 1] = [0x0f];

/// A client's hello, as far as the stack that wrote it decides about it: code points in hexadecimal digits, in the order they were
/// sent, without GREASE values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsShape {
    /// What carried it: `tcp`, `quic`, `dtls`.
    pub transport: String,
    /// The old field for the version.
    pub version: String,
    /// Bytes of the session id.
    pub session_id: usize,
    /// Cipher suites.
    pub suites: String,
    /// Compression methods.
    pub compression: String,
    /// Types of the extensions, but for those that programs decide about.
    pub extensions: String,
    /// The stack puts them in another order each time; here they are in that of their numbers.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shuffled: bool,
    /// Versions of supported_versions.
    pub versions: String,
    /// Groups.
    pub groups: String,
    /// Groups with a key share.
    pub shares: String,
    /// Signature schemes.
    pub signatures: String,
    /// Signature schemes for certificates.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub certificate_signatures: String,
    /// Point formats.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub points: String,
    /// Modes of pre-shared keys.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub psk_modes: String,
    /// Whether there were GREASE values.
    #[serde(default, skip_serializing_if = "is_false")]
    pub grease: bool,
    /// Transport parameters of QUIC, some with their value (`0a=3`) or its length (`0f:8`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub parameters: String,
    /// The stack puts them in another order each time; here they are sorted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub parameters_shuffled: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(is: &bool) -> bool {
    !is
}

impl TlsShape {
    /// The shape of a hello. None of one that is not whole, or that may not be the first that a client sends to a server: in it is
    /// what only an earlier answer can have brought. A second hello offers other key shares, one that resumes a session other
    /// extensions.
    pub fn new(hello: &ClientHello, transport: &Transport) -> Option<Self> {
        let knows_tls13 = !hello.supported_versions.is_empty();
        let resumes = hello.pre_shared_key
            || hello.early_data
            || hello.session_ticket_bytes.is_some_and(|bytes| bytes > 0)
            // Clients of TLS 1.3 send one to every server, for old middleboxes.
            || (!knows_tls13 && hello.session_id_bytes() > 0);
        let is_second = hello.extensions.contains(&ExtensionType::COOKIE);
        if !hello.is_whole() || hello.format != HelloFormat::Tls || resumes || is_second {
            return None;
        }
        let extensions = hello.extensions.iter().filter(|extension| !OF_PROGRAMS.contains(extension));
        Some(Self {
            transport: match transport {
                Transport::Tcp => "tcp",
                Transport::Quic(_) => "quic",
                Transport::Dtls => "dtls",
            }
            .to_owned(),
            version: codes([hello.legacy_version]),
            session_id: hello.session_id_bytes(),
            suites: codes(hello.cipher_suites.iter().copied()),
            compression: bytes(&hello.compression_methods),
            extensions: codes(extensions.copied()),
            shuffled: false,
            versions: codes(hello.supported_versions.iter().copied()),
            groups: codes(hello.groups.iter().copied()),
            shares: codes(hello.key_shares.iter().copied()),
            signatures: codes(hello.signature_schemes.iter().copied()),
            certificate_signatures: codes(hello.signature_schemes_cert.iter().copied()),
            points: bytes(&hello.ec_point_formats),
            psk_modes: bytes(&hello.psk_modes),
            grease: hello.grease,
            parameters: if let Transport::Quic(quic) = transport { parameters(quic) } else { String::new() },
            parameters_shuffled: false,
        })
    }

    /// As a stack would have sent it that puts extensions, parameters or both in another order each time.
    pub fn sorted(&self, extensions: bool, parameters: bool) -> Self {
        let mut shape = self.clone();
        if extensions {
            shape.extensions = sorted(&self.extensions);
            shape.shuffled = true;
        }
        if parameters {
            shape.parameters = sorted(&self.parameters);
            shape.parameters_shuffled = true;
        }
        shape
    }
}

/// The same items in the order of their text: numbers of one length are in the order of numbers then.
fn sorted(list: &str) -> String {
    let mut items: Vec<&str> = list.split(' ').collect();
    items.sort_unstable();
    items.join(" ")
}

fn codes<T: Into<u16>>(codes: impl IntoIterator<Item = T>) -> String {
    list(codes.into_iter().map(Into::into), |out, code| write!(out, "{code:04x}"))
}

fn bytes(bytes: &[u8]) -> String {
    list(bytes.iter(), |out, byte| write!(out, "{byte:02x}"))
}

fn parameters(quic: &quic::Quic) -> String {
    list(quic.client_parameters.iter(), |out, parameter| {
        write!(out, "{:02x}", parameter.id)?;
        match parameter.value {
            Some(value) if VALUES.contains(&parameter.id) => write!(out, "={value}"),
            _ if LENGTHS.contains(&parameter.id) => write!(out, ":{}", parameter.len),
            _ => Ok(()),
        }
    })
}

fn list<T>(items: impl Iterator<Item = T>, write: impl Fn(&mut String, T) -> std::fmt::Result) -> String {
    let mut out = String::new();
    for item in items {
        if !out.is_empty() {
            out.push(' ');
        }
        // Writing into a String does not fail.
        let _ = write(&mut out, item);
    }
    out
}

#[cfg(test)]
mod tests;
