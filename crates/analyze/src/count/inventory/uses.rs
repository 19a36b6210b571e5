//! What is counted of a file, a library, a call and a handshake: the parts that every report is made of.

use crate::budget::heap;
use crate::capture::clock::WallNs;
use crate::capture::connections::{Outcome, Role};
use crate::capture::libraries::{FileId, LoadedFiles, Uses, better, judge_path};
use crate::count::summary::count_errno;
use crate::count::survey::{Exchange, Facts};
use crate::protocol::iana::{AlertDescription, CipherSuite, Version};
use crate::words::kernel::{access, closes_on_exec};
use crypto_trace_format::catalog::{Confidence, FileType, Judged, JudgedBy};
use crypto_trace_format::record::{FileChange, FileOpen, Header, LibLoad, Tier, flags};
use std::borrow::Cow;
use std::net::IpAddr;

/// When something happened first and last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First.
    pub first: WallNs,
    /// Last.
    pub last: WallNs,
}

impl Span {
    /// It happened once.
    pub fn at(time: WallNs) -> Self {
        Self { first: time, last: time }
    }

    /// Also then.
    pub fn add(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// What opens asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Access {
    /// To read only.
    pub reads: u64,
    /// To write only.
    pub writes: u64,
    /// To read and to write.
    pub both: u64,
    /// Neither: `O_PATH`.
    pub neither: u64,
}

impl Access {
    fn count(&mut self, flags: u32) {
        let count = match access(flags) {
            (true, false) => &mut self.reads,
            (false, true) => &mut self.writes,
            (true, true) => &mut self.both,
            (false, false) => &mut self.neither,
        };
        *count += 1;
    }

    fn add(&mut self, other: Self) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.both += other.both;
        self.neither += other.neither;
    }

    /// All of them together, as users of the reference tool know it; none when there were none.
    pub fn mode(self) -> Option<&'static str> {
        let (reads, writes) = (self.reads + self.both > 0, self.writes + self.both > 0);
        match (reads, writes) {
            (true, true) => Some("read-write"),
            (true, false) => Some("read"),
            (false, true) => Some("write"),
            (false, false) if self.neither > 0 => Some("none"),
            (false, false) => None,
        }
    }
}

/// What was done with a file.
#[derive(Debug, Clone)]
pub struct FileUse {
    /// What it holds, by its name or its use.
    pub judged: Option<Judged>,
    /// What libraries were told that it is.
    pub uses: Uses,
    /// The path as it was passed first, where that was another.
    pub given: Box<[u8]>,
    /// Opens that were seen, well or not.
    pub opens: u64,
    /// Opens by a process that had it open already when the capture looked.
    pub already_open: u64,
    /// Renames, links, removals, changes of mode and owner, well or not.
    pub changes: u64,
    /// Those of them that failed.
    pub failed_changes: u64,
    /// What the opens that succeeded asked for.
    pub granted: Access,
    /// What those that failed asked for.
    pub refused: Access,
    /// Failures by errno.
    pub failures: Vec<(u32, u64)>,
    /// A descriptor stays over an exec.
    pub survives_exec: bool,
    /// When.
    pub span: Span,
}

impl FileUse {
    /// Nothing yet, of this path. `given`: as it was passed, where that made it worth recording.
    pub fn new(path: &[u8], given: &[u8], time: WallNs) -> Self {
        Self {
            judged: judge_path(path).or_else(|| judge_path(given)),
            uses: Uses::default(),
            given: given.into(),
            opens: 0,
            already_open: 0,
            changes: 0,
            failed_changes: 0,
            granted: Access::default(),
            refused: Access::default(),
            failures: Vec::new(),
            survives_exec: false,
            span: Span::at(time),
        }
    }

    /// Bytes that it holds besides itself. Lists of failures grow, so room for a few is counted at once.
    pub fn held_bytes(&self) -> usize {
        heap(self.given.len()) + heap(self.failures.len().max(4) * size_of::<(u32, u64)>())
    }

