//! One event as one row of the table of its type: the same members as in JSON, as typed columns.
//!
//! What many events share (a process's identity, a file's path) is redacted once and kept.

use super::cache::Cache;
use super::cells::{Again, Cells, Filled, Row, Texts, field, filled};
use super::columns::{Column, ColumnType, columns};
use super::file_open::OpenedFile;
use super::head::{self, ARGV_CUT, INTERRUPTED, Ids, Program, Rendered};
use super::lib_load::LibraryFile;
use super::members::{Members, Out};
use super::object::ESCAPABLE;
use super::render::argv_cut;
use super::shape::{Event, RenderOptions, Shape, show};
use super::types::{EventType, process_fields};
use super::values::Path;
use crate::capture::timeline::{Identity, ImageId};
use crate::words::redact;
use arrow_schema::{ArrowError, Schema, SchemaRef};
use crypto_trace_format::catalog::{self, Judged};
use crypto_trace_format::record::{Comm, RecordError};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Longer paths are made ready each time.
const MAX_CACHED_PATH: usize = 512;

/// Bytes of a row besides its text, about.
const ROW_BYTES: usize = 256;

/// What a row begins with: when, where, and which event it is.
fn first_columns() -> Vec<Column> {
    let column = |name, ty| Column { name, ty, is_nullable: false };
    vec![
        column("timestamp", ColumnType::TimestampMicros),
        column("host", ColumnType::Utf8),
        column("capture", ColumnType::Utf8),
        column("event_id", ColumnType::Int64),
    ]
}

/// The columns of a table of one type of event. `event_type` is none of them: it is the table's name.
pub fn table_columns(ty: &EventType) -> Vec<Column> {
    let first = first_columns();
    let rest = columns(ty).into_iter().filter(|column| column.name != "event_type");
    let known: Vec<&str> = first.iter().map(|column| column.name).collect();
    let rest = rest.filter(|column| !known.contains(&column.name));
    first.clone().into_iter().chain(rest).collect()
}

/// Rows of one type of event.
#[derive(Debug)]
pub struct Rows {
    schema: SchemaRef,
    columns: Vec<Cells>,
    known: Known,
}

/// What was made ready and is in a row already, by its address; it is kept, so that nothing else can come to be there.
type Known = HashMap<usize, (Arc<Ready>, Box<[Again]>), RandomState>;

impl Rows {
    /// None yet.
    pub fn new(ty: &EventType) -> Self {
        let columns = table_columns(ty);
        Self {
            schema: Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>())),
            columns: columns.iter().map(|column| Cells::new(&column.ty)).collect(),
            known: Known::default(),
        }
    }

    /// What its columns are called and hold.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, Cells::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What there is, by column, which leaves none.
    ///
    /// # Errors
    /// When it makes no table, which is a fault of this program.
    pub fn finish(&mut self) -> Result<Vec<Filled>, ArrowError> {
        self.known.clear();
        filled(&mut self.columns, self.schema.fields())
    }
}

/// Cells of one row that were made ready, and which members needed escapes.
#[derive(Debug, Default)]
struct Ready {
    cells: Vec<Cells>,
    escaped: u32,
    judged: Option<Judged>,
    library_name: Option<&'static str>,
}

/// A thread's name as it is shown, and whether it needed escapes.
#[derive(Debug, Default)]
struct Name {
    shown: Vec<u8>,
    escaped: u32,
}

type CommKey = (Comm, u32, ImageId);

/// Writes events as rows. Each thread has its own; what they write does not depend on what they wrote before.
#[derive(Debug)]
pub struct RowWriter {
    options: RenderOptions,
    texts: Texts,
    /// Host and id of captures, by number.
    captures: Vec<Option<Arc<Ready>>>,
    identities: Latest<(u32, ImageId), Ready>,
    files: Cache<Vec<u8>, Arc<Ready>>,
    libraries: Cache<Vec<u8>, Arc<Ready>>,
    comms: Latest<CommKey, Name>,
}

/// What was made ready, and what of it was asked for last: events of one process come one after the other.
#[derive(Debug)]
struct Latest<K, V> {
    all: Cache<K, Arc<V>>,
    last: Option<(K, Arc<V>)>,
}

impl<K, V> Default for Latest<K, V> {
    fn default() -> Self {
        Self { all: Cache::default(), last: None }
    }
}

