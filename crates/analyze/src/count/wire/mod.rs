//! Handshakes of all protocols counted alike: by protocol, version, key exchange, peer and program; and of SSH what only SSH has.
//!
//! A connection that was seen from both ends is one handshake in every count, but of programs, as in [`super::handshakes`].

mod algorithms;
mod common;
mod key;
mod ssh;

pub use algorithms::{Algorithms, Size};
pub use common::{Common, PROTOCOLS, is_said_of, protocol_name, protocol_title};
pub use key::WireKey;
pub use ssh::{HostKeyRow, List, SshRows};

use ssh::SshFacts;

use super::handshakes::{End, Exchange, HandshakeTotals, Outcomes, Passed, PeerKey, Place, Quantum, each_end};
use super::room::{Room, row, tell};
use crate::budget::Budget;
use crate::capture::Capture;
use crate::capture::connections::{Connection, Role};
use crypto_trace_format::record::TlsHello;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Bytes that the rows of all tables may take.
const MAX_BYTES: usize = 64 << 20;

/// Processes that are told apart.
const MAX_PROCESSES: usize = 1 << 20;

/// Handshakes with one peer, or ends of one program.
#[derive(Debug, Clone, Default)]
pub struct EndsRow {
    /// As client.
    pub client: u64,
    /// As server.
    pub server: u64,
    /// The sides are not known.
    pub unknown_role: u64,
    /// Processes; of programs alone.
    pub processes: u64,
    /// How they ended.
    pub outcomes: Outcomes,
    /// Key exchanges.
    pub quantum: Quantum,
    /// Their names, the first few.
    pub exchanges: BTreeSet<String>,
    /// Hosts that were recorded, by the numbers of their first captures.
    pub hosts: BTreeSet<u32>,
}

/// Handshakes of one protocol.
#[derive(Debug, Default)]
pub struct ProtocolRows {
    /// Ends of connections.
    pub ends: u64,
    /// How handshakes ended.
    pub outcomes: Outcomes,
    /// Key exchanges.
    pub quantum: Quantum,
    /// By version agreed on.
    pub versions: BTreeMap<String, u64>,
    /// By key exchange.
    pub exchanges: BTreeMap<Exchange, u64>,
    /// Those that failed, by why.
    pub failures: BTreeMap<String, u64>,
    /// By peer.
    pub peers: BTreeMap<PeerKey, EndsRow>,
    /// By program; None for ends whose process is not known.
    pub programs: BTreeMap<Option<Vec<u8>>, EndsRow>,
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Wire {
    /// Count TLS too, whatever carries it, of which [`super::handshakes`] knows more.
    pub with_tls: bool,
    /// By protocol, as reports name it.
    pub protocols: BTreeMap<&'static str, ProtocolRows>,
    /// What only SSH has.
    pub ssh: SshRows,
    /// A table was full.
    pub overflowed: bool,
    room: Room,
    seen_processes: HashSet<(&'static str, u32, u32, u64)>,
}

/// What one end of a connection shows, and its algorithms by their names in the catalog.
type Shown = (Common, Option<SshFacts>, Vec<(String, Place)>);

impl Default for Wire {
    fn default() -> Self {
        Self {
            with_tls: false,
            protocols: BTreeMap::new(),
            ssh: SshRows::default(),
            overflowed: false,
            room: Room(Budget::new(MAX_BYTES)),
            seen_processes: HashSet::new(),
        }
    }
}

impl EndsRow {
    fn add(&mut self, common: &Common, host: u32, room: &mut Room) {
        match common.role {
            Some(Role::Client) => self.client += 1,
            Some(Role::Server) => self.server += 1,
            None => self.unknown_role += 1,
        }
        self.outcomes.count(common.outcome, common.answered);
        self.quantum.add(&common.exchange);
        self.hosts.insert(host);
        if let Exchange::Known(name, _) = &common.exchange {
            tell(&mut self.exchanges, name.as_str(), room);
        }
    }
}

impl Wire {
    /// Handshakes of a protocol, as reports name it. None: there are none.
    pub fn of(&self, protocol: &str) -> Option<&ProtocolRows> {
        self.protocols.get(protocol)
    }

    /// How handshakes of all that are counted here ended.
    pub fn outcomes(&self) -> Outcomes {
        let mut outcomes = Outcomes::default();
        self.protocols.values().for_each(|rows| outcomes += rows.outcomes);
        outcomes
    }

    /// Counts connections, and the algorithms of those that `handshakes` does not read. Both ends of one must come in one call.
    pub fn add(&mut self, passed: &[Passed], captures: &[Capture], handshakes: &mut HandshakeTotals) {
        let is_wanted = |one: &&Passed| {
            let capture = captures.get(one.capture as usize);
            let connection = capture.and_then(|it| it.handshakes.connections().get(one.connection as usize));
            self.with_tls || connection.is_some_and(|connection| connection.kind() != TlsHello::KIND)
        };
        // Most recordings have none.
        let passed: Vec<Passed> = passed.iter().filter(is_wanted).cloned().collect();
        let read = |connection: &Connection| {
            let view = connection.view();
            let common = Common::new(&view, connection.protocol());
            // Those of TLS are counted where more is known of it.
            let algorithms = Algorithms::new(&view).algorithms;
            Some((common, SshFacts::new(connection, &view), algorithms))
        };
        each_end(&passed, captures, read, |passed, end| {
            let whose = (passed.program.as_deref(), end.host, end.counts);
            let (common, _, algorithms) = &end.facts;
            handshakes.add_algorithms(common.protocol, whose, algorithms);
            self.add_end(passed, end);
        });
    }

    fn add_end(&mut self, passed: &Passed, end: End<'_, Shown>) {
        let End { connection, host, facts: (common, ssh, _), counts, .. } = end;
        let rows = self.protocols.entry(common.protocol).or_default();
        let (room, overflowed) = (&mut self.room, &mut self.overflowed);
        rows.ends += 1;
        if let Some(row) = row(&mut rows.programs, passed.program.clone(), (room, overflowed)) {
            let owner = &connection.owner;
            let process = (common.protocol, passed.capture, owner.tgid, owner.start_ns);
            if owner.is_known() && self.seen_processes.len() < MAX_PROCESSES {
                row.processes += u64::from(self.seen_processes.insert(process));
            }
            row.add(&common, host, room);
        }
        if !counts {
            return;
        }
        let remote = connection.remote();
        let key = PeerKey {
            host,
            role: common.role,
            address: remote.ip(),
            port: (common.role != Some(Role::Server)).then_some(remote.port()),
            server_name: common.server_name.clone(),
        };
        if let Some(row) = row(&mut rows.peers, key, (room, overflowed)) {
            row.add(&common, host, room);
        }
        rows.outcomes.count(common.outcome, common.answered);
        rows.quantum.add(&common.exchange);
        let mut count = |rows: &mut BTreeMap<String, u64>, name: Option<String>| {
            if let Some(count) = name.and_then(|name| row(rows, name, (room, overflowed))) {
                *count += 1;
            }
        };
        count(&mut rows.versions, common.version);
        count(&mut rows.failures, common.failure);
        if common.answered
            && let Some(count) = row(&mut rows.exchanges, common.exchange, (room, overflowed))
        {
            *count += 1;
        }
        if let Some(facts) = ssh {
            self.ssh.add(facts, host, (room, overflowed));
        }
    }
}
