//! What a person reads first: when, where, whether anything is missing, and who used which keys and libraries.
//!
//! Blocks are counted in parallel ([`partial`]) and added up in order ([`whole`]), so the result does not depend on the
//! number of threads. Nothing is sorted by time, and nothing is kept per event.

mod partial;
mod whole;

pub use partial::{Counter, Partial};
pub use whole::Totals;
pub(crate) use whole::{File, Program};

use crate::read::faults::FaultLog;
use crate::read::{Fold, LiveBatch, LiveSink, Plan, Tally, count_blocks, count_live};
use std::io;

impl Fold for Totals {
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) -> io::Result<()> {
        self.tally.processed += plan.skipped_records;
        count_blocks::<Counter>(plan, faults, |partial, capture, faults| self.add(partial, capture, faults));
        self.add_handshakes(plan.captures);
        Ok(())
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn needs_all_handshakes(&self) -> bool {
        true
    }

    fn left_out(&self) -> Option<String> {
        self.overflowed.then(|| "too many distinct names: some rows are missing".to_owned())
    }
}

impl LiveSink for Totals {
    fn remembers_processes(&self) -> bool {
        true
    }

    fn batch(&mut self, batch: LiveBatch<'_>) -> io::Result<()> {
        let LiveBatch { blocks, captures, filter, faults } = batch;
        for (partial, origin) in count_live::<Counter>(&blocks, captures, filter) {
            if let Some(capture) = captures.get(origin.capture as usize) {
                self.add(partial, capture, faults);
            }
        }
        // They are forgotten after this.
        self.add_handshakes(captures);
        Ok(())
    }
}
