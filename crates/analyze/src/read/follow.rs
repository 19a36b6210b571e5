//! A directory that is being recorded into, read as one stream: each segment from its beginning to its end, the one that is
//! written as far as it is written, then the next.
//!
//! Nothing is read twice and nothing is left out silently: what retention deleted before it was read is said, and so is a
//! recording that broke off. Of a file that is still written to only whole units are taken ([`unit_at`]), for a writer on a
//! full disk cuts its file back to the last of them.

use crate::capture::clock::WallNs;
use crate::cli::console::Console;
use crate::read::faults::FaultLog;
use crate::read::{LiveBatch, LiveRun, LiveSink, run_live};
use crate::select::Filter;
use crate::select::time::TimeSpec;
use anyhow::{Context, Result};
use crypto_trace_format::segment::{OPEN_SUFFIX, SEGMENT_SUFFIX, Unit, unit_at};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How often to look for more.
const POLL: Duration = Duration::from_millis(40);

/// How long a segment must have stood still before a newer recording is taken for its successor: the writer of this one is gone.
const ABANDONED: Duration = Duration::from_secs(3);

/// Most bytes taken from a file at a time.
const CHUNK: usize = 256 << 10;

/// Longest unit there is: a block of the largest size with its header, or a footer.
const MAX_UNIT: usize = 32 << 20;

/// How long after a signal a second one is another: some send the same one to a process and to its group.
const SECOND_SIGNAL: Duration = Duration::from_millis(400);

/// Asks a run that goes on for ever to end: SIGINT or SIGTERM, or its time is up. A second signal ends the program at once,
/// in case it waits for whoever reads its output.
#[derive(Debug, Clone)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Stop {
    /// From now on signals ask; and after `duration`, if there is one, so does time.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub fn install(duration: Option<Duration>) -> io::Result<Self> {
        let [flag, armed] = [Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false))];
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&armed))?;
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        let asked = Arc::clone(&flag);
        std::thread::Builder::new().name("stop".to_owned()).spawn(move || {
            while !asked.load(Ordering::Relaxed) {
                std::thread::sleep(SECOND_SIGNAL / 4);
            }
            std::thread::sleep(SECOND_SIGNAL);
            armed.store(true, Ordering::Relaxed);
        })?;
        Ok(Self { flag, deadline: duration.and_then(|duration| Instant::now().checked_add(duration)) })
    }

    /// Whether to end.
    pub fn is_asked(&self) -> bool {
        self.flag.load(Ordering::Relaxed) || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Sleeps for a while, less when asked to end.
    pub fn sleep(&self, duration: Duration) {
        // None: longer than the clock can represent.
        let until = Instant::now().checked_add(duration);
        while !self.is_asked() {
            let left = until.map_or(POLL, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(POLL));
        }
    }
}

#[cfg(test)]
impl Stop {
    /// No signals, only time.
    pub fn after(duration: Duration) -> Self {
        Self { flag: Arc::default(), deadline: Instant::now().checked_add(duration) }
    }
}

/// What a segment's name tells: `HOST-TIME-CAPTURE-SEQUENCE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    /// Host, and the first digits of the capture's id.
    capture: (String, String),
    sequence: u64,
    time: String,
    /// The whole of it, without `.open`.
    file: String,
}

impl Name {
    fn parse(file: &str) -> Option<Self> {
        let mut parts = file.strip_suffix(SEGMENT_SUFFIX)?.rsplitn(4, '-');
        let (sequence, id, time, host) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            capture: (host.to_owned(), id.to_owned()),
            sequence: sequence.parse().ok()?,
            time: time.to_owned(),
            file: file.to_owned(),
        })
    }
}

/// The segment that is read.
struct Current {
    name: Name,
    file: File,
    /// Bytes of it that were handed out.
    taken: u64,
    /// Read, but not a whole unit yet.
    rest: Vec<u8>,
    /// Since when there has been nothing new.
    still: Instant,
}

