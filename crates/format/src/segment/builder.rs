//! Records gathered for one block, on the capture's hot path: a push is a copy and a few compares.

use super::block::BlockType;
use super::tgids::{TgidSet, TgidSummary};
use super::{MAX_BLOCK_RAW_BYTES, Totals};
use crate::record::{Header, Kind, MAX_BITMAP_KIND};

/// Kinds below this are counted in an array.
const COUNTED_KINDS: usize = MAX_BITMAP_KIND as usize;

/// Records gathered for one block: what the drain thread hands to the writer thread.
pub struct BlockBuilder {
    pub(crate) block_type: BlockType,
    raw: Vec<u8>,
    record_count: u32,
    min_time_ns: u64,
    max_time_ns: u64,
    by_kind: [u32; COUNTED_KINDS],
    /// Kinds above the array; a linear list, as no version has any yet.
    other_kinds: Vec<(u16, u32)>,
    tgids: TgidSet,
}

impl BlockBuilder {
    /// An empty block with room for `capacity_bytes` of records.
    pub fn new(block_type: BlockType, capacity_bytes: usize) -> Self {
        Self {
            block_type,
            raw: Vec::with_capacity(capacity_bytes.min(MAX_BLOCK_RAW_BYTES)),
            record_count: 0,
            min_time_ns: u64::MAX,
            max_time_ns: 0,
            by_kind: [0; COUNTED_KINDS],
            other_kinds: Vec::new(),
            tgids: TgidSet::new(),
        }
    }

    /// Appends one whole record's bytes (well-formed; the caller parsed its header).
    ///
    /// Past its capacity the block grows. One beyond [`MAX_BLOCK_RAW_BYTES`] cannot be written, see [`Self::fits`].
    #[inline]
    pub fn push(&mut self, header: &Header, record: &[u8]) {
        debug_assert_eq!(header.len as usize, record.len(), "header and bytes of different records");
        self.raw.extend_from_slice(record);
        self.record_count += 1;
        self.min_time_ns = self.min_time_ns.min(header.time_ns);
        self.max_time_ns = self.max_time_ns.max(header.time_ns);
        match self.by_kind.get_mut(usize::from(header.kind)) {
            Some(count) => *count += 1,
            None => self.count_other(header.kind),
        }
        self.tgids.insert(header.tgid);
    }

    #[cold]
    fn count_other(&mut self, kind: u16) {
        match self.other_kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.other_kinds.push((kind, 1)),
        }
    }

    /// What the block holds.
    pub fn block_type(&self) -> BlockType {
        self.block_type
    }

    /// Bytes of records so far.
    pub fn len_bytes(&self) -> usize {
        self.raw.len()
    }

    /// Records so far.
    pub fn record_count(&self) -> u32 {
        self.record_count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Whether `record_len` more bytes stay within what a block can be.
    pub fn fits(&self, record_len: usize) -> bool {
        record_len <= MAX_BLOCK_RAW_BYTES.saturating_sub(self.raw.len())
    }

    /// Earliest and latest time of its records, `None` when empty.
    pub fn time_range_ns(&self) -> Option<(u64, u64)> {
        (!self.is_empty()).then_some((self.min_time_ns, self.max_time_ns))
    }

    /// The records, one after the other.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Records of each kind, ascending by kind, without zeros.
    pub fn by_kind(&self) -> impl Iterator<Item = (Kind, u32)> {
        let counted = (0u16..).zip(self.by_kind).filter(|(_, count)| *count > 0);
        let mut others = self.other_kinds.clone();
        others.sort_unstable();
        counted.chain(others).map(|(kind, count)| (Kind(kind), count))
    }

    /// Changes what kind of block an empty builder is for.
    pub fn set_type(&mut self, block_type: BlockType) {
        debug_assert!(self.is_empty(), "the type of a block with records is fixed");
        self.block_type = block_type;
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.raw.clear();
        self.record_count = 0;
        (self.min_time_ns, self.max_time_ns) = (u64::MAX, 0);
        self.by_kind = [0; COUNTED_KINDS];
        self.other_kinds.clear();
        self.tgids.clear();
    }

    /// (min, max) as a block header has them.
    pub(crate) fn times(&self) -> (u64, u64) {
        (self.min_time_ns, self.max_time_ns)
    }

    pub(crate) fn kinds_bitmap(&self) -> u64 {
        self.by_kind().fold(0, |bits, (kind, _)| bits | kind.bit())
    }

    pub(crate) fn tgid_summary(&self) -> TgidSummary {
        self.tgids.summary()
    }

    /// Adds this block's records to `totals`; the file's bytes are not its business.
    pub(crate) fn add_to(&self, totals: &mut Totals) {
        totals.blocks += 1;
        totals.records += u64::from(self.record_count);
        totals.raw_bytes += self.raw.len() as u64;
        for (kind, count) in self.by_kind() {
            totals.add_kind(kind.0, u64::from(count));
        }
    }
}
