//! What of a recording goes into an extract: the records that were asked for, and those that show them rightly.
//!
//! A first reading of all blocks finds out what is needed ([`Needs::find`]): whose processes, which connections, libraries and
//! files. A second one asks of each record whether it stays ([`Needs::keep`]).

use crate::capture::Capture;
use crate::capture::connections::Connection;
use crate::capture::libraries::{FileId, loaded_as};
use crate::capture::timeline::ProcessId;
use crate::cli::progress;
use crate::read::faults::{FaultLog, Problem};
use crate::read::{BATCH_BLOCKS, BlockSource, Match, Plan, check_body};
use crate::select::{Filter, ResolvedFilter, Selection};
use crypto_trace_format::record::{
    ApiCall, ApiMeaning, CertificateFile, Clock, FileOpen, Header, Inventory, KINDS, Kind, LibLoad, LibraryInfo, Loss,
    ProbeStatus, ProcessExec, ProcessExit, ProcessFork, ProcessInfo, Record, RecordError, Records, SelfStats,
    Suppressed, TlsHello,
};
use crypto_trace_format::segment::{BlockBuffer, BlockEntry, Fault};
use rayon::prelude::*;
use std::collections::HashSet;

/// A file that a library was told what it is: process, its start, and the path.
type Loaded = (u32, u64, Vec<u8>);

/// Files that are kept for what libraries were told of them, and processes that the timeline has no room for: more than there
/// can be in a recording that was not made up.
const MAX_MADE_UP: usize = 1 << 18;

/// What the kept events of one capture need.
#[derive(Debug, Default)]
struct Needed {
    processes: HashSet<ProcessId>,
    /// Of processes that the timeline does not know.
    tgids: HashSet<u32>,
    connections: HashSet<u32>,
    /// The other ends of those.
    peers: HashSet<u32>,
    cookies: HashSet<u64>,
    libraries: HashSet<FileId>,
    loaded: HashSet<Loaded>,
    /// Events that were asked for.
    matched: u64,
}

/// What is needed of all captures, and what was seen on the way.
pub(super) struct Needs<'a> {
    plan: &'a Plan<'a>,
    /// By capture; empty when everything stays.
    needed: Vec<Needed>,
    /// Segment and number of blocks that could not be read in full.
    pub damaged: HashSet<(u32, usize)>,
    /// Of each segment, records of kinds that this version does not know.
    pub unknown: Vec<u64>,
    /// Well-formed records of all inputs.
    pub records: u64,
}

/// A record that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// Where it begins in its block.
    pub offset: usize,
    /// It is not shown: it tells whose the other end of a connection is.
    pub as_peer: bool,
    /// What it stays for.
    pub need: Need,
}

/// What a record stays for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// It is about the capture itself, and stays whatever is asked for.
    Capture,
    /// It says what processes and libraries of events are.
    Identity,
    /// It is an event, or a part of one.
    Event,
}

/// Whether a filter asks for anything less than all.
pub(super) fn selects(filter: &Filter) -> bool {
    selects_processes(filter) || !filter.kinds.is_empty() || filter.since.is_some() || filter.until.is_some()
}

fn selects_processes(filter: &Filter) -> bool {
    let Filter { pids, names, uids, cgroups, containers, .. } = filter;
    !(pids.is_empty() && names.is_empty() && uids.is_empty() && cgroups.is_empty() && containers.is_empty())
}

/// All kinds of records that this version knows.
pub(super) fn all_kinds() -> impl Iterator<Item = Kind> {
    KINDS.iter().map(|layout| Kind(layout.kind))
}

/// Whether this version knows a kind of records.
pub(super) fn is_known(kind: Kind) -> bool {
    all_kinds().any(|known| known == kind)
}

/// Whether a kind says of the whole recording what was, or of the moment how things are: an event of the time that is asked for
/// is in a segment of that time.
fn is_repeated(kind: Kind) -> bool {
    kind.is_about_capture() && !matches!(kind, Loss::KIND | Suppressed::KIND | CertificateFile::KIND)
}

