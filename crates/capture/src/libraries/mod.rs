//! Calls into crypto libraries: finding the libraries, planning where probes go, attaching them while the capture runs.
//!
//! Libraries come to light in three ways: from the dynamic linker's cache before anything runs; from `lib_load` records, of
//! those that are there and those that come; and by looking through the files that a process has mapped which does TLS with
//! none of the known ones. The finder thread reads them; the drain thread attaches. What became of each is told by a
//! `library_info` record.

mod accessor;
mod algorithms;
mod cache;
mod elf;
mod finder;
mod plan;
mod site;
mod table;
mod uretprobe;

use std::collections::HashSet;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use crypto_trace_bpf::{FunctionRow, LibraryRow, LoadError, Programs};
use crypto_trace_format::record::{
    ApiCall, ApiMeaning, Header, LibLoad, LibLoadFixed, LibraryInfo, LibraryInfoFixed, ProbeState, Record, Records,
    TlsHello,
};
use rustix::event::{EventfdFlags, eventfd};

use crate::clock::boottime_ns;
use crate::{privileges, say};

use self::algorithms::Algorithms;
pub use self::algorithms::Counts;
use self::finder::{Answer, Finder, Found, Refusal, Request};
use self::table::ProbeTable;

/// Processes whose files were looked through, at most.
const MAX_PROCESSES: usize = 65_536;

/// Records of all libraries found so far, for the begin of each segment.
#[derive(Debug, Clone, Default)]
pub struct LibraryRecords(Arc<Mutex<Vec<u8>>>);

impl LibraryRecords {
    /// As they are now.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().map(|bytes| bytes.clone()).unwrap_or_default()
    }

    fn add(&self, bytes: &[u8]) {
        if let Ok(mut all) = self.0.lock() {
            all.extend_from_slice(bytes);
        }
    }
}

/// Notes, from records that pass by, what is to be looked at. Costs a comparison for any other record.
#[derive(Debug, Default)]
pub struct Notices {
    requests: Vec<Request>,
    /// Device, inode, and the number of what is really mapped.
    files: HashSet<(u64, u64, u32)>,
    processes: HashSet<(u32, u64)>,
}

impl Notices {
    /// Looks at one record.
    pub fn see(&mut self, record: &Record<'_>) {
        match record.kind() {
            LibLoad::KIND => self.see_library(record),
            TlsHello::KIND => self.see_process(&record.header),
            ApiCall::KIND => {
                let is_handshake = |call: ApiCall<'_>| call.fixed.meaning == ApiMeaning::HANDSHAKE.0;
                if ApiCall::decode(record).is_ok_and(is_handshake) {
                    // Its library is known.
                    self.add_process(&record.header);
                }
            }
            _ => {}
        }
    }

    fn see_library(&mut self, record: &Record<'_>) {
        let Ok(library) = LibLoad::decode(record) else { return };
        let LibLoadFixed { dev, ino, file, address, .. } = library.fixed;
        if self.files.insert((dev, ino, file)) {
            let path = library.path.to_vec();
            self.requests.push(Request::Library { header: record.header, path, id: (dev, ino), address });
        }
    }

    fn see_process(&mut self, header: &Header) {
        if self.add_process(header) {
            self.requests.push(Request::Process { header: *header });
        }
    }

    /// Whether it is new.
    fn add_process(&mut self, header: &Header) -> bool {
        if self.processes.len() >= MAX_PROCESSES {
            self.processes.clear();
        }
        header.tgid != 0 && self.processes.insert((header.tgid, header.start_ns))
    }
}

/// The finder thread and what was attached.
pub struct Libraries {
    /// Shared with the writer thread.
    pub records: LibraryRecords,
    table: Arc<ProbeTable>,
    requests: Sender<Request>,
    answers: Receiver<Answer>,
    wake: Arc<OwnedFd>,
    algorithms: Option<Algorithms>,
    next_slot: u16,
    only_pid: Option<u32>,
    verbose: bool,
    /// Files that have probes. An inode may be another file's when its probes are gone, so the content has its say.
    probed: HashSet<Content>,
}

/// A file as the kernel has it, its size and its build id.
type Content = (u64, u64, Vec<u8>);

