//! Processes that read a certificate's file, did not read it again after it changed, and went on to present one.
//!
//! What is concluded is only that. Which certificate was in the file is not recorded; that a process presents the same one before
//! and after the change is, when handshakes before and after show it.

use super::counter::What;
use super::files::{Event, Events, FileKey, Files};
use crate::budget::sorted;
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::timeline::ImageId;
use std::collections::BTreeMap;

/// Forks that are followed back.
const MAX_FORKS: usize = 64;

/// Processes with files that are told.
const MAX_STALE: usize = 10_000;

/// Events of files that are looked at: a real recording has some thousands.
const MAX_STEPS: usize = 100_000_000;

/// What one process served: which certificate, if it was seen, at which port.
type Served = (Option<Box<str>>, u16);

/// When something was first and last, boot time.
#[derive(Debug, Clone, Copy)]
struct Between {
    first_ns: u64,
    last_ns: u64,
}

/// What processes presented as servers, and when.
#[derive(Debug, Default)]
pub(super) struct Shown(BTreeMap<(u32, ImageId), BTreeMap<Served, Between>>);

impl Shown {
    /// What one entry takes.
    pub(super) const BYTES: usize = 2 * sorted::<(Served, Between)>() + 96 + sorted::<((u32, ImageId), usize)>();

    pub(super) fn add(
        &mut self,
        process: (u32, ImageId),
        (sha256, port): (Option<&str>, u16),
        time_ns: u64,
        has_room: impl FnOnce() -> bool,
    ) {
        let served = (sha256.map(Into::into), port);
        let at = Between { first_ns: time_ns, last_ns: time_ns };
        if let Some(known) = self.0.get_mut(&process).and_then(|all| all.get_mut(&served)) {
            *known = Between { first_ns: known.first_ns.min(time_ns), last_ns: known.last_ns.max(time_ns) };
        } else if process.1 != ImageId::UNKNOWN && has_room() {
            self.0.entry(process).or_default().insert(served, at);
        }
    }
}

/// What a process presented after the change of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    /// The same certificate before and after.
    Same(Box<str>),
    /// This one after; before nothing was seen.
    After(Box<str>),
    /// TLS 1.3 hides which.
    Hidden,
}

/// A process that did not read a file again after it had changed.
#[derive(Debug, Clone)]
pub struct Stale {
    /// Number of its capture.
    pub capture: u32,
    /// What it runs.
    pub image: ImageId,
    /// The file, by the path that changed.
    pub file: FileKey,
    /// It changed through a link: another file is meant by the path that the process passed.
    pub by_link: bool,
    /// When it, or the process that it was forked from, read it last.
    pub read: WallNs,
    /// The first change after that.
    pub changed: WallNs,
    /// What that was.
    pub change: What,
    /// Files of certificates that it read in all: which of them holds what it presents is not recorded.
    pub files: usize,
    /// At which port.
    pub port: u16,
    /// What.
    pub presented: Presented,
    /// When it was presented last.
    pub last: WallNs,
}

/// What a process has in memory: images that it is, or was forked from, until when.
fn lineage(capture: &Capture, image: ImageId) -> Vec<(ImageId, u64)> {
    let mut lineage = vec![(image, u64::MAX)];
    let mut at = image;
    while let Some((parent, forked_ns)) = capture.timeline.forked_from(at).filter(|_| lineage.len() < MAX_FORKS) {
        lineage.push((parent, forked_ns));
        at = parent;
    }
    lineage
}

/// The last time that one of a lineage read a file.
fn read_last<'a>(reads: &'a [Event], number: u32, lineage: &[(ImageId, u64)]) -> Option<&'a Event> {
    let is_own = |event: &&Event| {
        let reader = |(own, until_ns): &(ImageId, u64)| *own == event.image && event.time_ns <= *until_ns;
        event.capture == number && lineage.iter().any(reader)
    };
    reads.iter().filter(is_own).max_by_key(|event| event.time_ns)
}

/// A path that was read, what happened to it, and whether it is a link.
type ReadPath<'a> = (&'a FileKey, &'a Events, bool);

/// Processes that went on with what they had read, and whether there may be more.
pub(super) fn stale(shown: &Shown, files: &Files, captures: &[Capture], hosts: &[u32]) -> (Vec<Stale>, bool) {
    let (mut found, mut steps) = (Vec::new(), 0);
    // By image, which files it read: few images serve, and few files are read by many.
    let mut by_reader: BTreeMap<(u32, ImageId), Vec<ReadPath<'_>>> = BTreeMap::new();
    let of_files =
        files.rows.iter().filter(|(_, row)| row.is_certificate()).map(|(key, row)| (key, &row.events, false));
    for (key, events, by_link) in of_files.chain(files.links.iter().map(|(key, events)| (key, events, true))) {
        let mut readers: Vec<(u32, ImageId)> = events.reads.iter().map(|event| (event.capture, event.image)).collect();
        readers.sort_unstable();
        readers.dedup();
        readers.into_iter().for_each(|reader| by_reader.entry(reader).or_default().push((key, events, by_link)));
    }
    for ((number, image), served) in &shown.0 {
        let Some(capture) = captures.get(*number as usize) else { continue };
        let host = hosts.get(*number as usize).copied().unwrap_or(*number);
        let lineage = lineage(capture, *image);
        let read: BTreeMap<(&FileKey, bool), &Events> = lineage
            .iter()
            .flat_map(|(own, _)| by_reader.get(&(*number, *own)).into_iter().flatten())
            .filter(|(key, ..)| key.host == host)
            .map(|(key, events, by_link)| ((*key, *by_link), *events))
            .collect();
        let all = read.keys().filter(|(_, by_link)| !by_link).count();
        for ((key, by_link), events) in read {
            steps += (events.reads.len() + events.changes.len()) * lineage.len();
            if found.len() >= MAX_STALE || steps > MAX_STEPS {
                return (found, true);
            }
            let Some(read) = read_last(&events.reads, *number, &lineage).filter(|_| !events.is_cut) else { continue };
            let is_after = |(change, what): &&(Event, What)| {
                // In another mount namespace another file may have the same path.
                let is_same = *what != What::Written || change.file == read.file;
                // What a process does itself it knows.
                let is_own = lineage.iter().any(|(own, _)| *own == change.image);
                change.capture == *number && change.time_ns > read.time_ns && is_same && !is_own
            };
            let changes = events.changes.iter().filter(is_after);
            let Some((changed, change)) = changes.min_by_key(|(change, _)| change.time_ns) else { continue };
            let (read_ns, changed_ns) = (read.time_ns, changed.time_ns);
            let wall = |time_ns: u64| capture.clock.wall(time_ns);
            for ((sha256, port), between) in served.iter().filter(|(_, between)| between.last_ns > changed_ns) {
                let presented = match sha256 {
                    None => Presented::Hidden,
                    Some(sha256) if between.first_ns < changed_ns => Presented::Same(sha256.clone()),
                    Some(sha256) => Presented::After(sha256.clone()),
                };
                found.push(Stale {
                    capture: *number,
                    image: *image,
                    file: key.clone(),
                    by_link,
                    read: wall(read_ns),
                    changed: wall(changed_ns),
                    change: *change,
                    files: all,
                    port: *port,
                    presented,
                    last: wall(between.last_ns),
                });
            }
        }
    }
    (found, false)
}
