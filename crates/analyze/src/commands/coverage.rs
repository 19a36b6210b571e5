//! `coverage`: what the capture could see and what it could not. Absence of events must not read as absence of crypto.

use super::survey::{Counted, json};
use crate::capture::{Capture, ProbeKey, ProbeRow};
use crate::completeness;
use crate::escape;
use crate::names::errno_name;
use crate::survey::in_short;
use crate::text::{Align, Table, grouped};
use crate::timestamp::timestamp;
use anyhow::Result;
use crypto_trace_format::record::Tier;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Rows of a table that are shown to people.
const TOP: usize = 20;

/// What no capture of this version holds.
const NEVER_SEEN: &[&str] = &[
    "QUIC and DTLS: only TLS over TCP is looked at",
    "what TLS encrypts: certificates and ALPN of TLS 1.3, alerts after the hellos, whether a handshake was completed",
    "TLS inside of TLS or of another tunnel, and handshakes after the first of a connection",
    "connections whose hellos passed before the capture began",
    "cryptography without TLS: algorithms that a program calls by itself",
];

#[derive(Serialize)]
struct Report {
    from: Option<String>,
    to: Option<String>,
    captures: Vec<CaptureReport>,
    handshakes: u64,
    ends: u64,
    process_unknown: u64,
    connected_before_capture: u64,
    packets_missing: u64,
    hello_cut: u64,
    role_unknown: u64,
    tls_library_without_handshake: Vec<Silent>,
    handshake_without_library: Vec<Unlinked>,
    never_seen: &'static [&'static str],
    damaged_records: u64,
}

#[derive(Serialize)]
struct CaptureReport {
    host: String,
    filters: Vec<String>,
    tls: String,
    lost: u64,
    dropped: u64,
    missing: Vec<String>,
    probes: Vec<Probe>,
}

#[derive(Serialize)]
struct Probe {
    probe: String,
    target: String,
    tier: &'static str,
    state: &'static str,
    since: String,
    error: Option<String>,
    message: Option<String>,
}

/// A program of which more processes loaded a TLS library than had handshakes.
#[derive(Serialize)]
struct Silent {
    program: String,
    processes: u64,
    with_handshakes: u64,
    libraries: Vec<&'static str>,
}

/// A program of which handshakes were seen, and no crypto library.
#[derive(Serialize)]
struct Unlinked {
    program: String,
    ends: u64,
}

pub(super) fn render(counted: &Counted<'_>) -> Result<String> {
    let report = Report::new(counted);
    if counted.task.json { json(&report) } else { Ok(report.text(counted)) }
}

impl Probe {
    fn new(capture: &Capture, (probe, target, tier): &ProbeKey, row: &ProbeRow) -> Self {
        Self {
            probe: escape::for_people(probe),
            target: escape::for_people(target),
            tier: Tier(*tier).name(),
            state: row.state.name(),
            since: timestamp(capture.clock.wall(row.since_ns)),
            error: errno_name(row.errno.unsigned_abs()).map(str::to_owned),
            message: (!row.message.is_empty()).then(|| escape::for_people(&row.message)),
        }
    }
}

impl Report {
    fn new(counted: &Counted<'_>) -> Self {
        let survey = &counted.totals.survey;
        let range = counted.range.map(|(from, to)| (timestamp(from), timestamp(to)));
        let captures = counted.captures.iter().map(|capture| {
            let (lost, dropped) = capture.missing();
            CaptureReport {
                host: escape::for_people(capture.meta.host.as_bytes()),
                filters: capture.meta.filters.iter().map(|filter| counted.shown(filter.as_bytes())).collect(),
                tls: completeness::tls_state(capture),
                lost,
                dropped,
                missing: completeness::gaps(capture, false),
                probes: capture.probes.iter().map(|(key, row)| Probe::new(capture, key, row)).collect(),
            }
        });
        let silent = counted.totals.programs.iter().filter_map(|(name, row)| {
            let with_handshakes = survey.programs.get(&Some(name.clone())).map_or(0, |row| row.processes);
            let libraries = row.tls_libraries.iter().copied().collect();
            let (program, processes) = (counted.shown(name), row.tls_processes);
            (processes > with_handshakes).then_some(Silent { program, processes, with_handshakes, libraries })
        });
        let mut silent: Vec<Silent> = silent.collect();
        silent.sort_by(|a, b| b.processes.cmp(&a.processes).then_with(|| a.program.cmp(&b.program)));
        let libraries_of = |name: &Vec<u8>| counted.totals.programs.get(name).map_or(0, |row| row.libraries.len());
        let unlinked = survey.programs.iter().filter_map(|(name, row)| {
            let name = name.as_ref().filter(|name| libraries_of(name) == 0)?;
            Some((counted.shown(name), row.ends()))
        });
        // Names may be the same once they are redacted.
        let mut by_name: BTreeMap<String, u64> = BTreeMap::new();
        unlinked.for_each(|(program, ends)| *by_name.entry(program).or_default() += ends);
        let mut unlinked: Vec<_> = by_name.into_iter().map(|(program, ends)| Unlinked { program, ends }).collect();
        unlinked.sort_by_key(|row| std::cmp::Reverse(row.ends));
        let captures = captures.collect();
        Self {
            from: range.as_ref().map(|(from, _)| from.clone()),
            to: range.map(|(_, to)| to),
            captures,
            handshakes: survey.outcomes.all(),
            ends: survey.ends,
            process_unknown: survey.programs.get(&None).map_or(0, |row| row.ends()),
            connected_before_capture: survey.late,
            packets_missing: survey.gaps,
            hello_cut: survey.cut,
            role_unknown: survey.programs.values().map(|row| row.unknown_role).sum(),
            tls_library_without_handshake: silent,
            handshake_without_library: unlinked,
            never_seen: NEVER_SEEN,
            damaged_records: counted.faults.records_lost(),
        }
    }

