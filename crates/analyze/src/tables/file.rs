//! One Parquet file that is being written: columns are encoded on many threads, row groups written when they are full.

use super::SCHEMA_VERSION;
use super::text::TextColumn;
use super::{Batch, Table};
use crate::event::{Filled, Repeated};
use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field, FieldRef, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowLeafColumn, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescPtr};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

/// Level of zstd: higher ones cost more than they save.
pub(super) const ZSTD_LEVEL: i32 = 3;

/// Columns of text by whose extremes readers skip. Of other text they cost more than they save.
const TEXT_WITH_EXTREMES: [&str; 5] = ["host", "capture", "container", "server_name", "file"];

/// Columns whose values are looked for one by one and are too many for a dictionary.
const LOOKED_FOR: [&str; 5] = ["file", "library", "exe", "server_name", "remote_address"];

/// How often a Bloom filter may say that a value is there which is not.
const BLOOM_FPP: f64 = 0.01;

/// Values that a Bloom filter has room for at first: by default it is that for a million, 2 MB for each column of each table.
const BLOOM_VALUES: u64 = 1 << 17;

/// Columns that are numbers that grow, or differ each time.
const NO_DICTIONARY: [&str; 9] = [
    "timestamp",
    "event_id",
    "exchange_ns",
    "handshake_ns",
    "duration_ns",
    "socket_cookie",
    "address",
    "object",
    "ja3",
];

/// The same as `parquet` has it.
///
/// # Errors
/// When there is no such level.
pub(super) fn zstd_level() -> Result<ZstdLevel> {
    ZstdLevel::try_new(ZSTD_LEVEL)
}

/// What all files of one table have in common.
#[derive(Debug)]
pub struct Layout {
    pub schema: SchemaRef,
    parquet: SchemaDescPtr,
    properties: WriterPropertiesPtr,
    /// How many columns there are where members within members are counted.
    leaves: usize,
    /// Of each of these, see [`dictionary_text`].
    texts: Vec<Option<bool>>,
}

impl Layout {
    /// Of a table.
    ///
    /// # Errors
    /// When its schema is none that Parquet has, which is a fault of this program.
    pub fn new(table: &Table) -> Result<Self> {
        let schema = Arc::clone(&table.schema);
        let parquet = Arc::new(ArrowSchemaConverter::new().convert(&schema)?);
        let properties = Arc::new(properties(table, &schema)?);
        let leaves = parquet.num_columns();
        let by_leaf =
            |leaf| schema.fields().get(parquet.get_column_root_idx(leaf)).and_then(|field| dictionary_text(field));
        let texts = (0..leaves).map(by_leaf).collect();
        Ok(Self { schema, parquet, properties, leaves, texts })
    }
}

fn properties(table: &Table, schema: &SchemaRef) -> Result<WriterProperties> {
    let told = |key: &str, value: String| KeyValue::new(format!("crypto-trace.{key}"), value);
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(zstd_level()?))
        .set_created_by(format!("crypto-trace-analyze version {}", env!("CARGO_PKG_VERSION")))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(None)
        .set_bloom_filter_for_dictionary_encoded_chunks(false)
        .set_sorting_columns(Some(vec![SortingColumn { column_idx: 0, descending: false, nulls_first: false }]))
        .set_key_value_metadata(Some(vec![
            told("schema_version", SCHEMA_VERSION.to_string()),
            told(table.told.0, table.told.1.clone()),
        ]));
    for field in schema.fields() {
        let path = || ColumnPath::from(field.name().as_str());
        if NO_DICTIONARY.contains(&field.name().as_str()) {
            builder = builder.set_column_dictionary_enabled(path(), false);
            if is_whole_number(field) {
                builder = builder.set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED);
            }
        }
        if !field.data_type().is_primitive() && !TEXT_WITH_EXTREMES.contains(&field.name().as_str()) {
            builder = builder.set_column_statistics_enabled(path(), EnabledStatistics::None);
        }
        if LOOKED_FOR.contains(&field.name().as_str()) {
            builder = builder
                .set_column_bloom_filter_enabled(path(), true)
                .set_column_bloom_filter_fpp(path(), BLOOM_FPP)
                .set_column_bloom_filter_max_ndv(path(), BLOOM_VALUES);
        }
    }
    Ok(builder.build())
}

fn is_whole_number(field: &Field) -> bool {
    matches!(field.data_type(), DataType::Int64 | DataType::UInt64 | DataType::Timestamp(..))
}

/// Whether a column is one of text with a dictionary; then, whether its extremes are told.
fn dictionary_text(field: &Field) -> Option<bool> {
    let name = field.name().as_str();
    (*field.data_type() == DataType::Utf8 && !NO_DICTIONARY.contains(&name)).then(|| TEXT_WITH_EXTREMES.contains(&name))
}

/// A file that is being written.
pub struct OpenFile {
    writer: SerializedFileWriter<BufWriter<File>>,
    factory: ArrowRowGroupWriterFactory,
    /// Those of the row group that is being filled.
    columns: Vec<ColumnWriter>,
    /// Columns whose texts were too many for a dictionary.
    diverse: Vec<bool>,
    group_rows: usize,
    groups: usize,
    pub rows: u64,
}

/// One column of a row group.
enum ColumnWriter {
    Arrow(Box<ArrowColumnWriter>),
    Text(Box<TextColumn>),
}

/// Values of one column on their way into it.
pub struct Work<'a> {
    writer: &'a mut ColumnWriter,
    pieces: Vec<Piece<'a>>,
}

/// Values of one column of one batch.
enum Piece<'a> {
    Leaf(ArrowLeafColumn),
    Text(&'a FieldRef, &'a Repeated),
}

