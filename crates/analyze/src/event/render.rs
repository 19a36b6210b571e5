//! One event as one JSON object: what opens it, whose it is, its own members, notes.
//!
//! Straight into bytes, because this is the analyzer's hot path: what is the same for many events (a process's identity, a
//! file's path) is rendered once and kept.

use super::file_open::OpenedFile;
use super::head::{self, ARGV_CUT, INTERRUPTED, Ids, NO_PROCESS, Rendered};
use super::lib_load::LibraryFile;
use super::members::Members;
use super::object::{Object, Redact, escape_bit};
use super::tls_handshake::TlsHandshake;
use super::types::{self, EventType};
use super::values::Path;
use super::{
    api_call, certificate_file, clock, file_change, file_open, inventory, lib_load, library_info, loss, probe_status,
};
use super::{process_exec, process_exit, process_fork, process_info, self_stats, suppressed};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::connections::{Connection, View};
use crate::capture::timeline::{Identity, ImageId};
use crate::words::kernel::is_interrupted;
use crate::words::redact;
use crate::words::timestamp::TimestampWriter;
use crypto_trace_format::catalog::{self, Judged};
use crypto_trace_format::record::{
    ApiCall, CertificateFile, Clock, Comm, FileChange, FileOpen, Inventory, LibLoad, LibraryInfo, Loss, ProbeStatus,
    ProcessExec, ProcessExit, ProcessFork, ProcessInfo, Record, RecordError, SelfStats, Suppressed, TlsHello,
};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::Hash;

/// Bytes a cache of rendered parts may take before it starts over.
const CACHE_BYTES: usize = 8 << 20;

/// Longer paths are rendered each time.
const MAX_CACHED_PATH: usize = 512;

/// How events are shown.
#[derive(Debug, Clone, Copy)]
pub struct RenderOptions {
    /// Hide the names of home directories.
    pub redact: bool,
}

/// A record with all that is needed to show it.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Its capture.
    pub capture: &'a Capture,
    /// Number of the capture in this run.
    pub capture_index: u32,
    /// The record.
    pub record: Record<'a>,
    /// When it happened.
    pub time: WallNs,
    /// What its process ran then.
    pub image: ImageId,
    /// The connection that the record stands for.
    pub connection: Option<&'a Connection>,
}

/// Rendered JSON, and which escapes are in it.
#[derive(Debug, Default)]
pub(super) struct Fragment {
    json: Vec<u8>,
    escaped: u32,
    argv_cut: bool,
    judged: Option<Judged>,
    library_name: Option<&'static str>,
}

/// Fragments by key, thrown away when they get too many.
#[derive(Debug)]
struct Cache<K> {
    map: HashMap<K, Fragment, RandomState>,
    bytes: usize,
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self { map: HashMap::default(), bytes: 0 }
    }
}

impl<K: Hash + Eq> Cache<K> {
    fn insert(&mut self, key: K, key_bytes: usize, fragment: Fragment) {
        if self.bytes > CACHE_BYTES {
            self.map.clear();
            self.bytes = 0;
        }
        self.bytes += key_bytes + fragment.json.len() + 128;
        self.map.insert(key, fragment);
    }
}

/// A thread's name, and the program that it is shown of.
type CommKey = (Comm, u32, ImageId);

/// Writes events as JSON objects. Each thread has its own; what they write does not depend on what they wrote before.
#[derive(Debug)]
pub struct EventWriter {
    options: RenderOptions,
    time: TimestampWriter,
    hosts: Vec<Vec<u8>>,
    identities: Cache<(u32, ImageId)>,
    files: Cache<Vec<u8>>,
    libraries: Cache<Vec<u8>>,
    /// Names of threads, as they are shown of a program; and the latest.
    comms: Cache<CommKey>,
    comm: (CommKey, Fragment),
    scratch: Vec<u8>,
}

impl EventWriter {
    /// A writer with empty caches.
    pub fn new(options: RenderOptions) -> Self {
        let mut empty_comm = Fragment::default();
        empty_comm.json.extend_from_slice(b"\"\"");
        Self {
            options,
            time: TimestampWriter::default(),
            hosts: Vec::new(),
            identities: Cache::default(),
            files: Cache::default(),
            libraries: Cache::default(),
            comms: Cache::default(),
            comm: (([0; 16], u32::MAX, ImageId::UNKNOWN), empty_comm),
            scratch: Vec::new(),
        }
    }

