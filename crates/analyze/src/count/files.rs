//! What is counted of a file: opens and changes, what they asked for, and why they failed.

use crate::budget::heap;
use crate::capture::clock::WallNs;
use crate::capture::libraries::{LoadedFiles, Uses, better, judge_path};
use crate::count::{Span, is_from_proc};
use crate::words::kernel::{access, closes_on_exec};
use crypto_trace_format::catalog::{Confidence, FileType, Judged, JudgedBy};
use crypto_trace_format::record::{FileChange, FileOpen, Header};
use std::borrow::Cow;
use std::cmp::Reverse;

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
    pub(super) fn count(&mut self, flags: u32) {
        let count = match access(flags) {
            (true, false) => &mut self.reads,
            (false, true) => &mut self.writes,
            (true, true) => &mut self.both,
            (false, false) => &mut self.neither,
        };
        *count += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
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
    /// What libraries were asked to load it as.
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
        // By its path it was judged when it was new; only what a library was asked to load can differ from open to open.
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

/// As many errnos have a row of their own: a hostile capture could make the list long.
const MAX_ERRNOS: usize = 64;

/// Stands for all errnos beyond those. It is that of no failure.
pub const OTHER_ERRNOS: u32 = 0;

/// Adds to a short list of counts by errno, which add up to the failures.
pub fn count_errno(failures: &mut Vec<(u32, u64)>, errno: u32, count: u64) {
    let room = failures.len() < MAX_ERRNOS;
    match failures.iter_mut().find(|(known, _)| *known == errno) {
        Some((_, known)) => *known += count,
        None if room || errno == OTHER_ERRNOS => failures.push((errno, count)),
        None => count_errno(failures, OTHER_ERRNOS, count),
    }
}

/// The most frequent first, and last those that share a row.
pub fn ranked_errnos(failures: &[(u32, u64)]) -> Vec<(u32, u64)> {
    let mut ranked = failures.to_vec();
    ranked.sort_by_key(|(errno, count)| (*errno == OTHER_ERRNOS, Reverse(*count), *errno));
    ranked
}

/// A type for people: `keystore?` where it is a guess.
pub fn shown_type(file_type: FileType, is_guess: bool) -> String {
    format!("{}{}", file_type.name(), if is_guess { "?" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_trace_format::record::{FileOpenFixed, flags};

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
    fn failures_add_up_to_what_failed_however_many_errnos_there_are() {
        let mut file = FileUse::new(b"/a.key", b"", WallNs(0));
        for errno in (1..=100).chain([100, 64, 3]) {
            file.count(&Header::default(), &open(0, -errno), &LoadedFiles::default(), WallNs(5));
        }
        let sum = |file: &FileUse| file.failures.iter().map(|(_, count)| count).sum::<u64>();
        assert_eq!((sum(&file), file.failures.len(), file.failed()), (103, 65, 103));
        let ranked = ranked_errnos(&file.failures);
        assert_eq!((&ranked[..3], ranked.last()), (&[(3, 2), (64, 2), (1, 1)][..], Some(&(OTHER_ERRNOS, 37))));

        // Another block's, of which some are others here and have their own row there.
        let mut other = FileUse::new(b"/a.key", b"", WallNs(0));
        for errno in 90..=200 {
            other.count(&Header::default(), &open(0, -errno), &LoadedFiles::default(), WallNs(5));
        }
        for (mut one, more) in [(file.clone(), &other), (other.clone(), &file)] {
            one.add(more);
            assert_eq!((sum(&one), one.failures.len(), one.failed()), (214, 65, 214));
        }
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
