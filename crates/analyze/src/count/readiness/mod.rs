//! How ready for post-quantum key exchange services and clients are: handshakes counted by who made them, with the reason why
//! each is not post-quantum.
//!
//! A row is one side of one program: a service that answers at a port, or a client of one. A connection that was seen from both
//! ends is in a row of each, and counted once in all that is said of the whole. A protocol fills [`Observed`]; all else is the same
//! for all of them.

mod cause;
mod counter;
mod program;
mod service;

pub use cause::{Cause, Kind, Observed, Protocol};
pub use program::{Aged, GroupList, ProgramFacts, Programs};
pub use service::Privacy;

use counter::{Counted, Counter, Passed};
use program::Configured;

use crate::budget::{Budget, first_sorted, heap, sorted};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::connections::Role;
use crate::capture::libraries::FileId;
use crate::capture::timeline::ImageId;
use crate::count::Span;
use crate::count::handshakes::{Exchange, counts_for_both, host_numbers};
use crate::protocol::iana::Group;
use crate::read::faults::FaultLog;
use crate::read::{Fold, LiveBatch, LiveSink, Plan, Tally, count_blocks, count_live};
use crypto_trace_format::record::{Comm, trim_comm};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::net::IpAddr;

/// Rows that are told apart.
const MAX_ROWS: usize = 50_000;

/// Bytes that all tables may take.
const MAX_BYTES: usize = 128 << 20;

/// Peers of one row that are told apart.
const MAX_PEERS: usize = 1_000;

/// Lists of groups of one row that are shown.
const MAX_LISTS: usize = 16;

/// Versions with groups of one row that are told apart: a peer may choose any number.
const MAX_AGREED: usize = 64;

/// Hours that are told apart: more than a hundred years of them are no real recording.
const MAX_HOURS: usize = 1 << 20;

/// Texts of a handshake that waits to be settled, about: a name of the service in it twice, and the client's.
const DECLINED_BYTES: usize = 1_024;

const HOUR_NS: i64 = 3_600_000_000_000;

/// Which program, and where it runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who {
    /// Number of the host.
    pub host: u32,
    /// Executable, or the thread's name where that is not known. None: no process is known.
    pub program: Option<Box<[u8]>>,
    /// The container.
    pub container: Option<Box<[u8]>>,
    /// The unit of the service manager, where there is no container.
    pub unit: Option<Box<[u8]>>,
}

/// A service, or a client of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// Who it is.
    pub who: Who,
    /// What was spoken.
    pub protocol: Protocol,
    /// Which side. None: neither hello was seen.
    pub role: Option<Role>,
    /// Port of the service. None: the role is not known.
    pub port: Option<u16>,
    /// The host that was asked for: bytes of the peer.
    pub server_name: Option<Box<[u8]>>,
}

/// What was agreed on together.
pub type Agreed = (Option<Box<str>>, Exchange);

/// Why, and what is known of how that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Why {
    /// The reason.
    pub cause: Cause,
    /// The library that made the handshake, where a call of it tells: capture and file.
    pub library: Option<(u32, FileId)>,
    /// Its process told its libraries to do without post-quantum groups: [`Row::groups`].
    pub is_configured: bool,
}

/// Handshakes of one side of one program.
#[derive(Debug, Clone)]
pub struct Row {
    /// All of them.
    pub handshakes: u64,
    /// By what they count as.
    pub causes: BTreeMap<Why, u64>,
    /// Lists of groups without post-quantum ones by which these were configured, and how many; the first few.
    pub groups: BTreeMap<GroupList, u64>,
    /// By what was agreed on.
    pub agreed: BTreeMap<Agreed, u64>,
    /// Those whose version and group did not fit.
    pub agreed_more: u64,
    /// By the address of the other end.
    pub peers: BTreeMap<IpAddr, u64>,
    /// Those with peers that did not fit.
    pub peers_more: u64,
    /// When.
    pub span: Span,
}

