//! The numbers that the BPF programs and this crate share and that are in no record: rows, values and sizes of maps, and what the
//! rows of the probe table hold. `build.rs` writes them into `abi_codes.h`, as `CT_` and the name.

use crypto_trace_format::catalog::MAX_NAME_LEN;

crypto_trace_format::numbers! {
    /// All of them.
    NUMBERS {
        /// Rows of the counters map. Those of kinds are the kinds' numbers.
        COUNTERS: u32 = 64,
        /// A descendant could not be added to the targets map.
        COUNTER_TARGETS_FULL: u32 = 48,
        /// An open whose path could not be read, so not judged.
        COUNTER_UNREADABLE: u32 = 49,
        /// A connection in which no hello began within the limits.
        COUNTER_NO_HELLO: u32 = 50,
        /// A record that was withheld, and not even the user is known by whom.
        COUNTER_SUPPRESSED: u32 = 51,
        /// A call that could not be counted, as the map or the process's part of it is full.
        COUNTER_USES_FULL: u32 = 52,

        /// Values of the targets map: named by the user, so name filters apply as well.
        TARGET_SEED: u8 = 1,
        /// Of a selected process: nothing else applies but uid and cgroup.
        TARGET_DESCENDANT: u8 = 2,

        /// Values of the names map.
        NAME_WANTED: u8 = 1,
        /// What programs put behind the name of a file that they copy.
        NAME_ENDING: u8 = 2,
        /// Longest name of the catalog; keys are one longer.
        NAME_MAX: usize = MAX_NAME_LEN,
        /// Longest suffix that the names map can hold, with its dot.
        SUFFIX_MAX: usize = 15,
        /// Longest path prefix that the prefixes trie can hold.
        PREFIX_MAX: usize = 255,
        /// Bits of a hash of the end of a name.
        TAIL_BITS: u32 = 18,
        /// Process names, or parts of them, that can be looked for at once.
        MAX_COMM_FILTERS: usize = 8,
        /// Cgroups that can be selected at once.
        MAX_CGROUP_FILTERS: usize = 8,

        /// How much of the arguments of a process is recorded: all.
        ARGV_FULL: u8 = 0,
        /// The first one.
        ARGV_EXE: u8 = 1,
        /// Nothing.
        ARGV_NONE: u8 = 2,

        /// What may be seen at the end of system calls, as bits: opens.
        PART_FILES: u8 = 1 << 0,
        /// Mappings of libraries.
        PART_LIBS: u8 = 1 << 1,
        /// The kernel's own crypto.
        PART_CRYPTO: u8 = 1 << 2,
        /// Names, modes and owners of files.
        PART_CHANGES: u8 = 1 << 3,

        /// Places of the counts of random bytes: getrandom(2).
        RANDOM_GETRANDOM: usize = 0,
        /// getrandom(2) that failed.
        RANDOM_REFUSED: usize = 1,
        /// Opens of /dev/urandom.
        RANDOM_DEV_URANDOM: usize = 2,
        /// Opens of /dev/random.
        RANDOM_DEV_RANDOM: usize = 3,
        /// How many places there are: a power of two.
        RANDOM_SOURCES: usize = 4,

        /// Rows of the functions map.
        MAX_FUNCTIONS: usize = 512,
        /// Libraries that are probed at once.
        MAX_LIBRARIES: usize = 1024,
        /// Probes that are counted by themselves: a power of two.
        MAX_HITS: usize = 4096,
        /// Longest name of a probed function, with its NUL.
        FUNCTION_MAX: usize = 48,
        /// Results of a handshake that ask to be called again.
        AGAIN_MAX: usize = 2,
        /// Accessors of one library, by number.
        ACCESSORS: usize = 12,
        /// Of these, how many are tried for one algorithm.
        BY: usize = 2,
        /// None of them.
        NO_ACCESSOR: u8 = 0xff,
        /// Offsets of an accessor: pointers that are followed, and where the number is.
        ACCESSOR_STEPS: usize = 4,
        /// Longest name of an algorithm that is counted, with its NUL.
        USE_TEXT: usize = 32,

        /// What a probe on a function does: records the call.
        DOES_TELL: u8 = 1,
        /// Records it when it ends a handshake.
        DOES_HANDSHAKE: u8 = 2,
        /// Remembers the connection's descriptor.
        DOES_DESCRIPTOR: u8 = 3,
        /// The connection is gone.
        DOES_FORGET: u8 = 4,
        /// Counts the call by the algorithm it is given.
        DOES_COUNT: u8 = 5,

        /// What a function returns: an `int`.
        RETURNS_INT: u8 = 0,
        /// A pointer: recorded as 1, or as 0 when it is null.
        RETURNS_POINTER: u8 = 1,
        /// Nothing that is recorded.
        RETURNS_NOTHING: u8 = 2,

        /// What an argument that names an algorithm is: there is none, the function itself names it.
        ALGORITHM_NONE: u8 = 0,
        /// A text ended by NUL.
        ALGORITHM_TEXT: u8 = 1,
        /// A number.
        ALGORITHM_NUMBER: u8 = 2,
        /// A pointer to a number.
        ALGORITHM_POINTER: u8 = 3,
        /// An object whose name or number accessors tell.
        ALGORITHM_OBJECT: u8 = 4,

        /// Where the parts of a probe's cookie begin: the row of the function is first, then the library's number, 16 bits each.
        COOKIE_LIBRARY_SHIFT: u32 = 16,
        /// The return is probed as well.
        COOKIE_RETURNS_SHIFT: u32 = 32,
        /// Of a probe that counts, its place in the map of hits: as many bits as MAX_HITS needs.
        COOKIE_HITS_SHIFT: u32 = 33,
        /// The function ends in a jump into another one that counts.
        COOKIE_JUMPS_SHIFT: u32 = 45,
        /// Others end in a jump into it.
        COOKIE_JUMPED_TO_SHIFT: u32 = 46,
        /// How far the stack pointer has moved since the function's entry, in bytes: 15 bits.
        COOKIE_STACK_SHIFT: u32 = 49,
    }
}

