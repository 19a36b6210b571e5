//! Who was who: every process of a capture, and what it ran from when to when.
//!
//! A process is `(tgid, start)`: a pid alone is not, pids are reused. What a process runs is a list of images: it inherits
//! its parent's at fork and gets a new one at each exec. The timeline is filled from lifecycle records in capture order
//! ([`Timeline::apply`]) and then only read. It says nothing that records did not say: what is unknown is `None`.
//!
//! Start times from /proc are rounded down to a clock tick. Such a process is the same as the one whose exact start falls
//! into that tick.

mod build;
mod container;
mod retire;
mod strings;

pub use container::container_id;

use crypto_trace_format::record::{Comm, Header, flags, trim_comm};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use strings::{StringId, Strings};

/// `USER_HZ` is 100 on every architecture we run on.
pub const TICK_NS: u64 = 10_000_000;

/// Generations a fork may be away from the exec that tells what it runs.
const MAX_INHERITANCE: usize = 64;

const NONE: u32 = u32::MAX;

/// An image of a [`Timeline`], by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId(u32);

impl ImageId {
    /// The image of a process that no lifecycle record shows.
    pub const UNKNOWN: Self = Self(NONE);
}

/// A process of a [`Timeline`], by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId(u32);

impl ProcessId {
    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Its number as an index.
    pub fn index(self) -> usize {
        index(self.0)
    }
}

/// How much a timeline may hold. What is beyond is left out and counted.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Processes, and also images of all processes together.
    pub processes: usize,
    /// Bytes of paths and arguments.
    pub string_bytes: usize,
}

impl Default for Limits {
    /// About 1 GiB when all of it is used.
    fn default() -> Self {
        Self { processes: 4 << 20, string_bytes: 256 << 20 }
    }
}

#[derive(Debug)]
struct Process {
    tgid: u32,
    start_ns: u64,
    /// `start_ns` is rounded down.
    tick: bool,
    /// Process before this one with the same tgid, or `NONE`.
    previous: u32,
    /// Parent at fork, or as first heard of.
    parent: u32,
    ppid: Option<u32>,
    exit_ns: Option<u64>,
    /// Sorted by `from_ns`.
    images: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Image {
    process: u32,
    from_ns: u64,
    comm: Comm,
    exe: StringId,
    argv: StringId,
    cgroup: StringId,
    container: StringId,
    ppid: Option<u32>,
    parent: u32,
    argv_cut: bool,
    /// Made by a fork whose parent's image was not known then.
    inherits: bool,
    /// Made by a fork: what its parent had mapped, it has.
    forked: bool,
}

/// What is known of a process at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Absolute path of the executable.
    pub exe: Option<&'a [u8]>,
    /// Arguments, each ended by NUL.
    pub argv: Option<&'a [u8]>,
    /// The arguments are longer than what was recorded.
    pub argv_cut: bool,
    /// cgroup path.
    pub cgroup: Option<&'a [u8]>,
    /// Container id.
    pub container: Option<&'a [u8]>,
    /// Parent process id.
    pub ppid: Option<u32>,
    /// comm of the parent: what it was when it forked this process.
    pub parent: Option<&'a [u8]>,
    /// Absolute path of what it ran then.
    pub parent_exe: Option<&'a [u8]>,
}

