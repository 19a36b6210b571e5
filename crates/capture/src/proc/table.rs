//! The processes that are there already when a segment begins, the crypto libraries they have mapped and, when the capture
//! begins, the crypto files they have open, from /proc.
//!
//! Processes come and go while /proc is read: one that vanishes half-way is left out, for its exit is in the ring.
//! Each has its share of memory and time, and so has each user: what goes beyond is left out, and counted.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crypto_trace_bpf::{ArgvSelection, Targets};
use crypto_trace_format::catalog;
use crypto_trace_format::record::limits::{ARGV_EXE_MAX, ARGV_MAX};
use crypto_trace_format::record::{
    Comm, FileOpen, FileOpenFixed, Header, LibLoad, LibLoadFixed, ProcessInfo, ProcessInfoFixed, Records, Tier, flags,
    trim_comm,
};

use crate::clock::boottime_ns;
use crate::proc::cgroup;
use crate::proc::entry::{self, Entry, Extent, Missing};
use crate::proc::maps::{self, Loads, Mapping};
use crate::proc::tally::Tally;
use crate::say;
use crate::session::filter::RecordFilter;
use crate::session::service::Heartbeat;

/// Bit of a process's flags, include/linux/sched.h.
const PF_KTHREAD: u32 = 0x0020_0000;

/// Threads that look at /proc for somebody who waits; each keeps to what the processes of a user may take.
const MAX_THREADS: usize = 8;

/// Processes that are looked at sooner than a thread is started.
const WORTH_A_THREAD: usize = 32;

/// The same beside what this host does.
pub const FEW_THREADS: usize = 2;

/// Descriptors of one process that are looked at.
const MAX_DESCRIPTORS: usize = 65_536;

/// Bytes of a descriptor's fdinfo that are looked at: its flags are in the second line.
const FDINFO_BYTES: u64 = 4 << 10;

/// Libraries, and as many open files, of one process that are told.
const MAX_ROWS: usize = 1024;

/// Bytes of their records.
const MAX_ROW_BYTES: usize = 512 << 10;

/// Bytes of records of the processes of one user: about 16,000 as they usually are.
const USER_BYTES: usize = 16 << 20;

/// Time that the processes of one user may take, all in all, beyond what each of them has.
const USER_TIME: Duration = Duration::from_secs(5);

/// Time that looking at a process may take without being held against its user: about ten times what it usually takes.
const PROCESS_TIME: Duration = Duration::from_millis(2);

/// Which processes belong into the table: the user-space side of the selection.
pub struct TableFilter {
    /// Only these, when the selection is by process.
    pub targets: Option<Targets>,
    /// Only these process ids; any, if empty.
    pub pids: Vec<u32>,
    /// Only those whose name contains one of these, or that of whose executable does.
    pub names: Vec<String>,
    /// Only these user ids.
    pub uids: Vec<u32>,
    /// Only cgroups in or below these, as /proc/PID/cgroup tells them.
    pub cgroups: Vec<PathBuf>,
    /// Never this one.
    pub self_tgid: u32,
    /// Not this one yet: the command that waits to be let go. It is no more than our own gate, and its exec will tell it.
    pub gate: Option<u32>,
    /// Whether mapped libraries are wanted.
    pub libraries: bool,
    /// Whether open files are wanted.
    pub files: bool,
    /// Globs instead of the catalog were given for files.
    pub by_globs: bool,
    /// Which libraries and files.
    pub records: RecordFilter,
    /// How much of the arguments.
    pub argv: ArgvSelection,
}

/// Records of processes and of their libraries.
#[derive(Debug, Default)]
pub struct Table {
    /// `process_info`.
    pub lifecycle: Vec<u8>,
    /// `lib_load` and `file_open`.
    pub events: Vec<u8>,
    /// What there was to see.
    pub tally: Tally,
    /// What the processes of each user took.
    users: HashMap<u32, Share>,
    /// Of the thread that looks.
    heartbeat: Heartbeat,
}

/// What was taken of a user's share.
#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    time: Duration,
}

impl Share {
    fn is_used_up(&self) -> bool {
        self.bytes >= USER_BYTES || self.time >= USER_TIME
    }
}

impl Table {
    /// An empty one, filled by a thread with this heartbeat.
    pub fn new(heartbeat: Heartbeat) -> Self {
        Self { heartbeat, ..Self::default() }
    }

