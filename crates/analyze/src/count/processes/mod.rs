//! What each process did, by the image it ran then.
//!
//! An image and not a process is what is counted by, because libraries are gone after an exec: only so can it be told what
//! was mapped at a moment.

mod lineage;

pub use lineage::{Gathered, Mapped, mapped_at};

use crate::budget::{Budget, first_sorted, heap, sorted};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::libraries::{self, FileId, better};
use crate::capture::timeline::ImageId;
use crate::count::Span;
use crate::count::calls::{CallKey, CallUse};
use crate::count::files::{FileUse, changed_names};
use crate::count::handshakes::Facts;
use crate::count::handshakes::HandshakeKey;
use crate::count::libraries::LibraryUse;
use crate::count::rows::Rows;
use crate::count::wire::WireKey;
use crate::read::faults::{FaultLog, Problem};
use crate::read::{BlockSource, Count, Match, Origin, Tally};
use crate::select::{ResolvedFilter, Selection};
use crate::words::kernel::is_interrupted;
use crypto_trace_format::catalog::Judged;
use crypto_trace_format::record::{
    ApiCall, Comm, FileChange, FileOpen, Header, Kind, LibLoad, ProcessExit, ProcessFork, ProcessInfo, RecordError,
    TlsHello,
};
use std::collections::{BTreeMap, BTreeSet};

/// User ids of one process that are kept.
const MAX_UIDS: usize = 16;

/// Whose: an image; of a process that no lifecycle record shows, its id and start, and no image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who {
    /// The image.
    pub image: ImageId,
    /// Process id, when there is no image; else 0.
    pub tgid: u32,
    /// Start of the process, boot time, when there is no image; else 0.
    pub start_ns: u64,
}

impl Who {
    /// This image.
    pub fn of_image(image: ImageId) -> Self {
        Self { image, tgid: 0, start_ns: 0 }
    }

    fn new(image: ImageId, header: &Header) -> Self {
        if image == ImageId::UNKNOWN {
            Self { image, tgid: header.tgid, start_ns: header.start_ns }
        } else {
            Self::of_image(image)
        }
    }
}

/// What one process that did something takes, without rows: what it did is kept in a box, and a few sets have a node.
const DOINGS_BYTES: usize = heap(size_of::<Doings>())
    + sorted::<((u32, Who), Box<Doings>)>()
    + first_sorted::<u32>()
    + first_sorted::<(Kind, u64)>()
    + SHOWN_PROCESS_BYTES;

/// What a process takes that is shown with others.
const SHOWN_PROCESS_BYTES: usize = 256;

/// What the first row of a table takes besides itself: tables begin with room for some.
const FIRST_ROW_BYTES: usize = 192;

/// What a row takes while its process is shown: in a list of its own, and once more where two images have it.
const SHOWN_ROW_BYTES: usize = 192;

/// Who a process was at its latest record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ids {
    /// When that was, boot time.
    pub time_ns: u64,
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Name of the thread.
    pub comm: Comm,
}

/// What a process did while it ran one image.
#[derive(Debug, Clone, Default)]
pub struct Doings {
    /// Process id.
    pub tgid: u32,
    /// As the latest record has it.
    pub ids: Option<Ids>,
    /// All user ids, the first few.
    pub uids: BTreeSet<u32>,
    /// Events by type; looks at /proc and forks are none.
    pub events: BTreeMap<Kind, u64>,
    /// When, and wait status.
    pub exit: Option<(WallNs, u32)>,
    /// By path.
    pub files: Rows<Vec<u8>, FileUse>,
    /// By file and path.
    pub libraries: Rows<(FileId, Vec<u8>), LibraryUse>,
    /// Files that it loaded as what they are, by the path given to the library; of one part of a capture.
    loaded: Vec<(Box<[u8]>, Judged)>,
    /// Calls.
    pub calls: Rows<CallKey, CallUse>,
    /// Ends of TLS connections.
    pub handshakes: BTreeMap<HandshakeKey, (u64, Span)>,
    /// Ends of connections of SSH and IKE.
    pub wire: BTreeMap<WireKey, (u64, Span)>,
}

/// Counts some blocks.
#[derive(Default)]
pub struct ProcessCounter {
    tally: Tally,
    doings: Rows<Who, Doings>,
    /// Bytes of blocks: all texts are from there.
    raw_bytes: usize,
    problems: Vec<Problem>,
}

/// What some blocks add.
pub struct Counted {
    tally: Tally,
    origin: Origin,
    doings: Vec<(Who, Doings)>,
    problems: Vec<Problem>,
}

