//! Which processes have records in a block: an exact list while there are few, a Bloom filter above that.
//!
//! Bloom filter: a power of two of bytes, from 8 to 4096. A tgid sets four bits. With `h = mix(tgid)` of 64 bits, bit number
//! `(h >> 16 * i) & 0xffff` modulo the number of bits, for i in 0..4; bit n is bit `n % 8` of byte `n / 8`.

/// Most tgids an exact list holds.
pub(crate) const MAX_EXACT_TGIDS: usize = 64;

/// Size of the filters this version writes: 1 % false positives at 400 processes in a block.
const BLOOM_BYTES: usize = 512;

/// Largest filter a reader accepts.
pub(crate) const MAX_BLOOM_BYTES: usize = 4096;

/// Which processes have records in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TgidSummary {
    /// All of them, ascending.
    Exact(Vec<u32>),
    /// A Bloom filter: tells some that are not there, never misses one that is.
    Bloom(Vec<u8>),
}

impl TgidSummary {
    /// Whether the process may have records in the block; `false` is certain.
    pub fn may_contain(&self, tgid: u32) -> bool {
        match self {
            Self::Exact(list) => list.binary_search(&tgid).is_ok(),
            Self::Bloom(bits) => bloom_bits(tgid, bits.len())
                .into_iter()
                .all(|(byte, mask)| bits.get(byte).is_none_or(|bits| bits & mask != 0)),
        }
    }

    /// Bytes it takes in a block header.
    pub(crate) fn encoded_len(&self) -> usize {
        match self {
            Self::Exact(list) => list.len() * 4,
            Self::Bloom(bits) => bits.len(),
        }
    }

    /// `tgid_form` and bytes.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Exact(list) => list.iter().for_each(|tgid| out.extend_from_slice(&tgid.to_le_bytes())),
            Self::Bloom(bits) => out.extend_from_slice(bits),
        }
    }

    /// `tgid_form` in a block header.
    pub(crate) fn form(&self) -> u16 {
        match self {
            Self::Exact(_) => 1,
            Self::Bloom(_) => 2,
        }
    }

    /// Decodes the bytes of a block header.
    pub(crate) fn decode(form: u16, bytes: &[u8]) -> Option<Self> {
        match form {
            1 if bytes.len().is_multiple_of(4) && bytes.len() <= MAX_EXACT_TGIDS * 4 => {
                let list: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect();
                list.is_sorted_by(|a, b| a < b).then_some(Self::Exact(list))
            }
            2 if bytes.len().is_power_of_two() && (8..=MAX_BLOOM_BYTES).contains(&bytes.len()) => {
                Some(Self::Bloom(bytes.to_vec()))
            }
            _ => None,
        }
    }
}

/// The byte and mask of each of a tgid's four bits.
fn bloom_bits(tgid: u32, len: usize) -> [(usize, u8); 4] {
    let [a, b, c, d, e, f, g, h] = mix(tgid).to_le_bytes();
    [[a, b], [c, d], [e, f], [g, h]].map(|slice| {
        let bit = usize::from(u16::from_le_bytes(slice)) % (len * 8).max(1);
        (bit / 8, 1 << (bit % 8))
    })
}

