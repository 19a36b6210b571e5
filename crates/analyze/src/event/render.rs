//! One event as one JSON object: the members that every event has. Those of each kind are in `fields`.
//!
//! Written by hand into bytes, because this is the analyzer's hot path: what is the same for many events (a process's
//! identity, a file's path) is rendered once and kept.

use super::change;
use super::fields;
use super::library;
use super::object::{Object, Redact};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::connections::Connection;
use crate::capture::timeline::{Identity, ImageId};
use crate::words::kernel::is_interrupted;
use crate::words::timestamp::TimestampWriter;
use crypto_trace_format::catalog::Judged;
use crypto_trace_format::record::{
    ApiCall, Clock, Comm, FileChange, FileOpen, Inventory, LibLoad, LibraryInfo, Loss, ProbeStatus, ProcessExec,
    ProcessExit, ProcessFork, ProcessInfo, Record, RecordError, SelfStats, Suppressed, TlsHello, flags,
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
        match record.kind() {
            FileOpen::KIND => {
                let open = FileOpen::decode(record)?;
                self.head(b"{\"event_type\":\"file_open\",\"timestamp\":\"", event, out);
                let escaped = self.process(event, out);
                self.file_open(event, &open, escaped, out);
            }
            FileChange::KIND => {
                let told = FileChange::decode(record)?;
                self.head(b"{\"event_type\":\"file_change\",\"timestamp\":\"", event, out);
                let noted = if is_interrupted(told.fixed.result.into()) { fields::INTERRUPTED } else { 0 };
                let escaped = self.process(event, out) | noted;
                self.rest(event, escaped, out, |object| change::file_change(object, &told));
            }
            LibLoad::KIND => {
                let load = LibLoad::decode(record)?;
                self.head(b"{\"event_type\":\"lib_load\",\"timestamp\":\"", event, out);
                let escaped = self.process(event, out);
                self.lib_load(event, &load, escaped, out);
            }
            ProcessExec::KIND => {
                let exec = ProcessExec::decode(record)?;
                self.head(b"{\"event_type\":\"process_exec\",\"timestamp\":\"", event, out);
                let told = fields::exec_identity(event, &exec);
                self.own_identity(event, &told, out, |object| fields::process_exec(object, &exec));
            }
            ProcessInfo::KIND => {
                let info = ProcessInfo::decode(record)?;
                self.head(b"{\"event_type\":\"process_info\",\"timestamp\":\"", event, out);
                let told = fields::info_identity(event, &info);
                self.own_identity(event, &told, out, |object| fields::process_info(object, &info));
            }
            ProcessFork::KIND => {
                let fork = ProcessFork::decode(record)?;
                self.head(b"{\"event_type\":\"process_fork\",\"timestamp\":\"", event, out);
                let escaped = self.process(event, out);
                self.rest(event, escaped, out, |object| fields::process_fork(object, &fork));
            }
            ProcessExit::KIND => {
                let exit = ProcessExit::decode(record)?;
                self.head(b"{\"event_type\":\"process_exit\",\"timestamp\":\"", event, out);
                let escaped = self.process(event, out);
                self.rest(event, escaped, out, |object| fields::process_exit(object, &exit));
            }
            TlsHello::KIND => {
                let Some(connection) = event.connection else { return Err(unknown(record)) };
                self.head(b"{\"event_type\":\"tls_handshake\",\"timestamp\":\"", event, out);
                let escaped = if connection.owner.is_known() {
                    self.process(event, out)
                } else {
                    out.extend_from_slice(fields::NO_PROCESS);
                    0
                };
                let handshakes = &event.capture.handshakes;
                self.rest(event, escaped, out, |object| {
                    connection.write_members(handshakes, object.redact, object.out);
                    library::handshake(object, event.capture, connection.cookie());
                });
            }
            ApiCall::KIND => {
                let call = ApiCall::decode(record)?;
                self.head(b"{\"event_type\":\"api_call\",\"timestamp\":\"", event, out);
                let noted = if crate::capture::libraries::was_interrupted(&call) { fields::INTERRUPTED } else { 0 };
                let escaped = self.process(event, out) | noted;
                self.rest(event, escaped, out, |object| library::api_call(object, event.capture, &call));
            }
            LibraryInfo::KIND => {
                let info = LibraryInfo::decode(record)?;
                self.head(b"{\"event_type\":\"library_info\",\"timestamp\":\"", event, out);
                let escaped = if record.header.tgid == 0 {
                    out.extend_from_slice(fields::NO_PROCESS);
                    0
                } else {
                    self.process(event, out)
                };
                self.rest(event, escaped, out, |object| library::library_info(object, &info));
            }
            Suppressed::KIND => {
                let suppressed = Suppressed::decode(record)?;
                self.head(b"{\"event_type\":\"suppressed\",\"timestamp\":\"", event, out);
                let escaped = if record.header.tgid == 0 {
                    out.extend_from_slice(fields::NO_PROCESS);
                    0
                } else {
                    self.process(event, out)
                };
                self.rest(event, escaped, out, |object| {
                    fields::suppressed(object, event.capture, &record.header, &suppressed);
                });
            }
            _ => self.about_capture(event, out)?,
        }
        Ok(())
    }

    /// Events about the capture itself have no process.
    fn about_capture(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let record = &event.record;
        let open: &[u8] = match record.kind() {
            Loss::KIND => b"{\"event_type\":\"loss\",\"timestamp\":\"",
            Clock::KIND => b"{\"event_type\":\"clock\",\"timestamp\":\"",
            ProbeStatus::KIND => b"{\"event_type\":\"probe_status\",\"timestamp\":\"",
            SelfStats::KIND => b"{\"event_type\":\"self_stats\",\"timestamp\":\"",
            Inventory::KIND => b"{\"event_type\":\"inventory\",\"timestamp\":\"",
            _ => return Err(unknown(record)),
        };
        self.head(open, event, out);
        let record = *record;
        let mut result = Ok(());
        self.rest(event, 0, out, |object| {
            result = match record.kind() {
                Loss::KIND => Loss::decode(&record).map(|loss| fields::loss(object, event.capture, &loss)),
                Clock::KIND => Clock::decode(&record).map(|clock| fields::clock(object, &clock)),
                ProbeStatus::KIND => ProbeStatus::decode(&record).map(|status| fields::probe_status(object, &status)),
                Inventory::KIND => {
                    Inventory::decode(&record).map(|look| fields::inventory(object, event.capture, &look))
                }
                _ => SelfStats::decode(&record).map(|stats| fields::self_stats(object, &record.header, &stats)),
            };
        });
        result
    }

    /// `{"event_type":…,"timestamp":…,"host":…`
    #[inline]
    fn head(&mut self, open: &[u8], event: &Event<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(open);
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
                object.value("process", &shown, Redact::Text);
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
        object.number(b",\"pid\":", header.tgid);
        object.number(b",\"tid\":", header.tid);
        object.number(b",\"uid\":", header.uid);
        object.number(b",\"gid\":", header.gid);
        object.raw(b",\"process\":");
        object.raw(&self.comm.1.json);
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
            fields::identity(&mut object, &identity);
            fragment.escaped = object.escaped;
            fragment.argv_cut = identity.argv_cut;
            self.identities.insert(key, 0, fragment);
        }
        let Some(fragment) = self.identities.map.get(&key) else { return escaped };
        out.extend_from_slice(&fragment.json);
        escaped | fragment.escaped | if fragment.argv_cut { fields::ARGV_CUT } else { 0 }
    }

    /// Ids and an identity that the record itself tells, then what `fields` writes.
    fn own_identity(
        &mut self,
        event: &Event<'_>,
        identity: &Identity<'_>,
        out: &mut Vec<u8>,
        fields: impl FnOnce(&mut Object<'_>),
    ) {
        let escaped = self.ids(event, out);
        let cut = if identity.argv_cut { fields::ARGV_CUT } else { 0 };
        self.rest(event, escaped | cut, out, |object| {
            fields::identity(object, identity);
            fields(object);
        });
    }

    /// Members of the kind, notes, end.
    fn rest(&mut self, event: &Event<'_>, escaped: u32, out: &mut Vec<u8>, fields: impl FnOnce(&mut Object<'_>)) {
        let noted = escaped & (fields::ARGV_CUT | fields::INTERRUPTED);
        let mut object =
            Object { out, escaped: escaped & !noted, redact: self.options.redact, scratch: &mut self.scratch };
        fields(&mut object);
        fields::notes(&mut object, &event.record.header, noted);
        object.finish();
    }

    #[inline]
    fn file_open(&mut self, event: &Event<'_>, open: &FileOpen<'_>, escaped: u32, out: &mut Vec<u8>) {
        let path = &*open.full_path();
        // From the cache, then the other members.
        out.extend_from_slice(b",\"file\":");
        let (redact, scratch) = (self.options.redact, &mut self.scratch);
        let (path_escaped, by_path) = cached(&mut self.files, path, out, |json| {
            let mut object = Object { out: json, escaped: 0, redact, scratch };
            object.value("file", path, Redact::Path);
            (object.escaped, crate::capture::libraries::judge_path(path))
        });
        let judged = event.capture.loaded.judged(&event.record.header, open, by_path);
        let noted = if is_interrupted(open.fixed.result.into()) { fields::INTERRUPTED } else { 0 };
        self.rest(event, escaped | path_escaped | noted, out, |object| {
            fields::file_open(object, event, open, path, judged);
        });
    }

    #[inline]
    fn lib_load(&mut self, event: &Event<'_>, load: &LibLoad<'_>, escaped: u32, out: &mut Vec<u8>) {
        let (redact, scratch) = (self.options.redact, &mut self.scratch);
        let (path_escaped, _) = cached(&mut self.libraries, load.path, out, |json| {
            let mut object = Object { out: json, escaped: 0, redact, scratch };
            fields::library(&mut object, load.path);
            (object.escaped, None)
        });
        let (is_unnamed, path_escaped) = (path_escaped & fields::UNNAMED != 0, path_escaped & !fields::UNNAMED);
        let source = if event.record.header.flags & flags::FROM_PROC != 0 { "already mapped" } else { "mapped" };
        self.rest(event, escaped | path_escaped, out, |object| {
            library::loaded(object, event.capture, (load.fixed.dev, load.fixed.ino), is_unnamed);
            fields::lib_load(object, load, source);
        });
    }
}

/// A record that cannot be shown.
fn unknown(record: &Record<'_>) -> RecordError {
    RecordError::BadFixedLength { fixed_len: record.header.fixed_len, len: record.header.len }
}

/// Appends what `make` writes for `path`, made once.
#[inline]
fn cached(
    cache: &mut Cache<Vec<u8>>,
    path: &[u8],
    out: &mut Vec<u8>,
    make: impl FnOnce(&mut Vec<u8>) -> (u32, Option<Judged>),
) -> (u32, Option<Judged>) {
    if let Some(fragment) = cache.map.get(path) {
        out.extend_from_slice(&fragment.json);
        return (fragment.escaped, fragment.judged);
    }
    let start = out.len();
    let (escaped, judged) = make(out);
    if path.len() <= MAX_CACHED_PATH {
        let json = out.get(start..).unwrap_or_default().to_vec();
        cache.insert(path.to_vec(), path.len(), Fragment { json, escaped, argv_cut: false, judged });
    }
    (escaped, judged)
}
