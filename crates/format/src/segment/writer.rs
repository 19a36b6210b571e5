//! Writes one segment's frames to any `Write`. Names, sealing and rotation are the store's business.

use std::io::{self, Write};

use super::block::{BlockBuilder, MAX_RAW_LEN};
use super::footer::{self, Totals};
use super::meta::SegmentMeta;
use crate::record::layout::Le as _;

/// Writes one segment.
pub struct SegmentWriter<W: Write> {
    out: W,
    compressor: zstd::bulk::Compressor<'static>,
    header_frame: Vec<u8>,
    index: Vec<u8>,
    totals: Totals,
    payload: Vec<u8>,
    frames: Vec<u8>,
}

impl<W: Write> SegmentWriter<W> {
    /// Begins a segment: writes its header.
    ///
    /// # Errors
    /// When `out` refuses, or the compression level is none.
    pub fn create(mut out: W, meta: &SegmentMeta, compression_level: i32) -> io::Result<Self> {
        let mut header_frame = Vec::new();
        meta.encode(&mut header_frame);
        out.write_all(&header_frame)?;
        Ok(Self {
            out,
            compressor: zstd::bulk::Compressor::new(compression_level)?,
            totals: Totals { file_bytes: header_frame.len() as u64, ..Totals::default() },
            header_frame,
            index: Vec::new(),
            payload: Vec::new(),
            frames: Vec::new(),
        })
    }

    /// Writes one block. `lost` and `dropped` are counted over the whole capture; `flush_end` says that everything
    /// captured up to now has been written.
    ///
    /// # Errors
    /// When the output refuses. Nothing is counted then: cut the output back to [`Totals::file_bytes`] and the same block
    /// can be written again.
    pub fn write_block(&mut self, block: &BlockBuilder, lost: u64, dropped: u64, flush_end: bool) -> io::Result<()> {
        if block.is_empty() {
            return Ok(());
        }
        if block.len_bytes() > MAX_RAW_LEN {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "block is larger than the format allows"));
        }
        self.payload.clear();
        self.payload.reserve(zstd::zstd_safe::compress_bound(block.len_bytes()));
        self.compressor.compress_to_buffer(block.raw(), &mut self.payload)?;
        let mut header = block.header(self.totals.blocks, self.totals.records, &self.payload);
        (header.lost, header.dropped, header.flush_end) = (lost, dropped, flush_end);
        self.frames.clear();
        let header_len = header.encode(&mut self.frames);
        self.frames.extend_from_slice(&self.payload);
        self.out.write_all(&self.frames)?;

        self.totals.file_bytes.put(&mut self.index);
        self.index.extend_from_slice(self.frames.get(..header_len).unwrap_or_default());
        self.totals.file_bytes += self.frames.len() as u64;
        self.totals.blocks += 1;
        self.totals.records += u64::from(block.record_count());
        self.totals.raw_bytes += block.len_bytes() as u64;
        for (kind, count) in block.kind_counts() {
            self.totals.add_kind(kind, count);
        }
        Ok(())
    }

    /// Sums so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The output.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Writes footer and trailer. On an error nothing is counted, as in [`Self::write_block`].
    pub(crate) fn write_footer(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        footer::encode(&mut bytes, self.totals.file_bytes, &self.header_frame, &self.index, &self.totals);
        self.out.write_all(&bytes)?;
        self.totals.file_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Ends the segment: writes footer and trailer, gives the output back.
    ///
    /// # Errors
    /// When the output refuses.
    pub fn finish(mut self) -> io::Result<(W, Totals)> {
        self.write_footer()?;
        Ok((self.out, self.totals))
    }
}
