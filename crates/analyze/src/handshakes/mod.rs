//! TLS handshakes put together from the packets that hold them.
//!
//! A `tls_hello` record is a piece of one direction of one socket's stream. Here pieces become [`Connection`]s, one for
//! each end of a connection that was seen, with the process that owns it as far as any piece tells. What they say is
//! parsed when it is shown, see [`Connection::view`]. A connection is shown in place of its earliest record.

mod fields;
mod view;

pub use view::{Outcome, Role, View};

use crypto_trace_format::record::{Comm, Header, TlsHello, flags};
use foldhash::fast::RandomState;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of hellos that are kept; some 100,000 connections.
const MAX_BYTES: usize = 256 << 20;

/// Pieces and bytes that are kept of one direction: more than the capture records of any.
const MAX_PIECES: usize = 64;
const MAX_SIDE_BYTES: usize = 64 << 10;

/// What a connection takes besides its hellos, about.
const CONNECTION_BYTES: usize = 512;

/// Segment number of records that stand for connections in a live run; no real one has it.
pub const LIVE_SEGMENT: u32 = u32::MAX;

/// How long a live reader waits for the rest of a handshake after its last packet, ns.
const LIVE_PATIENCE_NS: u64 = 300_000_000;

/// How long it waits for an answer.
const LIVE_ANSWER_NS: u64 = 5_000_000_000;

/// Connections that were shown and may still have late packets.
const MAX_SHOWN: usize = 1 << 20;

/// How a socket's process is known, from least to best.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnerSource {
    /// It is not.
    #[default]
    Unknown,
    /// It opened the listening socket.
    Listener,
    /// It connected the socket.
    Connect,
    /// It sent an earlier packet.
    Earlier,
    /// It sent a packet of the handshake.
    Sender,
}

impl OwnerSource {
    fn new(code: u16) -> Self {
        match code {
            1 => Self::Sender,
            2 => Self::Connect,
            3 => Self::Listener,
            4 => Self::Earlier,
            _ => Self::Unknown,
        }
    }

    /// As events tell it.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Listener => Some("listened"),
            Self::Connect => Some("connected"),
            Self::Earlier | Self::Sender => Some("sent"),
        }
    }
}

/// The process that owns a socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owner {
    /// How it is known.
    pub source: OwnerSource,
    /// Process id.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
    /// Start of the process, boot time.
    pub start_ns: u64,
    uid: u32,
    gid: u32,
    comm: Comm,
    /// `start_ns` is rounded down.
    start_is_tick: bool,
}

impl Owner {
    fn new(header: &Header, source: OwnerSource) -> Self {
        let Header { tgid, tid, start_ns, uid, gid, comm, .. } = *header;
        let start_is_tick = header.flags & flags::START_IS_TICK != 0;
        Self { source, tgid, tid, start_ns, uid, gid, comm, start_is_tick }
    }

    /// Makes a record's header one of this process.
    pub fn put_into(&self, header: &mut Header) {
        let Self { tgid, tid, start_ns, uid, gid, comm, .. } = *self;
        let tick = if self.start_is_tick { flags::START_IS_TICK } else { 0 };
        let flags = header.flags & !flags::START_IS_TICK | tick;
        *header = Header { tgid, tid, start_ns, uid, gid, comm, flags, ..*header };
    }

    /// Name of the thread.
    pub fn comm(&self) -> &[u8] {
        crypto_trace_format::record::trim_comm(&self.comm)
    }
}

/// Bytes of one direction at a place in its stream.
#[derive(Debug)]
struct Piece {
    offset: u32,
    time_ns: u64,
    /// Packets are missing before it.
    after_gap: bool,
    data: Box<[u8]>,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Side {
    pieces: Vec<Piece>,
}

impl Side {
    /// Takes in a piece; false when there is no room for it.
    fn add(&mut self, piece: Piece) -> bool {
        let bytes: usize = self.pieces.iter().map(|piece| piece.data.len()).sum();
        if self.pieces.len() >= MAX_PIECES || bytes + piece.data.len() > MAX_SIDE_BYTES {
            return false;
        }
        let at = self.pieces.partition_point(|other| (other.offset, other.time_ns) <= (piece.offset, piece.time_ns));
        self.pieces.insert(at, piece);
        true
    }

