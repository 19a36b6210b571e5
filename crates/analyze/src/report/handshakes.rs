//! Handshakes as reports show them, whatever their protocol: rows by name, program and peer, and the tables of them.

use crate::capture::connections::Role;
use crate::count::handshakes::{Exchange, Outcomes, PeerKey, Quantum, peer_name, percent, ranked};
use crate::count::wire::{EndsRow, ProtocolRows};
use crate::report::judged::Judged;
use crate::words::text::{Align, Paint, Table, and_more, few, grouped, plural, tabulate};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Rows of a table that are shown to people.
pub(crate) const TOP: usize = 20;

/// The first column of tables.
pub(crate) const HANDSHAKES: (&str, Align) = ("handshakes", Align::Right);

/// Handshakes by how they ended.
#[derive(Serialize)]
pub(crate) struct OutcomeFields {
    pub answered: u64,
    pub failed: u64,
    pub answered_then_failed: u64,
    pub unanswered: u64,
}

/// Handshakes by what their key exchange is worth.
#[derive(Serialize)]
pub(crate) struct QuantumFields {
    pub post_quantum: u64,
    pub classical: u64,
    pub quantum_unknown: u64,
    /// Handshakes without one, or in which it was not seen.
    pub no_key_exchange: u64,
}

/// All handshakes of a protocol, or of all.
#[derive(Serialize)]
pub(crate) struct Sums {
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_none: Option<String>,
    pub handshakes: u64,
    pub ends: u64,
    #[serde(flatten)]
    pub outcomes: OutcomeFields,
    #[serde(flatten)]
    pub quantum: QuantumFields,
    pub post_quantum_share: Option<f64>,
}

/// Handshakes by a name.
#[derive(Serialize)]
pub(crate) struct Named {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub handshakes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_quantum: Option<bool>,
}

/// A row, and its protocol where it is to be shown; else an empty text.
pub(crate) type Of<'r, T> = (&'static str, &'r T);

/// Ends of one program.
#[derive(Serialize)]
pub(crate) struct Program {
    /// None: the process is not known.
    pub program: Option<String>,
    processes: u64,
    as_client: u64,
    as_server: u64,
    role_unknown: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    #[serde(flatten)]
    outcomes: OutcomeFields,
    key_exchanges: Vec<String>,
    #[serde(flatten)]
    quantum: QuantumFields,
}

/// Handshakes with one peer.
#[derive(Serialize)]
pub(crate) struct Peer {
    #[serde(skip)]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    role: Option<&'static str>,
    remote_address: String,
    remote_port: Option<u16>,
    server_name: Option<String>,
    #[serde(flatten)]
    outcomes: OutcomeFields,
    key_exchanges: Vec<String>,
    #[serde(flatten)]
    quantum: QuantumFields,
}

impl From<Outcomes> for OutcomeFields {
    fn from(outcomes: Outcomes) -> Self {
        let Outcomes { answered, failed, answered_then_failed, unanswered } = outcomes;
        Self { answered, failed, answered_then_failed, unanswered }
    }
}

impl OutcomeFields {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.answered + self.failed + self.unanswered
    }

    /// For people: all of them, and by how they ended.
    pub fn cells(&self) -> Vec<String> {
        [self.all(), self.answered, self.failed, self.unanswered].map(grouped).to_vec()
    }
}

impl Sums {
    /// Of what was counted; `why_none` is asked when that is nothing.
    pub fn new(ends: u64, outcomes: Outcomes, quantum: Quantum, why_none: impl FnOnce() -> String) -> Self {
        Self {
            why_none: (ends == 0).then(why_none),
            handshakes: outcomes.all(),
            ends,
            outcomes: outcomes.into(),
            quantum: QuantumFields::new(quantum, outcomes),
            post_quantum_share: share(quantum),
        }
    }
}

impl QuantumFields {
    /// Of so many handshakes, or ends of them.
    pub fn new(quantum: Quantum, of: Outcomes) -> Self {
        let no_key_exchange = of.all().saturating_sub(quantum.all());
        let Quantum { post_quantum, classical, unknown } = quantum;
        Self { post_quantum, classical, quantum_unknown: unknown, no_key_exchange }
    }

    /// For people: the share of post-quantum ones.
    pub fn cell(&self) -> String {
        let all = self.post_quantum + self.classical + self.quantum_unknown;
        if all == 0 { "-".to_owned() } else { percent(self.post_quantum, all) }
    }
}

/// Of the key exchanges that were seen; to four digits.
#[allow(clippy::cast_precision_loss, reason = "a share for people")]
pub(crate) fn share(quantum: Quantum) -> Option<f64> {
    let all = quantum.all();
    (all > 0).then(|| (quantum.post_quantum as f64 / all as f64 * 10_000.0).round() / 10_000.0)
}