    /// Counts one open.
    pub fn count(&mut self, header: &Header, open: &FileOpen<'_>, loaded: &LoadedFiles, time: WallNs) {
        self.span.add(Span::at(time));
        // By its path it was judged when it was new; only what a library was told can differ from open to open.
        let uses = loaded.uses(header, open);
        if uses != Uses::default() {
            self.uses = self.uses.and(uses);
            self.judged = better(self.judged, loaded.of(header, open));
        }
        let fixed = &open.fixed;
        if is_from_proc(header, fixed.tier) {
            self.already_open += 1
        } else {
            self.opens += 1
        }
        if fixed.result < 0 {
            self.refused.count(fixed.flags);
            count_errno(&mut self.failures, fixed.result.unsigned_abs(), 1);
        } else {
            self.granted.count(fixed.flags);
            self.survives_exec |= !closes_on_exec(fixed.flags);
        }
    }

    /// Counts one change.
    pub fn change(&mut self, change: &FileChange<'_>, time: WallNs) {
        self.span.add(Span::at(time));
        self.changes += 1;
        self.failed_changes += u64::from(change.fixed.result < 0);
    }

    /// Adds other opens and changes of the same file.
    pub fn add(&mut self, other: &Self) {
        self.judged = better(self.judged, other.judged);
        self.uses = self.uses.and(other.uses);
        self.opens += other.opens;
        self.already_open += other.already_open;
        self.changes += other.changes;
        self.failed_changes += other.failed_changes;
        self.granted.add(other.granted);
        self.refused.add(other.refused);
        other.failures.iter().for_each(|(errno, count)| count_errno(&mut self.failures, *errno, *count));
        self.survives_exec |= other.survives_exec;
        self.span.add(other.span);
    }

    /// What it holds.
    pub fn file_type(&self) -> FileType {
        self.judged.map_or(FileType::Unknown, |judged| judged.file_type)
    }

    /// Whether that is a guess: others use such names, too.
    pub fn is_guess(&self) -> bool {
        self.confidence() == Some(Confidence::Low)
    }

    /// How sure that is.
    pub fn confidence(&self) -> Option<Confidence> {
        self.judged.map(|judged| judged.confidence)
    }

    /// What it is known by.
    pub fn known_by(&self) -> Option<JudgedBy> {
        self.judged.map(|judged| judged.by)
    }

    /// Opens that failed.
    pub fn failed(&self) -> u64 {
        self.refused.reads + self.refused.writes + self.refused.both + self.refused.neither
    }

    /// Whether any open succeeded.
    pub fn was_opened(&self) -> bool {
        self.opens + self.already_open > self.failed()
    }

    /// What it was opened for; when that never succeeded, what was asked for.
    pub fn mode(&self) -> &'static str {
        self.granted.mode().or(self.refused.mode()).unwrap_or("none")
    }
}

/// The names whose file a change is counted as one of: those that the catalog knows; both, when it knows neither.
pub fn changed_names<'a>(change: &FileChange<'a>) -> impl Iterator<Item = Cow<'a, [u8]>> + use<'a> {
    let names: Vec<_> = [Some(change.full_path()), change.full_new()].into_iter().flatten().collect();
    let any = names.iter().any(|name| judge_path(name).is_some());
    names.into_iter().filter(move |name| !any || judge_path(name).is_some())
}

/// How often a library was mapped.
#[derive(Debug, Clone)]
pub struct LibraryUse {
    /// Seen happening.
    pub loads: u64,
    /// Found mapped when the capture looked.
    pub already_mapped: u64,
    /// When.
    pub span: Span,
}

impl LibraryUse {
    /// Never, so far.
    pub fn new(time: WallNs) -> Self {
        Self { loads: 0, already_mapped: 0, span: Span::at(time) }
    }

    /// Counts one.
    pub fn count(&mut self, header: &Header, load: &LibLoad<'_>, time: WallNs) {
        self.span.add(Span::at(time));
        if is_from_proc(header, load.fixed.tier) { self.already_mapped += 1 } else { self.loads += 1 }
    }

    /// Adds others of the same library.
    pub fn add(&mut self, other: &Self) {
        self.loads += other.loads;
        self.already_mapped += other.already_mapped;
        self.span.add(other.span);
    }
}

/// A type for people: `keystore?` where it is a guess.
pub fn shown_type(file_type: FileType, is_guess: bool) -> String {
    format!("{}{}", file_type.name(), if is_guess { "?" } else { "" })
}

fn is_from_proc(header: &Header, tier: u16) -> bool {
    header.flags & flags::FROM_PROC != 0 || tier == Tier::PROC.0
}

