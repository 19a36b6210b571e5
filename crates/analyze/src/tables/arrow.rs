//! Events of one type as a stream of Apache Arrow (IPC), for a pipe.

use super::{Batch, RowMaker};
use crate::event::{EventType, Filled};
use crate::read::faults::FaultLog;
use crate::read::{EventSink, Ready};
use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, SchemaRef};
use std::io::{self, Write};
use std::sync::Arc;

/// Writes events of one type as they come.
pub struct ArrowStream<W: Write> {
    maker: RowMaker,
    schema: SchemaRef,
    out: StreamWriter<W>,
}

impl<W: Write + Send> ArrowStream<W> {
    /// Begins the stream.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(ty: &EventType, maker: RowMaker, out: W) -> io::Result<Self> {
        let schema = super::schema(ty);
        let out = StreamWriter::try_new(out, &schema).map_err(error)?;
        Ok(Self { maker, schema, out })
    }

    /// What is to come is of other segments, with these numbers in their captures.
    pub fn begin(&mut self, sequences: Vec<Option<u64>>) {
        self.maker.begin(sequences);
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.out.finish().map_err(error)?;
        self.out.get_mut().flush()
    }
}

/// Whoever reads may have seen enough, which is no failure: the system's error stays what it is.
fn error(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        error => io::Error::other(error),
    }
}

fn write<W: Write>(batches: &[Batch], schema: &SchemaRef, out: &mut StreamWriter<W>) -> io::Result<()> {
    for batch in batches {
        let columns = batch.columns.iter().map(Filled::to_array).collect::<Result<_, _>>();
        let rows = columns.and_then(|columns| RecordBatch::try_new(Arc::clone(schema), columns));
        rows.and_then(|rows| out.write(&rows)).map_err(error)?;
    }
    Ok(())
}

impl<W: Write + Send> EventSink for ArrowStream<W> {
    fn take(&mut self, events: &Ready<'_>, faults: &mut FaultLog) -> io::Result<u64> {
        let Self { maker, schema, out } = self;
        maker.make(events, faults, |batches| write(&batches, schema, out))
    }

    fn flush(&mut self) -> io::Result<()> {
        write(&self.maker.rest(), &self.schema, &mut self.out)?;
        self.out.get_mut().flush()
    }

    fn forget_processes(&mut self) {}
}
