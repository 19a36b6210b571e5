//! Events over time, in a bounded number of bins that widen as the time range grows.

use crate::capture::clock::WallNs;
use std::collections::BTreeMap;

/// Most bins that are kept while counting.
const MAX_BINS: usize = 512;

/// Counts events by time. Bins are aligned to multiples of their width, so that what is counted does not depend on the
/// order of counting.
#[derive(Debug, Clone)]
pub struct Histogram {
    width_ns: i64,
    bins: BTreeMap<i64, u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { width_ns: 1_000_000, bins: BTreeMap::new() }
    }
}

impl Histogram {
    /// Counts events.
    pub fn add(&mut self, time: WallNs, count: u64) {
        *self.bins.entry(time.0.div_euclid(self.width_ns)).or_default() += count;
        while self.bins.len() > MAX_BINS {
            self.widen();
        }
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        while self.width_ns < other.width_ns {
            self.widen();
        }
        for (bin, count) in &other.bins {
            self.add(WallNs(bin.saturating_mul(other.width_ns)), *count);
        }
    }

    fn widen(&mut self) {
        self.width_ns = self.width_ns.saturating_mul(2);
        let mut bins = BTreeMap::new();
        for (bin, count) in std::mem::take(&mut self.bins) {
            *bins.entry(bin.div_euclid(2)).or_default() += count;
        }
        self.bins = bins;
    }

    /// Counts in `columns` or fewer equal spans over everything counted, the time the first begins, and their width.
    pub fn columns(&self, columns: usize) -> Option<(WallNs, i64, Vec<u64>)> {
        let (first, last) = (*self.bins.keys().next()?, *self.bins.keys().next_back()?);
        let bins = last.checked_sub(first)?.checked_add(1)?;
        let per_column = (bins - 1) / i64::try_from(columns.max(1)).ok()? + 1;
        let mut counts = vec![0; usize::try_from((bins - 1) / per_column + 1).ok()?];
        for (bin, count) in &self.bins {
            let column = usize::try_from((bin - first) / per_column).ok()?;
            if let Some(slot) = counts.get_mut(column) {
                *slot += count;
            }
        }
        Some((WallNs(first.saturating_mul(self.width_ns)), self.width_ns.saturating_mul(per_column), counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_in_any_order_and_in_parts_gives_the_same() {
        let times: Vec<i64> = (0..5_000).map(|i: i64| (i * 7_919 % 5_003) * 13_000_000).collect();
        let count = |times: &mut dyn Iterator<Item = &i64>| {
            let mut histogram = Histogram::default();
            times.for_each(|time| histogram.add(WallNs(*time), 1));
            histogram
        };
        let forward = count(&mut times.iter());
        let backward = count(&mut times.iter().rev());
        let mut parts = count(&mut times.iter().take(1_000));
        parts.merge(&count(&mut times.iter().skip(1_000)));
        let columns = forward.columns(60);
        assert_eq!(columns, backward.columns(60));
        assert_eq!(columns, parts.columns(60));
        assert_eq!(columns.map(|(_, _, counts)| counts.iter().sum::<u64>()), Some(5_000));
    }

    #[test]
    fn absurd_times_fit() {
        let mut histogram = Histogram::default();
        for time in [i64::MIN, -1, 0, i64::MAX] {
            histogram.add(WallNs(time), 1);
        }
        for time in 0..2_000 {
            histogram.add(WallNs(time * 1_000_000_000_000_000), 1);
        }
        assert!(histogram.columns(60).is_some_and(|(_, _, counts)| counts.len() <= 60));
        assert_eq!(Histogram::default().columns(60), None);
    }
}
