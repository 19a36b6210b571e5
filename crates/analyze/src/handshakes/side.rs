//! One direction of a connection: pieces of its stream, put in order.

/// Pieces that are kept of one direction. A capture sends at most 32 KiB, some dozens of packets; more when they are tiny.
const MAX_PIECES: usize = 256;

/// Bytes that are kept of one direction.
const MAX_SIDE_BYTES: usize = 64 << 10;

/// Bytes of one direction at a place in its stream.
#[derive(Debug)]
pub(super) struct Piece {
    pub offset: u32,
    pub time_ns: u64,
    /// Packets are missing before it.
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
        if let Some(same) = self.pieces.iter_mut().find(known) {
            same.time_ns = same.time_ns.min(piece.time_ns);
            return 0;
        }
        let at = self.pieces.partition_point(|other| (other.offset, other.time_ns) <= (piece.offset, piece.time_ns));
        let bytes = piece.data.len();
        self.bytes += bytes;
        self.pieces.insert(at, piece);
        bytes
    }

    /// The TLS records in order, and whether some are missing. What capture left out between them on purpose are whole
    /// records.
    pub(super) fn assemble(&self) -> (Vec<u8>, bool) {
        let mut bytes: Vec<u8> = Vec::new();
        let mut end = 0u32;
        for piece in &self.pieces {
            if piece.after_gap {
                return (bytes, true);
            }
            // The same bytes again: a retransmission that both were seen of.
            let known = usize::try_from(end.saturating_sub(piece.offset)).unwrap_or(usize::MAX);
            bytes.extend_from_slice(piece.data.get(known..).unwrap_or_default());
            end = end.max(piece.end());
        }
        (bytes, false)
    }

    /// When its first bytes were seen, boot time.
    pub(super) fn first_ns(&self) -> Option<u64> {
        self.pieces.iter().map(|piece| piece.time_ns).min()
    }

    /// Where in the stream they are.
    pub(super) fn first_offset(&self) -> u32 {
        self.pieces.first().map_or(0, |piece| piece.offset)
    }
}
