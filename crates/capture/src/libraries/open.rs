//! Opening files that other processes have mapped, so that nothing but those is ever opened.
//!
//! A path is walked by openat2(2) beneath the root of its process, and no link is followed: the paths that the kernel tells of mappings
//! have none, so that one which has was put there since. What is found is looked at before it is opened: to open a device may do
//! something, and a FIFO's writer would go on. Then the very file that was looked at is opened.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, fstatfs, major, minor, open, openat2, readlinkat};

use super::finder::{FileId, Refusal};

/// File systems whose files have other device numbers in stat(2) than in the kernel (include/uapi/linux/magic.h).
const OVERLAYFS: i64 = 0x794c_7630;
const BTRFS: i64 = 0x9123_683e;

/// Our own root; those of others are `/proc/PID/root`.
const OWN_ROOT: &str = "/";

/// How often a walk is tried again that another process's renames disturbed.
const TRIES: u32 = 4;

/// A file as it was when it was opened. What was written to since has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The device that stat(2) tells, which subvolumes do not share.
    dev: u64,
    /// Bytes.
    pub size: u64,
    /// When it was written, as its owner may set it.
    modified: (i64, i64),
    /// When it was changed, which only the kernel sets.
    changed: (i64, i64),
}

/// A regular file that is open.
#[derive(Debug)]
pub struct Opened {
    /// To be read.
    pub file: File,
    /// What stat(2) says: on some file systems a mapping says something else.
    pub id: FileId,
    /// As it is.
    pub stamp: Stamp,
}

/// Where a process has something mapped: begin and end.
pub type Range = (u64, u64);

/// Whether links are followed. Only where root alone says what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    Follow,
    Refuse,
}

