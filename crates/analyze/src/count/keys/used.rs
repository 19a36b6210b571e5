//! What someone did with a key file: opens, changes, and calls that loaded it.

use crate::capture::clock::WallNs;
use crate::count::Span;
use crate::count::files::{Access, count_errno};
use crate::words::kernel::{change_name, takes_mode};
use crypto_trace_format::record::{ChangeCall, FileOpenFixed};

/// What a change does to the name at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The file is called something else now.
    RenamedAway,
    /// A file was put here under this name.
    RenamedHere,
    /// One of both names of a hard link.
    Linked,
    /// A symbolic link was made here.
    Symlinked,
    /// The name is gone.
    Removed,
    /// Another mode.
    Mode,
    /// Another owner or group.
    Owner,
    /// A call that this version does not know.
    Other,
}

impl Change {
    /// All of them, in the order they are shown.
    pub const ALL: [Self; 8] = [
        Self::RenamedAway,
        Self::RenamedHere,
        Self::Linked,
        Self::Symlinked,
        Self::Removed,
        Self::Mode,
        Self::Owner,
        Self::Other,
    ];

    /// What a call does to the first of its names.
    pub fn of(call: ChangeCall) -> Self {
        match change_name(call) {
            "rename" => Self::RenamedAway,
            "link" => Self::Linked,
            "symlink" => Self::Symlinked,
            "unlink" => Self::Removed,
            "chmod" => Self::Mode,
            "chown" => Self::Owner,
            _ => Self::Other,
        }
    }

    /// Name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::RenamedAway => "renamed_away",
            Self::RenamedHere => "renamed_here",
            Self::Linked => "linked",
            Self::Symlinked => "symlinked",
            Self::Removed => "removed",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Other => "other",
        }
    }
}

/// Calls that gave a file to a library as a private key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loads {
    /// That succeeded.
    pub succeeded: u64,
    /// That failed.
    pub failed: u64,
    /// Of which that is not known.
    pub unknown: u64,
}

impl Loads {
    pub(super) fn one(succeeded: Option<bool>, count: u64) -> Self {
        match succeeded {
            Some(true) => Self { succeeded: count, ..Self::default() },
            Some(false) => Self { failed: count, ..Self::default() },
            None => Self { unknown: count, ..Self::default() },
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.succeeded = self.succeeded.saturating_add(other.succeeded);
        self.failed = self.failed.saturating_add(other.failed);
        self.unknown = self.unknown.saturating_add(other.unknown);
    }
}

/// What someone did with a file.
#[derive(Debug, Clone)]
pub struct KeyUse {
    /// Opens that were seen, well or not.
    pub opens: u64,
    /// Files that a process had open already when the capture looked.
    pub already_open: u64,
    /// What opens that succeeded asked for, those included that were there already.
    pub granted: Access,
    /// What those that failed asked for.
    pub refused: Access,
    /// Opens that succeeded and would have made the file, had there been none.
    pub may_create: u64,
    /// Failed opens by errno.
    pub failures: Vec<(u32, u64)>,
    /// By [`Change::ALL`]: done, and failed.
    pub changes: [(u64, u64); Change::ALL.len()],
    /// Calls of libraries.
    pub loads: Loads,
    /// When.
    pub span: Span,
}

impl KeyUse {
    /// Nothing yet.
    pub fn new(time: WallNs) -> Self {
        Self {
            opens: 0,
            already_open: 0,
            granted: Access::default(),
            refused: Access::default(),
            may_create: 0,
            failures: Vec::new(),
            changes: Default::default(),
            loads: Loads::default(),
            span: Span::at(time),
        }
    }

    pub(super) fn open(&mut self, fixed: &FileOpenFixed, was_open: bool, time: WallNs) {
        self.span.add(Span::at(time));
        if was_open {
            self.already_open += 1;
        } else {
            self.opens += 1;
        }
        if fixed.result < 0 {
            self.refused.count(fixed.flags);
            count_errno(&mut self.failures, fixed.result.unsigned_abs(), 1);
        } else {
            self.granted.count(fixed.flags);
            self.may_create += u64::from(!was_open && takes_mode(fixed.flags));
        }
    }

    pub(super) fn change(&mut self, done: Change, result: i32, time: WallNs) {
        self.span.add(Span::at(time));
        let at = Change::ALL.iter().position(|known| *known == done);
        if let Some((count, failed)) = at.and_then(|at| self.changes.get_mut(at)) {
            *(if result < 0 { failed } else { count }) += 1;
        }
    }

    /// Adds what else was done.
    pub fn add(&mut self, other: &Self) {
        self.opens += other.opens;
        self.already_open += other.already_open;
        self.granted.add(other.granted);
        self.refused.add(other.refused);
        self.may_create += other.may_create;
        other.failures.iter().for_each(|(errno, count)| count_errno(&mut self.failures, *errno, *count));
        for ((done, failed), (more, more_failed)) in self.changes.iter_mut().zip(other.changes) {
            *done += more;
            *failed += more_failed;
        }
        self.loads.add(other.loads);
        self.span.add(other.span);
    }

    /// Opens that failed.
    pub fn failed(&self) -> u64 {
        let Access { reads, writes, both, neither } = self.refused;
        reads + writes + both + neither
    }

    /// Whether the file was open for reading, or a library read it.
    pub fn reads(&self) -> bool {
        self.granted.reads + self.granted.both + self.loads.succeeded > 0
    }
}