impl<K: Hash + Eq + Copy, V> Latest<K, V> {
    /// What is ready for a key; `make` makes it, and says how many bytes it takes.
    #[inline]
    fn get(&mut self, key: K, make: impl FnOnce() -> (usize, V)) -> Arc<V> {
        if let Some((last, value)) = &self.last
            && *last == key
        {
            return Arc::clone(value);
        }
        let known = self.all.map.get(&key).cloned();
        let value = known.unwrap_or_else(|| {
            let (bytes, value) = make();
            let value = Arc::new(value);
            self.all.insert(key, bytes, Arc::clone(&value));
            value
        });
        self.last = Some((key, Arc::clone(&value)));
        value
    }
}

impl RowWriter {
    /// A writer with empty caches.
    pub fn new(options: RenderOptions) -> Self {
        Self {
            options,
            texts: Texts::new(options.redact),
            captures: Vec::new(),
            identities: Latest::default(),
            files: Cache::default(),
            libraries: Cache::default(),
            comms: Latest::default(),
        }
    }

    /// Bytes of text in the row that was written last, about.
    #[inline]
    pub fn last_bytes(&self) -> usize {
        self.texts.bytes + ROW_BYTES
    }

    /// Appends one event to the rows of its type. `id` is that of the event in its capture.
    ///
    /// # Errors
    /// When the record's body is malformed, or its kind is unknown; then nothing is appended.
    pub fn write(&mut self, event: &Event<'_>, id: i64, rows: &mut Rows) -> Result<(), RecordError> {
        self.texts.begin();
        let Rows { columns, known, .. } = rows;
        show(event, &mut RowEvent { writer: self, columns, known, id, notes: 0 })
    }
}

/// One event on its way into a row.
struct RowEvent<'w, 'r> {
    writer: &'w mut RowWriter,
    /// Those that have no cell of this row yet.
    columns: &'r mut [Cells],
    known: &'r mut Known,
    id: i64,
    notes: u32,
}

