//! `wire`: handshakes of every protocol, side by side: what was agreed on, how much of it is post-quantum, by whom, with whom.
//! `tls` and `ssh` say more of one.

mod args;
mod text;

pub(crate) use args::{Args, Task};

use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::handshakes::{Outcomes, Quantum};
use crate::count::totals::Totals;
use crate::count::wire::{PROTOCOLS, ProtocolRows};
use crate::report::handshakes::{Named, Peer, Program, Sums, key_exchanges, names};
use crate::report::judged::{self, Judged};
use anyhow::Result;
use crypto_trace_format::record;
use serde::Serialize;

/// Version of the document: a member that is added does not change it, one that goes or means something else does.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    #[serde(flatten)]
    sums: Sums,
    protocols: Vec<Protocol>,
    missing: Vec<String>,
    /// For people.
    #[serde(skip)]
    all: (Outcomes, Quantum),
}

/// What was seen of one.
#[derive(Serialize)]
struct Protocol {
    protocol: &'static str,
    #[serde(flatten)]
    sums: Sums,
    versions: Vec<Named>,
    key_exchanges: Vec<Named>,
    failures: Vec<Named>,
    programs: Vec<Program>,
    peers: Vec<Peer>,
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    judged::run_with(task, Totals::of_every_protocol(), console, Report::new, Report::text)
}

impl Protocol {
    fn new(judged: &Judged<'_>, (protocol, code): (&'static str, record::Protocol)) -> Self {
        let nothing = ProtocolRows::default();
        let rows = judged.totals.wire.of(protocol).unwrap_or(&nothing);
        Self {
            protocol,
            sums: Sums::new(rows.ends, rows.outcomes, rows.quantum, || judged.why_none_of(code)),
            versions: names(rows.versions.iter()),
            key_exchanges: key_exchanges(rows.exchanges.iter()),
            failures: names(rows.failures.iter()),
            programs: Program::all(judged, rows),
            peers: Peer::all(judged, rows),
        }
    }
}

impl Report {
    fn new(judged: &Judged<'_>) -> Self {
        let protocols: Vec<Protocol> = PROTOCOLS.into_iter().map(|protocol| Protocol::new(judged, protocol)).collect();
        let (mut ends, mut outcomes, mut quantum) = (0, Outcomes::default(), Quantum::default());
        for rows in judged.totals.wire.protocols.values() {
            ends += rows.ends;
            outcomes += rows.outcomes;
            quantum += rows.quantum;
        }
        let why = || protocols.iter().filter_map(|one| one.sums.why_none.clone()).collect::<Vec<_>>().join("; ");
        Self {
            schema_version: SCHEMA_VERSION,
            sums: Sums::new(ends, outcomes, quantum, why),
            missing: judged.gaps(None),
            all: (outcomes, quantum),
            protocols,
        }
    }
}
