//! Events as tables: one for each type, with the columns that are declared for JSON as well. No JSON is made on the way.
//!
//! Events come in order. Parts of them are made into rows on many threads ([`RowMaker`]); what becomes of the rows is a file's
//! business ([`Parquet`], [`ArrowStream`]). How they are cut depends on the inputs alone, not on the number of threads.

mod arrow;
mod directory;
mod file;
mod hybrid;
mod lake;
mod manifest;
mod parquet;
mod text;

pub use arrow::ArrowStream;
pub use directory::{Directory, Mode, earlier};
pub use lake::Place;
pub use manifest::{Exported, Manifest, TableCount};
pub use parquet::Parquet;

use crate::event::{EVENT_TYPES, Event, EventType, Filled, RenderOptions, RowWriter, Rows};
use crate::read::Ready;
use crate::read::faults::{FaultLog, Problem};
use arrow_schema::{ArrowError, SchemaRef};
use crypto_trace_format::record::RecordError;
use rayon::prelude::*;
use std::io;
use std::sync::Mutex;

/// The version of what tables hold: their columns, what these mean, and how files are named.
pub const SCHEMA_VERSION: u32 = 2;

/// Events that one thread makes rows of at a time, at most.
const PART_EVENTS: usize = 8_192;

/// Such parts that are made at a time. There are as many or a multiple, so that threads have about as much to do each.
const PARTS_IN_FLIGHT: usize = 4;

/// Bytes of rows that are made of one part before they are handed on: what a record of 100 bytes tells of its process may take 64 KB.
const PART_BYTES: usize = 16 << 20;

/// Nanoseconds of a day, UTC.
const DAY_NS: i64 = 86_400_000_000_000;

/// Records of a segment have numbers below this; in an event's id its segment's number stands above.
const RECORD_BITS: u32 = 36;

/// Rows of one type on one day, in order.
#[derive(Debug)]
pub struct Batch {
    /// Number of its table.
    pub ty: usize,
    /// Days since 1970, UTC.
    pub day: i64,
    /// The rows, by column.
    pub columns: Vec<Filled>,
    /// How many there are.
    pub rows: usize,
}

/// The id of an event in its capture: the number of its segment in the capture, and that of its record in the segment.
pub fn event_id(sequence: u64, record: u64) -> i64 {
    let id = sequence.wrapping_shl(RECORD_BITS) | record & ((1 << RECORD_BITS) - 1);
    i64::try_from(id & i64::MAX.unsigned_abs()).unwrap_or_default()
}

/// The columns of a type's table.
pub fn schema(ty: &EventType) -> SchemaRef {
    std::sync::Arc::clone(Rows::new(ty).schema())
}

/// A table, and where its files are.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub directory: String,
    /// Below it, the directory of a day.
    pub day: fn(i64) -> String,
    /// Its columns. The first is the time.
    pub schema: SchemaRef,
    /// What footers tell besides.
    pub told: (&'static str, String),
}

/// A table for each type of event, in the order of [`EVENT_TYPES`].
pub fn of_events() -> Vec<Table> {
    let each = |ty: &EventType| Table {
        name: ty.name.to_owned(),
        directory: format!("event_type={}", ty.name),
        day: |day| format!("date={}", crate::words::timestamp::date(day)),
        schema: schema(ty),
        told: ("event_type", ty.name.to_owned()),
    };
    EVENT_TYPES.iter().map(each).collect()
}

/// A table for each class of OCSF, in the layout of a lake.
pub fn of_lake(place: &Place) -> Vec<Table> {
    lake::tables(place)
}

/// What makes events rows of some tables. Each thread has its own; what it makes does not depend on what it made before.
trait MakeRows: Send {
    /// Appends one event. Returns how many bytes it takes, about.
    fn write(&mut self, event: &Event<'_>, id: i64) -> Result<usize, RecordError>;

    /// Hands on what there is of each table, by column, and how many rows; that leaves none.
    fn take(&mut self, out: &mut dyn FnMut(usize, Vec<Filled>, usize)) -> Result<(), ArrowError>;
}

/// Rows with the members of events.
struct EventRows {
    writer: RowWriter,
    rows: Vec<Option<Rows>>,
}

impl MakeRows for EventRows {
    fn write(&mut self, event: &Event<'_>, id: i64) -> Result<usize, RecordError> {
        let kind = event.record.kind();
        let ty = EVENT_TYPES.iter().position(|ty| ty.kind == kind);
        let Some((ty, rows)) = ty.and_then(|ty| Some((EVENT_TYPES.get(ty)?, self.rows.get_mut(ty)?))) else {
            let header = &event.record.header;
            return Err(RecordError::BadFixedLength { fixed_len: header.fixed_len, len: header.len });
        };
        self.writer.write(event, id, rows.get_or_insert_with(|| Rows::new(ty)))?;
        Ok(self.writer.last_bytes())
    }

    fn take(&mut self, out: &mut dyn FnMut(usize, Vec<Filled>, usize)) -> Result<(), ArrowError> {
        for (ty, rows) in self.rows.iter_mut().enumerate() {
            if let Some(rows) = rows.as_mut().filter(|rows| !rows.is_empty()) {
                let count = rows.len();
                out(ty, rows.finish()?, count);
            }
        }
        Ok(())
    }
}

/// What rows are made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// [`of_events`].
    Events,
    /// [`of_lake`].
    Lake,
}

