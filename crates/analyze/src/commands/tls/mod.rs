//! `tls`: which versions, suites and key exchanges were negotiated, by whom, with whom; what failed, which rules speak of
//! it, and which certificates were shown.

mod args;
mod follow;
mod text;

pub(crate) use args::{Args, Task};

use crate::capture::connections::Role;
use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::handshakes::{CertificateRow, Outcomes, Told, peer_name, ranked};
use crate::count::totals::Totals;
use crate::event::CertificateFields;
use crate::report::findings::{self, Found};
use crate::report::following::Following;
use crate::report::handshakes::{Named, OutcomeFields, QuantumFields, adding_up, key_exchanges, share};
use crate::report::judged::{self, Judged, SOON_DAYS};
use crate::report::session::Session;
use crate::words::escape;
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeSet;

/// Version of the document: a member that is added does not change it, one that goes or means something else does.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Report {
    schema_version: u32,
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

/// What libraries said of handshakes.
#[derive(Serialize)]
struct ToldFields {
    completed: u64,
    failed: u64,
    result_unknown: u64,
    /// Those of which no library told.
    not_told: u64,
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

impl ToldFields {
    /// Of so many handshakes, or ends of them.
    fn new(told: Told, of: Outcomes) -> Self {
        let not_told = of.all().saturating_sub(told.all());
        Self { completed: told.ok, failed: told.failed, result_unknown: told.unknown, not_told }
    }
}

/// The document, for whoever puts it into a larger one.
pub(super) fn document(judged: &Judged<'_>) -> Result<serde_json::Value> {
    Ok(serde_json::to_value(Report::new(judged))?)
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    let Task { judge, follow } = task;
    if !follow {
        return judged::run(judge, console, Report::new, Report::text);
    }
    let (session, out) = Session::begin(&judge.request, console)?;
    let shown = Following::<follow::Live>::begin(Totals::following(), judge.json, judge.request.redact, out)?;
    shown.run(session, |counted| counted.handshakes.ends > 0)
}

impl Report {
    fn new(judged: &Judged<'_>) -> Self {
        let survey = &judged.totals.handshakes;
        let texts = |versions: &std::collections::BTreeSet<crate::protocol::iana::Version>| -> Vec<String> {
            versions.iter().map(ToString::to_string).collect()
        };
        let versions = ranked(survey.versions.iter().map(|(version, count)| (*version, *count)));
        let suites = ranked(survey.suites.iter().map(|(suite, count)| (*suite, *count)));
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
            schema_version: SCHEMA_VERSION,
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
                versions.into_iter().map(|(version, count)| Named::new(version.to_string(), count)),
                survey.outcomes,
            ),
            cipher_suites: adding_up(
                suites.into_iter().map(|(suite, count)| Named {
                    id: Some(format!("{:#06x}", suite.0)),
                    ..Named::new(suite.to_string(), count)
                }),
                survey.outcomes,
            ),
            key_exchanges: key_exchanges(survey.exchanges.iter()),
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
