//! A column of text on its way into a Parquet file: its texts are known by number already, so none is looked at for each row.
//!
//! The writer of the crate `parquet` looks up the text of each row in its dictionary, which takes it more time than all else. Here
//! pages are made of runs of numbers; headers, metadata and indexes are made by that crate. A column whose texts differ too much
//! for a dictionary is left to its writer.

use super::hybrid::{Hybrid, width};
use crate::event::{Dictionary, Repeated, Run};
use parquet::basic::{Compression, Encoding, EncodingMask, PageType, Type};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, LevelHistogram, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

/// Bytes of a dictionary; beyond, the column is none for a dictionary.
pub const DICTIONARY_BYTES: usize = 1 << 20;

/// Rows of a page: a page ends when it has as many.
const PAGE_ROWS: usize = 16_384;

/// Bytes of a least and a greatest value that are kept.
const EXTREME_BYTES: usize = 64;

/// One column of a row group.
pub struct TextColumn {
    column: ColumnDescPtr,
    /// Whether the least and the greatest text of pages and of the row group are told.
    with_extremes: bool,
    compressor: Compressor<'static>,
    dictionary: Dictionary,
    /// The page that is being filled.
    runs: Vec<Run>,
    page_rows: usize,
    /// Pages that are full.
    pages: TrackedWrite<Vec<u8>>,
    told: Told,
}

/// What is told of the pages that are full.
struct Told {
    rows: u64,
    nulls: u64,
    pages: i32,
    uncompressed: usize,
    text_bytes: i64,
    extremes: Option<(Vec<u8>, Vec<u8>)>,
    offsets: OffsetIndexBuilder,
    index: ColumnIndexBuilder,
}

impl TextColumn {
    /// An empty one.
    ///
    /// # Errors
    /// When zstd has no memory.
    pub fn new(column: ColumnDescPtr, with_extremes: bool) -> Result<Self> {
        Ok(Self {
            column,
            with_extremes,
            compressor: Compressor::new(super::file::ZSTD_LEVEL)?,
            dictionary: Dictionary::default(),
            runs: Vec::new(),
            page_rows: 0,
            pages: TrackedWrite::new(Vec::new()),
            told: Told {
                rows: 0,
                nulls: 0,
                pages: 0,
                uncompressed: 0,
                text_bytes: 0,
                extremes: None,
                offsets: OffsetIndexBuilder::new(),
                index: ColumnIndexBuilder::new(Type::BYTE_ARRAY),
            },
        })
    }

    /// Bytes in memory.
    pub fn memory_size(&self) -> usize {
        self.dictionary.held_bytes() + self.runs.capacity() * size_of::<Run>() + self.pages.bytes_written()
    }

    /// Whether the texts differ too much.
    pub fn is_too_large(&self) -> bool {
        self.dictionary.text_bytes() > DICTIONARY_BYTES
    }

    /// Appends rows.
    ///
    /// # Errors
    /// When a page cannot be made of them.
    pub fn write(&mut self, rows: &Repeated) -> Result<()> {
        let numbers: Vec<u32> = rows.dictionary().iter().map(|text| self.dictionary.number(text)).collect();
        for run in rows.runs() {
            let text = numbers.get(run.text as usize).copied().unwrap_or(Run::NULL);
            match self.runs.last_mut() {
                Some(last) if last.text == text => last.rows += run.rows,
                _ => self.runs.push(Run { text, rows: run.rows }),
            }
        }
        self.page_rows += rows.len();
        if self.page_rows >= PAGE_ROWS { self.end_page() } else { Ok(()) }
    }

    fn is_nullable(&self) -> bool {
        self.column.max_def_level() > 0
    }

