//! `ssh` as text.

use super::{HostKeyReport, Report};
use crate::count::handshakes::{outcomes_in_short, post_quantum};
use crate::count::wire::ProtocolRows;
use crate::report::findings;
use crate::report::handshakes::{HANDSHAKES, TOP, Tables};
use crate::report::judged::{Head, Judged};
use crate::words::text::{Align, Table, few, grouped};

impl Report {
    pub(super) fn text(&self, judged: &Judged<'_>) -> String {
        let mut out = String::new();
        let nothing = ProtocolRows::default();
        let rows = judged.totals.wire.of("ssh").unwrap_or(&nothing);
        let known = self.strict_kex + self.without_strict_kex;
        let strict = format!("strict key exchange: {} of {}", grouped(self.strict_kex), grouped(known));
        let head = Head {
            name: "SSH",
            why_none: self.sums.why_none.clone(),
            sums: outcomes_in_short(rows.outcomes, "failed"),
            quantum: post_quantum(rows.quantum, rows.outcomes.all()),
            more: (known > 0).then_some(strict),
            others: Vec::new(),
            rules: judged.rules_in_short(),
            blind_to: "who logged in, and later key exchanges of a connection: encrypted; see docs/ssh.md",
        };
        judged.head_of(&head, &mut out);
        let mut tables = Tables { out: &mut out, paint: judged.paint };
        for (name, column, rows) in [
            ("Clients", "software", &self.client_software),
            ("Servers", "software", &self.server_software),
            ("Key exchange", "key exchange", &self.key_exchanges),
            ("Groups that servers chose", "size", &self.groups),
            ("Host key algorithms", "algorithm", &self.host_key_algorithms),
        ] {
            tables.named(name, column, rows);
        }
        let shown: Vec<u64> = self.host_keys.iter().map(|row| row.handshakes).collect();
        tables.put("Host keys", &host_key_table(&self.host_keys), &shown);
        for (name, column, rows) in [
            ("Ciphers", "cipher", &self.ciphers),
            ("Message authentication codes", "code", &self.macs),
            ("Compression", "compression", &self.compression),
            ("Failures", "why", &self.failures),
        ] {
            tables.named(name, column, rows);
        }
        tables.programs(&self.programs.iter().map(|row| ("", row)).collect::<Vec<_>>());
        tables.peers(&self.peers.iter().map(|row| ("", row)).collect::<Vec<_>>());
        if self.sums.why_none.is_none() {
            findings::write(&self.findings, judged, &mut out);
        }
        out
    }
}

fn host_key_table(rows: &[HostKeyReport]) -> Table {
    let columns = [
        HANDSHAKES,
        ("bits", Align::Right),
        ("type", Align::Left),
        ("fingerprint", Align::Left),
        ("hosts", Align::Left),
        ("servers", Align::Left),
        ("signed by", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for row in rows.iter().take(TOP) {
        let fields = &row.fields;
        let certificate = fields.certificate.0.as_ref();
        table.row(vec![
            grouped(row.handshakes),
            fields.key_bits.as_ref().map_or_else(|| "?".to_owned(), |bits| bits.get().to_string()),
            fields.key_type.clone(),
            fields.fingerprint.clone().unwrap_or_default(),
            few(&row.hosts),
            few(&row.servers),
            certificate.map(|certificate| certificate.ca_fingerprint.clone()).unwrap_or_default(),
        ]);
    }
    table.without_idle(&["hosts", "signed by"])
}
