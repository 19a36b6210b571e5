//! The encoding that Parquet has for levels and for numbers of dictionaries: runs of one value, and groups of eight that are packed.
//!
//! Source: <https://parquet.apache.org/docs/file-format/data-pages/encodings/>, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)".

/// Values of a group.
const GROUP: usize = 8;

/// Encodes values that are given as runs.
#[derive(Debug)]
pub struct Hybrid {
    /// Bits of a value, at most 32.
    width: u32,
    /// Values that make no group yet.
    waiting: [u32; GROUP],
    count: usize,
    /// Groups that are packed, and how many.
    packed: Vec<u8>,
    groups: u64,
    out: Vec<u8>,
}

/// Bits that a number takes of which this is the largest.
pub fn width(largest: u32) -> u32 {
    u32::BITS - largest.leading_zeros()
}

impl Hybrid {
    /// Of values that take so many bits, after what is in `out`.
    pub fn new(width: u32, out: Vec<u8>) -> Self {
        Self { width, waiting: [0; GROUP], count: 0, packed: Vec::new(), groups: 0, out }
    }

    /// Appends a value as many times.
    #[inline]
    pub fn push(&mut self, value: u32, mut times: u32) {
        while times > 0 && (self.count > 0 || (times as usize) < GROUP) {
            if let Some(place) = self.waiting.get_mut(self.count) {
                *place = value;
            }
            self.count += 1;
            times -= 1;
            if self.count == GROUP {
                self.pack();
            }
        }
        if times > 0 {
            self.end_packed();
            varint(u64::from(times) << 1, &mut self.out);
            let bytes = self.width.div_ceil(8) as usize;
            self.out.extend_from_slice(value.to_le_bytes().get(..bytes).unwrap_or_default());
        }
    }

    /// Packs a group: bits from the lowest on.
    fn pack(&mut self) {
        let (mut bits, mut held) = (0u64, 0);
        for value in self.waiting {
            bits |= u64::from(value) << held;
            held += self.width;
            while held >= 8 {
                self.packed.extend_from_slice(bits.to_le_bytes().get(..1).unwrap_or_default());
                bits >>= 8;
                held -= 8;
            }
        }
        self.groups += 1;
        self.count = 0;
    }

    fn end_packed(&mut self) {
        if self.groups > 0 {
            varint(self.groups << 1 | 1, &mut self.out);
            self.out.append(&mut self.packed);
            self.groups = 0;
        }
    }

    /// All of it. A last group that is not full ends with zeros, which readers do not count.
    pub fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.waiting.iter_mut().skip(self.count).for_each(|place| *place = 0);
            self.pack();
        }
        self.end_packed();
        self.out
    }
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(width: u32, runs: &[(u32, u32)], expected: &[u8]) {
        let mut hybrid = Hybrid::new(width, Vec::new());
        runs.iter().for_each(|(value, times)| hybrid.push(*value, *times));
        assert_eq!(hybrid.finish(), expected);
    }

    #[test]
    fn bytes_are_those_of_the_specification() {
        // The example of the specification: 0 to 7 in three bits.
        let numbers: Vec<(u32, u32)> = (0..8).map(|number| (number, 1)).collect();
        check(3, &numbers, &[0x03, 0x88, 0xc6, 0xfa]);
        check(1, &[(1, 8)], &[0x10, 0x01]);
        check(9, &[(300, 200)], &[0x90, 0x03, 0x2c, 0x01]);
        check(2, &[(1, 3)], &[0x03, 0x15, 0x00]);
        // What fills a group is part of it, and the rest is a run.
        check(1, &[(0, 1), (1, 20)], &[0x03, 0xfe, 0x1a, 0x01]);
        check(0, &[(0, 100)], &[0xc8, 0x01]);
        check(4, &[], &[]);
    }

    #[test]
    fn widths_hold_what_they_have_to() {
        assert_eq!([0, 1, 2, 3, 255, 256, u32::MAX].map(width), [0, 1, 2, 2, 8, 9, 32]);
    }
}
