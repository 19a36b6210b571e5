//! Calls into crypto libraries: finding the libraries, planning where probes go, attaching them while the capture runs.
//!
//! Libraries come to light in three ways: from the dynamic linker's cache before anything runs; from `lib_load` records, of
//! those that are there and those that come; and by looking through the files that a process has mapped which does TLS with
//! none of the known ones. The finder thread reads them; the drain thread attaches. What became of each is reported by a
//! `library_info` record. What nobody has mapped any more is let go of and forgotten, so that its number, its file system and
//! the room that was taken for it are free again.

mod accessor;
mod algorithms;
mod cache;
mod elf;
mod evidence;
mod finder;
mod notices;
mod open;
mod patience;
mod plan;
mod queue;
mod rows;
mod site;
mod slots;
mod table;
mod told;
mod uretprobe;

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crypto_trace_bpf::{FunctionRow, LibraryRow, LoadError, Programs};
use crypto_trace_format::record::{ProcessInfo, Record, Records};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::limits;
use crate::limits::privileges;
use crate::say;
use crate::session::service::Heartbeat;

use self::algorithms::Algorithms;
pub use self::algorithms::Counts;
use self::finder::{Answer, FileId, Finder, Found, Request};
pub use self::notices::Notices;
use self::plan::{Plan, ReturnProbes};
use self::queue::Queue;
pub use self::rows::LibraryRecords;
use self::slots::{Known, Slot, Slots};
use self::table::ProbeTable;
use self::told::Became;

/// How long the end of a capture waits for what is looked at just then.
const LAST_PATIENCE: Duration = Duration::from_millis(300);

/// What was found and waits to be attached; each holds a descriptor.
const MAX_FOUND: usize = 16;

/// Files that wait for a number or for descriptors.
const MAX_WAITING: usize = 64;

/// Files of which it was told that there is no room for them.
const MAX_TOLD: usize = 4_096;

/// What processes have mapped that holds libraries, reported once and without probes: records of the libraries, and of who has
/// those whose names do not show. `processes` are records of processes.
///
/// # Errors
/// When the table of libraries is not well-formed, which a test keeps from happening.
pub fn look_once(processes: &[u8], verbose: bool) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let table = Arc::new(ProbeTable::load().context("the table of probes")?);
    let (answer, answers) = channel();
    // Nobody listens any more when that is over.
    let answer = Box::new(move |found| drop(answer.send(found)));
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
    requests: Arc<Queue>,
    answers: Receiver<Answer>,
    wake: Arc<OwnedFd>,
    algorithms: Option<Algorithms>,
    slots: Slots,
    /// Makes numbers of what is attached.
    hash: RandomState,
    only_pid: Option<u32>,
    verbose: bool,
    waiting: VecDeque<Request>,
    told_full: HashSet<FileId>,
    /// What was said once.
    said: Said,
}

/// What is said once, and counted from then on.
#[derive(Debug, Default)]
struct Said {
    refused: u64,
    left_out: u64,
    descriptors: bool,
}

impl Drop for Libraries {
    fn drop(&mut self) {
        self.requests.close();
    }
}

