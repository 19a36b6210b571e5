//! What one process's directory in /proc tells, read as bytes and in bounded pieces: its files hold what the process says of
//! itself, of any length and in any encoding.
//!
//! The directory is opened once, so that all is told of one process, also when another one gets its number.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};

/// Buffer for reading lines: the kernel hands over no more than a page of such files at once.
const BUFFER_BYTES: usize = 16 << 10;

/// Bytes of a status file that are looked at; its longest line, of supplementary groups, may have 700 KB.
const STATUS: Limits = Limits { line: 4 << 10, total: 1 << 20, time: Duration::from_secs(1) };

/// Bytes of a stat file: 52 numbers and a name.
const STAT_BYTES: u64 = 4 << 10;

/// How much of a file is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longer lines are passed over.
    pub line: usize,
    /// Bytes in all.
    pub total: u64,
    /// Time in all.
    pub time: Duration,
}

/// Whether all of something was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All that was asked for.
    Whole,
    /// Its share was used up, or a line was too long.
    Cut,
}

/// Why something of a process is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is not allowed to see it.
    Denied,
    /// The process has ended.
    Gone,
    /// It could not be read although it is there.
    Unread,
}

/// An open directory of a process.
#[derive(Debug)]
pub struct Entry {
    tgid: u32,
    dir: OwnedFd,
}

/// What proc_pid_stat(5) tells, as far as it is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stat {
    /// Name; not cut to 15 bytes for threads of the kernel.
    pub comm: Vec<u8>,
    /// Whether it has ended, and waits to be looked at by its parent.
    pub is_ended: bool,
    /// Parent.
    pub ppid: u32,
    /// `PF_*` flags, include/linux/sched.h.
    pub flags: u32,
    /// When it began, in ticks since boot.
    pub start_ticks: u64,
    /// Bytes of its arguments, as it says; `None` where that may not be seen.
    pub argv_bytes: Option<u64>,
}

/// What proc_pid_status(5) tells, as far as it is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// The process it belongs to: itself, unless it is a thread.
    pub tgid: u32,
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Process id in its own PID namespace; 0 where the kernel does not show.
    pub ns_pid: u32,
}

/// Looks at each line of a file, without its end, until all are looked at, the limits are reached, or `look` breaks.
///
/// # Errors
/// Those of reading.
pub fn each_line(
    from: impl Read,
    limits: Limits,
    mut look: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<Extent> {
    let began = Instant::now();
    let mut from = BufReader::with_capacity(BUFFER_BYTES, from);
    let (mut line, mut total, mut extent, mut skipping) = (Vec::new(), 0_u64, Extent::Whole, false);
    loop {
        let buffer = match from.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            if !line.is_empty() {
                let _ = look(&line);
            }
            return Ok(extent);
        }
        if total >= limits.total || began.elapsed() >= limits.time {
            return Ok(Extent::Cut);
        }
        let mut rest = buffer;
        while !rest.is_empty() {
            let (piece, after, ends) = match memchr::memchr(b'\n', rest) {
                Some(end) => (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default(), true),
                None => (rest, &[][..], false),
            };
            rest = after;
            if skipping || line.len() + piece.len() > limits.line {
                // Passed over to its end.
                (skipping, extent) = (!ends, Extent::Cut);
                line.clear();
                continue;
            }
            let whole = if line.is_empty() && ends {
                piece
            } else {
                line.extend_from_slice(piece);
                line.as_slice()
            };
            if ends {
                let flow = look(whole);
                line.clear();
                if flow.is_break() {
                    return Ok(extent);
                }
            }
        }
        let used = buffer.len();
        total += used as u64;
        from.consume(used);
    }
}

