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

mod kinds;
pub(crate) mod layout;
mod paths;

pub use kinds::*;
pub use layout::{Comm, FieldLayout, KindLayout};

/// Length of the record header in bytes.
pub const HEADER_LEN: usize = Header::SIZE;

/// Longest record a reader accepts, in bytes. Writers stay far below it (four strings of at most `PATH_MAX`).
pub const MAX_RECORD_LEN: usize = 64 * 1024;

/// Highest kind number a block's 64-bit kind bitmap can tell; higher kinds set its top bit.
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

    /// Whether records of this kind go into lifecycle blocks, which the analyzer's first pass reads: everything about
    /// processes and about the capture itself.
    pub fn is_lifecycle(self) -> bool {
        matches!(self.0, 1..=3 | 16..=31)
    }

    /// This kind's bit in a block's kind bitmap.
    pub fn bit(self) -> u64 {
        1 << self.0.min(MAX_BITMAP_KIND)
    }
}

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
];

/// Bits of [`Header::flags`].
pub mod flags {
    /// A string was cut at its end, or at its start for a resolved path.
    pub const TRUNCATED: u16 = 1 << 0;
    /// Leading components of a resolved path are missing; it is not absolute.
    pub const PATH_PARTIAL: u16 = 1 << 1;
    /// The path is as passed to the call: the kernel resolved none, because the call failed.
    pub const PATH_AS_PASSED: u16 = 1 << 2;
    /// `start_ns` comes from /proc and is rounded down to the clock tick (10 ms).
    pub const START_IS_TICK: u16 = 1 << 3;
    /// The file had no name any more, or never had one (deleted, `O_TMPFILE`, memfd).
    pub const UNLINKED: u16 = 1 << 4;
    /// A string could not be read from the traced process's memory.
    pub const UNREADABLE: u16 = 1 << 5;
    /// The call came through the 32-bit system call table.
    pub const COMPAT: u16 = 1 << 6;
    /// Found in /proc, not seen happening.
    pub const FROM_PROC: u16 = 1 << 7;
    /// The path matched the selection only by the name it was opened by, not by the resolved one.
    pub const MATCHED_GIVEN: u16 = 1 << 8;
    /// The path starts at a mount that is not part of the process's mount namespace (detached or lazily unmounted).
    pub const DETACHED: u16 = 1 << 9;

    /// The path is one of another mount namespace than the process's, or of a mount in none (`/proc/PID/root`, open_tree(2)).
    pub const OTHER_NAMESPACE: u16 = 1 << 10;

    /// Every flag with its name, for output.
    pub const NAMES: &[(u16, &str)] = &[
        (TRUNCATED, "truncated"),
        (PATH_PARTIAL, "path_partial"),
        (PATH_AS_PASSED, "path_as_passed"),
        (START_IS_TICK, "start_is_tick"),
        (UNLINKED, "unlinked"),
        (UNREADABLE, "unreadable"),
        (COMPAT, "compat32"),
        (FROM_PROC, "from_proc"),
        (MATCHED_GIVEN, "matched_given"),
        (DETACHED, "detached"),
        (OTHER_NAMESPACE, "other_namespace"),
    ];
}

/// Declares a numbered enum whose unknown values are kept.
macro_rules! codes {
    ($(#[$meta:meta])* pub struct $name:ident($repr:ty) { $( $(#[$vmeta:meta])* $variant:ident = $value:literal $text:literal ),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $repr);
        impl $name {
            $( $(#[$vmeta])* pub const $variant: Self = Self($value); )*
            /// All values this version knows, with their names.
            pub const NAMES: &'static [($repr, &'static str)] = &[$( ($value, $text) ),*];
            /// Name for output; `unknown` for a value of a newer version.
            pub fn name(self) -> &'static str {
                Self::NAMES.iter().find(|(value, _)| *value == self.0).map_or("unknown", |(_, text)| text)
            }
        }
    };
}

codes! {
    /// Kernel mechanism a probe uses.
    pub struct Tier(u16) {
        /// No kernel mechanism: read from /proc.
        PROC = 1 "proc",
        /// Classic tracepoint through perf.
        TRACEPOINT = 2 "tracepoint",
        /// Raw tracepoint (BTF-typed).
        RAW_TRACEPOINT = 3 "raw_tracepoint",
        /// kprobe/kretprobe.
        KPROBE = 4 "kprobe",
        /// fentry/fexit.
        FENTRY = 5 "fentry",
        /// uprobe.
        UPROBE = 6 "uprobe",
        /// cgroup_skb, on the packets of a cgroup's sockets.
        CGROUP_SKB = 7 "cgroup_skb",
    }
}

codes! {
    /// The system call of a `file_change`.
    pub struct ChangeCall(u16) {
        /// rename(2).
        RENAME = 1 "rename",
        /// renameat(2).
        RENAMEAT = 2 "renameat",
        /// renameat2(2).
        RENAMEAT2 = 3 "renameat2",
        /// link(2).
        LINK = 4 "link",
        /// linkat(2).
        LINKAT = 5 "linkat",
        /// symlink(2).
        SYMLINK = 6 "symlink",
        /// symlinkat(2).
        SYMLINKAT = 7 "symlinkat",
        /// unlink(2).
        UNLINK = 8 "unlink",
        /// unlinkat(2).
        UNLINKAT = 9 "unlinkat",
        /// rmdir(2).
        RMDIR = 10 "rmdir",
        /// chmod(2).
        CHMOD = 11 "chmod",
        /// fchmod(2).
        FCHMOD = 12 "fchmod",
        /// fchmodat(2).
        FCHMODAT = 13 "fchmodat",
        /// fchmodat2(2).
        FCHMODAT2 = 14 "fchmodat2",
        /// chown(2).
        CHOWN = 15 "chown",
        /// lchown(2).
        LCHOWN = 16 "lchown",
        /// fchown(2).
        FCHOWN = 17 "fchown",
        /// fchownat(2).
        FCHOWNAT = 18 "fchownat",
    }
}

