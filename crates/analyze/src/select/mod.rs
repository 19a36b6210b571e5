//! Which events are shown. Filters combine with AND; a repeated one is OR.
//!
//! Filters see what was recorded, before anything is redacted. Events about the capture itself (loss, clock, …) are held
//! only to the type and time filters: a gap stays visible whatever else is asked for.

mod globs;
mod selection;
pub mod time;

pub use globs::Globs;
pub use selection::Selection;

use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::connections::{self, Connection};
use crate::capture::libraries::{self, LibraryRow};
use crate::capture::timeline::ImageId;
use crate::select::time::TimeSpec;
use crate::words::escape;
use crate::words::kernel::is_interrupted;
use crypto_trace_format::catalog::{self, file_name};
use crypto_trace_format::record::{
    ApiCall, ApiMeaning, FileChange, FileOpen, IkeHandshake, Kind, LibLoad, Loss, MAX_BITMAP_KIND, ProcessExec,
    ProcessExit, Record, RecordError, SshHandshake, Suppressed, TlsHello, WireguardHandshake, flags,
};
use crypto_trace_format::segment::BlockHeader;
use memchr::memmem::find;
use std::collections::BTreeSet;

/// Kinds shown when none are asked for.
pub const DEFAULT_KINDS: &[Kind] = &[
    ProcessExec::KIND,
    ProcessExit::KIND,
    FileOpen::KIND,
    FileChange::KIND,
    LibLoad::KIND,
    TlsHello::KIND,
    SshHandshake::KIND,
    IkeHandshake::KIND,
    WireguardHandshake::KIND,
    ApiCall::KIND,
    Loss::KIND,
    Suppressed::KIND,
];

/// Whether an operation succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Outcome {
    /// It did.
    Ok,
    /// It did not.
    Failed,
}

/// What a user asked to see.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Process ids.
    pub pids: Vec<u32>,
    /// Parts of process names.
    pub names: Vec<String>,
    /// Also descendants of what `pids` and `names` select.
    pub follow_children: bool,
    /// Globs over file and library paths.
    pub files: Option<Globs>,
    /// Parts of library file names or of library names.
    pub libraries: Vec<String>,
    /// Kinds; empty means [`DEFAULT_KINDS`].
    pub kinds: Vec<Kind>,
    /// User ids.
    pub uids: Vec<u32>,
    /// Parts of cgroup paths.
    pub cgroups: Vec<String>,
    /// Beginnings of container ids.
    pub containers: Vec<String>,
    /// Hosts, by their names; those of other hosts are not read at all.
    pub hosts: Vec<String>,
    /// Earliest time.
    pub since: Option<TimeSpec>,
    /// Time by which it ends, exclusive.
    pub until: Option<TimeSpec>,
    /// Outcome.
    pub outcome: Option<Outcome>,
}

/// A filter with its times made absolute.
#[derive(Debug, Clone)]
pub struct ResolvedFilter<'a> {
    filter: &'a Filter,
    kind_bits: u64,
    /// The same, as blocks tell what is in them.
    block_bits: u64,
    since: WallNs,
    until: WallNs,
    needs_body: bool,
}

impl Filter {
    /// Makes times absolute for captures that end at `end`.
    pub fn resolve(&self, end: Option<WallNs>) -> ResolvedFilter<'_> {
        let kinds = self.shown_kinds();
        ResolvedFilter {
            filter: self,
            kind_bits: kinds.iter().fold(0, |bits, kind| bits | kind.bit()),
            block_bits: kinds.iter().fold(0, |bits, kind| bits | kind.recorded().bit()),
            since: self.since.and_then(|since| since.resolve(end)).unwrap_or(WallNs(i64::MIN)),
            until: self.until.and_then(|until| until.resolve(end)).unwrap_or(WallNs(i64::MAX)),
            needs_body: self.files.is_some() || !self.libraries.is_empty() || self.outcome.is_some(),
        }
    }

    /// The kinds that are shown.
    pub fn shown_kinds(&self) -> &[Kind] {
        if self.kinds.is_empty() { DEFAULT_KINDS } else { &self.kinds }
    }

    /// The processes, where they are asked for by their ids alone: what passes is theirs, and nobody else's.
    pub fn pids_alone(&self) -> Option<&[u32]> {
        let alone = !self.pids.is_empty() && !self.follow_children && self.names.is_empty();
        alone.then_some(self.pids.as_slice())
    }

    /// Whether handshakes are among the kinds that are shown, of whatever protocol.
    pub fn shows_handshakes(&self) -> bool {
        self.shown_kinds().iter().any(|kind| kind.recorded() == TlsHello::KIND)
    }

    /// Whether opens of files are among the kinds that are shown.
    pub fn shows_files(&self) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&FileOpen::KIND)
    }

    /// Whether the end of the captures must be known to resolve the times.
    pub fn needs_end(&self) -> bool {
        self.since.is_some_and(TimeSpec::needs_end) || self.until.is_some_and(TimeSpec::needs_end)
    }
}

