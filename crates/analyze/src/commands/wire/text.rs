//! `wire` as text.

use super::{Protocol, Report};
use crate::count::handshakes::{outcomes_in_short, post_quantum};
use crate::report::handshakes::{HANDSHAKES, Of, Peer, Program, Tables};
use crate::report::judged::{Head, Judged};
use crate::words::text::{Align, Table, few};

impl Report {
    pub(super) fn text(&self, judged: &Judged<'_>) -> String {
        let mut out = String::new();
        let (outcomes, quantum) = self.all;
        let head = Head {
            name: "Wire",
            why_none: self.sums.why_none.clone(),
            sums: outcomes_in_short(outcomes, "failed"),
            quantum: post_quantum(quantum, outcomes.all()),
            more: None,
            others: Vec::new(),
            rules: Vec::new(),
            blind_to: "protocols that were not looked for, and what is encrypted; see `crypto-trace-analyze coverage`",
        };
        judged.head_of(&head, &mut out);
        let seen: Vec<&Protocol> = self.protocols.iter().filter(|protocol| protocol.sums.ends > 0).collect();
        let mut tables = Tables { out: &mut out, paint: judged.paint };
        tables.put("Protocols", &protocol_table(&seen), &[]);
        tables.named_of("Key exchange", "key exchange", &of_all(&seen, |one| &one.key_exchanges, |row| row.handshakes));
        tables.programs(&of_all(&seen, |one| &one.programs, Program::ends));
        tables.peers(&of_all(&seen, |one| &one.peers, Peer::handshakes));
        for unseen in self.protocols.iter().filter_map(|one| one.sums.why_none.as_ref()).filter(|_| !seen.is_empty()) {
            tables.note(unseen);
        }
        out
    }
}

/// Rows of all protocols, the most frequent first.
fn of_all<'p, T>(
    protocols: &[&'p Protocol],
    rows: impl Fn(&'p Protocol) -> &'p [T],
    count: impl Fn(&T) -> u64,
) -> Vec<Of<'p, T>> {
    let mut all: Vec<Of<'p, T>> =
        protocols.iter().flat_map(|one| rows(one).iter().map(|row| (one.protocol, row))).collect();
    all.sort_by_key(|(_, row)| std::cmp::Reverse(count(row)));
    all
}

fn protocol_table(protocols: &[&Protocol]) -> Table {
    let mut table = Table::new(&[
        ("protocol", Align::Left),
        HANDSHAKES,
        ("answered", Align::Right),
        ("failed", Align::Right),
        ("unanswered", Align::Right),
        ("post-quantum", Align::Right),
        ("key exchange", Align::Left),
        ("programs", Align::Left),
        ("peers", Align::Left),
    ]);
    for one in protocols {
        let exchanges: Vec<String> = one.key_exchanges.iter().map(|row| row.name.clone()).collect();
        let programs: Vec<String> = one.programs.iter().map(|row| row.name()).collect();
        let peers: Vec<String> = one.peers.iter().map(|row| row.name.clone()).collect();
        let mut cells = vec![one.protocol.to_owned()];
        cells.extend(one.sums.outcomes.cells());
        cells.extend([one.sums.quantum.cell(), few(&exchanges), few(&programs), few(&peers)]);
        table.row(cells);
    }
    table.without_idle(&["failed", "unanswered"])
}
