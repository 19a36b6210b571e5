//! One direction of an SSH connection, up to where it is encrypted.

use super::banner::Banner;
use super::kexinit::KexInit;
use super::reader::mpint_bits;
use crate::protocol::Chunk;

/// Numbers of messages: RFC 4253 section 12, RFC 4419 section 5, RFC 5656 section 4.
pub mod message {
    /// A side ends the connection.
    pub const DISCONNECT: u8 = 1;
    /// What a side offers.
    pub const KEXINIT: u8 = 20;
    /// From here on it is encrypted.
    pub const NEWKEYS: u8 = 21;
    /// The client's part of the key exchange; of one in which the server chooses the group, the old form of asking for it.
    pub const KEX_INIT: u8 = 30;
    /// The server's part; where it chooses the group, the group.
    pub const KEX_REPLY: u8 = 31;
    /// The client's part, where the server chose the group.
    pub const KEX_GEX_INIT: u8 = 32;
    /// The server's part, where it chose the group.
    pub const KEX_GEX_REPLY: u8 = 33;
    /// The client asks for a group.
    pub const KEX_GEX_REQUEST: u8 = 34;
}

/// Packets of a stream that are looked at; a key exchange takes five.
const MAX_PACKETS: usize = 64;

/// Longest packet, RFC 4253 section 6.1.
const MAX_PACKET_LEN: usize = 35_000;

/// Length, padding, number of the message.
const HEAD: usize = 6;

/// The first string of a message, as far as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FirstString {
    pub len: usize,
    pub bytes: Vec<u8>,
}

impl FirstString {
    /// How many bits it has as a number, where all of it was recorded.
    pub fn as_number_bits(&self) -> Option<u32> {
        (self.bytes.len() == self.len).then(|| mpint_bits(&self.bytes)).flatten()
    }
}

/// What one side says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// Its opening line.
    pub banner: Option<Banner>,
    /// What it offers.
    pub kexinit: Option<KexInit>,
    /// Its messages, by number, in their order.
    pub messages: Vec<u8>,
    /// Why it disconnects, by number.
    pub disconnect: Option<u32>,
    /// The first string of its messages [`message::KEX_REPLY`] and [`message::KEX_GEX_REPLY`].
    pub(super) reply: Option<FirstString>,
    pub(super) gex_reply: Option<FirstString>,
    /// The last message is there in part only: its number, or 0 for the opening line.
    pub incomplete: Option<u8>,
    /// What came was no packet.
    pub is_malformed: bool,
}

impl Stream {
    /// Reads a stream from its beginning, without holes.
    pub fn parse(bytes: &[u8]) -> Self {
        Self::parse_chunks(&[Chunk { offset: 0, bytes }])
    }

    /// Reads a stream of which there are these pieces, in their order. Between them are holes: in messages of which only the
    /// first bytes are of use.
    pub fn parse_chunks(chunks: &[Chunk<'_>]) -> Self {
        let pieces = Pieces::new(chunks);
        let mut stream = Self::default();
        let Some(mut at) = pieces.start() else { return stream };
        let Some((banner, len)) = Banner::parse(pieces.from(at)) else {
            stream.is_malformed = true;
            return stream;
        };
        let is_complete = banner.is_complete;
        stream.banner = Some(banner);
        if !is_complete {
            stream.incomplete = Some(0);
            return stream;
        }
        at += len;
        while stream.messages.len() < MAX_PACKETS {
            let bytes = pieces.from(at);
            let Some([a, b, c, d, padding, number]) = bytes.first_chunk::<HEAD>().copied() else { break };
            let len = u32::from_be_bytes([a, b, c, d]) as usize;
            if len > MAX_PACKET_LEN || len < usize::from(padding) + 2 {
                stream.is_malformed = true;
                break;
            }
            let body_len = len - usize::from(padding) - 2;
            let rest = bytes.get(HEAD..).unwrap_or_default();
            let body = rest.get(..body_len.min(rest.len())).unwrap_or_default();
            stream.messages.push(number);
            stream.take(number, body, body_len);
            if number == message::NEWKEYS {
                break;
            }
            at += 4 + len;
        }
        stream
    }

    /// Takes in a message, of whose `len` bytes `body` was recorded.
    fn take(&mut self, number: u8, body: &[u8], len: usize) {
        let string = || {
            let (head, rest) = body.split_first_chunk::<4>()?;
            let len = u32::from_be_bytes(*head) as usize;
            Some(FirstString { len, bytes: rest.get(..len.min(rest.len())).unwrap_or_default().to_vec() })
        };
        match number {
            message::KEXINIT if self.kexinit.is_none() => {
                self.kexinit = Some(KexInit::parse(body));
                if body.len() < len {
                    self.incomplete = Some(number);
                }
            }
            message::DISCONNECT => self.disconnect = body.first_chunk().map(|code| u32::from_be_bytes(*code)),
            message::KEX_REPLY if self.reply.is_none() => self.reply = string(),
            message::KEX_GEX_REPLY if self.gex_reply.is_none() => self.gex_reply = string(),
            _ => {}
        }
        let is_cut = |reply: &Option<FirstString>| reply.as_ref().is_some_and(|one| one.bytes.len() < one.len);
        if (number == message::KEX_REPLY && is_cut(&self.reply))
            || (number == message::KEX_GEX_REPLY && is_cut(&self.gex_reply))
        {
            self.incomplete = Some(number);
        }
    }

    /// Whether it sent this message.
    pub fn has(&self, number: u8) -> bool {
        self.messages.contains(&number)
    }
}

/// The bytes of a stream, in runs without holes.
struct Pieces {
    runs: Vec<(usize, Vec<u8>)>,
}

impl Pieces {
    fn new(chunks: &[Chunk<'_>]) -> Self {
        let mut runs: Vec<(usize, Vec<u8>)> = Vec::new();
        for chunk in chunks {
            let offset = chunk.offset as usize;
            match runs.last_mut() {
                Some((start, bytes)) if *start + bytes.len() == offset => bytes.extend_from_slice(chunk.bytes),
                _ => runs.push((offset, chunk.bytes.to_vec())),
            }
        }
        Self { runs }
    }

    fn start(&self) -> Option<usize> {
        self.runs.first().map(|(start, _)| *start)
    }

    /// What there is from a place on, up to the next hole.
    fn from(&self, at: usize) -> &[u8] {
        let run = self.runs.iter().rev().find(|(start, _)| *start <= at);
        run.and_then(|(start, bytes)| bytes.get(at - start..)).unwrap_or_default()
    }
}
