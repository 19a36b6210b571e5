//! Where a rule, or a waiver, holds: nowhere else are uses held against it.

use crate::capture::connections::Role;
use crate::count::uses::{Handshake, Party};
use crate::count::wire::is_said_of;
use crate::select::Globs;

/// Where a rule holds. What is not said is not asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// The protocols of handshakes: `tls`, which is QUIC and DTLS as well, `quic`, `dtls`, `ssh`, `ike`, `wireguard`.
    pub protocols: Option<Vec<String>>,
    /// Which side of a handshake.
    pub role: Option<Role>,
    /// Globs for the program: without a slash its file name, with one its whole path.
    pub programs: Option<Globs>,
    /// Globs for the other end: its address, `address:port`, or the server name asked for.
    pub peers: Option<Globs>,
    /// Globs for the host that was recorded.
    pub hosts: Option<Globs>,
    /// Beginnings of container ids.
    pub containers: Option<Vec<String>>,
}

impl Scope {
    /// Handshakes of one protocol.
    pub fn of_protocol(protocol: &str) -> Self {
        Self { protocols: Some(vec![protocol.to_owned()]), ..Self::default() }
    }

    /// Whether it takes in handshakes of a protocol, as reports name it.
    pub fn takes_in_protocol(&self, protocol: &str) -> bool {
        self.protocols.as_ref().is_none_or(|names| names.iter().any(|name| is_said_of(name, protocol)))
    }

    /// Whether it takes in everything.
    pub fn is_whole(&self) -> bool {
        !self.is_of_handshakes() && self.programs.is_none() && self.hosts.is_none() && self.containers.is_none()
    }

    /// Whether it takes in nothing but handshakes.
    pub fn is_of_handshakes(&self) -> bool {
        self.protocols.is_some() || self.role.is_some() || self.peers.is_some()
    }

    /// Whether it takes in what a program did, on a host.
    pub fn takes_in(&self, party: &Party, host: &str) -> bool {
        let in_globs = |globs: &Option<Globs>, text: Option<&[u8]>| match globs {
            Some(globs) => text.is_some_and(|text| globs.matches(text)),
            None => true,
        };
        let container = party.container.as_deref().unwrap_or_default();
        in_globs(&self.programs, party.program.as_deref())
            && in_globs(&self.hosts, Some(host.as_bytes()))
            && self.containers.as_ref().is_none_or(|ids| ids.iter().any(|id| container.starts_with(id.as_bytes())))
    }

    /// Whether it takes in a handshake.
    pub fn takes_in_handshake(&self, handshake: &Handshake, host: &str) -> bool {
        let peer = || {
            let address = handshake.address.to_string();
            let port = handshake.port.map(|port| std::net::SocketAddr::new(handshake.address, port).to_string());
            let name = handshake.server_name.as_deref();
            let matches = |text: &[u8]| self.peers.as_ref().is_some_and(|globs| globs.matches(text));
            matches(address.as_bytes())
                || port.is_some_and(|text| matches(text.as_bytes()))
                || name.is_some_and(matches)
        };
        self.takes_in(&handshake.party, host)
            && self.takes_in_protocol(handshake.protocol)
            && self.role.is_none_or(|role| handshake.role == Some(role))
            && (self.peers.is_none() || peer())
    }
}
