//! `cbom`: a cryptography bill of materials of what was seen in use, CycloneDX 1.6 or 1.7.
//!
//! What was not seen is not in it, which its compositions say: no part of it is ever called complete.

mod args;
mod bom;
mod build;
mod certificates;
mod coverage;
mod registry;

pub(crate) use args::{Args, Task};

use args::Spec;

use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::paths::ByPath;
use crate::count::totals::Totals;
use crate::read::faults::FaultLog;
use crate::read::{Fold, LiveBatch, LiveSink, Plan, Tally};
use crate::report::document;
use crate::report::session::Session;
use crate::words::escape;
use crate::words::text::{Align, Paint, Table, counted, grouped, hex, tabulate};
use crate::words::timestamp::timestamp;
use anyhow::Result;
use bom::{Bom, Component, Dependency, Lifecycle, Metadata, Property, Tools};
use build::{Builder, Built};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// Version of what the properties mean.
const FORMAT_VERSION: u32 = 1;

/// Everything that is counted.
#[derive(Default)]
struct Seen {
    totals: Totals,
    paths: ByPath,
}

impl Fold for Seen {
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) -> io::Result<()> {
        self.totals.read(plan, faults)?;
        // What is wrong with the files is reported once already.
        self.paths.read(plan, &mut FaultLog::default())
    }

    fn tally(&self) -> Tally {
        self.totals.tally()
    }

    fn needs_all_handshakes(&self) -> bool {
        true
    }

    fn left_out(&self) -> Option<String> {
        self.totals.left_out().or_else(|| self.paths.left_out())
    }
}

impl LiveSink for Seen {
    fn remembers_processes(&self) -> bool {
        true
    }

    fn batch(&mut self, batch: LiveBatch<'_>) -> io::Result<()> {
        // What is wrong with the stream is noted once.
        self.paths.take(&batch.blocks, batch.captures, batch.filter, &mut FaultLog::default());
        self.totals.batch(batch)
    }
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    let (mut session, mut out) = Session::begin(&task.counted.request, console)?;
    let mut seen = Seen::default();
    session.fold(&mut seen)?;
    let bom = document(&session, &seen, task.spec)?;
    let shown = if task.counted.json { document::pretty(&bom)? + "\n" } else { text(&bom, out.paint()) };
    out.write_all(shown.as_bytes())?;
    session.finish("counted")
}

/// What a session reads, as a document to compare with others: in the latest version, on one line.
///
/// # Errors
/// When its inputs cannot be read.
pub(super) fn written(session: &mut Session<'_>) -> Result<String> {
    let mut seen = Seen::default();
    session.fold(&mut seen)?;
    Ok(document::line(&document(session, &seen, Spec::V1_7)?)?)
}

fn document(session: &Session<'_>, seen: &Seen, spec: Spec) -> Result<Bom> {
    let Built { components, mut dependencies } = Builder::new(session, seen, spec).build();
    let mut hosts: Vec<String> =
        session.captures.iter().map(|capture| escape::for_people(capture.meta.host.as_bytes())).collect();
    hosts.sort();
    hosts.dedup();
    // Of several hosts none is what the document is about.
    let host = hosts.first().filter(|_| hosts.len() == 1).map(|name| Component {
        kind: "device",
        bom_ref: format!("host:{name}"),
        name: name.clone(),
        ..Component::default()
    });
    if let Some(host) = &host {
        let programs = components.iter().filter(|component| component.kind == "application");
        let depends_on = programs.map(|program| program.bom_ref.clone()).collect();
        dependencies.push(Dependency { reference: host.bom_ref.clone(), depends_on, provides: Vec::new() });
    }
    let mut properties = vec![Property::new("format-version", FORMAT_VERSION)];
    properties.extend(hosts.iter().map(|host| Property::new("host", host)));
    let covered = session.covered();
    if covered.is_some() {
        let (from, to) = session.whole_window();
        properties.push(Property::new("from", timestamp(from)));
        properties.push(Property::new("to", timestamp(to)));
    }
    for capture in &session.captures {
        properties.push(Property::new("capture", hex(&capture.meta.capture_id)));
        properties.push(Property::new("recorded-by", session.shown(capture.meta.tool.as_bytes())));
    }
    let never = seen.paths.files().filter(|row| !row.used.was_opened()).count();
    properties.push(Property::new("files-that-were-never-opened-well", never));
    let silent = seen.totals.handshakes.calls_without_algorithm();
    properties.push(Property::new("calls-whose-algorithm-is-not-told", silent));
    let (compositions, said) = coverage::compositions(session, &components);
    properties.extend(said);
    let tool = Component {
        kind: "application",
        bom_ref: "tool:crypto-trace-analyze".to_owned(),
        name: "crypto-trace-analyze".to_owned(),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..Component::default()
    };
    let mut bom = Bom {
        schema: format!("http://cyclonedx.org/schema/bom-{}.schema.json", spec.name()),
        bom_format: "CycloneDX",
        spec_version: spec.name(),
        serial_number: None,
        version: 1,
        metadata: Metadata {
            timestamp: covered.map(|_| timestamp(session.whole_window().1)),
            lifecycles: [Lifecycle { phase: "operations" }],
            tools: Tools { components: vec![tool] },
            component: host,
            properties,
        },
        components,
        dependencies,
        compositions,
    };
    bom.serial_number = Some(serial(&document::line(&bom)?));
    Ok(bom)
}

