//! Handshakes put together from the packets that hold them, whatever their protocol.
//!
//! A `tls_hello` record is a piece of one direction of one socket's stream. Here pieces become [`Connection`]s, one for
//! each end of a connection that was seen, with the process that owns it as far as any piece tells. What they say is
//! parsed when it is shown, see [`Connection::view`]. A connection is shown in place of its earliest record.

mod owner;
mod parts;
mod side;

pub use crate::protocol::{Outcome, Role, View};
pub use owner::{Owner, OwnerSource};
pub use side::Side;

use crate::protocol::Ends;
use crypto_trace_format::record::{
    Direction, Header, IkeHandshake, Kind, Protocol, SshHandshake, TlsHello, WireguardHandshake, hello_state,
};
use foldhash::fast::RandomState;
use parts::Parts;
use side::Piece;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;

/// Bytes of hellos that are kept; some 100,000 connections.
const MAX_BYTES: usize = 256 << 20;

/// Bytes of hellos whose parsed form is kept, of some 5,000 connections; those of others are parsed whenever they are asked for.
/// What is parsed may take many times as much: a name of one byte is an allocation.
const MAX_VIEWED_BYTES: usize = 8 << 20;

/// What a connection takes besides its hellos, about.
const CONNECTION_BYTES: usize = 512;

/// Segment number of records that stand for connections in a live run; no real one has it.
pub const LIVE_SEGMENT: u32 = u32::MAX;

/// How long a live reader waits for the rest of a handshake after its last packet, ns.
const LIVE_PATIENCE_NS: u64 = 300_000_000;

/// How long it waits for an answer.
const LIVE_ANSWER_NS: u64 = 5_000_000_000;

/// Other sockets with the same addresses that are looked at, before and after, to find a connection's other end.
const MAX_CANDIDATES: usize = 16;

/// Connections that were shown and may still have late packets.
const MAX_SHOWN: usize = 1 << 20;

/// In the offset of what came by another flow than the connection began in: behind all that came by that one.
const ELSEWHERE: u32 = 1 << 30;

/// As what connections are shown, each protocol's.
pub const KINDS: [Kind; 4] = [TlsHello::KIND, SshHandshake::KIND, IkeHandshake::KIND, WireguardHandshake::KIND];

/// Which socket, and which of its connections if it was used for several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    cookie: u64,
    net_ns: u32,
    ends: (SocketAddr, SocketAddr),
    /// Which of the connections between these ends, where each datagram says which it is of.
    part: u32,
}

