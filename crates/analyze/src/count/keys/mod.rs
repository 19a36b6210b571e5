//! Private keys: who opens which, how, and what came of it.
//!
//! A row is a path in one container, or in none, of one host. What a file is, is known by its name or by what a library was
//! asked to load that it is; the same file under another name, by its device and inode, is a key as well. What is not known to
//! be a key is kept as long as all is not read, with a limit of its own, and then left out.

mod counter;
mod used;

pub use counter::Facts;
pub use used::{Change, KeyUse, Loads};

use counter::{Counted, KeyCounter, Part};

use crate::budget::{Budget, first_sorted, hashed, heap, listed, sorted};
use crate::capture::Capture;
use crate::capture::libraries::Uses;
use crate::count::handshakes::host_numbers;
use crate::count::{Span, without_room};
use crate::read::faults::FaultLog;
use crate::read::{Fold, LiveBatch, LiveSink, Plan, Tally, count_blocks, count_live};
use crypto_trace_format::catalog::{FileType, Judged};
use crypto_trace_format::record::trim_comm;
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

/// Bytes that rows of keys may take; and as many those of files of which nobody knows yet whether they are keys.
const MAX_BYTES: usize = 128 << 20;

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPath {
    /// Number of the host.
    pub host: u32,
    /// The container of whoever used it.
    pub container: Option<Box<[u8]>>,
    /// The path, as the kernel resolved it or as it was passed.
    pub path: Box<[u8]>,
}

/// Who used it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct User {
    /// Executable, or the thread's name where that is not known.
    pub program: Box<[u8]>,
    /// Real user id.
    pub uid: u32,
}

/// A process: capture, process id, start in ticks.
type Process = (u32, u32, u64);

/// What one user did, in how many processes.
#[derive(Debug, Clone)]
pub struct UserRow {
    /// What.
    pub used: KeyUse,
    /// Its processes.
    processes: BTreeSet<Process>,
    /// There were more.
    pub is_cut: bool,
}

impl UserRow {
    /// How many processes.
    pub fn processes(&self) -> u64 {
        self.processes.len() as u64
    }
}

/// One path.
#[derive(Debug, Clone, Default)]
pub struct KeyRow {
    /// What the file is.
    pub facts: Facts,
    /// It is known to be a key only since another name of it is.
    pub by_same_file: bool,
    /// By who did it.
    pub users: BTreeMap<User, UserRow>,
    /// Files at this path that are at others as well.
    pub shared: Vec<FileId>,
}

impl KeyRow {
    /// What all did together; None: nobody did anything.
    pub fn whole(&self) -> Option<KeyUse> {
        let mut uses = self.users.values().map(|row| &row.used);
        let first = uses.next()?.clone();
        Some(uses.fold(first, |mut whole, used| {
            whole.add(used);
            whole
        }))
    }

    /// Whether it is known to hold a private key, or to be what keys are kept in.
    fn is_key(&self) -> bool {
        let was_tried = || self.users.values().any(|row| row.used.loads != Loads::default());
        is_key(&self.facts) || was_tried()
    }

    /// Whether a file of it is in several containers.
    pub fn in_several_containers(&self, counted: &Keys) -> bool {
        self.shared.iter().any(|file| counted.shared.get(file).is_some_and(|places| places.several_containers))
    }

    /// The last mode that was seen.
    pub fn mode(&self) -> Option<u32> {
        self.facts.modes.iter().max_by_key(|(_, span)| span.last).map(|(mode, _)| *mode)
    }
}

/// Whether a file is known to hold a private key, or to be what keys are kept in.
fn is_key(facts: &Facts) -> bool {
    let holds = |judged: Judged| matches!(judged.file_type, FileType::PrivateKey | FileType::Keystore);
    facts.judged.is_some_and(holds) || facts.uses.types().any(|is| is == FileType::PrivateKey)
}

/// A file while a host was up: number of the host's first capture since then, device, inode.
pub type FileId = (u32, u64, u64);

/// Where a file is.
#[derive(Debug, Default)]
pub struct Places {
    /// All of it.
    pub at: BTreeSet<KeyPath>,
    /// In more than one container, or in one and in none.
    pub several_containers: bool,
}

