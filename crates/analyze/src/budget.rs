//! How much memory tables may take: every row is paid for, with all that it holds, before it is kept.
//!
//! What a row costs is what it takes at its worst moment, rendering included, so that the bound is one of the process and not of
//! a calculation. It depends on the inputs alone, never on the number of threads.

use std::mem::size_of;

/// Bytes that the rows of one run may take.
pub const MAX_BYTES: usize = 384 << 20;

/// How much memory is left for rows.
#[derive(Debug, Clone)]
pub struct Budget {
    left: usize,
    refused: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(MAX_BYTES)
    }
}

impl Budget {
    /// Room for `bytes` bytes.
    pub fn new(bytes: usize) -> Self {
        Self { left: bytes, refused: 0 }
    }

    /// Takes the room for a row of so many bytes; counts it as refused when there is none.
    pub fn take(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                self.refused += 1;
                false
            }
        }
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        self.left
    }

    /// How often there was no room.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

/// What an allocation of `len` bytes takes, with the allocator's own header and rounding; none takes nothing.
pub const fn heap(len: usize) -> usize {
    if len == 0 { 0 } else { len + 24 }
}

/// What one entry of a hash table takes: it is at least 7/16 full, and while it grows the old one is there as well.
pub const fn hashed<T>() -> usize {
    (size_of::<T>() + 1) * 7 / 2
}

/// What one entry of a vector takes that grows by doubling: pages beyond its end are not touched.
pub const fn listed<T>() -> usize {
    size_of::<T>() * 3 / 2
}

/// What one entry of a B-tree takes: nodes are at least half full, but for the first.
pub const fn sorted<T>() -> usize {
    (size_of::<T>() + 2) * 2
}

/// What the first entry of a B-tree takes: a node has eleven.
pub const fn first_sorted<T>() -> usize {
    heap(size_of::<T>() * 11 + 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_counted() {
        let mut budget = Budget::new(100);
        assert!(budget.take(60) && !budget.take(41) && budget.take(40));
        assert_eq!((budget.left(), budget.refused()), (0, 1));
        assert_eq!((heap(0), heap(8)), (0, 32));
    }
}