/// Handshakes by what they are for the share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Post-quantum.
    pub post_quantum: u64,
    /// Classical.
    pub classical: u64,
    /// Of which it is not known.
    pub unknown: u64,
    /// That went on with an earlier session or key.
    pub resumed: u64,
    /// Of which the key exchange was not seen.
    pub not_seen: u64,
    /// In which nothing was agreed on.
    pub no_agreement: u64,
}

impl Share {
    /// Adds handshakes of one cause.
    pub fn add(&mut self, cause: Cause, count: u64) {
        let sum = match cause.kind() {
            Kind::PostQuantum => &mut self.post_quantum,
            Kind::Classical => &mut self.classical,
            Kind::Unknown => &mut self.unknown,
            Kind::Resumed => &mut self.resumed,
            Kind::NotSeen => &mut self.not_seen,
            Kind::NoAgreement => &mut self.no_agreement,
        };
        *sum = sum.saturating_add(count);
    }

    /// These and others.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            post_quantum: self.post_quantum.saturating_add(other.post_quantum),
            classical: self.classical.saturating_add(other.classical),
            unknown: self.unknown.saturating_add(other.unknown),
            resumed: self.resumed.saturating_add(other.resumed),
            not_seen: self.not_seen.saturating_add(other.not_seen),
            no_agreement: self.no_agreement.saturating_add(other.no_agreement),
        }
    }

    /// All handshakes.
    pub fn all(self) -> u64 {
        let Self { post_quantum, classical, unknown, resumed, not_seen, no_agreement } = self;
        [post_quantum, classical, unknown, resumed, not_seen, no_agreement].into_iter().fold(0, u64::saturating_add)
    }

    /// Those with a key exchange that was seen: what shares are of.
    pub fn exchanges(self) -> u64 {
        [self.post_quantum, self.classical, self.unknown].into_iter().fold(0, u64::saturating_add)
    }
}

impl Row {
    fn new(at: WallNs) -> Self {
        Self {
            handshakes: 0,
            causes: BTreeMap::new(),
            groups: BTreeMap::new(),
            agreed: BTreeMap::new(),
            agreed_more: 0,
            peers: BTreeMap::new(),
            peers_more: 0,
            span: Span::at(at),
        }
    }

    /// What it adds up to.
    pub fn share(&self) -> Share {
        let mut share = Share::default();
        self.causes.iter().for_each(|(why, count)| share.add(why.cause, *count));
        share
    }

    fn add_why(&mut self, why: Why, count: u64, budget: &mut Budget) {
        let fits = self.causes.contains_key(&why) || budget.take(sorted::<(Why, u64)>());
        let why = if fits { why } else { Why { library: None, is_configured: false, ..why } };
        *self.causes.entry(why).or_default() += count;
    }
}

/// A classical handshake of a client that offered what the server may have taken from another.
struct Declined {
    row: RowKey,
    why: Why,
    parties: service::Parties,
    offered: Vec<Group>,
    /// It stands for both of its ends.
    counts: bool,
}

/// Declined handshakes that are looked through each time that something comes; of more, only at the end.
const MAX_LOOKED_THROUGH: usize = 4_096;

/// Everything that is counted.
pub struct Readiness {
    /// Rows.
    pub rows: BTreeMap<RowKey, Row>,
    /// What is known of programs.
    pub programs: Programs,
    /// All handshakes, each once.
    pub share: Share,
    /// Why they are not post-quantum, each once.
    pub causes: BTreeMap<Cause, u64>,
    /// The same by hour since 1970, UTC.
    pub hours: BTreeMap<i64, Share>,
    /// Ends of connections.
    pub ends: u64,
    /// Ends whose connection was there before the recording.
    pub late: u64,
    /// Ends that are in no row, for lack of room.
    pub without_row: u64,
    /// Rows that are new or have changed, when they are followed.
    changed: Option<BTreeSet<RowKey>>,
    configured: Configured,
    taken: service::Taken,
    declined: Vec<Declined>,
    is_cut: bool,
    budget: Budget,
    passed: Vec<(u32, Passed)>,
    tally: Tally,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            programs: BTreeMap::new(),
            share: Share::default(),
            causes: BTreeMap::new(),
            hours: BTreeMap::new(),
            ends: 0,
            late: 0,
            without_row: 0,
            changed: None,
            configured: Configured::default(),
            taken: service::Taken::default(),
            declined: Vec::new(),
            is_cut: false,
            budget: Budget::new(MAX_BYTES),
            passed: Vec::new(),
            tally: Tally::default(),
        }
    }
}

