//! What a few blocks add: uses by process, counted in parallel with others.

use super::Seen;
use crate::capture::Capture;
use crate::capture::connections::KINDS;
use crate::capture::libraries::{FileId, better, judge_path};
use crate::capture::timeline::ImageId;
use crate::count::calls::{CallKey, CallUse};
use crate::count::rows::Rows;
use crate::read::faults::Problem;
use crate::read::{BlockSource, Count, Match, Origin, Tally};
use crate::select::{ResolvedFilter, Selection};
use crate::words::timestamp::WallNs;
use crypto_trace_format::catalog::Judged;
use crypto_trace_format::record::{ApiCall, Comm, FileOpen, LibLoad, RecordError};

/// Whose: an image, its process, and the name of the thread that was seen first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Doer {
    pub image: ImageId,
    pub tgid: u32,
    /// None: no process is known.
    pub comm: Option<Comm>,
}

/// A connection that passed the filters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    pub connection: u32,
    pub doer: Doer,
    pub time: WallNs,
}

/// Opens of one file, and what it holds.
pub(super) type Opened = (Seen, Option<Judged>);

/// Counts some blocks.
#[derive(Default)]
pub struct Counter {
    pub(super) tally: Tally,
    pub(super) passed: Vec<Passed>,
    pub(super) calls: Rows<(CallKey, Doer), Seen>,
    pub(super) files: Rows<(Box<[u8]>, Doer), Opened>,
    pub(super) loads: Rows<(FileId, Box<[u8]>, Doer), Seen>,
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
            if let Err(error) = self.add(source.capture, found) {
                bodies.push(Problem::Body { record: found.number, error });
            }
        });
        self.tally += Tally { output, ..tally };
        self.problems.append(&mut problems);
        self.problems.append(&mut bodies);
    }

    fn bytes(&self) -> usize {
        self.raw_bytes
            + self.passed.len() * size_of::<Passed>()
            + (self.calls.len() + self.files.len() + self.loads.len()) * 2 * Rows::<(CallKey, Doer), Seen>::ROW_BYTES
    }

    fn finish(mut self, origin: Origin) -> Counted {
        self.tally = origin.tally(self.tally);
        Counted { origin, counter: self }
    }
}

impl Counter {
    fn add(&mut self, capture: &Capture, found: &Match<'_, '_>) -> Result<(), RecordError> {
        let (record, time) = (&found.record, found.time);
        let header = &record.header;
        let doer = Doer { image: found.image, tgid: header.tgid, comm: Some(header.comm) };
        let seen = |count| Seen { count, first: time, last: time, tgid: header.tgid };
        match record.kind() {
            kind if KINDS.contains(&kind) => {
                let Some(connection) = found.connection else { return Ok(()) };
                let comm = connection.owner.is_known().then_some(header.comm);
                self.passed.push(Passed { connection: connection.index(), doer: Doer { comm, ..doer }, time });
            }
            ApiCall::KIND => {
                let call = ApiCall::decode(record)?;
                let used = CallUse::new(&call);
                // What the library does of itself is not what the program asked for; what was refused was not used.
                let own = used.own().saturating_sub(used.failed);
                if own > 0
                    && let Some(row) = self.calls.row(&(CallKey::new(&call), doer), || seen(0))
                {
                    row.add(seen(own));
                }
            }
            FileOpen::KIND => {
                let open = FileOpen::decode(record)?;
                if open.fixed.result < 0 {
                    return Ok(());
                }
                let path = open.full_path();
                let new = || (seen(0), judge_path(&path).or_else(|| judge_path(open.given)));
                let Some((row, judged)) = self.files.row(&((*path).into(), doer), new) else { return Ok(()) };
                row.add(seen(1));
                *judged = better(*judged, capture.loaded.of(header, &open));
            }
            LibLoad::KIND => {
                let load = LibLoad::decode(record)?;
                let key = ((load.fixed.dev, load.fixed.ino), load.path.into(), doer);
                if let Some(row) = self.loads.row(&key, || seen(0)) {
                    row.add(seen(1));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
