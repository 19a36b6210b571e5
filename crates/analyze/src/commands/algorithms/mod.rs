//! `algorithms`: which algorithms handshakes negotiated, what they are worth, and which rules speak of them.
//!
//! *Offered* is not *used*: what a client merely offers is not here.

mod args;

pub(crate) use args::{Args, Task};

use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::handshakes::{self, Finding};
use crate::report::findings::{self, Found};
use crate::report::judged::{self, Judged};
use crate::rules;
use crate::words::text::few;
use crate::words::text::{Align, Table, grouped, plural};
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write;

const COUNTED: &str = "what handshakes negotiated and what library calls used, not what was merely offered";

/// Version of the document: a member that is added does not change it, one that goes or means something else does.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    as_of: String,
    counted: &'static str,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_none: Option<String>,
    handshakes: u64,
    /// Uses of an algorithm that are in no row.
    calls_without_algorithm: u64,
    /// Whose rules judge.
    rules: Vec<&'static str>,
    algorithms: Vec<Algorithm>,
    missing: Vec<String>,
    /// For people, by rule; JSON has them by algorithm.
    #[serde(skip)]
    found: Vec<Found>,
}

#[derive(Serialize)]
struct Algorithm {
    name: String,
    /// None: the catalog does not know it.
    primitive: Option<&'static str>,
    classical_bits: Option<u16>,
    nist_level: Option<u8>,
    quantum_vulnerable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    defined_in: Option<&'static str>,
    handshakes: u64,
    calls: u64,
    /// Of the handshakes.
    protocols: Vec<&'static str>,
    seen_in: Vec<&'static str>,
    programs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    findings: Vec<Finding>,
}

/// The document, for whoever puts it into a larger one.
pub(super) fn document(judged: &Judged<'_>) -> Result<serde_json::Value> {
    Ok(serde_json::to_value(Report::new(judged))?)
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    judged::run(task, console, Report::new, Report::text)
}

impl Report {
    fn new(judged: &Judged<'_>) -> Self {
        let survey = &judged.totals.handshakes;
        let mut algorithms: Vec<Algorithm> = survey
            .algorithms
            .iter()
            .map(|(name, row)| {
                let known = rules::algorithm(name);
                Algorithm {
                    name: judged.shown(name.as_bytes()),
                    primitive: known.map(|known| known.primitive.name()),
                    classical_bits: known.and_then(|known| known.classical_bits),
                    nist_level: known.and_then(|known| known.nist_level),
                    quantum_vulnerable: known.and_then(|known| known.quantum_vulnerable),
                    defined_in: known.and_then(|known| known.defined_in.as_deref()),
                    handshakes: row.handshakes,
                    calls: row.calls,
                    protocols: row.protocols.iter().copied().collect(),
                    seen_in: row.places.iter().map(|place| place.name()).collect(),
                    programs: row.programs.iter().map(|program| judged.shown(program)).collect(),
                    hosts: judged.hosts(&row.hosts),
                    findings: handshakes::findings(name, row, judged.as_of.date, judged.rules),
                }
            })
            .collect();
        let order = |name: &str| rules::algorithms().iter().position(|row| row.name == name).unwrap_or(usize::MAX);
        algorithms.sort_by_cached_key(|row| order(&row.name));
        Self {
            schema_version: SCHEMA_VERSION,
            as_of: judged.as_of.date.to_string(),
            counted: COUNTED,
            why_none: judged.why_no_handshakes().filter(|_| judged.totals.wire.protocols.is_empty()),
            handshakes: survey.outcomes.all() + judged.totals.wire.outcomes().all(),
            calls_without_algorithm: survey.calls_without_algorithm(),
            rules: findings::names(judged),
            algorithms,
            missing: judged.gaps(None),
            found: findings::found(judged),
        }
    }

    fn text(&self, judged: &Judged<'_>) -> String {
        let paint = judged.paint;
        let mut out = String::new();
        judged.head(&mut out);
        let _ = writeln!(out, "{}  {COUNTED}", paint.heading("Counted   "));
        if !judged.captures.iter().any(|capture| capture.meta.selected.algorithms.is_wanted()) {
            let _ = writeln!(out, "            library calls were not counted: recorded without --api");
        }
        if self.calls_without_algorithm > 0 {
            let calls = plural(self.calls_without_algorithm, "call");
            let _ = writeln!(out, "            {calls} more used an algorithm that the library does not name");
        }
        let mut table = Table::new(&[
            ("algorithm", Align::Left),
            ("primitive", Align::Left),
            ("bits", Align::Right),
            ("NIST level", Align::Right),
            ("quantum-vulnerable", Align::Left),
            ("handshakes", Align::Right),
            ("calls", Align::Right),
            ("judged", Align::Left),
            ("programs", Align::Left),
        ]);
        let number = |number: Option<u16>| number.map_or("-".to_owned(), |number| number.to_string());
        for row in &self.algorithms {
            let quantum = match row.quantum_vulnerable {
                Some(true) => "yes",
                Some(false) => "no",
                None => "-",
            };
            table.row(vec![
                row.name.clone(),
                row.primitive.unwrap_or("not in the catalog").to_owned(),
                number(row.classical_bits),
                row.nist_level
                    .map_or("-".to_owned(), |level| if level == 0 { "none".to_owned() } else { level.to_string() }),
                quantum.to_owned(),
                grouped(row.handshakes),
                grouped(row.calls),
                strictest(&row.findings),
                few(&row.programs),
            ]);
        }
        if !table.is_empty() {
            out.push('\n');
            table.without_idle(&["handshakes", "calls"]).write(paint, &mut out);
            let first = self.algorithms.iter().filter_map(|row| row.findings.first());
            let scopes: BTreeSet<_> = first.filter_map(Finding::scope_in_short).collect();
            for (short, scope) in scopes {
                let _ = writeln!(out, "  {short}: the rule is for {scope}");
            }
            findings::write(&self.found, judged, &mut out);
        }
        out
    }
}

/// The first of them, which is the one in force or the strictest.
fn strictest(findings: &[Finding]) -> String {
    findings.first().map(Finding::told).unwrap_or_default()
}
