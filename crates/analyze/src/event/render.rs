//! One event as one JSON object: what opens it, whose it is, its own members, notes.
//!
//! Straight into bytes, because this is the analyzer's hot path: what is the same for many events (a process's identity, a
//! file's path) is rendered once and kept.

use super::cache::Cache;
use super::file_open::OpenedFile;
use super::head::{self, ARGV_CUT, INTERRUPTED, Ids, NO_PROCESS, Rendered};
use super::lib_load::LibraryFile;
use super::members::{Members, Out};
use super::object::{EVENT_DEPTH, Object, Redact, escape_bit, new_line};
use super::shape::{Event, RenderOptions, Shape, show};
use super::types::EventType;
use super::values::Path;
use crate::capture::timeline::{Identity, ImageId};
use crate::words::redact;
use crate::words::timestamp::TimestampWriter;
use crypto_trace_format::catalog::{self, Judged};
use crypto_trace_format::record::{Comm, RecordError};

/// Longer paths are rendered each time.
const MAX_CACHED_PATH: usize = 512;

/// Rendered JSON, and which escapes are in it.
#[derive(Debug, Default)]
pub(super) struct Fragment {
    json: Vec<u8>,
    escaped: u32,
    judged: Option<Judged>,
    library_name: Option<&'static str>,
}

/// A thread's name, and the program that it is shown of.
type CommKey = (Comm, u32, ImageId);

/// Writes events as JSON objects. Each thread has its own; what they write does not depend on what they wrote before.
#[derive(Debug)]
pub struct EventWriter {
    compact: Styled<false>,
    pretty: Styled<true>,
}

/// A writer of one style, with what it has made ready.
#[derive(Debug)]
struct Styled<const PRETTY: bool> {
    options: RenderOptions,
    time: TimestampWriter,
    hosts: Vec<Vec<u8>>,
    identities: Cache<(u32, ImageId), Fragment>,
    files: Cache<Vec<u8>, Fragment>,
    libraries: Cache<Vec<u8>, Fragment>,
    /// Names of threads, as they are shown of a program; and the latest.
    comms: Cache<CommKey, Fragment>,
    comm: (CommKey, Fragment),
    scratch: Vec<u8>,
}

impl EventWriter {
    /// A writer with empty caches.
    pub fn new(options: RenderOptions) -> Self {
        Self { compact: Styled::new(options), pretty: Styled::new(options) }
    }

    /// Forgets what was known of processes; needed when their timeline has grown.
    pub fn forget_processes(&mut self) {
        self.compact.forget_processes();
        self.pretty.forget_processes();
    }

    /// Appends one event as a compact JSON object.
    ///
    /// # Errors
    /// When the record's body is malformed, or its kind is unknown; then nothing is appended.
    pub fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
        show(event, &mut JsonEvent { writer: &mut self.compact, out, escaped: 0 })
    }

    /// Appends one event as an object with a line for each member, indented as an element of an array.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_pretty(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
        show(event, &mut JsonEvent { writer: &mut self.pretty, out, escaped: 0 })
    }
}

impl<const PRETTY: bool> Styled<PRETTY> {
    fn new(options: RenderOptions) -> Self {
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

    fn forget_processes(&mut self) {
        self.identities = Cache::default();
        self.comms = Cache::default();
        self.comm.0 = ([0; 16], u32::MAX, ImageId::UNKNOWN);
    }
}

/// One event on its way into JSON.
struct JsonEvent<'w, 'o, const PRETTY: bool> {
    writer: &'w mut Styled<PRETTY>,
    out: &'o mut Vec<u8>,
    /// Which members needed escapes, and what is to be noted.
    escaped: u32,
}

impl<const PRETTY: bool> Shape for JsonEvent<'_, '_, PRETTY> {
    /// `{"event_type":…,"timestamp":…,"host":…`
    #[inline]
    fn head(&mut self, ty: &'static EventType, event: &Event<'_>) {
        let (writer, out) = (&mut *self.writer, &mut *self.out);
        if PRETTY {
            open_pretty(ty, out);
        } else {
            out.extend_from_slice(ty.open.as_bytes());
        }
        writer.time.write(event.time, out);
        let index = event.capture_index as usize;
        while writer.hosts.len() <= index {
            writer.hosts.push(Vec::new());
        }
        let Some(host) = writer.hosts.get_mut(index) else { return };
        if host.is_empty() {
            host.push(b'"');
            let mut object = Object::<PRETTY> {
                out: host,
                escaped: 0,
                redact: false,
                scratch: &mut writer.scratch,
                depth: EVENT_DEPTH,
            };
            object.key(",\"host\":");
            host.push(b'"');
            crate::words::escape::write_json(event.capture.meta.host.as_bytes(), host);
            host.push(b'"');
        }
        out.extend_from_slice(host);
    }

    #[inline]
    fn process(&mut self, event: &Event<'_>) {
        self.ids(event);
        let writer = &mut *self.writer;
        let key = (event.capture_index, event.image);
        if !writer.identities.map.contains_key(&key) {
            let mut fragment = Fragment::default();
            let identity = event.capture.timeline.identity(event.image);
            let mut object = writer.options.object::<PRETTY>(&mut fragment.json, &mut writer.scratch);
            head::program(&mut object, &identity);
            fragment.escaped = object.escaped | argv_cut(&identity);
            writer.identities.insert(key, fragment.json.len(), fragment);
        }
        let Some(fragment) = writer.identities.map.get(&key) else { return };
        self.out.extend_from_slice(&fragment.json);
        self.escaped |= fragment.escaped;
    }

