//! TLS handshakes counted: by version, suite, key exchange, peer, program, algorithm and certificate.
//!
//! A connection that was seen from both ends is one handshake in every count, but of programs: there each end is its
//! program's. Every table has a limit; what is beyond is reported by [`HandshakeTotals::overflowed`].

mod algorithms;
mod ends;
mod facts;
mod findings;
mod followed;
mod key;
mod sums;
mod words;

pub use algorithms::{AlgorithmCall, CallRow};
pub(crate) use ends::host_numbers;
pub(in crate::count) use ends::{End, counts_for_both, each_end};
pub use facts::{Exchange, Facts, Place};
pub use findings::{Finding, findings};
pub use followed::{EndKey, EndRow, Ends};
pub use key::HandshakeKey;
pub use sums::{Outcomes, Quantum, Told};
pub use words::{in_short, outcomes_in_short, peer_name, percent, post_quantum, ranked, told_by_libraries};

pub use super::room::MAX_PROGRAMS;
use super::room::{Key, MAX_ROWS, Room, row, tell};
use crate::budget::{heap, sorted};
use crate::capture::Capture;
use crate::capture::connections::{Connection, Role};
use crate::capture::libraries::{FileId, HandshakeCall};
use crate::protocol::iana::{AlertDescription, CipherSuite, SignatureScheme, Version};
use crate::protocol::tls::Certificate;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

/// Processes that are told apart.
const MAX_PROCESSES: usize = 1 << 20;

/// A connection that passed the filters.
#[derive(Debug, Clone)]
pub struct Passed {
    /// Number of its capture.
    pub capture: u32,
    /// Its number in the capture.
    pub connection: u32,
    /// Executable of its process, or the thread's name where that is not known. None: no process is known.
    pub program: Option<Vec<u8>>,
}

/// With whom: a server's address and port as its clients see it, or a client's address as its server sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerKey {
    /// Which host was recorded, by the number of its first capture.
    pub host: u32,
    /// What this end is.
    pub role: Option<Role>,
    /// Address of the other end.
    pub address: IpAddr,
    /// Its port. None of clients: theirs are new each time.
    pub port: Option<u16>,
    /// The host asked for: bytes of the peer.
    pub server_name: Option<Box<[u8]>>,
}

/// Handshakes with one peer, or for one server name.
#[derive(Debug, Clone, Default)]
pub struct PeerRow {
    /// Hosts that were recorded, by the numbers of their first captures.
    pub hosts: BTreeSet<u32>,
    /// How they ended.
    pub outcomes: Outcomes,
    /// Versions agreed on.
    pub versions: BTreeSet<Version>,
    /// Key exchanges.
    pub quantum: Quantum,
}

impl PeerRow {
    fn add(&mut self, facts: &Facts) {
        self.outcomes.add(facts);
        self.versions.extend(facts.version);
        self.quantum.add(&facts.exchange);
    }
}

/// Ends of one program.
#[derive(Debug, Clone, Default)]
pub struct ProgramRow {
    /// As client.
    pub client: u64,
    /// As server.
    pub server: u64,
    /// Neither hello was seen.
    pub unknown_role: u64,
    /// Processes.
    pub processes: u64,
    /// How they ended.
    pub outcomes: Outcomes,
    /// Versions agreed on.
    pub versions: BTreeSet<Version>,
    /// Key exchanges.
    pub quantum: Quantum,
    /// What libraries said of them.
    pub told: Told,
    /// Hosts that it ran on.
    pub hosts: BTreeSet<u32>,
    /// Those libraries: capture and file.
    pub libraries: BTreeSet<(u32, FileId)>,
    /// Stacks that it looks like as a client, where no library told of it.
    pub looks_like: BTreeSet<&'static str>,
}

/// Uses of one algorithm.
#[derive(Debug, Clone, Default)]
pub struct AlgorithmRow {
    /// Handshakes.
    pub handshakes: u64,
    /// Calls of library functions that use it.
    pub calls: u64,
    /// Where.
    pub places: BTreeSet<Place>,
    /// Protocols of the handshakes, as reports name them.
    pub protocols: BTreeSet<&'static str>,
    /// Protocol versions of the handshakes.
    pub versions: BTreeSet<String>,
    /// Programs, the first few.
    pub programs: BTreeSet<Vec<u8>>,
    /// Hosts that use it, by the numbers of captures.
    pub hosts: BTreeSet<u32>,
}

