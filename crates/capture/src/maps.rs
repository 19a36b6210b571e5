//! What a process has mapped, from /proc/PID/maps, and the names that /proc gives to files that are gone.

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crypto_trace_format::catalog;

/// What the kernel puts behind the name of a file that has none any more.
const DELETED: &[u8] = b" (deleted)";

/// Bytes of /proc/PID/maps that are looked at: a process may have as many mappings as it likes, with paths of 4 KiB.
const MAX_TEXT: u64 = 32 << 20;

/// A line of /proc/PID/maps, proc_pid_maps(5), that has a path.
#[derive(Debug, PartialEq, Eq)]
pub struct Mapping<'a> {
    /// Where it begins.
    pub address: u64,
    /// Where it ends.
    pub end: u64,
    /// Whether it is code.
    pub executable: bool,
    /// Where in the file it begins.
    pub offset: u64,
    /// `MAJOR << 20 | MINOR`.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// As it is there: see [`name`].
    pub path: &'a [u8],
}

impl<'a> Mapping<'a> {
    /// Of one line; `None` when it is of no file.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let path = line.get(memchr::memchr(b'/', line)?..)?;
        let head = std::str::from_utf8(line.get(..line.len() - path.len())?).ok()?;
        let mut fields = head.split_ascii_whitespace();
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let (range, permissions) = (fields.next()?, fields.next()?);
        let (address, end) = range.split_once('-')?;
        let offset = hex(fields.next()?)?;
        let (major, minor) = fields.next()?.split_once(':')?;
        Some(Self {
            address: hex(address)?,
            end: hex(end)?,
            executable: permissions.as_bytes().get(2) == Some(&b'x'),
            offset,
            dev: hex(major)? << 20 | hex(minor)?,
            ino: fields.next()?.parse().ok()?,
            path,
        })
    }

    /// The same without its path.
    pub fn numbers(&self) -> Mapping<'static> {
        Mapping { path: &[], ..*self }
    }

    /// Whether it is of another library than the executable mapping told before it, by device, inode and offset, or of the same one
    /// mapped once more: the parts of one that was mapped once follow each other, at growing offsets.
    fn begins_another(&self, before: Option<(u64, u64, u64)>) -> bool {
        before.is_none_or(|(dev, ino, offset)| (dev, ino) != (self.dev, self.ino) || self.offset <= offset)
    }
}

/// Libraries in the text of /proc/PID/maps, each as often as it was mapped: where it has several executable parts, by the first.
/// Known by their names, also where the kernel added to these.
pub fn loads(maps: &[u8]) -> impl Iterator<Item = Mapping<'_>> {
    let mappings = maps.split(|byte| *byte == b'\n').filter_map(Mapping::parse).filter(|map| map.executable);
    let mut before = None;
    mappings.filter(move |map| {
        (is_library(map.path) || map.path.strip_suffix(DELETED).is_some_and(is_library)) && {
            let told = before.replace((map.dev, map.ino, map.offset));
            map.begins_another(told)
        }
    })
}

/// Whether the catalog knows a library by this path.
pub fn is_library(path: &[u8]) -> bool {
    catalog::library(path).is_some()
}

/// The text of /proc/PID/maps, or as much of it as is looked at.
///
/// # Errors
/// When it cannot be read: the process is gone, or not ours.
pub fn text(tgid: u32) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::fs::File::open(format!("/proc/{tgid}/maps"))?.take(MAX_TEXT).read_to_end(&mut text)?;
    Ok(text)
}

/// A path as its process sees it, as seen from here.
pub fn from_here(tgid: u32, path: &[u8]) -> PathBuf {
    let below = path.iter().position(|byte| *byte != b'/').and_then(|at| path.get(at..)).unwrap_or_default();
    Path::new(&format!("/proc/{tgid}/root")).join(std::ffi::OsStr::from_bytes(below))
}

