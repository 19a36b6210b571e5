//! The processes that are there already when a segment begins, the crypto libraries they have mapped and, when the capture
//! begins, the crypto files they have open, from /proc.
//!
//! Processes come and go while /proc is read: one that vanishes half-way is left out, for its exit is in the ring.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crypto_trace_bpf::{ArgvSelection, Targets};
use crypto_trace_format::catalog;
use crypto_trace_format::record::{
    Comm, FileOpen, FileOpenFixed, Header, Inventory, InventoryFixed, LibLoad, LibLoadFixed, ProcessInfo,
    ProcessInfoFixed, Records, Tier, flags, trim_comm,
};
use procfs::process::{FDTarget, Process};
use procfs::{ProcError, ProcResult};

use crate::cgroup;
use crate::clock::boottime_ns;
use crate::filter::RecordFilter;
use crate::maps::{self, Mapping};

/// Bit of a process's flags, include/linux/sched.h.
const PF_KTHREAD: u32 = 0x0020_0000;

/// Threads that look at /proc for somebody who waits.
const MAX_THREADS: usize = 8;

/// Longest argv that is recorded, as in the BPF programs.
const ARGV_MAX: usize = 4096;

/// Longest first argument when only that is recorded, as there.
const ARGV_EXE_MAX: usize = 256;

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
}

/// How a look at /proc went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Processes that were looked at.
    pub processes: u32,
    /// Those of them whose libraries it was not allowed to see.
    pub maps_denied: u32,
    /// Those of them whose open files it was not allowed to see.
    pub files_denied: u32,
    /// Processes that ended meanwhile.
    pub vanished: u32,
    /// One of those of which it was not allowed to see something.
    pub denied_pid: Option<u32>,
}

impl Tally {
    /// Whether something was there that it was not allowed to see.
    pub fn is_denied(&self) -> bool {
        self.maps_denied > 0 || self.files_denied > 0
    }

    /// Appends an `inventory` record of a look that began at this boot time and ends now.
    pub fn encode(&self, began_ns: u64, out: &mut Vec<u8>) {
        let Self { processes, maps_denied, files_denied, vanished, denied_pid } = *self;
        let denied_tgid = denied_pid.unwrap_or_default();
        let fixed =
            InventoryFixed { began_ns, processes, maps_denied, files_denied, vanished, denied_tgid, reserved: 0 };
        Inventory { fixed, ..Inventory::default() }.encode(Header { time_ns: boottime_ns(), ..Header::default() }, out);
    }
}

impl Table {
    /// Adds what another look found.
    fn append(&mut self, mut other: Self) {
        self.lifecycle.append(&mut other.lifecycle);
        self.events.append(&mut other.events);
        let Tally { processes, maps_denied, files_denied, vanished, denied_pid } = other.tally;
        self.tally.denied_pid = self.tally.denied_pid.or(denied_pid);
        self.tally.processes += processes;
        self.tally.maps_denied += maps_denied;
        self.tally.files_denied += files_denied;
        self.tally.vanished += vanished;
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
        for pid in self.candidates() {
            self.look_at(pid, table);
        }
    }