/// A call that gave a path to a library.
#[derive(Debug)]
struct Call {
    /// The path as the program passed it.
    at: KeyPath,
    user: User,
    process: Process,
    used: KeyUse,
    facts: Facts,
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Keys {
    /// Rows; before [`Self::settle`] of other files, too.
    pub rows: BTreeMap<KeyPath, KeyRow>,
    /// Of files that are at several paths or in several containers, where.
    pub shared: BTreeMap<FileId, Places>,
    /// Files that were read and are called `.pem`, which may hold a key: nothing shows that they do.
    pub may_hold_keys: u64,
    calls: Vec<Call>,
    /// Paths as processes passed them, and what the kernel made of them.
    given: HashMap<(Process, Box<[u8]>), KeyPath, RandomState>,
    budget: Budget,
    other_budget: Budget,
    tally: Tally,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            shared: BTreeMap::new(),
            may_hold_keys: 0,
            calls: Vec::new(),
            given: HashMap::default(),
            budget: Budget::new(MAX_BYTES),
            other_budget: Budget::new(MAX_BYTES),
            tally: Tally::default(),
        }
    }
}

/// Of each capture, the first one of the same host, and of the same start of it: inode numbers mean nothing beyond that.
fn numbers(captures: &[Capture]) -> Vec<(u32, u32)> {
    let mut first: HashMap<(&str, &str), u32> = HashMap::new();
    let boots = (0u32..).zip(captures).map(|(number, capture)| {
        let boot = (&*capture.meta.host, &*capture.meta.boot_id);
        *first.entry(boot).or_insert(number)
    });
    host_numbers(captures).into_iter().zip(boots).collect()
}

impl KeyPath {
    fn held_bytes(&self) -> usize {
        heap(self.path.len()) + heap(self.container.as_ref().map_or(0, |id| id.len()))
    }
}

impl Keys {
    fn add(&mut self, counted: Counted, captures: &[Capture], faults: &mut FaultLog) {
        let Counted { origin, counter } = counted;
        self.tally += counter.tally;
        counter.problems.into_iter().for_each(|problem| faults.add(origin.segment, problem));
        let number = origin.capture;
        let Some(capture) = captures.get(number as usize) else { return };
        let Some((host, boot)) = numbers(captures).get(number as usize).copied() else { return };
        let paths = counter.paths.into_rows();
        for ((path, image, tgid, start, uid, is_call), part) in counter.parts.into_rows() {
            let Some((path, ())) = paths.get(path) else { continue };
            let Part { comm, used, facts, given } = part;
            let identity = capture.timeline.identity(image);
            let program = identity.exe.unwrap_or_else(|| trim_comm(&comm)).into();
            let (user, process) = (User { program, uid }, (number, tgid, start));
            let at = KeyPath { host, container: identity.container.map(Into::into), path: path.as_slice().into() };
            if is_call {
                let bytes = listed::<Call>() + at.held_bytes() + heap(user.program.len()) + FACTS_BYTES;
                if self.budget.take(bytes) {
                    self.calls.push(Call { at, user, process, used, facts });
                }
                continue;
            }
            let given = (!given.is_empty()).then_some((process, given));
            if !self.add_part(&at, (user, process), &used, &facts) {
                continue;
            }
            for (dev, ino) in facts.files {
                let file = (boot, dev, ino);
                let is_known = self.shared.get(&file).is_some_and(|places| places.at.contains(&at));
                if !is_known && self.take_for(&at, FILE_BYTES) {
                    self.shared.entry(file).or_default().at.insert(at.clone());
                }
            }
            if let Some(given) = given
                && !self.given.contains_key(&given)
                && self.take_for(&at, GIVEN_BYTES + heap(given.1.len()))
            {
                self.given.insert(given, at);
            }
        }
    }

    /// Takes room for something about a row, from what there is for rows of its kind.
    fn take_for(&mut self, at: &KeyPath, bytes: usize) -> bool {
        let is_key = self.rows.get(at).is_some_and(KeyRow::is_key);
        let budget = if is_key { &mut self.budget } else { &mut self.other_budget };
        budget.take(bytes + at.held_bytes())
    }

