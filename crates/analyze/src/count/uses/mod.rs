//! Who used what of cryptography, first when and how often: handshakes, calls, files and libraries by program and by what rules
//! are asked of them, so that a verdict can name its evidence.
//!
//! A connection that was seen from both ends is one handshake, and evidence against each of its ends.

mod counter;
mod handshake;

pub use handshake::{Handshake, Places};

use counter::{Counted, Counter, Doer, Passed};

use crate::budget::{Budget, heap, sorted};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::libraries::{self, FileId, better, product};
use crate::count::handshakes::host_numbers;
use crate::read::faults::FaultLog;
use crate::read::{Fold, LiveBatch, LiveSink, Plan, Tally, count_blocks, count_live};
use crypto_trace_format::catalog::Judged;
use crypto_trace_format::record::{ApiCall, ApiCallFixed, trim_comm};
use std::collections::BTreeMap;
use std::io;

/// Rows of one table.
const MAX_ROWS: usize = 100_000;

/// Bytes that all tables may take.
const MAX_BYTES: usize = 128 << 20;

/// Which program, and where it runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Party {
    /// Number of the host: that of its first capture.
    pub host: u32,
    /// Executable, or the thread's name where that is not known. None: no process is known.
    pub program: Option<Box<[u8]>>,
    /// The container.
    pub container: Option<Box<[u8]>>,
}

/// How often, and the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Handshakes, calls, opens or loads.
    pub count: u64,
    /// When the first was.
    pub first: WallNs,
    /// When the last was.
    pub last: WallNs,
    /// Which process's that was; 0 where it is not known.
    pub tgid: u32,
}

impl Seen {
    fn add(&mut self, other: Self) {
        if other.first < self.first {
            (self.first, self.tgid) = (other.first, other.tgid);
        }
        self.last = self.last.max(other.last);
        self.count = self.count.saturating_add(other.count);
    }
}

/// Calls that use one algorithm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// Whose.
    pub party: Party,
    /// Its name in the catalog, where it has one. None: the call does not say which.
    pub algorithm: Option<Box<str>>,
    /// Name of the function.
    pub function: Box<[u8]>,
    /// A system call of the kernel's own crypto.
    pub is_kernel: bool,
}

/// A file that was opened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct File {
    /// By whom.
    pub party: Party,
    /// Where it is.
    pub path: Box<[u8]>,
}

/// A library that was loaded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Library {
    /// By whom.
    pub party: Party,
    /// Where it is.
    pub path: Box<[u8]>,
    /// Its name in the catalog.
    pub name: Option<&'static str>,
    /// The version it reports itself; none where that is not known.
    pub version: Option<Box<str>>,
}

/// Everything that rules are asked about.
pub struct Uses {
    /// Ends of handshakes.
    pub handshakes: BTreeMap<Handshake, Seen>,
    /// Calls that use an algorithm.
    pub calls: BTreeMap<Call, Seen>,
    /// Files that were opened, and what they hold.
    pub files: BTreeMap<File, (Seen, Option<Judged>)>,
    /// Libraries that were loaded.
    pub libraries: BTreeMap<Library, Seen>,
    passed: Vec<(u32, Passed)>,
    is_cut: bool,
    budget: Budget,
    tally: Tally,
}

impl Default for Uses {
    fn default() -> Self {
        Self {
            handshakes: BTreeMap::new(),
            calls: BTreeMap::new(),
            files: BTreeMap::new(),
            libraries: BTreeMap::new(),
            passed: Vec::new(),
            is_cut: false,
            budget: Budget::new(MAX_BYTES),
            tally: Tally::default(),
        }
    }
}

impl Party {
    fn new(host: u32, capture: &Capture, doer: &Doer) -> Self {
        let Some(comm) = &doer.comm else { return Self { host, program: None, container: None } };
        let identity = capture.timeline.identity(doer.image);
        let program = identity.exe.unwrap_or_else(|| trim_comm(comm));
        Self { host, program: Some(program.into()), container: identity.container.map(Into::into) }
    }

    fn held_bytes(&self) -> usize {
        [&self.program, &self.container].into_iter().flatten().map(|text| heap(text.len())).sum()
    }
}

/// The row of a key, as long as there is room. Twice what it takes: it is shown, too.
fn row<K: Ord, V>(
    rows: &mut BTreeMap<K, V>,
    key: K,
    (held, new): (usize, V),
    (budget, is_cut): (&mut Budget, &mut bool),
    add: impl FnOnce(&mut V),
) {
    if !rows.contains_key(&key) && (rows.len() >= MAX_ROWS || !budget.take(2 * (sorted::<(K, V)>() + held))) {
        *is_cut = true;
        return;
    }
    add(rows.entry(key).or_insert(new));
}