    /// The same on several threads, for somebody who waits for it.
    pub fn encode_at_once(&self, table: &mut Table) {
        let pids = self.candidates();
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        let share = pids.len().div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            let parts: Vec<_> = pids
                .chunks(share)
                .map(|pids| {
                    scope.spawn(|| {
                        let mut part = Table::default();
                        pids.iter().for_each(|pid| self.look_at(*pid, &mut part));
                        part
                    })
                })
                .collect();
            // A thread that panicked would be a defect; what the others found stays.
            parts.into_iter().filter_map(|part| part.join().ok()).for_each(|part| table.append(part));
        });
    }

    /// The selected processes: record headers, and file names of their executables.
    pub fn selected(&self) -> Vec<(Header, Vec<u8>)> {
        let processes = self.candidates().into_iter().filter_map(|pid| Process::new(pid).ok());
        let found = processes.filter_map(|process| self.read(&process).ok()?);
        found.map(|found| (found.header, catalog::file_name(&found.exe).to_vec())).collect()
    }

    /// Processes that are there and not ruled out by their id.
    fn candidates(&self) -> Vec<i32> {
        let targets = self.targets.as_ref().map(Targets::tgids);
        let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
        let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let wanted = |tgid: &u32| {
            *tgid != self.self_tgid
                && self.gate != Some(*tgid)
                && targets.as_ref().is_none_or(|targets| targets.contains(tgid))
                && (self.pids.is_empty() || self.pids.contains(tgid))
        };
        pids.filter(wanted).filter_map(|tgid| i32::try_from(tgid).ok()).collect()
    }

    fn look_at(&self, pid: i32, table: &mut Table) {
        let read = Process::new(pid).and_then(|process| Ok((self.read(&process)?, process)));
        let (found, process) = match read {
            Ok((Some(found), process)) => (found, process),
            Ok((None, _)) => return,
            // Not even its name (hidepid=1 of proc(5)): so it is not known whether it was asked for.
            Err(ProcError::PermissionDenied(_)) => {
                table.tally.processes += 1;
                table.tally.maps_denied += u32::from(self.libraries);
                table.tally.files_denied += u32::from(self.files);
                table.tally.denied_pid.get_or_insert(pid.unsigned_abs());
                return;
            }
            Err(_) => {
                table.tally.vanished += 1;
                return;
            }
        };
        let unlinked = if found.unlinked { flags::UNLINKED } else { 0 };
        let header = Header { flags: found.header.flags | unlinked, ..found.header };
        found.info().encode(header, &mut table.lifecycle);
        table.tally.processes += 1;
        if found.is_kernel_thread {
            return;
        }
        // Of what is not ours to read, or gone, the process itself is told.
        let libraries = match self.libraries {
            true => self.encode_libraries(&process, found.header, &mut table.events),
            false => Ok(()),
        };
        let files = match self.files {
            true => self.encode_files(&process, found.header, &mut table.events),
            false => Ok(()),
        };
        let is_denied = |result: &ProcResult<()>| matches!(result, Err(ProcError::PermissionDenied(_)));
        table.tally.maps_denied += u32::from(is_denied(&libraries));
        table.tally.files_denied += u32::from(is_denied(&files));
        if is_denied(&libraries) || is_denied(&files) {
            table.tally.denied_pid.get_or_insert(pid.unsigned_abs());
        }
        let is_gone = |result: &ProcResult<()>| result.is_err() && !is_denied(result);
        table.tally.vanished += u32::from(is_gone(&libraries) || is_gone(&files));
    }

    fn read(&self, process: &Process) -> ProcResult<Option<Found>> {
        let stat = process.stat()?;
        let status = process.status()?;
        let mut comm = Comm::default();
        for (to, from) in comm.iter_mut().take(15).zip(stat.comm.bytes()) {
            *to = from;
        }
        let exe = std::cell::LazyCell::new(|| executable(process));
        let is_named = |name: &String| contains(trim_comm(&comm), name) || contains(catalog::file_name(&exe.0), name);
        let groups: Vec<_> = process.cgroups().map(|groups| groups.into_iter().collect()).unwrap_or_default();
        // The kernel's filter knows cgroup v2 only, and so does this one.
        let cgroup = cgroup::unified(&groups);
        let selected = (self.names.is_empty() || self.names.iter().any(is_named))
            && (self.uids.is_empty() || self.uids.contains(&status.ruid))
            && (self.cgroups.is_empty()
                || self.cgroups.iter().any(|wanted| std::path::Path::new(cgroup).starts_with(wanted)));
        if !selected {
            return Ok(None);
        }

        let mut argv = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        let argv_full_len = u32::try_from(argv.len()).unwrap_or(u32::MAX);
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
        let path =
            |result: ProcResult<PathBuf>| result.map(|path| path.as_os_str().as_bytes().to_vec()).unwrap_or_default();
        let (exe, unlinked) = std::cell::LazyCell::force(&exe).clone();
        let namespace = |name: &str| {
            let inode = std::fs::metadata(format!("/proc/{}/ns/{name}", process.pid)).map(|file| file.ino());
            inode.ok().and_then(|inode| u32::try_from(inode).ok()).unwrap_or(0)
        };
        let fixed = ProcessInfoFixed {
            ppid: stat.ppid.unsigned_abs(),
            ns_pid: status.nspid.as_ref().and_then(|ids| ids.last()).map_or(0, |id| id.unsigned_abs()),
            cgroup_id: 0,
            pid_ns: namespace("pid"),
            mnt_ns: namespace("mnt"),
            net_ns: namespace("net"),
            user_ns: namespace("user"),
            argv_full_len,
            ..ProcessInfoFixed::default()
        };
        let tick_ns = 1_000_000_000 / procfs::ticks_per_second().max(1);
        let header = Header {
            time_ns: boottime_ns(),
            flags: record_flags,
            tid: process.pid.unsigned_abs(),
            tgid: process.pid.unsigned_abs(),
            uid: status.ruid,
            gid: status.rgid,
            start_ns: stat.starttime.saturating_mul(tick_ns),
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
            cwd: named(process, &path(process.cwd()), "cwd").0,
            cgroup: cgroup::telling(&groups).as_bytes().to_vec(),
        }))
    }
}

