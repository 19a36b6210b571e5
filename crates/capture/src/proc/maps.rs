//! What a process has mapped, from /proc/PID/maps, and the names that /proc gives to files that are gone.
//!
//! Lines are looked at as they are read, and none is kept that nobody asked for: how many a process has, and how long they are, is
//! its own affair.

use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use crypto_trace_format::catalog;

use crate::proc::entry::{Entry, Extent, Limits, each_line};
use crate::say;

/// What the kernel puts behind the name of a file that has none any more.
const DELETED: &[u8] = b" (deleted)";

/// What is looked at of /proc/PID/maps: a process may have as many mappings as it likes, each with a path of 4 KiB, in which ends of
/// lines take four bytes. All 65,530 that it may have by default fit with paths of 430 bytes.
const LIMITS: Limits = Limits { line: 20 << 10, total: 32 << 20, time: Duration::from_secs(1) };

/// Bytes of [`text`].
const MAX_TEXT: usize = 1 << 20;

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

/// Which executable mappings are of libraries, each as often as it was mapped: where it has several executable parts, by the first.
/// Known by their names, also where the kernel added to these. For one process, whose mappings are told in their order.
#[derive(Debug, Default)]
pub struct Loads {
    before: Option<(u64, u64, u64)>,
}

impl Loads {
    /// Whether this one is.
    pub fn is_one(&mut self, map: &Mapping<'_>) -> bool {
        (is_library(map.path) || map.path.strip_suffix(DELETED).is_some_and(is_library)) && {
            let told = self.before.replace((map.dev, map.ino, map.offset));
            map.begins_another(told)
        }
    }
}

/// Looks at the executable mappings of files of a process, in the order of their addresses.
///
/// # Errors
/// When they cannot be read: the process is gone, or not ours.
pub fn each(entry: &Entry, look: impl FnMut(&Mapping<'_>) -> ControlFlow<()>) -> io::Result<Extent> {
    each_in(entry.file("maps")?, look)
}

fn each_in(from: impl io::Read, mut look: impl FnMut(&Mapping<'_>) -> ControlFlow<()>) -> io::Result<Extent> {
    each_line(from, LIMITS, |line| match Mapping::parse(line).filter(|_| is_executable(line)) {
        Some(map) => look(&map),
        None => ControlFlow::Continue(()),
    })
}

/// Whether the catalog knows a library by this path.
pub fn is_library(path: &[u8]) -> bool {
    catalog::library(path).is_some()
}

/// The lines of /proc/PID/maps that are of executable mappings of files: 1 MiB of them, and a word to people if there are more.
///
/// # Errors
/// When it cannot be read: the process is gone, or not ours.
pub fn text(tgid: u32) -> io::Result<Vec<u8>> {
    static SAID: Once = Once::new();
    let mut text = Vec::new();
    let extent = each_line(Entry::open(tgid)?.file("maps")?, LIMITS, |line| {
        if is_executable(line) && memchr::memchr(b'/', line).is_some() {
            if text.len() + line.len() >= MAX_TEXT {
                return ControlFlow::Break(());
            }
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        ControlFlow::Continue(())
    })?;
    if extent == Extent::Cut || text.len() + LIMITS.line >= MAX_TEXT {
        SAID.call_once(|| {
            say::warning(&format!(
                "process {tgid} maps more than one process's share (32 MiB of text, 1 MiB of code): some of its \
                 libraries, and of those of other such processes, are not looked for"
            ));
        });
    }
    Ok(text)
}

/// Whether a line is of an executable mapping.
fn is_executable(line: &[u8]) -> bool {
    memchr::memchr(b' ', line).and_then(|at| line.get(at + 3)) == Some(&b'x')
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

    /// A library whose code is not in one piece was reported once for each of them.
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
        let (mut loads, mut told) = (Loads::default(), Vec::new());
        let extent = each_in(maps.as_bytes(), |map| {
            if loads.is_one(map) {
                told.push((map.address, map.ino));
            }
            ControlFlow::Continue(())
        });
        assert_eq!(extent.expect("memory can be read"), Extent::Whole);
        assert_eq!(told, [(0x10_1000, 7), (0x20_1000, 7), (0x30_1000, 8), (0x50_1000, 7)]);
    }

    /// One mapping of a file whose name is no text hid all libraries of its process.
    #[test]
    fn names_that_are_no_text_hide_nothing_else() {
        let maps = b"1000-2000 r--p 0 fe:10 5 /tmp/\xff\xfe.dat\n2000-3000 r-xp 0 fe:10 6 /tmp/\xff.so\n\
            3000-4000 r-xp 0 fe:10 7 /usr/lib/libssl.so.3\n4000-5000 r-xp 0 00:00 0 [vdso]\n";
        let mut paths = Vec::new();
        let extent = each_in(&maps[..], |map| {
            paths.push(map.path.to_vec());
            ControlFlow::Continue(())
        });
        assert_eq!(extent.expect("memory can be read"), Extent::Whole);
        assert_eq!(paths, [&b"/tmp/\xff.so"[..], b"/usr/lib/libssl.so.3"]);
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