impl Count for ProcessCounter {
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
        // Hardly any record makes more than one row.
        let rows = usize::try_from(self.tally.output).unwrap_or(usize::MAX);
        let rows = rows.saturating_mul(size_of::<FileUse>() + size_of::<Vec<u8>>());
        rows.saturating_add(self.doings.len() * DOINGS_BYTES).saturating_add(self.raw_bytes)
    }

    fn finish(self, origin: Origin) -> Counted {
        let tally = origin.tally(self.tally);
        Counted { tally, origin, doings: self.doings.into_rows(), problems: self.problems }
    }
}

impl ProcessCounter {
    fn add(&mut self, capture: &Capture, found: &Match<'_, '_>) -> Result<(), RecordError> {
        let record = found.record;
        let header = &record.header;
        if header.tgid == 0 {
            return Ok(());
        }
        // What is malformed leaves no trace: bodies are read first.
        let (mut open, mut change, mut load, mut call, mut exit) = (None, None, None, None, None);
        match record.kind() {
            FileOpen::KIND => open = Some(FileOpen::decode(record)?),
            FileChange::KIND => change = Some(FileChange::decode(record)?),
            LibLoad::KIND => load = Some(LibLoad::decode(record)?),
            ApiCall::KIND => call = Some(ApiCall::decode(record)?),
            ProcessExit::KIND => exit = Some(ProcessExit::decode(record)?.fixed.status),
            _ => {}
        }
        let who = Who::new(found.image, header);
        let Some(doings) = self.doings.row(&who, Doings::default) else { return Ok(()) };
        doings.meet(header);
        if !matches!(record.kind(), ProcessInfo::KIND | ProcessFork::KIND) {
            *doings.events.entry(record.kind()).or_default() += 1;
        }
        if let Some(status) = exit {
            doings.exit = Some((found.time, status));
        }
        if let Some(open) = open.filter(|open| !is_interrupted(open.fixed.result.into())) {
            let path = open.full_path();
            if let Some(file) = doings.files.row(&*path, || FileUse::new(&path, open.given, found.time)) {
                file.count(header, &open, &capture.loaded, found.time);
            }
        }
        if let Some(change) = change.filter(|change| !is_interrupted(change.fixed.result.into())) {
            for path in changed_names(&change) {
                if let Some(file) = doings.files.row(&*path, || FileUse::new(&path, b"", found.time)) {
                    file.change(&change, found.time);
                }
            }
        }
        if let Some(load) = load {
            let key = ((load.fixed.dev, load.fixed.ino), load.path.to_vec());
            if let Some(library) = doings.libraries.row(&key, || LibraryUse::new(found.time)) {
                library.count(header, &load, found.time);
            }
        }
        if let Some(call) = call {
            if let Some(judged) = libraries::loaded_as(&call) {
                doings.loaded.push((libraries::short(call.text, libraries::MAX_PATH).into(), judged));
            }
            doings.call(&call);
        }
        let connection = found.connection.filter(|_| record.kind() == TlsHello::KIND);
        if let Some((connection, facts)) = connection.and_then(|connection| Some((connection, Facts::new(connection)?)))
        {
            let told = capture.calls.of(connection.cookie()).map(|call| call.succeeded);
            let key = HandshakeKey::new(facts, connection.remote(), told);
            count_one(&mut doings.handshakes, key, found.time);
        }
        if let Some(key) = found.connection.filter(|_| record.kind() != TlsHello::KIND).and_then(WireKey::new) {
            count_one(&mut doings.wire, key, found.time);
        }
        Ok(())
    }
}

impl Doings {
    fn meet(&mut self, header: &Header) {
        self.tgid = header.tgid;
        let ids = Ids { time_ns: header.time_ns, uid: header.uid, gid: header.gid, comm: header.comm };
        self.ids = self.ids.max(Some(ids));
        if self.uids.len() < MAX_UIDS {
            self.uids.insert(header.uid);
        }
    }

    fn call(&mut self, call: &ApiCall<'_>) {
        if let Some(row) = self.calls.row(&CallKey::new(call), CallUse::default) {
            row.add(CallUse::new(call));
        }
    }

    /// Takes in what a file is that was opened before it was loaded: of a stream that becomes known later.
    fn know(&mut self, path: &[u8], judged: Judged) {
        let file = match self.files.number(path) {
            Some(at) => self.files.get_mut(at),
            None => self.files.values_mut().find(|file| *file.given == *path),
        };
        if let Some(file) = file {
            file.judged = better(file.judged, Some(judged));
        }
    }

    /// Whether anything happened, beyond that it was there.
    pub fn did_anything(&self) -> bool {
        !self.events.is_empty()
    }

