//! Events as Parquet: a directory with a table for each type, in parts by day.

use super::directory::Directory;
use super::file::{Layout, OpenFile, Work};
use super::{Batch, RowMaker, Table, TableCount};
use crate::event::Filled;
use crate::read::faults::FaultLog;
use crate::read::{EventSink, Ready};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::io;

/// Rows of a row group: a reader that skips one skips so many.
const GROUP_ROWS: usize = 1 << 19;

/// Bytes of all row groups that are being filled; beyond, the largest is written as it is.
const GROUPS_BYTES: usize = 64 << 20;

/// A table's current file.
struct Written {
    layout: Layout,
    open: Option<(i64, OpenFile)>,
    /// Time of the last row.
    last: i64,
    count: TableCount,
}

/// Writes events as Parquet.
pub struct Parquet {
    maker: RowMaker,
    writer: TablesWriter,
}

/// The files of all tables.
struct TablesWriter {
    directory: Directory,
    all: Vec<Table>,
    tables: BTreeMap<usize, Written>,
    file_bytes: usize,
}

impl Parquet {
    /// Tables into a directory. A file of about `file_bytes` bytes is followed by another.
    pub fn new(directory: Directory, all: Vec<Table>, maker: RowMaker, file_bytes: usize) -> Self {
        Self { maker, writer: TablesWriter { directory, all, tables: BTreeMap::new(), file_bytes } }
    }

    /// What is to come is of other segments, with these numbers in their captures.
    pub fn begin(&mut self, sequences: Vec<Option<u64>>) {
        self.maker.begin(sequences);
    }

    /// Ends all files, which are whole then. Returns the directory, and how much each table has.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn finish(mut self) -> io::Result<(Directory, Vec<TableCount>)> {
        self.writer.write(self.maker.rest())?;
        let mut counts = Vec::new();
        for (_, mut table) in self.writer.tables {
            table.end_file()?;
            counts.push(table.count);
        }
        Ok((self.writer.directory, counts))
    }
}

impl TablesWriter {
    /// Writes batches of one type and one day, in turn.
    fn write(&mut self, batches: Vec<Batch>) -> io::Result<()> {
        // Of each type what there is, in order. Whatever ends a row group or a file does so for all types before rows come.
        let mut by_type: BTreeMap<usize, Vec<(i64, Vec<Batch>)>> = BTreeMap::new();
        for batch in batches {
            let runs = by_type.entry(batch.ty).or_default();
            match runs.last_mut() {
                Some((last, run)) if *last == batch.day => run.push(batch),
                _ => runs.push((batch.day, vec![batch])),
            }
        }
        let rounds = by_type.values().map(Vec::len).max().unwrap_or_default();
        for round in 0..rounds {
            for (ty, runs) in &by_type {
                if let Some((day, run)) = runs.get(round) {
                    self.make_ready(*ty, *day, run)?;
                }
            }
            let mut works: Vec<Work<'_>> = Vec::new();
            for (ty, table) in &mut self.tables {
                let run = by_type.get(ty).and_then(|runs| runs.get(round));
                if let (Some((_, run)), Written { layout, open: Some((_, file)), .. }) = (run, table) {
                    works.extend(file.add(run, layout)?);
                }
            }
            works.into_par_iter().try_for_each(Work::run)?;
            let open = self.tables.values_mut().filter_map(|table| table.open.as_mut());
            open.map(|(_, file)| file).try_for_each(OpenFile::end_diverse)?;
        }
        self.bound_memory()
    }

    /// Sees to it that the file of that type and day is open, and that its row group may take these rows.
    fn make_ready(&mut self, ty: usize, day: i64, rows: &[Batch]) -> io::Result<()> {
        let Some(of) = self.all.get(ty) else { return Ok(()) };
        let table = match self.tables.entry(ty) {
            std::collections::btree_map::Entry::Occupied(table) => table.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let count = TableCount { event_type: of.name.clone(), rows: 0, files: 0, bytes: 0 };
                place.insert(Written { layout: Layout::new(of)?, open: None, last: i64::MIN, count })
            }
        };
        let (first, last) = (first_time(rows), last_time(rows));
        if let Some((open_day, file)) = &mut table.open {
            // Times go back where there was too much to order: what is said to be sorted has to be.
            if file.group_rows() >= GROUP_ROWS || first < table.last {
                file.end_group()?;
            }
            if *open_day != day || file.bytes_written() >= self.file_bytes {
                table.end_file()?;
            }
        }
        if table.open.is_none() {
            let path = self.directory.new_file(format!("{}/{}", of.directory, (of.day)(day)))?;
            table.open = Some((day, OpenFile::create(&path, &table.layout)?));
        }
        table.last = last;
        Ok(())
    }

    /// Writes the largest row groups as long as all of them together are too large.
    fn bound_memory(&mut self) -> io::Result<()> {
        loop {
            let mut files: Vec<(usize, &mut OpenFile)> = self
                .tables
                .values_mut()
                .filter_map(|table| table.open.as_mut().map(|(_, file)| (file.group_bytes(), file)))
                .collect();
            let all: usize = files.iter().map(|(bytes, _)| bytes).sum();
            if all <= GROUPS_BYTES {
                return Ok(());
            }
            let largest = files.iter_mut().max_by_key(|(bytes, _)| *bytes);
            match largest {
                Some((_, file)) if file.group_rows() > 0 => file.end_group()?,
                _ => return Ok(()),
            }
        }
    }
}

impl Written {
    fn end_file(&mut self) -> io::Result<()> {
        if let Some((_, file)) = self.open.take() {
            self.count.rows += file.rows;
            self.count.files += 1;
            self.count.bytes += file.finish()?;
        }
        Ok(())
    }
}

fn times(rows: &Batch) -> Option<&[i64]> {
    let Filled::Array(array) = rows.columns.first()? else { return None };
    let micros = array.as_primitive_opt::<TimestampMicrosecondType>().map(|times| &times.values()[..]);
    micros.or_else(|| array.as_primitive_opt::<Int64Type>().map(|times| &times.values()[..]))
}

fn first_time(rows: &[Batch]) -> i64 {
    rows.first().and_then(times).and_then(|times| times.first().copied()).unwrap_or(i64::MIN)
}

fn last_time(rows: &[Batch]) -> i64 {
    rows.last().and_then(times).and_then(|times| times.last().copied()).unwrap_or(i64::MIN)
}

impl EventSink for Parquet {
    fn take(&mut self, events: &Ready<'_>, faults: &mut FaultLog) -> io::Result<u64> {
        let Self { maker, writer, .. } = self;
        maker.make(events, faults, |batches| writer.write(batches))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn forget_processes(&mut self) {}
}
