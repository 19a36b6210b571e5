//! Which of the connections between the same two ends a datagram is of. A stream has a socket of its own; datagrams of many
//! connections go through one socket, and two ends may have several after or beside each other.

use crate::protocol::dtls;
use crate::protocol::wireguard::Message;
use crypto_trace_format::record::{Direction, Protocol, TlsHello};
use crypto_trace_format::wire::{ike, quic};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// A socket, and both ends.
pub(super) type Flow = (u64, (SocketAddr, SocketAddr));

/// Connections of one flow that are told apart; those beyond are taken for the last one. A tunnel of WireGuard has one every two
/// minutes.
const MAX_PARTS: usize = 1 << 16;

/// Flows that are known, at most.
const MAX_FLOWS: usize = 1 << 18;

/// By which id a connection is known in a flow.
type Id = Box<[u8]>;

/// The connections of one flow.
#[derive(Debug, Default)]
struct Known {
    /// The number of each, by the id that it is known by.
    by_id: HashMap<Id, u32, RandomState>,
    /// When the first datagram of each was seen, boot time.
    since_ns: Vec<u64>,
}

impl Known {
    /// The number of the one that a datagram is of, if it is known.
    fn find(&self, ids: &Ids, time_ns: u64) -> Option<u32> {
        let by_id = |id: &Id| self.by_id.get(id).copied();
        let last = || {
            let last = self.since_ns.iter().rposition(|since_ns| *since_ns <= time_ns).or(Some(0));
            last.and_then(|at| u32::try_from(at).ok()).filter(|_| !self.since_ns.is_empty())
        };
        match ids {
            Ids::Each(one, other) => by_id(one).or_else(|| by_id(other)),
            Ids::Opens(id) => by_id(id),
            Ids::Answers(id) => by_id(id).or_else(last),
            Ids::None => last(),
        }
    }

    fn add(&mut self, id: Id, time_ns: u64) {
        self.by_id.insert(id, u32::try_from(self.since_ns.len()).unwrap_or(u32::MAX));
        self.since_ns.push(time_ns);
    }
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
    of: HashMap<Flow, Known, RandomState>,
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
            let flags = ike::message(hello.data).0.get(19)?;
            let initiators = flags & INITIATOR != 0;
            let is_initiator = initiators == (hello.fixed.direction == Direction::SENT.0);
            Some((id, local.ip(), remote.ip(), net_ns, is_initiator))
        }
        _ => None,
    }
}

/// None: it is not of QUIC or DTLS, or can be of its own flow alone.
fn between((_, (local, remote)): Flow, net_ns: u32, hello: &TlsHello<'_>) -> Option<Between> {
    if !matches!(Protocol(hello.fixed.protocol), Protocol::QUIC | Protocol::DTLS) {
        return None;
    }
    let sent = hello.fixed.direction == Direction::SENT.0;
    let id = match ids(hello)? {
        Ids::Each(_, to) if sent => to,
        Ids::Each(from, _) => from,
        // A client begins with a socket of its own.
        Ids::Opens(_) if sent => return None,
        Ids::Opens(_) | Ids::Answers(_) | Ids::None => Id::default(),
    };
    Some((id, local, remote, net_ns))
}

/// What a datagram says of its connection.
enum Ids {
    /// Ids in it, of which each connection has one of its own: the first is what a new connection is known by.
    Each(Id, Id),
    /// It begins the connection of this id, or is of it.
    Opens(Id),
    /// It is of the connection of this id; where that is not known, as without.
    Answers(Id),
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
        Protocol::IKE => Some(Ids::Opens(ike::message(hello.data).0.get(..8)?.into())),
        // The client's random, which is the same in all its hellos.
        Protocol::DTLS => Some(dtls::client_random(hello.data).map_or(Ids::None, |random| Ids::Opens(random.into()))),
        // What the initiator knows the handshake by; who answers repeats it.
        Protocol::WIREGUARD => Some(match Message::parse(hello.data) {
            Some(Message::Initiation { sender }) => Ids::Opens(id_of(sender)),
            Some(Message::Response { receiver, .. } | Message::CookieReply { receiver }) => {
                Ids::Answers(id_of(receiver))
            }
            None => Ids::None,
        }),
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

fn id_of(index: u32) -> Id {
    index.to_le_bytes().into()
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
        let known = || self.of.get(&flow)?.find(&ids(hello)?, time_ns);
        known().unwrap_or(0)
    }

    /// The same of one that may be new.
    pub(super) fn enter(&mut self, flow: Flow, hello: &TlsHello<'_>, time_ns: u64) -> u32 {
        let Some(ids) = ids(hello) else { return 0 };
        if self.of.len() >= MAX_FLOWS && !self.of.contains_key(&flow) {
            self.of.clear();
        }
        let known = self.of.entry(flow).or_default();
        if let Some(part) = known.find(&ids, time_ns) {
            return part;
        }
        if let (Ids::Each(id, _) | Ids::Opens(id), true) = (ids, known.since_ns.len() < MAX_PARTS) {
            known.add(id, time_ns);
        }
        u32::try_from(known.since_ns.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }
}
