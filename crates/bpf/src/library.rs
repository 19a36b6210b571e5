//! Probes on crypto libraries: the rows that tell the programs what to do, and attaching them to a file.
//!
//! Which functions there are, where in a file they are and what is known of it is the caller's business.

use std::mem::offset_of;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::rc::Rc;

use libbpf_rs::{Link, MapCore as _, MapFlags, UprobeMultiOpts, UprobeOpts};

use crate::batch::for_each_entry;
use crate::counted::CountingProbe;
use crate::load::{LoadError, Programs, errno_of};
use crate::numbers::{
    self, ACCESSOR_STEPS, ACCESSORS, AGAIN_MAX, ALGORITHM_NONE, ALGORITHM_NUMBER, ALGORITHM_OBJECT, ALGORITHM_POINTER,
    ALGORITHM_TEXT, BY, COOKIE_HITS_SHIFT, COOKIE_JUMPED_TO_SHIFT, COOKIE_JUMPS_SHIFT, COOKIE_LIBRARY_SHIFT,
    COOKIE_RETURNS_SHIFT, COOKIE_STACK_SHIFT, DOES_COUNT, DOES_DESCRIPTOR, DOES_FORGET, DOES_HANDSHAKE, DOES_TELL,
    FUNCTION_MAX, MAX_HITS, NO_ACCESSOR, RETURNS_INT, RETURNS_NOTHING, RETURNS_POINTER,
};
use crate::skel::types;

/// What a probe on a function does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Does {
    /// Records the call.
    Tell = DOES_TELL,
    /// Records the call that ends a handshake.
    Handshake = DOES_HANDSHAKE,
    /// Remembers the connection's descriptor, which is its number argument.
    Descriptor = DOES_DESCRIPTOR,
    /// Forgets the connection.
    Forget = DOES_FORGET,
    /// Counts the call by the algorithm it is given.
    Count = DOES_COUNT,
}

/// How a function is told which algorithm to use. Numbers are those of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// It is the function's own.
    Own,
    /// A text ended by NUL.
    Text(u8),
    /// A number.
    Number(u8),
    /// A pointer to a number.
    Pointer(u8),
    /// An object, whose name or number accessors tell.
    Object(u8),
}

/// What a function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Returns {
    /// `int`.
    Int = RETURNS_INT,
    /// A pointer: recorded as 1, or 0 when it is null.
    Pointer = RETURNS_POINTER,
    /// Nothing that is recorded.
    Nothing = RETURNS_NOTHING,
}

/// A function that can be probed. Arguments are counted from 0, at most 5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionRow {
    /// Its name, at most [`FunctionRow::MAX_NAME`] bytes.
    pub name: String,
    /// What a probe on it does.
    pub does: Does,
    /// What it returns.
    pub returns: Returns,
    /// See `ApiMeaning` of the format crate.
    pub meaning: u16,
    /// The connection or context.
    pub object: Option<u8>,
    /// A text ended by NUL.
    pub text: Option<u8>,
    /// Length of the text, which then is not ended by NUL.
    pub length: Option<u8>,
    /// A number.
    pub number: Option<u8>,
    /// Only calls that have this value in this argument.
    pub only: Option<(u8, u32)>,
    /// What a handshake returns that succeeded.
    pub success: i64,
    /// What a handshake returns that is to be called again.
    pub again: Vec<i64>,
    /// Which algorithm a call that is counted is for.
    pub algorithm: Algorithm,
    /// Accessors of the library, by number, that tell the algorithm's name or number; at most [`FunctionRow::MAX_BY`].
    pub by: Vec<u8>,
    /// Asked when the algorithm is null: argument and accessors of the object that has one already.
    pub context: Option<(u8, Vec<u8>)>,
}

impl FunctionRow {
    /// Longest name in bytes.
    pub const MAX_NAME: usize = FUNCTION_MAX - 1;
    /// Most values of [`FunctionRow::again`].
    pub const MAX_AGAIN: usize = AGAIN_MAX;
    /// Most accessors that are tried for one algorithm.
    pub const MAX_BY: usize = BY;

    /// The arguments that are looked at.
    pub fn arguments(&self) -> Vec<u8> {
        let algorithm = match self.algorithm {
            Algorithm::Own => None,
            Algorithm::Text(n) | Algorithm::Number(n) | Algorithm::Pointer(n) | Algorithm::Object(n) => Some(n),
        };
        let (only, context) = (self.only.map(|(n, _)| n), self.context.as_ref().map(|(n, _)| *n));
        [self.object, self.text, self.length, self.number, only, algorithm, context].into_iter().flatten().collect()
    }
}