/// Whether a name contains a part.
pub fn contains(name: &[u8], part: &str) -> bool {
    name.windows(part.len()).any(|window| window == part.as_bytes())
}

/// The path of a process's executable, and whether it was deleted; no path where there is none, or it may not be seen.
fn executable(process: &Process) -> (Vec<u8>, bool) {
    let path = process.exe().map(|path| path.into_os_string().into_vec()).unwrap_or_default();
    named(process, &path, "exe")
}

/// The path that a link of a process in /proc tells, without what the kernel adds, and whether its file is gone.
fn named(process: &Process, path: &[u8], link: &str) -> (Vec<u8>, bool) {
    let tgid = process.pid.unsigned_abs();
    let ino = || std::fs::metadata(format!("/proc/{tgid}/{link}")).ok().map(|file| file.ino());
    let (name, unlinked) = maps::name(tgid, path, ino);
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
}

/// File names of the crypto libraries that are mapped now, as far as one may see.
pub fn mapped_libraries() -> BTreeSet<Vec<u8>> {
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path().join("maps"));
    let maps: Vec<_> = pids.filter_map(|maps| std::fs::read(maps).ok()).collect();
    maps.iter().flat_map(|maps| maps::loads(maps)).map(|map| catalog::file_name(map.path).to_vec()).collect()
}

impl TableFilter {
    fn encode_libraries(&self, process: &Process, header: Header, out: &mut Vec<u8>) -> ProcResult<()> {
        // As text: of the many mappings of a process few are libraries, and all of them parsed cost more than the rest of it.
        let maps = std::fs::read(format!("/proc/{}/maps", process.pid)).map_err(|error| proc_error(&error))?;
        for map in maps::loads(&maps) {
            let (path, unlinked) = maps::name(header.tgid, map.path, || Some(map.ino));
            // What is really named so as the kernel names what is gone may be no library.
            if !maps::is_library(path) || !self.records.keeps_library(path) {
                continue;
            }
            let unlinked = if unlinked { flags::UNLINKED } else { 0 };
            let fixed = LibLoadFixed {
                dev: map.dev,
                ino: map.ino,
                address: map.address,
                offset: map.offset,
                size: 0,
                tier: Tier::PROC.0,
                file: file_number(header.tgid, &map),
                ..LibLoadFixed::default()
            };
            let header = Header { flags: header.flags | unlinked, ..header };
            LibLoad { fixed, path, ..LibLoad::default() }.encode(header, out);
        }
        Ok(())
    }

    fn encode_files(&self, process: &Process, header: Header, out: &mut Vec<u8>) -> ProcResult<()> {
        for descriptor in process.fd()? {
            // Closed meanwhile.
            let Ok(descriptor) = descriptor else { continue };
            let FDTarget::Path(path) = &descriptor.target else { continue };
            let path = path.as_os_str().as_bytes();
            let link = format!("/proc/{}/fd/{}", process.pid, descriptor.fd);
            let ino = || std::fs::metadata(link).ok().map(|file| file.ino());
            let (path, unlinked) = maps::name(header.tgid, path, ino);
            let unlinked = if unlinked { flags::UNLINKED } else { 0 };
            let is_known = self.by_globs || catalog::file_type(path).is_some();
            let open = FileOpen { path, ..FileOpen::default() };
            if !is_known || !self.records.keeps_open(&open) {
                continue;
            }
            let Ok(number) = u32::try_from(descriptor.fd) else { continue };
            let told = std::fs::read_to_string(format!("/proc/{}/fdinfo/{number}", process.pid)).unwrap_or_default();
            let fixed = FileOpenFixed {
                result: descriptor.fd,
                flags: open_flags(&told),
                tier: Tier::PROC.0,
                ..FileOpenFixed::default()
            };
            FileOpen { fixed, ..open }.encode(Header { flags: header.flags | unlinked, ..header }, out);
        }
        Ok(())
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

fn proc_error(error: &std::io::Error) -> ProcError {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => ProcError::PermissionDenied(None),
        _ => ProcError::NotFound(None),
    }
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