impl Libraries {
    /// Starts the finder thread; `everywhere` says that processes may come that are not there yet, so that libraries are looked
    /// for before they are loaded. With `only_pid` the probes are put into that process alone. With `budget`, a percentage of a
    /// core, algorithms are counted.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(everywhere: bool, only_pid: Option<u32>, budget: Option<f64>, verbose: bool) -> anyhow::Result<Self> {
        let table = Arc::new(ProbeTable::load().context("the table of probes")?);
        let wake =
            Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).context("cannot create an eventfd")?);
        let (requests, requested) = channel();
        let (answer, answers) = channel();
        let (waker, rows, algorithms) = (Arc::clone(&wake), Arc::clone(&table), budget.is_some());
        std::thread::Builder::new()
            .name("ct-finder".to_owned())
            .spawn(move || {
                // Here, because it waits for children, and the programs are being loaded meanwhile.
                let finder = Finder::new(rows, uretprobe::how(), algorithms, answer);
                // It reads what may be anything.
                let _ = privileges::keep_reading_only();
                finder.run(&requested, || {
                    let _ = rustix::io::write(&waker, &1u64.to_ne_bytes());
                });
            })
            .context("cannot start the finder thread")?;
        let libraries = Self {
            records: LibraryRecords::default(),
            table,
            requests,
            answers,
            wake,
            algorithms: budget.map(Algorithms::new),
            next_slot: 0,
            only_pid,
            verbose,
            probed: HashSet::new(),
        };
        if everywhere {
            libraries.request(Request::Cache);
        }
        libraries.request(Request::Mark);
        Ok(libraries)
    }

    fn request(&self, request: Request) {
        // The thread ends only with us.
        let _ = self.requests.send(request);
    }

    /// The functions that may be probed.
    pub fn functions(&self) -> &[FunctionRow] {
        &self.table.functions
    }

    /// Readable when there is something to attach.
    pub fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Attaches what was found before anything runs.
    pub fn attach_first(&mut self, programs: &mut Programs) {
        while let Ok(Answer::File(found)) = self.answers.recv() {
            let record = self.attach(programs, *found);
            self.records.add(&record);
        }
    }

    /// Sends what was noticed to the finder.
    pub fn look_at(&self, notices: &mut Notices) {
        for request in notices.requests.drain(..) {
            self.request(request);
        }
    }

    /// Notices what is in records that did not come from a ring.
    pub fn look_at_records(&self, bytes: &[u8], notices: &mut Notices) {
        Records::new(bytes).flatten().for_each(|record| notices.see(&record));
        self.look_at(notices);
    }

    /// Attaches what was found since; returns records that tell of it.
    pub fn attach_found(&mut self, programs: &mut Programs) -> Vec<u8> {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
        let mut records = Vec::new();
        while let Ok(answer) = self.answers.try_recv() {
            if let Answer::File(found) = answer {
                records.append(&mut self.attach(programs, *found));
            }
        }
        self.records.add(&records);
        records
    }

    /// What was counted since this was called last, as records; keeps the probes within their budget. `over` says that the
    /// probes are detached already.
    ///
    /// # Errors
    /// When the counts cannot be read.
    pub fn take_counts(&mut self, programs: &mut Programs, counts: Counts) -> Result<Vec<u8>, LoadError> {
        match &mut self.algorithms {
            Some(algorithms) => algorithms.take(programs, &self.table.functions, counts),
            None => Ok(Vec::new()),
        }
    }

    /// Attaches to one file; returns the record that tells what became of it.
    fn attach(&mut self, programs: &mut Programs, found: Found) -> Vec<u8> {
        let Found { header, path, id: (dev, ino), size, outcome } = found;
        let mut fixed = LibraryInfoFixed { dev, ino, size, ..LibraryInfoFixed::default() };
        let (mut family, mut version, mut build_id) = (String::new(), String::new(), Vec::new());
        // Known, whatever becomes of it.
        let _ = programs.know_file(dev, ino);
        let (state, message) = match outcome {
            Err(Refusal { errno, message }) => {
                fixed.errno = errno;
                (ProbeState::FAILED, message)
            }
            Ok((file, plan)) => {
                family = plan.families.join(",");
                version.clone_from(&plan.version);
                build_id.clone_from(&plan.build_id);
                fixed.features = plan.features;
                fixed.functions = plan.functions;
                let inode = if plan.probes.is_empty() { None } else { programs.real_inode(file.as_fd()) };
                let content = inode.map(|inode| (inode, size, build_id.clone()));
                let row = LibraryRow { dev, ino, inode: inode.unwrap_or(0), ..plan.row.clone() };
                if plan.probes.is_empty() {
                    (ProbeState::SKIPPED, finder::why_nothing(&plan).to_owned())
                } else if content.as_ref().is_some_and(|content| self.probed.contains(content)) {
                    // The same file in another container: its probes are there, once for all.
                    (ProbeState::ATTACHED, plan.message)
                } else if usize::from(self.next_slot) >= Programs::MAX_LIBRARIES {
                    (ProbeState::FAILED, format!("{} libraries are probed already", Programs::MAX_LIBRARIES))
                } else {
                    match programs.attach_library(self.next_slot, file.as_fd(), &row, &plan.probes, self.only_pid) {
                        Ok(()) => {
                            if let Some(algorithms) = &mut self.algorithms {
                                algorithms.add_library(self.next_slot, (dev, ino), &path);
                            }
                            self.next_slot += 1;
                            self.probed.extend(content);
                            (ProbeState::ATTACHED, plan.message)
                        }
                        Err(error) => {
                            fixed.errno = error.errno;
                            fixed.functions = 0;
                            (ProbeState::FAILED, error.message)
                        }
                    }
                }
            }
        };
        fixed.state = state.0;
        if self.verbose {
            let name = String::from_utf8_lossy(&path);
            let told = if message.is_empty() { String::new() } else { format!(": {message}") };
            let called = [&family, &version].map(String::as_str).into_iter().filter(|word| !word.is_empty());
            let called = called.collect::<Vec<_>>().join(" ");
            let called = if called.is_empty() { String::new() } else { format!(" ({called})") };
            let seen_in = match state {
                ProbeState::FAILED => format!(", seen in process {}", header.tgid),
                _ => String::new(),
            };
            say::info(&format!(
                "library {name}{called}{seen_in}: {}, {} functions{told}",
                state.name(),
                fixed.functions
            ));
        }
        let header = Header { time_ns: boottime_ns(), flags: 0, ..header };
        let mut out = Vec::new();
        LibraryInfo {
            fixed,
            path: &path,
            family: family.as_bytes(),
            version: version.as_bytes(),
            build_id: &build_id,
            message: message.as_bytes(),
            ..LibraryInfo::default()
        }
        .encode(header, &mut out);
        out
    }
}
