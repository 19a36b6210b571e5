//! `tls`: which versions, suites and key exchanges were negotiated, by whom, with whom; what failed, which rules speak of
//! it, and which certificates were shown.

mod args;

pub(crate) use args::{Args, Task};

use crate::capture::connections::Role;
use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::handshakes::{CertificateRow, Exchange, Outcomes, Quantum, Told, peer_name, percent, ranked};
use crate::event::CertificateFields;
use crate::report::findings::{self, Found};
use crate::report::judged::{self, Judged, SOON_DAYS};
use crate::words::escape;
use crate::words::text::few;
use crate::words::text::{Align, Table, grouped, plural};
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Rows of a table that are shown to people.
const TOP: usize = 20;

#[derive(Serialize)]
struct Report {
    as_of: String,
    /// Whose rules judge.
    rules: Vec<&'static str>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_none: Option<String>,
    handshakes: u64,
    ends: u64,
    #[serde(flatten)]
    outcomes: OutcomeFields,
    resumed: u64,
    told_by_libraries: ToldFields,
    #[serde(flatten)]
    quantum: QuantumFields,
    post_quantum_share: Option<f64>,
    versions: Vec<Named>,
    cipher_suites: Vec<Named>,
    key_exchanges: Vec<Named>,
    failures: Vec<Failure>,
    programs: Vec<Program>,
    peers: Vec<Peer>,
    server_names: Vec<ServerName>,
    findings: Vec<Found>,
    certificates: Vec<CertificateReport>,
    missing: Vec<String>,
}

#[derive(Serialize)]
struct OutcomeFields {
    answered: u64,
    failed: u64,
    answered_then_failed: u64,
    unanswered: u64,
}

/// What libraries said of handshakes.
#[derive(Serialize)]
struct ToldFields {
    completed: u64,
    failed: u64,
    result_unknown: u64,
    /// Those of which no library told.
    not_told: u64,
}

#[derive(Serialize)]
struct QuantumFields {
    post_quantum: u64,
    classical: u64,
    quantum_unknown: u64,
    /// Handshakes without one, or in which it was not seen.
    no_key_exchange: u64,
}

/// Handshakes for one server name.
#[derive(Serialize)]
struct ServerName {
    server_name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    #[serde(flatten)]
    outcomes: OutcomeFields,
    versions: Vec<String>,
    #[serde(flatten)]
    quantum: QuantumFields,
}

/// Handshakes by a name.
#[derive(Serialize)]
struct Named {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    handshakes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_quantum: Option<bool>,
}

#[derive(Serialize)]
struct Failure {
    alert: String,
    from: &'static str,
    handshakes: u64,
}

#[derive(Serialize)]
struct Program {
    /// None: the process is not known.
    program: Option<String>,
    processes: u64,
    as_client: u64,
    as_server: u64,
    role_unknown: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    #[serde(flatten)]
    outcomes: OutcomeFields,
    told_by_libraries: ToldFields,
    versions: Vec<String>,
    #[serde(flatten)]
    quantum: QuantumFields,
}

#[derive(Serialize)]
struct Peer {
    #[serde(skip)]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    role: Option<&'static str>,
    remote_address: String,
    remote_port: Option<u16>,
    server_name: Option<String>,
    #[serde(flatten)]
    outcomes: OutcomeFields,
    versions: Vec<String>,
    #[serde(flatten)]
    quantum: QuantumFields,
}

#[derive(Serialize)]
struct CertificateReport {
    /// None: its times are not known.
    state: Option<&'static str>,
    days_left: Option<i64>,
    handshakes: u64,
    shown_by: Vec<&'static str>,
    programs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    #[serde(flatten)]
    fields: CertificateFields,
}

impl From<Outcomes> for OutcomeFields {
    fn from(outcomes: Outcomes) -> Self {
        let Outcomes { answered, failed, answered_then_failed, unanswered } = outcomes;
        Self { answered, failed, answered_then_failed, unanswered }
    }
}

impl ToldFields {
    /// Of so many handshakes, or ends of them.
    fn new(told: Told, of: Outcomes) -> Self {
        let not_told = of.all().saturating_sub(told.all());
        Self { completed: told.ok, failed: told.failed, result_unknown: told.unknown, not_told }
    }
}

