//! `tls` as text.

use super::{Named, OutcomeFields, QuantumFields, Report};
use crate::count::handshakes::percent;
use crate::report::findings;
use crate::report::judged::Judged;
use crate::words::text::{Align, Table, and_more, few, grouped, plural, tabulate};

/// Rows of a table that are shown to people.
const TOP: usize = 20;

const HANDSHAKES: (&str, Align) = ("handshakes", Align::Right);

impl Report {
    pub(super) fn text(&self, judged: &Judged<'_>) -> String {
        let paint = judged.paint;
        let mut out = String::new();
        judged.head(&mut out);
        // What is in no row that is shown, so that they add up.
        let mut put = |name: &str, table: &Table, handshakes: &[u64]| {
            tabulate(name, table, paint, &mut out);
            let rest = handshakes.get(TOP..).unwrap_or_default();
            let of = plural(rest.iter().sum(), "handshake");
            and_more(rest.len(), &format!(", of {of}; see -f json"), &mut out);
        };
        let of = |rows: &[Named]| rows.iter().map(|row| row.handshakes).collect::<Vec<u64>>();
        for (name, rows) in [
            (("Versions", "version"), &self.versions),
            (("Cipher suites", "suite"), &self.cipher_suites),
            (("Key exchange", "key exchange"), &self.key_exchanges),
        ] {
            let (name, column) = name;
            let quantum = rows.iter().any(|row| row.post_quantum == Some(true));
            let mut table =
                Table::new(&[HANDSHAKES, (column, Align::Left), (if quantum { "kind" } else { "" }, Align::Left)]);
            for row in rows.iter().take(TOP) {
                let note = if row.post_quantum == Some(true) { "post-quantum" } else { "" };
                table.row(vec![grouped(row.handshakes), row.name.clone(), note.to_owned()]);
            }
            put(name, &table, &of(rows));
        }
        let mut table = Table::new(&[HANDSHAKES, ("alert", Align::Left), ("from", Align::Left)]);
        for row in self.failures.iter().take(TOP) {
            table.row(vec![grouped(row.handshakes), row.alert.clone(), row.from.to_owned()]);
        }
        let failures: Vec<u64> = self.failures.iter().map(|row| row.handshakes).collect();
        put("Failures", &table, &failures);
        let ends: Vec<u64> = self.programs.iter().map(|row| row.outcomes.all()).collect();
        put("Programs", &self.program_table(), &ends);
        let peers: Vec<u64> = self.peers.iter().map(|row| row.outcomes.all()).collect();
        put("Peers", &self.peer_table(), &peers);
        let names: Vec<u64> = self.server_names.iter().map(|row| row.outcomes.all()).collect();
        put("Server names", &self.server_name_table(), &names);
        let shown: Vec<u64> = self.certificates.iter().map(|row| row.handshakes).collect();
        put("Certificates", &self.certificate_table(), &shown);
        if self.why_none.is_none() {
            findings::write(&self.findings, judged, &mut out);
        }
        out
    }

    fn program_table(&self) -> Table {
        let mut table = Table::new(&[
            ("program", Align::Left),
            ("processes", Align::Right),
            ("client", Align::Right),
            ("server", Align::Right),
            ("either", Align::Right),
            ("answered", Align::Right),
            ("failed", Align::Right),
            ("unanswered", Align::Right),
            ("post-quantum", Align::Right),
            ("versions", Align::Left),
            ("hosts", Align::Left),
        ]);
        for row in self.programs.iter().take(TOP) {
            let program = row.program.clone().unwrap_or_else(|| "(process not known)".to_owned());
            let OutcomeFields { answered, failed, unanswered, .. } = row.outcomes;
            let ends = [row.processes, row.as_client, row.as_server, row.role_unknown];
            let mut cells = vec![program];
            cells.extend(ends.into_iter().chain([answered, failed, unanswered]).map(grouped));
            cells.extend([quantum_cell(&row.quantum), row.versions.join(", "), few(&row.hosts)]);
            table.row(cells);
        }
        table.without_idle(&["either", "failed", "unanswered", "hosts"])
    }

    fn peer_table(&self) -> Table {
        let rows = self.peers.iter().map(|row| {
            let host = row.host.clone().unwrap_or_default();
            (&row.outcomes, &row.quantum, [host, row.name.clone(), row.versions.join(", ")])
        });
        ends_table(["host", "peer"], rows)
    }

    fn server_name_table(&self) -> Table {
        let rows = self.server_names.iter().map(|row| {
            (&row.outcomes, &row.quantum, [few(&row.hosts), row.server_name.clone(), row.versions.join(", ")])
        });
        ends_table(["hosts", "server name"], rows)
    }

    fn certificate_table(&self) -> Table {
        let columns = [
            ("state", Align::Left),
            ("ends", Align::Left),
            ("days left", Align::Right),
            ("key", Align::Left),
            ("signature", Align::Left),
            HANDSHAKES,
            ("hosts", Align::Left),
            ("subject", Align::Left),
        ];
        let mut table = Table::new(&columns);
        for row in self.certificates.iter().take(TOP) {
            let fields = &row.fields;
            table.row(vec![
                row.state.unwrap_or("not known").replace('_', " "),
                fields.not_after.as_ref().map_or_else(unknown, |end| end.0.chars().take(10).collect()),
                row.days_left.map_or_else(unknown, |days| days.to_string()),
                fields.key(),
                fields.signature_algorithm.clone().unwrap_or_else(unknown),
                grouped(row.handshakes),
                few(&row.hosts),
                fields.name(),
            ]);
        }
        table.without_idle(&["hosts"])
    }
}

/// Handshakes by how they ended, with the host or hosts, whose they are, and the versions.
fn ends_table<'a>(
    [host, name]: [&str; 2],
    rows: impl Iterator<Item = (&'a OutcomeFields, &'a QuantumFields, [String; 3])>,
) -> Table {
    let mut table = Table::new(&[
        HANDSHAKES,
        ("answered", Align::Right),
        ("failed", Align::Right),
        ("unanswered", Align::Right),
        ("post-quantum", Align::Right),
        (host, Align::Left),
        (name, Align::Left),
        ("versions", Align::Left),
    ]);
    for (outcomes, quantum, texts) in rows.take(TOP) {
        let mut cells = outcomes.cells();
        cells.push(quantum_cell(quantum));
        cells.extend(texts);
        table.row(cells);
    }
    table.without_idle(&["failed", "unanswered", host])
}

impl OutcomeFields {
    /// For people: all of them, and by how they ended.
    fn cells(&self) -> Vec<String> {
        [self.all(), self.answered, self.failed, self.unanswered].map(grouped).to_vec()
    }
}

fn unknown() -> String {
    "?".to_owned()
}

fn quantum_cell(quantum: &QuantumFields) -> String {
    let all = quantum.post_quantum + quantum.classical + quantum.quantum_unknown;
    if all == 0 { "-".to_owned() } else { percent(quantum.post_quantum, all) }
}