/// The unit of a cgroup: its innermost service or scope.
fn unit(cgroup: &[u8]) -> Option<&[u8]> {
    let is_unit = |part: &&[u8]| part.ends_with(b".service") || part.ends_with(b".scope");
    cgroup.split(|byte| *byte == b'/').rev().find(is_unit)
}

impl Who {
    /// Who a process is that ran `image`. `comm`: its thread's name; None where no process is known.
    fn new(host: u32, capture: &Capture, image: ImageId, comm: Option<&Comm>) -> Self {
        let Some(comm) = comm else { return Self { host, program: None, container: None, unit: None } };
        let identity = capture.timeline.identity(image);
        let program = identity.exe.unwrap_or_else(|| trim_comm(comm));
        let container = identity.container;
        let unit = identity.cgroup.filter(|_| container.is_none()).and_then(unit);
        Self { host, program: Some(program.into()), container: container.map(Into::into), unit: unit.map(Into::into) }
    }

    fn held_bytes(&self) -> usize {
        [&self.program, &self.container, &self.unit].into_iter().flatten().map(|text| heap(text.len())).sum()
    }
}

/// What is known of a program, made when there is room. Twice what it takes: it is shown, too.
fn program<'a>(programs: &'a mut Programs, who: Who, budget: &mut Budget) -> Option<&'a mut ProgramFacts> {
    if !programs.contains_key(&who) {
        let bytes = sorted::<(Who, ProgramFacts)>() + who.held_bytes() + 2 * first_sorted::<(u32, FileId)>();
        if programs.len() >= MAX_ROWS || !budget.take(bytes) {
            return None;
        }
    }
    Some(programs.entry(who).or_default())
}

impl Readiness {
    fn add(&mut self, counted: Counted, captures: &[Capture], hosts: &[u32], faults: &mut FaultLog) {
        let Counted { origin, counter } = counted;
        self.tally += counter.tally;
        counter.problems.into_iter().for_each(|problem| faults.add(origin.segment, problem));
        let number = origin.capture;
        let Some(capture) = captures.get(number as usize) else { return };
        let host = hosts.get(number as usize).copied().unwrap_or(number);
        self.passed.extend(counter.passed.into_iter().map(|passed| (number, passed)));
        // A table of hashes has no order of its own.
        let mut loads: Vec<_> = counter.loads.into_iter().collect();
        loads.sort_unstable();
        for ((image, comm, file), path) in loads {
            let who = Who::new(host, capture, image, Some(&comm));
            match program(&mut self.programs, who, &mut self.budget) {
                Some(program) => program.load(capture, number, (file, &path), &mut self.budget),
                None => self.is_cut = true,
            }
        }
        let mut groups: Vec<_> = counter.groups.into_iter().collect();
        groups.sort_unstable();
        for (image, list) in groups {
            if let Some(process) = capture.timeline.process_of(image) {
                self.is_cut |= !self.configured.add((number, process), list, &mut self.budget);
            }
        }
    }

