//! Blocks: the checksummed unit. A block header frame, then one zstd frame of records.

use super::frame;
use crate::record::layout::{Le, layout};
use crate::record::{Header, Kind};

/// Opens the content of a block header frame: `CTBLOCK1`.
pub const BLOCK_MAGIC: u64 = u64::from_le_bytes(*b"CTBLOCK1");

/// Longest raw block a reader accepts, bytes; writers close a block at a fraction of this.
pub const MAX_RAW_LEN: usize = 8 << 20;

/// Longest block header frame, bytes.
pub(crate) const MAX_BLOCK_HEADER_FRAME: usize = 8 << 10;

/// Up to this many processes are listed; more make a Bloom filter.
pub const MAX_EXACT_TGIDS: usize = 64;

/// Size of the Bloom filter, bytes.
pub const BLOOM_BYTES: usize = 1024;

/// Bits set in the Bloom filter for each process.
const BLOOM_HASHES: u32 = 4;

/// Last block of a flush: everything captured up to now has been written.
pub(crate) const FLAG_FLUSH_END: u16 = 1 << 0;
/// The tgid summary is a Bloom filter, not a list.
pub(crate) const FLAG_BLOOM: u16 = 1 << 1;

layout! {
    /// Fixed part of a block header; the tgid summary follows.
    pub struct BlockHeaderFixed {
        /// [`BLOCK_MAGIC`].
        magic: u64,
        /// 1 lifecycle, 2 events; a reader skips others.
        block_type: u16,
        /// Bit 0: last block of a flush. Bit 1: the tgid summary is a Bloom filter.
        flags: u16,
        /// Length of the tgid summary, bytes.
        tgids_len: u32,
        /// Number of the block in its segment, from 0.
        sequence: u64,
        /// Number of its first record in its segment, from 0.
        first_record: u64,
        /// Records in it.
        record_count: u32,
        /// Length of the records, bytes.
        raw_len: u32,
        /// Length of the zstd frame that follows this header, bytes.
        compressed_len: u32,
        /// CRC32C of that zstd frame.
        payload_crc: u32,
        /// Earliest record time, `CLOCK_BOOTTIME` ns.
        min_time_ns: u64,
        /// Latest record time, `CLOCK_BOOTTIME` ns.
        max_time_ns: u64,
        /// Bit k: there are records of kind k; bit 63: of a kind from 63 on.
        kinds: u64,
        /// Records the kernel could not deliver, since the capture began.
        lost: u64,
        /// Records user space discarded, since the capture began.
        dropped: u64,
    }
}

/// What kind of records a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockType {
    /// Processes and the capture itself: what the analyzer's first pass reads.
    Lifecycle,
    /// Everything else.
    Events,
}

impl BlockType {
    fn code(self) -> u16 {
        match self {
            Self::Lifecycle => 1,
            Self::Events => 2,
        }
    }
}

/// Which processes have records in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TgidSummary {
    /// Exactly these, ascending.
    Exact(Vec<u32>),
    /// At least these.
    Bloom(Vec<u8>),
}

impl TgidSummary {
    /// False only when the block certainly has no record of this process.
    pub fn may_contain(&self, tgid: u32) -> bool {
        match self {
            Self::Exact(tgids) => tgids.binary_search(&tgid).is_ok(),
            Self::Bloom(bits) => bloom_bits(tgid, bits.len())
                .all(|bit| bits.get(bit >> 3).is_some_and(|byte| byte >> (bit & 7) & 1 == 1)),
        }
    }
}

/// The places of a process in a Bloom filter of `bytes` bytes: double hashing over two halves of a mixed word
/// (SplitMix64's finalizer).
fn bloom_bits(tgid: u32, bytes: usize) -> impl Iterator<Item = usize> {
    let mut word = u64::from(tgid).wrapping_add(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^= word >> 31;
    let (first, second) = (word & 0xffff_ffff, (word >> 32) | 1);
    let bits = (bytes as u64 * 8).max(1);
    (0..u64::from(BLOOM_HASHES)).map(move |i| {
        #[allow(clippy::cast_possible_truncation, reason = "less than bits, which came from a usize")]
        let bit = ((first + i * second) % bits) as usize;
        bit
    })
}

/// A block header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockHeader {
    /// What it holds.
    pub block_type: BlockType,
    /// Number of the block in its segment, from 0.
    pub sequence: u64,
    /// Number of its first record in its segment, from 0.
    pub first_record: u64,
    /// Records in it.
    pub record_count: u32,
    /// Earliest record time, `CLOCK_BOOTTIME` ns.
    pub min_time_ns: u64,
    /// Latest record time, `CLOCK_BOOTTIME` ns.
    pub max_time_ns: u64,
    /// Length of the records, bytes.
    pub raw_len: u32,
    /// Length of the zstd frame, bytes.
    pub compressed_len: u32,
    /// Bitmap of kinds, see [`Kind::bit`].
    pub kinds: u64,
    /// Which processes.
    pub tgids: TgidSummary,
    /// Records the kernel could not deliver, since the capture began.
    pub lost: u64,
    /// Records user space discarded, since the capture began.
    pub dropped: u64,
    /// Last block of a flush.
    pub flush_end: bool,
    /// CRC32C of the zstd frame.
    pub payload_crc: u32,
}

