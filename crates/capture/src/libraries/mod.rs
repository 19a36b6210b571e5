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
mod evidence;
mod finder;
mod plan;
mod site;
mod table;
mod told;
mod uretprobe;

use std::collections::HashSet;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crypto_trace_bpf::{FunctionRow, LibraryRow, LoadError, Programs};
use crypto_trace_format::record::{
    ApiCall, ApiMeaning, Header, LibLoad, LibLoadFixed, ProcessExec, ProcessInfo, Record, Records, TlsHello,
};
use rustix::event::{EventfdFlags, eventfd};

use crate::privileges;
use crate::service::Heartbeat;

use self::algorithms::Algorithms;
pub use self::algorithms::Counts;
use self::finder::{Answer, Finder, Found, Request};
use self::plan::{Plan, ReturnProbes};
use self::table::ProbeTable;
use self::told::Became;

/// Processes whose files were looked through, at most.
const MAX_PROCESSES: usize = 65_536;

/// How long the end of a capture waits for what is looked at just then.
const LAST_PATIENCE: Duration = Duration::from_millis(300);

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
                    // Its library is known, but maybe not that it is this process's.
                    self.see_process(&record.header);
                }
            }
            ProcessExec::KIND => self.requests.push(Request::Program { header: record.header }),
            // Of a kernel thread there is none.
            ProcessInfo::KIND if ProcessInfo::decode(record).is_ok_and(|info| !info.exe.is_empty()) => {
                self.requests.push(Request::Program { header: record.header });
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

/// What processes have mapped that holds libraries, told once and without probes: records of the libraries, and of who has those whose
/// names do not tell. `processes` are records of processes.
///
/// # Errors
/// When the table of libraries is not well-formed, which a test keeps from happening.
pub fn look_once(processes: &[u8], verbose: bool) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let table = Arc::new(ProbeTable::load().context("the table of probes")?);
    let (answer, answers) = channel();
    let mut finder = Finder::new(table, ReturnProbes::Instructions, false, true, answer);
    let has_program = |record: &Record<'_>| ProcessInfo::decode(record).is_ok_and(|info| !info.exe.is_empty());
    let with_programs = Records::new(processes).flatten().filter(|record| record.kind() == ProcessInfo::KIND);
    let (mut records, mut loads) = (Vec::new(), Vec::new());
    for record in with_programs.filter(has_program) {
        finder.look_at_process(record.header, false);
        // One process after the other, for what is found is open.
        for answer in answers.try_iter() {
            match answer {
                Answer::File(found) => records.append(&mut told::unprobed(&found, "this is a snapshot", verbose)),
                Answer::Load(mut load) => loads.append(&mut load),
                Answer::Mark => {}
            }
        }
    }
    Ok((records, loads))
}

/// The finder thread and what was attached.
pub struct Libraries {
    /// Whether the finder gets on.
    pub heartbeat: Heartbeat,
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
    /// core, algorithms are counted. With `loads` it is told who has mapped what holds a library.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        everywhere: bool,
        only_pid: Option<u32>,
        budget: Option<f64>,
        loads: bool,
        verbose: bool,
    ) -> anyhow::Result<Self> {
        let table = Arc::new(ProbeTable::load().context("the table of probes")?);
        let wake =
            Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).context("cannot create an eventfd")?);
        let (requests, requested) = channel();
        let (answer, answers) = channel();
        let heartbeat = Heartbeat::default();
        let beat = heartbeat.clone();
        let (waker, rows, algorithms) = (Arc::clone(&wake), Arc::clone(&table), budget.is_some());
        std::thread::Builder::new()
            .name("ct-finder".to_owned())
            .spawn(move || {
                // Here, because it waits for children, and the programs are being loaded meanwhile.
                let finder = Finder::new(rows, uretprobe::how(), algorithms, loads, answer);
                // It reads what may be anything.
                let _ = privileges::keep_reading_only();
                finder.run(&requested, &beat, || {
                    let _ = rustix::io::write(&waker, &1u64.to_ne_bytes());
                });
            })
            .context("cannot start the finder thread")?;
        let libraries = Self {
            records: LibraryRecords::default(),
            heartbeat,
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
        while let Ok(answer @ (Answer::File(_) | Answer::Load(_))) = self.answers.recv() {
            if let Answer::File(found) = answer {
                let record = self.attach(programs, *found);
                self.records.add(&record);
            }
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

    /// Attaches what was found since; returns records that tell of it, and those of who has it mapped.
    pub fn attach_found(&mut self, programs: &mut Programs) -> (Vec<u8>, Vec<u8>) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
        let (mut records, mut loads) = (Vec::new(), Vec::new());
        while let Ok(answer) = self.answers.try_recv() {
            match answer {
                Answer::File(found) => records.append(&mut self.attach(programs, *found)),
                Answer::Load(mut load) => loads.append(&mut load),
                Answer::Mark => {}
            }
        }
        self.records.add(&records);
        (records, loads)
    }

    /// What is found of what was noticed until now, as the capture ends and nothing is attached any more: the same two kinds of
    /// records. Waits a little.
    pub fn find_rest(&mut self, notices: &mut Notices) -> (Vec<u8>, Vec<u8>) {
        self.look_at(notices);
        self.request(Request::Mark);
        let deadline = Instant::now() + LAST_PATIENCE;
        let (mut records, mut loads) = (Vec::new(), Vec::new());
        while let Ok(answer) = self.answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            match answer {
                Answer::File(found) => {
                    records.append(&mut told::unprobed(&found, "it was found as the capture ended", self.verbose))
                }
                Answer::Load(mut load) => loads.append(&mut load),
                Answer::Mark => break,
            }
        }
        (records, loads)
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
        // Known, whatever becomes of it.
        let _ = programs.know_file(found.id.0, found.id.1);
        let became = match &found.outcome {
            Err(refusal) => Became::refused(refusal),
            Ok((_, plan)) if plan.probes.is_empty() => Became::skipped(finder::why_nothing(plan)),
            Ok((file, plan)) => self.attach_plan(programs, &found, file, plan),
        };
        told::record(&found, &became, self.verbose)
    }

    fn attach_plan(&mut self, programs: &mut Programs, found: &Found, file: &OwnedFd, plan: &Plan) -> Became {
        let (dev, ino) = found.id;
        let inode = programs.real_inode(file.as_fd());
        let content = inode.map(|inode| (inode, found.size, plan.build_id.clone()));
        if content.as_ref().is_some_and(|content| self.probed.contains(content)) {
            // The same file in another container: its probes are there, once for all.
            return Became::attached(&plan.message);
        }
        if usize::from(self.next_slot) >= Programs::MAX_LIBRARIES {
            return Became::failed(0, format!("{} libraries are probed already", Programs::MAX_LIBRARIES));
        }
        let row = LibraryRow { dev, ino, inode: inode.unwrap_or(0), ..plan.row.clone() };
        match programs.attach_library(self.next_slot, file.as_fd(), &row, &plan.probes, self.only_pid) {
            Ok(()) => {
                if let Some(algorithms) = &mut self.algorithms {
                    algorithms.add_library(self.next_slot, found.id, &found.path);
                }
                self.next_slot += 1;
                self.probed.extend(content);
                Became::attached(&plan.message)
            }
            Err(error) => Became::failed(error.errno, error.message),
        }
    }
}
