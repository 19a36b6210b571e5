//! Which of the connections between the same two ends a datagram is of. A stream has a socket of its own; datagrams of many
//! connections go through one socket, and two ends may have several after or beside each other.

use crypto_trace_format::record::{Protocol, TlsHello};
use crypto_trace_format::wire::quic;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::net::SocketAddr;

/// A socket, and both ends.
pub(super) type Flow = (u64, (SocketAddr, SocketAddr));

/// Connections of one flow that are told apart; those beyond are taken for the last one.
const MAX_PARTS: usize = 256;

/// Flows that are known, at most.
const MAX_FLOWS: usize = 1 << 18;

/// By which id a connection is known in a flow.
type Id = Box<[u8]>;

/// The connections of each flow, by number.
#[derive(Debug, Default)]
pub(super) struct Parts {
    of: HashMap<Flow, Vec<Id>, RandomState>,
}

/// The ids in a datagram, of which each connection has one of its own: the first is what a new connection is known by.
fn ids(hello: &TlsHello<'_>) -> Option<(Id, Id)> {
    match Protocol(hello.fixed.protocol) {
        // The client's, which is in the packets of both: it sends from there, and is sent to there.
        Protocol::QUIC => {
            let (_, to, from) = quic::ids(hello.data)?;
            Some((from.into(), to.into()))
        }
        // The initiator's SPI, after four zeros where ESP may come as well (RFC 7296 section 3.1, RFC 3948 section 2.2).
        Protocol::IKE => {
            let data = hello.data.strip_prefix(&[0; 4]).unwrap_or(hello.data);
            let spi: Id = data.get(..8)?.into();
            Some((spi.clone(), spi))
        }
        _ => None,
    }
}

impl Parts {
    /// The number of a datagram's connection; 0 where there is only one.
    pub(super) fn of(&self, flow: Flow, hello: &TlsHello<'_>) -> u32 {
        let known = || find(self.of.get(&flow)?, &ids(hello)?);
        known().unwrap_or(0)
    }

    /// The same of one that may be new.
    pub(super) fn enter(&mut self, flow: Flow, hello: &TlsHello<'_>) -> u32 {
        let Some(ids) = ids(hello) else { return 0 };
        if self.of.len() >= MAX_FLOWS && !self.of.contains_key(&flow) {
            self.of.clear();
        }
        let known = self.of.entry(flow).or_default();
        if let Some(part) = find(known, &ids) {
            return part;
        }
        if known.len() < MAX_PARTS {
            known.push(ids.0);
        }
        u32::try_from(known.len() - 1).unwrap_or(u32::MAX)
    }
}

fn find(known: &[Id], ids: &(Id, Id)) -> Option<u32> {
    let at = known.iter().position(|id| *id == ids.0 || *id == ids.1)?;
    u32::try_from(at).ok()
}
