//! Opens and reads libraries in a thread of its own, so that the drain thread only has to attach what was planned.
//!
//! A library is opened as it is mapped (`/proc/PID/map_files`), which works whatever became of its path; where that is not allowed, or
//! the process is gone, by its path, as the process sees it (`/proc/PID/root`), and then only taken when it is the very file that
//! was mapped, by device and inode. The file stays open until its probes are attached.
//!
//! Programs are looked at as they start, when there is nothing else to do: one that holds a library is told as one that loaded it, for
//! nothing else would tell of it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};

use crypto_trace_bpf::Does;
use crypto_trace_format::catalog::{self, file_name};
use crypto_trace_format::record::{Header, LibLoad, LibLoadFixed, Tier, flags};
use rustix::fs::{OFlags, major, minor};

use super::cache;
use super::plan::{Plan, ReturnProbes, features, plan, version_of};
use super::table::ProbeTable;
use crate::maps::{self, Mapping};
use crate::process_table::file_number;
use crate::service::Heartbeat;

/// Files of one process that are looked at.
const MAX_FILES: usize = 512;

/// Files, loads and programs that are remembered; then everything is looked at anew.
const MAX_REMEMBERED: usize = 65_536;

/// File systems whose files have other device numbers in stat(2) than in the kernel (include/uapi/linux/magic.h).
const OVERLAYFS: i64 = 0x794c_7630;
const BTRFS: i64 = 0x9123_683e;

/// Device, in the kernel's form, and inode number.
pub type FileId = (u64, u64);

/// A file as it was read: as its mapping tells it, the device that stat(2) tells, which subvolumes do not share, its size and when it
/// was written: what has another number of the same kind later, or is another's layer, is read anew.
type Content = (FileId, u64, u64, (i64, i64));

/// What to look for.
#[derive(Debug)]
pub enum Request {
    /// The linker's cache.
    Cache,
    /// A library that a process mapped.
    Library {
        /// The process.
        header: Header,
        /// Path as the process sees it.
        path: Vec<u8>,
        /// Which file it is.
        id: FileId,
        /// Where it is mapped.
        address: u64,
    },
    /// Everything that a process has mapped: it does TLS, and nobody knows by what.
    Process {
        /// The process.
        header: Header,
    },
    /// A program that a process runs; it may hold a library. Waits for all others.
    Program {
        /// The process.
        header: Header,
    },
    /// Say when everything before this is done.
    Mark,
}

/// What was found.
#[derive(Debug)]
pub enum Answer {
    /// A library, or a file that was thought to be one.
    File(Box<Found>),
    /// A record that says that a process has a file mapped which holds a library, and whose name does not tell.
    Load(Vec<u8>),
    /// Everything before a [`Request::Mark`] is done.
    Mark,
}

/// What is in a file that was looked at.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// A library that is known, with names of functions or without.
    holds: bool,
    /// One that makes handshakes.
    speaks_tls: bool,
    /// Something that makes its own, by its place in the table.
    runtime: Option<usize>,
    /// It was told.
    told: bool,
}

/// A file that was looked at.
#[derive(Debug)]
pub struct Found {
    /// The process it was found with; zeros for one found without.
    pub header: Header,
    /// Its path as the process sees it.
    pub path: Vec<u8>,
    /// Which file it is.
    pub id: FileId,
    /// Size in bytes.
    pub size: u64,
    /// The file and what to attach to it, or why nothing can be.
    pub outcome: Result<(OwnedFd, Plan), Refusal>,
}

/// Why a file cannot be probed.
#[derive(Debug)]
pub struct Refusal {
    /// errno, 0 when there is none.
    pub errno: i32,
    /// For people.
    pub message: String,
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self { errno: error.raw_os_error().unwrap_or(0), message: error.to_string() }
    }
}

/// The thread's state.
pub struct Finder {
    table: std::sync::Arc<ProbeTable>,
    returns: ReturnProbes,
    algorithms: bool,
    /// Whether to tell who has mapped what holds a library.
    loads: bool,
    /// Files that were read, and what is in them.
    looked_at: HashMap<Content, Known>,
    /// The same by what mappings tell, which is enough where a device has one file for each number.
    by_id: HashMap<FileId, Known>,
    /// Programs that hold no library, by what stat(2) tells of them.
    others: HashSet<(u64, u64, u64, (i64, i64))>,
    /// Who is known to have what mapped.
    told_loads: HashSet<(u32, u64, FileId)>,
    answers: Sender<Answer>,
}