/// How to come from an object to a number in it: pointers at all offsets but the last are followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Accessor {
    /// At most [`Accessor::MAX_STEPS`].
    pub offsets: Vec<u16>,
    /// Bytes of the number: 2, 4, or 8 when it is a pointer to a text.
    pub size: u8,
    /// Only objects that have this value there.
    pub guard: Option<Guard>,
}

impl Accessor {
    /// Most pointers that are followed, and the number.
    pub const MAX_STEPS: usize = ACCESSOR_STEPS;
}

/// A condition on an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guard {
    /// Where.
    pub offset: u16,
    /// Bytes: 1 or 4.
    pub size: u8,
    /// What must be there.
    pub value: u32,
}

/// What is known of one library.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LibraryRow {
    /// Device in the kernel's form.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// See [`Programs::real_inode`]; 0: not known.
    pub inode: u64,
    /// A connection's version.
    pub version: Option<Accessor>,
    /// What is added to it to make it a code point.
    pub version_base: u16,
    /// Versions from here on have no code point; 0: all have.
    pub version_limit: u16,
    /// A connection's cipher suite, by its code point.
    pub suite: Option<Accessor>,
    /// What tells algorithms, by number; at most [`LibraryRow::MAX_ACCESSORS`].
    pub accessors: Vec<Option<Accessor>>,
    /// What a connection waits for whose call did not succeed, and the value that means: for nothing.
    pub waiting: Option<(Accessor, u32)>,
}

impl LibraryRow {
    /// Most accessors for algorithms.
    pub const MAX_ACCESSORS: usize = ACCESSORS;
}

/// A probe on a place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProbeSite {
    /// Offset in the file.
    pub offset: u64,
    /// Row of the function.
    pub function: u16,
    /// How far below its place at the function's entry the stack pointer is there, in bytes; at most 32,767.
    pub stack: u16,
    /// Of a function that counts: it may end by a jump into another one.
    pub jumps: bool,
    /// Others may end by a jump into it.
    pub jumped_to: bool,
}

/// Everything that is attached to one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LibraryProbes {
    /// Where functions whose result is recorded begin. Their return is probed by uretprobes.
    pub returning: Vec<ProbeSite>,
    /// Where functions begin whose result is not recorded, or not by a uretprobe.
    pub entries: Vec<ProbeSite>,
    /// Where functions whose result is recorded begin, when their return instructions are probed.
    pub stepped: Vec<ProbeSite>,
    /// Those return instructions.
    pub exits: Vec<ProbeSite>,
    /// Where functions begin whose calls are counted.
    pub counted: Vec<ProbeSite>,
}

impl LibraryProbes {
    /// Whether there is nothing to attach.
    pub fn is_empty(&self) -> bool {
        self.returning.is_empty() && self.entries.is_empty() && self.stepped.is_empty() && self.counted.is_empty()
    }
}

/// Probes on a library that could not be attached.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct AttachError {
    /// errno, positive; 0 when there is none that matters.
    pub errno: i32,
    /// Why, for people.
    pub message: String,
}

impl Programs {
    /// Most rows of functions.
    pub const MAX_FUNCTIONS: usize = numbers::MAX_FUNCTIONS;
    /// Most libraries.
    pub const MAX_LIBRARIES: usize = numbers::MAX_LIBRARIES;
    /// Most probes that count.
    pub const MAX_COUNTED: usize = MAX_HITS;

