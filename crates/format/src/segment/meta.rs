//! What a segment says about its capture, and its form as the metadata blob of the segment header.
//!
//! The blob is bincode 2 with fixed-size little-endian integers: a string is a u64 length and its bytes, a list a u64
//! count and its items. It holds, in this order: host, boot_id, kernel, arch, tool, filters, schema; from minor
//! version 1 on, what was selected. A reader ignores bytes after what it knows, so a newer minor version appends. Capture id, sequence and clock are fixed fields of the
//! segment header and not in here.

use super::MAX_META_BYTES;
use super::frame::u64_at;
use crate::record::{ArgvMode, KINDS, PrivacyMode, Protocol, Wanted};
use std::sync::{Arc, Mutex};

/// `CLOCK_BOOTTIME` and `CLOCK_REALTIME` read together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct ClockAnchor {
    /// `CLOCK_BOOTTIME`, ns.
    pub boottime_ns: u64,
    /// `CLOCK_REALTIME`, ns since 1970-01-01 UTC.
    pub realtime_ns: i64,
}

/// One kind of the schema table.
#[derive(Debug, Clone, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct SchemaKind {
    /// Kind number.
    pub kind: u16,
    /// Kind name.
    pub name: String,
    /// Size of the fixed part in bytes.
    pub fixed_len: u16,
    /// Fields of the fixed part in order.
    pub fields: Vec<SchemaField>,
    /// Byte strings in order; the length of string `s` is the field `s_len`.
    pub strings: Vec<String>,
}

/// One field of a fixed part.
#[derive(Debug, Clone, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct SchemaField {
    /// Field name.
    pub name: String,
    /// `u16`, `u32`, `u64`, `i32`, `i64` or `bytes16`; all little-endian.
    pub ty: String,
    /// Bytes from the start of the fixed part.
    pub offset: u16,
    /// Size in bytes.
    pub size: u16,
}

/// What was selected, as values. Of a recording made before minor version 1 it is what its options say in words, see
/// [`Selected::from_options`].
#[derive(Debug, Clone, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct Selected {
    /// Hellos from the network, of the protocols of `wire`.
    pub tls: Wanted,
    /// Handshakes and their configuration, from calls into libraries.
    pub library_calls: Wanted,
    /// What is asked of the kernel's own crypto.
    pub kernel_crypto: Wanted,
    /// What io_uring opens.
    pub io_uring: Wanted,
    /// Algorithms that programs ask libraries for, counted.
    pub algorithms: Wanted,
    /// How much of a core the probes of `algorithms` may cost together, in billionths; 0 when they are not wanted.
    pub algorithms_budget_ppb: u64,
    /// Only these processes.
    pub pids: Vec<u32>,
    /// Only processes whose name contains one of these.
    pub names: Vec<String>,
    /// Only processes of these users.
    pub uids: Vec<u32>,
    /// Only processes in or below these cgroups, as paths.
    pub cgroups: Vec<String>,
    /// With `pids` or `names`: their descendants too.
    pub follow_children: bool,
    /// Only this command and what it starts: as many of its words as `argv` allows, with spaces between them.
    pub command: Option<String>,
    /// Only opens of files that match one of these globs, instead of those the catalog knows.
    pub files: Vec<String>,
    /// Only libraries whose file name contains one of these.
    pub libraries: Vec<String>,
    /// Server names and addresses.
    pub privacy: PrivacyMode,
    /// Arguments of processes.
    pub argv: ArgvMode,
    /// How many bytes of events each process may have recorded each second; 0: any number.
    pub process_rate: Option<u64>,
    /// The same of all processes of a user; of root's, of each cgroup.
    pub user_rate: Option<u64>,
    /// Whose hellos are recorded, as [`Protocol::bit`]s. 0: made before minor version 2, when it was TLS alone.
    pub wire: u16,
}

impl Selected {
    /// Whether hellos of a protocol are looked for, where `tls` says that any are.
    pub fn looks_for(&self, protocol: Protocol) -> bool {
        if self.wire == 0 { protocol == Protocol::TLS } else { self.wire & protocol.bit() != 0 }
    }
}

