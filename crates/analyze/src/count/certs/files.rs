//! Files that hold certificates: who opened them, and when they became others.

use super::counter::{Done, What};
use crate::budget::{Budget, heap, sorted};
use crate::capture::clock::WallNs;
use crate::capture::libraries::{Uses, better};
use crate::capture::timeline::ImageId;
use crate::count::Span;
use crypto_trace_format::catalog::{FileType, Judged};
use std::collections::BTreeMap;

/// Opens and changes of one path whose times are kept.
const MAX_EVENTS: usize = 256;

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileKey {
    /// Number of the host.
    pub host: u32,
    /// The container of whoever used it.
    pub container: Option<Box<[u8]>>,
    /// The path.
    pub path: Box<[u8]>,
}

/// What one program did with it.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileUser {
    /// Opens for reading that succeeded.
    pub reads: u64,
    /// Opens for writing that succeeded.
    pub writes: u64,
    /// Opens that failed.
    pub failed: u64,
    /// Calls that gave it to a library as a certificate, and did not fail.
    pub loads: u64,
    /// Those that failed.
    pub failed_loads: u64,
}

/// Something that happened to a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub capture: u32,
    /// What the process ran that did it.
    pub image: ImageId,
    /// Boot time.
    pub time_ns: u64,
    /// Device and inode; zeros where they are not known.
    pub file: (u64, u64),
}

/// When a path was read, and when it may have become another file, or got other contents.
#[derive(Debug, Clone, Default)]
pub(super) struct Events {
    pub reads: Vec<Event>,
    pub changes: Vec<(Event, What)>,
    /// There were more than are kept.
    pub is_cut: bool,
}

impl Events {
    pub(super) fn add(&mut self, capture: u32, done: &Done) {
        let event = Event { capture, image: done.image, time_ns: done.time_ns, file: done.file };
        let has_room = self.reads.len() + self.changes.len() < MAX_EVENTS;
        match done.what {
            What::Failed | What::Loaded(_) => {}
            _ if !has_room => self.is_cut = true,
            What::Read => self.reads.push(event),
            what @ (What::Written | What::Replaced | What::Removed) => self.changes.push((event, what)),
        }
    }
}

/// One path.
#[derive(Debug, Clone)]
pub struct FileRow {
    /// What it is.
    pub judged: Option<Judged>,
    /// What libraries were asked to load it as.
    pub uses: Uses,
    /// By program: executable, or the thread's name.
    pub users: BTreeMap<Box<[u8]>, FileUser>,
    /// Writes, replacements and removals.
    pub changes: u64,
    /// When.
    pub span: Span,
    pub(super) events: Events,
}

/// What a path takes.
const ROW_BYTES: usize = 2 * sorted::<(FileKey, FileRow)>() + heap(MAX_EVENTS * size_of::<(Event, What)>() / 8);

impl FileRow {
    fn new(time: WallNs) -> Self {
        Self {
            judged: None,
            uses: Uses::default(),
            users: BTreeMap::new(),
            changes: 0,
            span: Span::at(time),
            events: Events::default(),
        }
    }

    /// Whether it is known to hold a certificate.
    pub fn is_certificate(&self) -> bool {
        self.judged.is_some_and(|judged| judged.file_type == FileType::Certificate)
            || self.uses.types().any(|is| is == FileType::Certificate)
    }

    fn add(&mut self, capture: u32, program: &[u8], done: &Done, budget: &mut Budget) {
        self.judged = better(self.judged.or(done.judged), done.judged);
        self.uses = self.uses.and(done.uses);
        self.span.add(Span::at(done.time));
        let kept = self.events.reads.len() + self.events.changes.len();
        // Rows pay for the first few events.
        if kept < MAX_EVENTS / 8 || budget.take(2 * size_of::<(Event, What)>()) {
            self.events.add(capture, done);
        } else {
            self.events.is_cut = true;
        }
        self.changes += u64::from(matches!(done.what, What::Written | What::Replaced | What::Removed));
        if !self.users.contains_key(program)
            && !budget.take(2 * (sorted::<(Box<[u8]>, FileUser)>() + heap(program.len())))
        {
            return;
        }
        let user = self.users.entry(program.into()).or_default();
        match done.what {
            What::Read => user.reads += 1,
            What::Written => user.writes += 1,
            What::Failed => user.failed += 1,
            What::Loaded(Some(false)) => user.failed_loads += 1,
            What::Loaded(_) => user.loads += 1,
            What::Replaced | What::Removed => {}
        }
    }
}

/// Everything that was done with files.
#[derive(Debug, Default)]
pub struct Files {
    /// By place.
    pub rows: BTreeMap<FileKey, FileRow>,
    /// Paths as they were passed, where the kernel resolved them to others: a link may become another one.
    pub(super) links: BTreeMap<FileKey, Events>,
}

impl Files {
    pub(super) fn add(&mut self, (key, capture, program): (FileKey, u32, &[u8]), done: &Done, budget: &mut Budget) {
        let held = heap(key.path.len()) + heap(key.container.as_ref().map_or(0, |id| id.len()));
        // Of a path that was passed the file is what it was resolved to; one that changes by name may be such a path.
        if done.given.first() == Some(&b'/') && done.what == What::Read {
            let link = FileKey { path: done.given.clone(), ..key.clone() };
            if self.links.contains_key(&link) || budget.take(ROW_BYTES + held + heap(link.path.len())) {
                self.links.entry(link).or_default().add(capture, done);
            }
        } else if let Some(link) = self.links.get_mut(&key) {
            link.add(capture, done);
        }
        if !self.rows.contains_key(&key) && !budget.take(ROW_BYTES + 2 * held) {
            return;
        }
        let row = self.rows.entry(key).or_insert_with(|| FileRow::new(done.time));
        row.add(capture, program, done, budget);
    }
}