    /// Tells the programs what functions there are.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_functions(&self, rows: &[FunctionRow]) -> Result<(), LoadError> {
        for (i, row) in (0u32..).zip(rows) {
            self.skel
                .maps
                .functions
                .update(&i.to_ne_bytes(), &function_row(row), MapFlags::ANY)
                .map_err(|e| LoadError::new("tell the probed functions", e))?;
        }
        Ok(())
    }

    /// Tells the programs that a library has been looked at: loads of it are not urgent any more.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn know_file(&self, dev: u64, ino: u64) -> Result<(), LoadError> {
        let key = [dev.to_ne_bytes(), ino.to_ne_bytes()].concat();
        let known = &self.skel.maps.known_files;
        known.update(&key, &[1], MapFlags::ANY).map_err(|e| LoadError::new("tell a known library", e))
    }

    /// That a library is looked at no more: its next load is urgent again.
    pub fn forget_file(&self, dev: u64, ino: u64) {
        // It may have been pushed out by others.
        let _ = self.skel.maps.known_files.delete(&[dev.to_ne_bytes(), ino.to_ne_bytes()].concat());
    }

    /// Attaches probes to the file behind `file`, which is library number `slot`; of one process only when `pid` is given.
    /// Either all are attached or none.
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn attach_library(
        &mut self,
        slot: u16,
        file: BorrowedFd<'_>,
        row: &LibraryRow,
        probes: &LibraryProbes,
        pid: Option<u32>,
    ) -> Result<(), AttachError> {
        self.skel
            .maps
            .probed
            .update(&u32::from(slot).to_ne_bytes(), &library_row(row), MapFlags::ANY)
            .map_err(attach_error)?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let pid = pid.map_or(-1, |pid| i32::try_from(pid).unwrap_or(-1));
        let progs = &self.skel.progs;
        let mut links = Vec::new();
        let mut attach = |program, sites: &[ProbeSite], returns, retprobe| -> libbpf_rs::Result<()> {
            if !sites.is_empty() {
                links.extend(attach_sites(
                    program,
                    &path,
                    sites,
                    slot,
                    u64::from(returns) << COOKIE_RETURNS_SHIFT,
                    retprobe,
                    pid,
                )?);
            }
            Ok(())
        };
        // Returns first: a call that is entered has its return probed.
        attach(&progs.library_return, &probes.exits, true, false)
            .and_then(|()| attach(&progs.library_return, &probes.returning, true, true))
            .and_then(|()| attach(&progs.library_enter, &probes.stepped, true, false))
            .and_then(|()| attach(&progs.library_enter, &probes.returning, true, false))
            .and_then(|()| attach(&progs.library_enter, &probes.entries, false, false))
            .map_err(attach_error)?;
        let mut counters = Vec::new();
        // Places of libraries that are gone come first.
        let free = (0..).zip(&self.counters).filter(|(_, probe)| probe.free).map(|(place, _)| place);
        let places = free.chain(self.counters.len()..Self::MAX_COUNTED);
        for (site, place) in probes.counted.iter().zip(places) {
            let hits = u64::try_from(place).unwrap_or(u64::MAX);
            let cookie = hits << COOKIE_HITS_SHIFT
                | u64::from(site.jumps) << COOKIE_JUMPS_SHIFT
                | u64::from(site.jumped_to) << COOKIE_JUMPED_TO_SHIFT;
            let mut link =
                attach_sites(&progs.library_count, &path, &[*site], slot, cookie, false, pid).map_err(attach_error)?;
            counters.extend(link.pop().map(|link| (place, *site, cookie, link)));
        }
        let held = match counters.is_empty() {
            true => None,
            false => file.try_clone_to_owned().ok().map(Rc::new),
        };
        self.library_links.extend(links.into_iter().map(|link| LibraryLink { slot, link }));
        for (place, site, cookie, link) in counters {
            let file = held.clone();
            let new = CountingProbe { slot, site, cookie, pid, file, link: Some(link), hits: 0, free: false };
            match self.counters.get_mut(place) {
                // The kernel's count goes on where it was.
                Some(before) => *before = CountingProbe { hits: before.hits, ..new },
                None => self.counters.push(new),
            }
        }
        Ok(())
    }

    /// All uses of algorithms as they are counted until now.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn uses(&self) -> Result<Vec<Use>, LoadError> {
        let mut all = Vec::new();
        let sizes = [size_of::<types::ct_use_key>(), size_of::<types::ct_use>()];
        let read = for_each_entry(self.skel.maps.uses.as_fd(), sizes, |key, value| {
            all.extend(Use::decode(key.to_vec(), value))
        });
        read.map_err(|error| LoadError::new("read the uses of algorithms", error.into()))?;
        Ok(all)
    }

    /// Forgets a use, by its key.
    pub fn forget_use(&self, key: &[u8]) {
        // It may be gone.
        let _ = self.skel.maps.uses.delete(key);
    }
}

/// What holds probes on a library.
pub(crate) struct LibraryLink {
    pub(crate) slot: u16,
    pub(crate) link: Link,
}

/// Calls that were counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// What stands for it.
    pub key: Vec<u8>,
    /// Process id.
    pub tgid: u32,
    /// Its start.
    pub start_ns: u64,
    /// Real user and group.
    pub uid: u32,
    /// Real group.
    pub gid: u32,
    /// Name of the process.
    pub comm: [u8; 16],
    /// Row of functions.
    pub function: u16,
    /// Number of the library.
    pub slot: u16,
    /// The library called itself.
    pub internal: bool,
    /// The algorithm by its name; empty when it is told by number, or not.
    pub text: Vec<u8>,
    /// The algorithm by its number.
    pub number: u64,
    /// How many.
    pub count: u64,
    /// When the first one was, `CLOCK_BOOTTIME` ns.
    pub first_ns: u64,
    /// When the last one was.
    pub last_ns: u64,
}

