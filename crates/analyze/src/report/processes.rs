//! Processes of a gathering, whatever they ran one after the other.

use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::timeline::{ImageId, ProcessId};
use crate::count::processes::{Doings, Ids, ProcessTotals, Who};
use crate::report::document::Reveal;
use crate::words::redact;
use crypto_trace_format::record::trim_comm;
use std::collections::BTreeMap;

/// A process: one that lifecycle records show, or else an id and a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Known(ProcessId),
    Unknown(u32, u64),
}

/// A process, and what it did by image.
pub(crate) struct Process<'a> {
    pub number: u32,
    pub capture: &'a Capture,
    pub key: Key,
    pub doings: Vec<(Who, &'a Doings)>,
}

/// All that did something, by capture.
pub(crate) fn processes<'a>(own: &'a ProcessTotals, captures: &'a [Capture]) -> Vec<Process<'a>> {
    let mut by_key: BTreeMap<(u32, Key), Vec<(Who, &Doings)>> = BTreeMap::new();
    for ((number, who), doings) in &own.doings {
        let Some(capture) = captures.get(*number as usize) else { continue };
        let key = match capture.timeline.process_of(who.image) {
            Some(process) => Key::Known(process),
            None => Key::Unknown(doings.tgid, who.start_ns),
        };
        by_key.entry((*number, key)).or_default().push((*who, doings));
    }
    let with = |((number, key), doings)| {
        let capture = captures.get(usize::try_from(number).ok()?)?;
        Some(Process { number, capture, key, doings })
    };
    by_key.into_iter().filter_map(with).collect()
}

impl<'a> Process<'a> {
    pub fn pid(&self) -> u32 {
        match self.key {
            Key::Known(process) => self.capture.timeline.tgid(process).unwrap_or(0),
            Key::Unknown(tgid, _) => tgid,
        }
    }

    /// When it started; none when that is not known.
    pub fn start(&self) -> Option<WallNs> {
        let start_ns = match self.key {
            Key::Known(process) => self.capture.timeline.start_ns(process)?.0,
            Key::Unknown(_, start_ns) => start_ns,
        };
        (start_ns != 0).then(|| self.capture.clock.wall(start_ns))
    }

    /// When it ended, as far as that is known.
    pub fn end(&self) -> Option<WallNs> {
        match self.key {
            Key::Known(process) => self.capture.timeline.exit_ns(process).map(|ns| self.capture.clock.wall(ns)),
            Key::Unknown(..) => self.exit().map(|(time, _)| time),
        }
    }

    /// When it ended, and its wait status, if that is among what passed.
    pub fn exit(&self) -> Option<(WallNs, u32)> {
        self.doings.iter().filter_map(|(_, doings)| doings.exit).max()
    }

    /// What it ran, oldest first, until a time.
    pub fn images(&self, until: WallNs) -> Vec<ImageId> {
        let Key::Known(process) = self.key else { return Vec::new() };
        let timeline = &self.capture.timeline;
        let begun = |image: &ImageId| {
            timeline.image_from_ns(*image).is_some_and(|from| from == 0 || self.capture.clock.wall(from) <= until)
        };
        timeline.images(process).filter(begun).collect()
    }

    /// What it ran at a time.
    pub fn image(&self, at: WallNs) -> ImageId {
        self.images(at).last().copied().unwrap_or(ImageId::UNKNOWN)
    }

    /// What it did while it ran an image.
    pub fn of(&self, image: ImageId) -> Option<&'a Doings> {
        let unknown = matches!(self.key, Key::Unknown(..));
        self.doings.iter().find(|(who, _)| unknown || who.image == image).map(|(_, doings)| *doings)
    }

    /// As its latest record has it.
    pub fn ids(&self) -> Option<Ids> {
        self.doings.iter().filter_map(|(_, doings)| doings.ids).max()
    }

    /// Its name: as it began its image, else as its latest record has it.
    pub fn comm(&self, image: ImageId, reveal: Reveal) -> Vec<u8> {
        let timeline = &self.capture.timeline;
        let latest = self.ids().map(|ids| ids.comm).unwrap_or_default();
        let comm = match timeline.comm(image) {
            [] => trim_comm(&latest),
            comm => comm,
        };
        redact::comm(comm, timeline.exe(image), reveal.redact).into_owned()
    }
}

/// Who runs something: root by its name, others by their number, because a capture does not hold names of users.
pub(crate) fn user(uid: u32) -> String {
    if uid == 0 { "root".to_owned() } else { uid.to_string() }
}
