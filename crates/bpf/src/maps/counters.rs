//! What the programs produced, and what was lost of it.

use std::os::fd::AsFd as _;

use crypto_trace_format::record::{KINDS, Kind};
use libbpf_rs::{MapCore as _, MapFlags};

use crate::error::LoadError;
use crate::missed::{missed_returns, missed_runs};
use crate::numbers::{
    COUNTER_NO_HELLO, COUNTER_SUPPRESSED, COUNTER_TARGETS_FULL, COUNTER_UNREADABLE, COUNTER_USES_FULL,
};
use crate::programs::Programs;
use crate::tiers;

/// What a counter row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CounterKind {
    /// Records of this kind.
    Kind(u16),
    /// Descendants that did not fit the targets map.
    TargetsFull,
    /// Opens whose path could not be read and so not judged.
    Unreadable,
    /// Connections in which no TLS began within as much of them as is looked at. Nothing is lost by that.
    NoTls,
    /// Records that were withheld, and there is no room to tell whose.
    Suppressed,
    /// Calls that could not be counted, as there is no room for more algorithms of the process or of all.
    UsesFull,
    /// Runs the kernel skipped because the program was active on that CPU, or because it had no room to remember a return: what
    /// they would have seen is unknown.
    MissedRun,
}

/// One row of counters, summed over all CPUs, since load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// What is counted.
    pub kind: CounterKind,
    /// Records the programs wanted to deliver.
    pub produced: u64,
    /// Of these, how many the ring refused; for rows that are not kinds, occurrences.
    pub lost: u64,
    /// When the last one was lost, `CLOCK_BOOTTIME` ns.
    pub last_lost_ns: u64,
}

impl Programs {
    /// Sums of all counters that are not zero.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn counters(&self) -> Result<Vec<Counters>, LoadError> {
        let kinds = KINDS.iter().map(|layout| Kind(layout.kind)).filter(|kind| kind.is_from_bpf());
        let kinds = kinds.map(|kind| (u32::from(kind.0), CounterKind::Kind(kind.0)));
        let others = [
            (COUNTER_TARGETS_FULL, CounterKind::TargetsFull),
            (COUNTER_UNREADABLE, CounterKind::Unreadable),
            (COUNTER_NO_HELLO, CounterKind::NoTls),
            (COUNTER_SUPPRESSED, CounterKind::Suppressed),
            (COUNTER_USES_FULL, CounterKind::UsesFull),
        ];
        let mut rows = Vec::new();
        for (row, kind) in kinds.chain(others) {
            let per_cpu = self
                .skel
                .maps
                .counters
                .lookup_percpu(&row.to_ne_bytes(), MapFlags::ANY)
                .map_err(|e| LoadError::new("read the BPF counters", e))?;
            let mut sum = Counters { kind, produced: 0, lost: 0, last_lost_ns: 0 };
            for cpu in per_cpu.unwrap_or_default() {
                let word = |i: usize| {
                    cpu.get(i * 8..).and_then(|tail| tail.first_chunk()).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
                };
                sum.produced += word(0);
                sum.lost += word(1);
                sum.last_lost_ns = sum.last_lost_ns.max(word(2));
            }
            if sum.produced != 0 || sum.lost != 0 {
                rows.push(sum);
            }
        }
        let progs = &self.skel.progs;
        let mut programs = vec![&progs.process_exec, &progs.process_fork, &progs.process_exit];
        if self.tls {
            programs.push(&progs.socket_state);
        }
        let programs = programs.into_iter().map(|program| program.as_fd()).chain(tiers::loaded(&self.skel));
        let returns = self.links.iter().filter_map(|link| missed_returns(link.as_fd()));
        let missed: u64 = programs.filter_map(missed_runs).chain(returns).sum();
        if missed > 0 {
            // When is not known: the caller's reading says by when.
            rows.push(Counters { kind: CounterKind::MissedRun, produced: 0, lost: missed, last_lost_ns: u64::MAX });
        }
        Ok(rows)
    }
}
