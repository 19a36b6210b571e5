//! QUIC packets that open a connection: their headers, and the protection of Initial packets.
//!
//! Who sees an Initial packet can read it: its keys follow from a connection id that stands in the client's first one (RFC 9001
//! section 5.2, RFC 9369 section 3.3). Nothing secret is needed, and none is derived. What comes later is protected by keys that
//! the handshake agrees on, and is not touched.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::aes::cipher::BlockCipherEncrypt as _;
use aes_gcm::aes::{Aes128, Block};
use aes_gcm::{Aes128Gcm, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;

/// Longest connection id (RFC 9000 section 17.2).
pub const MAX_CID_LEN: usize = 20;

/// The bit of the first byte that a long header has (RFC 9000 section 17.2).
const LONG: u8 = 0x80;

/// Length of the tag after each protected packet.
const TAG_LEN: usize = 16;

/// A version of QUIC, as it stands in packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuicVersion(pub u32);

impl QuicVersion {
    /// RFC 9000.
    pub const V1: Self = Self(1);
    /// RFC 9369.
    pub const V2: Self = Self(0x6b33_43cf);

    /// What its keys are made with: the salt, and the labels. None for a version that is not known.
    fn salt(self) -> Option<(&'static [u8; 20], Labels)> {
        /// RFC 9001 section 5.2.
        const V1: [u8; 20] = [
            0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb,
            0x7f, 0x0a,
        ];
        /// RFC 9369 section 3.3.1.
        const V2: [u8; 20] = [
            0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd,
            0x2e, 0xd9,
        ];
        match self {
            Self::V1 => Some((&V1, Labels { key: "quic key", iv: "quic iv", hp: "quic hp" })),
            Self::V2 => Some((&V2, Labels { key: "quicv2 key", iv: "quicv2 iv", hp: "quicv2 hp" })),
            _ => None,
        }
    }
}

struct Labels {
    key: &'static str,
    iv: &'static str,
    hp: &'static str,
}

/// What a packet with a long header is (RFC 9000 section 17.2, RFC 9369 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketType {
    /// With the first messages of TLS.
    Initial,
    /// With data that a client sends before it was answered.
    ZeroRtt,
    /// With what TLS encrypts.
    Handshake,
    /// The server wants the client to prove its address, by sending a token back.
    Retry,
    /// The server does not speak the version, and lists those that it does.
    VersionNegotiation,
}

/// Which side sent a packet: each has keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Who opened the connection.
    Client,
    /// Who answers.
    Server,
}

/// A packet with a long header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub kind: PacketType,
    /// Its version; 0 in a negotiation.
    pub version: QuicVersion,
    /// Connection id of who it is for.
    pub dcid: &'a [u8],
    /// Connection id of who sent it.
    pub scid: &'a [u8],
    /// Of an Initial: what proves the client's address; of a Retry: what is to be sent back; of a negotiation: the versions.
    pub token: &'a [u8],
    /// Its bytes, from the first of the header to the last of the tag.
    bytes: &'a [u8],
    /// Where its number is; there is none in a Retry or a negotiation.
    number_at: usize,
    /// Where the part ends that names nobody: flags, version, and both connection ids.
    pub ids_end: usize,
}

/// What names a connection at the beginning of a datagram: version, and connection ids of who it is for and of who sent it. What comes
/// after them need not be there.
pub fn ids(datagram: &[u8]) -> Option<(QuicVersion, &[u8], &[u8])> {
    let mut rest = datagram;
    take(&mut rest, 1)?.first().filter(|flags| **flags & LONG != 0)?;
    let version = QuicVersion(u32::from_be_bytes(*take(&mut rest, 4)?.first_chunk()?));
    let (dcid, scid) = (take_cid(&mut rest)?, take_cid(&mut rest)?);
    Some((version, dcid, scid))
}

/// Takes a connection id and its length off the front.
fn take_cid<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = *take(rest, 1)?.first()?;
    take(rest, usize::from(len))
}