/// Calls that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey {
    /// The library; (0, 0) is the kernel.
    pub library: FileId,
    /// What it is for, by its number.
    pub meaning: u16,
    /// Name of the function.
    pub function: Box<[u8]>,
    /// The algorithm's name, where the call uses one and tells it so.
    pub text: Box<[u8]>,
    /// The algorithm's number, likewise.
    pub number: u64,
}

/// Calls of one function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallUse {
    /// How many.
    pub calls: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those of them that the library itself made.
    pub internal: u64,
}

impl CallUse {
    /// Adds other calls.
    pub fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failed = self.failed.saturating_add(other.failed);
        self.internal = self.internal.saturating_add(other.internal);
    }
}

/// Handshakes that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HandshakeKey {
    /// Which side it is.
    pub role: Option<Role>,
    /// Address of the other end.
    pub address: IpAddr,
    /// Its port; none of clients, whose are new each time.
    pub port: Option<u16>,
    /// The host that was asked for: bytes of the peer.
    pub server_name: Option<Box<[u8]>>,
    /// How far it came.
    pub outcome: Outcome,
    /// The alert that ended it, and who sent it.
    pub alert: Option<(AlertDescription, Role)>,
    /// Version that was agreed on.
    pub version: Option<Version>,
    /// Suite that was agreed on.
    pub suite: Option<CipherSuite>,
    /// How keys were agreed on.
    pub exchange: Exchange,
    /// An earlier session went on.
    pub resumed: bool,
    /// What a library said came of it: `Some(None)` when it did not say.
    pub told: Option<Option<bool>>,
}

impl HandshakeKey {
    /// Bytes that it holds besides itself.
    pub fn held_bytes(&self) -> usize {
        let exchange = match &self.exchange {
            Exchange::Known(name, _) => name.len(),
            Exchange::Earlier | Exchange::NotSeen => 0,
        };
        heap(self.server_name.as_ref().map_or(0, |name| name.len())) + heap(exchange)
    }

    /// Of what a connection tells.
    pub fn new(facts: Facts, remote: std::net::SocketAddr, told: Option<Option<bool>>) -> Self {
        Self {
            role: facts.role,
            address: remote.ip(),
            port: (facts.role != Some(Role::Server)).then_some(remote.port()),
            server_name: facts.server_name,
            outcome: facts.outcome,
            alert: facts.alert,
            version: facts.version,
            suite: facts.suite,
            exchange: facts.exchange,
            resumed: facts.resumed,
            told,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_trace_format::record::FileOpenFixed;

    fn open(flags: u32, result: i32) -> FileOpen<'static> {
        FileOpen { fixed: FileOpenFixed { flags, result, ..FileOpenFixed::default() }, ..FileOpen::default() }
    }

    #[test]
    fn the_mode_of_a_file_is_what_was_granted_and_else_what_was_asked() {
        let check = |opens: &[(u32, i32)], mode: &str, opened: bool| {
            let mut file = FileUse::new(b"/a.key", b"", WallNs(0));
            for (flags, result) in opens {
                file.count(&Header::default(), &open(*flags, *result), &LoadedFiles::default(), WallNs(5));
            }
            assert_eq!((file.mode(), file.was_opened()), (mode, opened), "{opens:?}");
        };
        check(&[(0, 3)], "read", true);
        check(&[(1, 3)], "write", true);
        check(&[(0, 3), (1, 3)], "read-write", true);
        check(&[(2, 3)], "read-write", true);
        check(&[(0, 3), (2, -13)], "read", true);
        check(&[(1, -13)], "write", false);
        check(&[(0o10000000, 3)], "none", true);
    }

    #[test]
    fn what_proc_told_is_no_open_that_was_seen() {
        let header = Header { flags: flags::FROM_PROC, ..Header::default() };
        let mut file = FileUse::new(b"/a.key", b"", WallNs(9));
        let loaded = LoadedFiles::default();
        file.count(&header, &open(0, 3), &loaded, WallNs(9));
        file.count(&Header::default(), &open(0o2000000, -2), &loaded, WallNs(4));
        assert_eq!((file.opens, file.already_open, file.failed()), (1, 1, 1));
        assert_eq!(file.failures, [(2, 1)]);
        assert_eq!((file.span, file.survives_exec), (Span { first: WallNs(4), last: WallNs(9) }, true));
    }
}
