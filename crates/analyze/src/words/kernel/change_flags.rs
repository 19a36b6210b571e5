//! Flags of the calls that change names, modes and owners of files.
//!
//! Source: Linux `include/uapi/linux/fs.h` (`RENAME_*`) and `include/uapi/linux/fcntl.h` (`AT_*`).

use crypto_trace_format::record::ChangeCall;

const OF_RENAME: [(u32, &str); 3] = [(1, "RENAME_NOREPLACE"), (2, "RENAME_EXCHANGE"), (4, "RENAME_WHITEOUT")];
const OF_PATHS: [(u32, &str); 5] = [
    (0x100, "AT_SYMLINK_NOFOLLOW"),
    (0x200, "AT_REMOVEDIR"),
    (0x400, "AT_SYMLINK_FOLLOW"),
    (0x800, "AT_NO_AUTOMOUNT"),
    (0x1000, "AT_EMPTY_PATH"),
];

/// The flags of a call as text, `AT_REMOVEDIR|0x4`; bits without a name follow as one hexadecimal number. Empty for none.
pub fn change_flags(call: ChangeCall, flags: u32) -> String {
    let names: &[_] = if call == ChangeCall::RENAMEAT2 { &OF_RENAME } else { &OF_PATHS };
    let mut rest = flags;
    let mut told = Vec::new();
    for (bit, name) in names {
        if rest & bit != 0 {
            rest &= !bit;
            told.push((*name).to_owned());
        }
    }
    if rest != 0 {
        told.push(format!("{rest:#x}"));
    }
    told.join("|")
}

/// What such a call does, whichever of its kin it is.
pub fn change_name(call: ChangeCall) -> &'static str {
    match call {
        ChangeCall::RENAME | ChangeCall::RENAMEAT | ChangeCall::RENAMEAT2 => "rename",
        ChangeCall::LINK | ChangeCall::LINKAT => "link",
        ChangeCall::SYMLINK | ChangeCall::SYMLINKAT => "symlink",
        ChangeCall::UNLINK | ChangeCall::UNLINKAT | ChangeCall::RMDIR => "unlink",
        ChangeCall::CHMOD | ChangeCall::FCHMOD | ChangeCall::FCHMODAT | ChangeCall::FCHMODAT2 => "chmod",
        ChangeCall::CHOWN | ChangeCall::LCHOWN | ChangeCall::FCHOWN | ChangeCall::FCHOWNAT => "chown",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_names_and_the_rest_is_a_number() {
        assert_eq!(change_flags(ChangeCall::RENAMEAT2, 3), "RENAME_NOREPLACE|RENAME_EXCHANGE");
        assert_eq!(change_flags(ChangeCall::UNLINKAT, 0x200), "AT_REMOVEDIR");
        assert_eq!(change_flags(ChangeCall::FCHMODAT2, 0x8100), "AT_SYMLINK_NOFOLLOW|0x8000");
        assert_eq!(change_flags(ChangeCall::UNLINK, 0), "");
    }

    #[test]
    fn every_call_has_a_name() {
        for call in (1..=18).map(ChangeCall) {
            assert_ne!(change_name(call), "unknown", "{}", call.name());
        }
        assert_eq!(change_name(ChangeCall(99)), "unknown");
    }
}