/// Processes of one capture.
#[derive(Debug)]
pub struct Timeline {
    strings: Strings,
    processes: Vec<Process>,
    images: Vec<Image>,
    by_start: HashMap<(u32, u64), u32, RandomState>,
    by_tick: HashMap<(u32, u64), u32, RandomState>,
    by_tgid: HashMap<u32, u32, RandomState>,
    limits: Limits,
    refused: u64,
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Timeline {
    /// An empty timeline.
    pub fn new(limits: Limits) -> Self {
        Self {
            strings: Strings::new(limits.string_bytes),
            processes: Vec::new(),
            images: Vec::new(),
            by_start: HashMap::default(),
            by_tick: HashMap::default(),
            by_tgid: HashMap::default(),
            limits,
            refused: 0,
        }
    }

    /// Gives back the room that was kept for more processes.
    pub fn shrink(&mut self) {
        self.processes.shrink_to_fit();
        self.images.shrink_to_fit();
        self.by_start.shrink_to_fit();
        self.by_tick.shrink_to_fit();
        self.by_tgid.shrink_to_fit();
        self.strings.shrink();
    }

    /// Lifecycle records that did not fit the limits. Events of their processes lack what they told.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The process a record is about.
    #[inline]
    pub fn process(&self, header: &Header) -> Option<ProcessId> {
        self.find(header.tgid, header.start_ns, header.flags & flags::START_IS_TICK != 0).map(ProcessId)
    }

    /// What the process of a record ran at the time of the record.
    #[inline]
    pub fn image(&self, header: &Header) -> ImageId {
        self.process(header).map_or(ImageId::UNKNOWN, |process| self.image_at(process, header.time_ns))
    }

    /// As [`Self::image`], with the boot times, first and last, for which the answer is the same.
    pub fn image_span(&self, header: &Header) -> (ImageId, u64, u64) {
        let unknown = (ImageId::UNKNOWN, 0, u64::MAX);
        let Some(process) = self.process(header) else { return unknown };
        let Some(process) = self.processes.get(process.index()) else { return unknown };
        let from_ns = |id: &u32| self.images.get(index(*id)).map_or(u64::MAX, |image| image.from_ns);
        let after = process.images.partition_point(|id| from_ns(id) <= header.time_ns);
        let Some(id) = process.images.get(after.saturating_sub(1)) else { return unknown };
        let first = if after == 0 { 0 } else { from_ns(id) };
        // The image after this one begins later than the record, so not at 0.
        let next = process.images.get(after.max(1)).map_or(u64::MAX, |next| from_ns(next).saturating_sub(1));
        let last = if after == 0 { header.time_ns } else { next };
        (ImageId(*id), first, last)
    }

    /// What a process ran at a time.
    pub fn image_at(&self, process: ProcessId, time_ns: u64) -> ImageId {
        let Some(process) = self.processes.get(index(process.0)) else { return ImageId::UNKNOWN };
        let after =
            process.images.partition_point(|id| self.images.get(index(*id)).is_some_and(|i| i.from_ns <= time_ns));
        process.images.get(after.saturating_sub(1)).map_or(ImageId::UNKNOWN, |id| ImageId(*id))
    }

    /// What is known of an image's process.
    pub fn identity(&self, id: ImageId) -> Identity<'_> {
        let Some(image) = self.images.get(index(id.0)) else { return Identity::default() };
        let source = self.source(image);
        let parent = self.parent_process(image).map(ProcessId);
        let parent_image = parent.map(|parent| self.image_at(parent, self.parted_ns(image, parent)));
        let as_forked = || {
            let of_image = || self.images.get(index(parent_image?.0)).map(|parent| &parent.comm);
            self.name_at_fork(image).or_else(of_image)
        };
        Identity {
            exe: self.strings.get(source.exe),
            argv: self.strings.get(source.argv),
            argv_cut: source.argv_cut,
            cgroup: self.strings.get(image.cgroup.or(source.cgroup)),
            container: self.strings.get(image.container.or(source.container)),
            ppid: image.ppid,
            parent: as_forked().map(trim_comm),
            parent_exe: parent_image.and_then(|image| self.exe(image)),
        }
    }

    /// Absolute path of an image's executable.
    #[inline]
    pub fn exe(&self, id: ImageId) -> Option<&[u8]> {
        let image = self.images.get(index(id.0))?;
        self.strings.get(self.source(image).exe)
    }

    /// comm of an image when it began; empty when unknown.
    pub fn comm(&self, id: ImageId) -> &[u8] {
        self.images.get(index(id.0)).map(|image| trim_comm(&image.comm)).unwrap_or_default()
    }

    /// Process of an image.
    pub fn process_of(&self, id: ImageId) -> Option<ProcessId> {
        self.images.get(index(id.0)).map(|image| ProcessId(image.process))
    }

    /// All processes.
    pub fn processes(&self) -> impl ExactSizeIterator<Item = ProcessId> + use<> {
        (0..self.processes.len()).map(|number| ProcessId(u32::try_from(number).unwrap_or(NONE)))
    }

    /// Process id of a process.
    pub fn tgid(&self, process: ProcessId) -> Option<u32> {
        self.processes.get(index(process.0)).map(|process| process.tgid)
    }