/// What a block header frame turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DecodedBlock {
    /// A block this program reads.
    Known(BlockHeader),
    /// A block of a type of a newer version, to be skipped.
    Unknown { compressed_len: u32 },
}

impl BlockHeader {
    /// Appends the header frame; returns its length.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> usize {
        let mut flags = if self.flush_end { FLAG_FLUSH_END } else { 0 };
        let tgids_len = match &self.tgids {
            TgidSummary::Exact(tgids) => tgids.len() * 4,
            TgidSummary::Bloom(bits) => {
                flags |= FLAG_BLOOM;
                bits.len()
            }
        };
        let fixed = BlockHeaderFixed {
            magic: BLOCK_MAGIC,
            block_type: self.block_type.code(),
            flags,
            tgids_len: u32::try_from(tgids_len).unwrap_or(u32::MAX),
            sequence: self.sequence,
            first_record: self.first_record,
            record_count: self.record_count,
            raw_len: self.raw_len,
            compressed_len: self.compressed_len,
            payload_crc: self.payload_crc,
            min_time_ns: self.min_time_ns,
            max_time_ns: self.max_time_ns,
            kinds: self.kinds,
            lost: self.lost,
            dropped: self.dropped,
        };
        frame::encode(out, |out| {
            fixed.encode(out);
            match &self.tgids {
                TgidSummary::Exact(tgids) => tgids.iter().for_each(|tgid| tgid.put(out)),
                TgidSummary::Bloom(bits) => out.extend_from_slice(bits),
            }
        })
    }

    /// Decodes a whole, checksummed frame; `None` when it is no block header.
    pub(crate) fn decode(bytes: &[u8]) -> Option<DecodedBlock> {
        let content = frame::content(bytes)?;
        let fixed = BlockHeaderFixed::decode(content);
        if fixed.magic != BLOCK_MAGIC || content.len() < BlockHeaderFixed::SIZE {
            return None;
        }
        let tgids_len = usize::try_from(fixed.tgids_len).ok()?;
        let tgids = content.get(BlockHeaderFixed::SIZE..)?.get(..tgids_len)?;
        let raw_len = usize::try_from(fixed.raw_len).ok()?;
        if raw_len > MAX_RAW_LEN || fixed.compressed_len as usize > MAX_RAW_LEN + (1 << 20) {
            return None;
        }
        let block_type = match fixed.block_type {
            1 => BlockType::Lifecycle,
            2 => BlockType::Events,
            _ => return Some(DecodedBlock::Unknown { compressed_len: fixed.compressed_len }),
        };
        let tgids = if fixed.flags & FLAG_BLOOM != 0 {
            TgidSummary::Bloom(tgids.to_vec())
        } else {
            TgidSummary::Exact(tgids.chunks_exact(4).map(|chunk| u32::get(chunk, 0)).collect())
        };
        Some(DecodedBlock::Known(Self {
            block_type,
            sequence: fixed.sequence,
            first_record: fixed.first_record,
            record_count: fixed.record_count,
            min_time_ns: fixed.min_time_ns,
            max_time_ns: fixed.max_time_ns,
            raw_len: fixed.raw_len,
            compressed_len: fixed.compressed_len,
            kinds: fixed.kinds,
            tgids,
            lost: fixed.lost,
            dropped: fixed.dropped,
            flush_end: fixed.flags & FLAG_FLUSH_END != 0,
            payload_crc: fixed.payload_crc,
        }))
    }
}

/// Records gathered for one block: what the drain thread hands to the writer thread.
#[derive(Debug)]
pub struct BlockBuilder {
    block_type: BlockType,
    raw: Vec<u8>,
    record_count: u32,
    min_time_ns: u64,
    max_time_ns: u64,
    kinds: u64,
    /// Records by kind number; the last counts all from 63 on.
    kind_counts: [u32; 64],
    last_tgid: Option<u32>,
    tgids: Vec<u32>,
    bloom: Vec<u8>,
}

