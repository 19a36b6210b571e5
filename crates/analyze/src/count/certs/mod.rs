//! Certificates in use: who presents which, from handshakes; which files of certificates were opened; and which process still
//! presents what it read before the file became another.

mod counter;
mod files;
mod reload;

pub use counter::What;
pub use files::{FileKey, FileRow, FileUser, Files};
pub use reload::{Presented, Stale};

use counter::{CertCounter, Counted, Passed};
use reload::Shown;

use crate::budget::{Budget, first_sorted, heap, sorted};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::connections::{Connection, Role};
use crate::capture::timeline::ImageId;
use crate::count::handshakes::{Facts, counts_for_both, host_numbers};
use crate::count::{Span, without_room};
use crate::protocol::iana::Version;
use crate::protocol::tls::Certificate;
use crate::read::faults::FaultLog;
use crate::read::{Fold, LiveBatch, LiveSink, Plan, Tally, count_blocks, count_live};
use crypto_trace_format::record::{Comm, trim_comm};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::net::IpAddr;

/// Bytes that all rows may take.
const MAX_BYTES: usize = 256 << 20;

/// Server names, and processes, of one row that are told apart.
const MAX_NAMES: usize = 64;

/// Connections that are parsed before they are counted.
const CHUNK: usize = 1_024;

/// Who presents a certificate: a process of the host that was recorded, or an address that it talked to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Presenter {
    /// Number of the host that recorded it.
    pub host: u32,
    /// As what.
    pub role: Role,
    /// Executable, or the thread's name where that is not known. None: the other end, or its process is not known.
    pub program: Option<Box<[u8]>>,
    /// Its container.
    pub container: Option<Box<[u8]>>,
    /// Address of the other end. None: this end presents it.
    pub address: Option<IpAddr>,
    /// Port of the server.
    pub port: u16,
}

/// How one presented it.
#[derive(Debug, Clone)]
pub struct Presenting {
    /// Handshakes, as this end saw them.
    pub ends: u64,
    /// Those that came after the certificate had ended.
    pub after_end: u64,
    /// Hosts that were asked for; the first few.
    pub server_names: BTreeSet<Box<[u8]>>,
    /// Processes: capture, id, start. The first few.
    pub processes: BTreeSet<(u32, u32, u64)>,
    /// There were more of either.
    pub is_cut: bool,
    /// When.
    pub span: Span,
}

/// One certificate.
#[derive(Debug, Clone)]
pub struct CertRow {
    /// What it says.
    pub certificate: Certificate,
    /// It was the first of a chain, which is whose chain it is.
    pub is_first: bool,
    /// Handshakes: one that was seen from both ends is one.
    pub handshakes: u64,
    /// By who presents it.
    pub presenters: BTreeMap<Presenter, Presenting>,
}

/// What handshakes showed of the server's certificate; each is one of these.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// It is there.
    pub shown: u64,
    /// TLS 1.3 encrypted it.
    pub hidden: u64,
    /// The recording leaves certificates out.
    pub left_out: u64,
    /// An earlier session or key went on: none is sent.
    pub resumed: u64,
    /// None was sent, or it was not seen.
    pub not_seen: u64,
    /// The server did not answer, as far as was seen.
    pub no_answer: u64,
}

impl Seen {
    fn add(&mut self, facts: &Facts, leaves_out: bool) {
        let sum = match () {
            () if facts.certificates.iter().any(|(role, _)| *role == Role::Server) => &mut self.shown,
            () if !facts.was_answered() => &mut self.no_answer,
            () if facts.resumed => &mut self.resumed,
            () if facts.version.is_some_and(Version::is_tls13) => &mut self.hidden,
            () if leaves_out => &mut self.left_out,
            () => &mut self.not_seen,
        };
        *sum += 1;
    }

    /// All of them.
    pub fn all(self) -> u64 {
        let Self { shown, hidden, left_out, resumed, not_seen, no_answer } = self;
        shown + hidden + left_out + resumed + not_seen + no_answer
    }
}

/// Whether a recording leaves certificates out.
pub fn leaves_out(capture: &Capture) -> bool {
    capture.meta.filters.iter().any(|filter| filter == "--privacy hash" || filter == "--privacy drop")
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Certs {
    /// By SHA-256.
    pub rows: BTreeMap<String, CertRow>,
    /// All handshakes, each once.
    pub seen: Seen,
    /// Certificates that were not recorded whole.
    pub incomplete: u64,
    /// The same by service, of those that were seen from the server's end.
    pub services: BTreeMap<Presenter, Seen>,
    /// Files.
    pub files: Files,
    /// Processes that did not read a file again after it changed; after [`Self::settle`].
    pub stale: Vec<Stale>,
    /// There may be more.
    pub stale_is_cut: bool,
    shown: Shown,
    passed: Vec<(u32, Passed)>,
    budget: Budget,
    tally: Tally,
}

impl Default for Certs {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            seen: Seen::default(),
            incomplete: 0,
            services: BTreeMap::new(),
            files: Files::default(),
            stale: Vec::new(),
            stale_is_cut: false,
            shown: Shown::default(),
            passed: Vec::new(),
            budget: Budget::new(MAX_BYTES),
            tally: Tally::default(),
        }
    }
}

