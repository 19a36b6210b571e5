//! What a few blocks add: counted in parallel with others.

use super::GroupList;
use crate::capture::connections::KINDS;
use crate::capture::libraries::FileId;
use crate::capture::timeline::ImageId;
use crate::read::faults::Problem;
use crate::read::{BlockSource, Count, Match, Origin, Tally};
use crate::select::{ResolvedFilter, Selection};
use crate::words::timestamp::WallNs;
use crypto_trace_format::record::{ApiCall, Comm, LibLoad, RecordError};
use std::collections::{HashMap, HashSet};

/// A connection that passed the filters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    pub connection: u32,
    pub image: ImageId,
    pub comm: Option<Comm>,
    pub time: WallNs,
    pub time_ns: u64,
}

/// Counts some blocks.
#[derive(Default)]
pub struct Counter {
    pub(super) tally: Tally,
    pub(super) passed: Vec<Passed>,
    pub(super) loads: HashMap<(ImageId, Comm, FileId), Box<[u8]>>,
    pub(super) groups: HashSet<(ImageId, GroupList)>,
    raw_bytes: usize,
    pub(super) problems: Vec<Problem>,
}

/// What some blocks add.
pub struct Counted {
    pub(super) origin: Origin,
    pub(super) counter: Counter,
}

impl Count for Counter {
    type Counted = Counted;

    fn count(&mut self, source: BlockSource<'_>, filter: &ResolvedFilter<'_>, selection: &Selection<'_>) {
        self.raw_bytes += source.raw.len();
        let (mut problems, mut bodies) = (Vec::new(), Vec::new());
        let mut output = 0;
        let tally = source.for_each_match(filter, selection, &mut problems, |found| {
            output += 1;
            if let Err(error) = self.add(found) {
                bodies.push(Problem::Body { record: found.number, error });
            }
        });
        self.tally += Tally { output, ..tally };
        self.problems.append(&mut problems);
        self.problems.append(&mut bodies);
    }

    fn bytes(&self) -> usize {
        self.raw_bytes + (self.loads.len() + self.groups.len()) * 256 + self.passed.len() * size_of::<Passed>()
    }

    fn finish(mut self, origin: Origin) -> Counted {
        self.tally = origin.tally(self.tally);
        Counted { origin, counter: self }
    }
}

impl Counter {
    fn add(&mut self, found: &Match<'_, '_>) -> Result<(), RecordError> {
        let record = found.record;
        let comm = record.header.comm;
        match record.kind() {
            kind if KINDS.contains(&kind) => {
                let Some(connection) = found.connection else { return Ok(()) };
                let comm = connection.owner.is_known().then_some(comm);
                let (connection, image) = (connection.index(), found.image);
                let time_ns = record.header.time_ns;
                self.passed.push(Passed { connection, image, comm, time: found.time, time_ns });
            }
            LibLoad::KIND => {
                let load = LibLoad::decode(record)?;
                let key = (found.image, comm, (load.fixed.dev, load.fixed.ino));
                self.loads.entry(key).or_insert_with(|| load.path.into());
            }
            ApiCall::KIND => {
                let call = ApiCall::decode(record)?;
                if let Some(list) = GroupList::of(record, &call) {
                    self.groups.insert((found.image, list));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
