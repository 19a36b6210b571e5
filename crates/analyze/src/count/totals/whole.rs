//! The summary's counts over all blocks: partial counts added up in the order of the inputs.
//!
//! Every table has a limit. What comes after it is full is counted in the totals and reported as such, never dropped
//! silently.

use super::partial::{FileUse, ImageUse, LibraryUse, Partial};
use crate::budget::{Budget, first_sorted, hashed, heap, sorted};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::libraries::product;
use crate::capture::libraries::{self, FileId, LibraryRow, better};
use crate::capture::timeline::ImageId;
use crate::count::files::count_errno;
use crate::count::handshakes::{AlgorithmCall, Ends, HandshakeTotals, Passed};
use crate::count::rate::Histogram;
use crate::count::wire::Wire;
use crate::read::Tally;
use crate::read::faults::FaultLog;
use crate::words::redact;
use crypto_trace_format::catalog::{FileType, Judged, file_name};
use crypto_trace_format::record::{ApiCall, ApiCallFixed, ApiMeaning, Kind, trim_comm};
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Distinct programs, files, and (library, process) pairs that are told apart.
const MAX_ROWS: usize = 200_000;

/// What one program did, over all its processes.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Events.
    pub events: u64,
    /// Opens.
    pub opens: u64,
    /// Failed opens.
    pub failed: u64,
    /// Library loads.
    pub loads: u64,
    /// Types of files it opened.
    pub types: BTreeSet<FileType>,
    /// Libraries it loaded.
    pub libraries: BTreeSet<&'static str>,
    /// Those of them that speak TLS.
    pub tls_libraries: BTreeSet<&'static str>,
    /// Their files, by capture.
    pub tls_files: BTreeSet<(u32, FileId)>,
    /// Processes that loaded one of those.
    pub tls_processes: u64,
    /// Processes.
    pub processes: u64,
}

/// One file.
#[derive(Debug, Clone, Default)]
pub struct File {
    /// What it holds.
    pub judged: Option<Judged>,
    /// Opens.
    pub opens: u64,
    /// Failures by errno.
    pub failures: Vec<(u32, u64)>,
}

/// All files of a type.
#[derive(Debug, Clone, Default)]
pub struct TypeTotal {
    /// Opens.
    pub opens: u64,
    /// Failures by errno.
    pub failures: Vec<(u32, u64)>,
    /// Distinct files, as far as they were told apart.
    pub files: u64,
}

/// One library file by name and version.
#[derive(Debug, Clone, Default)]
pub struct Library {
    /// Loads.
    pub loads: u64,
    /// Distinct processes.
    pub processes: u64,
}

