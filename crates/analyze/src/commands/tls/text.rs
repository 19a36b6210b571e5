//! `tls` as text.

use super::Report;
use crate::report::findings;
use crate::report::handshakes::{HANDSHAKES, ProgramCells, TOP, Tables, ends_table, program_name, program_table};
use crate::report::judged::Judged;
use crate::words::text::{Align, Table, few, grouped};

impl Report {
    pub(super) fn text(&self, judged: &Judged<'_>) -> String {
        let paint = judged.paint;
        let mut out = String::new();
        judged.head(&mut out);
        let mut tables = Tables { out: &mut out, paint };
        tables.named("Versions", "version", &self.versions);
        tables.named("Cipher suites", "suite", &self.cipher_suites);
        tables.named("Key exchange", "key exchange", &self.key_exchanges);
        let mut table = Table::new(&[HANDSHAKES, ("alert", Align::Left), ("from", Align::Left)]);
        for row in self.failures.iter().take(TOP) {
            table.row(vec![grouped(row.handshakes), row.alert.clone(), row.from.to_owned()]);
        }
        let failures: Vec<u64> = self.failures.iter().map(|row| row.handshakes).collect();
        tables.put("Failures", &table, &failures);
        let ends: Vec<u64> = self.programs.iter().map(|row| row.outcomes.all()).collect();
        tables.put("Programs", &self.program_table(), &ends);
        let peers: Vec<u64> = self.peers.iter().map(|row| row.outcomes.all()).collect();
        tables.put("Peers", &self.peer_table(), &peers);
        let names: Vec<u64> = self.server_names.iter().map(|row| row.outcomes.all()).collect();
        tables.put("Server names", &self.server_name_table(), &names);
        let shown: Vec<u64> = self.certificates.iter().map(|row| row.handshakes).collect();
        tables.put("Certificates", &self.certificate_table(), &shown);
        if self.why_none.is_none() {
            findings::write(&self.findings, judged, &mut out);
        }
        out
    }

    fn program_table(&self) -> Table {
        let cells = self.programs.iter().map(|row| ProgramCells {
            texts: [program_name(row.program.as_deref()), String::new()],
            sides: [row.processes, row.as_client, row.as_server, row.role_unknown],
            outcomes: &row.outcomes,
            quantum: &row.quantum,
            agreed: row.versions.join(", "),
            hosts: few(&row.hosts),
        });
        program_table("versions", cells)
    }

    fn peer_table(&self) -> Table {
        let rows = self.peers.iter().map(|row| {
            let host = row.host.clone().unwrap_or_default();
            (&row.outcomes, &row.quantum, [host, row.name.clone(), row.versions.join(", ")])
        });
        ends_table(["host", "peer", "versions"], rows)
    }

    fn server_name_table(&self) -> Table {
        let rows = self.server_names.iter().map(|row| {
            (&row.outcomes, &row.quantum, [few(&row.hosts), row.server_name.clone(), row.versions.join(", ")])
        });
        ends_table(["hosts", "server name", "versions"], rows)
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

fn unknown() -> String {
    "?".to_owned()
}