impl Finder {
    /// Answers into `answers`; plans probes that count algorithms when `algorithms`, tells loads of what holds a library when `loads`.
    pub fn new(
        table: std::sync::Arc<ProbeTable>,
        returns: ReturnProbes,
        algorithms: bool,
        loads: bool,
        answers: Sender<Answer>,
    ) -> Self {
        Self {
            table,
            returns,
            algorithms,
            loads,
            looked_at: HashMap::new(),
            by_id: HashMap::new(),
            others: HashSet::new(),
            told_loads: HashSet::new(),
            answers,
        }
    }

    /// Runs until the other end of `requests` is dropped; `wake` is called after each request that was answered.
    pub fn run(mut self, requests: &Receiver<Request>, heartbeat: &Heartbeat, wake: impl Fn()) {
        let mut programs = VecDeque::new();
        loop {
            let request = match requests.try_recv() {
                Ok(Request::Program { header }) => {
                    programs.push_back(header);
                    continue;
                }
                Ok(request) => request,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => match programs.pop_front() {
                    Some(header) => Request::Program { header },
                    None => match requests.recv() {
                        Ok(request) => request,
                        Err(_) => break,
                    },
                },
            };
            heartbeat.beat();
            match request {
                Request::Cache => self.look_at_cache(),
                Request::Library { header, path, id, address } => self.look_at_library(header, path, id, address),
                Request::Process { header } => self.look_at_process(header, true),
                Request::Program { header } => self.look_at_program(header),
                Request::Mark => {
                    programs.drain(..).for_each(|header| {
                        heartbeat.beat();
                        self.look_at_program(header);
                    });
                    self.answer(Answer::Mark);
                }
            }
            heartbeat.rest();
            wake();
        }
    }

    fn answer(&self, answer: Answer) {
        // Nobody listens any more when the capture ends.
        let _ = self.answers.send(answer);
    }

    fn look_at_cache(&mut self) {
        let table = std::sync::Arc::clone(&self.table);
        // What has nothing to probe can wait until it is loaded.
        let functions = |rows: &[(u16, Option<String>)]| {
            let rows = rows.iter().filter_map(|(row, _)| table.functions.get(usize::from(*row)));
            rows.filter(|row| self.algorithms || row.does != Does::Count).count()
        };
        let families = table.families.iter().filter(|family| functions(&family.functions) > 0);
        let prefixes: Vec<&str> = families.flat_map(|family| &family.cache).map(String::as_str).collect();
        for path in cache::libraries(&prefixes) {
            let Ok((file, id)) = open(&path) else { continue };
            let header = Header { time_ns: crate::clock::boottime_ns(), ..Header::default() };
            self.look_at(header, path.into_os_string().into_vec(), file, id);
        }
    }

    fn look_at_library(&mut self, header: Header, path: Vec<u8>, id: FileId, address: u64) {
        let all = maps::text(header.tgid).unwrap_or_default();
        let mut lines = all.split(|byte| *byte == b'\n').filter_map(Mapping::parse);
        let mapping = lines.find(|map| map.address == address);
        match open_mapped(header.tgid, &path, id, mapping.as_ref()) {
            Ok(file) => self.look_at(header, path, file, id),
            // It is not looked at yet: another process may have it where it can be opened.
            Err(refusal) => {
                let found = Found { header, path, id, size: 0, outcome: Err(refusal) };
                self.answer(Answer::File(Box::new(found)));
            }
        }
    }

    /// What a process runs, if it holds a library.
    fn look_at_program(&mut self, header: Header) {
        let Ok((file, _)) = open(Path::new(&format!("/proc/{}/exe", header.tgid))) else { return };
        let Ok(metadata) = file.metadata() else { return };
        let content = (metadata.dev(), metadata.ino(), metadata.size(), (metadata.mtime(), metadata.mtime_nsec()));
        if self.others.contains(&content) {
            return;
        }
        let Ok(all) = maps::text(header.tgid) else { return };
        let mut maps = all.split(|byte| *byte == b'\n').filter_map(Mapping::parse);
        // Where it is not found by its number, stat(2) tells another one of this file system: it is found when it does TLS.
        let Some(map) = maps.find(|map| map.executable && map.ino == metadata.ino()) else { return };
        let (path, _) = maps::name(header.tgid, map.path, || Some(map.ino));
        let (known, found) = self.read(header, path.to_vec(), file, (map.dev, map.ino));
        if known.holds {
            if let Some(found) = found {
                self.tell(found);
            }
            self.tell_load(header, &map, path);
        } else {
            // What makes TLS of its own is told at once: it may be gone when it is seen on the wire.
            if let Some(found) = found.filter(|_| known.runtime.is_some()) {
                self.tell(found);
            }
            if self.others.len() >= MAX_REMEMBERED {
                self.others.clear();
            }
            self.others.insert(content);
        }
    }