/// Rows of what was chosen, and one of what was not seen of it: together all handshakes that were answered.
pub(crate) fn adding_up(rows: impl Iterator<Item = Named>, outcomes: Outcomes) -> Vec<Named> {
    let mut rows: Vec<Named> = rows.collect();
    let told: u64 = rows.iter().map(|row| row.handshakes).sum();
    let handshakes = outcomes.answered_in_all().saturating_sub(told);
    if handshakes > 0 {
        rows.push(Named::new(Exchange::NotSeen.to_string(), handshakes));
    }
    rows
}

/// Key exchanges, the most frequent first.
pub(crate) fn key_exchanges<'e>(rows: impl Iterator<Item = (&'e Exchange, &'e u64)>) -> Vec<Named> {
    let rows = ranked(rows.map(|(exchange, count)| (exchange.clone(), *count)));
    let named = |(exchange, count): (Exchange, u64)| Named {
        post_quantum: if let Exchange::Known(_, quantum) = &exchange { *quantum } else { None },
        ..Named::new(exchange.to_string(), count)
    };
    rows.into_iter().map(named).collect()
}

/// Names, the most frequent first.
pub(crate) fn names<'n>(rows: impl Iterator<Item = (&'n String, &'n u64)>) -> Vec<Named> {
    ranked(rows.map(|(name, count)| (name.clone(), *count))).into_iter().map(|(name, n)| Named::new(name, n)).collect()
}

impl Named {
    /// So many handshakes.
    pub fn new(name: String, handshakes: u64) -> Self {
        Self { name, id: None, handshakes, post_quantum: None }
    }
}

impl Program {
    fn new(judged: &Judged<'_>, program: Option<&[u8]>, row: &EndsRow) -> Self {
        Self {
            program: program.map(|program| judged.shown(program)),
            processes: row.processes,
            as_client: row.client,
            as_server: row.server,
            role_unknown: row.unknown_role,
            hosts: judged.hosts(&row.hosts),
            outcomes: row.outcomes.into(),
            key_exchanges: row.exchanges.iter().cloned().collect(),
            quantum: QuantumFields::new(row.quantum, row.outcomes),
        }
    }

    /// Programs of a protocol, those with most handshakes first.
    pub fn all(judged: &Judged<'_>, rows: &ProtocolRows) -> Vec<Self> {
        let programs = rows.programs.iter().map(|(program, row)| Self::new(judged, program.as_deref(), row));
        let mut programs: Vec<Self> = programs.collect();
        programs.sort_by_key(|row| std::cmp::Reverse(row.ends()));
        programs
    }

    /// Ends of connections.
    pub fn ends(&self) -> u64 {
        self.outcomes.all()
    }

    /// For people.
    pub fn name(&self) -> String {
        program_name(self.program.as_deref())
    }

    /// A table of them, with their protocol where it is to be shown.
    pub fn table(rows: &[Of<'_, Self>]) -> Table {
        program_table(
            "key exchange",
            rows.iter().map(|(protocol, row)| ProgramCells {
                texts: [row.name(), (*protocol).to_owned()],
                sides: [row.processes, row.as_client, row.as_server, row.role_unknown],
                outcomes: &row.outcomes,
                quantum: &row.quantum,
                agreed: few(&row.key_exchanges),
                hosts: few(&row.hosts),
            }),
        )
    }
}

/// For people: an executable, or that it is not known.
pub(crate) fn program_name(program: Option<&str>) -> String {
    program.unwrap_or("(process not known)").to_owned()
}

/// A row of a table of programs.
pub(crate) struct ProgramCells<'a> {
    /// The program, and its protocol where that is to be shown.
    pub texts: [String; 2],
    /// Processes, and ends as client, as server, as either.
    pub sides: [u64; 4],
    pub outcomes: &'a OutcomeFields,
    pub quantum: &'a QuantumFields,
    /// What they agreed on.
    pub agreed: String,
    pub hosts: String,
}

/// Ends by program; `agreed`: of what the column is of what they agreed on.
pub(crate) fn program_table<'a>(agreed: &str, rows: impl Iterator<Item = ProgramCells<'a>>) -> Table {
    let mut table = Table::new(&[
        ("program", Align::Left),
        ("protocol", Align::Left),
        ("processes", Align::Right),
        ("client", Align::Right),
        ("server", Align::Right),
        ("either", Align::Right),
        ("answered", Align::Right),
        ("failed", Align::Right),
        ("unanswered", Align::Right),
        ("post-quantum", Align::Right),
        (agreed, Align::Left),
        ("hosts", Align::Left),
    ]);
    for row in rows.take(TOP) {
        let OutcomeFields { answered, failed, unanswered, .. } = *row.outcomes;
        let mut cells = row.texts.to_vec();
        cells.extend(row.sides.into_iter().chain([answered, failed, unanswered]).map(grouped));
        cells.extend([row.quantum.cell(), row.agreed, row.hosts]);
        table.row(cells);
    }
    table.without_idle(&["protocol", "either", "failed", "unanswered", "hosts"])
}