impl Entry {
    /// Opens the directory of a process.
    ///
    /// # Errors
    /// When there is none, or not even that may be seen.
    pub fn open(tgid: u32) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { tgid, dir: rustix::fs::open(format!("/proc/{tgid}"), flags, Mode::empty())? })
    }

    /// Process id.
    pub fn tgid(&self) -> u32 {
        self.tgid
    }

    /// Opens a file or a directory in it.
    ///
    /// # Errors
    /// When the process is gone, or it is not allowed.
    pub fn file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        Ok(rustix::fs::openat(&self.dir, name, flags, Mode::empty())?.into())
    }

    /// A file's first bytes, at most so many.
    ///
    /// # Errors
    /// When the process is gone, or it is not allowed.
    pub fn read(&self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(name)?.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// What a link tells.
    ///
    /// # Errors
    /// When the process is gone, or it is not allowed.
    pub fn link(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.dir, name, Vec::new())?.into_bytes())
    }

    /// The inode number of what a link leads to. A file system that is somewhere else is not asked.
    pub fn ino(&self, name: &str) -> Option<u64> {
        let flags = AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
        rustix::fs::statx(&self.dir, name, flags, StatxFlags::INO).ok().map(|file| file.stx_ino)
    }

    /// The inode number of a namespace, as its link calls it (`net:[4026531840]`): to follow the link would make an inode for it each
    /// time.
    pub fn namespace(&self, name: &str) -> Option<u32> {
        let link = self.link(name).ok()?;
        let number = link.split(|byte| *byte == b'[').nth(1)?.strip_suffix(b"]")?;
        std::str::from_utf8(number).ok()?.parse().ok()
    }

    /// What `stat` tells.
    ///
    /// # Errors
    /// When the process is gone, or it is not allowed.
    pub fn stat(&self) -> io::Result<Stat> {
        Stat::parse(&self.read("stat", STAT_BYTES)?).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// What `status` tells.
    ///
    /// # Errors
    /// When the process is gone, or it is not allowed.
    pub fn status(&self) -> io::Result<Status> {
        Status::read(self.file("status")?)
    }

    /// The numbers of its descriptors and what they are of, at most `most`, each as its link tells.
    ///
    /// # Errors
    /// When the process is gone, or it is not allowed.
    pub fn descriptors(&self, most: usize, mut look: impl FnMut(u32, &[u8])) -> io::Result<Extent> {
        let directory = rustix::fs::Dir::new(OwnedFd::from(self.file("fd")?))?;
        let mut left = most;
        for entry in directory {
            let entry = entry?;
            let Some(number) = entry.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            if left == 0 {
                return Ok(Extent::Cut);
            }
            left -= 1;
            // Closed meanwhile.
            let Ok(link) = self.link(&format!("fd/{number}")) else { continue };
            look(number, &link);
        }
        Ok(Extent::Whole)
    }

    /// Why reading something failed.
    pub fn missing(&self, error: &io::Error) -> Missing {
        match Missing::new(error) {
            // What has no memory and no files any more, but has not ended: then something else was wrong.
            Missing::Gone if self.stat().is_ok_and(|stat| !stat.is_ended) => Missing::Unread,
            missing => missing,
        }
    }
}

impl Missing {
    /// As an error alone tells it.
    pub fn new(error: &io::Error) -> Self {
        const ENDED: i32 = rustix::io::Errno::SRCH.raw_os_error();
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::NotFound => Self::Gone,
            _ if error.raw_os_error() == Some(ENDED) => Self::Gone,
            _ => Self::Unread,
        }
    }
}

impl Stat {
    fn parse(text: &[u8]) -> Option<Self> {
        // The name may hold anything, parentheses and ends of lines too.
        let (open, close) = (memchr::memchr(b'(', text)?, memchr::memrchr(b')', text)?);
        let comm = text.get(open + 1..close)?.to_vec();
        let fields: Vec<&str> = std::str::from_utf8(text.get(close + 1..)?).ok()?.split_ascii_whitespace().collect();
        // Counted from 1 in the manual, and the name is the second.
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |at: usize| field(at)?.parse::<u64>().ok();
        let argv = number(49).zip(number(48)).filter(|(end, begin)| end > begin);
        Some(Self {
            comm,
            is_ended: matches!(field(3)?, "Z" | "X" | "x"),
            ppid: field(4)?.parse().ok()?,
            flags: field(9)?.parse().ok()?,
            start_ticks: number(22)?,
            argv_bytes: argv.map(|(end, begin)| end - begin),
        })
    }
}