/// Codes are u16.
macro_rules! encode_codes {
    ($($code:ident),*) => {$(
        impl bincode::Encode for $code {
            fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
                self.0.encode(encoder)
            }
        }
        impl<C> bincode::Decode<C> for $code {
            fn decode<D: bincode::de::Decoder<Context = C>>(from: &mut D) -> Result<Self, bincode::error::DecodeError> {
                u16::decode(from).map(Self)
            }
        }
        bincode::impl_borrow_decode!($code);
    )*};
}

encode_codes!(Wanted, PrivacyMode, ArgvMode);

/// What the segment header says; a copy is in the footer.
#[derive(Debug, Clone, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct SegmentMeta {
    /// Random, the same in all segments of a capture.
    pub capture_id: [u8; 16],
    /// 0 for the first segment of a capture.
    pub sequence: u64,
    /// Name of the traced host.
    pub host: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Kernel release.
    pub kernel: String,
    /// Machine, as `uname -m` says it.
    pub arch: String,
    /// For example `crypto-trace-capture 0.1.0`.
    pub tool: String,
    /// Filters in force, as the user gave them, for example `--pid 12`.
    pub filters: Vec<String>,
    /// The same as values.
    pub selected: Box<Selected>,
    /// Clocks at the start of the segment.
    pub clock: ClockAnchor,
    /// Record layouts of the writer, see [`schema_table`]. Segments that follow each other share it.
    pub schema: Arc<[SchemaKind]>,
}

impl SegmentMeta {
    /// Whether it stands for a segment header that is lost, and says nothing.
    pub fn is_placeholder(&self) -> bool {
        *self == Self::default()
    }

    /// Tells this segment's blocks from any other's: capture id halves and sequence, xored.
    pub(crate) fn segment_tag(&self) -> u64 {
        u64_at(&self.capture_id, 0) ^ u64_at(&self.capture_id, 8) ^ self.sequence
    }
}

/// The schema table of this version's record kinds.
pub fn schema_table() -> Arc<[SchemaKind]> {
    let short = |size: usize| u16::try_from(size).unwrap_or(u16::MAX);
    KINDS
        .iter()
        .map(|layout| SchemaKind {
            kind: layout.kind,
            name: layout.name.to_owned(),
            fixed_len: short(layout.fixed_len),
            fields: layout
                .fields
                .iter()
                .map(|field| SchemaField {
                    name: field.name.to_owned(),
                    ty: field.ty.to_owned(),
                    offset: short(field.offset),
                    size: short(field.size),
                })
                .collect(),
            strings: layout.strings.iter().map(|&string| string.to_owned()).collect(),
        })
        .collect()
}

/// The blob of minor version 0: what of [`SegmentMeta`] has no fixed place. [`Selected`] comes behind it.
#[derive(bincode::Encode, bincode::Decode)]
struct Blob {
    host: String,
    boot_id: String,
    kernel: String,
    arch: String,
    tool: String,
    filters: Vec<String>,
    schema: Vec<SchemaKind>,
}

/// How many bytes [`Selected::wire`] takes.
const WIRE_BYTES: usize = 2;

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_fixed_int_encoding().with_limit::<MAX_META_BYTES>()
}

/// The schema in one place for all segments of it that are opened in a row: it takes 20 KB, more than the rest of what is kept
/// of a small segment, and a thousand segments of a capture have the same.
fn shared(schema: Vec<SchemaKind>) -> Arc<[SchemaKind]> {
    static LATEST: Mutex<Option<Arc<[SchemaKind]>>> = Mutex::new(None);
    let Ok(mut latest) = LATEST.lock() else { return schema.into() };
    match &*latest {
        Some(same) if **same == *schema => Arc::clone(same),
        _ => Arc::clone(latest.insert(schema.into())),
    }
}

/// Encodes the blob; `None` when it is larger than a reader accepts.
pub(crate) fn encode_blob(meta: &SegmentMeta) -> Option<Vec<u8>> {
    let meta = meta.clone();
    let blob = Blob {
        host: meta.host,
        boot_id: meta.boot_id,
        kernel: meta.kernel,
        arch: meta.arch,
        tool: meta.tool,
        filters: meta.filters,
        schema: meta.schema.to_vec(),
    };
    let mut bytes = bincode::encode_to_vec(&blob, config()).ok()?;
    bytes.extend(bincode::encode_to_vec(&meta.selected, config()).ok()?);
    // Decoding counts in-memory sizes against the limit, so only a trial tells whether a reader will take it.
    decode_blob(&bytes)?;
    (bytes.len() <= MAX_META_BYTES).then_some(bytes)
}