/// A certificate that was shown.
#[derive(Debug, Clone)]
pub struct CertificateRow {
    /// What it says.
    pub certificate: Certificate,
    /// Who showed it.
    pub shown_by: BTreeSet<Role>,
    /// In how many handshakes.
    pub handshakes: u64,
    /// Programs that showed or were shown it, the first few.
    pub programs: BTreeSet<Vec<u8>>,
    /// Hosts that recorded it.
    pub hosts: BTreeSet<u32>,
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct HandshakeTotals {
    /// Ends of connections.
    pub ends: u64,
    /// How handshakes ended.
    pub outcomes: Outcomes,
    /// Those that went on with an earlier session.
    pub resumed: u64,
    /// By what was agreed on, together.
    pub agreed: BTreeMap<(Option<Version>, Option<CipherSuite>, Exchange), u64>,
    /// By how the server signed, with what was agreed on.
    pub schemes: BTreeMap<(Option<Version>, Option<CipherSuite>, SignatureScheme), u64>,
    /// By version agreed on.
    pub versions: BTreeMap<Version, u64>,
    /// By suite agreed on.
    pub suites: BTreeMap<CipherSuite, u64>,
    /// By key exchange.
    pub exchanges: BTreeMap<Exchange, u64>,
    /// Key exchanges.
    pub quantum: Quantum,
    /// What libraries said of handshakes.
    pub told: Told,
    /// Calls of library functions.
    pub calls: BTreeMap<AlgorithmCall, CallRow>,
    /// Those that an alert ended, by alert and who sent it.
    pub alerts: BTreeMap<(AlertDescription, Role), u64>,
    /// By the host asked for.
    pub server_names: BTreeMap<Box<[u8]>, PeerRow>,
    /// By peer.
    pub peers: BTreeMap<PeerKey, PeerRow>,
    /// By program; None for ends whose process is not known.
    pub programs: BTreeMap<Option<Vec<u8>>, ProgramRow>,
    /// By algorithm.
    pub algorithms: BTreeMap<String, AlgorithmRow>,
    /// By SHA-256.
    pub certificates: BTreeMap<String, CertificateRow>,
    /// Ends that were there before the capture.
    pub late: u64,
    /// Ends with missing packets.
    pub gaps: u64,
    /// Ends with more data than is kept.
    pub cut: u64,
    /// Ends without the client's hello, though the answer to it was.
    pub no_client_hello: u64,
    /// Ends with a message seen only in part.
    pub incomplete: u64,
    /// A table was full.
    pub overflowed: bool,
    /// Ends by all that was agreed on, when they are followed.
    pub followed: Option<Ends>,
    /// Room for rows of all tables.
    budget: Room,
    /// Processes that were counted: capture, id, start.
    seen_processes: HashSet<(u32, u32, u64)>,
}

impl ProgramRow {
    /// Ends of connections.
    pub fn ends(&self) -> u64 {
        self.client + self.server + self.unknown_role
    }

    /// Those that no library reported.
    pub fn wire_only(&self) -> u64 {
        self.ends().saturating_sub(self.told.all())
    }
}

impl HandshakeTotals {
    /// Counts connections. Both ends of one must come in one call.
    pub fn add(&mut self, passed: &[Passed], captures: &[Capture]) {
        each_end(passed, captures, Facts::with_stacks, |one, end| {
            let End { connection, capture, host, facts, peer, counts } = end;
            let call = capture.calls.of(connection.cookie());
            self.add_end(one, host, connection, &facts, call);
            if let Some(followed) = &mut self.followed {
                self.overflowed |= !followed.add((host, capture), one, connection, &facts, &mut self.budget.0);
            }
            let program = one.program.as_deref();
            self.add_algorithms("tls", (program, host, counts), &facts.algorithms);
            self.add_certificates(program, host, &facts, counts);
            if counts {
                // Of a handshake that counts once, either end may tell.
                if let Some(call) = call.or_else(|| capture.calls.of(peer?.cookie())) {
                    self.told.add(call);
                }
                self.add_handshake(host, connection, facts);
            }
        });
    }

    fn add_end(
        &mut self,
        passed: &Passed,
        host: u32,
        connection: &Connection,
        facts: &Facts,
        call: Option<&HandshakeCall>,
    ) {
        self.ends += 1;
        self.late += u64::from(connection.late);
        self.gaps += u64::from(facts.gap);
        self.cut += u64::from(connection.cut);
        self.no_client_hello += u64::from(facts.no_client_hello);
        self.incomplete += u64::from(facts.incomplete);
        let Some(row) = row(&mut self.programs, passed.program.clone(), (&mut self.budget, &mut self.overflowed))
        else {
            return;
        };
        let process = (passed.capture, connection.owner.tgid, connection.owner.start_ns);
        if connection.owner.is_known() && self.seen_processes.len() < MAX_PROCESSES {
            row.processes += u64::from(self.seen_processes.insert(process));
        }
        match facts.role {
            Some(Role::Client) => row.client += 1,
            Some(Role::Server) => row.server += 1,
            None => row.unknown_role += 1,
        }
        row.hosts.insert(host);
        row.outcomes.add(facts);
        row.versions.extend(facts.version);
        row.quantum.add(&facts.exchange);
        if call.is_none() && facts.role == Some(Role::Client) {
            row.looks_like.extend(facts.client_looks_like.iter().map(String::as_str));
        }
        if let Some(call) = call {
            row.told.add(call);
            if row.libraries.len() < MAX_PROGRAMS {
                row.libraries.insert((passed.capture, call.library));
            }
        }
    }

