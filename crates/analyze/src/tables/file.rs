//! One Parquet file that is being written: columns are encoded on many threads, row groups written when they are full.

use super::SCHEMA_VERSION;
use crate::event::EventType;
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, SchemaRef};
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
const ZSTD_LEVEL: i32 = 3;

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

/// What all files of one type of event have in common.
#[derive(Debug)]
pub struct Layout {
    pub schema: SchemaRef,
    parquet: SchemaDescPtr,
    properties: WriterPropertiesPtr,
    /// How many columns there are where members within members are counted.
    leaves: usize,
}

impl Layout {
    /// Of a type of event.
    ///
    /// # Errors
    /// When its schema is none that Parquet has, which is a fault of this program.
    pub fn new(ty: &EventType) -> Result<Self> {
        let schema = super::schema(ty);
        let parquet = Arc::new(ArrowSchemaConverter::new().convert(&schema)?);
        let properties = Arc::new(properties(ty, &schema)?);
        let leaves = parquet.num_columns();
        Ok(Self { schema, parquet, properties, leaves })
    }
}

fn properties(ty: &EventType, schema: &SchemaRef) -> Result<WriterProperties> {
    let told = |key: &str, value: String| KeyValue::new(format!("crypto-trace.{key}"), value);
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_created_by(format!("crypto-trace-analyze version {}", env!("CARGO_PKG_VERSION")))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(None)
        .set_bloom_filter_for_dictionary_encoded_chunks(false)
        .set_sorting_columns(Some(vec![SortingColumn { column_idx: 0, descending: false, nulls_first: false }]))
        .set_key_value_metadata(Some(vec![
            told("schema_version", SCHEMA_VERSION.to_string()),
            told("event_type", ty.name.to_owned()),
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

/// A file that is being written.
pub struct OpenFile {
    writer: SerializedFileWriter<BufWriter<File>>,
    factory: ArrowRowGroupWriterFactory,
    /// Those of the row group that is being filled.
    columns: Vec<ArrowColumnWriter>,
    group_rows: usize,
    groups: usize,
    pub rows: u64,
}

/// Values of one column on their way into it.
pub struct Work<'a> {
    writer: &'a mut ArrowColumnWriter,
    leaves: Vec<ArrowLeafColumn>,
}

impl Work<'_> {
    /// Encodes them.
    ///
    /// # Errors
    /// When they cannot be.
    pub fn run(self) -> Result<()> {
        self.leaves.iter().try_for_each(|leaf| self.writer.write(leaf))
    }
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
        Ok(Self { writer, factory, columns: Vec::new(), group_rows: 0, groups: 0, rows: 0 })
    }

    /// Takes rows in, a piece of work for each column; they are in the row group when all of them have run.
    ///
    /// # Errors
    /// When they are not of this file's schema.
    pub fn add(&mut self, batches: &[RecordBatch], layout: &Layout) -> Result<Vec<Work<'_>>> {
        if self.columns.is_empty() {
            self.columns = self.factory.create_column_writers(self.groups)?;
        }
        let mut by_column: Vec<Vec<ArrowLeafColumn>> = (0..layout.leaves).map(|_| Vec::new()).collect();
        for batch in batches {
            let mut places = by_column.iter_mut();
            for (field, array) in layout.schema.fields().iter().zip(batch.columns()) {
                for leaf in compute_leaves(field, array)? {
                    let place = places.next();
                    place
                        .ok_or_else(|| ParquetError::General("more columns than were declared".to_owned()))?
                        .push(leaf);
                }
            }
            self.group_rows += batch.num_rows();
            self.rows += batch.num_rows() as u64;
        }
        Ok(self.columns.iter_mut().zip(by_column).map(|(writer, leaves)| Work { writer, leaves }).collect())
    }

    /// Rows in the row group that is being filled.
    pub fn group_rows(&self) -> usize {
        self.group_rows
    }

    /// Bytes in memory for it.
    pub fn group_bytes(&self) -> usize {
        self.columns.iter().map(ArrowColumnWriter::memory_size).sum()
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
            column.close()?.append_to_row_group(&mut group)?;
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
