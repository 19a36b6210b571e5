//! The segment header: who recorded what, where, when, and in which layout.

use super::frame;
use crate::record::Comm;
use crate::record::layout::layout;

/// Opens the content of a segment header frame: `CTSEGHDR`.
pub const SEGMENT_MAGIC: u64 = u64::from_le_bytes(*b"CTSEGHDR");

/// Format version this program writes; a reader refuses a higher major version.
pub const MAJOR: u16 = 1;
/// Minor version: additions that older readers may ignore.
pub const MINOR: u16 = 0;

/// Longest metadata blob, bytes.
pub const MAX_META_LEN: usize = 1 << 20;

/// Longest segment header frame, bytes.
pub(crate) const MAX_HEADER_FRAME: usize = MAX_META_LEN + 256;

layout! {
    /// Fixed part of the segment header; the bincode blob follows.
    pub struct SegmentHeaderFixed {
        /// [`SEGMENT_MAGIC`].
        magic: u64,
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
        /// Length of the metadata blob, bytes.
        meta_len: u32,
        /// Features a reader may ignore, one bit each; none yet.
        compat: u64,
        /// Features a reader must know, one bit each; none yet.
        incompat: u64,
        /// Number of the segment in its capture, from 0.
        sequence: u64,
        /// Clock anchor: `CLOCK_BOOTTIME`, ns.
        boottime_ns: u64,
        /// Clock anchor: `CLOCK_REALTIME`, ns since 1970-01-01 UTC.
        realtime_ns: i64,
        /// Capture id, random.
        capture_id: Comm,
    }
}

/// CLOCK_BOOTTIME and CLOCK_REALTIME read together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ClockAnchor {
    /// `CLOCK_BOOTTIME`, ns.
    pub boottime_ns: u64,
    /// `CLOCK_REALTIME`, ns since 1970-01-01 UTC.
    pub realtime_ns: i64,
}

/// One kind of the schema table.
#[derive(Debug, Clone, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct SchemaKind {
    /// Kind number.
    pub kind: u16,
    /// Kind name.
    pub name: String,
    /// Length of the fixed part, bytes.
    pub fixed_len: u16,
    /// Fields of the fixed part.
    pub fields: Vec<SchemaField>,
    /// Names of the byte strings after it, in order.
    pub strings: Vec<String>,
}

/// One field of the schema table.
#[derive(Debug, Clone, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct SchemaField {
    /// Field name.
    pub name: String,
    /// `u16`, `u32`, `u64`, `i32`, `i64` or `bytes16`.
    pub ty: String,
    /// Bytes from the start of the fixed part.
    pub offset: u16,
    /// Size in bytes.
    pub size: u16,
}

/// What the segment header says; a copy of it is in the footer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentMeta {
    /// Random id of the capture, the same in all its segments.
    pub capture_id: [u8; 16],
    /// Number of the segment in its capture, from 0.
    pub sequence: u64,
    /// Host name.
    pub host: String,
    /// Boot id of the host (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// Kernel release.
    pub kernel: String,
    /// Machine architecture as uname(2) tells it.
    pub arch: String,
    /// Program and version that wrote it.
    pub tool: String,
    /// Filters in force, as the user gave them.
    pub filters: Vec<String>,
    /// Clock anchor when the segment began.
    pub clock: ClockAnchor,
    /// Layouts of the record kinds.
    pub schema: Vec<SchemaKind>,
}

/// The part of [`SegmentMeta`] that is a bincode blob.
#[derive(bincode::Encode, bincode::Decode)]
struct MetaBlob {
    host: String,
    boot_id: String,
    kernel: String,
    arch: String,
    tool: String,
    filters: Vec<String>,
    schema: Vec<SchemaKind>,
}

/// Why bytes are not a segment header that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Not one at all, or damaged.
    Damaged,
    /// Of a version this program does not read.
    Version { major: u16 },
    /// Needs features this program does not know.
    Features { incompat: u64 },
}

impl SegmentMeta {
    /// Appends the header frame; returns its length. What does not fit [`MAX_META_LEN`] is left out, filters first.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> usize {
        let blob = |filters: Vec<String>, schema: Vec<SchemaKind>| {
            let blob = MetaBlob {
                host: self.host.clone(),
                boot_id: self.boot_id.clone(),
                kernel: self.kernel.clone(),
                arch: self.arch.clone(),
                tool: self.tool.clone(),
                filters,
                schema,
            };
            bincode::encode_to_vec(blob, bincode::config::standard()).unwrap_or_default()
        };
        let mut meta = blob(self.filters.clone(), self.schema.clone());
        if meta.len() > MAX_META_LEN {
            meta = blob(Vec::new(), self.schema.clone());
        }
        let fixed = SegmentHeaderFixed {
            magic: SEGMENT_MAGIC,
            major: MAJOR,
            minor: MINOR,
            meta_len: u32::try_from(meta.len()).unwrap_or(u32::MAX),
            compat: 0,
            incompat: 0,
            sequence: self.sequence,
            boottime_ns: self.clock.boottime_ns,
            realtime_ns: self.clock.realtime_ns,
            capture_id: self.capture_id,
        };
        frame::encode(out, |out| {
            fixed.encode(out);
            out.extend_from_slice(&meta);
        })
    }

    /// Decodes a whole header frame.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let content = frame::content(bytes).ok_or(HeaderError::Damaged)?;
        let fixed = SegmentHeaderFixed::decode(content);
        if fixed.magic != SEGMENT_MAGIC {
            return Err(HeaderError::Damaged);
        }
        if fixed.major != MAJOR {
            return Err(HeaderError::Version { major: fixed.major });
        }
        if fixed.incompat != 0 {
            return Err(HeaderError::Features { incompat: fixed.incompat });
        }
        let meta_len = usize::try_from(fixed.meta_len).map_err(|_| HeaderError::Damaged)?;
        let blob = content.get(SegmentHeaderFixed::SIZE..SegmentHeaderFixed::SIZE + meta_len.min(MAX_META_LEN));
        let config = bincode::config::standard().with_limit::<MAX_META_LEN>();
        let (blob, _) = bincode::decode_from_slice::<MetaBlob, _>(blob.ok_or(HeaderError::Damaged)?, config)
            .map_err(|_| HeaderError::Damaged)?;
        Ok(Self {
            capture_id: fixed.capture_id,
            sequence: fixed.sequence,
            host: blob.host,
            boot_id: blob.boot_id,
            kernel: blob.kernel,
            arch: blob.arch,
            tool: blob.tool,
            filters: blob.filters,
            clock: ClockAnchor { boottime_ns: fixed.boottime_ns, realtime_ns: fixed.realtime_ns },
            schema: blob.schema,
        })
    }
}