    /// Algorithms of a protocol: of both ends who used them, of one how often.
    pub(in crate::count) fn add_algorithms(
        &mut self,
        protocol: &'static str,
        (program, host, counts): (Option<&[u8]>, u32, bool),
        algorithms: &[(String, Place)],
    ) {
        let mut before: Option<&str> = None;
        let version = algorithms.iter().find(|(_, place)| *place == Place::Protocol).map(|(name, _)| name);
        let mut algorithms: Vec<&(String, Place)> = algorithms.iter().collect();
        algorithms.sort();
        for (name, place) in algorithms {
            let Some(row) = row(&mut self.algorithms, name.clone(), (&mut self.budget, &mut self.overflowed)) else {
                continue;
            };
            row.handshakes += u64::from(counts && before != Some(name));
            row.places.insert(*place);
            row.protocols.insert(protocol);
            row.versions.extend(version.cloned());
            row.hosts.insert(host);
            name_program(&mut row.programs, program, &mut self.budget);
            before = Some(name);
        }
    }

    /// Certificates: of both ends who showed or were shown them, of one how often.
    fn add_certificates(&mut self, program: Option<&[u8]>, host: u32, facts: &Facts, counts: bool) {
        for (role, certificate) in &facts.certificates {
            // One of which not all is there is told in its event, and is no row: which one it was is not known.
            let Some(sha256) = &certificate.sha256 else { continue };
            if !self.certificates.contains_key(sha256) {
                // What it says is in it several times, in words.
                let bytes = 2 * sorted::<(String, CertificateRow)>() + CERTIFICATE_BYTES + certificate.held_bytes();
                if self.certificates.len() >= MAX_ROWS || !self.budget.0.take(bytes) {
                    self.overflowed = true;
                    continue;
                }
            }
            let row = self.certificates.entry(sha256.clone()).or_insert_with(|| CertificateRow {
                certificate: certificate.clone(),
                shown_by: BTreeSet::new(),
                handshakes: 0,
                programs: BTreeSet::new(),
                hosts: BTreeSet::new(),
            });
            row.hosts.insert(host);
            row.shown_by.insert(*role);
            row.handshakes += u64::from(counts);
            name_program(&mut row.programs, program, &mut self.budget);
        }
    }

    fn add_handshake(&mut self, host: u32, connection: &Connection, facts: Facts) {
        self.outcomes.add(&facts);
        self.resumed += u64::from(facts.resumed);
        self.quantum.add(&facts.exchange);
        if let Some(alert) = facts.alert {
            *self.alerts.entry(alert).or_default() += 1;
        }
        if let Some(version) = facts.version {
            *self.versions.entry(version).or_default() += 1;
        }
        if let Some(suite) = facts.suite {
            *self.suites.entry(suite).or_default() += 1;
        }
        if let Some(name) = &facts.server_name
            && let Some(row) = row(&mut self.server_names, name.clone(), (&mut self.budget, &mut self.overflowed))
        {
            row.add(&facts);
            row.hosts.insert(host);
        }
        let remote = connection.remote();
        let key = PeerKey {
            host,
            role: facts.role,
            address: remote.ip(),
            port: (facts.role != Some(Role::Server)).then_some(remote.port()),
            server_name: facts.server_name.clone(),
        };
        if let Some(row) = row(&mut self.peers, key, (&mut self.budget, &mut self.overflowed)) {
            row.add(&facts);
            row.hosts.insert(host);
        }
        // Without an answer there is nothing to tell.
        if !facts.was_answered() {
            return;
        }
        let agreed = (facts.version, facts.suite, facts.exchange.clone());
        if let Some(count) = row(&mut self.agreed, agreed, (&mut self.budget, &mut self.overflowed)) {
            *count += 1;
        }
        if let Some(scheme) = facts.signature_scheme {
            let signed = (facts.version, facts.suite, scheme);
            if let Some(count) = row(&mut self.schemes, signed, (&mut self.budget, &mut self.overflowed)) {
                *count += 1;
            }
        }
        if let Some(count) = row(&mut self.exchanges, facts.exchange, (&mut self.budget, &mut self.overflowed)) {
            *count += 1;
        }
    }
}

/// Names a program: those beyond the first few are not told.
fn name_program(programs: &mut BTreeSet<Vec<u8>>, program: Option<&[u8]>, room: &mut Room) {
    if let Some(program) = program {
        tell(programs, program, room);
    }
}

impl Key for PeerKey {
    fn held_bytes(&self) -> usize {
        heap(self.server_name.as_ref().map_or(0, |name| name.len()))
    }
}

impl Key for Exchange {
    fn held_bytes(&self) -> usize {
        match self {
            Self::Known(name, _) => heap(name.len()),
            Self::Earlier | Self::NotSeen => 0,
        }
    }
}

impl Key for (Option<Version>, Option<CipherSuite>, Exchange) {
    fn held_bytes(&self) -> usize {
        self.2.held_bytes()
    }
}

impl Key for (Option<Version>, Option<CipherSuite>, SignatureScheme) {
    fn held_bytes(&self) -> usize {
        0
    }
}

impl Key for AlgorithmCall {
    fn held_bytes(&self) -> usize {
        heap(self.function.len()) + heap(self.algorithm.as_ref().map_or(0, String::len))
    }
}

/// What a certificate says besides its names, in words.
const CERTIFICATE_BYTES: usize = 512;