/// A protocol, and what reads it.
type Reads = (Protocol, fn(&Ends<'_>) -> View);

/// One end of a connection.
#[derive(Debug)]
pub struct Connection {
    key: Key,
    reads: Reads,
    /// Its process.
    pub owner: Owner,
    /// What this end sent.
    pub sent: Side,
    /// What it received.
    pub received: Side,
    /// It was there before the capture.
    pub late: bool,
    /// There was more than the capture keeps.
    pub cut: bool,
    /// Which side of the TCP connection it is, by the records.
    opened_by: Option<Role>,
    /// It was accepted by a process that was not selected, from the socket of one that was: it is not shown.
    taken: bool,
    /// Time, segment and number of its earliest record.
    first: (u64, u32, u64),
    last_ns: u64,
    /// When it was found: the place of the record that was read first.
    found: Found,
    bytes: usize,
    /// Its earliest record, in a live run.
    record: Vec<u8>,
    /// In a live run, from when on it need not be waited for; None when that must be found out anew.
    ready_from_ns: Option<u64>,
    /// What it says, when it was asked, if that is kept.
    viewed: OnceLock<Box<View>>,
    keeps_view: bool,
}

/// Both ends, then time and number of the connection: those next to each other may be the two ends of one.
type Found = ((SocketAddr, SocketAddr), u64, u32);

impl Connection {
    /// What its hellos say.
    pub fn view(&self) -> Cow<'_, View> {
        let read = || (self.reads.1)(&self.ends());
        if self.keeps_view { Cow::Borrowed(self.viewed.get_or_init(|| Box::new(read()))) } else { Cow::Owned(read()) }
    }

    fn ends(&self) -> Ends<'_> {
        Ends { sent: self.sent.said(), received: self.received.said(), opened_by: self.opened_by }
    }

    /// Makes a record's header one of this connection's process, and of the kind that it is shown as.
    pub fn put_into(&self, header: &mut Header) {
        self.owner.put_into(header);
        header.kind = self.kind().0;
    }

    /// Whether `other`, whose addresses fit, may be the other end of this: what one sent, the other received. The same addresses
    /// may be in several network namespaces, and the same ports be used again.
    fn may_face(&self, other: &Self) -> bool {
        if other.key.cookie == self.key.cookie {
            return false;
        }
        let is_there = if self.reads.0.is_in_datagrams() { Side::shares_datagram } else { Side::is_beginning_of };
        let said = [is_there(&self.sent, &other.received), is_there(&other.sent, &self.received)];
        said.contains(&Some(true)) || !said.contains(&Some(false))
    }

    /// What it is shown as.
    pub fn kind(&self) -> Kind {
        match self.reads.0 {
            Protocol::SSH => SshHandshake::KIND,
            Protocol::IKE => IkeHandshake::KIND,
            Protocol::WIREGUARD => WireguardHandshake::KIND,
            _ => TlsHello::KIND,
        }
    }

    /// Which protocol its hellos are of.
    pub fn protocol(&self) -> Protocol {
        self.reads.0
    }

    /// Address and port of this end.
    pub fn local(&self) -> SocketAddr {
        self.key.ends.0
    }

    /// Address and port of the other end.
    pub fn remote(&self) -> SocketAddr {
        self.key.ends.1
    }

    /// `SO_COOKIE` of the socket.
    pub fn cookie(&self) -> u64 {
        self.key.cookie
    }

    /// Inode number of its network namespace.
    pub fn net_ns(&self) -> u32 {
        self.key.net_ns
    }

    /// Time of its earliest record, by the clock of the records.
    pub fn first_ns(&self) -> u64 {
        self.first.0
    }

    /// Time of its latest record, by the clock of the records.
    pub fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// Whether no record that is not here can change what is shown of it: it was seen from its beginning, and its handshake is
    /// over.
    pub fn is_settled(&self) -> bool {
        let view = || self.view();
        self.is_sent_by_owner()
            && (self.reads.0.is_in_datagrams() || self.sent.has_beginning() && self.received.has_beginning())
            && view().outcome() != Outcome::None
            && !view().may_go_on()
    }

    /// Whether its process is known as well as can be.
    pub fn is_sent_by_owner(&self) -> bool {
        self.owner.source == OwnerSource::Sender
    }

    /// Its number in [`Handshakes::connections`].
    pub fn index(&self) -> u32 {
        self.found.2
    }

    /// From when on a live reader need not wait for more of it.
    fn ready_from_ns(&self) -> u64 {
        let view = self.view();
        if view.outcome() == Outcome::None {
            return self.last_ns.saturating_add(LIVE_ANSWER_NS);
        }
        let patience_ns = if view.may_go_on() { LIVE_PATIENCE_NS } else { 0 };
        self.last_ns.saturating_add(patience_ns)
    }
}

/// The connections of one capture.
#[derive(Debug)]
pub struct Handshakes {
    list: Vec<Connection>,
    by_key: HashMap<Key, u32, RandomState>,
    by_ends: BTreeSet<Found>,
    by_record: HashMap<(u32, u64), u32, RandomState>,
    shown: HashSet<Key, RandomState>,
    parts: Parts,
    bytes: usize,
    max_bytes: usize,
    seen: u64,
    /// The same of each protocol, by code.
    seen_of: BTreeMap<u16, u64>,
    taken: u64,
    refused: u64,
    of_unknown_protocols: u64,
    /// Some were not read, because nobody asks for them.
    pub skipped: bool,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self::new(MAX_BYTES)
    }
}