/// The splitmix64 finalizer (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
fn mix(tgid: u32) -> u64 {
    let mut z = u64::from(tgid).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

const SLOTS: usize = 256;

/// The tgids of a block being filled. Sized for the hot path: a run of one process costs a compare, a new or known
/// process a hash and a probe or two.
pub(crate) struct TgidSet {
    last: Option<u32>,
    count: usize,
    exact: [u32; MAX_EXACT_TGIDS],
    /// Open addressing: 0, or 1 + the place in `exact`.
    slots: [u8; SLOTS],
    bloom: Option<Box<[u8; BLOOM_BYTES]>>,
}

impl TgidSet {
    pub(crate) fn new() -> Self {
        Self { last: None, count: 0, exact: [0; MAX_EXACT_TGIDS], slots: [0; SLOTS], bloom: None }
    }

    pub(crate) fn clear(&mut self) {
        (self.last, self.count) = (None, 0);
        self.slots = [0; SLOTS];
        self.bloom = None;
    }

    #[inline]
    pub(crate) fn insert(&mut self, tgid: u32) {
        if self.last != Some(tgid) {
            self.last = Some(tgid);
            self.insert_other(tgid);
        }
    }

    fn insert_other(&mut self, tgid: u32) {
        if let Some(bloom) = &mut self.bloom {
            return set_bits(bloom, tgid);
        }
        let mut slot = (tgid.wrapping_mul(0x9E37_79B1) >> 24) as usize;
        while let Some(place) = self.slots.get_mut(slot) {
            match usize::from(*place).checked_sub(1).and_then(|index| self.exact.get(index)) {
                Some(known) if *known == tgid => return,
                Some(_) => slot = (slot + 1) % SLOTS,
                None => {
                    let Some(free) = self.exact.get_mut(self.count) else { break };
                    *free = tgid;
                    self.count += 1;
                    *place = u8::try_from(self.count).unwrap_or(0);
                    return;
                }
            }
        }
        let mut bloom = Box::new([0; BLOOM_BYTES]);
        self.exact.iter().for_each(|&known| set_bits(&mut bloom, known));
        set_bits(&mut bloom, tgid);
        self.bloom = Some(bloom);
    }

    pub(crate) fn summary(&self) -> TgidSummary {
        match &self.bloom {
            Some(bloom) => TgidSummary::Bloom(bloom.to_vec()),
            None => {
                let mut list = self.exact.get(..self.count).unwrap_or_default().to_vec();
                list.sort_unstable();
                TgidSummary::Exact(list)
            }
        }
    }
}

fn set_bits(bloom: &mut [u8; BLOOM_BYTES], tgid: u32) {
    for (byte, mask) in bloom_bits(tgid, BLOOM_BYTES) {
        if let Some(bits) = bloom.get_mut(byte) {
            *bits |= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(tgids: impl IntoIterator<Item = u32>) -> TgidSummary {
        let mut set = TgidSet::new();
        tgids.into_iter().for_each(|tgid| set.insert(tgid));
        set.summary()
    }

    #[test]
    fn up_to_64_tgids_are_exact() {
        assert_eq!(summary([7, 7, 3, 7, 0, u32::MAX]), TgidSummary::Exact(vec![0, 3, 7, u32::MAX]));
        let many = summary((0..64).map(|i| i * 1000));
        assert!(matches!(&many, TgidSummary::Exact(list) if list.len() == 64));
        assert!(many.may_contain(5000) && !many.may_contain(5001));
    }

    #[test]
    fn a_65th_tgid_makes_a_filter_that_misses_none() {
        let many = summary((0..400).map(|i| i * 7));
        assert!(matches!(many, TgidSummary::Bloom(_)));
        assert!((0..400).all(|i| many.may_contain(i * 7)));
        let false_positives = (100_000..110_000).filter(|&tgid| many.may_contain(tgid)).count();
        assert!(false_positives < 300, "{false_positives} of 10000");
    }

    #[test]
    fn a_summary_reads_back_and_a_bad_one_is_refused() {
        for summary in [summary([]), summary([1, 2]), summary(0..500)] {
            let mut bytes = Vec::new();
            summary.encode(&mut bytes);
            assert_eq!(bytes.len(), summary.encoded_len());
            assert_eq!(TgidSummary::decode(summary.form(), &bytes), Some(summary));
        }
        assert_eq!(TgidSummary::decode(1, &[2, 0, 0, 0, 1, 0, 0, 0]), None, "not ascending");
        assert_eq!(TgidSummary::decode(1, &[2, 0, 0]), None);
        assert_eq!(TgidSummary::decode(2, &[0; 24]), None, "not a power of two");
        assert_eq!(TgidSummary::decode(3, &[]), None);
    }
}
