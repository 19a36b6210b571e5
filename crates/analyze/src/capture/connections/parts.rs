//! Which of the connections between the same two ends a datagram is of. A stream has a socket of its own; datagrams of many
//! connections go through one socket, and two ends may have several after or beside each other.

use crate::protocol::dtls;
use crypto_trace_format::record::{Direction, Protocol, TlsHello};
use crypto_trace_format::wire::quic;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// A socket, and both ends.
pub(super) type Flow = (u64, (SocketAddr, SocketAddr));

/// Connections of one flow that are told apart; those beyond are taken for the last one.
const MAX_PARTS: usize = 256;

/// Flows that are known, at most.
const MAX_FLOWS: usize = 1 << 18;

/// By which id a connection is known in a flow.
type Id = Box<[u8]>;

/// A connection that is known.
#[derive(Debug)]
struct Part {
    id: Id,
    /// When its first datagram was seen, boot time.
    since_ns: u64,
}

/// What one end of an exchange of IKE is known by whatever ports it goes by: the initiator's SPI, both addresses, where they are, and
/// whether it is the initiator's end.
type Exchange = (Id, IpAddr, IpAddr, u32, bool);

/// What the connections of QUIC and DTLS between two ends are known by whatever socket they go through: the other end's connection id
/// (none in DTLS), both ends, and where they are.
type Between = (Id, SocketAddr, SocketAddr, u32);

/// The flag of what the original initiator sends (RFC 7296 section 3.1).
const INITIATOR: u8 = 0x08;

/// The connections of each flow, by number.
#[derive(Debug, Default)]
pub(super) struct Parts {
    of: HashMap<Flow, Vec<Part>, RandomState>,
    /// Where exchanges of IKE began. They go on elsewhere: from port 500 to 4500, by another socket (RFC 7296 section 2.23).
    exchanges: HashMap<Exchange, Flow, RandomState>,
    /// Where others began, the latest of each. Some servers hear of a client by one socket, and go on with it by another that is
    /// connected to it (HAProxy's QUIC, DTLS by DTLSv1_listen).
    began: HashMap<Between, Flow, RandomState>,
}

/// None: it is not of IKE, or its flow is the only one that it can be of.
fn exchange((_, (local, remote)): Flow, net_ns: u32, hello: &TlsHello<'_>) -> Option<Exchange> {
    match (Protocol(hello.fixed.protocol), ids(hello)?) {
        (Protocol::IKE, Ids::Opens(id)) => {
            let flags = hello.data.strip_prefix(&[0; 4]).unwrap_or(hello.data).get(19)?;
            let initiators = flags & INITIATOR != 0;
            let is_initiator = initiators == (hello.fixed.direction == Direction::SENT.0);
            Some((id, local.ip(), remote.ip(), net_ns, is_initiator))
        }
        _ => None,
    }
}

/// None: it can be of its own flow alone.
fn between((_, (local, remote)): Flow, net_ns: u32, hello: &TlsHello<'_>) -> Option<Between> {
    let sent = hello.fixed.direction == Direction::SENT.0;
    let id = match ids(hello)? {
        Ids::Each(_, to) if sent => to,
        Ids::Each(from, _) => from,
        // A client begins with a socket of its own.
        Ids::Opens(_) if sent => return None,
        Ids::Opens(_) | Ids::None => Id::default(),
    };
    Some((id, local, remote, net_ns))
}

/// What a datagram says of its connection.
enum Ids {
    /// Ids in it, of which each connection has one of its own: the first is what a new connection is known by.
    Each(Id, Id),
    /// It begins the connection of this id, or is of it.
    Opens(Id),
    /// Nothing: it is of the one that began last before it.
    None,
}

fn ids(hello: &TlsHello<'_>) -> Option<Ids> {
    match Protocol(hello.fixed.protocol) {
        // The client's, which is in the packets of both: it sends from there, and is sent to there.
        Protocol::QUIC => {
            let (_, to, from) = quic::ids(hello.data)?;
            Some(Ids::Each(from.into(), to.into()))
        }
        // The initiator's SPI, after four zeros where ESP may come as well (RFC 7296 section 3.1, RFC 3948 section 2.2).
        Protocol::IKE => {
            let data = hello.data.strip_prefix(&[0; 4]).unwrap_or(hello.data);
            Some(Ids::Opens(data.get(..8)?.into()))
        }
        // The client's random, which is the same in all its hellos.
        Protocol::DTLS => Some(dtls::client_random(hello.data).map_or(Ids::None, |random| Ids::Opens(random.into()))),
        _ => None,
    }
}

/// Keeps where something began; of too many all that were known before are forgotten.
fn put<K: Eq + std::hash::Hash>(known: &mut HashMap<K, Flow, RandomState>, key: K, flow: Flow) {
    if known.len() >= MAX_FLOWS && !known.contains_key(&key) {
        known.clear();
    }
    known.insert(key, flow);
}

impl Parts {
    /// The flow in which the connection of a datagram began, if that is known: most often its own.
    pub(super) fn began_in(&self, flow: Flow, net_ns: u32, hello: &TlsHello<'_>) -> Flow {
        if let Some(exchange) = exchange(flow, net_ns, hello) {
            return self.exchanges.get(&exchange).copied().unwrap_or(flow);
        }
        let elsewhere = || self.began.get(&between(flow, net_ns, hello)?).copied();
        if self.of.contains_key(&flow) { flow } else { elsewhere().unwrap_or(flow) }
    }

    /// The same of one that may be new.
    pub(super) fn begin_in(&mut self, flow: Flow, net_ns: u32, hello: &TlsHello<'_>) -> Flow {
        let began = self.began_in(flow, net_ns, hello);
        if let Some(exchange) = exchange(flow, net_ns, hello) {
            put(&mut self.exchanges, exchange, began);
        } else if let Some(between) = between(flow, net_ns, hello).filter(|_| began == flow) {
            put(&mut self.began, between, flow);
        }
        began
    }

    /// The number of a datagram's connection; 0 where there is only one.
    pub(super) fn of(&self, flow: Flow, hello: &TlsHello<'_>, time_ns: u64) -> u32 {
        let known = || find(self.of.get(&flow)?, &ids(hello)?, time_ns);
        known().unwrap_or(0)
    }

    /// The same of one that may be new.
    pub(super) fn enter(&mut self, flow: Flow, hello: &TlsHello<'_>, time_ns: u64) -> u32 {
        let Some(ids) = ids(hello) else { return 0 };
        if self.of.len() >= MAX_FLOWS && !self.of.contains_key(&flow) {
            self.of.clear();
        }
        let known = self.of.entry(flow).or_default();
        if let Some(part) = find(known, &ids, time_ns) {
            return part;
        }
        if let (Ids::Each(id, _) | Ids::Opens(id), true) = (ids, known.len() < MAX_PARTS) {
            known.push(Part { id, since_ns: time_ns });
        }
        u32::try_from(known.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }
}

fn find(known: &[Part], ids: &Ids, time_ns: u64) -> Option<u32> {
    let at = match ids {
        Ids::Each(one, other) => known.iter().position(|part| part.id == *one || part.id == *other),
        Ids::Opens(id) => known.iter().position(|part| part.id == *id),
        Ids::None => known.iter().rposition(|part| part.since_ns <= time_ns).or(Some(0)),
    };
    u32::try_from(at?).ok()
}
