//! What the strings of a [`FileOpen`] say together: the one place that joins a relative path to its directory.

use super::FileOpen;
use std::borrow::Cow;

impl<'a> FileOpen<'a> {
    /// Whether [`full_path`](Self::full_path) is made of two strings: a relative path as passed, and the directory it was
    /// relative to.
    pub fn is_joined(&self) -> bool {
        !self.dir.is_empty() && self.path.first() != Some(&b'/')
    }

    /// The path that every output shows, and that every filter sees: the one the kernel resolved; of an open that failed,
    /// the path as passed, joined to its directory where that is known. Bytes of the traced host, not normalized: `..` and
    /// `.` stay.
    pub fn full_path(&self) -> Cow<'a, [u8]> {
        if !self.is_joined() {
            return self.path.into();
        }
        // The directory of many a daemon is `/`.
        let separator: &[u8] = if self.dir.ends_with(b"/") { b"" } else { b"/" };
        [self.dir, separator, self.path].concat().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_is_joined_to_its_directory_also_to_the_root() {
        let check = |dir: &[u8], path: &[u8], expected: &[u8]| {
            let open = FileOpen { path, dir, ..FileOpen::default() };
            let shown = open.full_path();
            assert_eq!(&*shown, expected, "{:?} + {:?}", dir.escape_ascii(), path.escape_ascii());
            assert_eq!(open.is_joined(), matches!(shown, Cow::Owned(_)));
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
}
