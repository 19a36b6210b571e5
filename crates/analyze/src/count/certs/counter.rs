//! What a few blocks add: counted in parallel with others.

use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::libraries::{Uses, better, judge_path, loaded_as, succeeded};
use crate::capture::timeline::ImageId;
use crate::read::faults::Problem;
use crate::read::{BlockSource, Count, Match, Origin, Tally};
use crate::select::{ResolvedFilter, Selection};
use crate::words::kernel::{access, change_name, is_interrupted};
use crypto_trace_format::catalog::{FileType, Judged};
use crypto_trace_format::record::{
    ApiCall, ApiMeaning, ChangeCall, Comm, FileChange, FileOpen, Header, RecordError, TlsHello,
};

/// A connection that passed the filters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    pub connection: u32,
    pub image: ImageId,
    pub comm: Option<Comm>,
    pub time: WallNs,
    pub time_ns: u64,
}

/// Something that was done with a file that may hold a certificate.
#[derive(Debug)]
pub(super) struct Done {
    pub path: Box<[u8]>,
    /// The path as it was passed, where that was another.
    pub given: Box<[u8]>,
    pub what: What,
    pub image: ImageId,
    pub comm: Comm,
    pub time: WallNs,
    pub time_ns: u64,
    pub judged: Option<Judged>,
    pub uses: Uses,
    /// Device and inode; zeros where they are not known.
    pub file: (u64, u64),
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Opened for reading alone, or found open so.
    Read,
    /// Opened for writing.
    Written,
    /// An open failed.
    Failed,
    /// Another file has this name now.
    Replaced,
    /// The name is gone.
    Removed,
    /// Given to a library as a certificate; None: whether it took it is not known.
    Loaded(Option<bool>),
}

/// Counts some blocks.
#[derive(Default)]
pub struct CertCounter {
    pub(super) tally: Tally,
    pub(super) passed: Vec<Passed>,
    pub(super) done: Vec<Done>,
    pub(super) problems: Vec<Problem>,
    raw_bytes: usize,
}

/// What some blocks add.
pub struct Counted {
    pub(super) origin: Origin,
    pub(super) counter: CertCounter,
}

impl Count for CertCounter {
    type Counted = Counted;

    fn count(&mut self, source: BlockSource<'_>, filter: &ResolvedFilter<'_>, selection: &Selection<'_>) {
        self.raw_bytes += source.raw.len();
        let (mut problems, mut bodies, mut output) = (Vec::new(), Vec::new(), 0);
        let tally =
            source.for_each_match(filter, selection, &mut problems, |found| match self.add(source.capture, found) {
                Ok(()) => output += 1,
                Err(error) => bodies.push(Problem::Body { record: found.number, error }),
            });
        self.tally += Tally { output, ..tally };
        self.problems.append(&mut problems);
        self.problems.append(&mut bodies);
    }

    fn bytes(&self) -> usize {
        self.raw_bytes + self.done.len() * size_of::<Done>() + self.passed.len() * size_of::<Passed>()
    }

    fn finish(mut self, origin: Origin) -> Counted {
        self.tally = origin.tally(self.tally);
        Counted { origin, counter: self }
    }
}

/// Whether a file of this type may hold a certificate.
fn may_hold(judged: Option<Judged>, uses: Uses) -> bool {
    judged.is_some_and(|judged| matches!(judged.file_type, FileType::Certificate | FileType::PrivateKey))
        || uses.types().any(|is| is == FileType::Certificate)
}

impl CertCounter {
    fn add(&mut self, capture: &Capture, found: &Match<'_, '_>) -> Result<(), RecordError> {
        let record = found.record;
        match record.kind() {
            TlsHello::KIND => {
                let Some(connection) = found.connection else { return Ok(()) };
                let comm = connection.owner.is_known().then_some(record.header.comm);
                let (connection, image, time) = (connection.index(), found.image, found.time);
                self.passed.push(Passed { connection, image, comm, time, time_ns: record.header.time_ns });
            }
            FileOpen::KIND => self.open(capture, &record.header, &FileOpen::decode(record)?, found),
            FileChange::KIND => self.change(&FileChange::decode(record)?, found),
            ApiCall::KIND => {
                let call = ApiCall::decode(record)?;
                if ApiMeaning(call.fixed.meaning) == ApiMeaning::CERTIFICATE_FILE && !call.text.is_empty() {
                    let (by_name, by_use) = (judge_path(call.text), loaded_as(&call));
                    let uses = by_use.map_or_else(Uses::default, |judged| Uses::default().with(judged.file_type));
                    let facts = (better(by_name, by_use), uses, (0, 0));
                    self.push((call.text, b""), What::Loaded(succeeded(&call)), facts, found);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, capture: &Capture, header: &Header, open: &FileOpen<'_>, found: &Match<'_, '_>) {
        let fixed = &open.fixed;
        if is_interrupted(fixed.result.into()) {
            return;
        }
        let path = open.full_path();
        let uses = capture.loaded.uses(header, open);
        let judged = capture.loaded.judged(header, open, judge_path(&path));
        let what = match access(fixed.flags) {
            _ if fixed.result < 0 => What::Failed,
            (_, true) => What::Written,
            (true, false) => What::Read,
            // O_PATH reads nothing.
            (false, false) => return,
        };
        if may_hold(judged, uses) {
            self.push((&path, open.given), what, (judged, uses, (fixed.dev, fixed.ino)), found);
        }
    }

    fn change(&mut self, change: &FileChange<'_>, found: &Match<'_, '_>) {
        if change.fixed.result < 0 {
            return;
        }
        let (first, second) = match change_name(ChangeCall(change.fixed.call)) {
            "rename" => (What::Removed, What::Replaced),
            // Neither name is another file's afterwards: the new one was free.
            "link" => (What::Read, What::Replaced),
            "symlink" => (What::Replaced, What::Replaced),
            "unlink" => (What::Removed, What::Removed),
            _ => return,
        };
        let mut put = |path: &[u8], what| {
            let judged = judge_path(path);
            if may_hold(judged, Uses::default()) {
                self.push((path, b""), what, (judged, Uses::default(), (0, 0)), found);
            }
        };
        if first != What::Read {
            put(&change.full_path(), first);
        }
        if let Some(new) = change.full_new() {
            put(&new, second);
        }
    }

    fn push(
        &mut self,
        (path, given): (&[u8], &[u8]),
        what: What,
        (judged, uses, file): (Option<Judged>, Uses, (u64, u64)),
        found: &Match<'_, '_>,
    ) {
        let header = &found.record.header;
        self.done.push(Done {
            path: path.into(),
            given: given.into(),
            what,
            image: found.image,
            comm: header.comm,
            time: found.time,
            time_ns: header.time_ns,
            judged,
            uses,
            file,
        });
    }
}
