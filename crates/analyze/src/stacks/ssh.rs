//! What a stack decides of an SSH_MSG_KEXINIT.

use crate::protocol::Role;
use crate::protocol::ssh::KexInit;
use serde::{Deserialize, Serialize};

/// Bytes of one list that are compared; the longest that was measured has some 1,200.
const MAX_LIST: usize = 8 << 10;

/// What a side of SSH offers, as far as its stack decides about it: lists as they were sent, names that announce something else
/// included. Without host keys: what a server offers of them is what it has, and what a client prefers is what it knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshShape {
    /// `client` or `server`.
    pub side: String,
    /// Methods of key exchange.
    pub kex: String,
    /// Ciphers from client to server.
    pub ciphers: String,
    /// From server to client, where those are others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ciphers_to_client: Option<String>,
    /// Message authentication codes.
    pub macs: String,
    /// From server to client, where those are others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macs_to_client: Option<String>,
    /// Compression.
    pub compression: String,
    /// From server to client, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression_to_client: Option<String>,
}

impl SshShape {
    /// The shape of what the side `role` offers; None where it is cut, longer than is compared, or no text.
    pub fn new(offer: &KexInit, role: Role) -> Option<Self> {
        if offer.is_cut {
            return None;
        }
        let text = |list: &[u8]| String::from_utf8(list.to_vec()).ok().filter(|list| list.len() <= MAX_LIST);
        let other = |list: &[u8], than: &[u8]| if list == than { Some(None) } else { text(list).map(Some) };
        let [kex, ciphers, ciphers_back, macs, macs_back, compression, compression_back] = offer.as_sent();
        Some(Self {
            side: role.name().to_owned(),
            kex: text(kex)?,
            ciphers: text(ciphers)?,
            ciphers_to_client: other(ciphers_back, ciphers)?,
            macs: text(macs)?,
            macs_to_client: other(macs_back, macs)?,
            compression: text(compression)?,
            compression_to_client: other(compression_back, compression)?,
        })
    }
}