/// System calls whose ends are seen, as the programs number them; in C `CT_SYS_` and the name. Those that open a file are numbered
/// as [`OpenCall`](crypto_trace_format::record::OpenCall) numbers them, those that change names and modes as
/// [`ChangeCall`](crypto_trace_format::record::ChangeCall), from `BEFORE_CHANGES` on. The programs count on the order: of those from
/// `SOCKET` on, which are kernel_crypto.h's; of the changes; and of those of 16-bit ids, which is that of `CHOWN`, `LCHOWN`, `FCHOWN`.
pub mod system_calls {
    crypto_trace_format::numbers! {
        /// All others.
        OTHERS {
            /// None of them.
            OTHER: u32 = 0,
            /// mmap(2).
            MMAP: u32 = 6,
            /// 32 bit: offset in pages.
            MMAP2: u32 = 7,
            /// socket(2).
            SOCKET: u32 = 8,
            /// bind(2).
            BIND: u32 = 9,
            /// setsockopt(2).
            SETSOCKOPT: u32 = 10,
            /// add_key(2).
            ADD_KEY: u32 = 11,
            /// request_key(2).
            REQUEST_KEY: u32 = 12,
            /// keyctl(2).
            KEYCTL: u32 = 13,
            /// getrandom(2).
            GETRANDOM: u32 = 14,
            /// 32 bit: one of the first three from `SOCKET` on.
            SOCKETCALL: u32 = 15,
            /// mprotect(2) and pkey_mprotect(2).
            MPROTECT: u32 = 31,
            /// chown(2) of 16-bit ids, which 32-bit programs have.
            CHOWN16: u32 = 50,
            /// The same of lchown(2).
            LCHOWN16: u32 = 51,
            /// The same of fchown(2).
            FCHOWN16: u32 = 52,
        }
    }

    /// What is added to the number of a change.
    pub const BEFORE_CHANGES: u64 = 31;
}