    /// Forgets what was known of processes; needed when their timeline has grown.
    pub fn forget_processes(&mut self) {
        self.identities = Cache::default();
        self.comms = Cache::default();
        self.comm.0 = ([0; 16], u32::MAX, ImageId::UNKNOWN);
    }

    /// Appends one event as a compact JSON object.
    ///
    /// # Errors
    /// When the record's body is malformed, or its kind is unknown; then nothing is appended.
    pub fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let start = out.len();
        self.write_object(event, out).inspect_err(|_| out.truncate(start))
    }

    fn write_object(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let record = &event.record;
        let (capture, header) = (event.capture, &record.header);
        match record.kind() {
            FileOpen::KIND => {
                let open = FileOpen::decode(record)?;
                self.head(&types::FILE_OPEN, event, out);
                let escaped = self.process(event, out);
                self.file_open(event, &open, escaped, out);
            }
            FileChange::KIND => {
                let told = FileChange::decode(record)?;
                self.head(&types::FILE_CHANGE, event, out);
                let escaped = self.process(event, out) | interrupted(is_interrupted(told.fixed.result.into()));
                let (path, new) = (told.full_path(), told.full_new());
                self.rest(event, escaped, out, &file_change::FileChange::new(&told, &path, new.as_deref()));
            }
            LibLoad::KIND => {
                let load = LibLoad::decode(record)?;
                self.head(&types::LIB_LOAD, event, out);
                let escaped = self.process(event, out);
                self.lib_load(event, &load, escaped, out);
            }
            ProcessExec::KIND => {
                let exec = ProcessExec::decode(record)?;
                self.head(&types::PROCESS_EXEC, event, out);
                let identity = process_exec::identity(capture.timeline.identity(event.image), &exec);
                let escaped = self.own_identity(event, &identity, out);
                self.rest(event, escaped, out, &process_exec::ProcessExec::new(&exec));
            }
            ProcessInfo::KIND => {
                let info = ProcessInfo::decode(record)?;
                self.head(&types::PROCESS_INFO, event, out);
                let identity = process_info::identity(capture.timeline.identity(event.image), &info);
                let escaped = self.own_identity(event, &identity, out);
                self.rest(event, escaped, out, &process_info::ProcessInfo::new(&info));
            }
            ProcessFork::KIND => {
                let fork = ProcessFork::decode(record)?;
                self.head(&types::PROCESS_FORK, event, out);
                let escaped = self.process(event, out);
                self.rest(event, escaped, out, &process_fork::ProcessFork::new(&fork));
            }
            ProcessExit::KIND => {
                let exit = ProcessExit::decode(record)?;
                self.head(&types::PROCESS_EXIT, event, out);
                let escaped = self.process(event, out);
                self.rest(event, escaped, out, &process_exit::ProcessExit::new(&exit));
            }
            TlsHello::KIND => {
                let Some(connection) = event.connection else { return Err(unknown(record)) };
                match &*connection.view() {
                    View::Tls(view) => {
                        self.head(&types::TLS_HANDSHAKE, event, out);
                        let escaped = self.process_if(connection.owner.is_known(), event, out);
                        let handshake = TlsHandshake::new(capture, connection, view, self.options.redact);
                        self.rest(event, escaped, out, &handshake);
                    }
                }
            }
            ApiCall::KIND => {
                let call = ApiCall::decode(record)?;
                self.head(&types::API_CALL, event, out);
                let noted = interrupted(crate::capture::libraries::was_interrupted(&call));
                let escaped = self.process(event, out) | noted;
                let algorithm = api_call::algorithm(capture, &call);
                self.rest(event, escaped, out, &api_call::ApiCall::new(capture, &call, algorithm.as_deref()));
            }
            LibraryInfo::KIND => {
                let info = LibraryInfo::decode(record)?;
                self.head(&types::LIBRARY_INFO, event, out);
                let escaped = self.process_if(header.tgid != 0, event, out);
                self.rest(event, escaped, out, &library_info::LibraryInfo::new(&info));
            }
            Suppressed::KIND => {
                let withheld = Suppressed::decode(record)?;
                self.head(&types::SUPPRESSED, event, out);
                let escaped = self.process_if(header.tgid != 0, event, out);
                self.rest(event, escaped, out, &suppressed::Suppressed::new(capture, header, &withheld));
            }
            CertificateFile::KIND => {
                let file = CertificateFile::decode(record)?;
                self.head(&types::CERTIFICATE_FILE, event, out);
                let escaped = self.process_if(header.tgid != 0, event, out);
                self.rest(event, escaped, out, &certificate_file::CertificateFile::new(header, &file));
            }
            // Events about the capture itself have no process.
            Loss::KIND => {
                let members = loss::Loss::new(capture, &Loss::decode(record)?);
                self.about_capture(&types::LOSS, event, out, &members);
            }
            Clock::KIND => {
                let members = clock::Clock::new(&Clock::decode(record)?);
                self.about_capture(&types::CLOCK, event, out, &members);
            }
            ProbeStatus::KIND => {
                let members = probe_status::ProbeStatus::new(&ProbeStatus::decode(record)?);
                self.about_capture(&types::PROBE_STATUS, event, out, &members);
            }
            SelfStats::KIND => {
                let members = self_stats::SelfStats::new(header, &SelfStats::decode(record)?);
                self.about_capture(&types::SELF_STATS, event, out, &members);
            }
            Inventory::KIND => {
                let members = inventory::Inventory::new(capture, &Inventory::decode(record)?);
                self.about_capture(&types::INVENTORY, event, out, &members);
            }
            _ => return Err(unknown(record)),
        }
        Ok(())
    }

    fn about_capture(&mut self, ty: &EventType, event: &Event<'_>, out: &mut Vec<u8>, members: &impl Members) {
        self.head(ty, event, out);
        self.rest(event, 0, out, members);
    }

    /// `{"event_type":…,"timestamp":…,"host":…`
    #[inline]
    fn head(&mut self, ty: &EventType, event: &Event<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(ty.open.as_bytes());
        self.time.write(event.time, out);
        let index = event.capture_index as usize;
        while self.hosts.len() <= index {
            self.hosts.push(Vec::new());
        }
        let Some(host) = self.hosts.get_mut(index) else { return };
        if host.is_empty() {
            host.extend_from_slice(b"\",\"host\":\"");
            crate::words::escape::write_json(event.capture.meta.host.as_bytes(), host);
            host.push(b'"');
        }
        out.extend_from_slice(host);
    }

    /// `,"pid":…,"tid":…,"uid":…,"gid":…,"process":…`
    #[inline]
    fn ids(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> u32 {
        let header = &event.record.header;
        let redact = self.options.redact;
        // What a home directory's owner is called may be the name of a program, too.
        let (capture, image) = if redact { (event.capture_index, event.image) } else { (0, ImageId::UNKNOWN) };
        let key = (header.comm, capture, image);
        if key != self.comm.0 {
            if !self.comms.map.contains_key(&key) {
                let mut fragment = Fragment::default();
                let shown =
                    crate::words::redact::comm(event.record.comm(), event.capture.timeline.exe(event.image), redact);
                let mut object = Object { out: &mut fragment.json, escaped: 0, redact, scratch: &mut self.scratch };
                object.text(escape_bit("process"), &shown, Redact::Text);
                fragment.escaped = object.escaped;
                self.comms.insert(key, 0, fragment);
            }
            if let Some(fragment) = self.comms.map.get(&key) {
                let latest = &mut self.comm.1;
                latest.json.clear();
                latest.json.extend_from_slice(&fragment.json);
                latest.escaped = fragment.escaped;
            }
            self.comm.0 = key;
        }
        let mut object = Object { out, escaped: 0, redact: false, scratch: &mut self.scratch };
        let process = Rendered(&self.comm.1.json);
        let ids = Ids { pid: header.tgid, tid: header.tid, uid: header.uid, gid: header.gid, process };
        ids.write_members(&mut object);
        self.comm.1.escaped
    }

    /// Ids, and what the timeline knows of the process. Returns what needed escapes.
    #[inline]
    fn process(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> u32 {
        let escaped = self.ids(event, out);
        let key = (event.capture_index, event.image);
        if !self.identities.map.contains_key(&key) {
            let mut fragment = Fragment::default();
            let identity = event.capture.timeline.identity(event.image);
            let mut object =
                Object { out: &mut fragment.json, escaped: 0, redact: self.options.redact, scratch: &mut self.scratch };
            head::program(&mut object, &identity);
            fragment.escaped = object.escaped;
            fragment.argv_cut = identity.argv_cut;
            self.identities.insert(key, 0, fragment);
        }
        let Some(fragment) = self.identities.map.get(&key) else { return escaped };
        out.extend_from_slice(&fragment.json);
        escaped | fragment.escaped | if fragment.argv_cut { ARGV_CUT } else { 0 }
    }

    /// The same where the process is known, and `null` for each where it is not.
    fn process_if(&mut self, is_known: bool, event: &Event<'_>, out: &mut Vec<u8>) -> u32 {
        if is_known {
            return self.process(event, out);
        }
        out.extend_from_slice(&NO_PROCESS);
        0
    }

    /// Ids, and an identity that the record itself tells.
    fn own_identity(&mut self, event: &Event<'_>, identity: &Identity<'_>, out: &mut Vec<u8>) -> u32 {
        let escaped = self.ids(event, out);
        let mut object = Object { out, escaped, redact: self.options.redact, scratch: &mut self.scratch };
        head::program(&mut object, identity);
        object.escaped | if identity.argv_cut { ARGV_CUT } else { 0 }
    }

    /// Members of the type, notes, end.
    #[inline]
    fn rest(&mut self, event: &Event<'_>, escaped: u32, out: &mut Vec<u8>, members: &impl Members) {
        let noted = escaped & (ARGV_CUT | INTERRUPTED);
        let mut object =
            Object { out, escaped: escaped & !noted, redact: self.options.redact, scratch: &mut self.scratch };
        members.write_members(&mut object);
        head::notes(&mut object, &event.record.header, noted);
        object.finish();
    }

    #[inline]
    fn file_open(&mut self, event: &Event<'_>, open: &FileOpen<'_>, escaped: u32, out: &mut Vec<u8>) {
        let path = &*open.full_path();
        let header = &event.record.header;
        // From the cache, then the other members.
        let (redact, scratch) = (self.options.redact, &mut self.scratch);
        let known = cached(&mut self.files, path, out, |json, fragment| {
            let mut object = Object { out: json, escaped: 0, redact, scratch };
            OpenedFile { file: Path(path) }.write_members(&mut object);
            fragment.escaped = object.escaped;
            fragment.judged = crate::capture::libraries::judge_path(path);
        });
        let judged = event.capture.loaded.judged(header, open, known.judged);
        let escaped = escaped | known.escaped | interrupted(is_interrupted(open.fixed.result.into()));
        let members = file_open::FileOpen::new(open, header, event.capture.open_flags, path, judged);
        self.rest(event, escaped, out, &members);
    }

    #[inline]
    fn lib_load(&mut self, event: &Event<'_>, load: &LibLoad<'_>, escaped: u32, out: &mut Vec<u8>) {
        let (redact, scratch) = (self.options.redact, &mut self.scratch);
        let known = cached(&mut self.libraries, load.path, out, |json, fragment| {
            let mut object = Object { out: json, escaped: 0, redact, scratch };
            let name = redact::file_name(load.path, redact);
            LibraryFile::new(load.path, &name).write_members(&mut object);
            fragment.escaped = object.escaped;
            fragment.library_name = catalog::library(load.path);
        });
        let members = lib_load::LibLoad::new(event.capture, &event.record.header, load, known.library_name);
        self.rest(event, escaped | known.escaped, out, &members);
    }
}

/// The note that the kernel gave the call up, where it did.
fn interrupted(is: bool) -> u32 {
    if is { INTERRUPTED } else { 0 }
}

/// A record that cannot be shown.
fn unknown(record: &Record<'_>) -> RecordError {
    RecordError::BadFixedLength { fixed_len: record.header.fixed_len, len: record.header.len }
}

/// What is known of a path besides its JSON.
#[derive(Debug, Clone, Copy)]
struct Known {
    escaped: u32,
    judged: Option<Judged>,
    library_name: Option<&'static str>,
}

impl Fragment {
    #[inline]
    fn known(&self) -> Known {
        Known { escaped: self.escaped, judged: self.judged, library_name: self.library_name }
    }
}

/// Appends what `make` writes for `path`, made once.
#[inline]
fn cached(
    cache: &mut Cache<Vec<u8>>,
    path: &[u8],
    out: &mut Vec<u8>,
    make: impl FnOnce(&mut Vec<u8>, &mut Fragment),
) -> Known {
    if let Some(fragment) = cache.map.get(path) {
        out.extend_from_slice(&fragment.json);
        return fragment.known();
    }
    let start = out.len();
    let mut fragment = Fragment::default();
    make(out, &mut fragment);
    let known = fragment.known();
    if path.len() <= MAX_CACHED_PATH {
        fragment.json = out.get(start..).unwrap_or_default().to_vec();
        cache.insert(path.to_vec(), path.len(), fragment);
    }
    known
}
