//! What was wrong with the inputs: gathered while reading, reported on stderr at the end.

use crypto_trace_format::record::RecordError;
use crypto_trace_format::segment::Fault;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Distinct problems that are kept; more are only counted.
const MAX_KEPT: usize = 10_000;

/// Something wrong, in the place where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// With the file or a block of it.
    Segment(Fault),
    /// A record is malformed. `rest_lost` records of its block follow it and cannot be found.
    Record {
        /// Number of its block.
        block: u64,
        /// Number of the record in its segment.
        record: u64,
        /// What is wrong.
        error: RecordError,
        /// Records after it that the block header promised.
        rest_lost: u64,
    },
    /// The body of a record is malformed; only that record is left out.
    Body {
        /// Number of the record in its segment.
        record: u64,
        /// What is wrong.
        error: RecordError,
    },
    /// Records whose time is outside of what their block header says: they may be shown out of order.
    TimeOutside {
        /// Number of the block.
        block: u64,
        /// How many records.
        records: u64,
    },
    /// A block holds another number of records than its header says.
    RecordCount {
        /// Number of the block.
        block: u64,
        /// What the header says.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// A block holds a kind, or a process, or a type of record that its header denies: filters may have skipped it.
    HeaderDenies {
        /// Number of the block.
        block: u64,
        /// What it denies.
        what: &'static str,
    },
}

impl Problem {
    /// False for notes, which are expected: the torn tail of a file that was not sealed.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Segment(fault) => fault.is_damage(),
            _ => true,
        }
    }

    /// Records known to be lost to it.
    pub fn records_lost(&self) -> u64 {
        match self {
            Self::Segment(fault) => fault.records_lost().unwrap_or(0),
            Self::Record { rest_lost, .. } => rest_lost + 1,
            Self::Body { .. } => 1,
            _ => 0,
        }
    }

    /// Where in the file, when that is known.
    pub fn at_bytes(&self) -> Option<u64> {
        match self {
            Self::Segment(fault) => Some(fault.at_bytes()),
            _ => None,
        }
    }

    /// Block or record number, to order problems and to see the same one only once.
    fn place(&self) -> (u64, u64) {
        match self {
            Self::Segment(fault) => (fault.at_bytes(), 0),
            Self::Record { block, .. } => (*block, 1),
            Self::Body { record, .. } => (*record, 2),
            Self::TimeOutside { block, .. } => (*block, 3),
            Self::RecordCount { block, .. } => (*block, 4),
            Self::HeaderDenies { block, what } => (*block, 5 + what.len() as u64),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Segment(fault) => fault.fmt(f),
            Self::Record { block, record, error, rest_lost } => {
                write!(f, "block {block}: record {record} is malformed: {error}; {} records lost", rest_lost + 1)
            }
            Self::Body { record, error } => write!(f, "record {record} is malformed and left out: {error}"),
            Self::TimeOutside { block, records } => {
                write!(f, "block {block}: {records} records lie outside of the block's time range; order may be wrong")
            }
            Self::RecordCount { block, expected, found } => {
                write!(f, "block {block}: {found} records where its header says {expected}")
            }
            Self::HeaderDenies { block, what } => {
                write!(f, "block {block}: holds a {what} that its header denies; filters may have missed it")
            }
        }
    }
}

/// All problems of a run, by segment and place. Each is kept once, however often a block is read.
#[derive(Debug, Default)]
pub struct FaultLog {
    kept: BTreeMap<(u32, (u64, u64)), Problem>,
    beyond: u64,
}

impl FaultLog {
    /// Adds a problem of a segment.
    pub fn add(&mut self, segment: u32, problem: Problem) {
        let key = (segment, problem.place());
        if self.kept.len() >= MAX_KEPT && !self.kept.contains_key(&key) {
            self.beyond += 1;
            return;
        }
        self.kept.entry(key).or_insert(problem);
    }

    /// Forgets that a stream ended within a segment: it was left, and goes on.
    pub fn forget_unsealed(&mut self) {
        self.kept
            .retain(|_, problem| !matches!(problem, Problem::Segment(Fault::Unsealed { .. } | Fault::TornTail { .. })));
    }

    /// Problems with the number of their segment, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Problem)> {
        self.kept.iter().map(|((segment, _), problem)| (*segment, problem))
    }

    /// Problems of one segment.
    pub fn of_segment(&self, segment: u32) -> impl Iterator<Item = &Problem> {
        self.kept.range((segment, (0, 0))..=(segment, (u64::MAX, u64::MAX))).map(|(_, problem)| problem)
    }

    /// How many more there were than are kept.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// Whether there is any damage, notes aside.
    pub fn any_damage(&self) -> bool {
        self.beyond > 0 || self.kept.values().any(Problem::is_damage)
    }

    /// Records known to be lost to damage.
    pub fn records_lost(&self) -> u64 {
        self.kept.values().map(Problem::records_lost).fold(0, u64::saturating_add)
    }
}

/// Where problems are: file names by segment number.
pub type SegmentNames = Vec<PathBuf>;