/// The file of a link of /proc that leads to an object and not to a path: `exe`, and those in `map_files`.
///
/// # Errors
/// When there is none, or it is no regular file.
pub fn linked(link: &Path) -> io::Result<Opened> {
    opened(open(link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

/// A file of the dynamic linker's cache, which root made: its paths have links.
///
/// # Errors
/// When it is not there, or no regular file.
pub fn of_cache(path: &Path) -> io::Result<Opened> {
    opened(walk(OWN_ROOT.as_ref(), path.as_os_str().as_bytes(), Links::Follow)?)
}

/// The file at a path as the process sees it, or for process 0 as we do.
///
/// # Errors
/// When it is not there, is reached by a link, or is no regular file.
pub fn beneath(tgid: u32, path: &[u8]) -> io::Result<Opened> {
    opened(walk(&root(tgid), path, if tgid == 0 { Links::Follow } else { Links::Refuse })?)
}

/// What the file at a path as the process sees it is like now, without opening it.
///
/// # Errors
/// As those of [`beneath`].
pub fn stamp(tgid: u32, path: &[u8]) -> io::Result<(FileId, Stamp)> {
    Ok(told(&fstat(walk(&root(tgid), path, Links::Refuse)?)?))
}

/// The library `name` beside another one: there its name may be a link to another name in the same directory.
///
/// # Errors
/// As those of [`beneath`].
pub fn beside(tgid: u32, directory: &[u8], name: &[u8]) -> io::Result<Opened> {
    let found = beneath(tgid, &[directory, name].concat());
    let Err(error) = &found else { return found };
    if error.raw_os_error() != Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return found;
    }
    let directory = walk(&root(tgid), directory, Links::Refuse)?;
    let target = readlinkat(&directory, name, Vec::new())?;
    if target.as_bytes().contains(&b'/') {
        return found;
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    opened(openat2(&directory, target, flags, Mode::empty(), resolve(Links::Refuse))?)
}

/// The file that a process has mapped, at `range` if that is there still, else what is under this path.
///
/// # Errors
/// Why it is not the one, for people.
pub fn mapped(tgid: u32, path: &[u8], id: FileId, range: Option<Range>) -> Result<Opened, Refusal> {
    let is_it = |found: &Opened| found.id == id || (found.id.1 == id.1 && has_own_device_numbers(&found.file));
    let mut refusal = None;
    let mut denied = false;
    if let Some((begin, end)) = range {
        match linked(&PathBuf::from(format!("/proc/{tgid}/map_files/{begin:x}-{end:x}"))) {
            // An overlay's number may be another one in stat(2), but what is mapped is what is mapped.
            Ok(found) if is_it(&found) || has_own_device_numbers(&found.file) => return Ok(found),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = true,
            _ => {}
        }
    }
    // The process may have ended; then the same file may be there for us as well.
    for root in [root(tgid), PathBuf::from(OWN_ROOT)] {
        match walk(&root, path, Links::Refuse).and_then(opened) {
            Ok(found) if is_it(&found) => return Ok(found),
            Ok(_) => {
                let message = "the file at its path is not the one that is mapped: it was replaced".to_owned();
                refusal.get_or_insert(Refusal { errno: 0, message });
            }
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                let message = "there is a link at its path, which is not followed: it was replaced".to_owned();
                refusal.get_or_insert(Refusal { errno: 0, message });
            }
            Err(error) => {
                refusal.get_or_insert(error.into());
            }
        }
    }
    let mut refusal = refusal.unwrap_or(Refusal { errno: 0, message: "it has no path".to_owned() });
    if denied {
        refusal
            .message
            .push_str("; opening the mapped file is not allowed (needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN)");
    }
    Err(refusal)
}

fn root(tgid: u32) -> PathBuf {
    PathBuf::from(if tgid == 0 { OWN_ROOT.to_owned() } else { format!("/proc/{tgid}/root") })
}

fn resolve(links: Links) -> ResolveFlags {
    let none = if links == Links::Refuse { ResolveFlags::NO_SYMLINKS } else { ResolveFlags::empty() };
    ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | none
}

/// What is at a path beneath a root, without opening it.
fn walk(root: &Path, path: &[u8], links: Links) -> io::Result<OwnedFd> {
    let root = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match openat2(&root, OsStr::from_bytes(path), OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve(links)) {
            Err(rustix::io::Errno::AGAIN) if tries > 0 => {}
            found => return Ok(found?),
        }
    }
}

/// Opens what was looked at, if it is a regular file.
fn opened(found: impl AsFd) -> io::Result<Opened> {
    let stat = fstat(&found)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("not a regular file"));
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = open(format!("/proc/self/fd/{}", found.as_fd().as_raw_fd()), flags, Mode::empty())?;
    // Of the open one: what is read of it is what it has become by now.
    let (id, stamp) = told(&fstat(&file)?);
    Ok(Opened { file: File::from(file), id, stamp })
}

fn told(stat: &Stat) -> (FileId, Stamp) {
    let nanoseconds = |part: u64| i64::try_from(part).unwrap_or(i64::MAX);
    let stamp = Stamp {
        dev: stat.st_dev,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: (stat.st_mtime, nanoseconds(stat.st_mtime_nsec)),
        changed: (stat.st_ctime, nanoseconds(stat.st_ctime_nsec)),
    };
    ((u64::from(major(stat.st_dev)) << 20 | u64::from(minor(stat.st_dev)), stat.st_ino), stamp)
}

