//! Opens and reads libraries in a thread of its own, so that the drain thread only has to attach what was planned.
//!
//! A library is opened as it is mapped (`/proc/PID/map_files`), which works whatever became of its path; where that is not allowed, or
//! the process is gone, by its path, as the process sees it (`/proc/PID/root`), and then only taken when it is the very file that
//! was mapped, by device and inode. The file stays open until its probes are attached.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender};

use crypto_trace_bpf::Does;
use crypto_trace_format::record::Header;
use rustix::fs::{OFlags, major, minor};

use super::cache;
use super::plan::{Plan, ReturnProbes, features, plan};
use super::table::ProbeTable;
use crate::maps::{self, Mapping};

/// Files of one process that are looked at.
const MAX_FILES: usize = 512;

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
    /// Say when everything before this is done.
    Mark,
}

/// What was found.
#[derive(Debug)]
pub enum Answer {
    /// A library, or a file that was thought to be one.
    File(Box<Found>),
    /// Everything before a [`Request::Mark`] is done.
    Mark,
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
    /// Files that were read, and whether there is a library in them.
    looked_at: HashMap<Content, bool>,
    /// The same by what mappings tell, which is enough where a device has one file for each number.
    by_id: HashMap<FileId, bool>,
    answers: Sender<Answer>,
}

impl Finder {
    /// Answers into `answers`; plans probes that count algorithms when `algorithms`.
    pub fn new(
        table: std::sync::Arc<ProbeTable>,
        returns: ReturnProbes,
        algorithms: bool,
        answers: Sender<Answer>,
    ) -> Self {
        Self { table, returns, algorithms, looked_at: HashMap::new(), by_id: HashMap::new(), answers }
    }

    /// Runs until the other end of `requests` is dropped; `wake` is called after each request that was answered.
    pub fn run(mut self, requests: &Receiver<Request>, wake: impl Fn()) {
        for request in requests {
            match request {
                Request::Cache => self.look_at_cache(),
                Request::Library { header, path, id, address } => self.look_at_library(header, path, id, address),
                Request::Process { header } => self.look_at_process(header),
                Request::Mark => self.answer(Answer::Mark),
            }
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
        let all = std::fs::read(format!("/proc/{}/maps", header.tgid)).unwrap_or_default();
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

    /// Whatever the names of its files.
    fn look_at_process(&mut self, header: Header) {
        let Ok(all) = std::fs::read(format!("/proc/{}/maps", header.tgid)) else { return };
        let exe = std::fs::metadata(format!("/proc/{}/exe", header.tgid)).map(|exe| exe.ino()).ok();
        let mut seen = HashSet::new();
        let mut program = None;
        let mut any = false;
        for map in all.split(|byte| *byte == b'\n').filter_map(Mapping::parse) {
            let id = (map.dev, map.ino);
            if !map.executable || !seen.insert((id, map.path)) || seen.len() > MAX_FILES {
                continue;
            }
            // Devices without a number of their own have subvolumes and layers.
            if let Some(is_library) = self.by_id.get(&id).filter(|_| map.dev >> 20 != 0) {
                any |= is_library;
                continue;
            }
            let (path, _) = maps::name(header.tgid, map.path, || Some(map.ino));
            let Ok(file) = open_mapped(header.tgid, path, id, Some(&map)) else { continue };
            let (is_library, found) = self.read(header, path.to_vec(), file, id);
            any |= is_library;
            let Some(found) = found else { continue };
            if is_library {
                self.answer(Answer::File(Box::new(found)));
            } else if exe == Some(id.1) {
                program = Some(found);
            }
        }
        // A program without any is told: that is why its calls are not seen.
        if let Some(found) = program.filter(|_| !any) {
            self.answer(Answer::File(Box::new(found)));
        }
    }

    fn look_at(&mut self, header: Header, path: Vec<u8>, file: File, id: FileId) {
        if let (_, Some(found)) = self.read(header, path, file, id) {
            self.answer(Answer::File(Box::new(found)));
        }
    }

    /// Reads a file, if it was not looked at before; whether there is a library in it.
    fn read(&mut self, header: Header, path: Vec<u8>, file: File, id: FileId) -> (bool, Option<Found>) {
        let metadata = file.metadata().ok();
        let size = metadata.as_ref().map_or(0, MetadataExt::size);
        let content =
            metadata.map_or((id, 0, 0, (0, 0)), |file| (id, file.dev(), size, (file.mtime(), file.mtime_nsec())));
        if let Some(is_library) = self.looked_at.get(&content) {
            return (*is_library, None);
        }
        let outcome = file.try_clone().map_err(Refusal::from).and_then(|copy| {
            let plan = plan(copy, &self.table, self.returns, self.algorithms)
                .map_err(|error| Refusal { errno: 0, message: error.to_string() })?;
            Ok((file.into(), plan))
        });
        let is_library = outcome.as_ref().is_ok_and(|(_, plan): &(OwnedFd, Plan)| !plan.probes.is_empty());
        self.looked_at.insert(content, is_library);
        self.by_id.insert(id, is_library);
        (is_library, Some(Found { header, path, id, size, outcome }))
    }
}

/// What is said of a plan that attaches nothing.
pub fn why_nothing(plan: &Plan) -> &'static str {
    if plan.features & features::GO != 0 {
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