/// One end of a handshake, and what it says.
struct End<'a> {
    host: u32,
    number: u32,
    capture: &'a Capture,
    connection: &'a Connection,
    passed: Passed,
    facts: Facts,
    /// The other end passed, too: it says for itself what it presents.
    peer_is_shown: bool,
    /// It stands for both.
    counts: bool,
}

impl End<'_> {
    /// Who presents what was sent in `role`; None: the other end, which says so itself.
    fn presenter(&self, role: Role) -> Option<Presenter> {
        let is_own = self.facts.role == Some(role);
        if !is_own && self.peer_is_shown {
            return None;
        }
        let (program, container) =
            if is_own { who(self.capture, self.passed.image, self.passed.comm.as_ref()) } else { (None, None) };
        let port = match self.facts.role {
            Some(Role::Server) => self.connection.local().port(),
            Some(Role::Client) | None => self.connection.remote().port(),
        };
        let address = (!is_own).then(|| self.connection.remote().ip());
        Some(Presenter { host: self.host, role, program, container, address, port })
    }
}

/// Bytes of the host, where they are known.
type Text = Option<Box<[u8]>>;

/// Program and container of a process. `comm`: its thread's name; None where no process is known.
fn who(capture: &Capture, image: ImageId, comm: Option<&Comm>) -> (Text, Text) {
    let Some(comm) = comm else { return (None, None) };
    let identity = capture.timeline.identity(image);
    let program = identity.exe.unwrap_or_else(|| trim_comm(comm));
    (Some(program.into()), identity.container.map(Into::into))
}

impl Presenter {
    fn held_bytes(&self) -> usize {
        [&self.program, &self.container].into_iter().flatten().map(|text| heap(text.len())).sum()
    }
}

impl Certs {
    fn add(&mut self, counted: Counted, captures: &[Capture], hosts: &[u32], faults: &mut FaultLog) {
        let Counted { origin, counter } = counted;
        self.tally += counter.tally;
        counter.problems.into_iter().for_each(|problem| faults.add(origin.segment, problem));
        let number = origin.capture;
        let Some(capture) = captures.get(number as usize) else { return };
        let host = hosts.get(number as usize).copied().unwrap_or(number);
        self.passed.extend(counter.passed.into_iter().map(|passed| (number, passed)));
        for done in counter.done {
            let (program, container) = who(capture, done.image, Some(&done.comm));
            let key = FileKey { host, container, path: done.path.clone() };
            self.files.add((key, number, program.as_deref().unwrap_or_default()), &done, &mut self.budget);
        }
    }

    /// Counts the connections that passed. Both ends of one come in one call.
    fn add_connections(&mut self, captures: &[Capture], hosts: &[u32]) {
        let passed = std::mem::take(&mut self.passed);
        let known: HashSet<(u32, u32)> = passed.iter().map(|(capture, one)| (*capture, one.connection)).collect();
        for chunk in passed.chunks(CHUNK) {
            let end = |(number, passed): &(u32, Passed)| {
                let capture = captures.get(*number as usize)?;
                let connection = capture.handshakes.connections().get(passed.connection as usize)?;
                let facts = Facts::new(connection)?;
                let peer = capture.handshakes.peer(connection).filter(|peer| known.contains(&(*number, peer.index())));
                let counts = peer.is_none_or(|peer| counts_for_both(connection, facts.role, peer));
                let host = hosts.get(*number as usize).copied().unwrap_or(*number);
                let (number, passed, peer_is_shown) = (*number, *passed, peer.is_some());
                Some(End { host, number, capture, connection, passed, facts, peer_is_shown, counts })
            };
            let ends: Vec<_> = chunk.par_iter().map(end).collect();
            ends.into_iter().flatten().for_each(|end| self.add_end(&end));
        }
    }