    /// Counts the connections that passed. Both ends of one come in one call.
    fn add_connections(&mut self, captures: &[Capture], hosts: &[u32]) {
        let passed = std::mem::take(&mut self.passed);
        let known: HashSet<(u32, u32)> = passed.iter().map(|(capture, one)| (*capture, one.connection)).collect();
        for (number, one) in passed {
            let Some(capture) = captures.get(number as usize) else { continue };
            let Some(connection) = capture.handshakes.connections().get(one.connection as usize) else { continue };
            let host = hosts.get(number as usize).copied().unwrap_or(number);
            let privacy = Privacy::of(capture);
            let mut observed = Observed::new(connection);
            if privacy == Privacy::Drop {
                // Zeros stand for it.
                observed.server_name = None;
            }
            let peer = capture.handshakes.peer(connection);
            let shown_peer = peer.filter(|peer| known.contains(&(number, peer.index())));
            let counts = shown_peer.is_none_or(|peer| counts_for_both(connection, observed.role, peer));
            self.ends += 1;
            self.late += u64::from(connection.late);
            if counts {
                self.count_once(observed.cause, one.time, 1);
            }
            let origin = service::Origin { host, capture: number, privacy };
            let name = observed.server_name.as_deref();
            let matters = observed.taken.is_some() || observed.cause == Cause::ServerChoseAnother;
            let parties = matters.then(|| service::Parties::of(origin, connection, peer, (observed.role, name)));
            let is_own =
                observed.role.is_some_and(|role| observed.cause.is_for_want_of_groups(observed.protocol, role));
            let lists = capture
                .timeline
                .process_of(one.image)
                .filter(|_| is_own)
                .and_then(|process| self.configured.without_post_quantum((number, capture), process, one.time_ns));
            let lists: Vec<GroupList> = lists.into_iter().flatten().cloned().collect();
            let library = capture.calls.of(connection.cookie()).map(|call| (number, call.library));
            let why = Why { cause: observed.cause, library, is_configured: !lists.is_empty() };
            let port = observed.role.map(|role| match role {
                Role::Client => connection.remote().port(),
                Role::Server => connection.local().port(),
            });
            let key = RowKey {
                who: Who::new(host, capture, one.image, one.comm.as_ref()),
                protocol: observed.protocol,
                role: observed.role,
                port,
                server_name: observed.server_name.take(),
            };
            match (observed.taken, parties.flatten()) {
                (Some(group), Some(parties)) => {
                    self.is_cut |= !self.taken.add(parties, group, &mut self.budget);
                }
                (None, Some(parties)) => {
                    let bytes = size_of::<Declined>() * 3 / 2 + key.who.held_bytes() + DECLINED_BYTES;
                    if self.budget.take(bytes) {
                        let offered = std::mem::take(&mut observed.offered);
                        self.declined.push(Declined { row: key.clone(), why, parties, offered, counts });
                    } else {
                        self.is_cut = true;
                    }
                }
                (_, None) => {}
            }
            self.add_end(key, observed, connection.remote().ip(), (why, lists), one.time);
        }
    }

    fn count_once(&mut self, cause: Cause, time: WallNs, count: u64) {
        self.share.add(cause, count);
        *self.causes.entry(cause).or_default() += count;
        let hour = time.0.div_euclid(HOUR_NS);
        if self.hours.contains_key(&hour) || self.hours.len() < MAX_HOURS && self.budget.take(sorted::<(i64, Share)>())
        {
            self.hours.entry(hour).or_default().add(cause, count);
        } else {
            self.is_cut = true;
        }
    }

    fn add_end(
        &mut self,
        key: RowKey,
        observed: Observed,
        peer: IpAddr,
        (why, lists): (Why, Vec<GroupList>),
        time: WallNs,
    ) {
        if !self.rows.contains_key(&key) {
            let name = key.server_name.as_ref().map_or(0, |name| name.len());
            let held = key.who.held_bytes() + heap(name);
            // It is shown, too, and may be among those that changed.
            let bytes = (2 + usize::from(self.changed.is_some())) * (sorted::<(RowKey, Row)>() + held)
                + first_sorted::<(Why, u64)>()
                + first_sorted::<(Agreed, u64)>()
                + first_sorted::<(IpAddr, u64)>();
            if self.rows.len() >= MAX_ROWS || !self.budget.take(bytes) {
                self.without_row += 1;
                return;
            }
        }
        if let Some(changed) = &mut self.changed {
            changed.insert(key.clone());
        }
        let row = self.rows.entry(key).or_insert_with(|| Row::new(time));
        row.handshakes += 1;
        row.span.add(Span::at(time));
        row.add_why(why, 1, &mut self.budget);
        for list in lists {
            let bytes = 2 * (sorted::<(GroupList, u64)>() + heap(list.function.len()) + heap(list.text.len()));
            let room = row.groups.len() < MAX_LISTS;
            if row.groups.contains_key(&list) || room && self.budget.take(bytes) {
                *row.groups.entry(list).or_default() += 1;
            }
        }
        let room = row.peers.len() < MAX_PEERS;
        if row.peers.contains_key(&peer) || room && self.budget.take(2 * sorted::<(IpAddr, u64)>()) {
            *row.peers.entry(peer).or_default() += 1;
        } else {
            row.peers_more += 1;
        }
        if observed.cause == Cause::NoAgreement {
            return;
        }
        let agreed = (observed.version, observed.exchange);
        let room = row.agreed.len() < MAX_AGREED;
        if row.agreed.contains_key(&agreed) || room && self.budget.take(2 * (sorted::<(Agreed, u64)>() + heap(64))) {
            *row.agreed.entry(agreed).or_default() += 1;
        } else {
            row.agreed_more += 1;
        }
    }