    /// All that a process has mapped, whatever the names of its files; of one that `does_tls` it is told when there is no library.
    pub fn look_at_process(&mut self, header: Header, does_tls: bool) {
        let Ok(all) = maps::text(header.tgid) else { return };
        let exe = std::fs::metadata(format!("/proc/{}/exe", header.tgid)).map(|exe| exe.ino()).ok();
        let mut seen = HashSet::new();
        let (mut program, mut speaks_tls, mut runtime) = (None, false, None);
        for map in all.split(|byte| *byte == b'\n').filter_map(Mapping::parse) {
            let id = (map.dev, map.ino);
            if !map.executable || !seen.insert((id, map.path)) || seen.len() > MAX_FILES {
                continue;
            }
            let (path, _) = maps::name(header.tgid, map.path, || Some(map.ino));
            // Devices without a number of their own have subvolumes and layers.
            let known = match self.by_id.get(&id).filter(|_| map.dev >> 20 != 0) {
                Some(known) => *known,
                None => {
                    let Ok(file) = open_mapped(header.tgid, path, id, Some(&map)) else { continue };
                    let (known, found) = self.read(header, path.to_vec(), file, id);
                    if let Some(found) = found.filter(|_| known.holds) {
                        self.tell(found);
                    }
                    known
                }
            };
            speaks_tls |= known.speaks_tls;
            runtime = runtime.or(known.runtime);
            if known.holds {
                self.tell_load(header, &map, path);
            } else if exe == Some(map.ino) && !known.told {
                program = Some((map, path));
            }
        }
        // A program without any is told: that is why its calls are not seen.
        if let Some((map, path)) = program.filter(|_| does_tls && !speaks_tls) {
            self.tell_program(header, &map, path, runtime);
        }
    }

    fn tell_program(&mut self, header: Header, map: &Mapping<'_>, path: &[u8], runtime: Option<usize>) {
        let id = (map.dev, map.ino);
        let Ok(file) = open_mapped(header.tgid, path, id, Some(map)) else { return };
        let mut found = self.plan(header, path.to_vec(), file, id);
        let runtime = runtime.and_then(|at| self.table.runtimes.get(at));
        if let (Ok((_, plan)), Some(runtime)) = (&mut found.outcome, runtime) {
            plan.message.clone_from(&runtime.message);
        }
        self.tell(found);
    }

    fn tell(&mut self, found: Found) {
        if let Some(known) = self.by_id.get_mut(&found.id) {
            known.told = true;
        }
        self.answer(Answer::File(Box::new(found)));
    }

    /// That a process has a file mapped whose name does not tell that it holds a library.
    fn tell_load(&mut self, header: Header, map: &Mapping<'_>, path: &[u8]) {
        let id = (map.dev, map.ino);
        if !self.loads || catalog::library(path).is_some() {
            return;
        }
        if self.told_loads.len() >= MAX_REMEMBERED {
            self.told_loads.clear();
        }
        if !self.told_loads.insert((header.tgid, header.start_ns, id)) {
            return;
        }
        let fixed = LibLoadFixed {
            dev: map.dev,
            ino: map.ino,
            address: map.address,
            offset: map.offset,
            tier: Tier::PROC.0,
            file: file_number(header.tgid, map),
            ..LibLoadFixed::default()
        };
        let flags = header.flags & flags::START_IS_TICK | flags::FROM_PROC;
        let header = Header { time_ns: crate::clock::boottime_ns(), flags, ..header };
        let mut record = Vec::new();
        LibLoad { fixed, path, ..LibLoad::default() }.encode(header, &mut record);
        self.answer(Answer::Load(record));
    }

    fn look_at(&mut self, header: Header, path: Vec<u8>, file: File, id: FileId) {
        if let (_, Some(found)) = self.read(header, path, file, id) {
            self.tell(found);
        }
    }

    /// Reads a file, if it was not looked at before; what is in it.
    fn read(&mut self, header: Header, path: Vec<u8>, file: File, id: FileId) -> (Known, Option<Found>) {
        let metadata = file.metadata().ok();
        let size = metadata.as_ref().map_or(0, MetadataExt::size);
        let content =
            metadata.map_or((id, 0, 0, (0, 0)), |file| (id, file.dev(), size, (file.mtime(), file.mtime_nsec())));
        if let Some(known) = self.looked_at.get(&content) {
            return (*known, None);
        }
        let found = self.plan(header, path, file, id);
        let known = match &found.outcome {
            Ok((_, plan)) => {
                Known { holds: plan.holds_library(), speaks_tls: plan.speaks_tls(), runtime: plan.runtime, told: false }
            }
            Err(_) => Known::default(),
        };
        if self.looked_at.len() >= MAX_REMEMBERED {
            self.looked_at.clear();
            self.by_id.clear();
        }
        self.looked_at.insert(content, known);
        self.by_id.insert(id, known);
        (known, Some(found))
    }