codes! {
    /// Why records are missing. Causes below 16 are *lost* (the kernel could not deliver), from 16 on *dropped* (user
    /// space discarded).
    pub struct LossCause(u16) {
        /// Ring buffer full.
        RING_FULL = 1 "ring_full",
        /// A filter map was full, so descendants of a target may be unseen.
        FILTER_MAP_FULL = 2 "filter_map_full",
        /// The kernel skipped a run of a program because one was active on that CPU.
        MISSED_RUN = 3 "missed_run",
        /// An open's path could not be read from memory, so it is not known whether it was wanted.
        UNREADABLE = 4 "path_unreadable",
        /// Withheld by the fair share, like what `suppressed` records tell, but with no room to tell whose they were.
        SUPPRESSED = 5 "suppressed",
        /// A map in which calls are counted was full, or one process's or user's part of it.
        MAP_FULL = 6 "map_full",
        /// The disk refused the data.
        WRITE_FAILED = 16 "write_failed",
        /// A record from the ring was not well formed.
        MALFORMED = 17 "malformed",
    }
}

impl LossCause {
    /// Whether user space discarded the records, rather than the kernel being unable to deliver them.
    pub fn is_drop(self) -> bool {
        self.0 >= 16
    }
}

codes! {
    /// Why records of a process were withheld.
    pub struct SuppressionReason(u16) {
        /// The ring buffer was filling, and the process had written much of it.
        PROCESS_SHARE = 1 "process_share",
        /// The same, and the user had.
        USER_SHARE = 2 "user_share",
        /// The process had written more than it may for longer than some seconds.
        PROCESS_RATE = 3 "process_rate",
        /// The same, and the user had.
        USER_RATE = 4 "user_rate",
    }
}

codes! {
    /// State of a probe.
    pub struct ProbeState(u32) {
        /// Attached and running.
        ATTACHED = 1 "attached",
        /// Could not be loaded or attached.
        FAILED = 2 "failed",
        /// Not wanted, or not possible here, or a better tier was chosen.
        SKIPPED = 3 "skipped",
        /// Was attached, is not any more.
        DETACHED = 4 "detached",
    }
}

codes! {
    /// How closely library calls are looked at.
    pub struct ApiLevel(u16) {
        /// Handshakes and what configures them.
        HANDSHAKE = 1 "handshake",
        /// Algorithms, counted.
        ALGORITHM = 2 "algorithm",
        /// System calls.
        KERNEL = 3 "kernel",
    }
}

codes! {
    /// What an `api_call` is for, and what its `text` and `number` are.
    pub struct ApiMeaning(u16) {
        /// A TLS handshake; no text.
        HANDSHAKE = 1 "handshake",
        /// A context for connections is made; no text.
        CONTEXT = 2 "context",
        /// Text: path of a certificate that is to be shown.
        CERTIFICATE_FILE = 3 "certificate_file",
        /// Text: path of a private key.
        PRIVATE_KEY_FILE = 4 "private_key_file",
        /// Text: path of certificates that are trusted, file or directory.
        TRUST_FILE = 5 "trust_file",
        /// Text: the host that is asked for.
        SERVER_NAME = 6 "server_name",
        /// Text: cipher suites allowed, as the library writes them.
        CIPHERS = 7 "ciphers",
        /// Text: groups allowed.
        GROUPS = 8 "groups",
        /// Text: a priority string of GnuTLS.
        PRIORITY = 9 "priority",
        /// Number: a version that is the lowest allowed.
        MIN_VERSION = 10 "min_version",
        /// Number: a version that is the highest allowed.
        MAX_VERSION = 11 "max_version",
        /// Text, or number as the library numbers them: an algorithm that is used.
        CIPHER = 12 "cipher",
        /// The same, of a hash.
        DIGEST = 13 "digest",
        /// The same, of a signature or key.
        PUBLIC_KEY = 14 "public_key",
        /// The same, of a message authentication code.
        MAC = 15 "mac",
        /// The same, of a key derivation.
        KEY_DERIVATION = 16 "key_derivation",
        /// Random bytes. Of getrandom(2): no text, number: how many bytes. Of a device: text: its path, counted are opens.
        RANDOM = 17 "random",
        /// Text: type and name of an algorithm of the kernel (AF_ALG), a space between them; none when the socket itself was
        /// refused.
        KERNEL_ALGORITHM = 18 "kernel_algorithm",
        /// The kernel is to encrypt a TLS connection from now on (kTLS); number: 1 what is sent, 2 what is received, 0 when
        /// kTLS itself was refused; text: the cipher as the kernel names it (`TLS_CIPHER_*` without that), or its number there
        /// when it has no name yet.
        KERNEL_TLS = 19 "kernel_tls",
        /// Text: type of a key in the kernel's key ring; of keyctl(2) number: the operation (`KEYCTL_*`), and no text.
        KERNEL_KEY = 20 "kernel_key",
        /// Text: a configuration file or section.
        CONFIGURATION = 21 "configuration",
        /// Number: a mechanism of PKCS#11 (`CKM_*`).
        MECHANISM = 22 "mechanism",
    }
}

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

    #[test]
    fn kind_numbers_and_names_are_unique() {
        for (i, a) in KINDS.iter().enumerate() {
            for b in &KINDS[i + 1..] {
                assert!(a.kind != b.kind && a.name != b.name, "{} and {}", a.name, b.name);
            }
        }
    }
}
