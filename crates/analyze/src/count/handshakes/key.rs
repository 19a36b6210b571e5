//! Handshakes of one process that are counted together.

use super::{Exchange, Facts};
use crate::budget::heap;
use crate::capture::connections::{Outcome, Role};
use crate::protocol::iana::{AlertDescription, CipherSuite, Version};
use std::net::IpAddr;

/// Handshakes that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HandshakeKey {
    /// Which side it is.
    pub role: Option<Role>,
    /// Address of the other end.
    pub address: IpAddr,
    /// Its port; none of clients, whose are new each time.
    pub port: Option<u16>,
    /// The host that was asked for: bytes of the peer.
    pub server_name: Option<Box<[u8]>>,
    /// How far it came.
    pub outcome: Outcome,
    /// The alert that ended it, and who sent it.
    pub alert: Option<(AlertDescription, Role)>,
    /// Version that was agreed on.
    pub version: Option<Version>,
    /// Suite that was agreed on.
    pub suite: Option<CipherSuite>,
    /// How keys were agreed on.
    pub exchange: Exchange,
    /// An earlier session went on.
    pub resumed: bool,
    /// What a library said came of it: `Some(None)` when it did not say.
    pub told: Option<Option<bool>>,
}

impl HandshakeKey {
    /// Bytes that it holds besides itself.
    pub fn held_bytes(&self) -> usize {
        let exchange = match &self.exchange {
            Exchange::Known(name, _) => name.len(),
            Exchange::Earlier | Exchange::NotSeen => 0,
        };
        heap(self.server_name.as_ref().map_or(0, |name| name.len())) + heap(exchange)
    }

    /// Of what a connection tells.
    pub fn new(facts: Facts, remote: std::net::SocketAddr, told: Option<Option<bool>>) -> Self {
        Self {
            role: facts.role,
            address: remote.ip(),
            port: (facts.role != Some(Role::Server)).then_some(remote.port()),
            server_name: facts.server_name,
            outcome: facts.outcome,
            alert: facts.alert,
            version: facts.version,
            suite: facts.suite,
            exchange: facts.exchange,
            resumed: facts.resumed,
            told,
        }
    }
}