impl Libraries {
    /// Starts the finder thread; `everywhere` says that processes may come that are not there yet, so that libraries are looked
    /// for before they are loaded. With `only_pid` the probes are put into that process alone. With `budget`, a percentage of a
    /// core, algorithms are counted. With `loads` it is recorded who has mapped what holds a library.
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
        let requests = Arc::new(Queue::new());
        let (answer, answers) = sync_channel(MAX_FOUND);
        let (waker, rows, algorithms, requested) =
            (Arc::clone(&wake), Arc::clone(&table), budget.is_some(), Arc::clone(&requests));
        let heartbeat = Heartbeat::default();
        let beat = heartbeat.clone();
        std::thread::Builder::new()
            .name("ct-finder".to_owned())
            .spawn(move || {
                let answer = Box::new(move |found| {
                    // Nobody listens any more when the capture ends.
                    let _ = answer.send(found);
                    let _ = rustix::io::write(&waker, &1u64.to_ne_bytes());
                });
                // Here, because it waits for children, and the programs are being loaded meanwhile.
                let finder = Finder::new(rows, uretprobe::how(), algorithms, loads, answer);
                // It reads what may be anything.
                let _ = privileges::keep_reading_only();
                finder.run(&requested, &beat);
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
            slots: Slots::default(),
            hash: RandomState::new(),
            only_pid,
            verbose,
            waiting: VecDeque::new(),
            told_full: HashSet::new(),
            said: Said::default(),
        };
        if everywhere {
            libraries.requests.push(Request::Cache);
        }
        libraries.requests.push(Request::Mark);
        Ok(libraries)
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
                self.attach(programs, *found);
            }
        }
    }

    /// Sends what was noticed to the finder.
    pub fn look_at(&self, notices: &mut Notices) {
        for request in notices.take() {
            if let Err(Request::Library { id, .. }) = self.requests.push_or_give_back(request) {
                // There was no room: looked at when it is mapped again.
                notices.forget(id);
            }
        }
    }

    /// Notices what is in records that did not come from a ring.
    pub fn look_at_records(&self, bytes: &[u8], notices: &mut Notices) {
        Records::new(bytes).flatten().for_each(|record| notices.see(&record));
        self.look_at(notices);
    }

    /// Attaches what was found since; returns records about it, and those of who has it mapped.
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
        (records, loads)
    }

    /// What is found of what was noticed until now, as the capture ends and nothing is attached any more: the same two kinds of
    /// records. Waits a little.
    pub fn find_rest(&mut self, notices: &mut Notices) -> (Vec<u8>, Vec<u8>) {
        self.look_at(notices);
        self.requests.push(Request::Mark);
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
        self.say_last();
        (records, loads)
    }

    /// Lets go of what nobody has mapped any more. To be called about once a second, after [`Libraries::take_counts`]: what was counted
    /// of it must have been taken over.
    pub fn let_go(&mut self, programs: &mut Programs, notices: &mut Notices) {
        let free = self.slots.released();
        for number in &free {
            if let Some(algorithms) = &mut self.algorithms {
                algorithms.remove_library(programs, *number);
            }
        }
        if !self.slots.is_releasing() {
            let over = self.slots.over(Instant::now(), |inode| programs.mapped(inode));
            if !over.is_empty() {
                for slot in self.slots.release(programs, over) {
                    self.forget(programs, notices, &slot);
                }
            }
        }
        let again = self.waiting.len().min(free.len());
        for request in self.waiting.drain(..again) {
            self.requests.push(request);
        }
        notices.again();
        self.look_at(notices);
        self.say_refused();
    }

    fn forget(&self, programs: &Programs, notices: &mut Notices, slot: &Slot) {
        for id in &slot.ids {
            programs.forget_file(id.0, id.1);
            self.records.forget(*id);
            // Before the finder can be asked anew.
            self.requests.push(Request::Forget { id: *id });
            notices.forget(*id);
        }
        if self.verbose {
            let path = String::from_utf8_lossy(&slot.path);
            say::info(&format!("library {path}: no process has it mapped any more; its probes were removed"));
        }
    }

    /// Says, once, that more was mapped than is looked at.
    fn say_refused(&mut self) {
        let refused = self.requests.take_refused();
        if refused > 0 && self.said.refused == 0 {
            say::warning(&format!(
                "{refused} files were mapped faster than they can be examined, and were skipped: their library calls \
                 are not recorded until they are mapped again"
            ));
        }
        self.said.refused += refused;
    }

    /// Says, at the end, how much that was.
    fn say_last(&mut self) {
        self.say_refused();
        if self.said.refused > 1 {
            say::warning(&format!("{} files in all were mapped faster than they can be examined", self.said.refused));
        }
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

    /// Attaches to one file; returns the record of what became of it.
    fn attach(&mut self, programs: &mut Programs, found: Found) -> Vec<u8> {
        let became = match &found.outcome {
            Err(refusal) => Became::refused(refusal),
            Ok((_, plan)) if plan.probes.is_empty() => Became::skipped(finder::why_nothing(plan)),
            Ok((file, plan)) => self.attach_plan(programs, &found, file, plan),
        };
        if became.is_for_want_of_room() {
            self.keep_waiting(&found);
            if self.told_full.len() >= MAX_TOLD {
                self.told_full.clear();
            }
            if !self.told_full.insert(found.id) {
                return Vec::new();
            }
        } else {
            // Known, whatever becomes of it.
            let _ = programs.know_file(found.id.0, found.id.1);
        }
        if became.errno() == Errno::MFILE.raw_os_error() && !self.said.descriptors {
            self.said.descriptors = true;
            say::warning(
                "no descriptors are left for probes on libraries (ulimit -n, LimitNOFILE=): libraries that are not \
                 probed are reported as failed",
            );
        }
        let record = told::record(&found, &became, self.verbose);
        let left_out = self.records.add(found.id, &record, became.is_probed());
        if left_out > 0 && self.said.left_out == 0 {
            say::warning("too many files without probes were mapped: the next segments do not repeat the oldest");
        }
        self.said.left_out += left_out;
        record
    }

    /// It is tried again when others are let go of, or it is mapped by somebody else.
    fn keep_waiting(&mut self, found: &Found) {
        let Found { header, path, id, .. } = found;
        self.requests.push(Request::Forget { id: *id });
        if self.waiting.len() < MAX_WAITING {
            let request = Request::Library { header: *header, path: path.clone(), id: *id, address: 0, again: false };
            self.waiting.push_back(request);
        }
    }

    fn attach_plan(&mut self, programs: &mut Programs, found: &Found, file: &OwnedFd, plan: &Plan) -> Became {
        let (dev, ino) = found.id;
        let inode = programs.real_inode(file.as_fd());
        let what = self.hash.hash_one((&plan.probes, &plan.row));
        match self.slots.known(inode, what) {
            // The same file in another container: its probes are there, once for all.
            Known::Same(number) => {
                let is_first = self.slots.add_id(number, found.id);
                return if is_first { Became::attached(&plan.message) } else { Became::shared(&plan.message) };
            }
            // It was written to since: what was probed is not there any more.
            Known::Other(number) => drop(self.slots.release(programs, vec![number])),
            Known::No => {}
        }
        let is_system = found.header.tgid == 0;
        let user = if is_system { 0 } else { found.header.uid };
        let number = match self.slots.number(user) {
            Ok(number) => number,
            Err(why) => return Became::no_room(Errno::NOSPC, why),
        };
        let no_descriptors = |limit: u64| {
            Became::no_room(Errno::MFILE, format!("too many descriptors are open (at most {limit}): not probed"))
        };
        if let Err(limit) = limits::descriptors_are_left(file.as_fd()) {
            return no_descriptors(limit);
        }
        let row = LibraryRow { dev, ino, inode: inode.unwrap_or(0), ..plan.row.clone() };
        if let Err(error) = programs.attach_library(number, file.as_fd(), &row, &plan.probes, self.only_pid) {
            let no_room = [Errno::MFILE, Errno::NFILE].into_iter().find(|errno| errno.raw_os_error() == error.errno);
            return match no_room {
                Some(errno) => Became::no_room(errno, error.message),
                None => Became::failed(error.errno, error.message),
            };
        }
        let ids = vec![found.id];
        self.slots.fill(number, Slot { inode, what, ids, path: found.path.clone(), user, is_system, idle: None });
        if let Err(limit) = limits::descriptors_are_left(file.as_fd()) {
            // It took what others need.
            self.slots.release(programs, vec![number]);
            return no_descriptors(limit);
        }
        if let Some(algorithms) = &mut self.algorithms {
            algorithms.add_library(number, found.id, &found.path);
        }
        Became::attached(&plan.message)
    }
}