/// The packets with long headers in a datagram: to its end, or to the first that is none (with a short header; zeros or anything
/// else that fills it up), or that is cut.
pub fn packets(datagram: &[u8]) -> impl Iterator<Item = Packet<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let packet = Packet::parse(rest)?;
        rest = rest.get(packet.bytes.len()..).unwrap_or_default();
        Some(packet)
    })
}

/// Takes bytes off the front.
fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

/// Takes a number of variable length off the front (RFC 9000 section 16).
pub fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let first = *rest.first()?;
    let bytes = take(rest, 1 << (first >> 6))?;
    let number = bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    Some(number & (u64::MAX >> (66 - 8 * bytes.len())))
}

/// Takes as many bytes off the front as a number before them says.
fn take_counted<'a>(rest: &mut &'a [u8], count: u64) -> Option<&'a [u8]> {
    take(rest, usize::try_from(count).ok()?)
}

impl<'a> Packet<'a> {
    /// The packet at the beginning of these bytes.
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let flags = *bytes.first()?;
        let (version, dcid, scid) = ids(bytes)?;
        /// Flags, version, and a length before each id.
        const BESIDE_IDS: usize = 7;
        let ids_end = BESIDE_IDS + dcid.len() + scid.len();
        let mut rest = bytes.get(ids_end..)?;
        let mut packet = Self {
            kind: PacketType::VersionNegotiation,
            version,
            dcid,
            scid,
            token: rest,
            bytes,
            number_at: bytes.len(),
            ids_end,
        };
        if version.0 == 0 {
            return (rest.len() % 4 == 0 && !rest.is_empty()).then_some(packet);
        }
        if dcid.len() > MAX_CID_LEN || scid.len() > MAX_CID_LEN {
            return None;
        }
        packet.kind = match (version, flags >> 4 & 3) {
            (QuicVersion::V2, 1) | (QuicVersion::V1, 0) => PacketType::Initial,
            (QuicVersion::V2, 2) | (QuicVersion::V1, 1) => PacketType::ZeroRtt,
            (QuicVersion::V2, 3) | (QuicVersion::V1, 2) => PacketType::Handshake,
            (QuicVersion::V2 | QuicVersion::V1, _) => PacketType::Retry,
            _ => return None,
        };
        if packet.kind == PacketType::Retry {
            // Its tag is the rest.
            packet.token = rest.get(..rest.len().checked_sub(TAG_LEN)?)?;
            return Some(packet);
        }
        packet.token = &[];
        if packet.kind == PacketType::Initial {
            let len = take_varint(&mut rest)?;
            packet.token = take_counted(&mut rest, len)?;
        }
        let len = take_varint(&mut rest)?;
        packet.number_at = bytes.len() - rest.len();
        take_counted(&mut rest, len)?;
        packet.bytes = bytes.get(..bytes.len() - rest.len())?;
        Some(packet)
    }

    /// What is in an Initial packet, where these are its keys: its number, and its frames. `largest` is the largest number of those
    /// that its sender was seen to send before: of a later one only the last digits are there.
    pub fn open(&self, keys: &InitialKeys, largest: Option<u64>) -> Option<(u64, Vec<u8>)> {
        /// The sample begins where the packet would if its number took four bytes (RFC 9001 section 5.4.2).
        const MAX_NUMBER_LEN: usize = 4;
        let sample = self.bytes.get(self.number_at + MAX_NUMBER_LEN..)?.first_chunk::<16>()?;
        let mut mask = Block::from(*sample);
        keys.header.encrypt_block(&mut mask);
        let first = *self.bytes.first()? ^ mask.first()? & 0x0f;
        let number_len = usize::from(first & 3) + 1;
        let header_len = self.number_at + number_len;
        let mut header = self.bytes.get(..header_len)?.to_vec();
        *header.first_mut()? = first;
        let mut digits = 0u64;
        for (byte, mask) in header.iter_mut().skip(self.number_at).zip(mask.iter().skip(1)) {
            *byte ^= mask;
            digits = digits << 8 | u64::from(*byte);
        }
        let payload = self.bytes.get(header_len..)?;
        let number = largest.map_or(digits, |largest| whole_number(digits, number_len, largest));
        let with = |number| Some((number, keys.decrypt(number, &header, payload)?));
        // What went before may have been another connection's.
        with(number).or_else(|| with(digits).filter(|_| digits != number))
    }
}

