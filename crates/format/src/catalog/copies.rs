//! Backups and temporaries: names that programs make of the name of a file.

/// Endings of copies, matched exactly: with the dot, behind which there is no other. What is before them is the file's name.
///
/// Sources: the manuals of `dpkg(1)`, `ucf(1)`, `rpm(8)`, `patch(1)`, GNU Emacs and Vim; GnuPG and OpenSSH write `.tmp` and `.old`.
pub const COPY_ENDINGS: &[&str] = &[
    ".bak",
    ".old",
    ".new",
    ".tmp",
    ".orig",
    ".save",
    ".swp",
    ".backup",
    ".dpkg-old",
    ".dpkg-new",
    ".dpkg-dist",
    ".dpkg-tmp",
    ".dpkg-bak",
    ".ucf-old",
    ".ucf-new",
    ".ucf-dist",
    ".rpmsave",
    ".rpmnew",
    ".rpmorig",
];

/// Length of what mkstemp(3) puts behind a dot: rsync and others write `.NAME.XXXXXX`.
pub const RANDOM_LEN: usize = 6;

/// What a name is a copy of: its length without the ending, and whether a mark before it (`#`, `.`) is none of the name.
///
/// One ending is taken off, as the kernel does (`filter.h`).
pub fn original(name: &[u8]) -> Option<&[u8]> {
    let base = match name.last()? {
        b'~' => name.get(..name.len() - 1)?,
        b'#' => name.get(..name.len() - 1)?,
        _ => {
            let dot = name.iter().rposition(|byte| *byte == b'.')?;
            let (base, ending) = name.split_at_checked(dot)?;
            let is_ending = COPY_ENDINGS.iter().any(|known| known.as_bytes() == ending);
            if !is_ending && !is_random(ending.get(1..)?) {
                return None;
            }
            base
        }
    };
    (base.len() >= 2).then_some(base)
}

/// A name without the mark that Emacs, Vim and rsync put before it.
pub fn unmarked(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(b"#").or_else(|| name.strip_prefix(b"."))
}

/// Whether this is what mkstemp(3) makes: letters and digits, not all of them lower case.
fn is_random(text: &[u8]) -> bool {
    const KNOWN: &[&[u8]] = &[b"md5sum", b"sha256", b"sha384", b"sha512", b"base64"];
    text.len() == RANDOM_LEN
        && !KNOWN.contains(&text)
        && text.iter().all(u8::is_ascii_alphanumeric)
        && text.iter().any(|byte| !byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ending_is_taken_off() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(original(name.as_bytes()), expected.map(str::as_bytes), "{name}");
        };
        check("server.key~", Some("server.key"));
        check("server.key.bak", Some("server.key"));
        check("server.key.bak.old", Some("server.key.bak"));
        check("#server.key#", Some("#server.key"));
        check(".server.key.Xa83kd", Some(".server.key"));
        check("sshd_config.dpkg-dist", Some("sshd_config"));
        check("server.config", None);
        check("server.key", None);
        check(".bak", None);
        check("~", None);
        check("", None);
    }
}