/// Reads a directory of segments as they are written.
pub struct Follower {
    directory: PathBuf,
    console: Console,
    stop: Stop,
    current: Option<Current>,
    /// Read to their end, or not to be read.
    done: BTreeSet<String>,
    /// By capture, the next sequence number.
    next: BTreeMap<(String, String), u64>,
    ready: Vec<u8>,
    given: usize,
    /// What is read at a time; its content is of no account between reads.
    chunk: Vec<u8>,
    /// What was said last of a directory that cannot be read; nothing when it can.
    trouble: Option<String>,
    /// Bytes that were there when following began, of the segment that is read first.
    past: u64,
    /// Whether what is handed out now has come since then: by where it is rather than by its time, for clocks may jump.
    is_new: Arc<AtomicBool>,
}

/// Shows what has come since following began. What was there before is read all the same: it tells of the processes.
struct FromNow<'a> {
    inner: &'a mut dyn LiveSink,
    /// [`Follower::is_new`].
    is_new: Arc<AtomicBool>,
}

impl LiveSink for FromNow<'_> {
    fn remembers_processes(&self) -> bool {
        self.inner.remembers_processes()
    }

    fn batch(&mut self, batch: LiveBatch<'_>) -> io::Result<()> {
        if !self.is_new.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.inner.batch(batch)
    }
}

/// The filter of a run that follows: times before the capture's end are before now.
fn from_now(filter: &Filter, now: WallNs) -> Filter {
    let since = filter.since.and_then(|since| since.resolve(Some(now))).map(TimeSpec::At);
    Filter { since, ..filter.clone() }
}

impl Follower {
    /// Follows `directory` until asked to stop, or for `duration`. Returns the filter with its times, which are before now.
    ///
    /// # Errors
    /// When the directory cannot be listed, or signals cannot be handled.
    pub fn begin(
        directory: &Path,
        duration: Option<Duration>,
        filter: &Filter,
        console: Console,
    ) -> Result<(Self, Filter)> {
        let stop = Stop::install(duration).context("cannot install signal handlers")?;
        let now = wall(SystemTime::now());
        let from = filter.since.and_then(|since| since.resolve(Some(now)));
        Ok((Self::open(directory, from, stop, console)?, from_now(filter, now)))
    }

    /// Shows what comes until the end.
    ///
    /// # Errors
    /// When a segment cannot be read or the output cannot be written.
    pub fn run(self, filter: &Filter, sink: &mut dyn LiveSink, faults: &mut FaultLog) -> io::Result<LiveRun> {
        let is_new = Arc::clone(&self.is_new);
        let run = match run_live(self, filter, &mut FromNow { inner: sink, is_new }, faults) {
            // There was nothing to read.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => LiveRun::default(),
            done => done?,
        };
        faults.forget_unsealed();
        Ok(run)
    }

