//! Records: the bytes a BPF program writes, from the ring buffer to the segment to the analyzer, never re-encoded.
//!
//! A record is a 64-byte [`Header`], a fixed part by kind, byte strings, and zero padding to 8 bytes:
//!
//! ```text
//! 0        64              64+fixed_len                     len
//! ┌────────┬───────────────┬──────────┬──────────┬───┬──────┐
//! │ Header │ fixed part    │ string 0 │ string 1 │ … │ pad  │
//! └────────┴───────────────┴──────────┴──────────┴───┴──────┘
//! ```
//!
//! This module reads and writes single records and walks the records of a block. It knows neither files nor compression.
//! Everything it is given is untrusted: no byte sequence panics or allocates.

mod codes;
mod kinds;
mod kinds_of_capture;
pub(crate) mod layout;
mod paths;

pub use codes::*;
pub use kinds::*;
pub use kinds_of_capture::*;
pub use layout::{Comm, FieldLayout, KindLayout};

/// Length of the record header in bytes.
pub const HEADER_LEN: usize = Header::SIZE;

/// Longest record a reader accepts, in bytes. Writers stay far below it (four strings of at most `PATH_MAX`).
pub const MAX_RECORD_LEN: usize = 64 * 1024;

/// Highest kind number a block's 64-bit kind bitmap can hold; higher kinds set its top bit.
pub const MAX_BITMAP_KIND: u16 = 63;

/// A record kind. Unknown numbers are carried along, so that a reader can count and skip them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u16);

impl Kind {
    /// Name as users see it, `None` for a kind this version does not know.
    pub fn name(self) -> Option<&'static str> {
        KINDS.iter().find(|layout| layout.kind == self.0).map(|layout| layout.name)
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        KINDS.iter().find(|layout| layout.name == name).map(|layout| Self(layout.kind))
    }

    /// What the analyzer calls an event made of such records: as the kind, but for hellos, which are shown as handshakes.
    pub fn event_type(self) -> &'static str {
        match self {
            TlsHello::KIND => "tls_handshake",
            SshHandshake::KIND => "ssh_handshake",
            IkeHandshake::KIND => "ike_handshake",
            WireguardHandshake::KIND => "wireguard_handshake",
            _ => self.name().unwrap_or("unknown"),
        }
    }

    /// What events are of: the kinds of records, and those that stand for what else hellos are shown as.
    pub fn shown() -> impl Iterator<Item = Self> {
        let mut kinds: Vec<Self> = KINDS.iter().map(|layout| Self(layout.kind)).collect();
        let after = kinds.iter().position(|kind| *kind == TlsHello::KIND).map_or(kinds.len(), |at| at + 1);
        kinds.splice(after..after, HANDSHAKES);
        kinds.into_iter()
    }

    /// The kind of the records behind such events.
    pub fn recorded(self) -> Self {
        if HANDSHAKES.contains(&self) { TlsHello::KIND } else { self }
    }

    /// Whether BPF programs write records of this kind, into a C struct: what is seen happening.
    pub const fn is_from_bpf(self) -> bool {
        matches!(self.0, 1..=15)
    }

    /// Whether records of this kind are about the capture itself, not about a process.
    pub const fn is_about_capture(self) -> bool {
        matches!(self.0, 17..=31)
    }

    /// Whether records of this kind go into lifecycle blocks, which the analyzer's first pass reads: everything about
    /// processes and about the capture itself.
    pub const fn is_lifecycle(self) -> bool {
        matches!(self.0, 1..=3 | 16) || self.is_about_capture()
    }

    /// This kind's bit in a block's kind bitmap.
    pub const fn bit(self) -> u64 {
        1 << if self.0 < MAX_BITMAP_KIND { self.0 } else { MAX_BITMAP_KIND }
    }
}

/// What hellos of SSH are shown as: the number stands for that where events are told apart by kind. No record has it: all hellos
/// are of one kind, and tell their protocol.
#[derive(Debug)]
pub struct SshHandshake;

impl SshHandshake {
    /// The highest number that has a bit of its own.
    pub const KIND: Kind = Kind(MAX_BITMAP_KIND - 1);
}

/// What hellos of IKE are shown as, in the same way.
#[derive(Debug)]
pub struct IkeHandshake;

impl IkeHandshake {
    /// The number below that of SSH.
    pub const KIND: Kind = Kind(SshHandshake::KIND.0 - 1);
}

/// What those of WireGuard are shown as, in the same way.
#[derive(Debug)]
pub struct WireguardHandshake;

impl WireguardHandshake {
    /// The number below that of IKE.
    pub const KIND: Kind = Kind(IkeHandshake::KIND.0 - 1);
}

/// What hellos are shown as besides handshakes of TLS.
const HANDSHAKES: [Kind; 3] = [SshHandshake::KIND, IkeHandshake::KIND, WireguardHandshake::KIND];