/// Whether a host is one of `wanted`, which may leave out its domain. None wanted means all.
pub fn is_host(wanted: &[String], host: &str) -> bool {
    let same = |wanted: &String| {
        wanted.eq_ignore_ascii_case(host)
            || host.split_once('.').is_some_and(|(name, _)| wanted.eq_ignore_ascii_case(name))
    };
    wanted.is_empty() || wanted.iter().any(same)
}

/// What is said when none of `hosts` is wanted.
pub fn no_such_host<'a>(wanted: &[String], hosts: impl Iterator<Item = &'a str>) -> String {
    let seen: BTreeSet<String> = hosts.map(|host| escape::for_people(host.as_bytes())).collect();
    let seen: Vec<String> = seen.into_iter().collect();
    let names: Vec<String> = wanted.iter().map(|name| escape::for_people(name.as_bytes())).collect();
    format!("nothing from host {}: the captures are of {}", names.join(", "), seen.join(", "))
}

impl<'a> ResolvedFilter<'a> {
    /// The filter as given.
    pub fn filter(&self) -> &'a Filter {
        self.filter
    }

    /// The times asked for: since when, and until when, exclusive.
    pub fn times(&self) -> (Option<WallNs>, Option<WallNs>) {
        let since = Some(self.since).filter(|since| since.0 != i64::MIN);
        (since, Some(self.until).filter(|until| until.0 != i64::MAX))
    }

    /// Whether a block can have events that pass, by its header alone.
    pub fn block_may_match(&self, header: &BlockHeader, range: (WallNs, WallNs), selection: &Selection<'_>) -> bool {
        if !self.block_may_show(header, range) {
            return false;
        }
        // A connection's process may be known only by another of its records.
        self.may_be_of(header, selection) || self.shows_connections(header)
    }

    /// Whether a block has hellos that may be shown.
    pub fn shows_connections(&self, header: &BlockHeader) -> bool {
        header.kinds & self.block_bits & TlsHello::KIND.bit() != 0
    }

    /// Whether a block has records of the processes that are asked for, or about the capture itself.
    pub fn may_be_of(&self, header: &BlockHeader, selection: &Selection<'_>) -> bool {
        self.shows_capture(header)
            || selection.tgids().is_none_or(|tgids| tgids.iter().any(|tgid| header.tgids.may_contain(*tgid)))
    }

    /// Whether a block has records about the capture itself that may be shown.
    pub fn shows_capture(&self, header: &BlockHeader) -> bool {
        header.kinds & self.block_bits & capture_kind_bits() != 0
    }

    /// Whether an event of this kind may pass.
    #[inline]
    pub fn may_show_kind(&self, kind: Kind) -> bool {
        kind.bit() & self.kind_bits != 0
    }

    /// Whether an event of this kind at this time may pass, as far as these tell.
    #[inline]
    pub fn may_show(&self, kind: Kind, time: WallNs) -> bool {
        self.may_show_kind(kind) && time >= self.since && self.before_until(time)
    }

    /// Whether a block can have events of the kinds and from the time that are asked for.
    pub fn block_may_show(&self, header: &BlockHeader, range: (WallNs, WallNs)) -> bool {
        header.kinds & self.block_bits != 0 && range.1 >= self.since && self.before_until(range.0)
    }

    /// Whether a range of time is within the one asked for, or not farther from it than `margin_ns`.
    pub fn is_near(&self, range: (WallNs, WallNs), margin_ns: i64) -> bool {
        range.1.0 >= self.since.0.saturating_sub(margin_ns) && range.0.0 <= self.until.0.saturating_add(margin_ns)
    }

    /// Whether a handshake has the outcome asked for: one that was refused in the clear failed.
    pub fn outcome_matches(&self, connection: &Connection) -> bool {
        self.filter.outcome.is_none_or(|wanted| {
            let failed = connection.view().outcome() == connections::Outcome::Alert;
            wanted == if failed { Outcome::Failed } else { Outcome::Ok }
        })
    }

    /// Whether an event passes.
    ///
    /// # Errors
    /// When its body must be read for that and is malformed.
    #[inline]
    pub fn matches(
        &self,
        capture: &Capture,
        selection: &Selection<'_>,
        record: &Record<'_>,
        time: WallNs,
        image: ImageId,
    ) -> Result<bool, RecordError> {
        let kind = record.kind();
        if !self.may_show(kind, time) {
            return Ok(false);
        }
        if kind.is_about_capture() {
            return Ok(true);
        }
        let header = &record.header;
        let filter = self.filter;
        if !filter.uids.is_empty() && !filter.uids.contains(&header.uid) {
            return Ok(false);
        }
        if !selection.matches(capture, record, image) {
            return Ok(false);
        }
        if self.needs_body { self.body_matches(capture, record) } else { Ok(true) }
    }

    /// `--until` is exclusive, except for the end of time.
    #[inline]
    fn before_until(&self, time: WallNs) -> bool {
        time < self.until || self.until == WallNs(i64::MAX)
    }

    fn body_matches(&self, capture: &Capture, record: &Record<'_>) -> Result<bool, RecordError> {
        let filter = self.filter;
        let no_files = filter.files.is_none();
        let no_libraries = filter.libraries.is_empty();
        Ok(match record.kind() {
            FileOpen::KIND => {
                let open = FileOpen::decode(record)?;
                no_libraries
                    && filter.outcome.is_none_or(|wanted| Some(wanted) == outcome_of(open.fixed.result))
                    && filter.files.as_ref().is_none_or(|globs| open_matches(globs, &open, record.header.flags))
            }
            FileChange::KIND => {
                let change = FileChange::decode(record)?;
                no_libraries
                    && filter.outcome.is_none_or(|wanted| Some(wanted) == outcome_of(change.fixed.result))
                    && filter.files.as_ref().is_none_or(|globs| change_matches(globs, &change))
            }
            LibLoad::KIND => {
                let load = LibLoad::decode(record)?;
                filter.outcome != Some(Outcome::Failed)
                    && (no_libraries || library_matches(&filter.libraries, load.path))
                    && filter.files.as_ref().is_none_or(|globs| globs.matches(load.path))
            }
            ProcessExit::KIND => {
                let exit = ProcessExit::decode(record)?;
                let outcome = if exit.fixed.status == 0 { Outcome::Ok } else { Outcome::Failed };
                no_files && no_libraries && filter.outcome.is_none_or(|wanted| wanted == outcome)
            }
            ApiCall::KIND => {
                let call = ApiCall::decode(record)?;
                let failed = libraries::succeeded(&call) == Some(false);
                let library = capture.libraries.get((call.fixed.dev, call.fixed.ino));
                let outcome = if failed { Outcome::Failed } else { Outcome::Ok };
                filter.outcome.is_none_or(|wanted| wanted == outcome && !libraries::was_interrupted(&call))
                    && (no_libraries || library.is_some_and(|row| row_matches(&filter.libraries, row)))
                    && filter.files.as_ref().is_none_or(|globs| names_file(&call) && globs.matches(call.text))
            }
            // Its outcome is asked about where its connection is known.
            TlsHello::KIND | SshHandshake::KIND | IkeHandshake::KIND | WireguardHandshake::KIND => {
                no_files && no_libraries
            }
            _ => no_files && no_libraries && filter.outcome != Some(Outcome::Failed),
        })
    }
}