impl QuantumFields {
    /// Of so many handshakes, or ends of them.
    fn new(quantum: Quantum, of: Outcomes) -> Self {
        let no_key_exchange = of.all().saturating_sub(quantum.all());
        let Quantum { post_quantum, classical, unknown } = quantum;
        Self { post_quantum, classical, quantum_unknown: unknown, no_key_exchange }
    }
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    judged::run(task, console, Report::new, Report::text)
}

impl Report {
    fn new(judged: &Judged<'_>) -> Self {
        let survey = &judged.totals.handshakes;
        let texts = |versions: &std::collections::BTreeSet<crate::protocol::iana::Version>| -> Vec<String> {
            versions.iter().map(ToString::to_string).collect()
        };
        let named = |name: String, id, handshakes| Named { name, id, handshakes, post_quantum: None };
        let versions = ranked(survey.versions.iter().map(|(version, count)| (*version, *count)));
        let suites = ranked(survey.suites.iter().map(|(suite, count)| (*suite, *count)));
        let exchanges = ranked(survey.exchanges.iter().map(|(exchange, count)| (exchange.clone(), *count)));
        let mut programs: Vec<Program> = survey
            .programs
            .iter()
            .map(|(program, row)| Program {
                program: program.as_deref().map(|program| judged.shown(program)),
                processes: row.processes,
                as_client: row.client,
                as_server: row.server,
                role_unknown: row.unknown_role,
                outcomes: row.outcomes.into(),
                told_by_libraries: ToldFields::new(row.told, row.outcomes),
                hosts: judged.hosts(&row.hosts),
                versions: texts(&row.versions),
                quantum: QuantumFields::new(row.quantum, row.outcomes),
            })
            .collect();
        programs.sort_by_key(|row| std::cmp::Reverse(row.as_client + row.as_server + row.role_unknown));
        let mut peers: Vec<Peer> = survey
            .peers
            .iter()
            .map(|(key, row)| Peer {
                name: peer_name(key),
                host: judged.hosts(&BTreeSet::from([key.host])).pop(),
                role: key.role.map(Role::name),
                remote_address: key.address.to_string(),
                remote_port: key.port,
                server_name: key.server_name.as_deref().map(escape::for_people),
                outcomes: row.outcomes.into(),
                versions: texts(&row.versions),
                quantum: QuantumFields::new(row.quantum, row.outcomes),
            })
            .collect();
        peers.sort_by_key(|row| std::cmp::Reverse(row.outcomes.all()));
        let mut server_names: Vec<ServerName> = survey
            .server_names
            .iter()
            .map(|(name, row)| ServerName {
                server_name: escape::for_people(name),
                hosts: judged.hosts(&row.hosts),
                outcomes: row.outcomes.into(),
                versions: texts(&row.versions),
                quantum: QuantumFields::new(row.quantum, row.outcomes),
            })
            .collect();
        server_names.sort_by_key(|row| std::cmp::Reverse(row.outcomes.all()));
        let quantum = survey.quantum;
        Self {
            as_of: judged.as_of.date.to_string(),
            rules: findings::names(judged),
            why_none: judged.why_no_handshakes(),
            handshakes: survey.outcomes.all(),
            ends: survey.ends,
            outcomes: survey.outcomes.into(),
            resumed: survey.resumed,
            told_by_libraries: ToldFields::new(survey.told, survey.outcomes),
            quantum: QuantumFields::new(quantum, survey.outcomes),
            post_quantum_share: share(quantum),
            versions: adding_up(
                versions.into_iter().map(|(version, count)| named(version.to_string(), None, count)),
                survey.outcomes,
            ),
            cipher_suites: adding_up(
                suites
                    .into_iter()
                    .map(|(suite, count)| named(suite.to_string(), Some(format!("{:#06x}", suite.0)), count)),
                survey.outcomes,
            ),
            key_exchanges: exchanges
                .into_iter()
                .map(|(exchange, count)| Named {
                    post_quantum: if let Exchange::Known(_, quantum) = &exchange { *quantum } else { None },
                    ..named(exchange.to_string(), None, count)
                })
                .collect(),
            failures: ranked(survey.alerts.iter().map(|((alert, from), count)| ((*from, *alert), *count)))
                .into_iter()
                .map(|((from, alert), handshakes)| Failure { alert: alert.to_string(), from: from.name(), handshakes })
                .collect(),
            programs,
            peers,
            server_names,
            findings: findings::found(judged),
            certificates: certificates(judged),
            missing: judged.gaps(None),
        }
    }
}

impl OutcomeFields {
    fn all(&self) -> u64 {
        self.answered + self.failed + self.unanswered
    }