/// What one block told.
#[derive(Default)]
struct Told {
    needed: Needed,
    problems: Vec<Problem>,
    unknown: u64,
    records: u64,
    damaged: bool,
}

impl<'a> Needs<'a> {
    /// Reads all blocks. What is wrong with them is added to `faults`.
    pub fn find(plan: &'a Plan<'a>, selects: bool, faults: &mut FaultLog) -> Self {
        let captures = if selects { plan.captures.len() } else { 0 };
        let mut needs = Self {
            plan,
            needed: (0..captures).map(|_| Needed::default()).collect(),
            damaged: HashSet::new(),
            unknown: vec![0; plan.inputs.segments.len()],
            records: 0,
        };
        progress::begin(plan.inputs.segments.iter().map(|segment| segment.reader.blocks().len()).sum());
        let mut buffers: Vec<BlockBuffer> = (0..BATCH_BLOCKS).map(|_| BlockBuffer::default()).collect();
        for (number, segment) in (0u32..).zip(&plan.inputs.segments) {
            let blocks: Vec<(usize, &BlockEntry)> = segment.reader.blocks().iter().enumerate().collect();
            for batch in blocks.chunks(BATCH_BLOCKS) {
                let told: Vec<Told> = batch
                    .par_iter()
                    .zip(&mut buffers)
                    .map(|((block, entry), buffer)| needs.look(number, *block, entry, buffer))
                    .collect();
                for ((block, _), told) in batch.iter().zip(told) {
                    progress::advance();
                    told.problems.into_iter().for_each(|problem| faults.add(number, problem));
                    if told.damaged {
                        needs.damaged.insert((number, *block));
                    }
                    needs.records += told.records;
                    if let Some(unknown) = needs.unknown.get_mut(number as usize) {
                        *unknown += told.unknown;
                    }
                    if let Some(needed) = needs.needed.get_mut(segment.capture as usize) {
                        needed.add(told.needed);
                    }
                }
            }
        }
        progress::end();
        for (needed, capture) in needs.needed.iter_mut().zip(plan.captures) {
            needed.complete(capture);
        }
        needs
    }

    /// How many events were asked for and are there; `None` when that is everything.
    pub fn matched(&self) -> Option<u64> {
        (!self.needed.is_empty()).then(|| self.needed.iter().map(|needed| needed.matched).sum())
    }

    fn look(&self, segment: u32, block: usize, entry: &BlockEntry, buffer: &mut BlockBuffer) -> Told {
        let mut told = Told::default();
        let Some(of) = self.plan.inputs.segments.get(segment as usize) else { return told };
        if let Err(fault) = of.reader.read_block(block, buffer) {
            told.damaged = true;
            told.problems.push(Problem::Segment(fault));
        }
        for (number, record) in (entry.header.first_record..).zip(Records::new(buffer.raw()).flatten()) {
            told.records += 1;
            told.unknown += u64::from(!is_known(record.kind()));
            if let Err(error) = check_body(&record) {
                told.problems.push(Problem::Body { record: number, error });
            }
        }
        let index = of.capture as usize;
        if self.needed.is_empty() {
            return told;
        }
        if let (Some(capture), Some(selection)) = (self.plan.captures.get(index), self.plan.selections.get(index)) {
            let source = BlockSource { capture, header: &entry.header, segment, raw: buffer.raw() };
            let filter = &self.plan.filter;
            // What is wrong with records was said above.
            source.for_each_match(filter, selection, &mut Vec::new(), |found| {
                if is_asked_for(capture, selection, filter, found) {
                    told.needed.take(capture, found);
                }
            });
        }
        told
    }