impl BlockBuilder {
    /// An empty block with room for `capacity_bytes` of records.
    pub fn new(block_type: BlockType, capacity_bytes: usize) -> Self {
        Self {
            block_type,
            raw: Vec::with_capacity(capacity_bytes),
            record_count: 0,
            min_time_ns: u64::MAX,
            max_time_ns: 0,
            kinds: 0,
            kind_counts: [0; 64],
            last_tgid: None,
            tgids: Vec::new(),
            bloom: Vec::new(),
        }
    }

    /// Appends one whole record. `record` must be well formed and `header` its header.
    #[inline]
    pub fn push(&mut self, header: &Header, record: &[u8]) {
        self.raw.extend_from_slice(record);
        self.record_count += 1;
        self.min_time_ns = self.min_time_ns.min(header.time_ns);
        self.max_time_ns = self.max_time_ns.max(header.time_ns);
        self.kinds |= Kind(header.kind).bit();
        if let Some(count) = self.kind_counts.get_mut(usize::from(header.kind.min(63))) {
            *count += 1;
        }
        if self.last_tgid != Some(header.tgid) {
            self.last_tgid = Some(header.tgid);
            self.note_tgid(header.tgid);
        }
    }

    fn note_tgid(&mut self, tgid: u32) {
        if self.bloom.is_empty() {
            if self.tgids.contains(&tgid) {
                return;
            }
            if self.tgids.len() < MAX_EXACT_TGIDS {
                self.tgids.push(tgid);
                return;
            }
            self.bloom.resize(BLOOM_BYTES, 0);
            for known in std::mem::take(&mut self.tgids) {
                set_bloom(&mut self.bloom, known);
            }
        }
        set_bloom(&mut self.bloom, tgid);
    }

    /// Bytes of records in it.
    pub fn len_bytes(&self) -> usize {
        self.raw.len()
    }

    /// Records in it.
    pub fn record_count(&self) -> u32 {
        self.record_count
    }

    /// Whether it has no record.
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Its records.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Records by kind number; kinds from 63 on are counted together under 63.
    pub(crate) fn kind_counts(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        (0u16..).zip(&self.kind_counts).filter(|(_, count)| **count > 0).map(|(kind, count)| (kind, u64::from(*count)))
    }

    /// Changes what kind of block an empty builder is for.
    pub fn set_type(&mut self, block_type: BlockType) {
        self.block_type = block_type;
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        *self = Self { raw, ..Self::new(self.block_type, 0) };
    }

    /// The header of this block, but for what only the compressed payload can tell.
    pub(crate) fn header(&self, sequence: u64, first_record: u64, payload: &[u8]) -> BlockHeader {
        let tgids = if self.bloom.is_empty() {
            let mut tgids = self.tgids.clone();
            tgids.sort_unstable();
            TgidSummary::Exact(tgids)
        } else {
            TgidSummary::Bloom(self.bloom.clone())
        };
        BlockHeader {
            block_type: self.block_type,
            sequence,
            first_record,
            record_count: self.record_count,
            min_time_ns: self.min_time_ns,
            max_time_ns: self.max_time_ns,
            raw_len: u32::try_from(self.raw.len()).unwrap_or(u32::MAX),
            compressed_len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            kinds: self.kinds,
            tgids,
            lost: 0,
            dropped: 0,
            flush_end: false,
            payload_crc: crc32c::crc32c(payload),
        }
    }
}

fn set_bloom(bits: &mut [u8], tgid: u32) {
    for bit in bloom_bits(tgid, bits.len()) {
        if let Some(byte) = bits.get_mut(bit >> 3) {
            *byte |= 1 << (bit & 7);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(tgids: impl Iterator<Item = u32>) -> BlockBuilder {
        let mut block = BlockBuilder::new(BlockType::Events, 0);
        for tgid in tgids {
            block.push(&Header { tgid, kind: 4, time_ns: u64::from(tgid), ..Header::default() }, &[0; 64]);
        }
        block
    }

    #[test]
    fn a_block_never_denies_a_process_it_has() {
        for count in [1, 63, 64, 65, 500] {
            let header = builder(1..=count).header(0, 0, &[]);
            assert!((1..=count).all(|tgid| header.tgids.may_contain(tgid)), "{count} processes");
            assert_eq!(matches!(header.tgids, TgidSummary::Exact(_)), count <= 64);
            let wrong = (10_000..20_000).filter(|tgid| header.tgids.may_contain(*tgid)).count();
            assert!(wrong < 500, "{wrong} of 10000 false positives with {count} processes");
        }
    }

    #[test]
    fn a_header_reads_back_as_written() {
        for count in [1, 100] {
            let header = BlockHeader { lost: 3, flush_end: true, ..builder(1..=count).header(7, 9, b"payload") };
            let mut bytes = Vec::new();
            assert_eq!(header.encode(&mut bytes), bytes.len());
            assert_eq!(BlockHeader::decode(&bytes), Some(DecodedBlock::Known(header)));
        }
    }
}