impl Peer {
    fn new(judged: &Judged<'_>, key: &PeerKey, row: &EndsRow) -> Self {
        Self {
            name: peer_name(key),
            host: judged.hosts(&BTreeSet::from([key.host])).pop(),
            role: key.role.map(Role::name),
            remote_address: key.address.to_string(),
            remote_port: key.port,
            server_name: key.server_name.as_deref().map(crate::words::escape::for_people),
            outcomes: row.outcomes.into(),
            key_exchanges: row.exchanges.iter().cloned().collect(),
            quantum: QuantumFields::new(row.quantum, row.outcomes),
        }
    }

    /// Peers of a protocol, those with most handshakes first.
    pub fn all(judged: &Judged<'_>, rows: &ProtocolRows) -> Vec<Self> {
        let mut peers: Vec<Self> = rows.peers.iter().map(|(key, row)| Self::new(judged, key, row)).collect();
        peers.sort_by_key(|row| std::cmp::Reverse(row.handshakes()));
        peers
    }

    /// Handshakes.
    pub fn handshakes(&self) -> u64 {
        self.outcomes.all()
    }

    /// A table of them, with their protocol where it is to be shown.
    pub fn table(rows: &[Of<'_, Self>]) -> Table {
        let rows = rows.iter().map(|(protocol, row)| {
            let host = row.host.clone().unwrap_or_default();
            let texts = [host, (*protocol).to_owned(), row.name.clone(), few(&row.key_exchanges)];
            (&row.outcomes, &row.quantum, texts)
        });
        ends_table(["host", "protocol", "peer", "key exchange"], rows).without_idle(&["protocol"])
    }
}

/// Handshakes by how they ended, with texts of theirs: the host or hosts, whose they are, and what they agreed on.
pub(crate) fn ends_table<'a, const TEXTS: usize>(
    names: [&str; TEXTS],
    rows: impl Iterator<Item = (&'a OutcomeFields, &'a QuantumFields, [String; TEXTS])>,
) -> Table {
    let numbers = ["answered", "failed", "unanswered", "post-quantum"].map(|name| (name, Align::Right));
    let columns: Vec<_> =
        [HANDSHAKES].into_iter().chain(numbers).chain(names.map(|name| (name, Align::Left))).collect();
    let mut table = Table::new(&columns);
    for (outcomes, quantum, texts) in rows.take(TOP) {
        let mut cells = outcomes.cells();
        cells.push(quantum.cell());
        cells.extend(texts);
        table.row(cells);
    }
    table.without_idle(&["failed", "unanswered", "host", "hosts"])
}

/// Tables of handshakes, one after the other.
pub(crate) struct Tables<'o> {
    /// Where they are written.
    pub out: &'o mut String,
    /// How.
    pub paint: Paint,
}

impl Tables<'_> {
    /// Appends a table that shows the first rows of those with so many `handshakes`, and how many the others have: so that they
    /// add up.
    pub fn put(&mut self, name: &str, table: &Table, handshakes: &[u64]) {
        tabulate(name, table, self.paint, self.out);
        let rest = handshakes.get(TOP..).unwrap_or_default();
        let of = plural(rest.iter().sum(), "handshake");
        and_more(rest.len(), &format!(", of {of}; see -f json"), self.out);
    }

    /// Appends a line below them.
    pub fn note(&mut self, text: &str) {
        let _ = writeln!(self.out, "\n{}", self.paint.faint(text));
    }

    /// Appends handshakes by a name, which is called `column`.
    pub fn named(&mut self, name: &str, column: &str, rows: &[Named]) {
        self.named_of(name, column, &rows.iter().map(|row| ("", row)).collect::<Vec<_>>());
    }

    /// Appends the same, with their protocols.
    pub fn named_of(&mut self, name: &str, column: &str, rows: &[Of<'_, Named>]) {
        let columns = [HANDSHAKES, ("protocol", Align::Left), (column, Align::Left), ("kind", Align::Left)];
        let mut table = Table::new(&columns);
        for (protocol, row) in rows.iter().take(TOP) {
            let kind = if row.post_quantum == Some(true) { "post-quantum" } else { "" };
            table.row(vec![grouped(row.handshakes), (*protocol).to_owned(), row.name.clone(), kind.to_owned()]);
        }
        let table = table.without_idle(&["protocol", "kind"]);
        self.put(name, &table, &rows.iter().map(|(_, row)| row.handshakes).collect::<Vec<u64>>());
    }

    /// Appends ends by program.
    pub fn programs(&mut self, rows: &[Of<'_, Program>]) {
        self.put("Programs", &Program::table(rows), &rows.iter().map(|(_, row)| row.ends()).collect::<Vec<u64>>());
    }

    /// Appends handshakes by peer.
    pub fn peers(&mut self, rows: &[Of<'_, Peer>]) {
        self.put("Peers", &Peer::table(rows), &rows.iter().map(|(_, row)| row.handshakes()).collect::<Vec<u64>>());
    }
}