/// A library: name in the catalog, file name or where that is somebody's name the path, version.
pub type LibraryKey = (&'static str, Vec<u8>, Vec<u8>);

/// Everything the summary shows of events.
#[derive(Debug, Default)]
pub struct Totals {
    /// Records.
    pub tally: Tally,
    /// Earliest and latest event.
    pub range: Option<(WallNs, WallNs)>,
    /// Events by kind.
    pub kinds: BTreeMap<Kind, u64>,
    /// Events over time.
    pub histogram: Histogram,
    /// By executable, or thread name where that is unknown.
    pub programs: HashMap<Vec<u8>, Program, RandomState>,
    /// By path.
    pub files: HashMap<Vec<u8>, File, RandomState>,
    /// By type, those that are guesses apart.
    pub types: BTreeMap<(bool, FileType), TypeTotal>,
    /// By library.
    pub libraries: BTreeMap<LibraryKey, Library>,
    /// Files of libraries that speak TLS: where, and how often they were loaded, by capture.
    pub tls_files: BTreeMap<(u32, FileId), (Vec<u8>, u64)>,
    /// TLS handshakes.
    pub handshakes: HandshakeTotals,
    /// Handshakes of other protocols; of all where that is asked for.
    pub wire: Wire,
    /// Room for rows, but those of handshakes.
    budget: Budget,
    /// A table was full: some rows are missing, some counts of distinct things are too low.
    pub overflowed: bool,
    /// Connections that are not counted yet.
    passed: Vec<Passed>,
    seen_processes: HashSet<(u32, ImageId, u32), RandomState>,
    seen_loads: HashSet<(u32, u32, u32, u32), RandomState>,
    seen_tls: HashSet<(u32, u32, u32), RandomState>,
    library_numbers: HashMap<LibraryKey, u32, RandomState>,
}

impl Totals {
    /// Nothing yet, and all protocols are counted alike.
    pub fn of_every_protocol() -> Self {
        let mut totals = Self::default();
        totals.wire.with_tls = true;
        totals
    }

    /// Nothing yet, and what changes is known.
    pub fn following() -> Self {
        let mut totals = Self::default();
        totals.handshakes.followed = Some(Ends::default());
        totals
    }

    /// Adds the counts of some blocks.
    pub fn add(&mut self, partial: Partial, capture: &Capture, faults: &mut FaultLog) {
        self.tally += partial.tally;
        self.histogram.merge(&partial.histogram);
        self.range = match (self.range, partial.range) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        for (kind, count) in partial.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        partial.problems.into_iter().for_each(|problem| faults.add(partial.segment, problem));
        for ((image, tgid), used) in partial.images {
            self.add_image(partial.capture, capture, (image, tgid), &used);
        }
        for (path, used) in partial.files {
            self.add_file(path, &used);
        }
        for (path, used) in partial.libraries {
            self.add_library(partial.capture, capture, &path, &used);
        }
        for (connection, process) in partial.connections {
            let program = process.map(|(image, comm)| program_name(capture, image, trim_comm(&comm)).to_vec());
            self.passed.push(Passed { capture: partial.capture, connection, program });
        }
        for ((key, (image, _)), (used, comm)) in partial.calls {
            let fixed = ApiCallFixed { meaning: key.meaning, number: key.number, ..ApiCallFixed::default() };
            let call = ApiCall { fixed, function: &key.function, text: &key.text, ..ApiCall::default() };
            let family = capture.libraries.get(key.library).map_or(&[][..], |row| &row.family);
            let algorithm = libraries::algorithm(&call, family);
            let key = AlgorithmCall {
                capture: partial.capture,
                library: key.library,
                meaning: ApiMeaning(key.meaning),
                function: key.function,
                algorithm,
            };
            self.handshakes.add_calls(key, used, Some(program_name(capture, image, trim_comm(&comm))));
        }
    }

    /// Counts the connections of what was added, whose captures still hold them.
    pub fn add_handshakes(&mut self, captures: &[Capture]) {
        let passed = std::mem::take(&mut self.passed);
        // What `wire` counts itself is not counted twice.
        if !self.wire.with_tls {
            self.handshakes.add(&passed, captures);
        }
        self.wire.add(&passed, captures, &mut self.handshakes);
        self.overflowed |= self.handshakes.overflowed || self.wire.overflowed;
    }

    fn add_image(&mut self, number: u32, capture: &Capture, (image, tgid): (ImageId, u32), used: &ImageUse) {
        let new = self.see_process(number, image, tgid);
        let name = program_name(capture, image, trim_comm(&used.comm));
        let Some(program) = self.program(name) else { return };
        program.events += used.events;
        program.opens += used.opens;
        program.failed += used.failed;
        program.loads += used.loads;
        program.processes += u64::from(new);
        let types = FileType::ALL.iter().filter(|file_type| used.types & (1 << **file_type as u32) != 0);
        program.types.extend(types);
    }

    /// Whether an image is seen for the first time. It belongs to one process; a process that runs two programs counts for
    /// both.
    fn see_process(&mut self, number: u32, image: ImageId, tgid: u32) -> bool {
        let key = (number, image, tgid);
        if self.seen_processes.contains(&key) {
            return false;
        }
        if self.seen_processes.len() >= 8 * MAX_ROWS {
            self.overflowed = true;
            return false;
        }
        self.seen_processes.insert(key)
    }

    fn program(&mut self, name: &[u8]) -> Option<&mut Program> {
        if !self.programs.contains_key(name) {
            // And its sets of types, libraries and their files, which have limits of their own.
            let sets = 4 * first_sorted::<(u32, FileId)>();
            let row = hashed::<(Vec<u8>, Program)>() + heap(name.len()) + sets;
            if self.programs.len() >= MAX_ROWS || !self.budget.take(row) {
                self.overflowed = true;
                return None;
            }
            self.programs.insert(name.to_vec(), Program::default());
        }
        self.programs.get_mut(name)
    }

    fn add_file(&mut self, path: Vec<u8>, used: &FileUse) {
        let total = self.types.entry((used.is_guess(), used.file_type())).or_default();
        total.opens += used.opens;
        used.failures.iter().for_each(|(errno, count)| count_errno(&mut total.failures, *errno, *count));
        if !self.files.contains_key(&path) {
            // Errors of which there is more than a few have little room left elsewhere.
            let row = hashed::<(Vec<u8>, File)>() + heap(path.len()) + heap(4 * size_of::<(u32, u64)>());
            if self.files.len() >= MAX_ROWS || !self.budget.take(row) {
                self.overflowed = true;
                return;
            }
        }
        let file = self.files.entry(path).or_insert_with(|| {
            total.files += 1;
            File { judged: used.judged, ..File::default() }
        });
        file.judged = better(file.judged, used.judged);
        file.opens += used.opens;
        used.failures.iter().for_each(|(errno, count)| count_errno(&mut file.failures, *errno, *count));
    }

    fn add_library(&mut self, number: u32, capture: &Capture, path: &[u8], used: &LibraryUse) {
        let file = file_name(path);
        let looked_into = capture.libraries.get(used.file);
        let family = looked_into.map(|row| &row.family[..]).unwrap_or_default();
        let name = product::known_as(path, family).unwrap_or("other");
        let version = looked_into.map(|row| row.version.clone()).unwrap_or_default();
        // Right below a home directory its name is that of somebody, which its path shows.
        let is_told = *redact::file_name(path, true) == *file;
        let key = (name, if is_told { file } else { path }.to_vec(), version);
        if !self.libraries.contains_key(&key) {
            // It has a number, too; and a file where it speaks TLS.
            let texts = 2 * (heap(key.1.len()) + heap(key.2.len())) + heap(path.len());
            let row = sorted::<(LibraryKey, Library)>() + hashed::<(LibraryKey, u32)>() + texts;
            if self.libraries.len() >= MAX_ROWS || !self.budget.take(row) {
                self.overflowed = true;
                return;
            }
        }
        let next = u32::try_from(self.library_numbers.len()).unwrap_or(u32::MAX);
        let library_number = *self.library_numbers.entry(key.clone()).or_insert(next);
        let library = self.libraries.entry(key).or_default();
        library.loads += used.loads;
        let speaks_tls = product::speaks_tls(file) || looked_into.is_some_and(LibraryRow::speaks_tls);
        let file_key = (number, used.file);
        let tls_file = || sorted::<((u32, FileId), (Vec<u8>, u64))>() + heap(path.len());
        let known = self.tls_files.contains_key(&file_key);
        if speaks_tls && (known || self.tls_files.len() < MAX_ROWS && self.budget.take(tls_file())) {
            self.tls_files.entry(file_key).or_insert_with(|| (path.to_vec(), 0)).1 += used.loads;
        }
        for (image, tgid) in &used.images {
            let process = capture.timeline.process_of(*image).map_or(u32::MAX, |process| process.number());
            if let Some(program) = capture.timeline.exe(*image).and_then(|exe| self.programs.get_mut(exe)) {
                program.libraries.insert(name);
                if speaks_tls {
                    program.tls_libraries.insert(name);
                    if program.tls_files.len() < 100 {
                        program.tls_files.insert(file_key);
                    }
                    let room = self.seen_tls.len() < 8 * MAX_ROWS;
                    program.tls_processes += u64::from(room && self.seen_tls.insert((number, process, *tgid)));
                }
            }
            if self.seen_loads.len() >= 8 * MAX_ROWS {
                self.overflowed = true;
            } else if self.seen_loads.insert((library_number, number, process, *tgid)) {
                library.processes += 1;
            }
        }
    }
}

/// Path of the executable, or the thread's name where that is unknown.
fn program_name<'a>(capture: &'a Capture, image: ImageId, comm: &'a [u8]) -> &'a [u8] {
    capture.timeline.exe(image).unwrap_or(comm)
}
