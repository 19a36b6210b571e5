//! Exact accounting: what the programs produced, what reached us, what was lost, dropped or filtered, and the records that
//! say so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use crypto_trace_bpf::{CounterKind, Counters, Suppressed};
use crypto_trace_format::catalog::file_name;
use crypto_trace_format::record::{
    self, ApiCall, Header, Kind, LibLoad, Loss, LossCause, LossFixed, Record, Records, SelfStats, SelfStatsFixed, flags,
};
use crypto_trace_format::segment::BlockBuilder;

use crate::proc::host;

/// What the writer thread tells the drain thread.
#[derive(Debug, Default)]
pub struct WriterStats {
    /// Bytes in all segments so far.
    pub written_bytes: AtomicU64,
    /// Records from the rings that could not be written.
    pub dropped: AtomicU64,
    /// Segments begun.
    pub segments: AtomicU64,
}

/// Running totals of one capture.
#[derive(Debug, Default)]
pub struct Accounting {
    /// Records taken from the rings and handed to the writer.
    pub recorded: u64,
    /// Records left out because a filter in user space said so.
    pub filtered: u64,
    /// Loads of libraries that `-l` selects, and names of those it does not select: to tell what comes near.
    pub libraries: u64,
    /// The same: a few of them.
    pub other_libraries: BTreeSet<Vec<u8>>,
    /// Records from the ring that were not well formed.
    pub malformed: u64,
    /// Records taken from the rings when there was nowhere to put them any more.
    pub discarded: u64,
    /// Records made here of what the BPF programs counted; they are as good as produced by them.
    pub counts: u64,
    /// Records withheld of processes that wrote too many. Neither produced nor lost.
    pub suppressed: u64,
    /// Bytes of records.
    pub raw_bytes: u64,
    /// Highest ring fill seen at a drain, bytes.
    pub ring_peak_bytes: u64,
    /// The same since somebody looked.
    pub ring_fill_bytes: u64,
    produced: u64,
    lost: u64,
    seen: BTreeMap<CounterKind, u64>,
    /// Losses that no record has reported yet.
    untold: BTreeMap<CounterKind, LossFixed>,
    told: [u64; 2],
    last_check_ns: u64,
    last_told_ns: u64,
}

impl Accounting {
    /// Starts counting at `now_ns`, `CLOCK_BOOTTIME`.
    pub fn new(now_ns: u64) -> Self {
        Self { last_check_ns: now_ns, last_told_ns: now_ns, ..Self::default() }
    }

    /// Notes a load of a library, judged by a filter.
    pub fn note_library(&mut self, record: &Record<'_>, kept: bool) {
        /// Names that are kept.
        const MAX_NAMES: usize = 256;
        if record.kind() != LibLoad::KIND {
            return;
        }
        self.libraries += u64::from(kept);
        if let (false, Ok(library)) = (kept || self.other_libraries.len() >= MAX_NAMES, LibLoad::decode(record)) {
            self.other_libraries.insert(file_name(library.path).to_vec());
        }
    }

    /// Records the kernel could not deliver.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Records the BPF programs wanted to deliver.
    pub fn produced(&self) -> u64 {
        self.produced
    }

    /// Takes a fresh reading of the kernel's counters.
    pub fn update(&mut self, counters: &[Counters], now_ns: u64) {
        let from_ns = std::mem::replace(&mut self.last_check_ns, now_ns);
        self.produced = self.counts + counters.iter().map(|row| row.produced).sum::<u64>();
        for row in counters {
            let before = self.seen.insert(row.kind, row.lost).unwrap_or(0);
            let grown = row.lost.saturating_sub(before);
            if grown == 0 {
                continue;
            }
            // Of clocks that do not agree, the later reading is the end.
            let to_ns = row.last_lost_ns.min(now_ns).max(from_ns);
            let (lost_kind, cause) = match row.kind {
                CounterKind::Kind(kind) => (kind, LossCause::RING_FULL),
                CounterKind::TargetsFull => (0, LossCause::FILTER_MAP_FULL),
                CounterKind::Unreadable => (0, LossCause::UNREADABLE),
                CounterKind::MissedRun => (0, LossCause::MISSED_RUN),
                CounterKind::Suppressed => (0, LossCause::SUPPRESSED),
                CounterKind::UsesFull => (ApiCall::KIND.0, LossCause::MAP_FULL),
                // Told in `self_stats`.
                CounterKind::NoTls => continue,
            };
            if cause == LossCause::RING_FULL {
                self.lost += grown;
            }
            let new = LossFixed { from_ns, to_ns, count: 0, lost_kind, cause: cause.0, reserved: 0 };
            let untold = self.untold.entry(row.kind).or_insert(new);
            untold.count += grown;
            untold.to_ns = to_ns;
        }
    }

    /// Appends a `loss` record for each counter that has grown since the last time.
    pub fn encode_losses(&mut self, now_ns: u64, out: &mut Vec<u8>) {
        let from_ns = std::mem::replace(&mut self.last_told_ns, now_ns);
        for loss in std::mem::take(&mut self.untold).into_values() {
            encode_loss(loss, now_ns, out);
        }
        let ours = [(self.malformed, LossCause::MALFORMED), (self.discarded, LossCause::WRITE_FAILED)];
        for ((count, cause), told) in ours.into_iter().zip(&mut self.told) {
            let grown = count - std::mem::replace(told, count);
            if grown > 0 {
                let fixed = LossFixed { from_ns, to_ns: now_ns, count: grown, cause: cause.0, ..LossFixed::default() };
                encode_loss(fixed, now_ns, out);
            }
        }
    }

