//! One message: its header, and of its payloads those that say something about cryptography.

use crypto_trace_format::wire::ike;

/// Proposals that are kept of a message.
const MAX_PROPOSALS: usize = 64;

/// Transforms that are kept of a proposal.
const MAX_TRANSFORMS: usize = 255;

/// Vendor ids that are kept of a message.
const MAX_VENDORS: usize = 32;

/// Bytes of a header (RFC 7296 section 3.1).
const HEADER_LEN: usize = 28;

/// Numbers of notifications (RFC 7296 section 3.10.1, and IANA since).
pub mod notify {
    /// None of what was proposed is wanted.
    pub const NO_PROPOSAL_CHOSEN: u16 = 14;
    /// Another method of key exchange is wanted than the one that was begun with; its number follows.
    pub const INVALID_KE_PAYLOAD: u16 = 17;
    /// Numbers from here on are of no error.
    pub const STATUS: u16 = 16384;
    /// Digest of the address that a message comes from.
    pub const NAT_DETECTION_SOURCE_IP: u16 = 16388;
    /// Digest of the address that it goes to.
    pub const NAT_DETECTION_DESTINATION_IP: u16 = 16389;
    /// To be sent back.
    pub const COOKIE: u16 = 16390;
    /// Messages may be fragmented (RFC 7383).
    pub const FRAGMENTATION_SUPPORTED: u16 = 16430;
    /// IKE_INTERMEDIATE is known (RFC 9242).
    pub const INTERMEDIATE_EXCHANGE_SUPPORTED: u16 = 16438;
}

/// An exchange type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange(pub u8);

impl Exchange {
    /// The first, in the clear.
    pub const SA_INIT: Self = Self(34);
    /// Between the first and IKE_AUTH, encrypted: additional key exchanges (RFC 9242, RFC 9370).
    pub const INTERMEDIATE: Self = Self(43);
}

/// A transform type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransformType(pub u8);

impl TransformType {
    /// Encryption.
    pub const ENCRYPTION: Self = Self(1);
    /// Pseudorandom function.
    pub const PRF: Self = Self(2);
    /// Integrity.
    pub const INTEGRITY: Self = Self(3);
    /// Key exchange.
    pub const KEY_EXCHANGE: Self = Self(4);

    /// Which of the additional key exchanges of RFC 9370 it is, from 1 to 7.
    pub fn additional(self) -> Option<u8> {
        self.0.checked_sub(5).filter(|number| (1..=7).contains(number))
    }

    /// Whether it is a key exchange, the main one or an additional one.
    pub fn is_key_exchange(self) -> bool {
        self == Self::KEY_EXCHANGE || self.additional().is_some()
    }
}

/// One algorithm that is proposed or chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transform {
    /// What it is for.
    pub ty: TransformType,
    /// Its number.
    pub id: u16,
    /// Length of its key in bits, where it says so.
    pub key_bits: Option<u16>,
}

/// Algorithms that go together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// Its number.
    pub number: u8,
    /// Its transforms, in their order.
    pub transforms: Vec<Transform>,
}

impl Proposal {
    /// The transforms of a type, in their order.
    pub fn of(&self, ty: TransformType) -> impl Iterator<Item = &Transform> {
        self.transforms.iter().filter(move |one| one.ty == ty)
    }
}

/// A message, as far as it was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The initiator's SPI.
    pub initiator_spi: u64,
    /// The responder's SPI; 0 before it has one.
    pub responder_spi: u64,
    /// Major version, then minor version.
    pub version: (u8, u8),
    /// Which exchange it is of.
    pub exchange: Exchange,
    /// Whether the original initiator sent it.
    pub is_initiators: bool,
    /// Whether it answers another.
    pub is_response: bool,
    /// What is proposed; of an answer, what is chosen.
    pub proposals: Vec<Proposal>,
    /// Method of the key exchange that is begun.
    pub key_exchange: Option<u16>,
    /// Bytes of its key exchange data.
    pub key_exchange_bytes: usize,
    /// Numbers of its notifications, each once.
    pub notifications: Vec<u16>,
    /// With INVALID_KE_PAYLOAD: the method that is wanted.
    pub wanted_key_exchange: Option<u16>,
    /// Vendor ids.
    pub vendors: Vec<Box<[u8]>>,
    /// It is not there whole.
    pub is_cut: bool,
    /// A length in it says nothing that can be.
    pub is_malformed: bool,
    /// It came after four zeros.
    pub has_marker: bool,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|two| u16::from_be_bytes(*two))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|eight| u64::from_be_bytes(*eight))
}