/// A UUID of the content (RFC 9562, version 8: SHA-256 of the document without it).
fn serial(content: &str) -> String {
    let mut bytes = [0u8; 16];
    bytes.iter_mut().zip(Sha256::digest(content.as_bytes())).for_each(|(byte, of)| *byte = of);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    let parts: Vec<&str> =
        [0..8, 8..12, 12..16, 16..20, 20..32].into_iter().filter_map(|range| text.get(range)).collect();
    format!("urn:uuid:{}", parts.join("-"))
}

/// What is in the document, for people.
fn text(bom: &Bom, paint: Paint) -> String {
    let mut out = String::new();
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for component in &bom.components {
        let kind = component.crypto_properties.as_ref().map_or(component.kind, |crypto| crypto.asset_type);
        *kinds.entry(kind).or_default() += 1;
    }
    let mut line = |name: &str, text: &str| paint.line(&mut out, 10, name, text);
    line(
        "CBOM",
        &format!("CycloneDX {}, {}", bom.spec_version, bom.serial_number.as_deref().unwrap_or("no serial number")),
    );
    let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{} {kind}", grouped(*count))).collect();
    line("Holds", &if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") });
    let said = |name: &str| -> Vec<&str> {
        let of = bom.metadata.properties.iter().filter(|property| property.name == name);
        of.map(|property| property.value.as_str()).collect()
    };
    for composition in &bom.compositions {
        let why = said(&format!("crypto-trace:{}", composition.bom_ref));
        let area = composition.bom_ref.trim_start_matches("coverage:");
        line("Coverage", &format!("{area}: {}; {}", composition.aggregate, why.join("; ")));
    }
    for gap in said("crypto-trace:missing") {
        line("Missing", &paint.bad(gap));
    }
    line("Write it", "-f json, for programs");
    let mut table = Table::new(&[
        ("algorithm", Align::Left),
        ("primitive", Align::Left),
        ("family", Align::Left),
        ("parameters", Align::Left),
        ("NIST level", Align::Right),
        ("places", Align::Right),
    ]);
    let dash = || "-".to_owned();
    let mut algorithms = 0;
    for component in &bom.components {
        let Some(algorithm) =
            component.crypto_properties.as_ref().and_then(|crypto| crypto.algorithm_properties.as_ref())
        else {
            continue;
        };
        algorithms += 1;
        let family = || component.properties.iter().find(|property| property.name == "crypto-trace:algorithm-family");
        let curve = algorithm.elliptic_curve.clone().or_else(|| algorithm.curve.clone());
        table.row(vec![
            component.name.clone(),
            algorithm.primitive.to_owned(),
            algorithm.algorithm_family.clone().or_else(|| Some(family()?.value.clone())).unwrap_or_else(dash),
            curve.or_else(|| algorithm.parameter_set_identifier.clone()).unwrap_or_else(dash),
            algorithm.nist_quantum_security_level.map_or_else(dash, |level| level.to_string()),
            component.evidence.as_ref().map_or(0, |evidence| evidence.occurrences.len()).to_string(),
        ]);
    }
    let hidden = bom.components.len() - algorithms;
    tabulate("Algorithms", &table, paint, &mut out);
    if hidden > 0 {
        let hidden = counted(hidden as u64, "other component", "other components");
        let _ = writeln!(out, "  and {hidden}; see -f json");
    }
    out
}