    /// The records of a block that stay, in order. On a fault, those of what is readable.
    pub fn keep(&self, segment: u32, block: usize, buffer: &mut BlockBuffer) -> (Vec<Kept>, Option<Fault>) {
        let Some(of) = self.plan.inputs.segments.get(segment as usize) else { return (Vec::new(), None) };
        let index = of.capture as usize;
        let (needed, capture, selection, entry) = (
            self.needed.get(index),
            self.plan.captures.get(index),
            self.plan.selections.get(index),
            of.reader.blocks().get(block),
        );
        let (Some(capture), Some(selection), Some(entry)) = (capture, selection, entry) else {
            return (Vec::new(), None);
        };
        let filter = &self.plan.filter;
        let header = &entry.header;
        if let Some(needed) = needed {
            let range = capture.clock.range(header.min_time_ns, header.max_time_ns);
            let lifecycle = all_kinds().filter(|kind| kind.is_lifecycle());
            let bits = lifecycle.fold(needed.event_bits(), |bits, kind| bits | kind.bit());
            if header.kinds & bits == 0 && !filter.block_may_match(header, range, selection) {
                return (Vec::new(), None);
            }
        }
        let fault = of.reader.read_block(block, buffer).err();
        let mut asked = Vec::new();
        if needed.is_some() {
            let source = BlockSource { capture, header, segment, raw: buffer.raw() };
            source.for_each_match(filter, selection, &mut Vec::new(), |found| {
                if is_asked_for(capture, selection, filter, found) {
                    asked.push(found.offset as usize);
                }
            });
        }
        let (mut kept, mut offset) = (Vec::new(), 0);
        let mut asked = asked.into_iter().peekable();
        for record in Records::new(buffer.raw()).flatten() {
            let is_asked = asked.next_if_eq(&offset).is_some();
            let stays = match needed {
                _ if check_body(&record).is_err() => None,
                None => Some((false, Need::Event)),
                // Each segment repeats these.
                Some(_) if is_asked && is_repeated(record.kind()) => Some((false, Need::Capture)),
                Some(_) if is_asked => Some((false, Need::Event)),
                Some(needed) => needed.supports(capture, &record),
            };
            if let Some((as_peer, need)) = stays {
                kept.push(Kept { offset, as_peer, need });
            }
            offset += record.bytes().len();
        }
        (kept, fault)
    }
}

/// Of what passes the filter, what is taken. Records about the capture itself pass whatever processes are asked for; those of
/// them that are of another process do not leave with the others.
fn is_asked_for(
    capture: &Capture,
    selection: &Selection<'_>,
    filter: &ResolvedFilter<'_>,
    found: &Match<'_, '_>,
) -> bool {
    let (kind, asked) = (found.record.kind(), filter.filter());
    if !matches!(kind, LibraryInfo::KIND | CertificateFile::KIND) || !selects_processes(asked) {
        return true;
    }
    let header = &found.record.header;
    header.tgid != 0
        && (asked.uids.is_empty() || asked.uids.contains(&header.uid))
        && selection.matches(capture, found.record, found.image)
}

impl Needed {
    /// An event that was asked for, and what it needs.
    fn take(&mut self, capture: &Capture, found: &Match<'_, '_>) {
        let header = &found.record.header;
        let kind = found.record.kind();
        self.matched += u64::from(!kind.is_about_capture());
        // Withheld are records of processes that are shown with that; they need not be known.
        if header.tgid != 0 && kind != Suppressed::KIND {
            match capture.timeline.process(header) {
                Some(process) => {
                    self.processes.insert(process);
                }
                None if self.tgids.len() < MAX_MADE_UP => {
                    self.tgids.insert(header.tgid);
                }
                None => {}
            }
        }
        if let Some(connection) = found.connection {
            self.connections.insert(connection.index());
            self.cookies.insert(connection.cookie());
            self.peers.extend(capture.handshakes.peer(connection).map(Connection::index));
        }
        match kind {
            FileOpen::KIND => {
                let Ok(open) = FileOpen::decode(found.record) else { return };
                if self.loaded.len() < MAX_MADE_UP && capture.loaded.of(header, &open).is_some() {
                    for path in [open.path, open.given] {
                        self.loaded.insert(loaded(header, path));
                    }
                }
            }
            LibLoad::KIND => {
                let load = LibLoad::decode(found.record);
                self.take_library(capture, load.map(|load| (load.fixed.dev, load.fixed.ino)));
            }
            ApiCall::KIND => {
                let call = ApiCall::decode(found.record);
                self.take_library(capture, call.map(|call| (call.fixed.dev, call.fixed.ino)));
            }
            _ => {}
        }
    }