impl Work<'_> {
    /// Encodes them.
    ///
    /// # Errors
    /// When they cannot be.
    pub fn run(self) -> Result<()> {
        for piece in self.pieces {
            match (&mut *self.writer, piece) {
                (ColumnWriter::Text(writer), Piece::Text(_, rows)) => writer.write(rows)?,
                (ColumnWriter::Arrow(writer), Piece::Leaf(leaf)) => writer.write(&leaf)?,
                (ColumnWriter::Arrow(writer), Piece::Text(field, rows)) => {
                    let array: ArrayRef = Arc::new(rows.to_array()?);
                    compute_leaves(field, &array)?.iter().try_for_each(|leaf| writer.write(leaf))?;
                }
                (ColumnWriter::Text(_), Piece::Leaf(_)) => return Err(not_declared()),
            }
        }
        Ok(())
    }
}

fn not_declared() -> ParquetError {
    ParquetError::General("other columns than were declared".to_owned())
}

impl OpenFile {
    /// Creates the file.
    ///
    /// # Errors
    /// When it is there already, or cannot be written.
    pub fn create(path: &Path, layout: &Layout) -> Result<Self> {
        let file = File::create_new(path)?;
        let properties = Arc::clone(&layout.properties);
        let root = layout.parquet.root_schema_ptr();
        let writer = SerializedFileWriter::new(BufWriter::with_capacity(1 << 20, file), root, properties)?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&layout.schema));
        let diverse = vec![false; layout.leaves];
        Ok(Self { writer, factory, columns: Vec::new(), diverse, group_rows: 0, groups: 0, rows: 0 })
    }

    /// Begins a row group.
    fn new_columns(&self, layout: &Layout) -> Result<Vec<ColumnWriter>> {
        let writers = self.factory.create_column_writers(self.groups)?;
        let each = |(number, writer): (usize, ArrowColumnWriter)| {
            let is_diverse = self.diverse.get(number).is_none_or(|is| *is);
            match layout.texts.get(number).copied().flatten().filter(|_| !is_diverse) {
                Some(with_extremes) => {
                    let column = TextColumn::new(layout.parquet.column(number), with_extremes)?;
                    Ok(ColumnWriter::Text(Box::new(column)))
                }
                None => Ok(ColumnWriter::Arrow(Box::new(writer))),
            }
        };
        writers.into_iter().enumerate().map(each).collect()
    }

    /// Takes rows in, a piece of work for each column; they are in the row group when all of them have run.
    ///
    /// # Errors
    /// When they are not of this file's schema.
    pub fn add<'a>(&'a mut self, batches: &'a [Batch], layout: &'a Layout) -> Result<Vec<Work<'a>>> {
        if self.columns.is_empty() {
            self.columns = self.new_columns(layout)?;
        }
        let mut by_column: Vec<Vec<Piece<'a>>> = (0..layout.leaves).map(|_| Vec::new()).collect();
        for batch in batches {
            let mut places = by_column.iter_mut();
            for (field, column) in layout.schema.fields().iter().zip(&batch.columns) {
                match column {
                    Filled::Text(rows) => places.next().ok_or_else(not_declared)?.push(Piece::Text(field, rows)),
                    Filled::Array(array) => {
                        for leaf in compute_leaves(field, array)? {
                            places.next().ok_or_else(not_declared)?.push(Piece::Leaf(leaf));
                        }
                    }
                }
            }
            self.group_rows += batch.rows;
            self.rows += batch.rows as u64;
        }
        Ok(self.columns.iter_mut().zip(by_column).map(|(writer, pieces)| Work { writer, pieces }).collect())
    }

    /// Ends the row group where texts of a column turned out to differ too much for a dictionary: those of the next one have none
    /// of their own making.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end_diverse(&mut self) -> Result<()> {
        let is_too_large = |column: &ColumnWriter| matches!(column, ColumnWriter::Text(text) if text.is_too_large());
        let mut found = false;
        for (column, diverse) in self.columns.iter().zip(&mut self.diverse) {
            if is_too_large(column) {
                (*diverse, found) = (true, true);
            }
        }
        if found { self.end_group() } else { Ok(()) }
    }

    /// Rows in the row group that is being filled.
    pub fn group_rows(&self) -> usize {
        self.group_rows
    }

    /// Bytes in memory for it.
    pub fn group_bytes(&self) -> usize {
        let each = |column: &ColumnWriter| match column {
            ColumnWriter::Arrow(writer) => writer.memory_size(),
            ColumnWriter::Text(writer) => writer.memory_size(),
        };
        self.columns.iter().map(each).sum()
    }

    /// Bytes written.
    pub fn bytes_written(&self) -> usize {
        self.writer.bytes_written()
    }

    /// Writes the row group.
    ///
    /// # Errors
    /// When that fails.
    pub fn end_group(&mut self) -> Result<()> {
        if self.group_rows == 0 {
            return Ok(());
        }
        let columns = std::mem::take(&mut self.columns);
        let mut group = self.writer.next_row_group()?;
        for column in columns {
            match column {
                ColumnWriter::Arrow(writer) => writer.close()?.append_to_row_group(&mut group)?,
                ColumnWriter::Text(writer) => {
                    let (chunk, closed) = writer.close()?;
                    group.append_column(&Bytes::from(chunk), closed)?;
                }
            }
        }
        group.close()?;
        self.groups += 1;
        self.group_rows = 0;
        Ok(())
    }

    /// Writes the rest, and waits until all of it is on the disk. Returns its size.
    ///
    /// # Errors
    /// When that fails.
    pub fn finish(mut self) -> Result<u64> {
        self.end_group()?;
        let file = self.writer.into_inner()?.into_inner().map_err(|error| ParquetError::from(error.into_error()))?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}
