//! Rows by key in the order their keys came: what is kept of them, when there are too many, then does not depend on chance.

use crate::budget;
use foldhash::fast::RandomState;
use indexmap::{Equivalent, IndexMap};
use std::hash::Hash;

/// Rows by key, in the order their keys came.
#[derive(Debug, Clone)]
pub struct Rows<K, V>(IndexMap<K, V, RandomState>);

impl<K, V> Default for Rows<K, V> {
    fn default() -> Self {
        Self(IndexMap::default())
    }
}

impl<K, V> Rows<K, V> {
    /// What a row takes, besides what its key and itself hold: also while all rows are looked at in their order.
    pub const ROW_BYTES: usize = budget::hashed::<usize>() + budget::listed::<(u64, K, V)>() + size_of::<(&K, &V)>();
}

impl<K: Hash + Eq, V> Rows<K, V> {
    /// The row of a key, made when it is new. The key is only copied then.
    #[inline]
    pub fn row<Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized>(
        &mut self,
        key: &Q,
        make: impl FnOnce() -> V,
    ) -> Option<&mut V> {
        let at = self.number_of(key, make);
        self.get_mut(at)
    }

    /// Number of a key's row, made when it is new.
    #[inline]
    pub fn number_of<Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized>(
        &mut self,
        key: &Q,
        make: impl FnOnce() -> V,
    ) -> usize {
        if let Some(at) = self.0.get_index_of(key) {
            return at;
        }
        if self.0.is_empty() {
            // A table begins with room for more.
            self.0.reserve_exact(1);
        }
        self.0.insert_full(key.to_owned(), make()).0
    }

    /// Number of a key's row.
    #[inline]
    pub fn number<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<usize> {
        self.0.get_index_of(key)
    }

    /// The row of a key.
    pub fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<&V> {
        self.0.get(key)
    }

    /// A row by its number.
    #[inline]
    pub fn get_mut(&mut self, number: usize) -> Option<&mut V> {
        self.0.get_index_mut(number).map(|(_, row)| row)
    }

    /// All rows, in the order their keys came.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.values_mut()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and rows, in the order the keys came.
    pub fn into_rows(self) -> Vec<(K, V)> {
        self.0.into_iter().collect()
    }
}

impl<K: Hash + Eq + Ord, V> Rows<K, V> {
    /// Keys and rows, by key.
    pub fn sorted(&self) -> Vec<(&K, &V)> {
        let mut all: Vec<(&K, &V)> = self.0.iter().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }
}

/// Slots of [`Recent`]: a power of two.
const RECENT: usize = 64;

/// Numbers of rows by paths that were looked up lately, with how the path ends, hashed: one is found again without hashing all
/// of it.
#[derive(Debug, Clone)]
pub struct Recent([(u32, u32); RECENT]);

impl Default for Recent {
    fn default() -> Self {
        Self([(0, u32::MAX); RECENT])
    }
}

impl Recent {
    /// As [`Rows::row`], of the same rows each time.
    #[inline]
    pub fn row<'r, V>(
        &mut self,
        rows: &'r mut Rows<Vec<u8>, V>,
        path: &[u8],
        make: impl FnOnce() -> V,
    ) -> Option<&'r mut V> {
        // Paths differ most where they end.
        let end = path.last_chunk().map_or(0, |end| u64::from_le_bytes(*end)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        #[allow(clippy::cast_possible_truncation, reason = "some of its bits")]
        let (slot, ends) = ((end >> 58) as usize, (end >> 26) as u32);
        let recent = self.0.get_mut(slot % RECENT)?;
        let is_same = || rows.0.get_index(recent.1 as usize).is_some_and(|(key, _)| key.as_slice() == path);
        if recent.0 != ends || !is_same() {
            *recent = (ends, u32::try_from(rows.number_of(path, make)).unwrap_or(u32::MAX));
        }
        rows.get_mut(recent.1 as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::{Recent, Rows};

    #[test]
    fn rows_come_in_the_order_of_their_keys_first_seen_or_sorted() {
        let mut rows: Rows<Vec<u8>, u32> = Rows::default();
        for key in [&b"b"[..], b"a", b"c", b"a"] {
            *rows.row(key, || 0).expect("there") += 1;
        }
        assert_eq!((rows.len(), rows.number(&b"c"[..]), rows.number(&b"x"[..])), (3, Some(2), None));
        assert_eq!(
            rows.sorted().iter().map(|(key, n)| (key[0], **n)).collect::<Vec<_>>(),
            [(b'a', 2), (b'b', 1), (b'c', 1)]
        );
        assert_eq!(rows.into_rows(), [(b"b".to_vec(), 1), (b"a".to_vec(), 2), (b"c".to_vec(), 1)]);
    }

    #[test]
    fn what_was_looked_up_lately_is_what_it_was() {
        let (mut rows, mut recent) = (Rows::default(), Recent::default());
        // Some end alike, so that they share a slot; some are shorter than what is looked at.
        let paths: Vec<String> =
            (0..300).map(|i| format!("{}/server.key", i % 100)).chain(["a".into(), "".into()]).collect();
        for path in paths.iter().chain(&paths) {
            *recent.row(&mut rows, path.as_bytes(), || 0).expect("there") += 1;
        }
        let counts: Vec<u32> = rows.into_rows().into_iter().map(|(_, count)| count).collect();
        assert_eq!(counts, [vec![6; 100], vec![2; 2]].concat());
    }
}