fn has_own_device_numbers(file: &File) -> bool {
    fstatfs(file).is_ok_and(|system| [OVERLAYFS, BTRFS].contains(&system.f_type))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("crypto-trace-open-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a directory");
            // A walk follows no links, and the directory for such files may be reached by one.
            Self(path.canonicalize().expect("is there"))
        }

        fn file(&self, name: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, name).expect("written");
            path
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn bytes(path: &Path) -> &[u8] {
        path.as_os_str().as_bytes()
    }

    /// Absolute links of a process were followed in our root, relative ones to wherever they led.
    #[test]
    fn links_that_lie_at_the_path_of_a_library_are_not_followed() {
        let directory = Directory::new("links");
        let secret = directory.file("secret");
        let mine = std::fs::metadata(&secret).expect("is there");
        let me = std::process::id();
        std::fs::create_dir(directory.0.join("real")).expect("a directory");
        std::fs::write(directory.0.join("real/secret"), "").expect("written");
        symlink(&secret, directory.0.join("absolute")).expect("a link");
        symlink("secret", directory.0.join("relative")).expect("a link");
        symlink("real", directory.0.join("way")).expect("a link");
        symlink("/proc/self/fd/0", directory.0.join("magic")).expect("a link");
        for name in ["absolute", "relative", "way/secret", "magic"] {
            let path = directory.0.join(name);
            let error = beneath(me, bytes(&path)).expect_err(name);
            assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::LOOP.raw_os_error()), "{name}: {error}");
            let dev = mine.dev();
            let id = (u64::from(major(dev)) << 20 | u64::from(minor(dev)), mine.ino());
            let refusal = mapped(me, bytes(&path), id, None).expect_err(name);
            assert!(refusal.message.contains("a link at its path"), "{}", refusal.message);
        }
        let found = beneath(me, bytes(&secret)).expect("it is there");
        assert_eq!((found.id.1, found.stamp.size), (mine.ino(), mine.size()));
        // Nothing is above the root.
        let above = [b"/../../..", bytes(&secret)].concat();
        assert_eq!(beneath(me, &above).expect("the root's parent is the root").id, found.id);
    }

    #[test]
    fn a_library_may_have_a_link_to_its_neighbour_for_a_name() {
        let directory = Directory::new("beside");
        let real = directory.file("libcrypto.so.3.2.1");
        symlink("libcrypto.so.3.2.1", directory.0.join("libcrypto.so.3")).expect("a link");
        symlink("/etc/passwd", directory.0.join("libother.so")).expect("a link");
        symlink("libcrypto.so.3", directory.0.join("twice")).expect("a link");
        let (me, place) = (std::process::id(), [bytes(&directory.0), b"/"].concat());
        let found = beside(me, &place, b"libcrypto.so.3").expect("by its link");
        assert_eq!(found.id.1, std::fs::metadata(&real).expect("is there").ino());
        assert!(beside(me, &place, b"libother.so").is_err());
        assert!(beside(me, &place, b"twice").is_err());
        assert!(beside(me, &place, b"nothing").is_err());
    }

    /// The writer of a FIFO went on when it was opened, and a device does what it does.
    #[test]
    fn what_is_no_regular_file_is_looked_at_and_not_opened() {
        let directory = Directory::new("kinds");
        let fifo = directory.0.join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a FIFO");
        // Without a reader a writer that does not wait is refused: as long as it is, nobody has opened the other end.
        let write = || open(&fifo, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()).map(drop);
        for path in [fifo.as_path(), &directory.0, Path::new("/dev/null"), Path::new("/dev/tty")] {
            let error = beneath(std::process::id(), bytes(path)).expect_err("no file");
            assert_eq!(error.to_string(), "not a regular file", "{}", path.display());
            assert_eq!(write(), Err(rustix::io::Errno::NXIO));
        }
    }

    #[test]
    fn what_is_written_to_has_another_stamp() {
        let directory = Directory::new("stamp");
        let path = directory.file("junk");
        let stamp = || beneath(std::process::id(), bytes(&path)).expect("it is there").stamp;
        let before = stamp();
        assert_eq!(stamp(), before);
        let modified = std::fs::metadata(&path).and_then(|file| file.modified()).expect("a time");
        // As many bytes as before, and its owner sets the time back.
        while stamp().changed == before.changed {
            let file = File::options().write(true).open(&path).expect("opens");
            std::os::unix::fs::FileExt::write_at(&file, b"J", 0).expect("written");
            file.set_modified(modified).expect("set");
        }
        let after = stamp();
        assert_eq!((after.size, after.modified), (before.size, before.modified));
        assert_ne!(after, before);
    }
}