    fn text(&self, counted: &Counted<'_>) -> String {
        let paint = counted.paint;
        let mut out = String::new();
        let line = |out: &mut String, name: &str, text: &str| {
            let _ = writeln!(out, "{}  {text}", paint.heading(&format!("{name:<10}")));
        };
        if let (Some(from), Some(to)) = (&self.from, &self.to) {
            line(&mut out, "Time", &format!("{from} to {to}"));
        }
        for capture in &self.captures {
            line(&mut out, "Host", &capture.host);
            if !capture.filters.is_empty() {
                let filters = capture.filters.join(" ");
                line(&mut out, "Recorded", &format!("only {filters}: of the rest nothing is known"));
            }
            line(&mut out, "TLS", &capture.tls);
            if capture.missing.is_empty() {
                line(&mut out, "Missing", "nothing was lost, nothing dropped, no probe failed");
            }
            for (index, gap) in capture.missing.iter().enumerate() {
                line(&mut out, if index == 0 { "Missing" } else { "" }, &paint.bad(gap));
            }
            let mut table = Table::new(&[
                ("probe", Align::Left),
                ("state", Align::Left),
                ("since", Align::Left),
                ("target", Align::Left),
                ("why", Align::Left),
            ]);
            for probe in &capture.probes {
                let why = [&probe.error, &probe.message].into_iter().flatten().cloned().collect::<Vec<_>>().join(": ");
                let target = format!("{} [{}]", probe.target, probe.tier);
                table.row(vec![probe.probe.clone(), probe.state.to_owned(), probe.since.clone(), target, why]);
            }
            section(&mut out, "Probes", &table, counted, 0);
            out.push('\n');
        }
        if self.damaged_records > 0 {
            line(
                &mut out,
                "Damaged",
                &paint.bad(&format!("{} records known to be lost", grouped(self.damaged_records))),
            );
        }
        let handshakes = match self.ends {
            0 => completeness::why_no_handshakes(&counted.captures),
            _ => in_short(&counted.totals.survey),
        };
        line(&mut out, "Handshakes", &handshakes);
        for (count, what) in [
            (self.process_unknown, "whose process is not known"),
            (self.connected_before_capture, "of connections that were there before the capture"),
            (self.packets_missing, "of which packets are missing"),
            (self.hello_cut, "of which there was more than is kept"),
            (self.role_unknown, "of which neither hello was seen"),
        ] {
            if count > 0 {
                line(&mut out, "", &format!("{} ends {what}", grouped(count)));
            }
        }
        let mut table = Table::new(&[
            ("program", Align::Left),
            ("processes", Align::Right),
            ("with handshakes", Align::Right),
            ("libraries", Align::Left),
        ]);
        for row in self.tls_library_without_handshake.iter().take(TOP) {
            let numbers = [row.processes, row.with_handshakes].map(grouped);
            let [processes, with_handshakes] = numbers;
            table.row(vec![row.program.clone(), processes, with_handshakes, row.libraries.join(", ")]);
        }
        let rows = self.tls_library_without_handshake.len();
        section(&mut out, "Not every process that loaded a TLS library had a handshake", &table, counted, rows);
        let mut table = Table::new(&[("program", Align::Left), ("ends", Align::Right)]);
        for row in self.handshake_without_library.iter().take(TOP) {
            table.row(vec![row.program.clone(), grouped(row.ends)]);
        }
        let name = "Handshakes seen, no crypto library (static, Go, Java, or loaded before its probe)";
        section(&mut out, name, &table, counted, self.handshake_without_library.len());
        let _ = writeln!(out, "\n{}", paint.heading("Never seen"));
        self.never_seen.iter().for_each(|text| {
            let _ = writeln!(out, "  {text}");
        });
        out
    }
}

fn section(out: &mut String, name: &str, table: &Table, counted: &Counted<'_>, rows: usize) {
    if table.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", counted.paint.heading(name));
    table.write(counted.paint, out);
    if rows > TOP {
        let _ = writeln!(out, "  and {} more; see -f json", grouped((rows - TOP) as u64));
    }
}