    /// Begins with the segment that is written now, or with the first one that may hold something from `since` on.
    fn open(directory: &Path, since: Option<WallNs>, stop: Stop, console: Console) -> Result<Self> {
        let mut follower = Self {
            directory: directory.to_owned(),
            console,
            stop,
            current: None,
            done: BTreeSet::new(),
            next: BTreeMap::new(),
            ready: Vec::new(),
            given: 0,
            chunk: vec![0; CHUNK],
            trouble: None,
            past: 0,
            is_new: Arc::new(AtomicBool::new(since.is_some())),
        };
        let there = follower.list().with_context(|| format!("{}: cannot be listed", directory.display()))?;
        let modified = |name: &Name, is_open: bool| {
            let suffix = if is_open { OPEN_SUFFIX } else { "" };
            let file = directory.join(format!("{}{suffix}", name.file));
            file.metadata().and_then(|metadata| metadata.modified()).ok()
        };
        let is_old = |name: &Name, is_open: bool| match since {
            Some(since) => !is_open && modified(name, is_open).is_some_and(|time| wall(time) < since),
            None => !is_open,
        };
        let mut left: Vec<&Name> = Vec::new();
        for (name, is_open) in &there {
            if is_old(name, *is_open) {
                follower.skip(name);
            } else {
                left.push(name);
            }
        }
        if since.is_none() {
            // Some may belong to others: they are no reason not to follow those that may be read.
            let mut readable = Vec::with_capacity(left.len());
            for name in left {
                match follower.open_segment(name) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        follower.refused(name, &error);
                        follower.skip(name);
                    }
                    _ => readable.push(name),
                }
            }
            let left = readable;
            // Of several that were never sealed, only the last one can be the one that is written.
            let latest = left.iter().max_by_key(|name| modified(name, true));
            let latest = latest.map(|name| (*name).clone());
            left.into_iter().filter(|name| Some(*name) != latest.as_ref()).for_each(|name| follower.skip(name));
            if let Some(name) = latest {
                let open = directory.join(format!("{}{OPEN_SUFFIX}", name.file));
                let sealed = directory.join(&name.file);
                follower.past = open.metadata().or_else(|_| sealed.metadata()).map_or(0, |file| file.len());
            }
        }
        Ok(follower)
    }

    /// Opens a regular file, by whichever of its names it has: it may be sealed, and with that renamed, at any time.
    fn open_segment(&self, name: &Name) -> io::Result<File> {
        let sealed = self.directory.join(&name.file);
        let open = self.directory.join(format!("{}{OPEN_SUFFIX}", name.file));
        let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let mut opened = File::open(&open);
        for path in [&sealed, &open] {
            if opened.as_ref().is_err_and(is_missing) {
                opened = File::open(path);
            }
        }
        let file = opened?;
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
    }

    /// Says that a segment may not be read.
    fn refused(&self, name: &Name, error: &io::Error) {
        let path = self.directory.join(&name.file);
        let path = path.display();
        self.console.warn(&format!("{path}: {error}; its events are not shown (who may read it: docs/operations.md)"));
    }

    fn skip(&mut self, name: &Name) {
        self.done.insert(name.file.clone());
        let next = self.next.entry(name.capture.clone()).or_default();
        *next = (*next).max(name.sequence + 1);
    }

    /// Segments that are there, and whether they are still written.
    fn list(&self) -> io::Result<BTreeMap<Name, bool>> {
        let mut there: BTreeMap<Name, bool> = BTreeMap::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let file = entry?.file_name();
            let Some(file) = file.to_str() else { continue };
            let (sealed, is_open) = match file.strip_suffix(OPEN_SUFFIX) {
                Some(sealed) => (sealed, true),
                None => (file, false),
            };
            let Some(name) = Name::parse(sealed) else { continue };
            *there.entry(name).or_insert(is_open) &= is_open;
        }
        Ok(there)
    }

    /// The same later on: a directory that is gone may come back.
    fn look(&mut self) -> BTreeMap<Name, bool> {
        match self.list() {
            Ok(there) => {
                if self.trouble.take().is_some() {
                    self.console.note(&format!("{}: is back", self.directory.display()));
                }
                there
            }
            Err(error) => {
                let told = error.to_string();
                if self.trouble.as_ref() != Some(&told) {
                    self.console.warn(&format!("{}: {told}; waiting for it", self.directory.display()));
                    self.trouble = Some(told);
                }
                BTreeMap::new()
            }
        }
    }

    /// Reads on. Whether there was anything to do.
    fn advance(&mut self) -> io::Result<bool> {
        if self.current.is_none() {
            return Ok(self.begin_next());
        }
        if self.take_units()? {
            return Ok(true);
        }
        let Some(current) = &self.current else { return Ok(false) };
        let open = self.directory.join(format!("{}{OPEN_SUFFIX}", current.name.file));
        if current.still.elapsed() < ABANDONED && open.exists() {
            // Neither sealed nor gone nor abandoned: the directory need not be listed to know that.
            return Ok(false);
        }
        let there = self.look();
        let Some(current) = &self.current else { return Ok(false) };
        let sealed = there.get(&current.name).is_some_and(|is_open| !is_open);
        let gone = self.trouble.is_none() && !there.contains_key(&current.name);
        let newer = there.keys().any(|name| !self.done.contains(&name.file) && *name != current.name);
        let abandoned = newer && current.still.elapsed() >= ABANDONED;
        if sealed || gone || abandoned {
            // Once more: it may have been written to between the last read and its end.
            if self.take_units()? {
                return Ok(true);
            }
            self.end_current(abandoned && !sealed && !gone);
            return Ok(true);
        }
        Ok(false)
    }

    /// Opens the segment that comes next. Whether there is one.
    fn begin_next(&mut self) -> bool {
        let there = self.look();
        let mut waiting: Vec<&Name> = there.keys().filter(|name| !self.done.contains(&name.file)).collect();
        // One after the other within a recording; recordings by when the segment began.
        waiting.sort_by(|a, b| {
            let order = a.time.cmp(&b.time).then_with(|| a.cmp(b));
            if a.capture == b.capture { a.sequence.cmp(&b.sequence) } else { order }
        });
        let Some(name) = waiting.first().map(|name| (*name).clone()) else { return false };
        let file = match self.open_segment(&name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
            Err(error) => {
                self.refused(&name, &error);
                self.skip(&name);
                return true;
            }
        };
        let expected = self.next.get(&name.capture).copied();
        if let Some(expected) = expected.filter(|expected| name.sequence > *expected) {
            let what = match name.sequence - expected {
                1 => format!("segment {expected} was"),
                _ => format!("segments {expected} to {} were", name.sequence - 1),
            };
            let capture = format!("{} {}", name.capture.0, name.capture.1);
            self.console.warn(&format!("capture {capture}: {what} deleted before being read; events are missing"));
        }
        // One after it may be known to be unreadable.
        let next = self.next.entry(name.capture.clone()).or_default();
        *next = (*next).max(name.sequence + 1);
        self.console.verbose(&format!("{}: following", self.directory.join(&name.file).display()));
        if self.past == 0 {
            self.is_new.store(true, Ordering::Relaxed);
        }
        self.current = Some(Current { name, file, taken: 0, rest: Vec::new(), still: Instant::now() });
        true
    }

    /// Takes whole units from the current segment. Whether there was one.
    fn take_units(&mut self) -> io::Result<bool> {
        let Some(current) = &mut self.current else { return Ok(false) };
        let before = current.rest.len();
        let at = current.taken + before as u64;
        // Never both of what was there before and of what is new.
        let left = usize::try_from(self.past.saturating_sub(at)).unwrap_or(CHUNK);
        let most = if left > 0 { left.min(CHUNK) } else { CHUNK };
        let chunk = self.chunk.get_mut(..most).unwrap_or_default();
        let read = std::os::unix::fs::FileExt::read_at(&current.file, chunk, at)?;
        current.rest.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if read == 0 && before > 0 && current.file.metadata()?.len() < at {
            // Cut back: what was read of a unit that was not finished is void.
            current.rest.clear();
        }
        let (mut whole, mut at_footer) = (0, false);
        loop {
            let bytes = current.rest.get(whole..).unwrap_or_default();
            match unit_at(bytes) {
                // It may be taken back as long as the segment is not sealed, and nobody needs it. It is read again.
                Unit::Whole { is_footer: true, .. } => {
                    at_footer = true;
                    current.rest.truncate(whole);
                    break;
                }
                Unit::Whole { len, .. } => whole += len,
                Unit::Part if bytes.len() <= MAX_UNIT => break,
                // Damage: whoever reads the stream finds the way back, and says what is lost.
                Unit::Part | Unit::Damaged => {
                    whole = current.rest.len();
                    break;
                }
            }
        }
        let is_new = read > 0 && !(at_footer && whole == 0);
        if is_new {
            current.still = Instant::now();
        }
        if whole == 0 {
            return Ok(is_new);
        }
        if current.taken + whole as u64 > self.past {
            self.is_new.store(true, Ordering::Relaxed);
        }
        self.ready.extend(current.rest.drain(..whole));
        current.taken += whole as u64;
        Ok(true)
    }

    fn end_current(&mut self, abandoned: bool) {
        let Some(current) = self.current.take() else { return };
        self.past = 0;
        if abandoned {
            let path = self.directory.join(format!("{}{OPEN_SUFFIX}", current.name.file));
            self.console.note(&format!("{}: the recording broke off; continuing with a newer one", path.display()));
        }
        self.done.insert(current.name.file);
    }
}

impl Read for Follower {
    /// Waits for more; at an end only when asked to stop.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.ready.get(self.given..).unwrap_or_default();
            if !left.is_empty() {
                let count = left.len().min(buffer.len());
                if let (Some(to), Some(from)) = (buffer.get_mut(..count), left.get(..count)) {
                    to.copy_from_slice(from);
                }
                self.given += count;
                return Ok(count);
            }
            self.ready.clear();
            self.given = 0;
            if self.stop.is_asked() {
                return Ok(0);
            }
            if !self.advance()? {
                self.stop.sleep(POLL);
            }
        }
    }
}

/// A file's time as event times are told.
fn wall(time: SystemTime) -> WallNs {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallNs(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
