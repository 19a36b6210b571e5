//! Which processes of one capture a filter selects: what needs the timeline, worked out once instead of per event.

use super::Filter;
use crate::capture::Capture;
use crate::capture::timeline::{ImageId, ProcessId, Timeline};
use crypto_trace_format::catalog::file_name;
use crypto_trace_format::record::Record;
use memchr::memmem::find;
use std::ops::Range;

/// More process ids than this are not looked for in block headers: the search would cost more than it saves.
const MAX_PUSHED_DOWN: usize = 4_096;

/// A filter applied to the processes of one capture.
#[derive(Debug)]
pub struct Selection<'a> {
    filter: &'a Filter,
    /// By process number: selected, or descends from a selected one. Empty unless children are followed.
    followed: Vec<bool>,
    /// By process number: some image is in a wanted cgroup. Empty unless cgroups are filtered.
    in_cgroup: Vec<bool>,
    tgids: Option<Vec<u32>>,
    connections: Option<ShownAt>,
}

/// Records at which connections are shown: their segments and numbers.
#[derive(Debug)]
pub struct ShownAt(Vec<(u32, u64)>);

impl ShownAt {
    /// Whether any is among these records of a segment.
    pub fn any_in(&self, segment: u32, records: Range<u64>) -> bool {
        let after = self.0.partition_point(|place| *place < (segment, records.start));
        self.0.get(after).is_some_and(|(of, number)| *of == segment && *number < records.end)
    }
}

impl<'a> Selection<'a> {
    /// Works out the selection, with the connections that it shows.
    pub fn of(filter: &'a Filter, capture: &Capture) -> Self {
        let mut selection = Self::new(filter, &capture.timeline);
        selection.connections = selection.tgids().map(|tgids| ShownAt(capture.handshakes.shown_of(tgids)));
        selection
    }

    /// Works out the selection.
    pub fn new(filter: &'a Filter, timeline: &Timeline) -> Self {
        let by_process = !filter.pids.is_empty() || !filter.names.is_empty();
        let followed = if filter.follow_children && by_process { follow(filter, timeline) } else { Vec::new() };
        let by_cgroup = !filter.cgroups.is_empty() || !filter.containers.is_empty();
        let in_cgroup = if by_cgroup {
            let is_in = |process| timeline.images(process).any(|image| cgroup_matches(filter, timeline, image));
            timeline.processes().map(is_in).collect()
        } else {
            Vec::new()
        };
        let mut selection = Self { filter, followed, in_cgroup, tgids: None, connections: None };
        selection.tgids = selection.pushed_down(timeline, by_cgroup);
        selection
    }

    /// Ids of all processes that can have events that pass; `None` when that is not known or too many.
    pub fn tgids(&self) -> Option<&[u32]> {
        self.tgids.as_deref()
    }

    /// Where the connections of those processes are shown; `None` when that is not known.
    pub fn connections(&self) -> Option<&ShownAt> {
        self.connections.as_ref()
    }

    /// Whether an event's process is selected.
    #[inline]
    pub fn matches(&self, capture: &Capture, record: &Record<'_>, image: ImageId) -> bool {
        let filter = self.filter;
        let timeline = &capture.timeline;
        let by_itself = (filter.pids.is_empty() || filter.pids.contains(&record.header.tgid))
            && (filter.names.is_empty() || name_matches(filter, record.comm()) || exe_matches(filter, timeline, image));
        if !by_itself && !timeline.process_of(image).is_some_and(|process| at(&self.followed, process)) {
            return false;
        }
        self.in_cgroup.is_empty() || cgroup_matches(filter, timeline, image)
    }

    fn pushed_down(&self, timeline: &Timeline, by_cgroup: bool) -> Option<Vec<u32>> {
        let filter = self.filter;
        let mut tgids: Vec<u32> = if by_cgroup {
            let inside = timeline.processes().filter(|process| at(&self.in_cgroup, *process));
            inside.filter_map(|process| timeline.tgid(process)).collect()
        } else if !filter.names.is_empty() || filter.pids.is_empty() {
            // A thread may name itself at any time, without the timeline knowing.
            return None;
        } else {
            let followed = timeline.processes().filter(|process| at(&self.followed, *process));
            followed.filter_map(|process| timeline.tgid(process)).chain(filter.pids.iter().copied()).collect()
        };
        tgids.sort_unstable();
        tgids.dedup();
        (tgids.len() <= MAX_PUSHED_DOWN).then_some(tgids)
    }
}

fn at(set: &[bool], process: ProcessId) -> bool {
    set.get(process.index()).copied().unwrap_or(false)
}

fn name_matches(filter: &Filter, comm: &[u8]) -> bool {
    filter.names.iter().any(|name| find(comm, name.as_bytes()).is_some())
}

fn exe_matches(filter: &Filter, timeline: &Timeline, image: ImageId) -> bool {
    let exe = timeline.exe(image).unwrap_or_default();
    name_matches(filter, file_name(exe))
}

fn cgroup_matches(filter: &Filter, timeline: &Timeline, image: ImageId) -> bool {
    let identity = timeline.identity(image);
    let cgroup = identity.cgroup.unwrap_or_default();
    let container = identity.container.unwrap_or_default();
    filter.cgroups.iter().any(|part| find(cgroup, part.as_bytes()).is_some())
        || filter.containers.iter().any(|prefix| !prefix.is_empty() && container.starts_with(prefix.as_bytes()))
}

/// Processes that the filter selects, and all their descendants.
fn follow(filter: &Filter, timeline: &Timeline) -> Vec<bool> {
    let is_root = |process: ProcessId| {
        let by_pid = filter.pids.is_empty() || timeline.tgid(process).is_some_and(|tgid| filter.pids.contains(&tgid));
        by_pid
            && (filter.names.is_empty()
                || timeline
                    .images(process)
                    .any(|image| name_matches(filter, timeline.comm(image)) || exe_matches(filter, timeline, image)))
    };
    let mut known: Vec<Option<bool>> = vec![None; timeline.processes().len()];
    let mut path = Vec::new();
    for process in timeline.processes() {
        // Up the family until something is known; on the way each is marked, so that a cycle ends as "no".
        let mut at = Some(process);
        let mut verdict = false;
        while let Some(process) = at {
            match known.get_mut(process.index()) {
                Some(slot @ None) => *slot = Some(false),
                Some(Some(known)) => {
                    verdict = *known;
                    break;
                }
                None => break,
            }
            path.push(process);
            if is_root(process) {
                verdict = true;
                break;
            }
            at = timeline.parent(process);
        }
        for process in path.drain(..) {
            if let Some(slot) = known.get_mut(process.index()) {
                *slot = Some(verdict);
            }
        }
    }
    known.into_iter().map(|verdict| verdict.unwrap_or(false)).collect()
}
