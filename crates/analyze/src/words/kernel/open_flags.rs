//! `O_*` flags of open(2), by the architecture that recorded them.
//!
//! Source: Linux `include/uapi/asm-generic/fcntl.h`; `arch/arm64` and `arch/arm` swap four of them
//! (`arch/arm64/include/uapi/asm/fcntl.h`).

const O_CREAT: u32 = 0o100;
const O_SYNC_BIT: u32 = 0o4000000;
const O_DSYNC: u32 = 0o10000;
const O_TMPFILE_BIT: u32 = 0o20000000;
const O_ACCMODE: u32 = 0o3;

const GENERIC: [(u32, &str); 4] =
    [(0o40000, "O_DIRECT"), (0o100000, "O_LARGEFILE"), (0o200000, "O_DIRECTORY"), (0o400000, "O_NOFOLLOW")];
const ARM: [(u32, &str); 4] =
    [(0o40000, "O_DIRECTORY"), (0o100000, "O_NOFOLLOW"), (0o200000, "O_DIRECT"), (0o400000, "O_LARGEFILE")];

/// Flags that have the same value everywhere we run, in the order they are shown.
const COMMON: [(u32, &str); 10] = [
    (O_CREAT, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o400, "O_NOCTTY"),
    (0o1000, "O_TRUNC"),
    (0o2000, "O_APPEND"),
    (0o4000, "O_NONBLOCK"),
    (0o20000, "O_ASYNC"),
    (0o1000000, "O_NOATIME"),
    (0o2000000, "O_CLOEXEC"),
    (0o10000000, "O_PATH"),
];

/// Whether the `mode` argument means anything with these flags.
pub fn takes_mode(flags: u32) -> bool {
    flags & (O_CREAT | O_TMPFILE_BIT) != 0
}

/// What an open asked for: to read, to write, or neither (`O_PATH`, or access mode 3 of some drivers).
pub fn access(flags: u32) -> (bool, bool) {
    const O_PATH: u32 = 0o10000000;
    match flags & O_ACCMODE {
        _ if flags & O_PATH != 0 => (false, false),
        0 => (true, false),
        1 => (false, true),
        2 => (true, true),
        _ => (false, false),
    }
}

/// Whether the descriptor is closed by the next exec.
pub fn closes_on_exec(flags: u32) -> bool {
    const O_CLOEXEC: u32 = 0o2000000;
    flags & O_CLOEXEC != 0
}

/// Names the flags of one architecture.
#[derive(Debug, Clone, Copy)]
pub struct OpenFlags {
    varying: &'static [(u32, &'static str); 4],
    directory: u32,
}

impl OpenFlags {
    /// For a machine as `uname -m` names it.
    pub fn of_arch(arch: &str) -> Self {
        let arm = arch.starts_with("aarch64") || arch.starts_with("arm");
        if arm { Self { varying: &ARM, directory: 0o40000 } } else { Self { varying: &GENERIC, directory: 0o200000 } }
    }

    /// Appends `O_RDONLY|O_CLOEXEC`; bits without a name follow as one hexadecimal number.
    pub fn write(self, flags: u64, out: &mut Vec<u8>) {
        // Those of openat2(2) have 64 bits, of which the upper half has no names so far.
        let unnamed = flags & !u64::from(u32::MAX);
        let flags = u32::try_from(flags ^ unnamed).unwrap_or_default();
        out.extend_from_slice(match flags & O_ACCMODE {
            0 => b"O_RDONLY",
            1 => b"O_WRONLY",
            2 => b"O_RDWR",
            _ => b"O_ACCMODE",
        });
        let mut rest = flags & !O_ACCMODE;
        if rest == 0 && unnamed == 0 {
            return;
        }
        let mut take = |rest: &mut u32, bits: u32, name: &str| {
            if *rest & bits == bits {
                *rest &= !bits;
                out.push(b'|');
                out.extend_from_slice(name.as_bytes());
            }
        };
        // O_TMPFILE contains O_DIRECTORY and O_SYNC contains O_DSYNC: the wider name goes first.
        take(&mut rest, O_TMPFILE_BIT | self.directory, "O_TMPFILE");
        take(&mut rest, O_SYNC_BIT | O_DSYNC, "O_SYNC");
        take(&mut rest, O_DSYNC, "O_DSYNC");
        for (bits, name) in COMMON.iter().chain(self.varying) {
            take(&mut rest, *bits, name);
        }
        let rest = u64::from(rest) | unnamed;
        if rest != 0 {
            out.extend_from_slice(format!("|{rest:#x}").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_ask_for() {
        assert_eq!(
            [0, 1, 2, 3, 0o101, 0o10000000].map(access),
            [(true, false), (false, true), (true, true), (false, false), (false, true), (false, false)]
        );
        assert!(closes_on_exec(0o2000000) && !closes_on_exec(0o1000000));
    }

    #[test]
    fn flags_are_named_and_unknown_bits_kept() {
        let check = |arch: &str, flags: u64, expected: &str| {
            let mut out = Vec::new();
            OpenFlags::of_arch(arch).write(flags, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check("x86_64", 0, "O_RDONLY");
        check("x86_64", 0o2000000, "O_RDONLY|O_CLOEXEC");
        check("x86_64", 0o1101, "O_WRONLY|O_CREAT|O_TRUNC");
        check("x86_64", 0o4010002, "O_RDWR|O_SYNC");
        check("x86_64", 0o10002, "O_RDWR|O_DSYNC");
        check("x86_64", 0o20200002, "O_RDWR|O_TMPFILE");
        check("x86_64", 0o200000, "O_RDONLY|O_DIRECTORY");
        check("aarch64", 0o200000, "O_RDONLY|O_DIRECT");
        check("aarch64", 0o20040001, "O_WRONLY|O_TMPFILE");
        check("x86_64", 0x8000_0003, "O_ACCMODE|0x80000000");
        check("x86_64", 0o4000000, "O_RDONLY|0x100000");
        check("x86_64", 0x2_0000_0000, "O_RDONLY|0x200000000");
        check("x86_64", 0x2_8000_0001, "O_WRONLY|0x280000000");
    }
}
