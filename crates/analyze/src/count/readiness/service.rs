//! Which services took a post-quantum group, and from whom: what makes "the server declined" a fact.

use crate::budget::{Budget, heap, sorted};
use crate::capture::Capture;
use crate::capture::connections::{Connection, OwnerSource, Role};
use crate::protocol::iana::Group;
use crypto_trace_format::record::PrivacyMode;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Where an address means one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    /// Everywhere.
    Anywhere,
    /// On one host, by its number.
    Host(u32),
    /// In one network namespace of a host.
    Namespace(u32, u32),
    /// In one recording: the addresses are pseudonyms.
    Recording(u32),
}

/// Whose handshakes they are, and what became of names and addresses.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// Number of the host.
    pub host: u32,
    /// Number of the recording.
    pub capture: u32,
    /// What `--privacy` did.
    pub privacy: Privacy,
}

/// What became of names and addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// They are there.
    Off,
    /// They are pseudonyms.
    Hash,
    /// They are gone.
    Drop,
}

impl Privacy {
    /// What a recording was told to do.
    pub fn of(capture: &Capture) -> Self {
        match capture.meta.selected.privacy {
            PrivacyMode::DROP => Self::Drop,
            PrivacyMode::HASH => Self::Hash,
            _ => Self::Off,
        }
    }
}

/// A service: what a client reaches by an address, a port and a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    scope: Scope,
    address: SocketAddr,
    server_name: Option<Box<[u8]>>,
}

/// A client: its address, and its program's name where that is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client {
    address: IpAddr,
    comm: Option<Box<[u8]>>,
}

/// The two ends of a connection, as one of them shows them.
pub struct Parties {
    /// Who answers.
    pub service: Service,
    /// Who asks.
    pub client: Client,
}

impl Parties {
    /// Those of a connection whose host is `origin`, and of which `peer` is the other end. None: the role is not known, or addresses are not
    /// there.
    pub fn of(
        origin: Origin,
        connection: &Connection,
        peer: Option<&Connection>,
        (role, server_name): (Option<Role>, Option<&[u8]>),
    ) -> Option<Self> {
        let (service, client, client_end) = match role? {
            Role::Client => (connection.remote(), connection.local(), Some(connection)),
            Role::Server => (connection.local(), connection.remote(), peer),
        };
        // Without addresses and names all services would be one.
        if origin.privacy == Privacy::Drop || service.ip().is_unspecified() || client.ip().is_unspecified() {
            return None;
        }
        let scope = match service.ip() {
            address if address.is_loopback() => Scope::Namespace(origin.host, connection.net_ns()),
            _ if origin.privacy == Privacy::Hash => Scope::Recording(origin.capture),
            address if is_global(address) => Scope::Anywhere,
            _ => Scope::Host(origin.host),
        };
        let known = client_end.filter(|end| end.owner.source >= OwnerSource::Connect);
        let comm = known.map(|end| end.owner.comm().into());
        let service = Service { scope, address: service, server_name: server_name.map(Into::into) };
        Some(Self { service, client: Client { address: client.ip(), comm } })
    }
}

/// Whether an address is the same service wherever it was recorded.
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = matches!(v4.octets(), [100, 64..=127, ..]);
            !(v4.is_private() || v4.is_link_local() || v4.is_loopback() || v4.is_broadcast() || shared)
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_global(v4.into()),
            // Unique local and link-local addresses.
            None => !(v6.is_loopback() || matches!(v6.segments().first(), Some(0xfc00..=0xfdff | 0xfe80..=0xfebf))),
        },
    }
}

impl Client {
    /// Whether these are two for sure.
    fn is_other_than(&self, other: &Self) -> bool {
        self.address != other.address || matches!((&self.comm, &other.comm), (Some(own), Some(others)) if own != others)
    }
}

/// Clients of which one group was taken by one service, as many as it takes to find another one than any.
const MAX_CLIENTS: usize = 4;

/// Who took what from whom.
#[derive(Debug, Default)]
pub struct Taken(BTreeMap<(Service, Group), Vec<Client>>);

impl Taken {
    /// Notes that a service took a group from a client. False: there was no room.
    pub fn add(&mut self, parties: Parties, group: Group, budget: &mut Budget) -> bool {
        let Parties { service, client } = parties;
        let key = (service, group);
        if !self.0.contains_key(&key) {
            let name = key.0.server_name.as_ref().map_or(0, |name| name.len());
            let clients = MAX_CLIENTS * (size_of::<Client>() + heap(16));
            if !budget.take(sorted::<((Service, Group), Vec<Client>)>() + heap(name) + clients) {
                return false;
            }
        }
        let clients = self.0.entry(key).or_default();
        if clients.len() < MAX_CLIENTS && clients.iter().all(|known| known.is_other_than(&client)) {
            clients.push(client);
        }
        true
    }

    /// Whether a service took one of these groups from another client.
    pub fn is_from_another(&self, service: &Service, client: &Client, offered: &[Group]) -> bool {
        let taken = |group: &Group| self.0.get(&(service.clone(), *group));
        offered.iter().filter_map(taken).flatten().any(|other| other.is_other_than(client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_good_on_one_host_only() {
        for (text, global) in [
            ("8.8.8.8", true),
            ("10.0.0.1", false),
            ("192.168.3.4", false),
            ("172.17.0.2", false),
            ("100.64.0.1", false),
            ("169.254.1.1", false),
            ("2001:db8::1", true),
            ("fd00::1", false),
            ("fe80::1", false),
            ("::1", false),
            ("::ffff:10.0.0.1", false),
        ] {
            assert_eq!(is_global(text.parse().expect("an address")), global, "{text}");
        }
    }

    #[test]
    fn another_client_is_one_that_is_known_to_be() {
        let client = |address: &str, comm: Option<&str>| Client {
            address: address.parse().expect("an address"),
            comm: comm.map(|comm| comm.as_bytes().into()),
        };
        let curl = client("127.0.0.1", Some("curl"));
        assert!(curl.is_other_than(&client("127.0.0.1", Some("wget"))));
        assert!(curl.is_other_than(&client("127.0.0.2", None)));
        assert!(!curl.is_other_than(&client("127.0.0.1", None)), "it may be the same");
        assert!(!curl.is_other_than(&curl.clone()));
    }
}
