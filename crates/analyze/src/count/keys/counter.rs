//! What a few blocks add: counted in parallel with others.

use super::{Change, KeyUse, Loads};
use crate::budget::heap;
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::libraries::{LoadedFiles, Uses, better, judge_path, loaded_as, succeeded};
use crate::capture::timeline::{ImageId, TICK_NS};
use crate::count::rows::Rows;
use crate::count::{Span, is_from_proc};
use crate::read::faults::Problem;
use crate::read::{BlockSource, Count, Match, Origin, Tally};
use crate::select::{ResolvedFilter, Selection};
use crate::words::kernel::is_interrupted;
use crypto_trace_format::catalog::Judged;
use crypto_trace_format::record::{ApiCall, ApiMeaning, ChangeCall, Comm, FileChange, FileOpen, Header, RecordError};
use std::collections::BTreeMap;

/// Files of one path, and modes of them, that are told apart.
pub(super) const MAX_FACTS: usize = 16;

/// Permission bits of a mode.
const PERMISSIONS: u32 = 0o7777;

/// A process that did something with a path: number of the path, what it ran, process id, start in ticks, real user; and whether
/// it was a call of a library, which has the path as the program passed it.
pub(super) type Doer = (usize, ImageId, u32, u64, u32, bool);

/// What opens and changes say of the file at a path.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What it holds.
    pub judged: Option<Judged>,
    /// What libraries were asked to load it as.
    pub uses: Uses,
    /// Files that were at the path: device and inode.
    pub files: Vec<(u64, u64)>,
    /// Permission bits, and when they were seen.
    pub modes: BTreeMap<u32, Span>,
    /// There were more of either.
    pub is_cut: bool,
}

impl Facts {
    fn file(&mut self, file: (u64, u64)) {
        if file == (0, 0) || self.files.contains(&file) {
            return;
        }
        if self.files.len() < MAX_FACTS { self.files.push(file) } else { self.is_cut = true }
    }

    fn mode(&mut self, mode: u32, span: Span) {
        let room = self.modes.len() < MAX_FACTS;
        match self.modes.get_mut(&mode) {
            Some(known) => known.add(span),
            None if room => drop(self.modes.insert(mode, span)),
            None => self.is_cut = true,
        }
    }

    /// Adds what others say of the same path.
    pub(super) fn add(&mut self, other: &Self) {
        self.judged = better(self.judged.or(other.judged), other.judged);
        self.uses = self.uses.and(other.uses);
        other.files.iter().for_each(|file| self.file(*file));
        other.modes.iter().for_each(|(mode, span)| self.mode(*mode, *span));
        self.is_cut |= other.is_cut;
    }
}

/// What one process did with a path, and what that says of the file.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub comm: Comm,
    pub used: KeyUse,
    pub facts: Facts,
    /// The path as it was passed, where that was another.
    pub given: Box<[u8]>,
}

/// Counts some blocks.
#[derive(Default)]
pub struct KeyCounter {
    pub(super) tally: Tally,
    pub(super) paths: Rows<Vec<u8>, ()>,
    pub(super) parts: Rows<Doer, Part>,
    pub(super) problems: Vec<Problem>,
    raw_bytes: usize,
}

/// What some blocks add.
pub struct Counted {
    pub(super) origin: Origin,
    pub(super) counter: KeyCounter,
}

impl Count for KeyCounter {
    type Counted = Counted;

    fn count(&mut self, source: BlockSource<'_>, filter: &ResolvedFilter<'_>, selection: &Selection<'_>) {
        self.raw_bytes += source.raw.len();
        let (mut problems, mut bodies, mut output) = (Vec::new(), Vec::new(), 0);
        let tally =
            source.for_each_match(filter, selection, &mut problems, |found| match self.add(source.capture, found) {
                Ok(counts) => output += u64::from(counts),
                Err(error) => bodies.push(Problem::Body { record: found.number, error }),
            });
        self.tally += Tally { output, ..tally };
        self.problems.append(&mut problems);
        self.problems.append(&mut bodies);
    }