    /// The TLS records in order, and whether some are missing. What capture left out between them on purpose are whole
    /// records.
    fn assemble(&self) -> (Vec<u8>, bool) {
        let mut bytes: Vec<u8> = Vec::new();
        let mut end = 0u32;
        for piece in &self.pieces {
            if piece.after_gap {
                return (bytes, true);
            }
            // The same bytes again: a retransmission that both were seen of.
            let known = usize::try_from(end.saturating_sub(piece.offset)).unwrap_or(usize::MAX);
            bytes.extend_from_slice(piece.data.get(known..).unwrap_or_default());
            end = end.max(piece.offset.saturating_add(u32::try_from(piece.data.len()).unwrap_or(u32::MAX)));
        }
        (bytes, false)
    }

    /// When its first bytes were seen, boot time.
    fn first_ns(&self) -> Option<u64> {
        self.pieces.iter().map(|piece| piece.time_ns).min()
    }

    /// Where in the stream they are.
    fn first_offset(&self) -> u32 {
        self.pieces.first().map_or(0, |piece| piece.offset)
    }
}

/// Which socket, and which of its connections if it was used for several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    cookie: u64,
    net_ns: u32,
    ends: (SocketAddr, SocketAddr),
}

/// One end of a connection.
#[derive(Debug)]
pub struct Connection {
    key: Key,
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
    /// Time, segment and number of its earliest record.
    first: (u64, u32, u64),
    last_ns: u64,
    bytes: usize,
    /// Its earliest record, in a live run.
    record: Vec<u8>,
}

impl Connection {
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

    /// Whether a live reader need not wait for more of it.
    fn is_ready(&self, now_ns: u64) -> bool {
        let view = self.view();
        if view.outcome == Outcome::None {
            return now_ns.saturating_sub(self.last_ns) > LIVE_ANSWER_NS;
        }
        let version = view.negotiated.as_ref().and_then(|negotiated| negotiated.version);
        version.is_some_and(crate::registry::Version::is_tls13)
            || now_ns.saturating_sub(self.last_ns) > LIVE_PATIENCE_NS
    }
}

/// The connections of one capture.
#[derive(Debug)]
pub struct Handshakes {
    list: Vec<Connection>,
    by_key: HashMap<Key, u32, RandomState>,
    by_ends: HashMap<(SocketAddr, SocketAddr), Vec<u32>, RandomState>,
    by_record: HashMap<(u32, u64), u32, RandomState>,
    shown: HashSet<Key, RandomState>,
    bytes: usize,
    max_bytes: usize,
    refused: u64,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            by_key: HashMap::default(),
            by_ends: HashMap::default(),
            by_record: HashMap::default(),
            shown: HashSet::default(),
            bytes: 0,
            max_bytes: MAX_BYTES,
            refused: 0,
        }
    }
}

impl Handshakes {
    /// Takes in one record, which is `number` of `segment`.
    pub fn add(&mut self, header: &Header, hello: &TlsHello<'_>, segment: u32, number: u64) {
        let key = key(hello);
        let index = match self.by_key.get(&key) {
            Some(index) => *index,
            None if self.shown.contains(&key) => return,
            None => {
                if self.bytes > self.max_bytes {
                    self.refused += 1;
                    return;
                }
                self.insert(key, header.time_ns, segment, number)
            }
        };
        let Some(connection) = self.list.get_mut(index as usize) else { return };
        let fixed = &hello.fixed;
        let source = OwnerSource::new(fixed.owner);
        if source > connection.owner.source {
            connection.owner = Owner::new(header, source);
        }
        connection.first = connection.first.min((header.time_ns, segment, number));
        connection.last_ns = connection.last_ns.max(header.time_ns);
        connection.late |= fixed.state & 4 != 0;
        connection.cut |= fixed.state & 2 != 0;
        let side = if fixed.direction == 1 { &mut connection.sent } else { &mut connection.received };
        let kept = side.add(Piece {
            offset: fixed.offset,
            time_ns: header.time_ns,
            after_gap: fixed.state & 1 != 0,
            data: hello.data.into(),
        });
        connection.cut |= !kept;
        if kept {
            let bytes = hello.data.len() + size_of::<Piece>();
            connection.bytes += bytes;
            self.bytes += bytes;
        }
        if segment == LIVE_SEGMENT && connection.record.is_empty() {
            hello.encode(*header, &mut connection.record);
        }
    }