    /// For people: all of them, and by how they ended.
    fn cells(&self) -> Vec<String> {
        [self.all(), self.answered, self.failed, self.unanswered].map(grouped).to_vec()
    }
}

/// Rows of what servers chose, and one of what was not seen of it: together all handshakes that were answered.
fn adding_up(rows: impl Iterator<Item = Named>, outcomes: Outcomes) -> Vec<Named> {
    let mut rows: Vec<Named> = rows.collect();
    let told: u64 = rows.iter().map(|row| row.handshakes).sum();
    let handshakes = outcomes.answered_in_all().saturating_sub(told);
    if handshakes > 0 {
        rows.push(Named { name: Exchange::NotSeen.to_string(), id: None, handshakes, post_quantum: None });
    }
    rows
}

/// Of the key exchanges that were seen; to four digits.
#[allow(clippy::cast_precision_loss, reason = "a share for people")]
fn share(quantum: Quantum) -> Option<f64> {
    let all = quantum.all();
    (all > 0).then(|| (quantum.post_quantum as f64 / all as f64 * 10_000.0).round() / 10_000.0)
}

/// Those that end first come first.
fn certificates(judged: &Judged<'_>) -> Vec<CertificateReport> {
    let mut rows: Vec<&CertificateRow> = judged.totals.handshakes.certificates.values().collect();
    rows.sort_by_key(|row| row.certificate.not_after_unix.map_or((1, 0), |end| (0, end)));
    let report = |row: &CertificateRow| {
        let (state, days_left) = judged.as_of.state(&row.certificate, SOON_DAYS);
        CertificateReport {
            state,
            days_left,
            handshakes: row.handshakes,
            shown_by: row.shown_by.iter().map(|role| role.name()).collect(),
            programs: row.programs.iter().map(|program| judged.shown(program)).collect(),
            hosts: judged.hosts(&row.hosts),
            fields: CertificateFields::new(&row.certificate),
        }
    };
    rows.into_iter().map(report).collect()
}

const HANDSHAKES: (&str, Align) = ("handshakes", Align::Right);

impl Report {
    fn text(&self, judged: &Judged<'_>) -> String {
        let paint = judged.paint;
        let mut out = String::new();
        judged.head(&mut out);
        // What is in no row that is shown, so that they add up.
        let mut put = |name: &str, table: &Table, handshakes: &[u64]| {
            if !table.is_empty() {
                let _ = writeln!(out, "\n{}", paint.heading(name));
                table.write(paint, &mut out);
                if let Some(rest) = handshakes.get(TOP..).filter(|rest| !rest.is_empty()) {
                    let (rows, of) = (grouped(rest.len() as u64), plural(rest.iter().sum(), "handshake"));
                    let _ = writeln!(out, "  and {rows} more, of {of}; see -f json");
                }
            }
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
        let columns = [
            HANDSHAKES,
            ("answered", Align::Right),
            ("failed", Align::Right),
            ("unanswered", Align::Right),
            ("post-quantum", Align::Right),
            ("host", Align::Left),
            ("peer", Align::Left),
            ("versions", Align::Left),
        ];
        let mut table = Table::new(&columns);
        for row in self.peers.iter().take(TOP) {
            let mut cells = row.outcomes.cells();
            let host = row.host.clone().unwrap_or_default();
            cells.extend([quantum_cell(&row.quantum), host, row.name.clone(), row.versions.join(", ")]);
            table.row(cells);
        }
        table.without_idle(&["failed", "unanswered", "host"])
    }

    fn server_name_table(&self) -> Table {
        let columns = [
            HANDSHAKES,
            ("answered", Align::Right),
            ("failed", Align::Right),
            ("unanswered", Align::Right),
            ("post-quantum", Align::Right),
            ("hosts", Align::Left),
            ("server name", Align::Left),
            ("versions", Align::Left),
        ];
        let mut table = Table::new(&columns);
        for row in self.server_names.iter().take(TOP) {
            let mut cells = row.outcomes.cells();
            let hosts = few(&row.hosts);
            cells.extend([quantum_cell(&row.quantum), hosts, row.server_name.clone(), row.versions.join(", ")]);
            table.row(cells);
        }
        table.without_idle(&["failed", "unanswered", "hosts"])
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

fn quantum_cell(quantum: &QuantumFields) -> String {
    let all = quantum.post_quantum + quantum.classical + quantum.quantum_unknown;
    if all == 0 { "-".to_owned() } else { percent(quantum.post_quantum, all) }
}
