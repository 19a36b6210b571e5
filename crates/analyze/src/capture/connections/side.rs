//! One direction of a connection: pieces of its stream, put in order.

use crate::protocol::{Chunk, Said};

/// Pieces that are kept of one direction. A capture sends at most 32 KiB, some dozens of packets; more when they are tiny.
const MAX_PIECES: usize = 256;

/// Bytes that are kept of one direction.
const MAX_SIDE_BYTES: usize = 64 << 10;

/// Bytes of one direction at a place in its stream.
#[derive(Debug)]
pub(super) struct Piece {
    pub offset: u32,
    pub time_ns: u64,
    /// Bytes before it are missing.
    pub after_gap: bool,
    pub data: Box<[u8]>,
}

impl Piece {
    /// Where the bytes after it are.
    fn end(&self) -> u32 {
        self.offset.saturating_add(u32::try_from(self.data.len()).unwrap_or(u32::MAX))
    }
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Side {
    /// By offset, then by time.
    pieces: Vec<Piece>,
    bytes: usize,
}

impl Side {
    /// Whether there is room for a piece of this length.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.pieces.len() < MAX_PIECES && self.bytes.saturating_add(len) <= MAX_SIDE_BYTES
    }

    /// Puts a piece in its place. One that says nothing new, because it was sent again, is not kept. Returns the bytes
    /// that it takes.
    pub(super) fn add(&mut self, piece: Piece) -> usize {
        let known = |other: &&mut Piece| other.offset == piece.offset && other.end() >= piece.end() && !other.after_gap;
        let says_more = piece.after_gap || piece.data.is_empty();
        if let Some(same) = self.pieces.iter_mut().find(known).filter(|_| !says_more) {
            same.time_ns = same.time_ns.min(piece.time_ns);
            return 0;
        }
        let at = self.pieces.partition_point(|other| (other.offset, other.time_ns) <= (piece.offset, piece.time_ns));
        let bytes = piece.data.len();
        self.bytes += bytes;
        if self.pieces.is_empty() {
            // Most are one packet, and a vector begins with room for four.
            self.pieces.reserve_exact(1);
        }
        self.pieces.insert(at, piece);
        bytes
    }

    /// The bytes in order, each once, up to the first that are missing; and whether some are. What capture left out on
    /// purpose is not missing: see [`Stream::parse_chunks`](crate::protocol::tls::Stream::parse_chunks).
    pub(super) fn chunks(&self) -> (Vec<Chunk<'_>>, bool) {
        let mut chunks: Vec<Chunk<'_>> = Vec::new();
        let mut end = 0u32;
        for piece in &self.pieces {
            if piece.after_gap {
                return (chunks, true);
            }
            // The same bytes again: a retransmission that both were seen of.
            let known = end.saturating_sub(piece.offset);
            let bytes = piece.data.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default();
            if !bytes.is_empty() {
                chunks.push(Chunk { offset: piece.offset + known, bytes });
            }
            end = end.max(piece.end());
        }
        (chunks, false)
    }

    /// What was said in this direction, as far as it was seen.
    pub(super) fn said(&self) -> Said<'_> {
        let (chunks, gap) = self.chunks();
        let (first_ns, last_ns) = (self.first_ns(), self.last_ns());
        Said { chunks, gap, first_ns, last_ns, first_offset: self.first_offset() }
    }

    /// Whether this was sent there, by the first bytes of its stream. None: they were not seen of one of them.
    pub(super) fn is_beginning_of(&self, other: &Self) -> Option<bool> {
        fn first(side: &Side) -> Option<&Piece> {
            side.pieces.first().filter(|piece| side.has_beginning() && !piece.data.is_empty())
        }
        let (one, other) = (first(self)?, first(other)?);
        let len = one.data.len().min(other.data.len());
        Some(one.data.get(..len) == other.data.get(..len))
    }

    /// Whether a datagram of these was seen there, too. None: none was seen of one of them.
    pub(super) fn shares_datagram(&self, other: &Self) -> Option<bool> {
        if self.pieces.is_empty() || other.pieces.is_empty() {
            return None;
        }
        let seen = |piece: &Piece| other.pieces.iter().any(|one| one.data == piece.data);
        Some(self.pieces.iter().any(seen))
    }

    /// When its first bytes were seen, boot time.
    fn first_ns(&self) -> Option<u64> {
        self.pieces.iter().map(|piece| piece.time_ns).min()
    }

    /// When its last bytes were seen, boot time.
    fn last_ns(&self) -> Option<u64> {
        self.pieces.iter().rev().find(|piece| !piece.data.is_empty()).map(|piece| piece.time_ns)
    }

    /// Whether its stream was seen from its beginning.
    pub(super) fn has_beginning(&self) -> bool {
        self.pieces.first().is_some_and(|piece| piece.offset == 0 && !piece.after_gap)
    }

    /// Where in the stream they are.
    fn first_offset(&self) -> u32 {
        self.pieces.first().map_or(0, |piece| piece.offset)
    }
}