/// The number of which these are the last digits, `len` bytes of them: the nearest to the one after `largest` (RFC 9000 appendix A.3).
fn whole_number(digits: u64, len: usize, largest: u64) -> u64 {
    /// Numbers are below this (RFC 9000 section 12.3).
    const END: u64 = 1 << 62;
    let expected = largest.saturating_add(1).min(END - 1);
    let window = 1u64 << (8 * len);
    let candidate = expected & !(window - 1) | digits;
    if candidate + window / 2 <= expected && candidate < END - window {
        candidate + window
    } else if candidate > expected + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

/// The keys of one side's Initial packets.
pub struct InitialKeys {
    payload: Aes128Gcm,
    header: Aes128,
    iv: [u8; 12],
}

impl InitialKeys {
    /// Those of a connection whose client sent its first Initial packet, or the first after a Retry, to `dcid`. None for a
    /// version that is not known.
    pub fn new(version: QuicVersion, dcid: &[u8], sender: Sender) -> Option<Self> {
        let (salt, labels) = version.salt()?;
        let label = match sender {
            Sender::Client => "client in",
            Sender::Server => "server in",
        };
        let secret: [u8; 32] = expand(&Hkdf::new(Some(salt), dcid), label)?;
        let secret = Hkdf::from_prk(&secret).ok()?;
        let (key, header): ([u8; 16], [u8; 16]) = (expand(&secret, labels.key)?, expand(&secret, labels.hp)?);
        Some(Self {
            payload: Aes128Gcm::new(&key.into()),
            header: Aes128::new(&header.into()),
            iv: expand(&secret, labels.iv)?,
        })
    }

    /// What a packet of this number, this header and this payload protects.
    fn decrypt(&self, number: u64, header: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = self.iv;
        nonce.iter_mut().rev().zip(number.to_le_bytes()).for_each(|(byte, number)| *byte ^= number);
        let (frames, tag) = payload.split_last_chunk::<TAG_LEN>()?;
        let mut frames = frames.to_vec();
        let buffer = frames.as_mut_slice().into();
        self.payload.decrypt_inout_detached(&Nonce::from(nonce), header, buffer, &Tag::from(*tag)).ok().map(|()| frames)
    }
}

/// HKDF-Expand-Label with an empty context (RFC 8446 section 7.1).
fn expand<const LEN: usize>(secret: &Hkdf<Sha256>, label: &str) -> Option<[u8; LEN]> {
    let (len, label_len) = (u16::try_from(LEN).ok()?, u8::try_from("tls13 ".len() + label.len()).ok()?);
    let mut out = [0; LEN];
    let info: [&[u8]; 5] = [&len.to_be_bytes(), &[label_len], b"tls13 ", label.as_bytes(), &[0]];
    secret.expand_multi_info(&info, &mut out).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The destination connection id of the examples in RFC 9001 appendix A and RFC 9369 appendix A.
    const DCID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).expect("of digits"), 16).expect("hexadecimal"))
            .collect()
    }

    /// RFC 9001 appendix A.3: the server's answer, with an ACK and a ServerHello.
    const SERVER_INITIAL: &str = "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a
        5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9
        c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4
        2158407dd074ee";

    #[test]
    fn the_example_of_the_standard_is_opened() {
        let datagram = bytes(SERVER_INITIAL);
        let packet = packets(&datagram).next().expect("a packet");
        assert_eq!((packet.kind, packet.version), (PacketType::Initial, QuicVersion::V1));
        assert_eq!((packet.dcid.len(), packet.scid.len(), packet.token.len()), (0, 8, 0));
        let keys = InitialKeys::new(QuicVersion::V1, &DCID, Sender::Server).expect("a known version");
        let (number, frames) = packet.open(&keys, None).expect("these are its keys");
        assert_eq!(number, 1);
        // Digits of a packet before, or of another connection's.
        for largest in [0, 1, 2, 40_000, u64::MAX] {
            assert_eq!(packet.open(&keys, Some(largest)).expect("these are its keys").0, 1, "{largest}");
        }
        assert_eq!(frames.get(..9), Some(&bytes("02000000000600405a")[..]));
        for (version, dcid, sender) in [
            (QuicVersion::V1, &DCID[..], Sender::Client),
            (QuicVersion::V2, &DCID[..], Sender::Server),
            (QuicVersion::V1, &DCID[1..], Sender::Server),
        ] {
            let others = InitialKeys::new(version, dcid, sender).expect("a known version");
            assert_eq!(packet.open(&others, None), None);
        }
        assert!(InitialKeys::new(QuicVersion(7), &DCID, Sender::Client).is_none());
    }

    #[test]
    fn keys_are_those_of_the_standards() {
        let derived = |version: QuicVersion| {
            let (salt, labels) = version.salt().expect("known");
            let secret: [u8; 32] = expand(&Hkdf::new(Some(salt), &DCID), "client in").expect("short");
            let secret = Hkdf::from_prk(&secret).expect("of the length of a hash");
            let key: [u8; 16] = expand(&secret, labels.key).expect("short");
            let (iv, header): ([u8; 12], [u8; 16]) =
                (expand(&secret, labels.iv).expect("short"), expand(&secret, labels.hp).expect("short"));
            (key.to_vec(), iv.to_vec(), header.to_vec())
        };
        let one = ("1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2");
        let two = ("8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f", "45b95e15235d6f45a6b19cbcb0294ba9");
        for (version, (key, iv, header)) in [(QuicVersion::V1, one), (QuicVersion::V2, two)] {
            assert_eq!(derived(version), (bytes(key), bytes(iv), bytes(header)));
        }
    }

    #[test]
    fn cut_anywhere_it_is_no_packet() {
        let datagram = bytes(SERVER_INITIAL);
        for len in 0..datagram.len() {
            assert_eq!(packets(datagram.get(..len).expect("shorter")).count(), 0, "{len}");
        }
        // What follows a packet may be anything.
        for tail in [&[0u8; 5][..], &[0x40; 9], &[0xff; 40]] {
            assert_eq!(packets(&[&datagram[..], tail].concat()).count(), 1);
        }
        assert_eq!(packets(&[&datagram[..], &datagram[..]].concat()).count(), 2);
    }

    #[test]
    fn of_a_packet_number_the_last_digits_are_enough() {
        for (digits, len, largest, number) in [
            // RFC 9000 appendix A.3.
            (0x9b32, 2, 0xa82f_30ea, 0xa82f_9b32),
            // ngtcp2 begins anywhere: 1031448462, and then the last byte of the next.
            (0x8f, 1, 0x3d7a_9b8e, 0x3d7a_9b8f),
            (0x00, 1, 0xff, 0x100),
            (0xff, 1, 0x100, 0xff),
            (3, 1, 2, 3),
            (0, 4, u64::MAX, (1 << 62) - (1 << 32)),
        ] {
            assert_eq!(whole_number(digits, len, largest), number, "{digits:#x} after {largest:#x}");
        }
    }

    #[test]
    fn numbers_of_variable_length() {
        for (hex, number) in [
            ("c2197c5eff14e88c", Some(151_288_809_941_952_652)),
            ("9d7f3e7d", Some(494_878_333)),
            ("7bbd", Some(15_293)),
            ("25", Some(37)),
            ("4025", Some(37)),
            ("9d7f3e", None),
            ("", None),
        ] {
            assert_eq!(take_varint(&mut &bytes(hex)[..]), number, "{hex}");
        }
    }
}
