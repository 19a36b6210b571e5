//! Events as tables: one for each type, with the columns that are declared for JSON as well. No JSON is made on the way.
//!
//! Events come in order. Parts of them are made into rows on many threads ([`RowMaker`]); what becomes of the rows is a file's
//! business ([`Parquet`], [`ArrowStream`]). How they are cut depends on the inputs alone, not on the number of threads.

mod arrow;
mod directory;
mod file;
mod hybrid;
mod manifest;
mod parquet;
mod text;

pub use arrow::ArrowStream;
pub use directory::{Directory, Mode, earlier};
pub use manifest::{Exported, Manifest, TableCount};
pub use parquet::Parquet;

use crate::event::{EVENT_TYPES, EventType, Filled, RenderOptions, RowWriter, Rows};
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
    /// Number of its type in [`EVENT_TYPES`].
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

/// Makes rows of events, on many threads.
#[derive(Debug)]
pub struct RowMaker {
    options: RenderOptions,
    /// Of each segment of this run, its number in its capture; `None` where no rows are made of it.
    sequences: Vec<Option<u64>>,
    writers: Mutex<Vec<(RowWriter, Vec<Option<Rows>>)>>,
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
    pub fn new(options: RenderOptions, sequences: Vec<Option<u64>>) -> Self {
        Self { options, sequences, writers: Mutex::default(), waiting: Vec::new() }
    }

    /// The segments are others now, and so are processes.
    pub fn begin(&mut self, sequences: Vec<Option<u64>>) {
        self.sequences = sequences;
        if let Ok(writers) = self.writers.get_mut() {
            writers.clear();
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
        let kept = self.writers.lock().ok().and_then(|mut writers| writers.pop());
        let new = || (RowWriter::new(self.options), EVENT_TYPES.iter().map(|_| None).collect());
        let (mut writer, mut rows) = kept.unwrap_or_else(new);
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
                take(&mut rows, today.unwrap_or_default(), &mut made.batches)?;
            }
            today = Some(day);
            let kind = event.record.kind();
            let ty = EVENT_TYPES.iter().position(|ty| ty.kind == kind);
            let written = match ty.and_then(|ty| Some((EVENT_TYPES.get(ty)?, rows.get_mut(ty)?))) {
                Some((ty, rows)) => {
                    let rows = rows.get_or_insert_with(|| Rows::new(ty));
                    let written = writer.write(&event, event_id(sequence, from.number), rows);
                    bytes += writer.last_bytes();
                    written
                }
                None => {
                    let header = &event.record.header;
                    Err(RecordError::BadFixedLength { fixed_len: header.fixed_len, len: header.len })
                }
            };
            match written {
                Ok(()) => made.events += 1,
                Err(error) => made.problems.push((from.segment, Problem::Body { record: from.number, error })),
            }
        }
        take(&mut rows, today.unwrap_or_default(), &mut made.batches)?;
        if let Ok(mut writers) = self.writers.lock() {
            writers.push((writer, rows));
        }
        Ok(made)
    }
}

/// How many events a part has where there are so many.
fn part_events(events: usize) -> usize {
    let parts = events.div_ceil(PART_EVENTS).next_multiple_of(PARTS_IN_FLIGHT).max(1);
    events.div_ceil(parts).max(1)
}

/// What there is of each type, which leaves none.
fn take(rows: &mut [Option<Rows>], day: i64, out: &mut Vec<Batch>) -> Result<(), ArrowError> {
    for (ty, rows) in rows.iter_mut().enumerate() {
        if let Some(rows) = rows.as_mut().filter(|rows| !rows.is_empty()) {
            let count = rows.len();
            out.push(Batch { ty, day, columns: rows.finish()?, rows: count });
        }
    }
    Ok(())
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