impl RowEvent<'_, '_> {
    /// Lets `write` append cells.
    #[inline]
    fn cells(&mut self, write: impl FnOnce(&mut Row<'_>)) {
        let mut row = Row::new(self.columns, &mut self.writer.texts);
        write(&mut row);
        let written = row.written();
        let columns = std::mem::take(&mut self.columns);
        self.columns = columns.get_mut(written..).unwrap_or_default();
    }

    fn repeat(&mut self, ready: &Arc<Ready>) {
        let mut known = std::mem::take(self.known);
        let address = Arc::as_ptr(ready).addr();
        match known.get(&address) {
            Some((_, cells)) => self.cells(|row| row.again(cells)),
            None => self.cells(|row| {
                let cells = row.repeat(&ready.cells);
                known.insert(address, (Arc::clone(ready), cells));
            }),
        }
        *self.known = known;
        self.writer.texts.escaped |= ready.escaped;
    }

    fn ids(&mut self, event: &Event<'_>) {
        let header = &event.record.header;
        let redact = self.writer.options.redact;
        let (capture, image) = if redact { (event.capture_index, event.image) } else { (0, ImageId::UNKNOWN) };
        let key = (header.comm, capture, image);
        let name = self.writer.comms.get(key, || {
            let comm = redact::comm(event.record.comm(), event.capture.timeline.exe(event.image), redact);
            let (text, is_escaped) = crate::words::escape::reversible(&comm);
            let escaped = if is_escaped { super::object::escape_bit("process") } else { 0 };
            (text.len(), Name { shown: text.into_bytes(), escaped })
        });
        let process = Rendered { json: b"", shown: &name.shown };
        let ids = Ids { pid: header.tgid, tid: header.tid, uid: header.uid, gid: header.gid, process };
        self.cells(|row| ids.write_members(row));
        self.writer.texts.escaped |= name.escaped;
    }
}

/// Cells of one row, as `write` makes them.
fn ready(fields: &[Column], redact: bool, write: impl FnOnce(&mut Row<'_>)) -> Ready {
    let mut cells: Vec<Cells> = fields.iter().map(|column| Cells::new(&column.ty)).collect();
    let mut texts = Texts::new(redact);
    write(&mut Row::new(&mut cells, &mut texts));
    Ready { cells, escaped: texts.escaped, ..Ready::default() }
}

/// The columns of members.
fn columns_of<M: Members>() -> Vec<Column> {
    M::FIELDS.iter().map(super::columns::column).collect()
}

impl Shape for RowEvent<'_, '_> {
    fn head(&mut self, _ty: &'static EventType, event: &Event<'_>) {
        let index = event.capture_index as usize;
        if self.writer.captures.len() <= index {
            self.writer.captures.resize(index + 1, None);
        }
        let Some(known) = self.writer.captures.get_mut(index) else { return };
        let meta = &event.capture.meta;
        let ready = Arc::clone(known.get_or_insert_with(|| {
            let id = crate::words::text::hex(&meta.capture_id);
            let columns = first_columns();
            Arc::new(ready(columns.get(1..3).unwrap_or_default(), false, |row| {
                row.member("", 0, &meta.host);
                row.member("", 0, &id);
            }))
        }));
        self.cells(|row| row.member("", 0, &event.time));
        self.repeat(&ready);
        let event_id = self.id;
        self.cells(|row| row.member("", 0, &event_id));
    }

    fn process(&mut self, event: &Event<'_>) {
        self.ids(event);
        let redact = self.redacts();
        let ready = self.writer.identities.get((event.capture_index, event.image), || {
            let identity = event.capture.timeline.identity(event.image);
            let mut made = ready(&columns_of::<Program<'_>>(), redact, |row| head::program(row, &identity));
            made.escaped |= argv_cut(&identity);
            (made.cells.iter().map(Cells::bytes).sum(), made)
        });
        self.repeat(&ready);
    }

    fn no_process(&mut self) {
        self.cells(|row| process_fields().for_each(|_| row.member("", 0, &None::<u32>)));
    }

    fn own_identity(&mut self, event: &Event<'_>, identity: &Identity<'_>) {
        self.ids(event);
        self.cells(|row| head::program(row, identity));
        self.notes |= argv_cut(identity);
    }

    fn file(&mut self, path: &[u8]) -> Option<Judged> {
        let redact = self.redacts();
        let known = cached(&mut self.writer.files, path, || {
            let made = ready(&columns_of::<OpenedFile<'_>>(), redact, |row| {
                OpenedFile { file: Path(path) }.write_members(row);
            });
            Ready { judged: crate::capture::libraries::judge_path(path), ..made }
        });
        self.repeat(&known);
        known.judged
    }

    fn library(&mut self, path: &[u8]) -> Option<&'static str> {
        let redact = self.redacts();
        let known = cached(&mut self.writer.libraries, path, || {
            let made = ready(&columns_of::<LibraryFile<'_>>(), redact, |row| {
                LibraryFile::new(path, &redact::file_name(path, redact)).write_members(row);
            });
            Ready { library_name: catalog::library(path), ..made }
        });
        self.repeat(&known);
        known.library_name
    }

    fn note(&mut self, note: u32) {
        self.notes |= note;
    }

    fn rest(&mut self, event: &Event<'_>, members: &impl Members) {
        self.cells(|row| members.write_members(row));
        let header = &event.record.header;
        let escaped = self.writer.texts.escaped;
        let noted = (self.notes | escaped) & (ARGV_CUT | INTERRUPTED);
        let escaped = escaped & !(ARGV_CUT | INTERRUPTED);
        self.cells(|row| {
            row.words(head::is_noted(header, noted), |note| head::notes(header, noted, note));
            row.words(escaped != 0, |note| {
                let names = (0..).zip(ESCAPABLE).filter(|(bit, _)| escaped & (1 << bit) != 0);
                names.for_each(|(_, name)| note(name));
            });
        });
        debug_assert!(self.columns.is_empty(), "columns without a cell");
    }

    fn redacts(&self) -> bool {
        self.writer.options.redact
    }
}

/// What is ready for a path, kept unless the path is long.
fn cached(cache: &mut Cache<Vec<u8>, Arc<Ready>>, path: &[u8], make: impl FnOnce() -> Ready) -> Arc<Ready> {
    if let Some(known) = cache.map.get(path) {
        return Arc::clone(known);
    }
    let made = Arc::new(make());
    if path.len() <= MAX_CACHED_PATH {
        cache.insert(path.to_vec(), 3 * path.len(), Arc::clone(&made));
    }
    made
}