impl Uses {
    fn add(&mut self, counted: Counted, captures: &[Capture], hosts: &[u32], faults: &mut FaultLog) {
        let Counted { origin, counter } = counted;
        self.tally += counter.tally;
        counter.problems.into_iter().for_each(|problem| faults.add(origin.segment, problem));
        let number = origin.capture;
        let Some(capture) = captures.get(number as usize) else { return };
        let host = hosts.get(number as usize).copied().unwrap_or(number);
        self.passed.extend(counter.passed.into_iter().map(|passed| (number, passed)));
        let nothing = |seen: Seen| Seen { count: 0, ..seen };
        for ((key, doer), seen) in counter.calls.into_rows() {
            let fixed = ApiCallFixed { meaning: key.meaning, number: key.number, ..ApiCallFixed::default() };
            let call = ApiCall { fixed, function: &key.function, text: &key.text, ..ApiCall::default() };
            if !libraries::uses_algorithm(crypto_trace_format::record::ApiMeaning(key.meaning)) {
                continue;
            }
            let family = capture.libraries.get(key.library).map_or(&[][..], |row| &row.family);
            let algorithm = libraries::algorithm(&call, family).map(String::into_boxed_str);
            let party = Party::new(host, capture, &doer);
            let name = algorithm.as_ref().map_or(0, |name| name.len());
            let held = party.held_bytes() + heap(key.function.len()) + heap(name);
            let key = Call { party, algorithm, function: key.function, is_kernel: key.library == (0, 0) };
            let room = (&mut self.budget, &mut self.is_cut);
            row(&mut self.calls, key, (held, nothing(seen)), room, |row| row.add(seen));
        }
        for ((path, doer), (seen, judged)) in counter.files.into_rows() {
            let party = Party::new(host, capture, &doer);
            let held = party.held_bytes() + heap(path.len());
            let room = (&mut self.budget, &mut self.is_cut);
            row(&mut self.files, File { party, path }, (held, (nothing(seen), judged)), room, |row| {
                row.0.add(seen);
                row.1 = better(row.1, judged);
            });
        }
        for ((file, path, doer), seen) in counter.loads.into_rows() {
            let party = Party::new(host, capture, &doer);
            let library = library(capture, file, path, party);
            let version = library.version.as_ref().map_or(0, |version| version.len());
            let held = library.party.held_bytes() + heap(library.path.len()) + heap(version);
            let room = (&mut self.budget, &mut self.is_cut);
            row(&mut self.libraries, library, (held, nothing(seen)), room, |row| row.add(seen));
        }
    }

    /// Counts the connections that passed.
    fn add_connections(&mut self, captures: &[Capture], hosts: &[u32]) {
        for (number, one) in std::mem::take(&mut self.passed) {
            let Some(capture) = captures.get(number as usize) else { continue };
            let Some(connection) = capture.handshakes.connections().get(one.connection as usize) else { continue };
            let host = hosts.get(number as usize).copied().unwrap_or(number);
            let party = Party::new(host, capture, &one.doer);
            let handshake = Handshake::new(party, connection);
            let seen = Seen {
                count: 1,
                first: one.time,
                last: one.time,
                tgid: if one.doer.comm.is_some() { one.doer.tgid } else { 0 },
            };
            let held = handshake.party.held_bytes() + handshake.held_bytes();
            let room = (&mut self.budget, &mut self.is_cut);
            row(&mut self.handshakes, handshake, (held, Seen { count: 0, ..seen }), room, |row| row.add(seen));
        }
    }
}

fn library(capture: &Capture, file: FileId, path: Box<[u8]>, party: Party) -> Library {
    let looked_into = capture.libraries.get(file);
    let family = looked_into.map(|row| &row.family[..]).unwrap_or_default();
    let name = product::known_as(&path, family);
    let told = looked_into.map(|row| product::version_number(&row.version)).filter(|version| !version.is_empty());
    let version = told.map(|version| crate::words::escape::for_people(version).into_boxed_str());
    Library { party, path, name, version }
}

impl Fold for Uses {
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) -> io::Result<()> {
        self.tally.processed += plan.skipped_records;
        let hosts = host_numbers(plan.captures);
        count_blocks::<Counter>(plan, faults, |counted, _, faults| self.add(counted, plan.captures, &hosts, faults));
        self.add_connections(plan.captures, &hosts);
        Ok(())
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn needs_all_handshakes(&self) -> bool {
        true
    }

    fn left_out(&self) -> Option<String> {
        self.is_cut.then(|| "too many programs, files or peers: some uses are missing".to_owned())
    }
}

impl LiveSink for Uses {
    fn remembers_processes(&self) -> bool {
        true
    }

    fn batch(&mut self, batch: LiveBatch<'_>) -> io::Result<()> {
        let LiveBatch { blocks, captures, filter, faults } = batch;
        let hosts = host_numbers(captures);
        for (counted, _) in count_live::<Counter>(&blocks, captures, filter) {
            self.add(counted, captures, &hosts, faults);
        }
        // They are forgotten after this.
        self.add_connections(captures, &hosts);
        Ok(())
    }
}
