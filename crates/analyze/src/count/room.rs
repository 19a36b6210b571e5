//! Tables of handshakes and what is in them, as long as there is room: what does not fit is said, never dropped silently.

use crate::budget::{Budget, first_sorted, heap, sorted};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

/// Rows of a table.
pub(in crate::count) const MAX_ROWS: usize = 50_000;

/// Programs that are named in one row.
pub const MAX_PROGRAMS: usize = 100;

/// Bytes that the rows of all tables may take, with what they name.
const MAX_BYTES: usize = 128 << 20;

/// Room for rows of all tables of a count.
#[derive(Debug)]
pub(in crate::count) struct Room(pub Budget);

impl Default for Room {
    fn default() -> Self {
        Self(Budget::new(MAX_BYTES))
    }
}

/// What is a key of a table.
pub(in crate::count) trait Key: Ord {
    /// Bytes that it holds besides itself.
    fn held_bytes(&self) -> usize;
}

impl Key for Option<Vec<u8>> {
    fn held_bytes(&self) -> usize {
        heap(self.as_ref().map_or(0, Vec::len))
    }
}

impl Key for String {
    fn held_bytes(&self) -> usize {
        heap(self.len())
    }
}

impl Key for Box<[u8]> {
    fn held_bytes(&self) -> usize {
        heap(self.len())
    }
}

/// The row of a key, as long as there is room. Twice what it takes: it is shown, too.
pub(in crate::count) fn row<'a, K: Key, V: Default>(
    rows: &'a mut BTreeMap<K, V>,
    key: K,
    (room, overflowed): (&mut Room, &mut bool),
) -> Option<&'a mut V> {
    if !rows.contains_key(&key) {
        let bytes = 2 * (sorted::<(K, V)>() + key.held_bytes()) + ROW_SETS_BYTES;
        if rows.len() >= MAX_ROWS || !room.0.take(bytes) {
            *overflowed = true;
            return None;
        }
    }
    Some(rows.entry(key).or_default())
}

/// Sets of versions, hosts and places in a row: a node each.
const ROW_SETS_BYTES: usize = 256;

/// Names something in a row, such as a program, as long as there is room: what is beyond the first few is not told.
pub(in crate::count) fn tell<T, Q>(names: &mut BTreeSet<T>, name: &Q, room: &mut Room)
where
    T: Ord + Borrow<Q>,
    Q: Ord + ToOwned<Owned = T> + AsRef<[u8]> + ?Sized,
{
    if names.len() >= MAX_PROGRAMS || names.contains(name) {
        return;
    }
    // It is shown, too.
    let entry = if names.is_empty() { first_sorted::<T>() } else { sorted::<T>() };
    if room.0.take(entry + 2 * heap(name.as_ref().len()) + size_of::<String>()) {
        names.insert(name.to_owned());
    }
}