    /// Nothing yet, and what changes is known.
    pub fn following() -> Self {
        Self { changed: Some(BTreeSet::new()), ..Self::default() }
    }

    /// Keys of rows that are new or have changed since this was asked last.
    pub fn take_changed(&mut self) -> BTreeSet<RowKey> {
        self.changed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What servers took from others by now is known, as long as there is little to look through.
    pub fn settle_so_far(&mut self) {
        if self.declined.len() <= MAX_LOOKED_THROUGH {
            self.settle();
        }
    }

    /// All connections are in, or all that there are by now: what servers took from others is known.
    pub fn settle(&mut self) {
        let mut rest = Vec::new();
        for declined in std::mem::take(&mut self.declined) {
            if !self.taken.is_from_another(&declined.parties.service, &declined.parties.client, &declined.offered) {
                rest.push(declined);
                continue;
            }
            let Declined { row, why, counts, .. } = declined;
            if let Some(changed) = self.changed.as_mut().filter(|_| self.rows.contains_key(&row)) {
                changed.insert(row.clone());
            }
            if let Some(row) = self.rows.get_mut(&row) {
                // There may have been no room for the rest.
                let bare = Why { library: None, is_configured: false, ..why };
                let from = if row.causes.contains_key(&why) { why } else { bare };
                if let Some(count) = row.causes.get_mut(&from) {
                    *count -= 1;
                    row.causes.retain(|_, count| *count > 0);
                    row.add_why(Why { cause: Cause::ServerDeclined, ..from }, 1, &mut self.budget);
                }
            }
            if let Some(count) = self.causes.get_mut(&Cause::ServerChoseAnother).filter(|count| counts && **count > 0) {
                *count -= 1;
                *self.causes.entry(Cause::ServerDeclined).or_default() += 1;
            }
        }
        // Others may take it yet.
        self.declined = rest;
        self.causes.retain(|_, count| *count > 0);
    }
}

impl Fold for Readiness {
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) -> io::Result<()> {
        self.tally.processed += plan.skipped_records;
        let hosts = host_numbers(plan.captures);
        count_blocks::<Counter>(plan, faults, |counted, _, faults| self.add(counted, plan.captures, &hosts, faults));
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
        let cut = self.is_cut || self.without_row > 0;
        cut.then(|| "too many services, clients or peers: some rows or reasons are missing".to_owned())
    }
}

impl LiveSink for Readiness {
    fn remembers_processes(&self) -> bool {
        true
    }

    fn batch(&mut self, batch: LiveBatch<'_>) -> io::Result<()> {
        let LiveBatch { blocks, captures, filter, faults } = batch;
        let hosts = host_numbers(captures);
        for (counted, _) in count_live::<Counter>(&blocks, captures, filter) {
            self.add(counted, captures, &hosts, faults);
        }
        // They are forgotten after this.
        self.add_connections(captures, &hosts);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::unit;

    #[test]
    fn the_unit_of_a_cgroup_is_its_innermost_service_or_scope() {
        let check = |cgroup: &str, expected: Option<&str>| {
            assert_eq!(unit(cgroup.as_bytes()), expected.map(str::as_bytes), "{cgroup}");
        };
        check("/system.slice/nginx.service", Some("nginx.service"));
        check("/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope/x", Some("a.scope"));
        check("/user.slice", None);
        check("", None);
    }
}