impl Use {
    fn decode(key: Vec<u8>, value: &[u8]) -> Option<Self> {
        fn word<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
            bytes.get(at..)?.first_chunk().copied()
        }
        let k = |at| word(&key, at);
        let text = key.get(offset_of!(types::ct_use_key, text)..)?;
        let text = text.split(|byte| *byte == 0).next()?.to_vec();
        Some(Self {
            start_ns: u64::from_ne_bytes(word(&key, offset_of!(types::ct_use_key, start_ns))?),
            number: u64::from_ne_bytes(word(&key, offset_of!(types::ct_use_key, number))?),
            tgid: u32::from_ne_bytes(k(offset_of!(types::ct_use_key, tgid))?),
            function: u16::from_ne_bytes(word(&key, offset_of!(types::ct_use_key, function))?),
            slot: u16::from_ne_bytes(word(&key, offset_of!(types::ct_use_key, library))?),
            internal: k(offset_of!(types::ct_use_key, internal))? != [0; 4],
            text,
            count: u64::from_ne_bytes(word(value, offset_of!(types::ct_use, count))?),
            first_ns: u64::from_ne_bytes(word(value, offset_of!(types::ct_use, first_ns))?),
            last_ns: u64::from_ne_bytes(word(value, offset_of!(types::ct_use, last_ns))?),
            uid: u32::from_ne_bytes(word(value, offset_of!(types::ct_use, uid))?),
            gid: u32::from_ne_bytes(word(value, offset_of!(types::ct_use, gid))?),
            comm: word(value, offset_of!(types::ct_use, comm))?,
            key,
        })
    }
}

/// One link for all places where the kernel can do that (Linux 6.6), else one each.
pub(crate) fn attach_sites(
    program: &libbpf_rs::ProgramMut<'_>,
    path: &str,
    sites: &[ProbeSite],
    slot: u16,
    more: u64,
    retprobe: bool,
    pid: i32,
) -> libbpf_rs::Result<Vec<Link>> {
    let cookie = |site: &ProbeSite| {
        let library = u64::from(slot) << COOKIE_LIBRARY_SHIFT;
        u64::from(site.stack) << COOKIE_STACK_SHIFT | more | library | u64::from(site.function)
    };
    let offset = |site: &ProbeSite| usize::try_from(site.offset).unwrap_or(0);
    let many = UprobeMultiOpts {
        offsets: sites.iter().map(offset).collect(),
        cookies: sites.iter().map(cookie).collect(),
        retprobe,
        ..UprobeMultiOpts::default()
    };
    match program.attach_uprobe_multi_with_opts(pid, path, "", many) {
        Ok(link) => return Ok(vec![link]),
        Err(error) if error.kind() != libbpf_rs::ErrorKind::InvalidInput => return Err(error),
        Err(_) => {}
    }
    sites
        .iter()
        .map(|site| {
            let opts = UprobeOpts { cookie: cookie(site), retprobe, ..UprobeOpts::default() };
            program.attach_uprobe_with_opts(pid, path, offset(site), opts)
        })
        .collect()
}

#[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn attach_error(error: libbpf_rs::Error) -> AttachError {
    AttachError { errno: errno_of(error.kind()), message: format!("{error:#}") }
}

/// The bytes of a map's value, put together by the layout that the skeleton tells.
struct Value<const N: usize>([u8; N]);

