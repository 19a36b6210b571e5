//! Opens and reads libraries in a thread of its own, so that the drain thread only has to attach what was planned.
//!
//! A library is opened as it is mapped (`/proc/PID/map_files`), which works whatever became of its path; where that is not allowed, or
//! the process is gone, by its path, as the process sees it (`/proc/PID/root`), and then only taken when it is the very file that
//! was mapped, by device and inode. The file stays open until its probes are attached.
//!
//! Programs are looked at as they start, when there is nothing else to do: one that holds a library is told as one that loaded it, for
//! nothing else would tell of it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::Arc;

use crypto_trace_bpf::Does;
use crypto_trace_format::catalog::{self, file_name};
use crypto_trace_format::record::{Header, LibLoad, LibLoadFixed, Tier, flags, library_features as features};

use super::cache;
use super::elf::Bytes;
use super::open::{self, Opened, Stamp};
use super::patience::{self, Patience, Work};
use super::plan::{Plan, ReturnProbes, plan, version_of};
use super::queue::Queue;
use super::table::ProbeTable;
use crate::proc::maps::{self, Mapping};
use crate::proc::table::file_number;
use crate::session::service::Heartbeat;

/// Files of one process that are looked at.
const MAX_FILES: usize = 512;

/// Files, loads and programs that are remembered; then everything is looked at anew.
const MAX_REMEMBERED: usize = 65_536;

/// Contents of what has one device and inode number: layers, subvolumes, what was written since.
const MAX_CONTENTS: usize = 64;

/// Device, in the kernel's form, and inode number.
pub type FileId = (u64, u64);

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
        /// It was looked at before, and only matters if it was written to since.
        again: bool,
    },
    /// Its probes are gone, or there was no room for any: to be looked at anew when it is mapped again.
    Forget {
        /// Which file it is.
        id: FileId,
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
        /// Path and number of its file, where an exec said so.
        exe: Option<Box<(Vec<u8>, FileId)>>,
    },
    /// Say when everything before this is done.
    Mark,
}

/// What was found.
#[derive(Debug)]
pub enum Answer {
    /// A library, or a file that was thought to be one.
    File(Box<Found>),
    /// A record that says that a process has a file mapped which holds a library, and whose name does not show.
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

/// What files are read for.
#[derive(Debug)]
struct Wanted {
    table: Arc<ProbeTable>,
    returns: ReturnProbes,
    algorithms: bool,
}

/// The thread's state.
pub struct Finder {
    wanted: Arc<Wanted>,
    /// Whether to tell who has mapped what holds a library.
    loads: bool,
    /// Files that were read, by what mappings tell of them, and what is in them. Of one number there may be several: subvolumes and
    /// layers share them, and a file may be written to.
    looked_at: HashMap<FileId, Vec<(Stamp, Known)>>,
    /// Programs without a library.
    others: HashSet<(u64, Stamp)>,
    told_loads: HashSet<(u32, u64, FileId)>,
    /// Files that could not be looked at, and why: reported once.
    refused: HashSet<(FileId, String)>,
    patience: Patience,
    answer: Box<dyn Fn(Answer)>,
}

impl Finder {
    /// Finds libraries that have what the table knows, with probes on returns as they are possible, and those that count
    /// algorithms when they are wanted; with `loads` it is recorded who has mapped what holds a library. What is found is given
    /// to `answer`.
    pub fn new(
        table: Arc<ProbeTable>,
        returns: ReturnProbes,
        algorithms: bool,
        loads: bool,
        answer: Box<dyn Fn(Answer)>,
    ) -> Self {
        Self {
            wanted: Arc::new(Wanted { table, returns, algorithms }),
            loads,
            looked_at: HashMap::new(),
            others: HashSet::new(),
            told_loads: HashSet::new(),
            refused: HashSet::new(),
            patience: Patience::new(),
            answer,
        }
    }

