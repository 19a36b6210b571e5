//! Files and libraries of all processes, by their path, and which programs used them.

mod directories;

pub use directories::{Common, MANY_FILES, common};

use crate::budget::{Budget, first_sorted, hashed, heap, sorted};
use crate::capture::Capture;
use crate::capture::libraries::{FileId, Known, better};
use crate::capture::timeline::{ImageId, TICK_NS};
use crate::count::files::{FileUse, changed_names};
use crate::count::libraries::LibraryUse;
use crate::count::rows::Rows;
use crate::count::without_room;
use crate::read::faults::{FaultLog, Problem};
use crate::read::{
    BlockSource, Count, Fold, LiveBatch, LiveBlock, LiveSink, Match, Origin, Plan, Tally, count_blocks, count_live,
};
use crate::select::{Filter, ResolvedFilter, Selection};
use crate::words::kernel::is_interrupted;
use crypto_trace_format::record::{Comm, FileChange, FileOpen, LibLoad, RecordError, trim_comm};
use foldhash::fast::RandomState;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::io;

/// What one program did with a file or library.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProgramUse {
    /// Its processes.
    pub processes: u64,
    /// Opens or loads, those included that were there already.
    pub uses: u64,
    /// Opens that failed.
    pub failed: u64,
}

/// What is reported of one path.
pub trait PathUse: Clone + Send {
    /// Bytes that it holds besides itself.
    fn held_bytes(&self) -> usize;

    /// Adds more of the same path.
    fn merge(&mut self, other: &Self);
}

impl PathUse for FileUse {
    fn held_bytes(&self) -> usize {
        FileUse::held_bytes(self)
    }

    fn merge(&mut self, other: &Self) {
        self.add(other);
    }
}

impl PathUse for LibraryUse {
    fn held_bytes(&self) -> usize {
        0
    }

    fn merge(&mut self, other: &Self) {
        self.add(other);
    }
}

/// One path.
#[derive(Debug, Clone)]
struct PathRow<U> {
    used: U,
    /// By number of the program.
    programs: BTreeMap<usize, ProgramUse>,
    /// It is in the list of those that changed.
    changed: bool,
}

/// A process, its image, its thread's name: who used a row of a chunk.
type User = (usize, ImageId, u32, u64);

/// Rows of one chunk.
struct Chunk<U> {
    rows: Rows<Vec<u8>, U>,
    users: Rows<User, (ProgramUse, Comm)>,
}

impl<U> Chunk<U> {
    /// Bytes that its rows take, but for texts.
    fn bytes(&self) -> usize {
        self.rows.len() * Rows::<Vec<u8>, U>::ROW_BYTES + self.users.len() * Rows::<User, (ProgramUse, Comm)>::ROW_BYTES
    }
}

impl<U> Default for Chunk<U> {
    fn default() -> Self {
        Self { rows: Rows::default(), users: Rows::default() }
    }
}

impl<U> Chunk<U> {
    fn add(
        &mut self,
        key: &[u8],
        found: &Match<'_, '_>,
        failed: bool,
        make: impl FnOnce() -> U,
        count: impl FnOnce(&mut U),
    ) {
        let Some(row) = self.rows.row(key, make) else { return };
        count(row);
        let header = &found.record.header;
        let number = self.rows.number(key).unwrap_or(0);
        let user = (number, found.image, header.tgid, header.start_ns / TICK_NS);
        if let Some((used, _)) = self.users.row(&user, || (ProgramUse::default(), header.comm)) {
            used.uses += 1;
            used.failed += u64::from(failed);
        }
    }
}

/// Counts some blocks.
#[derive(Default)]
pub struct PathCounter {
    tally: Tally,
    files: Chunk<FileUse>,
    libraries: Chunk<LibraryUse>,
    /// Reused for keys.
    key: Vec<u8>,
    /// Bytes of blocks: all texts are from there.
    raw_bytes: usize,
    problems: Vec<Problem>,
}

/// What some blocks add.
pub struct Counted {
    tally: Tally,
    origin: Origin,
    files: Chunk<FileUse>,
    libraries: Chunk<LibraryUse>,
    problems: Vec<Problem>,
}

impl Count for PathCounter {
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
        self.raw_bytes + self.files.bytes() + self.libraries.bytes()
    }

    fn finish(self, origin: Origin) -> Counted {
        let tally = origin.tally(self.tally);
        Counted { tally, origin, files: self.files, libraries: self.libraries, problems: self.problems }
    }
}

