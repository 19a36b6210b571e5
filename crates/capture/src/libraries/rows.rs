//! What is reported of libraries again at the beginning of each segment: the records of those that are there, no more of them
//! than there is room for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use super::finder::FileId;

/// Records of files without probes, at most; the oldest go. Those of files that have probes are as many as there may be such files.
const MAX_UNPROBED: usize = 2_048;

/// Bytes of these.
const MAX_UNPROBED_BYTES: usize = 1 << 20;

/// Records of all libraries that are there, for the begin of each segment. Shared with the writer thread.
#[derive(Debug, Clone, Default)]
pub struct LibraryRecords(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    /// By the order in which they came.
    rows: BTreeMap<u64, Row>,
    by_file: HashMap<FileId, u64>,
    next: u64,
    unprobed: usize,
    unprobed_bytes: usize,
}

#[derive(Debug)]
struct Row {
    id: FileId,
    record: Vec<u8>,
    is_probed: bool,
}

impl LibraryRecords {
    /// As they are now.
    pub fn bytes(&self) -> Vec<u8> {
        self.0
            .lock()
            .map(|rows| rows.rows.values().flat_map(|row| row.record.iter().copied()).collect())
            .unwrap_or_default()
    }

    /// What is reported of a file, in place of what was reported before. Returns how many others there was no room for any
    /// more.
    pub fn add(&self, id: FileId, record: &[u8], is_probed: bool) -> u64 {
        let Ok(mut rows) = self.0.lock() else { return 0 };
        rows.remove(id);
        let at = rows.next;
        rows.next += 1;
        rows.by_file.insert(id, at);
        rows.rows.insert(at, Row { id, record: record.to_vec(), is_probed });
        if !is_probed {
            rows.unprobed += 1;
            rows.unprobed_bytes += record.len();
        }
        let mut left_out = 0;
        while rows.unprobed > MAX_UNPROBED || rows.unprobed_bytes > MAX_UNPROBED_BYTES {
            let Some(oldest) = rows.rows.values().find(|row| !row.is_probed).map(|row| row.id) else { break };
            rows.remove(oldest);
            left_out += 1;
        }
        left_out
    }

    /// The file is not there any more.
    pub fn forget(&self, id: FileId) {
        if let Ok(mut rows) = self.0.lock() {
            rows.remove(id);
        }
    }
}

impl Rows {
    fn remove(&mut self, id: FileId) {
        let Some(row) = self.by_file.remove(&id).and_then(|at| self.rows.remove(&at)) else { return };
        if !row.is_probed {
            self.unprobed -= 1;
            self.unprobed_bytes -= row.record.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_record_the_latest_and_none_when_it_is_gone() {
        let records = LibraryRecords::default();
        records.add((1, 1), b"a", false);
        records.add((1, 2), b"b", true);
        records.add((1, 1), b"c", true);
        assert_eq!(records.bytes(), b"bc");
        records.forget((1, 2));
        records.forget((1, 2));
        assert_eq!(records.bytes(), b"c");
    }

    /// 4 s of copies with long paths made 85 MB, which every segment began with.
    #[test]
    fn files_without_probes_do_not_add_up() {
        let records = LibraryRecords::default();
        records.add((1, 0), b"probed", true);
        let long = [b'x'; 3_000];
        let left_out: u64 = (1..10_000).map(|ino| records.add((1, ino), &long, false)).sum();
        assert!(records.bytes().len() <= MAX_UNPROBED_BYTES + 6);
        assert!(records.bytes().starts_with(b"probed"));
        assert_eq!(left_out, 9_999 - (MAX_UNPROBED_BYTES / long.len()) as u64);
        let short: u64 = (0..10_000).map(|ino| records.add((2, ino), b"y", false)).sum();
        assert!(short > 0 && records.bytes().len() <= MAX_UNPROBED * long.len());
    }
}