    fn insert(&mut self, key: Key, time_ns: u64, segment: u32, number: u64) -> u32 {
        let index = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.bytes += CONNECTION_BYTES;
        self.list.push(Connection {
            key,
            owner: Owner::default(),
            sent: Side::default(),
            received: Side::default(),
            late: false,
            cut: false,
            first: (time_ns, segment, number),
            last_ns: time_ns,
            bytes: CONNECTION_BYTES,
            record: Vec::new(),
        });
        self.by_key.insert(key, index);
        self.by_ends.entry(key.ends).or_default().push(index);
        index
    }

    /// All records are in: notes where connections are shown.
    pub fn finish(&mut self) {
        self.by_record = (0u32..)
            .zip(&self.list)
            .map(|(index, connection)| ((connection.first.1, connection.first.2), index))
            .collect();
    }

    /// The connection that is shown in place of record `number` of `segment`.
    #[inline]
    pub fn shown_at(&self, segment: u32, number: u64) -> Option<&Connection> {
        self.list.get(*self.by_record.get(&(segment, number))? as usize)
    }

    /// The other end of a connection, when it was seen too: on loopback, or between containers.
    pub fn peer(&self, connection: &Connection) -> Option<&Connection> {
        let (local, remote) = connection.key.ends;
        let others = self.by_ends.get(&(remote, local))?;
        let distance =
            |other: &&Connection| (other.first.0.abs_diff(connection.first.0), other.key.net_ns, other.key.cookie);
        others
            .iter()
            .filter_map(|index| self.list.get(*index as usize))
            .filter(|other| other.key.cookie != connection.key.cookie)
            .min_by_key(distance)
    }

    /// All connections, in the order they were found.
    pub fn connections(&self) -> &[Connection] {
        &self.list
    }

    /// Records that were left out, because there was no more room.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The records that stand for connections which a live reader need not wait for; the n-th has number n.
    pub fn take_ready(&mut self, now_ns: u64, at_end: bool) -> Vec<u8> {
        let mut records = Vec::new();
        self.by_record.clear();
        for (index, connection) in (0u32..).zip(&self.list) {
            if at_end || connection.is_ready(now_ns) {
                self.by_record.insert((LIVE_SEGMENT, self.by_record.len() as u64), index);
                records.extend_from_slice(&connection.record);
            }
        }
        records
    }

    /// Forgets what [`Self::take_ready`] gave: it has been shown.
    pub fn forget_ready(&mut self) {
        if self.by_record.is_empty() {
            return;
        }
        if self.shown.len() > MAX_SHOWN {
            self.shown.clear();
        }
        let shown: HashSet<u32, RandomState> = self.by_record.drain().map(|(_, index)| index).collect();
        let old = std::mem::take(&mut self.list);
        self.by_key.clear();
        self.by_ends.clear();
        for (index, connection) in (0u32..).zip(old) {
            if shown.contains(&index) {
                self.bytes = self.bytes.saturating_sub(connection.bytes);
                self.shown.insert(connection.key);
            } else {
                let index = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
                self.by_key.insert(connection.key, index);
                self.by_ends.entry(connection.key.ends).or_default().push(index);
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
    Key { cookie: fixed.cookie, net_ns: fixed.net_ns, ends: (local, remote) }
}

#[cfg(test)]
mod tests;
