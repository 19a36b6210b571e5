//! Rows by key in the order their keys came: what is kept of them, when there are too many, then does not depend on chance.

use crate::budget;
use foldhash::fast::RandomState;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Rows by key, in the order their keys came.
#[derive(Debug, Clone)]
pub struct Rows<K, V> {
    index: HashMap<K, usize, RandomState>,
    rows: Vec<V>,
}

impl<K, V> Default for Rows<K, V> {
    fn default() -> Self {
        Self { index: HashMap::default(), rows: Vec::new() }
    }
}

impl<K, V> Rows<K, V> {
    /// What a row takes, besides what its key and itself hold: also while all rows are looked at in their order.
    pub const ROW_BYTES: usize = budget::hashed::<(K, usize)>() + budget::listed::<V>() + size_of::<(&K, &V)>();
}

impl<K: Hash + Eq, V> Rows<K, V> {
    /// The row of a key, made when it is new. The key is only copied then.
    #[inline]
    pub fn row<Q: Hash + Eq + ToOwned<Owned = K> + ?Sized>(
        &mut self,
        key: &Q,
        make: impl FnOnce() -> V,
    ) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = match self.index.get(key) {
            Some(at) => *at,
            None => {
                self.index.insert(key.to_owned(), self.rows.len());
                if self.rows.is_empty() {
                    // A vector begins with room for four.
                    self.rows.reserve_exact(1);
                }
                self.rows.push(make());
                self.rows.len() - 1
            }
        };
        self.rows.get_mut(at)
    }

    /// Number of a key's row.
    #[inline]
    pub fn number<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        self.index.get(key).copied()
    }

    /// The row of a key.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.rows.get(self.number(key)?)
    }

    /// A row by its number.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut V> {
        self.rows.get_mut(number)
    }

    /// All rows, in the order their keys came.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.rows.iter_mut()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Keys and rows, in the order the keys came.
    pub fn into_rows(self) -> Vec<(K, V)> {
        let mut keys: Vec<(K, usize)> = self.index.into_iter().collect();
        keys.sort_unstable_by_key(|(_, at)| *at);
        keys.into_iter().map(|(key, _)| key).zip(self.rows).collect()
    }
}

impl<K: Hash + Eq + Ord, V> Rows<K, V> {
    /// Keys and rows, by key.
    pub fn sorted(&self) -> Vec<(&K, &V)> {
        let mut all: Vec<(&K, &V)> =
            self.index.iter().filter_map(|(key, at)| Some((key, self.rows.get(*at)?))).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;

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
}