    /// Adds what a process did. Returns whether there is a row for it.
    fn add_part(&mut self, at: &KeyPath, (user, process): (User, Process), used: &KeyUse, facts: &Facts) -> bool {
        let row_bytes = 2 * (sorted::<(KeyPath, KeyRow)>() + at.held_bytes()) + FACTS_BYTES;
        let user_bytes = 2 * (sorted::<(User, UserRow)>() + heap(user.program.len()) + heap(64));
        let was_tried = used.loads != Loads::default();
        let known = self.rows.get(at);
        let is_key = was_tried || is_key(facts) || known.is_some_and(KeyRow::is_key);
        let budget = if is_key { &mut self.budget } else { &mut self.other_budget };
        if known.is_none() && !budget.take(row_bytes) {
            return false;
        }
        let row = self.rows.entry(at.clone()).or_default();
        row.facts.add(facts);
        if !row.users.contains_key(&user) && !budget.take(user_bytes + first_sorted::<Process>()) {
            return true;
        }
        let nothing = || UserRow { used: KeyUse::new(used.span.first), processes: BTreeSet::new(), is_cut: false };
        let row = row.users.entry(user).or_insert_with(nothing);
        row.used.add(used);
        if !row.processes.contains(&process) {
            match budget.take(sorted::<Process>()) {
                true => row.processes.insert(process),
                false => std::mem::replace(&mut row.is_cut, true),
            };
        }
        true
    }

    /// All is read: calls are counted with the file that they loaded, and what is no key is left out.
    pub fn settle(&mut self) {
        for Call { at, user, process, used, facts } in std::mem::take(&mut self.calls) {
            // A library is told the path that the program has. Where the same process opened that, the kernel said which file it is.
            let given = self.given.get(&(process, at.path.clone())).cloned();
            self.add_part(&given.unwrap_or(at), (user, process), &used, &facts);
        }
        self.given = HashMap::default();
        let rows = &mut self.rows;
        self.shared.retain(|_, places| places.at.iter().any(|at| rows.get(at).is_some_and(KeyRow::is_key)));
        for at in self.shared.values().flat_map(|places| &places.at) {
            if let Some(row) = rows.get_mut(at) {
                row.by_same_file |= !row.is_key();
            }
        }
        let is_key = |row: &KeyRow| row.by_same_file || row.is_key();
        let was_read = |row: &KeyRow| row.users.values().any(|row| row.used.reads());
        let is_pem = |path: &[u8], row: &KeyRow| path.ends_with(b".pem") && row.facts.uses == Uses::default();
        let others = rows.iter().filter(|(at, row)| !is_key(row) && was_read(row) && is_pem(&at.path, row));
        self.may_hold_keys = others.count() as u64;
        rows.retain(|_, row| is_key(row));
        self.shared.retain(|_, places| places.at.len() > 1);
        for (file, places) in &mut self.shared {
            let first = places.at.first().map(|at| &at.container);
            places.several_containers = places.at.iter().any(|at| Some(&at.container) != first);
            for at in &places.at {
                if let Some(row) = rows.get_mut(at) {
                    row.shared.push(*file);
                }
            }
        }
    }
}

/// What more is known of a file: of most one inode and one mode.
const FACTS_BYTES: usize = heap(counter::MAX_FACTS * size_of::<(u64, u64)>()) + first_sorted::<(u32, Span)>();

/// That a file is at a path.
const FILE_BYTES: usize = sorted::<(FileId, Places)>() + first_sorted::<KeyPath>() + heap(4 * size_of::<FileId>());

/// That a process passed a path.
const GIVEN_BYTES: usize = hashed::<((Process, Box<[u8]>), KeyPath)>();

impl Fold for Keys {
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) -> io::Result<()> {
        self.tally.processed += plan.skipped_records;
        count_blocks::<KeyCounter>(plan, faults, |counted, _, faults| self.add(counted, plan.captures, faults));
        Ok(())
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn left_out(&self) -> Option<String> {
        without_room(self.budget.refused() + self.other_budget.refused())
    }
}

impl LiveSink for Keys {
    fn batch(&mut self, batch: LiveBatch<'_>) -> io::Result<()> {
        let LiveBatch { blocks, captures, filter, faults } = batch;
        for (counted, _) in count_live::<KeyCounter>(&blocks, captures, filter) {
            self.add(counted, captures, faults);
        }
        Ok(())
    }
}