    /// Works until the queue is closed. Programs come last: nothing of them is missed meanwhile.
    pub fn run(mut self, requests: &Queue, heartbeat: &Heartbeat) {
        while let Some(request) = requests.pop() {
            heartbeat.beat();
            match request {
                Request::Cache => self.look_at_cache(),
                Request::Library { header, path, id, address, again } => {
                    self.look_at_library(header, path, id, address, again);
                }
                Request::Forget { id } => {
                    self.looked_at.remove(&id);
                }
                Request::Process { header } => self.look_at_process(header, true),
                Request::Program { header, exe } => self.look_at_program(header, exe),
                Request::Mark => self.answer(Answer::Mark),
            }
            heartbeat.rest();
        }
    }

    fn answer(&self, answer: Answer) {
        (self.answer)(answer);
    }

    fn look_at_cache(&mut self) {
        let wanted = Arc::clone(&self.wanted);
        let table = &wanted.table;
        // What has nothing to probe can wait until it is loaded.
        let functions = |rows: &[(u16, Option<String>)]| {
            let rows = rows.iter().filter_map(|(row, _)| table.functions.get(usize::from(*row)));
            rows.filter(|row| wanted.algorithms || row.does != Does::Count).count()
        };
        let families = table.families.iter().filter(|family| functions(&family.functions) > 0);
        let prefixes: Vec<&str> = families.flat_map(|family| &family.cache).map(String::as_str).collect();
        for path in cache::libraries(&prefixes) {
            let asked = path.clone();
            let Ok(Ok(opened)) = self.patience.ask(patience::unknown(0), move |_| open::of_cache(&asked)) else {
                continue;
            };
            let header = Header { time_ns: crate::clock::boottime_ns(), ..Header::default() };
            let id = opened.id;
            self.look_at(header, path.into_os_string().into_vec(), opened, id);
        }
    }

    fn look_at_library(&mut self, header: Header, path: Vec<u8>, id: FileId, address: u64, again: bool) {
        if again && self.is_unchanged(&header, &path, id) {
            return;
        }
        let all = maps::text(header.tgid).unwrap_or_default();
        let mappings = || all.split(|byte| *byte == b'\n').filter_map(Mapping::parse);
        // It may have been mapped elsewhere since.
        let is_it = |map: &Mapping<'_>| map.executable && (map.dev, map.ino) == id;
        let mapping = mappings().find(|map| map.address == address).or_else(|| mappings().find(is_it));
        match self.open_mapped(header.tgid, &path, id, mapping.as_ref()) {
            Ok(file) => self.look_at(header, path, file, id),
            // It may be gone by now; what is known of it stays true.
            Err(_) if again && self.looked_at.contains_key(&id) => {}
            // It is not looked at yet: another process may have it where it can be opened.
            Err(refusal) => self.refuse(header, path, id, refusal),
        }
    }

    /// Whether a file is as it was when it was looked at, as far as its path shows.
    fn is_unchanged(&mut self, header: &Header, path: &[u8], id: FileId) -> bool {
        if !self.looked_at.contains_key(&id) {
            return false;
        }
        let (tgid, path) = (header.tgid, path.to_vec());
        let found = self.patience.ask(id.0, move |_| open::stamp(tgid, &path));
        let Ok(Ok((found, stamp))) = found else { return false };
        found == id && self.known(id, &stamp).is_some()
    }

    fn known(&self, id: FileId, stamp: &Stamp) -> Option<Known> {
        self.looked_at.get(&id)?.iter().find(|(known, _)| known == stamp).map(|(_, known)| *known)
    }

    /// Reports that a file could not be looked at; once for each reason.
    fn refuse(&mut self, header: Header, path: Vec<u8>, id: FileId, refusal: Refusal) {
        if self.refused.len() >= MAX_REMEMBERED / 16 {
            self.refused.clear();
        }
        // That it does not answer is one reason, however that is found.
        let is_silent = refusal.errno == rustix::io::Errno::TIMEDOUT.raw_os_error();
        let why = if is_silent { String::new() } else { refusal.message.clone() };
        if self.refused.insert((id, why)) {
            self.answer(Answer::File(Box::new(Found { header, path, id, size: 0, outcome: Err(refusal) })));
        }
    }

