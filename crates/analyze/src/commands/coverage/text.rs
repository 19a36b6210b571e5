//! `coverage` as text.

use super::{Library, Probe, Report, reason};
use crate::count::handshakes::{in_short, outcomes_in_short};
use crate::report::completeness;
use crate::report::judged::Judged;
use crate::words::text::{Align, Table, and_more, grouped, plural, tabulate};
use std::fmt::Write;

/// Rows of a table that are shown to people.
const TOP: usize = 20;

impl Report {
    pub(super) fn text(&self, judged: &Judged<'_>) -> String {
        let paint = judged.paint;
        let mut out = String::new();
        let line = |out: &mut String, name: &str, text: &str| paint.line(out, 13, name, text);
        if let (Some(from), Some(to)) = (&self.from, &self.to) {
            line(&mut out, "Time", &format!("{from} to {to}"));
        }
        for (capture, of) in self.captures.iter().zip(&judged.captures) {
            line(&mut out, "Host", &capture.host);
            let shown = |option: &[u8]| judged.shown(option);
            if let Some(recorded) = completeness::recorded(&of.meta, shown, ": nothing is known of the rest") {
                line(&mut out, "Recorded", &recorded);
            }
            line(&mut out, "On the wire", &capture.wire);
            if let Some(ssh) = &capture.ssh {
                line(&mut out, "SSH", ssh);
            }
            line(&mut out, "In libraries", &capture.library_calls);
            line(&mut out, "In the kernel", &capture.kernel_crypto);
            if capture.missing.is_empty() {
                line(&mut out, "Missing", "nothing was lost, nothing dropped, no probe failed");
            }
            for (index, gap) in capture.missing.iter().enumerate() {
                line(&mut out, if index == 0 { "Missing" } else { "" }, &paint.bad(gap));
            }
            section(&mut out, "Probes", &probe_table(&capture.probes), judged, 0);
            let table = library_table(&capture.libraries);
            section(&mut out, "Libraries", &table, judged, capture.libraries.len());
            out.push('\n');
        }
        if self.damaged_records > 0 {
            let damaged = format!("{} known to be lost", plural(self.damaged_records, "record"));
            line(&mut out, "Damaged", &paint.bad(&damaged));
        }
        self.handshakes(judged, &mut out);
        if let Some(rows) = judged.totals.wire.of("ssh") {
            line(&mut out, "Of SSH", &outcomes_in_short(rows.outcomes, "failed"));
        }
        self.programs(judged, &mut out);
        let _ = writeln!(out, "\n{}", paint.heading("Never seen"));
        self.never_seen.iter().for_each(|text| {
            let _ = writeln!(out, "  {text}");
        });
        out
    }

    fn handshakes(&self, judged: &Judged<'_>, out: &mut String) {
        let mut line = |name: &str, text: &str| judged.paint.line(out, 13, name, text);
        if self.ends == 0 {
            line("Handshakes", &judged.why_no_handshakes().unwrap_or_default());
            return;
        }
        line("Handshakes", &in_short(&judged.totals.handshakes));
        for (count, what) in [
            (self.process_unknown, "whose process is not known"),
            (self.connected_before_capture, "of connections older than the capture"),
            (self.packets_missing, "with missing packets"),
            (self.hello_cut, "with more data than is kept"),
            (self.client_hello_not_seen, "without the client's hello"),
            (self.message_incomplete, "with a message seen only in part"),
            (self.role_unknown, "with neither hello seen"),
        ] {
            if count > 0 {
                line("", &format!("{} {what}", plural(count, "end")));
            }
        }
    }

    fn programs(&self, judged: &Judged<'_>, out: &mut String) {
        let mut table = Table::new(&[
            ("program", Align::Left),
            ("ends", Align::Right),
            ("wire only", Align::Right),
            ("why", Align::Left),
        ]);
        for row in self.wire_only.iter().take(TOP) {
            let [ends, wire_only] = [row.ends, row.wire_only].map(grouped);
            let looks = row.looks_like.iter().copied().collect::<Vec<_>>().join(" or ");
            let looks = (!looks.is_empty()).then(|| format!("its hello looks like {looks}"));
            let why: Vec<String> = row.why.iter().cloned().chain(looks).collect();
            table.row(vec![row.program.clone(), ends, wire_only, why.join("; ")]);
        }
        section(out, "Seen on the wire, but by no probe in a library", &table, judged, self.wire_only.len());
        let mut table = Table::new(&[
            ("program", Align::Left),
            ("processes", Align::Right),
            ("with handshakes", Align::Right),
            ("libraries", Align::Left),
        ]);
        for row in self.tls_library_without_handshake.iter().take(TOP) {
            let [processes, with_handshakes] = [row.processes, row.with_handshakes].map(grouped);
            table.row(vec![row.program.clone(), processes, with_handshakes, row.libraries.join(", ")]);
        }
        let rows = self.tls_library_without_handshake.len();
        section(out, "Not every process that loaded a TLS library had a handshake", &table, judged, rows);
        let mut table = Table::new(&[("loads", Align::Right), ("library", Align::Left)]);
        for row in self.libraries_not_looked_into.iter().take(TOP) {
            table.row(vec![grouped(row.loads), row.library.clone()]);
        }
        let rows = self.libraries_not_looked_into.len();
        section(out, "Loaded, but not examined by the capture", &table, judged, rows);
    }
}

fn probe_table(probes: &[Probe]) -> Table {
    let mut table = Table::new(&[
        ("probe", Align::Left),
        ("state", Align::Left),
        ("since", Align::Left),
        ("target", Align::Left),
        ("why", Align::Left),
    ]);
    for probe in probes {
        let why = reason(probe.error.as_ref(), probe.message.as_ref());
        let target = format!("{} [{}]", probe.target, probe.tier);
        table.row(vec![probe.probe.clone(), probe.state.to_owned(), probe.since.clone(), target, why]);
    }
    table
}

fn library_table(libraries: &[Library]) -> Table {
    let mut table = Table::new(&[
        ("kind", Align::Left),
        ("version", Align::Left),
        ("state", Align::Left),
        ("since", Align::Left),
        ("functions", Align::Right),
        ("library", Align::Left),
        ("why", Align::Left),
    ]);
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    for row in libraries.iter().take(TOP) {
        table.row(vec![
            known(&row.family),
            known(&row.version),
            row.state.to_owned(),
            row.since.clone(),
            row.functions.to_string(),
            row.library.clone(),
            reason(row.error.as_ref(), row.message.as_ref()),
        ]);
    }
    table
}

fn section(out: &mut String, name: &str, table: &Table, judged: &Judged<'_>, rows: usize) {
    tabulate(name, table, judged.paint, out);
    and_more(rows.saturating_sub(TOP), "; see -f json", out);
}
