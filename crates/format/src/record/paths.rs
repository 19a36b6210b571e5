//! What the strings of a record say together: the one place that joins a relative path to its directory.

use super::{ChangeCall, FileChange, FileOpen};
use std::borrow::Cow;

/// Whether a path as passed is relative, to a directory that is known.
#[inline]
fn is_joined(dir: &[u8], path: &[u8]) -> bool {
    !dir.is_empty() && path.first() != Some(&b'/')
}

#[inline]
fn join<'a>(dir: &[u8], path: &'a [u8]) -> Cow<'a, [u8]> {
    if !is_joined(dir, path) {
        return path.into();
    }
    // The directory of many a daemon is `/`.
    let separator: &[u8] = if dir.ends_with(b"/") { b"" } else { b"/" };
    [dir, separator, path].concat().into()
}

impl<'a> FileOpen<'a> {
    /// Whether [`full_path`](Self::full_path) is made of two strings: a relative path as passed, and the directory it was
    /// relative to.
    #[inline]
    pub fn is_joined(&self) -> bool {
        is_joined(self.dir, self.path)
    }

    /// The path that every output shows, and that every filter sees: the one the kernel resolved; of an open that failed,
    /// the path as passed, joined to its directory where that is known. Bytes of the traced host, not normalized: `..` and
    /// `.` stay.
    // In line: what looks at a path alone decodes no more than that.
    #[inline]
    pub fn full_path(&self) -> Cow<'a, [u8]> {
        join(self.dir, self.path)
    }

    /// Flags as passed. Only openat2(2) has more than 32 bits of them.
    pub fn all_flags(&self) -> u64 {
        u64::from(self.fixed.flags_high) << 32 | u64::from(self.fixed.flags)
    }
}

impl<'a> FileChange<'a> {
    /// Whether the call made a symbolic link: then `path` is what that points to, as passed, and `new` is the link.
    pub fn makes_symlink(&self) -> bool {
        [ChangeCall::SYMLINK, ChangeCall::SYMLINKAT].contains(&ChangeCall(self.fixed.call))
    }

    /// The file that the call is about, joined as [`FileOpen::full_path`]: the old name of one that is renamed; of a
    /// symbolic link, the link.
    pub fn full_path(&self) -> Cow<'a, [u8]> {
        if self.makes_symlink() { join(self.new_dir, self.new) } else { join(self.dir, self.path) }
    }

    /// The other name: the new one of a file that is renamed, or linked. `None` of calls that have no other.
    pub fn full_new(&self) -> Option<Cow<'a, [u8]>> {
        (!self.makes_symlink() && !self.new.is_empty()).then(|| join(self.new_dir, self.new))
    }

    /// What a symbolic link points to, as passed; `None` of other calls.
    pub fn link_target(&self) -> Option<&'a [u8]> {
        self.makes_symlink().then_some(self.path)
    }

    /// What of [`full_path`](Self::full_path) is as passed, with the directory it is relative to; `None`: all of it.
    pub fn given(&self) -> Option<(&'a [u8], &'a [u8])> {
        let (dir, path) = if self.makes_symlink() { (self.new_dir, self.new) } else { (self.dir, self.path) };
        is_joined(dir, path).then_some((dir, path))
    }

    /// The same of [`full_new`](Self::full_new).
    pub fn new_given(&self) -> Option<(&'a [u8], &'a [u8])> {
        (!self.makes_symlink() && is_joined(self.new_dir, self.new)).then_some((self.new_dir, self.new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::FileChangeFixed;

    #[test]
    fn a_relative_path_is_joined_to_its_directory_also_to_the_root() {
        let check = |dir: &[u8], path: &[u8], expected: &[u8]| {
            let open = FileOpen { path, dir, ..FileOpen::default() };
            let shown = open.full_path();
            assert_eq!(&*shown, expected, "{:?} + {:?}", dir.escape_ascii(), path.escape_ascii());
            assert_eq!(open.is_joined(), matches!(shown, Cow::Owned(_)));
            let change = FileChange { path, dir, new: path, new_dir: dir, ..FileChange::default() };
            assert_eq!(change.full_path(), shown);
            assert_eq!(change.full_new(), (!path.is_empty()).then_some(shown));
        };
        check(b"/etc", b"a.key", b"/etc/a.key");
        check(b"/", b"a.key", b"/a.key");
        check(b"/etc/", b"a.key", b"/etc/a.key");
        check(b"/etc", b"../a.key", b"/etc/../a.key");
        check(b"/etc", b"/a.key", b"/a.key");
        check(b"", b"a.key", b"a.key");
        check(b"", b"", b"");
        check(b"/etc", b"\xff\n", b"/etc/\xff\n");
    }

    #[test]
    fn a_symbolic_link_is_the_file_and_what_it_points_to_is_not_joined() {
        let fixed = FileChangeFixed { call: ChangeCall::SYMLINKAT.0, ..FileChangeFixed::default() };
        let link = FileChange {
            fixed,
            path: b"../b.pem",
            dir: b"",
            new: b"a.pem",
            new_dir: b"/etc/ssl",
            ..FileChange::default()
        };
        assert_eq!(&*link.full_path(), b"/etc/ssl/a.pem");
        assert_eq!(link.full_new(), None);
        assert_eq!(link.link_target(), Some(&b"../b.pem"[..]));
        assert_eq!(link.given(), Some((&b"/etc/ssl"[..], &b"a.pem"[..])));
        assert_eq!(link.new_given(), None);
    }

    #[test]
    fn flags_of_openat2_have_64_bits() {
        let fixed = crate::record::FileOpenFixed { flags: 1, flags_high: 2, ..Default::default() };
        assert_eq!(FileOpen { fixed, ..FileOpen::default() }.all_flags(), 0x2_0000_0001);
    }
}
