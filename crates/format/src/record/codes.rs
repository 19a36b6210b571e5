//! The numbers in records, and in what a segment says of its selection: codes, bits and lengths, declared once. `crates/bpf/build.rs` makes the C header of the BPF programs
//! of them (`abi_codes.h`), and `docs/format.md` its tables. Numbers are append-only.

/// A set of numbers as C gets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeLayout {
    /// Its name here.
    pub name: &'static str,
    /// What the names of its values begin with in C.
    pub c_prefix: &'static str,
    /// Its values by name.
    pub values: &'static [(&'static str, u64)],
}

/// Declares a numbered enum whose unknown values are kept.
macro_rules! codes {
    ($(#[$meta:meta])* pub struct $name:ident($repr:ty), $prefix:literal { $( $(#[$vmeta:meta])* $variant:ident = $value:literal $text:literal ),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $repr);
        impl $name {
            $( $(#[$vmeta])* pub const $variant: Self = Self($value); )*
            /// All values this version knows, with their names.
            pub const NAMES: &'static [($repr, &'static str)] = &[$( ($value, $text) ),*];
            /// The same for C.
            pub const LAYOUT: CodeLayout =
                CodeLayout { name: stringify!($name), c_prefix: $prefix, values: &[$( (stringify!($variant), $value) ),*] };
            /// Name for output; `unknown` for a value of a newer version.
            #[inline]
            pub fn name(self) -> &'static str {
                match self.0 {
                    $( $value => $text, )*
                    _ => "unknown",
                }
            }
        }
    };
}