    /// What is to be attached to a file.
    fn plan(&self, header: Header, path: Vec<u8>, file: File, id: FileId) -> Found {
        let size = file.metadata().map_or(0, |file| file.size());
        let outcome = file.try_clone().map_err(Refusal::from).and_then(|copy| {
            let mut plan = plan(copy, &self.table, self.returns, self.algorithms)
                .map_err(|error| Refusal { errno: 0, message: error.to_string() })?;
            if let Some(name) = plan.version_from.take() {
                plan.version = self.version_beside(&header, &path, name.as_bytes()).unwrap_or_default();
            }
            if let Some(runtime) = plan.runtime.and_then(|at| self.table.runtimes.get(at)) {
                plan.message.clone_from(&runtime.message);
            }
            Ok((file.into(), plan))
        });
        Found { header, path, id, size, outcome }
    }

    /// The version that another library of the same process tells, or without a process the one in the same directory.
    fn version_beside(&self, header: &Header, path: &[u8], name: &[u8]) -> Option<String> {
        let all = if header.tgid == 0 { Vec::new() } else { maps::text(header.tgid).unwrap_or_default() };
        let mut mapped = all.split(|byte| *byte == b'\n').filter_map(Mapping::parse).filter(|map| map.executable);
        let file = match mapped.find(|map| file_name(map.path) == name) {
            Some(map) => open_mapped(header.tgid, map.path, (map.dev, map.ino), Some(&map)).ok()?,
            None => {
                let beside = [path.get(..path.len() - file_name(path).len())?, name].concat();
                let here = match header.tgid {
                    0 => PathBuf::from(std::ffi::OsStr::from_bytes(&beside)),
                    tgid => maps::from_here(tgid, &beside),
                };
                open(&here).ok()?.0
            }
        };
        version_of(file, &self.table)
    }
}

/// What is said of a plan that attaches nothing.
pub fn why_nothing(plan: &Plan) -> &str {
    if !plan.message.is_empty() {
        &plan.message
    } else if plan.features & features::GO != 0 {
        "a Go program: its TLS is its own, and is seen on the wire only"
    } else if plan.families.is_empty() && plan.features & features::EXECUTABLE != 0 {
        "no known TLS library is in it or loaded by it: it is seen on the wire only"
    } else if plan.families.is_empty() {
        "it defines none of the functions that are known"
    } else {
        "none of its functions is probed at this level"
    }
}

fn open(path: &Path) -> io::Result<(File, FileId)> {
    // Looked at first: to open a device may do something, and a FIFO's writer would go on.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let dev = metadata.dev();
    Ok((file, (u64::from(major(dev)) << 20 | u64::from(minor(dev)), metadata.ino())))
}

/// Opens the file that a process has mapped, `mapping` if that is there still, else what is under this path.
fn open_mapped(tgid: u32, path: &[u8], id: FileId, mapping: Option<&Mapping<'_>>) -> Result<File, Refusal> {
    let is_it = |file: &File, found: FileId| found == id || (found.1 == id.1 && has_own_device_numbers(file));
    let mut refusal = None;
    let mut denied = None;
    if let Some(mapping) = mapping {
        match open(&mapping.file(tgid)) {
            // An overlay's number may be another one in stat(2), but what is mapped is what is mapped.
            Ok((file, found)) if is_it(&file, found) || has_own_device_numbers(&file) => return Ok(file),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = error.raw_os_error(),
            _ => {}
        }
    }
    let here = PathBuf::from(std::ffi::OsStr::from_bytes(path));
    // The process may have ended; then the same file may be there for us as well.
    for path in [maps::from_here(tgid, path), here] {
        match open(&path) {
            Ok((file, found)) if is_it(&file, found) => return Ok(file),
            Ok(_) => {
                let message = "the file at its path is not the one that is mapped: it was replaced".to_owned();
                refusal.get_or_insert(Refusal { errno: 0, message });
            }
            Err(error) => {
                refusal.get_or_insert(error.into());
            }
        }
    }
    let mut refusal = refusal.unwrap_or(Refusal { errno: 0, message: "it has no path".to_owned() });
    if denied.is_some() {
        refusal.message.push_str(
            "; and to open it as it is mapped is not allowed (needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN)",
        );
    }
    Err(refusal)
}

fn has_own_device_numbers(file: &File) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|system| [OVERLAYFS, BTRFS].contains(&system.f_type))
}