    fn no_process(&mut self) {
        self.out.extend_from_slice(if PRETTY { &NO_PROCESS.1 } else { &NO_PROCESS.0 });
    }

    fn own_identity(&mut self, event: &Event<'_>, identity: &Identity<'_>) {
        self.ids(event);
        let mut object = self.writer.options.object::<PRETTY>(self.out, &mut self.writer.scratch);
        head::program(&mut object, identity);
        self.escaped |= object.escaped | argv_cut(identity);
    }

    #[inline]
    fn file(&mut self, path: &[u8]) -> Option<Judged> {
        let Styled { options, files, scratch, .. } = &mut *self.writer;
        let known = cached(files, path, self.out, |json, fragment| {
            let mut object = options.object::<PRETTY>(json, scratch);
            OpenedFile { file: Path(path) }.write_members(&mut object);
            fragment.escaped = object.escaped;
            fragment.judged = crate::capture::libraries::judge_path(path);
        });
        self.escaped |= known.escaped;
        known.judged
    }

    #[inline]
    fn library(&mut self, path: &[u8]) -> Option<&'static str> {
        let Styled { options, libraries, scratch, .. } = &mut *self.writer;
        let known = cached(libraries, path, self.out, |json, fragment| {
            let mut object = options.object::<PRETTY>(json, scratch);
            let name = redact::file_name(path, options.redact);
            LibraryFile::new(path, &name).write_members(&mut object);
            fragment.escaped = object.escaped;
            fragment.library_name = catalog::library(path);
        });
        self.escaped |= known.escaped;
        known.library_name
    }

    #[inline]
    fn note(&mut self, note: u32) {
        self.escaped |= note;
    }

    #[inline]
    fn rest(&mut self, event: &Event<'_>, members: &impl Members) {
        let noted = self.escaped & (ARGV_CUT | INTERRUPTED);
        let mut object = self.writer.options.object::<PRETTY>(self.out, &mut self.writer.scratch);
        object.escaped = self.escaped & !noted;
        members.write_members(&mut object);
        if head::is_noted(&event.record.header, noted) {
            let mut notes = Vec::new();
            head::notes(&event.record.header, noted, |note| notes.push(note.to_owned()));
            object.key(",\"notes\":");
            object.elements(notes.iter(), |object, note| object.word(note));
        }
        object.finish();
    }

    fn redacts(&self) -> bool {
        self.writer.options.redact
    }
}

impl<const PRETTY: bool> JsonEvent<'_, '_, PRETTY> {
    /// `,"pid":…,"tid":…,"uid":…,"gid":…,"process":…`
    #[inline]
    fn ids(&mut self, event: &Event<'_>) {
        let writer = &mut *self.writer;
        let header = &event.record.header;
        let redact = writer.options.redact;
        // What a home directory's owner is called may be the name of a program, too.
        let (capture, image) = if redact { (event.capture_index, event.image) } else { (0, ImageId::UNKNOWN) };
        let key = (header.comm, capture, image);
        if key != writer.comm.0 {
            if !writer.comms.map.contains_key(&key) {
                let mut fragment = Fragment::default();
                let shown =
                    crate::words::redact::comm(event.record.comm(), event.capture.timeline.exe(event.image), redact);
                let mut object = writer.options.object::<PRETTY>(&mut fragment.json, &mut writer.scratch);
                object.text(escape_bit("process"), &shown, Redact::Text);
                fragment.escaped = object.escaped;
                writer.comms.insert(key, fragment.json.len(), fragment);
            }
            if let Some(fragment) = writer.comms.map.get(&key) {
                let latest = &mut writer.comm.1;
                latest.json.clear();
                latest.json.extend_from_slice(&fragment.json);
                latest.escaped = fragment.escaped;
            }
            writer.comm.0 = key;
        }
        let mut object = Object::<PRETTY> {
            out: self.out,
            escaped: 0,
            redact: false,
            scratch: &mut writer.scratch,
            depth: EVENT_DEPTH,
        };
        let process = Rendered { json: &writer.comm.1.json, shown: b"" };
        let ids = Ids { pid: header.tgid, tid: header.tid, uid: header.uid, gid: header.gid, process };
        ids.write_members(&mut object);
        self.escaped |= writer.comm.1.escaped;
    }
}

impl RenderOptions {
    #[inline(always)]
    fn object<'a, const PRETTY: bool>(&self, out: &'a mut Vec<u8>, scratch: &'a mut Vec<u8>) -> Object<'a, PRETTY> {
        Object { out, escaped: 0, redact: self.redact, scratch, depth: EVENT_DEPTH }
    }
}

/// What [`EventType::open`] is, with a line for each member.
fn open_pretty(ty: &EventType, out: &mut Vec<u8>) {
    out.push(b'{');
    new_line(EVENT_DEPTH, out);
    out.extend_from_slice(b"\"event_type\": \"");
    out.extend_from_slice(ty.name.as_bytes());
    out.extend_from_slice(b"\",");
    new_line(EVENT_DEPTH, out);
    out.extend_from_slice(b"\"timestamp\": \"");
}

/// The note that a command line was cut, where it was.
#[inline]
pub(super) fn argv_cut(identity: &Identity<'_>) -> u32 {
    if identity.argv_cut { ARGV_CUT } else { 0 }
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
    cache: &mut Cache<Vec<u8>, Fragment>,
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
        cache.insert(path.to_vec(), path.len() + fragment.json.len(), fragment);
    }
    known
}
