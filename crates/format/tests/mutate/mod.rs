//! Mutations that are the same in every run: for the fuzz tests of all crates. See CONTRIBUTING.md.
#![allow(dead_code, clippy::unwrap_used, clippy::cast_possible_truncation, clippy::indexing_slicing)]

/// SplitMix64: enough to choose by, and the same everywhere.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A run's sequence, by its number.
    pub fn new(seed: u64, round: u64) -> Self {
        let mut rng = Self(seed ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        rng.next();
        rng
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Numbers at which something may turn over.
pub const EDGES: [u64; 14] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX - 1,
    u64::MAX,
];

/// Changes a few bytes: flips, edges of numbers, pieces cut out, doubled or put elsewhere.
pub fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len());
        let len = rng.below(16).min(bytes.len() - at);
        match rng.below(8) {
            0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << rng.below(8),
            2 if !bytes.is_empty() => bytes[at] = rng.next() as u8,
            3 | 4 => overwrite(bytes, at, rng),
            5 => {
                bytes.drain(at..at + len);
            }
            6 => {
                let piece = bytes[at..at + len].to_vec();
                let to = rng.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => bytes.truncate(if rng.one_in(4) { at } else { bytes.len() }),
        }
    }
}

/// Puts a number at which something may turn over, and a width that fits, in place of what is there.
pub fn overwrite(bytes: &mut [u8], at: usize, rng: &mut Rng) {
    let width = *rng.pick(&[1, 2, 4, 8]);
    let edge = rng.pick(&EDGES).wrapping_add(rng.below(3) as u64).wrapping_sub(1);
    for (to, from) in bytes.iter_mut().skip(at).take(width).zip(edge.to_le_bytes()) {
        *to = from;
    }
}

/// How many rounds: as many as `CRYPTO_TRACE_FUZZ_ROUNDS` says, or those that fit into a test.
pub fn rounds(default: u64) -> u64 {
    std::env::var("CRYPTO_TRACE_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Where the rounds begin: `CRYPTO_TRACE_FUZZ_SEED`, or always the same.
pub fn seed() -> u64 {
    std::env::var("CRYPTO_TRACE_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(15)
}

/// Runs `round` with its sequence, on all cores where there are many rounds. Says which round it was when it panics.
pub fn run(default: u64, round: impl Fn(&mut Rng) + Sync) {
    let (rounds, seed) = (rounds(default), seed());
    let threads = if rounds > default { std::thread::available_parallelism().map_or(1, usize::from) as u64 } else { 1 };
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let round = &round;
            scope.spawn(move || {
                for number in (thread..rounds).step_by(threads as usize) {
                    let told = Told(seed, number);
                    round(&mut Rng::new(seed, number));
                    std::mem::forget(told);
                }
            });
        }
    });
}

/// Says where it was when something panics.
struct Told(u64, u64);

impl Drop for Told {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        eprintln!("fuzz: seed {}, round {}", self.0, self.1);
    }
}