/// Decodes what was selected, as minor versions 1 and, with `wire` at its end, 2 have it.
fn decode_selected(bytes: &[u8]) -> Option<Box<Selected>> {
    let decode = |bytes: &[u8]| bincode::decode_from_slice::<Selected, _>(bytes, config()).ok();
    let of_minor_1 = || {
        let padded = [bytes, &[0; WIRE_BYTES]].concat();
        decode(&padded).filter(|(_, len)| *len == padded.len())
    };
    decode(bytes).or_else(of_minor_1).map(|(selected, _)| Box::new(selected))
}

/// Decodes the blob; capture id, sequence and clock are left zero.
pub(crate) fn decode_blob(bytes: &[u8]) -> Option<SegmentMeta> {
    let (blob, len): (Blob, usize) = bincode::decode_from_slice(bytes, config()).ok()?;
    let selected = match bytes.get(len..)? {
        [] => Box::new(Selected::from_options(&blob.filters)),
        rest => decode_selected(rest)?,
    };
    Some(SegmentMeta {
        host: blob.host,
        boot_id: blob.boot_id,
        kernel: blob.kernel,
        arch: blob.arch,
        tool: blob.tool,
        filters: blob.filters,
        selected,
        schema: shared(blob.schema),
        ..SegmentMeta::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(filters: &[&str]) -> SegmentMeta {
        let filters = filters.iter().map(|&text| text.to_owned()).collect();
        SegmentMeta { filters, schema: schema_table(), ..SegmentMeta::default() }
    }

    /// What a writer of minor version 0 made of it.
    fn encode_without_selected(meta: &SegmentMeta) -> Vec<u8> {
        let whole = encode_blob(meta).expect("small");
        let selected = bincode::encode_to_vec(&meta.selected, config()).expect("small").len();
        whole[..whole.len() - selected].to_vec()
    }

    #[test]
    fn values_are_read_back_whatever_the_options_say() {
        let selected = Selected {
            tls: Wanted::DEFAULT_OFF,
            algorithms: Wanted(77),
            pids: vec![1, u32::MAX],
            command: Some(String::new()),
            user_rate: Some(0),
            ..Selected::default()
        };
        let meta = SegmentMeta { selected: Box::new(selected), ..meta(&["--tls off", "-- ./x"]) };
        let bytes = encode_blob(&meta).expect("small");
        assert_eq!(decode_blob(&bytes), Some(meta.clone()));
        let newer = [&bytes[..], &[1, 2, 3]].concat();
        assert_eq!(decode_blob(&newer), Some(meta), "what a newer version appends");
    }

    #[test]
    fn what_recordings_made_before_selected_is_in_their_options() {
        let old = meta(&["--tls off", "--argv exe", "-- ./x"]);
        let read = decode_blob(&encode_without_selected(&old)).expect("an old one");
        assert_eq!(*read.selected, Selected::from_options(&old.filters));
        assert_eq!((read.selected.tls, read.selected.argv), (Wanted::OFF, ArgvMode::EXE));
        assert_eq!(SegmentMeta { selected: Box::default(), ..read }, old);
    }

    #[test]
    fn values_that_end_too_early_are_damage() {
        let meta = meta(&["--pid 1"]);
        let (bytes, old) = (encode_blob(&meta).expect("small"), encode_without_selected(&meta).len());
        for len in 0..bytes.len() {
            let of_minor_1 = bytes.len() - WIRE_BYTES;
            let expected = len == old || len == of_minor_1;
            assert_eq!(decode_blob(&bytes[..len]).is_some(), expected, "{len} of {} bytes", bytes.len());
        }
    }

    #[test]
    fn what_was_recorded_before_there_were_other_protocols_is_of_tls() {
        let selected = Selected { user_rate: Some(7), wire: Protocol::ALL, ..Selected::default() };
        let bytes = encode_blob(&SegmentMeta { selected: Box::new(selected), ..meta(&[]) }).expect("small");
        let looks = |bytes: &[u8]| {
            let selected = decode_blob(bytes).expect("readable").selected;
            (selected.user_rate, selected.looks_for(Protocol::TLS), selected.looks_for(Protocol::SSH))
        };
        assert_eq!(looks(&bytes), (Some(7), true, true));
        assert_eq!(looks(&bytes[..bytes.len() - WIRE_BYTES]), (Some(7), true, false));
    }
}