    /// The file that a process has mapped.
    fn open_mapped(
        &mut self,
        tgid: u32,
        path: &[u8],
        id: FileId,
        mapping: Option<&Mapping<'_>>,
    ) -> Result<Opened, Refusal> {
        let (path, range) = (path.to_vec(), mapping.map(|map| (map.address, map.end)));
        self.patience.ask(id.0, move |_| open::mapped(tgid, &path, id, range))?
    }

    /// The name in a path of a mapping: see [`maps::name`].
    fn name(&mut self, tgid: u32, map: &Mapping<'_>) -> Vec<u8> {
        let (path, ino) = (map.path.to_vec(), map.ino);
        if !path.ends_with(b")") {
            return path;
        }
        let asked = path.clone();
        let name = self.patience.ask(map.dev, move |_| maps::name(tgid, &asked, || Some(ino)).0.to_vec());
        name.unwrap_or(path)
    }

    /// What a process runs, if it holds a library.
    fn look_at_program(&mut self, header: Header, file: Option<Box<(Vec<u8>, FileId)>>) {
        let tgid = header.tgid;
        let exe = move |_: &Work| open::linked(Path::new(&format!("/proc/{tgid}/exe")));
        // Of most programs this is all that is looked at, so its device is found out only when that matters.
        let device = match self.patience.is_troubled() {
            true => program(tgid, &maps::text(tgid).unwrap_or_default()).map(|map| map.dev),
            false => Some(patience::unknown(tgid)),
        };
        let opened = match device.map(|device| self.patience.ask(device, exe)) {
            Some(Ok(Ok(opened))) => opened,
            // Programs that end at once are gone by now; their files are not.
            Some(Ok(Err(error))) if error.raw_os_error() == Some(rustix::io::Errno::NOENT.raw_os_error()) => {
                if let Some((path, id)) = file.map(|file| *file) {
                    self.look_at_ended(header, &path, id);
                }
                return;
            }
            _ => return,
        };
        let content = (opened.id.1, opened.stamp);
        if self.others.contains(&content) {
            return;
        }
        let Ok(all) = maps::text(tgid) else { return };
        let mut maps = all.split(|byte| *byte == b'\n').filter_map(Mapping::parse);
        // Where it is not found by its number, stat(2) tells another one of this file system: it is found when it does TLS.
        let Some(map) = maps.find(|map| map.executable && map.ino == opened.id.1) else { return };
        let path = self.name(tgid, &map);
        let (known, found) = self.read(header, path.clone(), opened, (map.dev, map.ino));
        if known.holds {
            if let Some(found) = found {
                self.tell(found);
            }
            self.tell_load(header, &map, &path);
        } else {
            // What makes TLS of its own is reported at once: it may be gone when it is seen on the wire.
            if let Some(found) = found.filter(|_| known.runtime.is_some()) {
                self.tell(found);
            }
            if self.others.len() >= MAX_REMEMBERED {
                self.others.clear();
            }
            self.others.insert(content);
        }
    }

    /// What a process ran that is gone, if it held a library.
    fn look_at_ended(&mut self, header: Header, path: &[u8], id: FileId) {
        let Ok(opened) = self.open_mapped(header.tgid, path, id, None) else { return };
        let content = (opened.id.1, opened.stamp);
        if self.others.contains(&content) {
            return;
        }
        let (known, found) = self.read(header, path.to_vec(), opened, id);
        if known.holds {
            if let Some(found) = found {
                self.tell(found);
            }
            // Where it was mapped is not known any more.
            let (dev, ino) = id;
            let nowhere = Mapping { address: 0, end: 0, executable: true, offset: 0, dev, ino, path };
            self.tell_load(header, &nowhere, path);
        } else if let Some(found) = found.filter(|_| known.runtime.is_some()) {
            self.tell(found);
        }
    }