    /// Makes a page of the rows that wait.
    fn end_page(&mut self) -> Result<()> {
        let (rows, nulls) = (self.page_rows, nulls(&self.runs));
        let body = self.page_body();
        let (extremes, text_bytes) = self.look_at_page();
        let levels = self.column_levels(rows as u64, nulls);
        let uncompressed = body.len();
        let page = Page::DataPage {
            buf: self.compressor.compress(&body)?.into(),
            num_values: count(rows)?,
            encoding: Encoding::RLE_DICTIONARY,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let written = SerializedPageWriter::new(&mut self.pages).write_page(CompressedPage::new(page, uncompressed))?;
        let told = &mut self.told;
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        told.offsets.append_row_count(signed(rows as u64));
        told.offsets
            .append_offset_and_size(signed(written.offset), i32::try_from(written.compressed_size).unwrap_or(i32::MAX));
        if self.with_extremes {
            told.offsets.append_unencoded_byte_array_data_bytes(Some(text_bytes));
            let (least, greatest) = extremes.clone().unwrap_or_default();
            let (least, greatest) = (shortened(&least), lengthened(&greatest));
            told.index.append(extremes.is_none(), least, greatest, signed(nulls), None);
            told.index.append_histograms(&None, &levels);
            widen(&mut self.told.extremes, extremes);
        }
        let told = &mut self.told;
        told.rows += rows as u64;
        told.nulls += nulls;
        told.pages += 1;
        told.uncompressed += written.uncompressed_size;
        told.text_bytes += text_bytes;
        self.runs.clear();
        self.page_rows = 0;
        Ok(())
    }

    /// Levels, where rows may be null, and numbers.
    fn page_body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        if self.is_nullable() {
            let mut levels = Hybrid::new(1, vec![0; 4]);
            self.runs.iter().for_each(|run| levels.push(u32::from(run.text != Run::NULL), run.rows));
            body = levels.finish();
            let length = u32::try_from(body.len().saturating_sub(4)).unwrap_or(u32::MAX).to_le_bytes();
            body.iter_mut().zip(length).for_each(|(place, byte)| *place = byte);
        }
        let largest = self.runs.iter().map(|run| run.text).filter(|text| *text != Run::NULL).max().unwrap_or_default();
        let width = width(largest);
        body.extend_from_slice(width.to_le_bytes().get(..1).unwrap_or_default());
        let mut numbers = Hybrid::new(width, body);
        // Runs of the same text with nulls between are one run of values.
        let mut values: Option<Run> = None;
        for run in self.runs.iter().filter(|run| run.text != Run::NULL) {
            match &mut values {
                Some(same) if same.text == run.text => same.rows += run.rows,
                other => {
                    if let Some(done) = other.replace(*run) {
                        numbers.push(done.text, done.rows);
                    }
                }
            }
        }
        if let Some(last) = values {
            numbers.push(last.text, last.rows);
        }
        numbers.finish()
    }

    /// The least and the greatest text of the page, and the bytes of all.
    #[allow(clippy::type_complexity, reason = "what is kept of it is kept apart")]
    fn look_at_page(&self) -> (Option<(Vec<u8>, Vec<u8>)>, i64) {
        if !self.with_extremes {
            return (None, 0);
        }
        let mut seen = vec![false; self.dictionary.len()];
        let mut bytes = 0;
        let mut extremes: Option<(&[u8], &[u8])> = None;
        for run in self.runs.iter().filter(|run| run.text != Run::NULL) {
            let text = self.dictionary.get(run.text);
            bytes += text.len() * run.rows as usize;
            let Some(seen) = seen.get_mut(run.text as usize) else { continue };
            if !std::mem::replace(seen, true) {
                extremes = Some(extremes.map_or((text, text), |(least, most)| (least.min(text), most.max(text))));
            }
        }
        let kept = extremes.map(|(least, greatest)| (least.to_vec(), greatest.to_vec()));
        (kept, i64::try_from(bytes).unwrap_or(i64::MAX))
    }

    /// How many rows have which definition level; none where all have the same.
    fn column_levels(&self, rows: u64, nulls: u64) -> Option<LevelHistogram> {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.is_nullable().then(|| LevelHistogram::from(vec![signed(nulls), signed(rows - nulls)]))
    }

    /// Ends the column. Returns its bytes, and what the footer says of them.
    ///
    /// # Errors
    /// When no page can be made of what is left.
    pub fn close(mut self) -> Result<(Vec<u8>, ColumnCloseResult)> {
        if self.page_rows > 0 || self.told.pages == 0 {
            self.end_page()?;
        }
        let (mut chunk, dictionary_bytes) = self.dictionary_page()?;
        let dictionary_size = chunk.len();
        let levels = self.column_levels(self.told.rows, self.told.nulls);
        chunk.append(&mut self.pages.into_inner()?);
        let signed = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let stats = |page_type, encoding, count| PageEncodingStats { page_type, encoding, count };
        let mut metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(Compression::ZSTD(super::file::zstd_level()?))
            .set_encodings_mask(EncodingMask::new_from_encodings(
                [Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY].iter(),
            ))
            .set_page_encoding_stats(vec![
                stats(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1),
                stats(PageType::DATA_PAGE, Encoding::RLE_DICTIONARY, self.told.pages),
            ])
            .set_total_compressed_size(signed(chunk.len()))
            .set_total_uncompressed_size(signed(self.told.uncompressed + dictionary_bytes))
            .set_num_values(i64::try_from(self.told.rows).unwrap_or(i64::MAX))
            .set_data_page_offset(0);
        if self.with_extremes {
            metadata = metadata
                .set_statistics(statistics(self.told.extremes.as_ref(), self.told.nulls))
                .set_unencoded_byte_array_data_bytes(Some(self.told.text_bytes))
                .set_definition_level_histogram(levels);
        }
        let closed = ColumnCloseResult {
            bytes_written: chunk.len() as u64,
            rows_written: self.told.rows,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: self.with_extremes.then(|| self.told.index.build()).transpose()?,
            offset_index: Some(self.told.offsets.build()),
        };
        Ok((chunk, closed.update_dictionary_location(dictionary_size)?))
    }