impl PathCounter {
    #[inline]
    fn add(&mut self, capture: &Capture, found: &Match<'_, '_>) -> Result<(), RecordError> {
        let record = found.record;
        let header = &record.header;
        match record.kind() {
            FileOpen::KIND => {
                let open = FileOpen::decode(record)?;
                if is_interrupted(open.fixed.result.into()) {
                    return Ok(());
                }
                let path = open.full_path();
                let make = || FileUse::new(&path, open.given, found.time);
                let failed = open.fixed.result < 0;
                self.files.add(&path, found, failed, make, |file| {
                    file.count(header, &open, &capture.loaded, found.time);
                });
            }
            FileChange::KIND => {
                let change = FileChange::decode(record)?;
                if is_interrupted(change.fixed.result.into()) {
                    return Ok(());
                }
                for path in changed_names(&change) {
                    let make = || FileUse::new(&path, b"", found.time);
                    let failed = change.fixed.result < 0;
                    self.files.add(&path, found, failed, make, |file| file.change(&change, found.time));
                }
            }
            LibLoad::KIND => {
                let load = LibLoad::decode(record)?;
                library_key((load.fixed.dev, load.fixed.ino), load.path, &mut self.key);
                let make = || LibraryUse::new(found.time);
                self.libraries.add(&self.key, found, false, make, |row| row.count(header, &load, found.time));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Two files of the same path, one after the other or in two containers, are two libraries.
fn library_key(id: FileId, path: &[u8], key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(&id.0.to_le_bytes());
    key.extend_from_slice(&id.1.to_le_bytes());
    key.extend_from_slice(path);
}

/// The file and the path of a key of the libraries' table.
pub fn library_of(key: &[u8]) -> (FileId, &[u8]) {
    let (id, path) = key.split_at_checked(16).unwrap_or_default();
    let number = |bytes: Option<&[u8]>| bytes.and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
    ((number(id.get(..8)), number(id.get(8..))), path)
}

/// Which processes of which program used which row: row, program, capture, process id, start in ticks.
type Seen = HashSet<(usize, usize, u32, u32, u64), RandomState>;

/// What one of them takes.
const SEEN_BYTES: usize = hashed::<(usize, usize, u32, u32, u64)>();

/// What was said last of a row that is shown as it changes, besides its path.
const FOLLOWED_BYTES: usize = 1_024;

/// Rows of one host.
#[derive(Debug)]
struct PathTable<U> {
    rows: Rows<Vec<u8>, PathRow<U>>,
    seen: Seen,
    /// Keys of rows that are new or have changed, where rows are shown as they change.
    changed: Option<Vec<Vec<u8>>>,
}

impl<U> PathTable<U> {
    /// Of files that are read in one go nobody asks what has changed.
    fn new(follows: bool) -> Self {
        Self { rows: Rows::default(), seen: Seen::default(), changed: follows.then(Vec::new) }
    }
}

/// A row, as it is shown.
#[derive(Debug)]
pub struct Shown<'a, U: Clone> {
    /// Name of the host.
    pub host: &'a str,
    /// Path of the file, or of a directory with many; of libraries see [`library_of`].
    pub key: &'a [u8],
    /// How many files it is.
    pub files: u64,
    /// What was done with it.
    pub used: Cow<'a, U>,
    /// By program: executable, or name of the thread where that is not known. Those that did most come first.
    pub programs: Vec<(&'a [u8], ProgramUse)>,
}

impl<U: Clone> Shown<'_, U> {
    /// Processes; one that ran two programs counts for both.
    pub fn processes(&self) -> u64 {
        self.programs.iter().map(|(_, used)| used.processes).fold(0, u64::saturating_add)
    }
}

/// Names of programs, by number.
#[derive(Debug, Default)]
struct Programs {
    numbers: Rows<Vec<u8>, ()>,
    names: Vec<Vec<u8>>,
}

impl Programs {
    /// The number of a name; none when there is no room for it.
    fn number(&mut self, name: &[u8], budget: &mut Budget) -> Option<usize> {
        if let Some(number) = self.numbers.number(name) {
            return Some(number);
        }
        let both = Rows::<Vec<u8>, ()>::ROW_BYTES + 2 * size_of::<Vec<u8>>() + 2 * heap(name.len());
        if !budget.take(both) {
            return None;
        }
        self.numbers.row(name, || ());
        self.names.push(name.to_vec());
        Some(self.names.len() - 1)
    }

    fn name(&self, number: usize) -> &[u8] {
        self.names.get(number).map(Vec::as_slice).unwrap_or_default()
    }

    /// Programs by their names, those that did most first.
    fn by_use(&self, of: &BTreeMap<usize, ProgramUse>) -> Vec<(&[u8], ProgramUse)> {
        let mut used: Vec<_> = of.iter().map(|(number, used)| (self.name(*number), *used)).collect();
        used.sort_by(|a, b| b.1.uses.cmp(&a.1.uses).then_with(|| a.0.cmp(b.0)));
        used
    }
}

impl<U: PathUse> PathTable<U> {
    fn add(&mut self, chunk: Chunk<U>, number: u32, capture: &Capture, programs: &mut Programs, budget: &mut Budget) {
        let rows = chunk.rows.into_rows().into_iter().map(|(key, used)| self.add_row(key, &used, budget));
        let rows: Vec<Option<usize>> = rows.collect();
        for ((row, image, tgid, start), (used, comm)) in chunk.users.into_rows() {
            let Some(at) = rows.get(row).copied().flatten() else { continue };
            let name = capture.timeline.exe(image).unwrap_or(trim_comm(&comm));
            let Some(program) = programs.number(name, budget) else { continue };
            let Some(row) = self.rows.get_mut(at) else { continue };
            if !row.programs.contains_key(&program) {
                // And what it is shown by.
                let shown = 2 * size_of::<(&[u8], ProgramUse)>();
                let entry = match row.programs.is_empty() {
                    true => first_sorted::<(usize, ProgramUse)>(),
                    false => sorted::<(usize, ProgramUse)>(),
                };
                if !budget.take(entry + shown) {
                    continue;
                }
            }
            let total = row.programs.entry(program).or_default();
            total.uses += used.uses;
            total.failed += used.failed;
            let process = (at, program, number, tgid, start);
            if !self.seen.contains(&process) && budget.take(SEEN_BYTES) {
                self.seen.insert(process);
                total.processes += 1;
            }
        }
    }

    /// Adds to a row. Returns its number; none when there is no room for it.
    fn add_row(&mut self, key: Vec<u8>, used: &U, budget: &mut Budget) -> Option<usize> {
        let known = self.rows.number(&key[..]);
        if known.is_none() {
            let row = Rows::<Vec<u8>, PathRow<U>>::ROW_BYTES + heap(key.len()) + used.held_bytes();
            let shown = 3 * size_of::<Shown<'_, U>>() / 2;
            // Who follows keeps what has changed, and what was said of it last.
            let followed = if self.changed.is_some() { heap(key.len()) + FOLLOWED_BYTES + 2 * key.len() } else { 0 };
            if !budget.take(row + shown + followed) {
                return None;
            }
        }
        let row =
            self.rows.row(&key[..], || PathRow { used: used.clone(), programs: BTreeMap::new(), changed: false })?;
        if known.is_some() {
            row.used.merge(used);
        }
        let changed = std::mem::replace(&mut row.changed, true);
        let number = self.rows.number(&key[..]);
        if let Some(list) = self.changed.as_mut().filter(|_| !changed) {
            list.push(key);
        }
        number
    }

    fn show<'a>(host: &'a str, key: &'a [u8], row: &'a PathRow<U>, programs: &'a Programs) -> Shown<'a, U> {
        Shown { host, key, files: 1, used: Cow::Borrowed(&row.used), programs: programs.by_use(&row.programs) }
    }

    fn all<'a>(&'a self, host: &'a str, programs: &'a Programs) -> impl Iterator<Item = Shown<'a, U>> {
        self.rows.sorted().into_iter().map(move |(key, row)| Self::show(host, key, row, programs))
    }

    /// Rows that are new or have changed, by key.
    fn changed<'a>(&'a self, host: &'a str, programs: &'a Programs) -> impl Iterator<Item = Shown<'a, U>> {
        let mut keys: Vec<&Vec<u8>> = self.changed.iter().flatten().collect();
        keys.sort_unstable();
        keys.into_iter().filter_map(move |key| Some(Self::show(host, key, self.rows.get(&key[..])?, programs)))
    }

    fn forget_changes(&mut self) {
        for key in self.changed.iter_mut().flat_map(|list| list.drain(..)) {
            if let Some(row) = self.rows.number(&key[..]).and_then(|number| self.rows.get_mut(number)) {
                row.changed = false;
            }
        }
    }
}