    /// All that a process has mapped, whatever the names of its files; of one that `does_tls` it is told when there is no library.
    pub fn look_at_process(&mut self, header: Header, does_tls: bool) {
        let Ok(all) = maps::text(header.tgid) else { return };
        let exe = program(header.tgid, &all).map(|map| (map.dev, map.ino));
        let (mut without, mut speaks_tls, mut runtime) = (None, false, None);
        // What does TLS has it from something: what was none may have become one.
        for again in [false, true] {
            if again && (speaks_tls || !does_tls) {
                break;
            }
            let mut seen = HashSet::new();
            for map in all.split(|byte| *byte == b'\n').filter_map(Mapping::parse) {
                let id = (map.dev, map.ino);
                if !map.executable || !seen.insert((id, map.path)) || seen.len() > MAX_FILES {
                    continue;
                }
                let path = self.name(header.tgid, &map);
                let Some(known) = self.look_at_mapping(header, &map, &path, again) else { continue };
                speaks_tls |= known.speaks_tls;
                runtime = runtime.or(known.runtime);
                if known.holds {
                    self.tell_load(header, &map, &path);
                } else if exe == Some(id) && !known.told {
                    without = Some((map, path));
                }
            }
        }
        // A program without any is told: that is why its calls are not seen.
        if let Some((map, path)) = without.filter(|_| does_tls && !speaks_tls) {
            self.tell_program(header, &map, &path, runtime);
        }
    }

    /// What is in a file that is mapped; known already, unless it is to be looked at `again`.
    fn look_at_mapping(&mut self, header: Header, map: &Mapping<'_>, path: &[u8], again: bool) -> Option<Known> {
        let id = (map.dev, map.ino);
        // Devices without a number of their own have subvolumes and layers.
        let latest = self.looked_at.get(&id).filter(|_| map.dev >> 20 != 0).and_then(|known| known.last());
        if let Some(known) = latest.map(|(_, known)| *known)
            && (known.holds || !again || self.is_unchanged(&header, path, id))
        {
            return Some(known);
        }
        let file = self.open_mapped(header.tgid, path, id, Some(map)).ok()?;
        let (known, found) = self.read(header, path.to_vec(), file, id);
        if let Some(found) = found.filter(|_| known.holds) {
            self.tell(found);
        }
        Some(known)
    }

    fn tell_program(&mut self, header: Header, map: &Mapping<'_>, path: &[u8], runtime: Option<usize>) {
        let id = (map.dev, map.ino);
        let Ok(opened) = self.open_mapped(header.tgid, path, id, Some(map)) else { return };
        let mut found = self.plan(header, path.to_vec(), opened, id);
        let runtime = runtime.and_then(|at| self.wanted.table.runtimes.get(at));
        if let (Ok((_, plan)), Some(runtime)) = (&mut found.outcome, runtime) {
            plan.message.clone_from(&runtime.message);
        }
        self.tell(found);
    }

    fn tell(&mut self, found: Found) {
        for (_, known) in self.looked_at.get_mut(&found.id).into_iter().flatten() {
            known.told = true;
        }
        self.answer(Answer::File(Box::new(found)));
    }

    /// Records that a process has a file mapped whose name does not show that it holds a library.
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
        let (tgid, numbers) = (header.tgid, map.numbers());
        let place = map.path.to_vec();
        let file = self.patience.ask(map.dev, move |_| file_number(tgid, &Mapping { path: &place, ..numbers }));
        let fixed = LibLoadFixed {
            dev: map.dev,
            ino: map.ino,
            address: map.address,
            offset: map.offset,
            tier: Tier::PROC.0,
            file: file.unwrap_or(0),
            ..LibLoadFixed::default()
        };
        let flags = header.flags & flags::START_IS_TICK | flags::FROM_PROC;
        let header = Header { time_ns: crate::clock::boottime_ns(), flags, ..header };
        let mut record = Vec::new();
        LibLoad { fixed, path, ..LibLoad::default() }.encode(header, &mut record);
        self.answer(Answer::Load(record));
    }

    fn look_at(&mut self, header: Header, path: Vec<u8>, opened: Opened, id: FileId) {
        if let (_, Some(found)) = self.read(header, path, opened, id) {
            self.tell(found);
        }
    }