    /// The page that pages of numbers refer to, and its size before it was compressed.
    fn dictionary_page(&mut self) -> Result<(Vec<u8>, usize)> {
        let mut body = Vec::with_capacity(self.dictionary.text_bytes() + 4 * self.dictionary.len());
        for text in self.dictionary.iter() {
            body.extend_from_slice(&count(text.len())?.to_le_bytes());
            body.extend_from_slice(text);
        }
        let page = Page::DictionaryPage {
            buf: self.compressor.compress(&body)?.into(),
            num_values: count(self.dictionary.len())?,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let mut out = TrackedWrite::new(Vec::new());
        let written = SerializedPageWriter::new(&mut out).write_page(CompressedPage::new(page, body.len()))?;
        Ok((out.into_inner()?, written.uncompressed_size))
    }
}

fn count(number: usize) -> Result<u32> {
    u32::try_from(number).map_err(|_| ParquetError::General("a page is too large".to_owned()))
}

fn nulls(runs: &[Run]) -> u64 {
    runs.iter().filter(|run| run.text == Run::NULL).map(|run| u64::from(run.rows)).sum()
}

fn widen(all: &mut Option<(Vec<u8>, Vec<u8>)>, page: Option<(Vec<u8>, Vec<u8>)>) {
    let Some((least, greatest)) = page else { return };
    match all {
        Some((all_least, all_greatest)) => {
            if least < *all_least {
                *all_least = least;
            }
            if greatest > *all_greatest {
                *all_greatest = greatest;
            }
        }
        None => *all = Some((least, greatest)),
    }
}

/// A text that is not greater, of a bounded length.
fn shortened(text: &[u8]) -> Vec<u8> {
    let end = (0..=text.len().min(EXTREME_BYTES)).rev().find(|end| is_boundary(text, *end)).unwrap_or_default();
    text.get(..end).unwrap_or_default().to_vec()
}

/// A text that is not less: its length is bounded where its last character of seven bits can be made the next one.
fn lengthened(text: &[u8]) -> Vec<u8> {
    let mut short = shortened(text);
    if short.len() == text.len() {
        return short;
    }
    while let Some(last) = short.pop() {
        if last < 0x7f {
            short.push(last + 1);
            return short;
        }
    }
    text.to_vec()
}

/// Whether no character goes on there.
fn is_boundary(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| byte & 0xc0 != 0x80)
}

/// Of a row group.
fn statistics(extremes: Option<&(Vec<u8>, Vec<u8>)>, nulls: u64) -> Statistics {
    let kept = extremes.map(|(least, greatest)| {
        let (short, long) = (shortened(least), lengthened(greatest));
        let exact = (short == *least, long == *greatest);
        ((ByteArray::from(short), ByteArray::from(long)), exact)
    });
    let (least, greatest) = kept.clone().map(|(values, _)| values).unzip();
    let (is_least, is_greatest) = kept.map_or((true, true), |(_, exact)| exact);
    ValueStatistics::new(least, greatest, None, Some(nulls), false)
        .with_min_is_exact(is_least)
        .with_max_is_exact(is_greatest)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_that_are_cut_hold_what_they_bound() {
        let long = "ä".repeat(40);
        for text in ["", "abc", &"a".repeat(64), &"b".repeat(65), &long, &format!("{}{long}", "z".repeat(20))] {
            let (least, greatest) = (shortened(text.as_bytes()), lengthened(text.as_bytes()));
            assert!(least.as_slice() <= text.as_bytes() && text.as_bytes() <= greatest.as_slice(), "{text}");
            assert!(least.len() <= EXTREME_BYTES);
            assert!(std::str::from_utf8(&least).is_ok() && std::str::from_utf8(&greatest).is_ok(), "{text}");
        }
        assert_eq!(lengthened("b".repeat(65).as_bytes()), [&[b'b'; 63][..], b"c"].concat());
    }
}