    /// Appends a `suppressed` record for each sum.
    pub fn encode_suppressed(&mut self, sums: &[Suppressed], out: &mut Vec<u8>) {
        for sum in sums {
            self.suppressed += sum.count;
            let fixed = record::SuppressedFixed {
                from_ns: sum.from_ns,
                to_ns: sum.to_ns,
                count: sum.count,
                bytes: sum.bytes,
                suppressed_kind: sum.kind,
                reason: sum.reason,
                reserved: 0,
            };
            let header = Header {
                time_ns: sum.to_ns,
                tid: sum.tgid,
                tgid: sum.tgid,
                uid: sum.uid,
                gid: sum.gid,
                start_ns: sum.start_ns,
                comm: sum.comm,
                ..Header::default()
            };
            record::Suppressed { fixed, ..record::Suppressed::default() }.encode(header, out);
        }
    }

    /// Records user space discarded before they reached the writer.
    pub fn dropped(&self) -> u64 {
        self.malformed + self.discarded
    }

    /// Appends a `self_stats` record.
    pub fn encode_self_stats(&self, writer: &WriterStats, ring_bytes: u64, now_ns: u64, out: &mut Vec<u8>) {
        let fixed = self.self_stats(writer, ring_bytes);
        SelfStats { fixed, ..SelfStats::default() }.encode(Header { time_ns: now_ns, ..Header::default() }, out);
    }

    /// What the capture did and cost so far.
    pub fn self_stats(&self, writer: &WriterStats, ring_bytes: u64) -> SelfStatsFixed {
        let usage = host::usage();
        let ns = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        SelfStatsFixed {
            cpu_user_ns: ns(usage.user),
            cpu_system_ns: ns(usage.system),
            rss_bytes: usage.rss_bytes,
            rss_peak_bytes: usage.rss_peak_bytes,
            produced: self.produced,
            recorded: self.recorded.saturating_sub(writer.dropped.load(Ordering::Relaxed)),
            lost: self.lost,
            dropped: writer.dropped.load(Ordering::Relaxed) + self.dropped(),
            filtered: self.filtered,
            raw_bytes: self.raw_bytes,
            written_bytes: writer.written_bytes.load(Ordering::Relaxed),
            ring_bytes,
            ring_peak_bytes: self.ring_peak_bytes,
            missed_runs: self.counted(CounterKind::MissedRun),
            tls_given_up: self.counted(CounterKind::NoTls),
            suppressed: self.suppressed,
        }
    }

    /// A counter of the programs that is no kind's, at the last reading.
    fn counted(&self, kind: CounterKind) -> u64 {
        self.seen.get(&kind).copied().unwrap_or(0)
    }
}

/// How many records of a block came from the rings, or from what the programs counted: all but those of the capture itself
/// and from /proc.
pub fn from_rings(block: &BlockBuilder) -> u64 {
    let from_proc = |header: &Header| header.flags & flags::FROM_PROC != 0;
    let is_ours = |header: &Header| !Kind(header.kind).is_from_bpf() || from_proc(header);
    Records::new(block.raw()).flatten().filter(|record| !is_ours(&record.header)).count() as u64
}

/// Appends a `loss` record.
fn encode_loss(fixed: LossFixed, now_ns: u64, out: &mut Vec<u8>) {
    Loss { fixed, ..Loss::default() }.encode(Header { time_ns: now_ns, ..Header::default() }, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What two processors read of one clock need not be in order.
    #[test]
    fn a_reading_of_the_clock_before_the_last_is_no_panic() {
        let mut accounting = Accounting::new(1_000);
        accounting.update(&[Counters { kind: CounterKind::Kind(4), produced: 9, lost: 3, last_lost_ns: 980 }], 990);
        let mut out = Vec::new();
        accounting.encode_losses(995, &mut out);
        let losses: Vec<_> = Records::new(&out).map(|found| Loss::decode(&found.expect("well formed"))).collect();
        let [Ok(Loss { fixed, .. })] = &losses[..] else { panic!("{losses:?}") };
        assert_eq!((fixed.count, fixed.from_ns, fixed.to_ns), (3, 1_000, 1_000));
    }

    #[test]
    fn only_growth_is_told_as_loss_with_the_time_it_covers() {
        let row = |lost, last_lost_ns| Counters { kind: CounterKind::Kind(4), produced: 100, lost, last_lost_ns };
        let told = |accounting: &mut Accounting, now_ns| -> Vec<LossFixed> {
            let mut out = Vec::new();
            accounting.encode_losses(now_ns, &mut out);
            let record = |record| Loss::decode(&record).expect("readable").fixed;
            Records::new(&out).map(|found| record(found.expect("well formed"))).collect()
        };
        let cause = LossCause::RING_FULL.0;
        let loss =
            |from_ns, to_ns, count| LossFixed { from_ns, to_ns, count, lost_kind: 4, cause, ..LossFixed::default() };
        let mut accounting = Accounting::new(1000);
        accounting.update(&[row(0, 0)], 2000);
        assert_eq!(told(&mut accounting, 2000), []);
        accounting.update(&[row(7, 2500)], 3000);
        accounting.update(&[row(7, 2500)], 4000);
        assert_eq!(told(&mut accounting, 4000), [loss(2000, 2500, 7)]);
        // Told late, because nothing could be written: one record, however long that was.
        accounting.update(&[row(9, 4200)], 5000);
        accounting.update(&[row(9, 4200)], 6000);
        accounting.update(&[row(12, 6300)], 7000);
        assert_eq!(told(&mut accounting, 7000), [loss(4000, 6300, 5)]);
        assert_eq!(told(&mut accounting, 8000), []);
        assert_eq!((accounting.lost(), accounting.produced()), (12, 100));
    }
}