impl PathTable<FileUse> {
    /// Takes in what a process of capture `number` loaded a file as that it had opened before.
    fn know(&mut self, number: u32, known: &Known) {
        let key = if self.rows.number(&known.path[..]).is_some() {
            known.path.to_vec()
        } else {
            let rows = self.rows.sorted();
            let Some((key, _)) = rows.into_iter().find(|(_, row)| *row.used.given == *known.path) else { return };
            key.clone()
        };
        let Some(at) = self.rows.number(&key[..]) else { return };
        let Some(row) = self.rows.get_mut(at) else { return };
        let opened =
            |program: &usize| self.seen.contains(&(at, *program, number, known.tgid, known.start_ns / TICK_NS));
        let judged = better(row.used.judged, Some(known.judged));
        let uses = row.used.uses.with(known.judged.file_type);
        if (judged, uses) == (row.used.judged, row.used.uses) || !row.programs.keys().any(opened) {
            return;
        }
        (row.used.judged, row.used.uses) = (judged, uses);
        if !std::mem::replace(&mut row.changed, true)
            && let Some(list) = &mut self.changed
        {
            list.push(key);
        }
    }
}

/// Files and libraries of one host.
#[derive(Debug)]
struct Host {
    name: String,
    files: PathTable<FileUse>,
    libraries: PathTable<LibraryUse>,
}