    /// Adds what another look found.
    fn append(&mut self, mut other: Self) {
        self.lifecycle.append(&mut other.lifecycle);
        self.events.append(&mut other.events);
        self.tally.add(other.tally);
    }

    /// Completes this one by `earlier`, which was read before. Of a process that is ending the later look finds little, so
    /// the earlier one counts; libraries may have come in between, so of those the later one does.
    pub fn complete(&mut self, earlier: Self) {
        let later = std::mem::replace(&mut self.lifecycle, earlier.lifecycle);
        add_other_processes(&mut self.lifecycle, &later);
        add_other_processes(&mut self.events, &earlier.events);
    }
}

/// Appends the records of those processes that have none yet.
fn add_other_processes(to: &mut Vec<u8>, more: &[u8]) {
    let process = |header: &Header| (header.tgid, header.start_ns);
    let told: HashSet<_> = Records::new(to).flatten().map(|record| process(&record.header)).collect();
    for record in Records::new(more).flatten().filter(|record| !told.contains(&process(&record.header))) {
        to.extend_from_slice(record.bytes());
    }
}

impl TableFilter {
    /// Appends a `process_info` record for each selected process, and `lib_load` and `file_open` records for what it has.
    pub fn encode(&self, table: &mut Table) {
        for pid in self.candidates_or_tell(table) {
            self.look_at(pid, table);
        }
    }