    /// A library that an event names, if more is known of it.
    fn take_library(&mut self, capture: &Capture, id: Result<FileId, RecordError>) {
        self.libraries.extend(id.ok().filter(|id| capture.libraries.get(*id).is_some()));
    }

    fn add(&mut self, other: Self) {
        self.processes.extend(other.processes);
        let room = MAX_MADE_UP.saturating_sub(self.tgids.len());
        self.tgids.extend(other.tgids.into_iter().take(room));
        self.connections.extend(other.connections);
        self.peers.extend(other.peers);
        self.cookies.extend(other.cookies);
        self.libraries.extend(other.libraries);
        let room = MAX_MADE_UP.saturating_sub(self.loaded.len());
        self.loaded.extend(other.loaded.into_iter().take(room));
        self.matched += other.matched;
    }

    /// Adds what is needed of what is needed: ancestors, and libraries that made the handshakes.
    fn complete(&mut self, capture: &Capture) {
        let mut left: Vec<ProcessId> = self.processes.iter().copied().collect();
        while let Some(process) = left.pop() {
            for parent in capture.timeline.parents(process) {
                if self.processes.insert(parent) {
                    left.push(parent);
                }
            }
        }
        let calls = self.cookies.iter().filter_map(|cookie| capture.calls.of(*cookie));
        self.libraries.extend(calls.map(|call| call.library));
    }

    /// Kinds of events that may be needed although nobody asked for them.
    fn event_bits(&self) -> u64 {
        let hellos = if self.connections.is_empty() { 0 } else { TlsHello::KIND.bit() };
        let calls = if self.cookies.is_empty() && self.loaded.is_empty() { 0 } else { ApiCall::KIND.bit() };
        hellos | calls
    }

    /// Whether a record that nobody asked for stays, and what for; and whether it is only to tell of the other end of a connection.
    fn supports(&self, capture: &Capture, record: &Record<'_>) -> Option<(bool, Need)> {
        let needed = match record.kind() {
            // What could be seen, when, and what is missing.
            Clock::KIND | ProbeStatus::KIND | SelfStats::KIND | Inventory::KIND => return Some((false, Need::Capture)),
            Loss::KIND | Suppressed::KIND => return Some((false, Need::Capture)),
            ProcessExec::KIND | ProcessFork::KIND | ProcessExit::KIND | ProcessInfo::KIND => {
                match capture.timeline.process(&record.header) {
                    Some(process) => self.processes.contains(&process),
                    None => self.tgids.contains(&record.header.tgid),
                }
            }
            LibraryInfo::KIND => {
                let info = LibraryInfo::decode(record).ok()?;
                self.libraries.contains(&(info.fixed.dev, info.fixed.ino))
            }
            TlsHello::KIND => {
                let hello = TlsHello::decode(record).ok()?;
                let index = capture.handshakes.of_piece(&record.header, &hello)?.index();
                let is_own = self.connections.contains(&index);
                if !is_own && self.peers.contains(&index) {
                    return Some((true, Need::Event));
                }
                is_own
            }
            ApiCall::KIND => {
                let call = ApiCall::decode(record).ok()?;
                let is_handshake = call.fixed.meaning == ApiMeaning::HANDSHAKE.0 && call.fixed.cookie != 0;
                let made = is_handshake && self.cookies.contains(&call.fixed.cookie);
                let tells = || loaded_as(&call).is_some() && self.loaded.contains(&loaded(&record.header, call.text));
                made || tells()
            }
            _ => false,
        };
        let need = if record.kind().is_lifecycle() { Need::Identity } else { Need::Event };
        needed.then_some((false, need))
    }
}

fn loaded(header: &Header, path: &[u8]) -> Loaded {
    (header.tgid, header.start_ns, path.to_vec())
}
