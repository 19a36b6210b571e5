//! Everything that a report is made of, counted in one run.

use crate::capture::Capture;
use crate::count::certs::Certs;
use crate::count::keys::Keys;
use crate::count::readiness::Readiness;
use crate::count::totals::Totals;
use crate::count::uses::Uses;
use crate::read::faults::FaultLog;
use crate::read::{Fold, LiveBatch, LiveSink, Plan, Tally};
use std::io;

/// The counts of other commands, each with its own bounds of memory.
#[derive(Default)]
pub(super) struct All {
    pub readiness: Readiness,
    pub certs: Certs,
    pub keys: Keys,
    pub uses: Uses,
    pub totals: Totals,
}

impl All {
    /// All is read.
    pub fn settle(&mut self, captures: &[Capture]) {
        self.readiness.settle();
        self.certs.settle(captures);
        self.keys.settle();
    }

    fn each(&mut self) -> [&mut dyn Fold; 5] {
        [&mut self.readiness, &mut self.certs, &mut self.keys, &mut self.uses, &mut self.totals]
    }
}

impl Fold for All {
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) -> io::Result<()> {
        self.each().into_iter().try_for_each(|fold| fold.read(plan, faults))
    }

    fn tally(&self) -> Tally {
        self.totals.tally()
    }

    fn needs_all_handshakes(&self) -> bool {
        true
    }

    fn left_out(&self) -> Option<String> {
        let each: [&dyn Fold; 5] = [&self.readiness, &self.certs, &self.keys, &self.uses, &self.totals];
        let mut said: Vec<String> = each.iter().filter_map(|fold| fold.left_out()).collect();
        said.dedup();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

impl LiveSink for All {
    fn remembers_processes(&self) -> bool {
        true
    }

    /// A report is of recordings, whose files have fingerprints: not of what is still to come.
    fn batch(&mut self, _: LiveBatch<'_>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
