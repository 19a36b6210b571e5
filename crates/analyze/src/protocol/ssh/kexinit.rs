//! SSH_MSG_KEXINIT: what a side offers (RFC 4253 section 7.1).

use super::reader::Reader;
use crate::words::text::hex;
use md5::{Digest as _, Md5};

/// Names of one list that are kept.
const MAX_NAMES: usize = 256;

/// Names of algorithms, in the order in which they are preferred. Bytes of the peer.
pub type Names = Vec<Box<[u8]>>;

/// What a side offers for one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offers {
    /// Ciphers.
    pub ciphers: Names,
    /// Message authentication codes.
    pub macs: Names,
    /// Compression.
    pub compression: Names,
}

/// What a side offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KexInit {
    /// Key exchange, without the names that are no methods: see `ext_info` and `strict_kex`.
    pub kex: Names,
    /// Host keys.
    pub host_keys: Names,
    /// From client to server.
    pub to_server: Offers,
    /// From server to client.
    pub to_client: Offers,
    /// A guess of the other side's choice follows.
    pub first_kex_packet_follows: bool,
    /// It knows RFC 8308: `ext-info-c` or `ext-info-s` is among its methods.
    pub ext_info: Option<Marker>,
    /// It knows strict key exchange, against CVE-2023-48795.
    pub strict_kex: Option<Marker>,
    /// It knows dropbear's other rule of when a guess was right.
    pub kexguess2: bool,
    /// All lists as they were sent, for fingerprints: methods, ciphers, codes and compression of the two directions.
    pub(super) raw: [Vec<u8>; 7],
    /// The message ends before its last list, or a name is left out.
    pub is_cut: bool,
}

/// Of which side a name among the methods is that is no method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// The client's.
    Client,
    /// The server's.
    Server,
}

/// Names among the methods that are none.
const EXT_INFO: [(&[u8], Marker); 2] = [(b"ext-info-c", Marker::Client), (b"ext-info-s", Marker::Server)];
const STRICT_KEX: [(&[u8], Marker); 4] = [
    (b"kex-strict-c-v00@openssh.com", Marker::Client),
    (b"kex-strict-s-v00@openssh.com", Marker::Server),
    (b"kex-strict-c", Marker::Client),
    (b"kex-strict-s", Marker::Server),
];
/// Dropbear's: between two that know it a guess was right when it names what is agreed on.
const KEXGUESS: &[u8] = b"kexguess2@matt.ucc.asn.au";

impl KexInit {
    /// What follows the number of the message; it may end anywhere.
    pub(super) fn parse(body: &[u8]) -> Self {
        let mut reader = Reader(body);
        let mut all = Self::default();
        // The cookie: random bytes, which are not kept.
        if reader.take(16).is_none() {
            return Self { is_cut: true, ..all };
        }
        let mut lists: [(Names, Vec<u8>); 8] = Default::default();
        for (names, raw) in &mut lists {
            let Some(list) = reader.string() else {
                all.is_cut = true;
                break;
            };
            let mut each = list.split(|byte| *byte == b',').filter(|name| !name.is_empty());
            *names = each.by_ref().take(MAX_NAMES).map(Into::into).collect();
            all.is_cut |= each.next().is_some();
            *raw = list.to_vec();
        }
        let [kex, host_keys, ciphers_c, ciphers_s, macs_c, macs_s, compression_c, compression_s] = lists;
        let marker = |known: &[(&[u8], Marker)]| {
            known.iter().find(|(name, _)| kex.0.iter().any(|one| **one == **name)).map(|(_, side)| *side)
        };
        all.kexguess2 = kex.0.iter().any(|name| **name == *KEXGUESS);
        (all.ext_info, all.strict_kex) = (marker(&EXT_INFO), marker(&STRICT_KEX));
        all.raw = [kex.1, ciphers_c.1, ciphers_s.1, macs_c.1, macs_s.1, compression_c.1, compression_s.1];
        all.kex = kex.0.into_iter().filter(|name| !is_marker(name)).collect();
        all.host_keys = host_keys.0;
        all.to_server = Offers { ciphers: ciphers_c.0, macs: macs_c.0, compression: compression_c.0 };
        all.to_client = Offers { ciphers: ciphers_s.0, macs: macs_s.0, compression: compression_s.0 };
        if !all.is_cut {
            // Two lists of languages, which nobody uses.
            let mut rest = || reader.string().and_then(|_| reader.string()).and_then(|_| reader.u8());
            let follows = rest();
            all.first_kex_packet_follows = matches!(follows, Some(1..));
            all.is_cut = follows.is_none();
        }
        all
    }

    /// Lists as they were sent: methods, then of both directions, to the server first, ciphers, codes and compression.
    pub fn as_sent(&self) -> &[Vec<u8>; 7] {
        &self.raw
    }

    /// HASSH of a client: MD5 of what it offers to send with, as it was sent. None when that was cut.
    pub fn hassh(&self) -> Option<String> {
        let [kex, ciphers, _, macs, _, compression, _] = &self.raw;
        self.fingerprint([kex, ciphers, macs, compression])
    }

    /// HASSH of a server.
    pub fn hassh_server(&self) -> Option<String> {
        let [kex, _, ciphers, _, macs, _, compression] = &self.raw;
        self.fingerprint([kex, ciphers, macs, compression])
    }

    /// Salesforce's hassh (2018), BSD 3-clause.
    fn fingerprint(&self, parts: [&Vec<u8>; 4]) -> Option<String> {
        (!self.is_cut).then(|| hex(&Md5::digest(parts.map(Vec::as_slice).join(&b';'))))
    }
}

fn is_marker(name: &[u8]) -> bool {
    EXT_INFO.iter().chain(&STRICT_KEX).any(|(marker, _)| *marker == name) || name == KEXGUESS
}
