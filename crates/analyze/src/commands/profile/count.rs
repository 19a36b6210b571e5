//! What a process used, of all that was counted, whatever it ran.

use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::libraries::FileId;
use crate::capture::timeline::{ImageId, ProcessId};
use crate::count::Span;
use crate::count::calls::{CallKey, CallUse};
use crate::count::files::FileUse;
use crate::count::handshakes::HandshakeKey;
use crate::count::processes::{Gathered, Mapped, mapped_at};
use crate::count::wire::WireKey;
use crate::report::processes::Process;
use std::collections::BTreeMap;

/// Children that are named.
const MAX_CHILDREN: usize = 1_000;

/// Children by their parent.
pub(super) fn children_of(capture: &Capture) -> BTreeMap<ProcessId, Vec<ProcessId>> {
    let timeline = &capture.timeline;
    let mut children: BTreeMap<ProcessId, Vec<ProcessId>> = BTreeMap::new();
    for process in timeline.processes() {
        if let Some(parent) = timeline.parent(process) {
            let of = children.entry(parent).or_default();
            if of.len() < MAX_CHILDREN {
                of.push(process);
            }
        }
    }
    children
}

/// What images of one process did with a file.
pub(super) enum Merged<'a> {
    One(&'a FileUse),
    Several(Box<FileUse>),
}

impl Merged<'_> {
    pub(super) fn get(&self) -> &FileUse {
        match self {
            Self::One(file) => file,
            Self::Several(file) => file,
        }
    }
}

/// What a process used, whatever it ran.
#[derive(Default)]
pub(super) struct Used<'a> {
    pub(super) files: BTreeMap<&'a [u8], Merged<'a>>,
    pub(super) calls: BTreeMap<CallKey, CallUse>,
    pub(super) handshakes: BTreeMap<HandshakeKey, (u64, Span)>,
    pub(super) wire: BTreeMap<WireKey, (u64, Span)>,
    pub(super) events: BTreeMap<&'static str, u64>,
}

impl<'a> Used<'a> {
    pub(super) fn file(&mut self, path: &'a [u8], file: &'a FileUse) {
        match self.files.get_mut(path) {
            Some(Merged::Several(known)) => known.add(file),
            Some(known) => {
                let mut both = Box::new(known.get().clone());
                both.add(file);
                *known = Merged::Several(both);
            }
            None => {
                self.files.insert(path, Merged::One(file));
            }
        }
    }
}

/// All libraries that a process had mapped until `to`, by path and file.
pub(super) fn libraries<'a>(
    process: &'a Process<'_>,
    gathered: &'a Gathered,
    to: WallNs,
) -> BTreeMap<(&'a [u8], FileId), Mapped> {
    let mut images = process.images(to);
    if images.is_empty() {
        images.push(ImageId::UNKNOWN);
    }
    let mut all: BTreeMap<(&[u8], FileId), Mapped> = BTreeMap::new();
    for image in images {
        let mapped = mapped_at(&gathered.all, process.of(image), (process.number, process.capture), image, to);
        for (key, more) in mapped {
            match all.get_mut(&key) {
                Some(known) => {
                    known.used.add(&more.used);
                    known.inherited &= more.inherited;
                }
                None => {
                    all.insert(key, more);
                }
            }
        }
    }
    all
}