    fn add_end(&mut self, end: &End<'_>) {
        let leaves_out = leaves_out(end.capture);
        if end.counts {
            self.seen.add(&end.facts, leaves_out);
        }
        if end.facts.role == Some(Role::Server)
            && let Some(service) = end.presenter(Role::Server)
        {
            let bytes = 2 * (sorted::<(Presenter, Seen)>() + service.held_bytes());
            if self.services.contains_key(&service) || self.budget.take(bytes) {
                self.services.entry(service).or_default().add(&end.facts, leaves_out);
            }
            let first = end.facts.certificates.iter().find(|(role, _)| *role == Role::Server);
            let is_hidden = first.is_none() && !end.facts.resumed && end.facts.version.is_some_and(Version::is_tls13);
            let sha256 = first.and_then(|(_, certificate)| certificate.sha256.as_deref());
            if sha256.is_some() || is_hidden {
                let (image, time_ns) = (end.passed.image, end.passed.time_ns);
                let bytes = Shown::BYTES;
                self.shown.add((end.number, image), (sha256, end.connection.local().port()), time_ns, || {
                    self.budget.take(bytes)
                });
            }
        }
        let mut before = None;
        for (role, certificate) in &end.facts.certificates {
            let is_first = before.replace(*role) != Some(*role);
            self.add_certificate(end, *role, certificate, is_first);
        }
    }

    fn add_certificate(&mut self, end: &End<'_>, role: Role, certificate: &Certificate, is_first: bool) {
        let Some(sha256) = &certificate.sha256 else {
            self.incomplete += u64::from(end.counts);
            return;
        };
        if !self.rows.contains_key(sha256) {
            let bytes = 2 * sorted::<(String, CertRow)>()
                + 512
                + certificate.held_bytes()
                + first_sorted::<(Presenter, Presenting)>();
            if !self.budget.take(bytes) {
                return;
            }
        }
        let row = self.rows.entry(sha256.clone()).or_insert_with(|| CertRow {
            certificate: certificate.clone(),
            is_first,
            handshakes: 0,
            presenters: BTreeMap::new(),
        });
        row.is_first |= is_first;
        row.handshakes += u64::from(end.counts);
        let Some(presenter) = end.presenter(role) else { return };
        let is_own = presenter.address.is_none();
        let bytes = 2 * (sorted::<(Presenter, Presenting)>() + presenter.held_bytes()) + first_sorted::<Box<[u8]>>();
        if !row.presenters.contains_key(&presenter) && !self.budget.take(bytes) {
            return;
        }
        let time = end.passed.time;
        let presenting = row.presenters.entry(presenter).or_insert_with(|| Presenting::new(time));
        presenting.ends += 1;
        presenting.span.add(Span::at(time));
        let seconds = time.0.div_euclid(1_000_000_000);
        presenting.after_end += u64::from(certificate.not_after_unix.is_some_and(|end| end < seconds));
        let mut room = |bytes: usize, len: usize| len < MAX_NAMES && self.budget.take(bytes);
        if let Some(name) = &end.facts.server_name
            && !presenting.server_names.contains(name)
        {
            match room(2 * (sorted::<Box<[u8]>>() + heap(name.len())), presenting.server_names.len()) {
                true => drop(presenting.server_names.insert(name.clone())),
                false => presenting.is_cut = true,
            }
        }
        let owner = &end.connection.owner;
        let process = (end.number, owner.tgid, owner.start_ns);
        if is_own && owner.is_known() && !presenting.processes.contains(&process) {
            match room(sorted::<(u32, u32, u64)>(), presenting.processes.len()) {
                true => drop(presenting.processes.insert(process)),
                false => presenting.is_cut = true,
            }
        }
    }

    /// All is read: who did not read again what had changed.
    pub fn settle(&mut self, captures: &[Capture]) {
        let hosts = host_numbers(captures);
        (self.stale, self.stale_is_cut) = reload::stale(&self.shown, &self.files, captures, &hosts);
        self.files.rows.retain(|_, row| row.is_certificate());
    }
}

impl Presenting {
    fn new(time: WallNs) -> Self {
        Self {
            ends: 0,
            after_end: 0,
            server_names: BTreeSet::new(),
            processes: BTreeSet::new(),
            is_cut: false,
            span: Span::at(time),
        }
    }
}

impl Fold for Certs {
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) -> io::Result<()> {
        self.tally.processed += plan.skipped_records;
        let hosts = host_numbers(plan.captures);
        count_blocks::<CertCounter>(plan, faults, |counted, _, faults| {
            self.add(counted, plan.captures, &hosts, faults);
        });
        self.add_connections(plan.captures, &hosts);
        Ok(())
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn needs_all_handshakes(&self) -> bool {
        true
    }

    fn left_out(&self) -> Option<String> {
        without_room(self.budget.refused())
    }
}

impl LiveSink for Certs {
    fn remembers_processes(&self) -> bool {
        true
    }

    fn batch(&mut self, batch: LiveBatch<'_>) -> io::Result<()> {
        let LiveBatch { blocks, captures, filter, faults } = batch;
        let hosts = host_numbers(captures);
        for (counted, _) in count_live::<CertCounter>(&blocks, captures, filter) {
            self.add(counted, captures, &hosts, faults);
        }
        // They are forgotten after this.
        self.add_connections(captures, &hosts);
        Ok(())
    }
}