    /// The same on several threads, at most so many, for somebody who waits for it.
    pub fn encode_at_once(&self, table: &mut Table, threads: usize) {
        let pids = self.candidates_or_tell(table);
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(threads).min(MAX_THREADS);
        if threads < 2 || pids.len() < WORTH_A_THREAD {
            return pids.iter().for_each(|pid| self.look_at(*pid, table));
        }
        let share = pids.len().div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            let parts: Vec<_> = pids
                .chunks(share)
                .map(|pids| {
                    let heartbeat = table.heartbeat.clone();
                    let look_at_all = move || {
                        let mut part = Table::new(heartbeat);
                        pids.iter().for_each(|pid| self.look_at(*pid, &mut part));
                        part
                    };
                    // No thread more may be had: then it is done here, below.
                    (pids, std::thread::Builder::new().spawn_scoped(scope, look_at_all).ok())
                })
                .collect();
            for (pids, part) in parts {
                match part {
                    // A thread that panicked would be a defect; what the others found stays.
                    Some(part) => part.join().into_iter().for_each(|part| table.append(part)),
                    None => pids.iter().for_each(|pid| self.look_at(*pid, table)),
                }
            }
        });
    }

    /// The selected processes: record headers, and file names of their executables.
    pub fn selected(&self) -> Vec<(Header, Vec<u8>)> {
        let entries = self.candidates().unwrap_or_default().into_iter().filter_map(|pid| Entry::open(pid).ok());
        let found = entries.filter_map(|entry| self.read(&entry).ok()?);
        found.map(|found| (found.header, catalog::file_name(&found.exe).to_vec())).collect()
    }

    /// Processes that are there and not ruled out by their id.
    fn candidates(&self) -> io::Result<Vec<u32>> {
        let targets = self.targets.as_ref().map(Targets::tgids);
        let wanted = |tgid: &u32| {
            *tgid != self.self_tgid
                && self.gate != Some(*tgid)
                && targets.as_ref().is_none_or(|targets| targets.contains(tgid))
                && (self.pids.is_empty() || self.pids.contains(tgid))
        };
        Ok(entry::all()?.filter(wanted).collect())
    }

    /// The same; that they cannot be listed is told.
    fn candidates_or_tell(&self, table: &mut Table) -> Vec<u32> {
        self.candidates().unwrap_or_else(|error| {
            say::warning(&format!("cannot list the running processes: {error}"));
            table.tally.cut += 1;
            Vec::new()
        })
    }

    fn look_at(&self, pid: u32, table: &mut Table) {
        let began = Instant::now();
        table.heartbeat.beat();
        let entry = Entry::open(pid);
        let read = match &entry {
            Ok(entry) => self.read(entry).map_err(|error| entry.missing(&error)),
            Err(error) => Err(Missing::new(error)),
        };
        let tally = &mut table.tally;
        let (mut found, entry) = match (read, &entry) {
            (Ok(Some(found)), Ok(entry)) => (found, entry),
            (Ok(_), _) => return,
            // Not even its name (hidepid=1 of proc(5)): so it is not known whether it was asked for.
            (Err(Missing::Denied), _) => {
                tally.processes += 1;
                tally.maps_denied += u32::from(self.libraries);
                tally.files_denied += u32::from(self.files);
                tally.denied_pid.get_or_insert(pid);
                return;
            }
            (Err(Missing::Gone), _) => {
                tally.vanished += 1;
                return;
            }
            (Err(Missing::Unread), _) => {
                tally.processes += 1;
                tally.count_cut(pid);
                return;
            }
        };
        let share = table.users.entry(found.header.uid).or_default();
        let bytes = table.lifecycle.len() + table.events.len();
        tally.processes += 1;
        if share.is_used_up() {
            // That it is there is told all the same.
            found.leave_out_long_texts();
            tally.count_cut(pid);
        }
        let unlinked = if found.unlinked { flags::UNLINKED } else { 0 };
        let header = Header { flags: found.header.flags | unlinked, ..found.header };
        found.info().encode(header, &mut table.lifecycle);
        if found.is_kernel_thread || share.is_used_up() {
            return;
        }
        // Of what is not ours to read, or gone, the process itself is told.
        let whole = Ok(Extent::Whole);
        let libraries =
            if self.libraries { self.encode_libraries(entry, found.header, &mut table.events) } else { whole };
        let whole = Ok(Extent::Whole);
        let files = if self.files { self.encode_files(entry, found.header, &mut table.events) } else { whole };
        let has = |what| {
            [&libraries, &files].map(|result| result.as_ref().err().map(|error| entry.missing(error)) == Some(what))
        };
        let [maps_denied, files_denied] = has(Missing::Denied);
        tally.maps_denied += u32::from(maps_denied);
        tally.files_denied += u32::from(files_denied);
        if maps_denied || files_denied {
            tally.denied_pid.get_or_insert(pid);
        }
        tally.vanished += u32::from(has(Missing::Gone).contains(&true));
        let is_cut = |result: &io::Result<Extent>| matches!(result, Ok(Extent::Cut));
        if has(Missing::Unread).contains(&true) || is_cut(&libraries) || is_cut(&files) {
            tally.count_cut(pid);
        }
        share.bytes += table.lifecycle.len() + table.events.len() - bytes;
        share.time += began.elapsed().saturating_sub(PROCESS_TIME);
    }

    fn read(&self, entry: &Entry) -> io::Result<Option<Found>> {
        let stat = entry.stat()?;
        let status = entry.status()?;
        let mut comm = Comm::default();
        for (to, from) in comm.iter_mut().take(15).zip(&stat.comm) {
            *to = *from;
        }
        let exe = std::cell::LazyCell::new(|| executable(entry));
        let is_named = |name: &String| contains(trim_comm(&comm), name) || contains(catalog::file_name(&exe.0), name);
        let groups = entry.read("cgroup", cgroup::MAX_TEXT).unwrap_or_default();
        let groups = cgroup::groups(&groups);
        // The kernel's filter knows cgroup v2 only, and so does this one.
        let cgroup = Path::new(std::ffi::OsStr::from_bytes(cgroup::unified(&groups)));
        let selected = (self.names.is_empty() || self.names.iter().any(is_named))
            && (self.uids.is_empty() || self.uids.contains(&status.uid))
            && (self.cgroups.is_empty() || self.cgroups.iter().any(|wanted| cgroup.starts_with(wanted)));
        if !selected {
            return Ok(None);
        }

        // One byte more tells that there is more; how much more, the process says of itself.
        let mut argv = entry.read("cmdline", ARGV_MAX as u64 + 1).unwrap_or_default();
        let argv_len = argv.len() as u64;
        let argv_len = if argv.len() > ARGV_MAX { stat.argv_bytes.unwrap_or(0).max(argv_len) } else { argv_len };
        let argv_full_len = u32::try_from(argv_len).unwrap_or(u32::MAX);
        let mut record_flags = flags::START_IS_TICK | flags::FROM_PROC;
        let wanted = match self.argv {
            ArgvSelection::Full => ARGV_MAX,
            ArgvSelection::Exe => argv.iter().position(|byte| *byte == 0).map_or(0, |end| end + 1).min(ARGV_EXE_MAX),
            ArgvSelection::None => 0,
        };
        if argv.len() > wanted {
            argv.truncate(wanted);
            if self.argv == ArgvSelection::Full {
                record_flags |= flags::TRUNCATED;
            }
        }
        let (exe, unlinked) = std::cell::LazyCell::force(&exe).clone();
        let namespace = |name: &str| entry.namespace(name).unwrap_or(0);
        let fixed = ProcessInfoFixed {
            ppid: stat.ppid,
            ns_pid: status.ns_pid,
            cgroup_id: 0,
            pid_ns: namespace("ns/pid"),
            mnt_ns: namespace("ns/mnt"),
            net_ns: namespace("ns/net"),
            user_ns: namespace("ns/user"),
            argv_full_len,
            ..ProcessInfoFixed::default()
        };
        let tick_ns = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
        let header = Header {
            time_ns: boottime_ns(),
            flags: record_flags,
            tid: entry.tgid(),
            tgid: entry.tgid(),
            uid: status.uid,
            gid: status.gid,
            start_ns: stat.start_ticks.saturating_mul(tick_ns),
            comm,
            ..Header::default()
        };
        let is_kernel_thread = stat.flags & PF_KTHREAD != 0;
        Ok(Some(Found {
            is_kernel_thread,
            unlinked,
            header,
            fixed,
            exe,
            argv,
            cwd: named(entry, &entry.link("cwd").unwrap_or_default(), "cwd").0,
            cgroup: cgroup::telling(&groups).to_vec(),
        }))
    }
}