impl Handshakes {
    /// None yet. They may take about `max_bytes` of memory; what is beyond is left out and counted.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            list: Vec::new(),
            by_key: HashMap::default(),
            by_ends: BTreeSet::new(),
            by_record: HashMap::default(),
            shown: HashSet::default(),
            parts: Parts::default(),
            bytes: 0,
            max_bytes,
            seen: 0,
            seen_of: BTreeMap::new(),
            taken: 0,
            refused: 0,
            of_unknown_protocols: 0,
            skipped: false,
        }
    }

    /// Takes in one record, which is `number` of `segment`.
    pub fn add(&mut self, header: &Header, hello: &TlsHello<'_>, segment: u32, number: u64) {
        let protocol = Protocol(hello.fixed.protocol);
        let Some(reader) = View::reader(protocol) else {
            self.of_unknown_protocols += 1;
            return;
        };
        let mut key = key(hello);
        let flow = (key.cookie, key.ends);
        (key.cookie, key.ends) = self.parts.begin_in(flow, key.net_ns, hello);
        // Datagrams are numbered in each flow.
        let elsewhere = if (key.cookie, key.ends) == flow { 0 } else { ELSEWHERE };
        key.part = self.parts.enter((key.cookie, key.ends), hello, header.time_ns);
        let index = match self.by_key.get(&key) {
            Some(index) => *index,
            None if self.shown.contains(&key) => return,
            None => {
                if self.bytes.saturating_add(CONNECTION_BYTES) > self.max_bytes {
                    self.refused += 1;
                    return;
                }
                self.insert(key, (protocol, reader), header.time_ns, segment, number)
            }
        };
        let Some(connection) = self.list.get_mut(index as usize) else { return };
        if connection.reads.0 != protocol {
            // No capture of ours records two protocols of one connection: no parser is given the bytes of another.
            connection.cut = true;
            return;
        }
        let fixed = &hello.fixed;
        let source = OwnerSource::new(fixed.owner);
        if source > connection.owner.source {
            connection.owner = Owner::new(header, source);
        }
        connection.first = connection.first.min((header.time_ns, segment, number));
        connection.last_ns = connection.last_ns.max(header.time_ns);
        connection.late |= fixed.state & hello_state::LATE != 0;
        connection.cut |= fixed.state & hello_state::CUT != 0;
        connection.taken |= fixed.state & hello_state::TAKEN != 0;
        if fixed.state & hello_state::CONNECTED != 0 {
            connection.opened_by = Some(Role::Client);
        } else if fixed.state & hello_state::ACCEPTED != 0 {
            connection.opened_by = Some(Role::Server);
        }
        connection.ready_from_ns = None;
        connection.viewed.take();
        let side = if fixed.direction == Direction::SENT.0 { &mut connection.sent } else { &mut connection.received };
        let len = hello.data.len();
        let mut bytes = 0;
        if self.bytes.saturating_add(len) > self.max_bytes {
            self.refused += 1;
            connection.cut = true;
        } else if side.has_room(len) {
            bytes += side.add(Piece {
                offset: fixed.offset | elsewhere,
                time_ns: header.time_ns,
                after_gap: fixed.state & hello_state::GAP != 0,
                data: hello.data.into(),
            });
        } else {
            connection.cut = true;
        }
        if segment == LIVE_SEGMENT && connection.record.is_empty() {
            hello.encode(*header, &mut connection.record);
            bytes += connection.record.len();
        }
        connection.bytes += bytes;
        self.bytes += bytes;
    }

    fn insert(&mut self, key: Key, reads: Reads, time_ns: u64, segment: u32, number: u64) -> u32 {
        let index = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.bytes += CONNECTION_BYTES;
        self.seen += 1;
        *self.seen_of.entry(reads.0.0).or_default() += 1;
        let found = (key.ends, time_ns, index);
        self.list.push(Connection {
            key,
            reads,
            owner: Owner::default(),
            sent: Side::default(),
            received: Side::default(),
            late: false,
            cut: false,
            opened_by: None,
            taken: false,
            first: (time_ns, segment, number),
            last_ns: time_ns,
            found,
            bytes: CONNECTION_BYTES,
            record: Vec::new(),
            ready_from_ns: None,
            viewed: OnceLock::new(),
            keeps_view: false,
        });
        self.by_key.insert(key, index);
        self.by_ends.insert(found);
        index
    }

    /// All records are in: notes where connections are shown.
    pub fn finish(&mut self) {
        self.keep_views();
        self.by_record = (0u32..)
            .zip(&self.list)
            .filter(|(_, connection)| !connection.taken)
            .map(|(index, connection)| ((connection.first.1, connection.first.2), index))
            .collect();
    }

    /// What connections say is kept once it was parsed, as far as there is room.
    fn keep_views(&mut self) {
        let mut room = MAX_VIEWED_BYTES;
        for connection in &mut self.list {
            let left = room.checked_sub(connection.bytes);
            room = left.unwrap_or(0);
            connection.keeps_view = left.is_some();
            if !connection.keeps_view {
                connection.viewed.take();
            }
        }
    }

    /// The connection that is shown in place of record `number` of `segment`.
    #[inline]
    pub fn shown_at(&self, segment: u32, number: u64) -> Option<&Connection> {
        self.list.get(*self.by_record.get(&(segment, number))? as usize)
    }

    /// Segments and numbers of the records at which connections of these processes are shown; `tgids` is sorted.
    pub fn shown_of(&self, tgids: &[u32]) -> Vec<(u32, u64)> {
        let of = |connection: &Connection| tgids.binary_search(&connection.owner.tgid).is_ok();
        let shown = self.by_record.iter().filter(|(_, index)| self.list.get(**index as usize).is_some_and(of));
        let mut places: Vec<(u32, u64)> = shown.map(|(place, _)| *place).collect();
        places.sort_unstable();
        places
    }

    /// The connection that a record is a piece of.
    pub fn of_piece(&self, header: &Header, hello: &TlsHello<'_>) -> Option<&Connection> {
        let mut key = key(hello);
        (key.cookie, key.ends) = self.parts.began_in((key.cookie, key.ends), key.net_ns, hello);
        key.part = self.parts.of((key.cookie, key.ends), hello, header.time_ns);
        self.list.get(*self.by_key.get(&key)? as usize)
    }

    /// The other end of a connection, when it was seen too: on loopback, or between containers.
    pub fn peer(&self, connection: &Connection) -> Option<&Connection> {
        let (local, remote) = connection.key.ends;
        let ends = (remote, local);
        let time_ns = connection.found.1;
        let is_other = |found: &&Found| self.list.get(found.2 as usize).is_some_and(|other| connection.may_face(other));
        let nearest = |range: &mut dyn Iterator<Item = &Found>| range.take(MAX_CANDIDATES).find(is_other).copied();
        let before = nearest(&mut self.by_ends.range((ends, 0, 0)..(ends, time_ns, 0)).rev());
        let after = nearest(&mut self.by_ends.range((ends, time_ns, 0)..=(ends, u64::MAX, u32::MAX)));
        let found = [after, before].into_iter().flatten().min_by_key(|found| found.1.abs_diff(time_ns))?;
        self.list.get(found.2 as usize)
    }

    /// All connections, in the order they were found.
    pub fn connections(&self) -> &[Connection] {
        &self.list
    }

    /// How many connections there were, also those that were shown and forgotten since.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The same of one protocol.
    pub fn seen_of(&self, protocol: Protocol) -> u64 {
        self.seen_of.get(&protocol.0).copied().unwrap_or(0)
    }

    /// How many of them are not shown, because others accepted them than those that the recording is of.
    pub fn taken(&self) -> u64 {
        self.taken + self.list.iter().filter(|connection| connection.taken).count() as u64
    }

    /// Records that were left out, because there was no more room.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Records that were left out, because they are of protocols that this version does not know.
    pub fn of_unknown_protocols(&self) -> u64 {
        self.of_unknown_protocols
    }

    /// The records that stand for connections which a live reader need not wait for; the n-th has number n. Both ends of a
    /// connection are given together, so that they can name each other and are counted as one. `call_may_come` says of a
    /// socket that its library may yet tell of it.
    pub fn take_ready(&mut self, now_ns: u64, at_end: bool, call_may_come: impl Fn(u64) -> bool) -> Vec<u8> {
        let mut records = Vec::new();
        self.by_record.clear();
        let taken = self.list.iter().filter(|connection| connection.taken).map(Connection::index).collect();
        self.forget(&taken);
        self.taken += taken.len() as u64;
        // What is parsed to see whether it is ready is not parsed again to be shown.
        self.keep_views();
        for connection in &mut self.list {
            if connection.ready_from_ns.is_none() {
                connection.ready_from_ns = Some(connection.ready_from_ns());
            }
        }
        let is_ready = |connection: &Connection| {
            let patient_ns = connection.last_ns.saturating_add(LIVE_PATIENCE_NS);
            connection.ready_from_ns.is_some_and(|from_ns| now_ns >= from_ns)
                && (now_ns >= patient_ns || !call_may_come(connection.key.cookie))
        };
        let mut ready = Vec::new();
        for connection in &self.list {
            if at_end || is_ready(connection) && self.peer(connection).is_none_or(is_ready) {
                ready.push(connection.index());
                records.extend_from_slice(&connection.record);
            }
        }
        self.by_record = (0u64..).zip(ready).map(|(number, index)| ((LIVE_SEGMENT, number), index)).collect();
        records
    }

    /// Forgets what [`Self::take_ready`] gave: it has been shown.
    pub fn forget_ready(&mut self) {
        let shown = self.by_record.drain().map(|(_, index)| index).collect();
        self.forget(&shown);
    }

    /// Forgets these, by number; more of them is not shown either.
    fn forget(&mut self, shown: &HashSet<u32, RandomState>) {
        if shown.is_empty() {
            return;
        }
        if self.shown.len() > MAX_SHOWN {
            self.shown.clear();
        }
        let old = std::mem::take(&mut self.list);
        self.by_key.clear();
        self.by_ends.clear();
        for (index, mut connection) in (0u32..).zip(old) {
            if shown.contains(&index) {
                self.bytes = self.bytes.saturating_sub(connection.bytes);
                self.shown.insert(connection.key);
            } else {
                let index = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
                self.by_key.insert(connection.key, index);
                connection.found.2 = index;
                self.by_ends.insert(connection.found);
                self.list.push(connection);
            }
        }
    }
}

fn key(hello: &TlsHello<'_>) -> Key {
    let fixed = &hello.fixed;
    let address = |bytes: [u8; 16]| match fixed.family {
        2 => {
            let [a, b, c, d, ..] = bytes;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => IpAddr::V6(Ipv6Addr::from(bytes)),
    };
    let local = SocketAddr::new(address(fixed.local_addr), fixed.local_port);
    let remote = SocketAddr::new(address(fixed.remote_addr), fixed.remote_port);
    Key { cookie: fixed.cookie, net_ns: fixed.net_ns, ends: (local, remote), part: 0 }
}

#[cfg(test)]
mod tests;