/// Files and libraries of all hosts.
#[derive(Debug, Default)]
pub struct ByPath {
    hosts: Vec<Host>,
    programs: Programs,
    tally: Tally,
    budget: Budget,
    /// What has changed is asked for as it comes.
    follows: bool,
    /// How much of what became known by use was taken in, by capture.
    known: Vec<usize>,
}

impl ByPath {
    /// Keeps no more than fits into a budget.
    pub fn new(budget: Budget) -> Self {
        Self { budget, ..Self::default() }
    }

    /// Knows what has changed, [`Self::changed_files`].
    pub fn following() -> Self {
        Self { follows: true, ..Self::default() }
    }

    fn add(&mut self, counted: Counted, capture: &Capture, faults: &mut FaultLog) {
        self.tally += counted.tally;
        let origin = counted.origin;
        counted.problems.into_iter().for_each(|problem| faults.add(origin.segment, problem));
        let name = &capture.meta.host;
        let at = self.hosts.iter().position(|host| host.name == *name).unwrap_or(self.hosts.len());
        if at == self.hosts.len() {
            let (files, libraries) = (PathTable::new(self.follows), PathTable::new(self.follows));
            self.hosts.push(Host { name: name.clone(), files, libraries });
        }
        let Self { hosts, programs, budget, .. } = self;
        let Some(host) = hosts.get_mut(at) else { return };
        host.files.add(counted.files, origin.capture, capture, programs, budget);
        host.libraries.add(counted.libraries, origin.capture, capture, programs, budget);
    }

    /// Takes in blocks of a stream.
    pub fn take(&mut self, blocks: &[LiveBlock], captures: &[Capture], filter: &Filter, faults: &mut FaultLog) {
        for (counted, origin) in count_live::<PathCounter>(blocks, captures, filter) {
            if let Some(capture) = captures.get(origin.capture as usize) {
                self.add(counted, capture, faults);
            }
        }
        self.known.resize(captures.len(), 0);
        for ((number, capture), seen) in (0u32..).zip(captures).zip(&mut self.known) {
            let since = capture.loaded.known_since(*seen);
            *seen += since.len();
            if let Some(host) = self.hosts.iter_mut().find(|host| host.name == capture.meta.host) {
                since.iter().for_each(|known| host.files.know(number, known));
            }
        }
    }

    /// Whether there is any file.
    pub fn has_files(&self) -> bool {
        self.hosts.iter().any(|host| !host.files.rows.is_empty())
    }

    /// Whether there is any library.
    pub fn has_libraries(&self) -> bool {
        self.hosts.iter().any(|host| !host.libraries.rows.is_empty())
    }

    /// Files, by host and path.
    pub fn files(&self) -> impl Iterator<Item = Shown<'_, FileUse>> {
        self.hosts.iter().flat_map(|host| host.files.all(&host.name, &self.programs))
    }

    /// Files, by host and path, with a row for each directory of which there are many.
    pub fn grouped_files(&self) -> impl Iterator<Item = Shown<'_, FileUse>> {
        self.hosts.iter().flat_map(|host| host.files.grouped(&host.name, &self.programs))
    }

    /// Libraries, by host and file.
    pub fn libraries(&self) -> impl Iterator<Item = Shown<'_, LibraryUse>> {
        self.hosts.iter().flat_map(|host| host.libraries.all(&host.name, &self.programs))
    }

    /// Files that are new or have changed since [`Self::forget_changes`].
    pub fn changed_files(&self) -> impl Iterator<Item = Shown<'_, FileUse>> {
        self.hosts.iter().flat_map(|host| host.files.changed(&host.name, &self.programs))
    }

    /// What has changed is told.
    pub fn forget_changes(&mut self) {
        for host in &mut self.hosts {
            host.files.forget_changes();
            host.libraries.forget_changes();
        }
    }
}

impl Fold for ByPath {
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) -> io::Result<()> {
        self.tally.processed += plan.skipped_records;
        count_blocks::<PathCounter>(plan, faults, |counted, capture, faults| self.add(counted, capture, faults));
        Ok(())
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn left_out(&self) -> Option<String> {
        without_room(self.budget.refused())
    }
}

impl LiveSink for ByPath {
    fn batch(&mut self, batch: LiveBatch<'_>) -> io::Result<()> {
        let LiveBatch { blocks, captures, filter, faults } = batch;
        self.take(&blocks, captures, filter, faults);
        Ok(())
    }
}