/// Whether a name contains a part.
pub fn contains(name: &[u8], part: &str) -> bool {
    name.windows(part.len()).any(|window| window == part.as_bytes())
}

/// The path of a process's executable, and whether it was deleted; no path where there is none, or it may not be seen.
fn executable(entry: &Entry) -> (Vec<u8>, bool) {
    named(entry, &entry.link("exe").unwrap_or_default(), "exe")
}

/// The path that a link of a process in /proc tells, without what the kernel adds, and whether its file is gone.
fn named(entry: &Entry, path: &[u8], link: &str) -> (Vec<u8>, bool) {
    let (name, unlinked) = maps::name(entry.tgid(), path, || entry.ino(link));
    (name.to_vec(), unlinked)
}

/// One process, as /proc told it.
struct Found {
    /// It has neither libraries nor files.
    is_kernel_thread: bool,
    /// Its executable has no name any more.
    unlinked: bool,
    /// Of what it has, which may have its name still.
    header: Header,
    fixed: ProcessInfoFixed,
    exe: Vec<u8>,
    argv: Vec<u8>,
    cwd: Vec<u8>,
    cgroup: Vec<u8>,
}

impl Found {
    fn info(&self) -> ProcessInfo<'_> {
        let Self { fixed, exe, argv, cwd, cgroup, .. } = self;
        ProcessInfo { fixed: *fixed, exe, argv, cwd, cgroup, ..ProcessInfo::default() }
    }

    /// What a process may make as long as it likes.
    fn leave_out_long_texts(&mut self) {
        if !self.argv.is_empty() {
            self.header.flags |= flags::TRUNCATED;
        }
        self.argv.clear();
        self.cwd.clear();
    }
}

/// File names of the crypto libraries that are mapped now, as far as one may see.
pub fn mapped_libraries() -> BTreeSet<Vec<u8>> {
    let mut names = BTreeSet::new();
    for tgid in entry::all().into_iter().flatten() {
        let mut loads = Loads::default();
        let look = |map: &Mapping<'_>| {
            if loads.is_one(map) && names.len() < MAX_ROWS {
                names.insert(catalog::file_name(map.path).to_vec());
            }
            ControlFlow::Continue(())
        };
        // Gone, or not ours to see.
        let _ = Entry::open(tgid).and_then(|entry| maps::each(&entry, look));
    }
    names
}

/// Rows of one process, within its share.
struct Rows<'a> {
    out: &'a mut Vec<u8>,
    count: usize,
    begin: usize,
}

impl<'a> Rows<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self { count: 0, begin: out.len(), out }
    }

    /// Where the next one goes, if there may be one.
    fn next(&mut self) -> Option<&mut Vec<u8>> {
        if self.count >= MAX_ROWS || self.out.len() - self.begin >= MAX_ROW_BYTES {
            return None;
        }
        self.count += 1;
        Some(self.out)
    }
}

