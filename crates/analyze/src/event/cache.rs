//! What was made ready of texts that many events share.

use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::Hash;

/// Bytes a cache may take before it starts over.
const CACHE_BYTES: usize = 8 << 20;

/// Values by key, thrown away when they get too many.
#[derive(Debug)]
pub struct Cache<K, V> {
    /// What is known now.
    pub map: HashMap<K, V, RandomState>,
    bytes: usize,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self { map: HashMap::default(), bytes: 0 }
    }
}

impl<K: Hash + Eq, V> Cache<K, V> {
    /// Keeps a value; with its key it takes about so many bytes.
    pub fn insert(&mut self, key: K, bytes: usize, value: V) {
        if self.bytes > CACHE_BYTES {
            self.map.clear();
            self.bytes = 0;
        }
        self.bytes += bytes + 128;
        self.map.insert(key, value);
    }
}