/// Layouts of all kinds this version knows.
pub const KINDS: &[KindLayout] = &[
    ProcessExec::LAYOUT,
    ProcessFork::LAYOUT,
    ProcessExit::LAYOUT,
    FileOpen::LAYOUT,
    LibLoad::LAYOUT,
    TlsHello::LAYOUT,
    ApiCall::LAYOUT,
    FileChange::LAYOUT,
    ProcessInfo::LAYOUT,
    Loss::LAYOUT,
    Clock::LAYOUT,
    ProbeStatus::LAYOUT,
    SelfStats::LAYOUT,
    LibraryInfo::LAYOUT,
    Inventory::LAYOUT,
    Suppressed::LAYOUT,
    CertificateFile::LAYOUT,
];

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Fewer bytes than a header.
    #[error("{have} bytes left, a record header takes {HEADER_LEN}")]
    ShortHeader {
        /// Bytes there were.
        have: usize,
    },
    /// The length is impossible.
    #[error("record length {len} is impossible ({have} bytes left)")]
    BadLength {
        /// Length the header claims.
        len: u32,
        /// Bytes there were.
        have: usize,
    },
    /// The fixed part does not fit the record.
    #[error("fixed part of {fixed_len} bytes does not fit a record of {len} bytes")]
    BadFixedLength {
        /// Fixed length the header claims.
        fixed_len: u16,
        /// Length of the record.
        len: u32,
    },
    /// A string reaches past the end of the record.
    #[error("string `{string}` of kind {kind} reaches past the end of its record")]
    BadString {
        /// Record kind.
        kind: u16,
        /// Name of the string.
        string: &'static str,
    },
}

/// One record, borrowed from a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Decoded header.
    pub header: Header,
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the record at the start of `bytes`.
    ///
    /// # Errors
    /// [`RecordError`] when there is no whole, well-formed record there.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        if bytes.len() < HEADER_LEN {
            return Err(RecordError::ShortHeader { have: bytes.len() });
        }
        let header = Header::decode(bytes);
        let bad_length = RecordError::BadLength { len: header.len, have: bytes.len() };
        let len = header.len as usize;
        if !(HEADER_LEN..=MAX_RECORD_LEN).contains(&len) || !len.is_multiple_of(8) {
            return Err(bad_length);
        }
        let Some(record) = bytes.get(..len) else { return Err(bad_length) };
        if HEADER_LEN + usize::from(header.fixed_len) > len {
            return Err(RecordError::BadFixedLength { fixed_len: header.fixed_len, len: header.len });
        }
        Ok(Self { header, bytes: record })
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        Kind(self.header.kind)
    }

    /// The whole record.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The fixed part, as long as its writer made it.
    #[inline]
    pub fn fixed_bytes(&self) -> &'a [u8] {
        self.bytes.get(HEADER_LEN..HEADER_LEN + usize::from(self.header.fixed_len)).unwrap_or_default()
    }

    /// Strings and padding.
    #[inline]
    pub fn string_bytes(&self) -> &'a [u8] {
        self.bytes.get(HEADER_LEN + usize::from(self.header.fixed_len)..).unwrap_or_default()
    }

    /// `comm` without its padding.
    pub fn comm(&self) -> &[u8] {
        trim_comm(&self.header.comm)
    }
}

/// A comm without its NUL padding.
pub fn trim_comm(comm: &Comm) -> &[u8] {
    comm.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Walks the records of a block's raw bytes. After the first error it ends: what follows cannot be found.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// Walks `block`, the raw bytes of one data block.
    pub fn new(block: &'a [u8]) -> Self {
        Self { rest: block }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = Record::parse(self.rest);
        self.rest = match &record {
            Ok(record) => self.rest.get(record.bytes.len()..).unwrap_or_default(),
            Err(_) => &[],
        };
        Some(record)
    }
}

/// How many well-formed records `block` begins with, and how many bytes they take: what [`Records`] would yield before an
/// error, without decoding more than lengths.
pub(crate) fn well_formed_prefix(block: &[u8]) -> (u64, usize) {
    let (mut count, mut rest) = (0, block);
    while rest.len() >= HEADER_LEN {
        let len = <u32 as layout::Le>::get(rest, 0) as usize;
        let fixed_len = usize::from(<u16 as layout::Le>::get(rest, 6));
        if len > MAX_RECORD_LEN || !len.is_multiple_of(8) || HEADER_LEN + fixed_len > len {
            break;
        }
        let Some(next) = rest.get(len..) else { break };
        rest = next;
        count += 1;
    }
    (count, block.len() - rest.len())
}

#[inline]
pub(crate) fn take_string<'a>(
    strings: &mut &'a [u8],
    len: u16,
    kind: u16,
    string: &'static str,
) -> Result<&'a [u8], RecordError> {
    let (head, rest) = strings.split_at_checked(usize::from(len)).ok_or(RecordError::BadString { kind, string })?;
    *strings = rest;
    Ok(head)
}