impl Message {
    /// Reads a datagram. None: it has no header of IKEv2.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        // An initiator's SPI is never 0.
        let (bytes, has_marker) = ike::message(datagram);
        let (next, version, flags) = (*bytes.get(16)?, *bytes.get(17)?, *bytes.get(19)?);
        let len = usize::try_from(u32_at(bytes, 24)?).ok()?;
        if version >> 4 != 2 {
            return None;
        }
        let mut message = Self {
            initiator_spi: u64_at(bytes, 0)?,
            responder_spi: u64_at(bytes, 8)?,
            version: (version >> 4, version & 15),
            exchange: Exchange(*bytes.get(18)?),
            is_initiators: flags & 0x08 != 0,
            is_response: flags & 0x20 != 0,
            proposals: Vec::new(),
            key_exchange: None,
            key_exchange_bytes: 0,
            notifications: Vec::new(),
            wanted_key_exchange: None,
            vendors: Vec::new(),
            is_cut: false,
            is_malformed: len < HEADER_LEN,
            has_marker,
        };
        if message.exchange == Exchange::SA_INIT {
            message.is_cut = bytes.len() < len;
            let payloads = bytes.get(HEADER_LEN..bytes.len().min(len)).unwrap_or_default();
            message.read_payloads(next, payloads);
        }
        Some(message)
    }

    /// Whether it has a notification.
    pub fn notifies(&self, number: u16) -> bool {
        self.notifications.contains(&number)
    }

    /// The error that it tells, if it tells one.
    pub fn error(&self) -> Option<u16> {
        self.notifications.iter().copied().find(|number| *number < notify::STATUS)
    }

    /// The chain of payloads (RFC 7296 section 3.2).
    fn read_payloads(&mut self, mut next: u8, mut rest: &[u8]) {
        while next != 0 {
            let (Some(following), Some(len)) = (rest.first().copied(), u16_at(rest, 2).map(usize::from)) else {
                self.is_malformed |= !self.is_cut;
                return;
            };
            let Some(body_len) = len.checked_sub(4) else {
                self.is_malformed = true;
                return;
            };
            let after = rest.get(4..).unwrap_or_default();
            let is_whole = after.len() >= body_len;
            let (body, others) = after.split_at(body_len.min(after.len()));
            self.read_payload(next, body);
            if !is_whole {
                self.is_malformed |= !self.is_cut;
                return;
            }
            (next, rest) = (following, others);
        }
    }

    fn read_payload(&mut self, ty: u8, body: &[u8]) {
        match ty {
            33 => self.read_proposals(body),
            34 => {
                self.key_exchange = u16_at(body, 0);
                self.key_exchange_bytes = body.len().saturating_sub(4);
            }
            41 => self.read_notification(body),
            43 if self.vendors.len() < MAX_VENDORS => self.vendors.push(body.into()),
            _ => {}
        }
    }

    /// Section 3.10.
    fn read_notification(&mut self, body: &[u8]) {
        let (Some(spi_len), Some(number)) = (body.get(1), u16_at(body, 2)) else { return };
        if !self.notifications.contains(&number) {
            self.notifications.push(number);
        }
        if number == notify::INVALID_KE_PAYLOAD {
            self.wanted_key_exchange = u16_at(body, 4 + usize::from(*spi_len));
        }
    }

    /// Section 3.3.
    fn read_proposals(&mut self, mut rest: &[u8]) {
        while let (Some(len), false) = (u16_at(rest, 2).map(usize::from), self.proposals.len() == MAX_PROPOSALS) {
            let body = rest.get(..len.min(rest.len())).unwrap_or_default();
            let (Some(number), Some(spi_len)) = (body.get(4), body.get(6)) else {
                self.is_malformed |= len < 8;
                return;
            };
            let transforms = body.get(8 + usize::from(*spi_len)..).unwrap_or_default();
            let (transforms, is_right) = read_transforms(transforms);
            self.is_malformed |= !is_right;
            self.proposals.push(Proposal { number: *number, transforms });
            rest = rest.get(len..).unwrap_or_default();
        }
    }
}

/// Section 3.3.2; and whether all lengths can be.
fn read_transforms(mut rest: &[u8]) -> (Vec<Transform>, bool) {
    let mut found = Vec::new();
    while let (Some(len), false) = (u16_at(rest, 2).map(usize::from), found.len() == MAX_TRANSFORMS) {
        if len < 8 {
            return (found, false);
        }
        let body = rest.get(..len.min(rest.len())).unwrap_or_default();
        // One that is cut may lack the length of its key, and would be another.
        if body.len() < len {
            break;
        }
        let (Some(ty), Some(id)) = (body.get(4), u16_at(body, 6)) else { break };
        found.push(Transform { ty: TransformType(*ty), id, key_bits: key_bits(body.get(8..).unwrap_or_default()) });
        rest = rest.get(len..).unwrap_or_default();
    }
    (found, true)
}

/// The attribute Key Length, the only one there is (section 3.3.5).
fn key_bits(mut attributes: &[u8]) -> Option<u16> {
    loop {
        let (ty, value) = (u16_at(attributes, 0)?, u16_at(attributes, 2)?);
        if ty == 0x8000 | 14 {
            return Some(value);
        }
        let len = if ty & 0x8000 != 0 { 4 } else { 4 + usize::from(value) };
        attributes = attributes.get(len..)?;
    }
}
