//! Writes the frames of one segment to any `Write`. Files, names, rotation and disk errors are the store's business.

use super::block::{BlockHeader, block_header_len, encode_block_header};
use super::builder::BlockBuilder;
use super::footer::{Totals, encode_footer, push_index_entry};
use super::header::encode_header;
use super::meta::SegmentMeta;
use super::{MAX_BLOCK_RAW_BYTES, MAX_INDEX_BYTES};
use std::io;
use zstd::zstd_safe::{CCtx, CParameter, compress_bound};

/// Writes one segment's frames to any `Write`; file handling (names, sealing, rotation) is
/// [`SegmentStore`](super::SegmentStore)'s.
pub struct SegmentWriter<W: io::Write> {
    w: W,
    tag: u64,
    header_frame: Vec<u8>,
    /// Footer index so far; given up when it grows beyond [`MAX_INDEX_BYTES`].
    index: Option<Vec<u8>>,
    totals: Totals,
    compressor: Compressor,
    /// An earlier write failed, perhaps partway: what the output ends with is unknown.
    torn: bool,
}

/// A compression context and the memory it needs, kept from block to block and from segment to segment.
pub(crate) struct Compressor {
    context: CCtx<'static>,
    /// One block: header frame, then data frame.
    out: Vec<u8>,
    header: Vec<u8>,
}

impl Compressor {
    pub(crate) fn new(level: i32) -> io::Result<Self> {
        let mut context = CCtx::try_create().ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        for parameter in [CParameter::CompressionLevel(level), CParameter::ContentSizeFlag(true)] {
            context.set_parameter(parameter).map_err(zstd_error)?;
        }
        Ok(Self { context, out: Vec::new(), header: Vec::new() })
    }

    /// Makes `header` and `raw` the two frames of a block, filling in the header's length and checksum fields.
    fn compress(&mut self, header: &mut BlockHeader, tag: u64, raw: &[u8]) -> io::Result<(&[u8], &[u8])> {
        let header_len = block_header_len(header.tgids.encoded_len());
        self.out.clear();
        self.out.resize(header_len, 0);
        self.out.reserve(compress_bound(raw.len()));
        let mut cursor = io::Cursor::new(&mut self.out);
        cursor.set_position(header_len as u64);
        self.context.compress2(&mut cursor, raw).map_err(zstd_error)?;
        let (head, payload) = self.out.split_at_mut_checked(header_len).unwrap_or_default();
        let too_large = |_| io::Error::other("compressed block too large");
        header.compressed_len = u32::try_from(payload.len()).map_err(too_large)?;
        header.payload_crc = crc32c::crc32c(payload);
        self.header.clear();
        encode_block_header(header, tag, &mut self.header);
        head.copy_from_slice(&self.header);
        Ok((&self.out, &self.header))
    }
}

fn zstd_error(code: usize) -> io::Error {
    io::Error::other(format!("zstd: {}", zstd::zstd_safe::get_error_name(code)))
}

impl<W: io::Write> SegmentWriter<W> {
    /// Writes the segment header.
    ///
    /// # Errors
    /// Those of `w`; `InvalidInput` when the metadata is larger than a reader accepts.
    pub fn create(w: W, meta: &SegmentMeta, compression_level: i32) -> io::Result<Self> {
        Self::with_compressor(w, meta, Compressor::new(compression_level)?).map_err(|(error, _)| error)
    }

    /// Like [`Self::create`]; gives the compressor back on an error.
    pub(crate) fn with_compressor(
        mut w: W,
        meta: &SegmentMeta,
        compressor: Compressor,
    ) -> Result<Self, (io::Error, Compressor)> {
        let Some(header_frame) = encode_header(meta) else {
            return Err((io::Error::new(io::ErrorKind::InvalidInput, "segment metadata too large"), compressor));
        };
        if let Err(error) = w.write_all(&header_frame).and_then(|()| w.flush()) {
            return Err((error, compressor));
        }
        let totals = Totals { file_bytes: header_frame.len() as u64, ..Totals::default() };
        let tag = meta.segment_tag();
        Ok(Self { w, tag, header_frame, index: Some(Vec::new()), totals, compressor, torn: false })
    }

    /// Writes one block; `lost`/`dropped` are cumulative over the capture. An empty block is written too: its header
    /// carries them.
    ///
    /// # Errors
    /// Those of the output. Then nothing has changed but the output, which may end with part of a block; further writes
    /// are refused.
    pub fn write_block(&mut self, block: &BlockBuilder, lost: u64, dropped: u64, flush_end: bool) -> io::Result<()> {
        self.refuse_torn()?;
        let raw_len = u32::try_from(block.len_bytes()).unwrap_or(u32::MAX);
        if raw_len as usize > MAX_BLOCK_RAW_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("block of {raw_len} bytes is too large")));
        }
        let (min_time_ns, max_time_ns) = block.times();
        let mut header = BlockHeader {
            block_type: block.block_type,
            sequence: self.totals.blocks,
            first_record: self.totals.records,
            record_count: block.record_count(),
            min_time_ns,
            max_time_ns,
            raw_len,
            compressed_len: 0,
            kinds: block.kinds_bitmap(),
            tgids: block.tgid_summary(),
            lost,
            dropped,
            flush_end,
            payload_crc: 0,
        };
        let (frames, header_frame) = self.compressor.compress(&mut header, self.tag, block.raw())?;
        self.torn = true;
        self.w.write_all(frames)?;
        self.w.flush()?;
        self.torn = false;
        if let Some(index) = &mut self.index {
            push_index_entry(index, self.totals.file_bytes, header_frame);
        }
        self.index.take_if(|index| index.len() > MAX_INDEX_BYTES);
        self.totals.file_bytes += frames.len() as u64;
        block.add_to(&mut self.totals);
        Ok(())
    }

    /// Sums so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Writes footer and trailer.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<(W, Totals)> {
        self.totals.file_bytes = self.write_footer()?;
        Ok((self.w, self.totals))
    }

    /// Writes the footer and returns the segment's length with it. Changes nothing else.
    pub(crate) fn write_footer(&mut self) -> io::Result<u64> {
        self.refuse_torn()?;
        let index = self.index.as_deref().unwrap_or_default();
        let footer = encode_footer(self.tag, &self.header_frame, index, &self.totals, self.totals.file_bytes);
        // Stays so: after a footer nothing may be written, unless the output is cut back to before it.
        self.torn = true;
        self.w.write_all(&footer)?;
        self.w.flush()?;
        Ok(self.totals.file_bytes + footer.len() as u64)
    }

    fn refuse_torn(&self) -> io::Result<()> {
        if self.torn {
            return Err(io::Error::other("an earlier write to this segment failed partway"));
        }
        Ok(())
    }

    /// The output, for what only a file can do.
    pub(crate) fn output(&mut self) -> &mut W {
        &mut self.w
    }

    /// Whether the output may hold bytes beyond `totals().file_bytes`.
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
    }

    /// The caller cut the output back to `totals().file_bytes` and is positioned there.
    pub(crate) fn rewound(&mut self) {
        self.torn = false;
    }

    pub(crate) fn into_compressor(self) -> Compressor {
        self.compressor
    }
}