pub(crate) fn string_len(string: &[u8], flags: &mut u16) -> u16 {
    // 60 KiB over four strings would pass MAX_RECORD_LEN; one string never needs more than PATH_MAX or the argv limit.
    const MAX_STRING: u16 = 8192;
    match u16::try_from(string.len()) {
        Ok(len) if len <= MAX_STRING => len,
        _ => {
            *flags |= flags::TRUNCATED;
            MAX_STRING
        }
    }
}

pub(crate) fn finish_record(out: &mut Vec<u8>, start: usize) {
    while !(out.len() - start).is_multiple_of(8) {
        out.push(0);
    }
    let len = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(start..start + 4) {
        field.copy_from_slice(&len.to_le_bytes());
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation)]
mod tests {
    use super::*;

    fn open_record() -> Vec<u8> {
        let mut out = Vec::new();
        let header = Header { time_ns: 7, tgid: 12, comm: *b"nginx\0\0\0\0\0\0\0\0\0\0\0", ..Header::default() };
        let fixed = FileOpenFixed { result: -2, flags: 0o2000000, dfd: -100, ..FileOpenFixed::default() };
        FileOpen { fixed, path: b"server.key", given: b"", dir: b"/etc/nginx", ..FileOpen::default() }
            .encode(header, &mut out);
        out
    }

    #[test]
    fn a_record_reads_back_as_written() {
        let bytes = open_record();
        let record = Record::parse(&bytes).expect("well formed");
        assert_eq!(record.bytes().len(), bytes.len());
        assert_eq!(record.kind(), FileOpen::KIND);
        assert_eq!(record.comm(), b"nginx");
        let open = FileOpen::decode(&record).expect("well formed");
        assert_eq!((open.fixed.result, open.fixed.dfd), (-2, -100));
        assert_eq!((open.path, open.given, open.dir), (&b"server.key"[..], &b""[..], &b"/etc/nginx"[..]));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = open_record();
        for len in 0..bytes.len() {
            assert!(Record::parse(&bytes[..len]).is_err(), "{len} bytes parsed");
        }
    }

    #[test]
    fn trailing_fields_of_a_newer_writer_are_skipped_and_missing_ones_of_an_older_read_as_zero() {
        let bytes = open_record();
        let mut longer = bytes.clone();
        longer.splice(HEADER_LEN + FileOpenFixed::SIZE..HEADER_LEN + FileOpenFixed::SIZE, [0xff; 8]);
        longer[6..8].copy_from_slice(&(FileOpenFixed::SIZE as u16 + 8).to_le_bytes());
        finish_record(&mut longer, 0);
        let record = Record::parse(&longer).expect("well formed");
        assert_eq!(FileOpen::decode(&record).expect("readable").path, b"server.key");

        let mut older = Vec::new();
        Header { kind: 3, fixed_len: 8, ..Header::default() }.encode(&mut older);
        older.extend_from_slice(&[0, 9, 0, 0, 0, 0, 0, 0]);
        finish_record(&mut older, 0);
        let exit = ProcessExit::decode(&Record::parse(&older).expect("well formed")).expect("readable");
        assert_eq!((exit.fixed.status, exit.fixed.duration_ns), (9 << 8, 0));
    }

    /// In recordings from before it was told, where the protocol is, is zero.
    #[test]
    fn a_hello_that_does_not_tell_its_protocol_is_of_tls() {
        let mut out = Vec::new();
        TlsHello { data: b"\x16\x03\x01", ..TlsHello::default() }.encode(Header::default(), &mut out);
        let hello = TlsHello::decode(&Record::parse(&out).expect("well formed")).expect("readable");
        assert_eq!((Protocol(hello.fixed.protocol), hello.data.len()), (Protocol::TLS, 3));
        let field = TlsHelloFixed::FIELDS.last().expect("fields");
        assert_eq!((field.name, field.offset + field.size), ("protocol", TlsHelloFixed::SIZE));
    }

    /// What is asked of kinds was five ranges in five places: a kind outside of all of them was neither counted nor filtered.
    #[test]
    fn every_kind_is_classified() {
        for layout in KINDS {
            let kind = Kind(layout.kind);
            assert!(layout.kind < MAX_BITMAP_KIND, "{} has no bit of its own", layout.name);
            assert!(
                kind.is_lifecycle() || kind.is_from_bpf(),
                "{} is neither an event nor a lifecycle record",
                layout.name
            );
            let of_processes = !kind.is_about_capture();
            assert_eq!(kind.is_from_bpf(), of_processes && kind != ProcessInfo::KIND, "{}", layout.name);
            assert!(Kind::from_name(layout.name) == Some(kind) && kind.event_type() != "unknown");
        }
        assert_eq!((TlsHello::KIND.event_type(), Kind(15).event_type()), ("tls_handshake", "unknown"));
    }

    #[test]
    fn kind_numbers_and_names_are_unique() {
        for (i, a) in KINDS.iter().enumerate() {
            for b in &KINDS[i + 1..] {
                assert!(a.kind != b.kind && a.name != b.name, "{} and {}", a.name, b.name);
            }
        }
    }
}