impl TableFilter {
    fn encode_libraries(&self, entry: &Entry, header: Header, out: &mut Vec<u8>) -> io::Result<Extent> {
        let (mut loads, mut rows, mut full) = (Loads::default(), Rows::new(out), false);
        let extent = maps::each(entry, |map| {
            if !loads.is_one(map) {
                return ControlFlow::Continue(());
            }
            let (path, unlinked) = maps::name(header.tgid, map.path, || Some(map.ino));
            // What is really named so as the kernel names what is gone may be no library.
            if !maps::is_library(path) || !self.records.keeps_library(path) {
                return ControlFlow::Continue(());
            }
            let Some(out) = rows.next() else {
                full = true;
                return ControlFlow::Break(());
            };
            let unlinked = if unlinked { flags::UNLINKED } else { 0 };
            let fixed = LibLoadFixed {
                dev: map.dev,
                ino: map.ino,
                address: map.address,
                offset: map.offset,
                size: 0,
                tier: Tier::PROC.0,
                file: file_number(header.tgid, map),
                ..LibLoadFixed::default()
            };
            let header = Header { flags: header.flags | unlinked, ..header };
            LibLoad { fixed, path, ..LibLoad::default() }.encode(header, out);
            ControlFlow::Continue(())
        })?;
        Ok(if full { Extent::Cut } else { extent })
    }

    fn encode_files(&self, entry: &Entry, header: Header, out: &mut Vec<u8>) -> io::Result<Extent> {
        let (mut rows, mut full) = (Rows::new(out), false);
        let extent = entry.descriptors(MAX_DESCRIPTORS, |number, path| {
            // Pipes, sockets and the like; what has never had a path.
            if (!path.starts_with(b"/") && path.contains(&b':')) || path.starts_with(b"/memfd:") {
                return;
            }
            let (path, unlinked) = maps::name(header.tgid, path, || entry.ino(&format!("fd/{number}")));
            let unlinked = if unlinked { flags::UNLINKED } else { 0 };
            let is_known = self.by_globs || catalog::file_type(path).is_some();
            let open = FileOpen { path, ..FileOpen::default() };
            if !is_known || !self.records.keeps_open(&open) {
                return;
            }
            let Ok(result) = i32::try_from(number) else { return };
            let Some(out) = rows.next() else {
                full = true;
                return;
            };
            let told = entry.read(&format!("fdinfo/{number}"), FDINFO_BYTES).unwrap_or_default();
            let fixed = FileOpenFixed {
                result,
                flags: open_flags(&String::from_utf8_lossy(&told)),
                tier: Tier::PROC.0,
                ..FileOpenFixed::default()
            };
            FileOpen { fixed, ..open }.encode(Header { flags: header.flags | unlinked, ..header }, out);
        })?;
        Ok(if full { Extent::Cut } else { extent })
    }
}

/// `LibLoadFixed::file` where device and inode number, as the mapping has them, are not enough: subvolumes have devices of their own,
/// which only stat(2) tells.
pub fn file_number(tgid: u32, map: &Mapping<'_>) -> u32 {
    let Ok(file) = std::fs::metadata(maps::from_here(tgid, map.path)) else { return 0 };
    let dev = file.dev();
    let (major, minor) = (rustix::fs::major(dev), rustix::fs::minor(dev));
    let is_own = file.ino() == map.ino && u64::from(major) << 20 | u64::from(minor) != map.dev;
    if is_own { major << 20 ^ minor << 1 | 1 } else { 0 }
}

/// `O_*` flags of a descriptor: octal, in proc_pid_fdinfo(5).
fn open_flags(fdinfo: &str) -> u32 {
    /// What the kernel adds for 64-bit processes, and does not take from them.
    const O_LARGEFILE: u32 = 0o100_000;
    let octal = fdinfo.lines().find_map(|line| line.strip_prefix("flags:"));
    octal.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok()).unwrap_or(0) & !O_LARGEFILE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_a_descriptor() {
        assert_eq!(open_flags("pos:\t0\nflags:\t02100000\nmnt_id:\t29\n"), 0o2_000_000);
        assert_eq!((open_flags(""), open_flags("flags:\tnonsense")), (0, 0));
    }
}