/// Declares a module of bits, each by its number.
macro_rules! bits {
    ($(#[$meta:meta])* pub mod $name:ident, $prefix:literal { $( $(#[$vmeta:meta])* $bit:ident = $number:literal $text:literal ),* $(,)? }) => {
        $(#[$meta])*
        pub mod $name {
            $( $(#[$vmeta])* pub const $bit: u16 = 1 << $number; )*
            /// Every bit with its name, for output.
            pub const NAMES: &[(u16, &str)] = &[$( ($bit, $text) ),*];
            /// The same for C.
            pub const LAYOUT: super::CodeLayout =
                super::CodeLayout { name: stringify!($name), c_prefix: $prefix, values: &[$( (stringify!($bit), 1 << $number) ),*] };
        }
    };
}

/// Declares constants, and lists them for C: in `$list`, by name without the prefix `CT_`.
#[macro_export]
#[doc(hidden)]
macro_rules! numbers {
    ($(#[$lmeta:meta])* $list:ident { $( $(#[$meta:meta])* $name:ident: $ty:ty = $value:expr ),* $(,)? }) => {
        $( $(#[$meta])* pub const $name: $ty = $value; )*
        $(#[$lmeta])*
        pub const $list: &[(&str, u64)] = &[$( (stringify!($name), $value as u64) ),*];
    };
}

/// Bounds of what is in records.
pub mod limits {
    crate::numbers! {
        /// All of them.
        ALL {
            /// Longest path in bytes, with its NUL: PATH_MAX, include/uapi/linux/limits.h.
            PATH_MAX: usize = 4096,
            /// Longest component of a path: NAME_MAX, include/uapi/linux/limits.h.
            COMPONENT_MAX: usize = 255,
            /// Longest arguments of a process.
            ARGV_MAX: usize = 4096,
            /// Longest first argument, when only that is wanted.
            ARGV_EXE_MAX: usize = 256,
            /// Longest text that a library call is given.
            TEXT_MAX: usize = 1024,
            /// Longest `data` of a `tls_hello`.
            HELLO_DATA_MAX: usize = 8192,
        }
    }
}

bits! {
    /// Bits of [`Header::flags`](super::Header::flags).
    pub mod flags, "CT_F_" {
        /// A string was cut at its end, or at its start for a resolved path.
        TRUNCATED = 0 "truncated",
        /// Leading components of a resolved path are missing; it is not absolute.
        PATH_PARTIAL = 1 "path_partial",
        /// The path is as passed to the call: the kernel resolved none, because the call failed.
        PATH_AS_PASSED = 2 "path_as_passed",
        /// `start_ns` comes from /proc and is rounded down to the clock tick (10 ms).
        START_IS_TICK = 3 "start_is_tick",
        /// The file had no name any more, or never had one (deleted, `O_TMPFILE`, memfd).
        UNLINKED = 4 "unlinked",
        /// A string could not be read from the traced process's memory.
        UNREADABLE = 5 "unreadable",
        /// The call came through the 32-bit system call table.
        COMPAT = 6 "compat32",
        /// Found in /proc, not seen happening.
        FROM_PROC = 7 "from_proc",
        /// The path matched the selection only by the name it was opened by, not by the resolved one.
        MATCHED_GIVEN = 8 "matched_given",
        /// The path starts at a mount that is not part of the process's mount namespace (detached or lazily unmounted).
        DETACHED = 9 "detached",
        /// The path is one of another mount namespace than the process's, or of a mount in none (`/proc/PID/root`, open_tree(2)).
        OTHER_NAMESPACE = 10 "other_namespace",
    }
}

codes! {
    /// Kernel mechanism a probe uses.
    pub struct Tier(u16), "CT_TIER_" {
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
    pub struct ChangeCall(u16), "CT_CHANGE_" {
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
    pub struct LossCause(u16), "CT_LOST_" {
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
        /// A file was damaged: these could not be read when what could be was extracted from it.
        DAMAGED = 18 "damaged",
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
    pub struct SuppressionReason(u16), "CT_" {
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
    pub struct ProbeState(u32), "CT_PROBE_" {
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
    pub struct ApiLevel(u16), "CT_LEVEL_" {
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
    pub struct ApiMeaning(u16), "CT_MEANING_" {
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

codes! {
    /// The call of a `file_open`.
    pub struct OpenCall(u16), "CT_" {
        /// open(2).
        OPEN = 1 "open",
        /// openat(2).
        OPENAT = 2 "openat",
        /// openat2(2).
        OPENAT2 = 3 "openat2",
        /// creat(2).
        CREAT = 4 "creat",
        /// open_by_handle_at(2).
        OPEN_BY_HANDLE_AT = 5 "open_by_handle_at",
        /// A request of io_uring that does as openat(2).
        IO_URING_OPENAT = 16 "io_uring openat",
        /// A request of io_uring that does as openat2(2).
        IO_URING_OPENAT2 = 17 "io_uring openat2",
    }
}

codes! {
    /// What a `tls_hello` is a hello of.
    pub struct Protocol(u16), "CT_PROTOCOL_" {
        /// TLS over TCP.
        TLS = 0 "tls",
        /// SSH over TCP.
        SSH = 1 "ssh",
        /// QUIC: datagrams with Initial packets, whole; `offset` numbers them, times 65,536.
        QUIC = 2 "quic",
        /// DTLS: datagrams of the first epoch, likewise.
        DTLS = 3 "dtls",
        /// IKEv2: datagrams of the first exchange, likewise.
        IKE = 4 "ike",
        /// WireGuard: of messages before data their type and the indexes after it, likewise.
        WIREGUARD = 5 "wireguard",
    }
}

impl Protocol {
    /// All that this version knows, as bits.
    pub const ALL: u16 = Self::TLS.bit() | Self::SSH.bit() | Self::DATAGRAMS;

    /// Those that go in datagrams, as bits.
    pub const DATAGRAMS: u16 = Self::QUIC.bit() | Self::DTLS.bit() | Self::IKE.bit() | Self::WIREGUARD.bit();

    /// Those that are looked for when none is named, as bits.
    pub const DEFAULT: u16 = Self::ALL;

    /// Whether it goes in datagrams.
    pub const fn is_in_datagrams(self) -> bool {
        self.0 < 16 && Self::DATAGRAMS & self.bit() != 0
    }

    /// Its bit, where several are told as one number.
    pub const fn bit(self) -> u16 {
        1 << self.0
    }
}

codes! {
    /// Which way the packet of a `tls_hello` went.
    pub struct Direction(u16), "CT_" {
        /// Sent by this end.
        SENT = 1 "sent",
        /// Received by it.
        RECEIVED = 2 "received",
    }
}

codes! {
    /// What became of a file of certificates that was to be read.
    pub struct CertificateFileState(u16), "CT_CERTIFICATE_FILE_" {
        /// This is one of its certificates.
        READ = 1 "read",
        /// It holds a private key: nothing of it is recorded.
        HOLDS_KEY = 2 "holds_key",
        /// It holds no certificate, or none that is understood.
        NO_CERTIFICATE = 3 "no_certificate",
        /// It could not be read.
        NOT_READ = 4 "not_read",
        /// It is longer than what is read, or no regular file.
        LEFT_OUT = 5 "left_out",
    }
}

codes! {
    /// How the process of a `tls_hello` is known.
    pub struct SocketOwner(u16), "CT_OWNER_" {
        /// It is not.
        UNKNOWN = 0 "unknown",
        /// It sent this packet.
        SENDER = 1 "sender",
        /// It connected the socket.
        CONNECT = 2 "connect",
        /// It opened the listening socket that the connection was accepted from.
        LISTENER = 3 "listener",
        /// It sent an earlier packet.
        EARLIER = 4 "earlier",
    }
}

bits! {
    /// Bits of `state` of a `tls_hello`.
    pub mod hello_state, "CT_HELLO_" {
        /// Bytes before these are missing.
        GAP = 0 "gap",
        /// More than the limit was there and is left out.
        CUT = 1 "cut",
        /// The connection was there before the capture.
        LATE = 2 "late",
        /// It was accepted by the process of the header, which is not selected, from the socket of one that is: earlier records
        /// seemed to be of the latter, and later ones are left out. In an extract: it is there only as the other end of one
        /// that was asked for, to tell whose that is, and is not shown either.
        TAKEN = 3 "taken",
        /// This end opened the TCP connection.
        CONNECTED = 4 "connected",
        /// This end accepted it.
        ACCEPTED = 5 "accepted",
    }
}

codes! {
    /// Why a `clock` is recorded.
    pub struct ClockReason(u32), "CT_CLOCK_" {
        /// A segment starts.
        START = 1 "start",
        /// The clocks drifted apart.
        SLEW = 2 "slew",
        /// The wall clock was set.
        STEP = 3 "step",
    }
}

bits! {
    /// Bits of `state` of an `api_call`.
    pub mod api_state, "CT_API_" {
        /// `result` is known.
        RESULT = 0 "result",
        /// The call may go on: it would have blocked, or the library does not report that.
        PENDING = 1 "pending",
        /// The text could not be read.
        UNREADABLE = 2 "unreadable",
        /// The caller is the library itself.
        INTERNAL = 3 "internal",
    }
}

bits! {
    /// Bits of `features` of a `library_info`.
    pub mod library_features, "CT_LIBRARY_" {
        /// The results of calls are recorded.
        RESULTS = 0 "results",
        /// Versions are read.
        VERSIONS = 1 "versions",
        /// Suites are read.
        SUITES = 2 "suites",
        /// The file is an executable, which contains the library if `family` is not empty.
        EXECUTABLE = 3 "executable",
        /// It is a Go program.
        GO = 4 "go",
        /// Only a text in the file identifies the library: its functions have no names.
        TEXT = 5 "text",
        /// The library makes TLS handshakes.
        TLS = 6 "tls",
    }
}

codes! {
    /// Whether a recording was to have something. 0 where that is not recorded: by default, as the writer had it.
    #[derive(Default)]
    pub struct Wanted(u16), "CT_WANTED_" {
        /// No: an option left it out.
        OFF = 1 "off",
        /// Yes: an option asked for it, and without it there would be no recording.
        ON = 2 "on",
        /// Yes, by default, where the host allows it.
        DEFAULT_ON = 3 "default_on",
        /// No, by default: it has to be asked for, or it is not part of what else was asked for.
        DEFAULT_OFF = 4 "default_off",
    }
}

impl Wanted {
    /// Whether it was to be recorded; not so where that is not recorded.
    pub fn is_wanted(self) -> bool {
        matches!(self, Self::ON | Self::DEFAULT_ON)
    }
}

codes! {
    /// What became of server names and addresses in TLS hellos. 0 where that is not recorded.
    #[derive(Default)]
    pub struct PrivacyMode(u16), "CT_PRIVACY_" {
        /// They are as they were.
        OFF = 1 "off",
        /// Each is replaced by a pseudonym.
        HASH = 2 "hash",
        /// They are removed.
        DROP = 3 "drop",
    }
}

codes! {
    /// How much of the arguments of processes is recorded. 0 where that is not recorded.
    #[derive(Default)]
    pub struct ArgvMode(u16), "CT_ARGV_MODE_" {
        /// All of them.
        FULL = 1 "full",
        /// The first, which is the program's name.
        EXE = 2 "exe",
        /// Nothing.
        NONE = 3 "none",
    }
}

/// Every set of numbers that C gets.
pub const CODES: &[CodeLayout] = &[
    flags::LAYOUT,
    Tier::LAYOUT,
    OpenCall::LAYOUT,
    ChangeCall::LAYOUT,
    Protocol::LAYOUT,
    Direction::LAYOUT,
    SocketOwner::LAYOUT,
    hello_state::LAYOUT,
    ApiLevel::LAYOUT,
    ApiMeaning::LAYOUT,
    api_state::LAYOUT,
    SuppressionReason::LAYOUT,
];