/// A file matches by its path as it is shown, and by the name it was opened by when only that made it worth recording.
fn open_matches(globs: &Globs, open: &FileOpen<'_>, record_flags: u16) -> bool {
    globs.matches(&open.full_path()) || (record_flags & flags::MATCHED_GIVEN != 0 && globs.matches(open.given))
}

/// A change matches by the name that the file had and by that which it got.
fn change_matches(globs: &Globs, change: &FileChange<'_>) -> bool {
    globs.matches(&change.full_path()) || change.full_new().is_some_and(|new| globs.matches(&new))
}

/// What became of a system call; `None`: nothing yet, the kernel is to do it again.
fn outcome_of(result: i32) -> Option<Outcome> {
    match result {
        result if is_interrupted(result.into()) => None,
        ..0 => Some(Outcome::Failed),
        _ => Some(Outcome::Ok),
    }
}

fn library_matches(wanted: &[String], path: &[u8]) -> bool {
    let file = file_name(path);
    let name = catalog::library(path).unwrap_or_default().as_bytes();
    wanted.iter().any(|part| find(file, part.as_bytes()).is_some() || find(name, part.as_bytes()).is_some())
}

fn row_matches(wanted: &[String], row: &LibraryRow) -> bool {
    library_matches(wanted, &row.path) || wanted.iter().any(|part| find(&row.family, part.as_bytes()).is_some())
}

/// Whether the text of a call is the path of a file.
fn names_file(call: &ApiCall<'_>) -> bool {
    [ApiMeaning::CERTIFICATE_FILE, ApiMeaning::PRIVATE_KEY_FILE, ApiMeaning::TRUST_FILE]
        .contains(&ApiMeaning(call.fixed.meaning))
}

fn capture_kind_bits() -> u64 {
    let kinds = (0..MAX_BITMAP_KIND).map(Kind).filter(|kind| kind.is_about_capture());
    kinds.fold(0, |bits, kind| bits | kind.bit())
}