impl<const N: usize> Value<N> {
    fn put(&mut self, offset: usize, bytes: &[u8]) {
        if let Some(place) = self.0.get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    fn put_accessor(&mut self, at: usize, accessor: Option<&Accessor>) {
        let Some(accessor) = accessor.filter(|accessor| accessor.offsets.len() <= Accessor::MAX_STEPS) else { return };
        let mut put = |offset: usize, bytes: &[u8]| self.put(at + offset, bytes);
        for (i, offset) in accessor.offsets.iter().enumerate() {
            put(offset_of!(types::ct_accessor, offsets) + 2 * i, &offset.to_ne_bytes());
        }
        put(offset_of!(types::ct_accessor, steps), &[u8::try_from(accessor.offsets.len()).unwrap_or(0)]);
        put(offset_of!(types::ct_accessor, size), &[accessor.size]);
        if let Some(guard) = accessor.guard {
            put(offset_of!(types::ct_accessor, guard_offset), &guard.offset.to_ne_bytes());
            put(offset_of!(types::ct_accessor, guard_value), &guard.value.to_ne_bytes());
            put(offset_of!(types::ct_accessor, guard_size), &[guard.size]);
        }
    }
}

fn function_row(row: &FunctionRow) -> [u8; size_of::<types::ct_function>()] {
    let mut value = Value([0; size_of::<types::ct_function>()]);
    let name = row.name.as_bytes();
    let name = name.get(..FunctionRow::MAX_NAME).unwrap_or(name);
    let argument = |n: Option<u8>| n.map_or(-1, |n| i8::try_from(n).unwrap_or(-1)).to_ne_bytes();
    value.put(offset_of!(types::ct_function, name), name);
    value.put(offset_of!(types::ct_function, name_len), &u16::try_from(name.len()).unwrap_or(0).to_ne_bytes());
    value.put(offset_of!(types::ct_function, only_arg), &argument(row.only.map(|(n, _)| n)));
    let only = row.only.map_or(0, |(_, value)| u64::from(value));
    value.put(offset_of!(types::ct_function, only_value), &only.to_ne_bytes());
    value.put(offset_of!(types::ct_function, success), &row.success.to_ne_bytes());
    let again = row.again.get(..FunctionRow::MAX_AGAIN).unwrap_or(&row.again);
    for (i, result) in again.iter().enumerate() {
        value.put(offset_of!(types::ct_function, again) + 8 * i, &result.to_ne_bytes());
    }
    value.put(offset_of!(types::ct_function, again_count), &[u8::try_from(again.len()).unwrap_or(0)]);
    value.put(offset_of!(types::ct_function, meaning), &row.meaning.to_ne_bytes());
    value.put(offset_of!(types::ct_function, does), &[row.does as u8]);
    value.put(offset_of!(types::ct_function, returns), &[row.returns as u8]);
    value.put(offset_of!(types::ct_function, object_arg), &argument(row.object));
    value.put(offset_of!(types::ct_function, text_arg), &argument(row.text));
    value.put(offset_of!(types::ct_function, length_arg), &argument(row.length));
    value.put(offset_of!(types::ct_function, number_arg), &argument(row.number));
    let (algorithm, place) = match row.algorithm {
        Algorithm::Own => (ALGORITHM_NONE, None),
        Algorithm::Text(place) => (ALGORITHM_TEXT, Some(place)),
        Algorithm::Number(place) => (ALGORITHM_NUMBER, Some(place)),
        Algorithm::Pointer(place) => (ALGORITHM_POINTER, Some(place)),
        Algorithm::Object(place) => (ALGORITHM_OBJECT, Some(place)),
    };
    value.put(offset_of!(types::ct_function, algorithm), &[algorithm]);
    value.put(offset_of!(types::ct_function, algorithm_arg), &argument(place));
    let accessors = |of: &[u8]| [of.first(), of.get(1)].map(|n| n.copied().unwrap_or(NO_ACCESSOR));
    value.put(offset_of!(types::ct_function, by), &accessors(&row.by));
    value.put(offset_of!(types::ct_function, context_arg), &argument(row.context.as_ref().map(|(n, _)| *n)));
    let context_by = row.context.as_ref().map_or(&[][..], |(_, by)| by);
    value.put(offset_of!(types::ct_function, context_by), &accessors(context_by));
    value.0
}

fn library_row(row: &LibraryRow) -> [u8; size_of::<types::ct_library>()] {
    let mut value = Value([0; size_of::<types::ct_library>()]);
    value.put(offset_of!(types::ct_library, dev), &row.dev.to_ne_bytes());
    value.put(offset_of!(types::ct_library, ino), &row.ino.to_ne_bytes());
    value.put(offset_of!(types::ct_library, inode), &row.inode.to_ne_bytes());
    value.put_accessor(offset_of!(types::ct_library, version), row.version.as_ref());
    value.put_accessor(offset_of!(types::ct_library, suite), row.suite.as_ref());
    for (i, accessor) in row.accessors.iter().take(LibraryRow::MAX_ACCESSORS).enumerate() {
        let at = offset_of!(types::ct_library, accessors) + i * size_of::<types::ct_accessor>();
        value.put_accessor(at, accessor.as_ref());
    }
    value.put_accessor(offset_of!(types::ct_library, waiting), row.waiting.as_ref().map(|(accessor, _)| accessor));
    let not_waiting = row.waiting.as_ref().map_or(0, |(_, idle)| *idle);
    value.put(offset_of!(types::ct_library, not_waiting), &not_waiting.to_ne_bytes());
    value.put(offset_of!(types::ct_library, version_base), &row.version_base.to_ne_bytes());
    value.put(offset_of!(types::ct_library, version_limit), &row.version_limit.to_ne_bytes());
    value.0
}