    /// Adds what another part of the capture tells of the same image.
    pub fn add(&mut self, other: Self, budget: &mut Budget) {
        self.tgid = other.tgid;
        self.ids = self.ids.max(other.ids);
        self.uids.extend(other.uids.into_iter().take(MAX_UIDS.saturating_sub(self.uids.len())));
        self.exit = self.exit.max(other.exit);
        for (kind, count) in other.events {
            *self.events.entry(kind).or_default() += count;
        }
        let file_bytes = |path: &Vec<u8>, file: &FileUse| heap(path.len()) + file.held_bytes();
        merge(&mut self.files, other.files, budget, file_bytes, |file, more| file.add(&more));
        other.loaded.iter().for_each(|(path, judged)| self.know(path, *judged));
        let library_bytes = |key: &(FileId, Vec<u8>), _: &LibraryUse| heap(key.1.len());
        merge(&mut self.libraries, other.libraries, budget, library_bytes, |library, more| library.add(&more));
        // Twice: calls are shown by copies.
        let call_bytes = |key: &CallKey, _: &CallUse| {
            2 * (heap(key.function.len()) + heap(key.text.len())) + 2 * sorted::<(CallKey, CallUse)>()
        };
        merge(&mut self.calls, other.calls, budget, call_bytes, |row, more| row.add(more));
        merge_counted(&mut self.handshakes, other.handshakes, budget, HandshakeKey::held_bytes);
        merge_counted(&mut self.wire, other.wire, budget, WireKey::held_bytes);
    }
}

/// How many, and when the first and the last was.
type Counts<K> = BTreeMap<K, (u64, Span)>;

fn count_one<K: Ord>(rows: &mut Counts<K>, key: K, time: WallNs) {
    let once = Span::at(time);
    let row = rows.entry(key).or_insert((0, once));
    row.0 += 1;
    row.1.add(once);
}

/// Adds handshakes to handshakes, as far as there is room for new rows.
fn merge_counted<K: Ord>(own: &mut Counts<K>, other: Counts<K>, budget: &mut Budget, held: impl Fn(&K) -> usize) {
    for (key, (count, span)) in other {
        match own.get_mut(&key) {
            Some(row) => {
                row.0 += count;
                row.1.add(span);
            }
            None => {
                // Twice: handshakes are shown by copies.
                let entry = 2 * (sorted::<(K, (u64, Span))>() + held(&key)) + SHOWN_ROW_BYTES;
                let first = first_sorted::<(K, (u64, Span))>();
                if budget.take(entry + if own.is_empty() { first } else { 0 }) {
                    own.insert(key, (count, span));
                }
            }
        }
    }
}

/// Adds rows to rows, as far as there is room for new ones.
fn merge<K: std::hash::Hash + Eq + Clone, V>(
    into: &mut Rows<K, V>,
    from: Rows<K, V>,
    budget: &mut Budget,
    held_bytes: impl Fn(&K, &V) -> usize,
    add: impl Fn(&mut V, V),
) {
    for (key, value) in from.into_rows() {
        match into.number(&key).and_then(|number| into.get_mut(number)) {
            Some(row) => add(row, value),
            None => {
                let first = if into.is_empty() { FIRST_ROW_BYTES } else { 0 };
                if budget.take(Rows::<K, V>::ROW_BYTES + SHOWN_ROW_BYTES + first + held_bytes(&key, &value)) {
                    into.row(&key, || value);
                }
            }
        }
    }
}

/// Everything that was gathered, by capture and image.
#[derive(Debug, Default)]
pub struct ProcessTotals {
    /// What was done, by capture and who.
    pub doings: BTreeMap<(u32, Who), Box<Doings>>,
    /// Records.
    pub tally: Tally,
    /// Room for rows.
    pub budget: Budget,
}

impl ProcessTotals {
    /// Adds what some blocks add. What is wrong with them goes to `faults`.
    pub fn add(&mut self, counted: Counted, faults: &mut FaultLog) {
        self.tally += counted.tally;
        let origin = counted.origin;
        counted.problems.into_iter().for_each(|problem| faults.add(origin.segment, problem));
        for (who, doings) in counted.doings {
            let key = (origin.capture, who);
            if !self.doings.contains_key(&key) {
                if !self.budget.take(DOINGS_BYTES) {
                    continue;
                }
                self.doings.insert(key, Box::default());
            }
            if let Some(row) = self.doings.get_mut(&key) {
                row.add(doings, &mut self.budget);
            }
        }
    }

    /// What an image did.
    pub fn of(&self, capture: u32, who: Who) -> Option<&Doings> {
        self.doings.get(&(capture, who)).map(|doings| &**doings)
    }
}