    /// All images of a process, oldest first.
    pub fn images(&self, process: ProcessId) -> impl Iterator<Item = ImageId> + '_ {
        self.processes
            .get(index(process.0))
            .into_iter()
            .flat_map(|process| process.images.iter().map(|id| ImageId(*id)))
    }

    /// Parent of a process.
    pub fn parent(&self, process: ProcessId) -> Option<ProcessId> {
        let process = self.processes.get(index(process.0))?;
        let known = Some(process.parent).filter(|parent| *parent != NONE);
        known.or_else(|| self.latest_before(process.ppid?, process.start_ns)).map(ProcessId)
    }

    /// Every process that its records, or what is shown of it, name as its parent.
    pub fn parents(&self, process: ProcessId) -> impl Iterator<Item = ProcessId> + '_ {
        let of_image = |id: ImageId| self.images.get(index(id.0)).and_then(|image| self.parent_process(image));
        self.parent(process).into_iter().chain(self.images(process).filter_map(of_image).map(ProcessId))
    }

    /// When a process started, boot time, and whether that is rounded down to a clock tick.
    pub fn start_ns(&self, process: ProcessId) -> Option<(u64, bool)> {
        self.processes.get(index(process.0)).map(|process| (process.start_ns, process.tick))
    }

    /// Since when an image was run, boot time; 0 when it was when the process was first heard of.
    pub fn image_from_ns(&self, id: ImageId) -> Option<u64> {
        self.images.get(index(id.0)).map(|image| image.from_ns)
    }

    /// Of an image that a fork made: the image of the parent, and the boot time of the fork.
    pub fn forked_from(&self, id: ImageId) -> Option<(ImageId, u64)> {
        let image = self.images.get(index(id.0)).filter(|image| image.forked && image.parent != NONE)?;
        Some((self.image_at(ProcessId(image.parent), image.from_ns), image.from_ns))
    }

    /// When a process ended, boot time.
    pub fn exit_ns(&self, process: ProcessId) -> Option<u64> {
        self.processes.get(index(process.0)).and_then(|process| process.exit_ns)
    }

    fn find(&self, tgid: u32, start_ns: u64, tick: bool) -> Option<u32> {
        if let Some(found) = self.by_start.get(&(tgid, start_ns)) {
            return Some(*found);
        }
        let found = *self.by_tick.get(&(tgid, start_ns / TICK_NS))?;
        // Two exact starts within one tick are two processes.
        let process = self.processes.get(index(found))?;
        (process.tick || tick).then_some(found)
    }

    /// The image that shows what this one runs: itself, or that of the nearest ancestor when it was forked from a process
    /// that was unknown then.
    fn source<'a>(&'a self, image: &'a Image) -> &'a Image {
        let mut source = image;
        for _ in 0..MAX_INHERITANCE {
            if !source.inherits || !source.exe.is_none() || source.parent == NONE {
                break;
            }
            let ImageId(parent) = self.image_at(ProcessId(source.parent), source.from_ns);
            let Some(parent) = self.images.get(index(parent)) else { break };
            source = parent;
        }
        source
    }

    fn parent_process(&self, image: &Image) -> Option<u32> {
        let known = Some(image.parent).filter(|parent| *parent != NONE);
        known.or_else(|| self.latest_before(image.ppid?, self.began_ns(image)))
    }

    /// The name that whoever forked the process of this image had then: a new process has its name from there. `None` when the
    /// fork was not seen, and of what took the process in later.
    fn name_at_fork(&self, image: &Image) -> Option<&Comm> {
        let process = self.processes.get(index(image.process))?;
        let first = self.images.get(index(*process.images.first()?))?;
        (first.forked && first.parent == image.parent).then_some(&first.comm)
    }

    /// The time that shows what a parent ran: that of the fork. What took the process in later was there when the image
    /// began.
    fn parted_ns(&self, image: &Image, parent: ProcessId) -> u64 {
        let began_ns = self.began_ns(image);
        let process = self.processes.get(index(image.process));
        process.filter(|process| process.parent == parent.0).map_or(began_ns, |process| process.start_ns.min(began_ns))
    }

    /// Images of processes that were there before the capture reach back to 0; their process did not.
    fn began_ns(&self, image: &Image) -> u64 {
        image.from_ns.max(self.processes.get(index(image.process)).map_or(0, |process| process.start_ns))
    }

    /// The latest process with this id that started no later than `time_ns`.
    fn latest_before(&self, tgid: u32, time_ns: u64) -> Option<u32> {
        let mut at = *self.by_tgid.get(&tgid)?;
        // Reused more often than this before one lookup is not worth the walk.
        for _ in 0..1_000 {
            let process = self.processes.get(index(at))?;
            if process.start_ns <= time_ns {
                return Some(at);
            }
            at = process.previous;
        }
        None
    }
}

/// Remembers what the processes of the last records ran: events come in runs of few processes.
#[derive(Debug)]
pub struct ImageCache<'a> {
    timeline: &'a Timeline,
    recent: [Recent; ImageCache::SLOTS],
}

#[derive(Debug, Clone, Copy)]
struct Recent {
    tgid: u32,
    image: ImageId,
    start_ns: u64,
    first_ns: u64,
    last_ns: u64,
}

impl<'a> ImageCache<'a> {
    const SLOTS: usize = 256;

    /// An empty cache.
    pub fn new(timeline: &'a Timeline) -> Self {
        // No time is from 1 to 0, so this matches nothing.
        let nothing = Recent { tgid: 0, image: ImageId::UNKNOWN, start_ns: 0, first_ns: 1, last_ns: 0 };
        Self { timeline, recent: [nothing; Self::SLOTS] }
    }

    /// As [`Timeline::image`].
    #[inline]
    pub fn image(&mut self, header: &Header) -> ImageId {
        let Some(recent) = self.recent.get_mut(header.tgid as usize % Self::SLOTS) else { return ImageId::UNKNOWN };
        let known = recent.tgid == header.tgid
            && recent.start_ns == header.start_ns
            && (recent.first_ns..=recent.last_ns).contains(&header.time_ns)
            // Rare, and found in another way.
            && header.flags & flags::START_IS_TICK == 0;
        if known {
            return recent.image;
        }
        let (image, first_ns, last_ns) = self.timeline.image_span(header);
        if header.flags & flags::START_IS_TICK == 0 {
            *recent = Recent { tgid: header.tgid, image, start_ns: header.start_ns, first_ns, last_ns };
        }
        image
    }
}

/// A number of this module as an index; `NONE` is beyond every list.
#[inline]
fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