    fn bytes(&self) -> usize {
        self.raw_bytes
            + self.paths.len() * Rows::<Vec<u8>, ()>::ROW_BYTES
            + self.parts.len() * (Rows::<Doer, Part>::ROW_BYTES + heap(128))
    }

    fn finish(mut self, origin: Origin) -> Counted {
        self.tally = origin.tally(self.tally);
        Counted { origin, counter: self }
    }
}

impl KeyCounter {
    /// Counts a record. Returns whether it says anything of a file.
    fn add(&mut self, capture: &Capture, found: &Match<'_, '_>) -> Result<bool, RecordError> {
        let record = found.record;
        match record.kind() {
            FileOpen::KIND => {
                let open = FileOpen::decode(record)?;
                if is_interrupted(open.fixed.result.into()) {
                    return Ok(false);
                }
                let part = self.part((&open.full_path(), open.given), false, found);
                if let Some(part) = part {
                    part.open(&record.header, &open, &capture.loaded, found.time);
                }
            }
            FileChange::KIND => {
                let change = FileChange::decode(record)?;
                if is_interrupted(change.fixed.result.into()) {
                    return Ok(false);
                }
                let (old, new) = (change.full_path(), change.full_new());
                let done = Change::of(ChangeCall(change.fixed.call));
                if let Some(part) = self.part((&old, b""), false, found) {
                    part.change(&change, done, found.time);
                }
                let new = new.filter(|new| *new != old);
                if let Some(part) = new.and_then(|new| self.part((&new, b""), false, found)) {
                    let done = if done == Change::RenamedAway { Change::RenamedHere } else { done };
                    part.change(&change, done, found.time);
                }
            }
            ApiCall::KIND => {
                let call = ApiCall::decode(record)?;
                if ApiMeaning(call.fixed.meaning) != ApiMeaning::PRIVATE_KEY_FILE || call.text.is_empty() {
                    return Ok(false);
                }
                if let Some(part) = self.part((call.text, b""), true, found) {
                    part.load(&call, found.time);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn part(&mut self, (path, given): (&[u8], &[u8]), is_call: bool, found: &Match<'_, '_>) -> Option<&mut Part> {
        let header = &found.record.header;
        self.paths.row(path, || ());
        let number = self.paths.number(path)?;
        let doer = (number, found.image, header.tgid, header.start_ns / TICK_NS, header.uid, is_call);
        let time = found.time;
        self.parts.row(&doer, || Part {
            comm: header.comm,
            used: KeyUse::new(time),
            facts: Facts { judged: judge_path(path).or_else(|| judge_path(given)), ..Facts::default() },
            given: given.into(),
        })
    }
}

impl Part {
    fn open(&mut self, header: &Header, open: &FileOpen<'_>, loaded: &LoadedFiles, time: WallNs) {
        let fixed = &open.fixed;
        self.used.open(fixed, is_from_proc(header, fixed.tier), time);
        let uses = loaded.uses(header, open);
        self.facts.uses = self.facts.uses.and(uses);
        self.facts.judged = better(self.facts.judged, loaded.of(header, open));
        self.facts.file((fixed.dev, fixed.ino));
        if fixed.inode_mode != 0 {
            self.facts.mode(fixed.inode_mode & PERMISSIONS, Span::at(time));
        }
    }

    fn change(&mut self, change: &FileChange<'_>, done: Change, time: WallNs) {
        let fixed = &change.fixed;
        self.used.change(done, fixed.result, time);
        self.facts.file((fixed.dev, fixed.ino));
        if fixed.result < 0 {
            return;
        }
        if done == Change::Mode {
            self.facts.mode(fixed.mode & PERMISSIONS, Span::at(time));
        } else if fixed.inode_mode != 0 {
            self.facts.mode(fixed.inode_mode & PERMISSIONS, Span::at(time));
        }
    }

    fn load(&mut self, call: &ApiCall<'_>, time: WallNs) {
        self.used.span.add(Span::at(time));
        self.used.loads.add(Loads::one(succeeded(call), call.fixed.count.max(1)));
        if let Some(judged) = loaded_as(call) {
            self.facts.uses = self.facts.uses.with(judged.file_type);
            self.facts.judged = better(self.facts.judged, Some(judged));
        }
    }
}