/// The name in a path that /proc tells of the file with this inode number, and whether it is that file's no more. What is really
/// named so, and is there, keeps its name.
/// The inode number is only asked for where the name leaves a doubt.
pub fn name(tgid: u32, path: &[u8], ino: impl FnOnce() -> Option<u64>) -> (&[u8], bool) {
    let Some(name) = path.strip_suffix(DELETED) else { return (path, false) };
    let there = std::fs::symlink_metadata(from_here(tgid, path)).ok().map(|file| file.ino());
    if there.is_some() && there == ino() { (path, false) } else { (name, true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps() {
        let line = b"7f1b5e200000-7f1b5e2b1000 r-xp 00025000 fe:10 326798                     /usr/lib/a b/libssl.so.3";
        let expected = Mapping {
            address: 0x7f1b_5e20_0000,
            end: 0x7f1b_5e2b_1000,
            executable: true,
            offset: 0x25000,
            dev: 0xfe << 20 | 0x10,
            ino: 326_798,
            path: b"/usr/lib/a b/libssl.so.3",
        };
        assert_eq!(Mapping::parse(line), Some(expected));
        for line in
            [&b""[..], b"7f1b-7f1c r-xp 0 0:0 0 [vdso]", b"/", b"x-y r-xp 0 fe:10 1 /a", b"1-2 r-xp 0 fe10 1 /a"]
        {
            assert_eq!(Mapping::parse(line), None);
        }
    }

    /// A library whose code is not in one piece was told once for each of them.
    #[test]
    fn a_library_is_told_once_for_each_time_that_it_was_mapped() {
        let line = |address: u64, permissions: &str, offset: u64, ino: u64, path: &str| {
            format!("{address:x}-{:x} {permissions} {offset:08x} fe:10 {ino} {path}\n", address + 0x1000)
        };
        let once = |at: u64, ino, path: &str| {
            line(at, "r--p", 0, ino, path)
                + &line(at + 0x1000, "r-xp", 0x1000, ino, path)
                + &line(at + 0x2000, "r--p", 0x2000, ino, path)
                + &line(at + 0x3000, "r-xp", 0x3000, ino, path)
                + &line(at + 0x4000, "rw-p", 0x4000, ino, path)
        };
        let maps = once(0x10_0000, 7, "/usr/lib/libssl.so.3")
            + &once(0x20_0000, 7, "/usr/lib/libssl.so.3")
            + "7f00-7f01 rw-p 0 00:00 0\n"
            + &once(0x30_0000, 8, "/usr/lib/libcrypto.so.3")
            + &once(0x40_0000, 9, "/usr/lib/libnothing.so")
            + &once(0x50_0000, 7, "/usr/lib/libssl.so.3");
        let told: Vec<_> = loads(maps.as_bytes()).map(|map| (map.address, map.ino)).collect();
        assert_eq!(told, [(0x10_1000, 7), (0x20_1000, 7), (0x30_1000, 8), (0x50_1000, 7)]);
    }

    #[test]
    fn no_deleted_in_names_but_of_files_that_are_named_so() {
        let me = std::process::id();
        let directory = std::env::temp_dir().join(format!("crypto-trace-maps-{me}"));
        std::fs::create_dir_all(&directory).expect("a directory");
        let file = directory.join("a.pem (deleted)");
        std::fs::write(&file, "").expect("a file");
        let path = file.as_os_str().as_bytes();
        let ino = std::fs::metadata(&file).expect("is there").ino();
        assert_eq!(name(me, path, || Some(ino)), (path, false));
        // Another one that is deleted, beside one that is named as /proc names it.
        let without = path.strip_suffix(DELETED).expect("ends so");
        assert_eq!(name(me, path, || Some(ino + 1)), (without, true));
        std::fs::remove_dir_all(&directory).expect("is ours");
        // Named so and deleted: one is the kernel's.
        assert_eq!(name(me, path, || Some(ino)), (without, true));
        assert_eq!(name(me, &[path, DELETED].concat(), || Some(ino)), (path, true));
        assert_eq!(name(me, b"/a.pem", || None), (&b"/a.pem"[..], false));
    }
}
