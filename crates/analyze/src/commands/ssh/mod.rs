//! `ssh`: which software, key exchange, host keys and ciphers were seen in SSH, by whom, with whom; what failed, and which
//! rules speak of it.

mod args;
mod text;

pub(crate) use args::{Args, Task};

use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::wire::{HostKeyRow, List, ProtocolRows};
use crate::event::HostKeyFields;
use crate::report::findings::{self, Found};
use crate::report::handshakes::{Named, Peer, Program, Sums, key_exchanges, names};
use crate::report::judged::{self, Judged};
use anyhow::Result;
use crypto_trace_format::record::Protocol;
use serde::Serialize;

/// Version of the document: a member that is added does not change it, one that goes or means something else does.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    as_of: String,
    /// Whose rules judge.
    rules: Vec<&'static str>,
    #[serde(flatten)]
    sums: Sums,
    strict_kex: u64,
    without_strict_kex: u64,
    client_software: Vec<Named>,
    server_software: Vec<Named>,
    key_exchanges: Vec<Named>,
    groups: Vec<Named>,
    host_key_algorithms: Vec<Named>,
    host_keys: Vec<HostKeyReport>,
    ciphers: Vec<Named>,
    macs: Vec<Named>,
    compression: Vec<Named>,
    failures: Vec<Named>,
    programs: Vec<Program>,
    peers: Vec<Peer>,
    findings: Vec<Found>,
    missing: Vec<String>,
}

#[derive(Serialize)]
struct HostKeyReport {
    handshakes: u64,
    servers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    #[serde(flatten)]
    fields: HostKeyFields,
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    judged::run(task, console, Report::new, Report::text)
}

impl Report {
    fn new(judged: &Judged<'_>) -> Self {
        let wire = &judged.totals.wire;
        let nothing = ProtocolRows::default();
        let rows = wire.of("ssh").unwrap_or(&nothing);
        let ssh = &wire.ssh;
        let list = |list: List| {
            let of = ssh.lists.iter().filter(|((one, _), _)| *one == list);
            names(of.map(|((_, name), count)| (name, count)))
        };
        Self {
            schema_version: SCHEMA_VERSION,
            as_of: judged.as_of.date.to_string(),
            rules: findings::names(judged),
            sums: Sums::new(rows.ends, rows.outcomes, rows.quantum, || judged.why_none_of(Protocol::SSH)),
            strict_kex: ssh.strict_kex,
            without_strict_kex: ssh.without_strict_kex,
            client_software: list(List::ClientSoftware),
            server_software: list(List::ServerSoftware),
            key_exchanges: key_exchanges(rows.exchanges.iter()),
            groups: list(List::Group),
            host_key_algorithms: list(List::HostKeyAlgorithm),
            host_keys: host_keys(judged),
            ciphers: list(List::Cipher),
            macs: list(List::Mac),
            compression: list(List::Compression),
            failures: names(rows.failures.iter()),
            programs: Program::all(judged, rows),
            peers: Peer::all(judged, rows),
            findings: findings::found(judged),
            missing: judged.gaps(None),
        }
    }
}

/// Those that were shown most come first.
fn host_keys(judged: &Judged<'_>) -> Vec<HostKeyReport> {
    let mut rows: Vec<&HostKeyRow> = judged.totals.wire.ssh.host_keys.values().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.handshakes));
    let report = |row: &HostKeyRow| HostKeyReport {
        handshakes: row.handshakes,
        servers: row.servers.iter().map(ToString::to_string).collect(),
        hosts: judged.hosts(&row.hosts),
        fields: HostKeyFields::new(&row.key),
    };
    rows.into_iter().map(report).collect()
}
