//! The records of one block, checked and put in their place.

use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::connections::Connection;
use crate::capture::timeline::{ImageCache, ImageId};
use crate::read::faults::Problem;
use crate::select::{ResolvedFilter, Selection};
use crypto_trace_format::record::{
    ApiCall, CertificateFile, Clock, FileChange, FileOpen, Inventory, KINDS, Kind, LibLoad, LibraryInfo, Loss,
    ProbeStatus, ProcessExec, ProcessExit, ProcessFork, ProcessInfo, Record, RecordError, Records, SelfStats,
    Suppressed, TlsHello,
};
use crypto_trace_format::segment::BlockHeader;
use std::ops::AddAssign;

/// One decompressed block and where it comes from.
#[derive(Clone, Copy)]
pub struct BlockSource<'a> {
    /// Its capture.
    pub capture: &'a Capture,
    /// Its header.
    pub header: &'a BlockHeader,
    /// Number of its segment.
    pub segment: u32,
    /// Its records.
    pub raw: &'a [u8],
}

/// How many records there were, and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records in the inputs, also those in blocks that were skipped by their header.
    pub processed: u64,
    /// Records that passed the filters and were shown.
    pub output: u64,
    /// Records of kinds that this version does not know.
    pub unknown: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.processed += other.processed;
        self.output += other.output;
        self.unknown += other.unknown;
    }
}

/// A record that passed the filters.
#[derive(Debug, Clone, Copy)]
pub struct Match<'r, 'a> {
    /// The record.
    pub record: &'r Record<'a>,
    /// Where it begins in its block.
    pub offset: u32,
    /// Its number in its segment.
    pub number: u64,
    /// When it happened.
    pub time: WallNs,
    /// What its process ran.
    pub image: ImageId,
    /// The connection that it stands for.
    pub connection: Option<&'a Connection>,
}

impl<'a> BlockSource<'a> {
    /// Calls `each` for every record that passes the filter, in the order of the block.
    pub fn for_each_match(
        &self,
        filter: &ResolvedFilter<'_>,
        selection: &Selection<'_>,
        problems: &mut Vec<Problem>,
        mut each: impl FnMut(&Match<'_, 'a>),
    ) -> Tally {
        let header = self.header;
        let mut tally = Tally::default();
        let mut clock = self.capture.clock.cursor();
        let mut images = ImageCache::new(&self.capture.timeline);
        let (mut offset, mut outside) = (0u32, 0u64);
        for record in Records::new(self.raw) {
            let number = header.first_record.saturating_add(tally.processed);
            let mut record = match record {
                Ok(record) => record,
                Err(error) => {
                    let promised = u64::from(header.record_count);
                    let rest_lost = promised.saturating_sub(tally.processed + 1);
                    problems.push(Problem::Record { block: header.sequence, record: number, error, rest_lost });
                    return self.finish(tally, outside, problems, false);
                }
            };
            tally.processed += 1;
            let time_ns = record.header.time_ns;
            outside += u64::from(!(header.min_time_ns..=header.max_time_ns).contains(&time_ns));
            let here = offset;
            offset = offset.saturating_add(record.header.len);
            if !is_known(record.header.kind) {
                tally.unknown += 1;
                continue;
            }
            let mut connection = None;
            if record.kind() == TlsHello::KIND {
                // A connection is shown once, as its process's.
                let Some(shown) = self.capture.handshakes.shown_at(self.segment, number) else { continue };
                if !filter.outcome_matches(shown) {
                    continue;
                }
                shown.put_into(&mut record.header);
                connection = Some(shown);
            }
            let time = clock.wall(time_ns);
            let image = images.image(&record.header);
            match filter.matches(self.capture, selection, &record, time, image) {
                Ok(false) => {}
                Ok(true) => each(&Match { record: &record, offset: here, number, time, image, connection }),
                Err(error) => problems.push(Problem::Body { record: number, error }),
            }
        }
        self.finish(tally, outside, problems, true)
    }

    fn finish(&self, tally: Tally, outside: u64, problems: &mut Vec<Problem>, whole: bool) -> Tally {
        let block = self.header.sequence;
        if outside > 0 {
            problems.push(Problem::TimeOutside { block, records: outside });
        }
        let expected = u64::from(self.header.record_count);
        if whole && tally.processed != expected {
            problems.push(Problem::RecordCount { block, expected, found: tally.processed });
        }
        tally
    }
}

/// Decodes the body of a record of a known kind.
///
/// # Errors
/// When it is malformed.
pub fn check_body(record: &Record<'_>) -> Result<(), RecordError> {
    match Kind(record.header.kind) {
        ProcessExec::KIND => ProcessExec::decode(record).map(drop),
        ProcessFork::KIND => ProcessFork::decode(record).map(drop),
        ProcessExit::KIND => ProcessExit::decode(record).map(drop),
        ProcessInfo::KIND => ProcessInfo::decode(record).map(drop),
        FileOpen::KIND => FileOpen::decode(record).map(drop),
        FileChange::KIND => FileChange::decode(record).map(drop),
        LibLoad::KIND => LibLoad::decode(record).map(drop),
        TlsHello::KIND => TlsHello::decode(record).map(drop),
        Loss::KIND => Loss::decode(record).map(drop),
        Clock::KIND => Clock::decode(record).map(drop),
        ProbeStatus::KIND => ProbeStatus::decode(record).map(drop),
        SelfStats::KIND => SelfStats::decode(record).map(drop),
        ApiCall::KIND => ApiCall::decode(record).map(drop),
        LibraryInfo::KIND => LibraryInfo::decode(record).map(drop),
        Inventory::KIND => Inventory::decode(record).map(drop),
        Suppressed::KIND => Suppressed::decode(record).map(drop),
        CertificateFile::KIND => CertificateFile::decode(record).map(drop),
        _ => Ok(()),
    }
}

/// Whether this version can show a kind.
#[inline]
fn is_known(kind: u16) -> bool {
    /// A bit for each.
    const KNOWN: u64 = {
        let (mut known, mut at) = (0, 0);
        while at < KINDS.len() {
            known |= 1 << KINDS[at].kind;
            at += 1;
        }
        known
    };
    kind < 64 && KNOWN >> kind & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::is_known;
    use crypto_trace_format::record::KINDS;

    #[test]
    fn the_known_kinds_are_those_of_the_format() {
        for kind in 0..=u16::MAX {
            assert_eq!(is_known(kind), KINDS.iter().any(|layout| layout.kind == kind), "kind {kind}");
        }
    }
}