    /// Reads a file, if it was not looked at before as it is now; what is in it.
    fn read(&mut self, header: Header, path: Vec<u8>, opened: Opened, id: FileId) -> (Known, Option<Found>) {
        let stamp = opened.stamp;
        if let Some(known) = self.known(id, &stamp) {
            return (known, None);
        }
        let found = self.plan(header, path, opened, id);
        let known = match &found.outcome {
            // It may be read another time.
            Err(refusal) if refusal.errno != 0 => {
                if let Found { header, path, id, outcome: Err(refusal), .. } = found {
                    self.refuse(header, path, id, refusal);
                }
                return (Known::default(), None);
            }
            Ok((_, plan)) => {
                Known { holds: plan.holds_library(), speaks_tls: plan.speaks_tls(), runtime: plan.runtime, told: false }
            }
            Err(_) => Known::default(),
        };
        if self.looked_at.len() >= MAX_REMEMBERED {
            self.looked_at.clear();
        }
        let contents = self.looked_at.entry(id).or_default();
        if contents.len() >= MAX_CONTENTS {
            contents.clear();
        }
        contents.push((stamp, known));
        (known, Some(found))
    }

    /// What is to be attached to a file.
    fn plan(&mut self, header: Header, path: Vec<u8>, opened: Opened, id: FileId) -> Found {
        let size = opened.stamp.size;
        let (wanted, place) = (Arc::clone(&self.wanted), path.clone());
        let job = move |work: &Work| wanted.read(&header, &place, opened, work);
        let outcome = self.patience.ask(id.0, job).and_then(|outcome| outcome);
        Found { header, path, id, size, outcome }
    }
}

impl Wanted {
    /// Reads a file; with the file itself.
    fn read(&self, header: &Header, path: &[u8], opened: Opened, work: &Work) -> Result<(OwnedFd, Plan), Refusal> {
        let bytes = Bytes::new(opened.file.try_clone()?, work);
        let mut plan = plan(bytes, &self.table, self.returns, self.algorithms)
            .map_err(|error| Refusal { errno: 0, message: error.to_string() })?;
        if let Some(name) = plan.version_from.take() {
            plan.version = self.version_beside(header, path, name.as_bytes(), work).unwrap_or_default();
        }
        if let Some(runtime) = plan.runtime.and_then(|at| self.table.runtimes.get(at)) {
            plan.message.clone_from(&runtime.message);
        }
        Ok((opened.file.into(), plan))
    }

    /// The version that another library of the same process reports, or without a process the one in the same directory.
    fn version_beside(&self, header: &Header, path: &[u8], name: &[u8], work: &Work) -> Option<String> {
        let all = if header.tgid == 0 { Vec::new() } else { maps::text(header.tgid).unwrap_or_default() };
        let mut mapped = all.split(|byte| *byte == b'\n').filter_map(Mapping::parse).filter(|map| map.executable);
        let opened = match mapped.find(|map| file_name(map.path) == name) {
            Some(map) => open::mapped(header.tgid, map.path, (map.dev, map.ino), Some((map.address, map.end))).ok()?,
            None => open::beside(header.tgid, path.get(..path.len() - file_name(path).len())?, name).ok()?,
        };
        version_of(Bytes::new(opened.file, work), &self.table)
    }
}

/// Where a process has its program mapped. Its file is not asked for that.
fn program(tgid: u32, maps: &[u8]) -> Option<Mapping<'_>> {
    let exe = std::fs::read_link(format!("/proc/{tgid}/exe")).ok()?.into_os_string().into_vec();
    // As the kernel writes it there.
    let exe = exe.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\\012"[..]);
    maps.split(|byte| *byte == b'\n').filter_map(Mapping::parse).find(|map| map.executable && map.path == exe)
}

/// What is said of a plan that attaches nothing.
pub fn why_nothing(plan: &Plan) -> &str {
    if !plan.message.is_empty() {
        &plan.message
    } else if plan.features & features::GO != 0 {
        "a Go program: it has its own TLS, which is seen on the wire only"
    } else if plan.families.is_empty() && plan.features & features::EXECUTABLE != 0 {
        "it neither contains nor loads a known TLS library: it is seen on the wire only"
    } else if plan.families.is_empty() {
        "it defines none of the known functions"
    } else {
        "none of its functions is probed at this level"
    }
}