impl Status {
    fn read(from: impl Read) -> io::Result<Self> {
        let mut status = Self::default();
        let (mut has_uid, mut has_gid) = (false, false);
        each_line(from, STATUS, |line| {
            let values = |name: &str| {
                let values = line.strip_prefix(name.as_bytes())?;
                Some(std::str::from_utf8(values).ok()?.split_ascii_whitespace())
            };
            let first = |name: &str| values(name)?.next()?.parse().ok();
            if let Some(tgid) = first("Tgid:") {
                status.tgid = tgid;
            } else if let Some(uid) = first("Uid:") {
                (status.uid, has_uid) = (uid, true);
            } else if let Some(gid) = first("Gid:") {
                (status.gid, has_gid) = (gid, true);
            } else if let Some(ids) = values("NSpid:") {
                status.ns_pid = ids.last().and_then(|id| id.parse().ok()).unwrap_or(0);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        if has_uid && has_gid { Ok(status) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

/// Ids of the processes that are there.
///
/// # Errors
/// When /proc cannot be listed: too many open files, for example.
pub fn all() -> io::Result<impl Iterator<Item = u32>> {
    Ok(std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { line: 5, total: 1 << 20, time: Duration::from_secs(60) };

    fn lines(text: &[u8], limits: Limits) -> (Vec<String>, Extent) {
        let mut lines = Vec::new();
        let extent = each_line(text, limits, |line| {
            lines.push(String::from_utf8_lossy(line).into_owned());
            if line == b"stop" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (lines, extent.expect("memory can be read"))
    }

    #[test]
    fn lines_that_are_too_long_are_passed_over_and_that_is_told() {
        let check = |text: &[u8], expected: &[&str], extent| {
            assert_eq!(lines(text, LIMITS), (expected.iter().map(ToString::to_string).collect(), extent));
        };
        check(b"", &[], Extent::Whole);
        check(b"a\n\nbcdef\ng", &["a", "", "bcdef", "g"], Extent::Whole);
        check(b"a\nbcdefg\nh\n", &["a", "h"], Extent::Cut);
        check(b"a\nbcdefghijk", &["a"], Extent::Cut);
        check(b"a\nstop\nb\n", &["a", "stop"], Extent::Whole);
        let long = [&vec![b'x'; 3 * BUFFER_BYTES][..], b"\nabc\n"].concat();
        check(&long, &["abc"], Extent::Cut);
        // Across the end of the buffer.
        let short = b"abcd\n".repeat(BUFFER_BYTES);
        assert_eq!(lines(&short, LIMITS), (vec!["abcd".to_owned(); BUFFER_BYTES], Extent::Whole));
    }

    #[test]
    fn no_more_is_looked_at_than_the_limits_say() {
        let text = b"abcd\n".repeat(10 * BUFFER_BYTES);
        let (found, extent) = lines(&text, Limits { total: BUFFER_BYTES as u64, ..LIMITS });
        assert_eq!((found.len(), extent), (BUFFER_BYTES / 5, Extent::Cut));
        let (found, extent) = lines(&text, Limits { time: Duration::ZERO, ..LIMITS });
        assert_eq!((found.len(), extent), (0, Extent::Cut));
    }

    /// The kernel's text of a process that calls itself by no text.
    #[test]
    fn stat_and_status_of_a_process_with_any_name() {
        let tail = b"S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 67 89 18446744073709551615 1 1 1 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 1 1 1 5000 5100 1 1 0";
        for comm in [&b"x\xffy"[..], b"a) S 1 (", b"", b"a\nb"] {
            let text = [b"4711 (", comm, b") ", tail].concat();
            let expected = Stat {
                comm: comm.to_vec(),
                is_ended: false,
                ppid: 7,
                flags: 4_194_560,
                start_ticks: 12_345,
                argv_bytes: Some(100),
            };
            assert_eq!(Stat::parse(&text), Some(expected));
            for end in 0..text.len() - 60 {
                // Nothing is taken for something else.
                assert!(Stat::parse(&text[..end]).is_none_or(|stat| stat.argv_bytes.is_none()));
            }
        }
        let groups = "1 ".repeat(65_536);
        let text =
            format!("Tgid:\t900\nUid:\t10\t11\t12\t13\nGid:\t20\t21\t22\t23\nGroups:\t{groups}\nNSpid:\t900\t7\t1\n");
        let text = [b"Name:\tx\xffUid:\t0\n", text.as_bytes()].concat();
        assert_eq!(Status::read(&text[..]).expect("has both"), Status { tgid: 900, uid: 10, gid: 20, ns_pid: 1 });
        assert!(Status::read(&b"Name:\tx\n"[..]).is_err());
    }

    #[test]
    fn this_process() {
        let me = Entry::open(std::process::id()).expect("is there");
        let (stat, status) = (me.stat().expect("ours"), me.status().expect("ours"));
        assert_eq!(status.uid, rustix::process::getuid().as_raw());
        assert_eq!(Some(stat.ppid), rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()));
        assert_eq!(stat.argv_bytes, me.read("cmdline", 1 << 20).ok().map(|argv| argv.len() as u64));
        assert!(me.namespace("ns/net").is_some() && me.namespace("ns/nothing").is_none());
        assert_eq!(me.namespace("ns/net").map(u64::from), me.ino("ns/net"));
        let mut seen = Vec::new();
        assert_eq!(me.descriptors(1 << 20, |number, _| seen.push(number)).expect("ours"), Extent::Whole);
        assert!([0, 1, 2].iter().all(|number| seen.contains(number)), "{seen:?}");
        let mut few = 0;
        assert_eq!(me.descriptors(2, |_, _| few += 1).expect("ours"), Extent::Cut);
        assert_eq!(few, 2);
        let gone = std::io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error());
        assert_eq!(me.missing(&gone), Missing::Unread, "it is there");
        assert_eq!(Missing::new(&gone), Missing::Gone);
        let no_room = std::io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        assert_eq!(Missing::new(&no_room), Missing::Unread);
    }
}
