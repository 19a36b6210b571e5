//! What processes have that their own records do not show: a forked process has mapped what its parent had.
//!
//! Two gatherings run side by side: what passes the filters, and what all processes mapped and opened, whoever they are,
//! because an ancestor need not pass.

use super::{Doings, ProcessCounter, ProcessTotals, Who};
use crate::budget::{Budget, MAX_BYTES};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::libraries::FileId;
use crate::capture::timeline::ImageId;
use crate::count::libraries::LibraryUse;
use crate::count::without_room;
use crate::read::faults::FaultLog;
use crate::read::{Fold, LiveBatch, LiveSink, Plan, Tally, count_blocks, count_live};
use crate::select::Filter;
use crypto_trace_format::record::{Kind, LibLoad};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Forks between a process and the ancestor that mapped a library.
const MAX_FORKS: usize = 64;

/// Processes that are asked for one by one; more are read with all the others.
const MAX_PIDS: usize = 64;

/// What processes did, and what their ancestors had mapped.
#[derive(Debug, Default)]
pub struct Gathered {
    /// What passed the filters.
    pub own: ProcessTotals,
    /// Libraries of all processes, and what else was asked for.
    pub all: ProcessTotals,
    /// What is read of all processes.
    kinds: Vec<Kind>,
}

impl Gathered {
    /// Nothing yet. `kinds`: what is read of all processes besides libraries.
    pub fn new(kinds: &[Kind]) -> Self {
        let mut gathered = Self { kinds: [&[LibLoad::KIND], kinds].concat(), ..Self::default() };
        // Both together take no more than one would. What of its own is left over is for all: see `read`.
        gathered.own.budget = Budget::new(MAX_BYTES / 3 * 2);
        gathered.all.budget = Budget::new(MAX_BYTES / 3);
        gathered
    }

    /// What is read of all processes, within the same time.
    fn of_all(&self, filter: &Filter, pids: Vec<u32>) -> Filter {
        Filter { kinds: self.kinds.clone(), until: filter.until, pids, ..Filter::default() }
    }

    /// Processes that were found, which may have mapped something before the time that was asked for, and those that may have
    /// mapped what they inherited.
    fn ancestors(&self, captures: &[Capture]) -> Vec<u32> {
        let mut tgids = BTreeSet::new();
        for (capture, who) in self.own.doings.keys() {
            let Some(capture) = captures.get(*capture as usize) else { continue };
            let mut image = who.image;
            tgids.extend(capture.timeline.process_of(image).and_then(|process| capture.timeline.tgid(process)));
            for _ in 0..MAX_FORKS {
                let Some((parent, _)) = capture.timeline.forked_from(image) else { break };
                tgids.extend(capture.timeline.process_of(parent).and_then(|process| capture.timeline.tgid(process)));
                image = parent;
            }
        }
        tgids.into_iter().collect()
    }
}

impl Fold for Gathered {
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) -> io::Result<()> {
        let own = &mut self.own;
        own.tally.processed += plan.skipped_records;
        count_blocks::<ProcessCounter>(plan, faults, |counted, _, faults| own.add(counted, faults));
        // Whoever is asked for by name or id has few ancestors: only theirs is read then.
        let ancestors = self.ancestors(plan.captures);
        let everybody = self.kinds.len() > 1 || ancestors.len() > MAX_PIDS;
        if ancestors.is_empty() && !everybody {
            return Ok(());
        }
        let filter = self.of_all(plan.filter.filter(), if everybody { Vec::new() } else { ancestors });
        let plan = Plan::new(plan.inputs, plan.captures, &filter);
        let all = &mut self.all;
        all.budget = Budget::new(all.budget.left() + self.own.budget.left());
        count_blocks::<ProcessCounter>(&plan, faults, |counted, _, faults| all.add(counted, faults));
        Ok(())
    }

    fn tally(&self) -> Tally {
        self.own.tally
    }

    fn left_out(&self) -> Option<String> {
        without_room(self.own.budget.refused() + self.all.budget.refused())
    }
}

impl LiveSink for Gathered {
    fn remembers_processes(&self) -> bool {
        true
    }

    fn batch(&mut self, batch: LiveBatch<'_>) -> io::Result<()> {
        let LiveBatch { blocks, captures, filter, faults } = batch;
        for (counted, _) in count_live::<ProcessCounter>(&blocks, captures, filter) {
            self.own.add(counted, faults);
        }
        for (counted, _) in count_live::<ProcessCounter>(&blocks, captures, &self.of_all(filter, Vec::new())) {
            self.all.add(counted, faults);
        }
        Ok(())
    }
}

/// A library that a process has mapped.
#[derive(Debug, Clone)]
pub struct Mapped {
    /// When and how often.
    pub used: LibraryUse,
    /// It was mapped by an ancestor, before the fork.
    pub inherited: bool,
}

/// Libraries that an image had mapped at a time, by path and file: its own, and those that were there when it was forked.
pub fn mapped_at<'a>(
    all: &'a ProcessTotals,
    own: Option<&'a Doings>,
    (number, capture): (u32, &Capture),
    image: ImageId,
    at: WallNs,
) -> BTreeMap<(&'a [u8], FileId), Mapped> {
    let mut mapped = BTreeMap::new();
    let mut take = |doings: &'a Doings, until: WallNs, inherited: bool| {
        for ((id, path), used) in doings.libraries.sorted() {
            if used.span.first <= until {
                let new = || Mapped { used: used.clone(), inherited };
                mapped.entry((&path[..], *id)).or_insert_with(new);
            }
        }
    };
    // Among all there is also what was mapped before the time that was asked for.
    if let Some(own) = all.of(number, Who::of_image(image)).or(own) {
        take(own, at, false);
    }
    let (mut image, mut until) = (image, at);
    for _ in 0..MAX_FORKS {
        let Some((parent, fork_ns)) = capture.timeline.forked_from(image) else { break };
        until = until.min(capture.clock.wall(fork_ns));
        if let Some(doings) = all.of(number, Who::of_image(parent)) {
            take(doings, until, true);
        }
        image = parent;
    }
    mapped
}