/// Makes rows of events, on many threads.
pub struct RowMaker {
    shape: Shape,
    options: RenderOptions,
    /// Of each segment of this run, its number in its capture; `None` where no rows are made of it.
    sequences: Vec<Option<u64>>,
    makers: Mutex<Vec<Box<dyn MakeRows>>>,
    /// Rows that were made last.
    waiting: Vec<Batch>,
}

/// What was made of a part of the events.
struct Made {
    batches: Vec<Batch>,
    /// Events that there are rows of.
    events: u64,
    /// How many were looked at: all, unless their rows took too much room.
    done: usize,
    problems: Vec<(u32, Problem)>,
}

impl RowMaker {
    /// Of segments with these numbers in their captures.
    pub fn new(shape: Shape, options: RenderOptions, sequences: Vec<Option<u64>>) -> Self {
        Self { shape, options, sequences, makers: Mutex::default(), waiting: Vec::new() }
    }

    fn maker(&self) -> Box<dyn MakeRows> {
        let kept = self.makers.lock().ok().and_then(|mut makers| makers.pop());
        kept.unwrap_or_else(|| match self.shape {
            Shape::Events => Box::new(EventRows {
                writer: RowWriter::new(self.options),
                rows: EVENT_TYPES.iter().map(|_| None).collect(),
            }),
            Shape::Lake => Box::new(lake::LakeRows::new(self.options)),
        })
    }

    /// The segments are others now, and so are processes.
    pub fn begin(&mut self, sequences: Vec<Option<u64>>) {
        self.sequences = sequences;
        if let Ok(makers) = self.makers.get_mut() {
            makers.clear();
        }
    }

    /// Hands rows of `events` to `write`, by type and day, each in order; the last of them the next time, see [`Self::rest`].
    /// Returns how many events there are rows of.
    ///
    /// # Errors
    /// When they cannot be written, or make no table, which is a fault of this program.
    pub fn make(
        &mut self,
        events: &Ready<'_>,
        faults: &mut FaultLog,
        mut write: impl FnMut(Vec<Batch>) -> io::Result<()> + Send,
    ) -> io::Result<u64> {
        let mut count = 0;
        let parts: Vec<Ready<'_>> = events.chunks(part_events(events.len())).collect();
        for group in parts.chunks(PARTS_IN_FLIGHT) {
            // Rows are written while the next are made.
            let waiting = std::mem::take(&mut self.waiting);
            let make = || -> Vec<Result<Made, ArrowError>> { group.par_iter().map(|part| self.part(part)).collect() };
            let (written, made) = rayon::join(|| write(waiting), make);
            written?;
            let mut batches = Vec::new();
            for (part, made) in group.iter().zip(made) {
                let mut rest = *part;
                let mut made = made;
                loop {
                    let Made { batches: more, events, done, problems } = made.map_err(io::Error::other)?;
                    batches.extend(more);
                    count += events;
                    problems.into_iter().for_each(|(segment, problem)| faults.add(segment, problem));
                    rest = rest.after(done);
                    if rest.is_empty() {
                        break;
                    }
                    write(std::mem::take(&mut batches))?;
                    made = self.part(&rest);
                }
            }
            self.waiting = batches;
        }
        Ok(count)
    }

    /// What was not handed on yet.
    pub fn rest(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.waiting)
    }

    fn part(&self, events: &Ready<'_>) -> Result<Made, ArrowError> {
        let mut maker = self.maker();
        let mut made = Made { batches: Vec::new(), events: 0, done: events.len(), problems: Vec::new() };
        let mut today = None;
        let mut bytes = 0;
        for index in 0..events.len() {
            if bytes > PART_BYTES {
                made.done = index;
                break;
            }
            let Some((from, event)) = events.event(index) else { continue };
            let Some(sequence) = self.sequences.get(from.segment as usize).copied().flatten() else { continue };
            let day = event.time.0.div_euclid(DAY_NS);
            if today.is_some_and(|today| today != day) {
                take(&mut *maker, today.unwrap_or_default(), &mut made.batches)?;
            }
            today = Some(day);
            match maker.write(&event, event_id(sequence, from.number)) {
                Ok(more) => {
                    bytes += more;
                    made.events += 1;
                }
                Err(error) => made.problems.push((from.segment, Problem::Body { record: from.number, error })),
            }
        }
        take(&mut *maker, today.unwrap_or_default(), &mut made.batches)?;
        if let Ok(mut makers) = self.makers.lock() {
            makers.push(maker);
        }
        Ok(made)
    }
}

/// How many events a part has where there are so many.
fn part_events(events: usize) -> usize {
    let parts = events.div_ceil(PART_EVENTS).next_multiple_of(PARTS_IN_FLIGHT).max(1);
    events.div_ceil(parts).max(1)
}

/// What there is of each table, which leaves none.
fn take(maker: &mut dyn MakeRows, day: i64, out: &mut Vec<Batch>) -> Result<(), ArrowError> {
    maker.take(&mut |ty, columns, rows| out.push(Batch { ty, day, columns, rows }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_one_record_and_grow() {
        assert_eq!(event_id(0, 7), 7);
        assert!(event_id(1, 0) > event_id(0, (1 << RECORD_BITS) - 1));
        assert!(event_id(u64::MAX, u64::MAX) > 0);
    }
}
