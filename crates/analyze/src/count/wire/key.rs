//! Handshakes of one process that are counted together, of SSH, IKE and WireGuard.

use super::Common;
use super::common::name;
use crate::budget::heap;
use crate::capture::connections::{Connection, Outcome, Role};
use crate::count::handshakes::Exchange;
use crate::protocol::View;
use crate::protocol::ike::TransformType;
use crate::protocol::ssh::{self, Banner};
use crate::protocol::wireguard;
use std::net::IpAddr;

/// Handshakes that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WireKey {
    /// The protocol, as reports name it.
    pub protocol: &'static str,
    /// Which side it is.
    pub role: Option<Role>,
    /// Address of the other end.
    pub address: IpAddr,
    /// Its port; none of clients, whose are new each time.
    pub port: Option<u16>,
    /// What the other end says it is; of SSH.
    pub software: Option<String>,
    /// How far it came.
    pub outcome: Outcome,
    /// Why it failed.
    pub failure: Option<String>,
    /// How keys were agreed on.
    pub exchange: Exchange,
    /// How the server proves who it is; of SSH.
    pub host_key_algorithm: Option<String>,
    /// The cipher that was chosen, with the length of its key; of IKE and WireGuard.
    pub encryption: Option<String>,
}

impl WireKey {
    /// Of what a connection tells; None of TLS, of which more is known.
    pub fn new(connection: &Connection) -> Option<Self> {
        match &*connection.view() {
            View::Ssh(view) => Some(Self::of_ssh(connection, view)),
            View::Ike(view) => {
                let encryption = view.used(TransformType::ENCRYPTION).map(|one| one.to_string());
                Some(Self { encryption, ..Self::of_common(connection, Common::of_ike(view)) })
            }
            View::Wireguard(view) => {
                let encryption = view.responder.map(|_| wireguard::CIPHER.to_owned());
                Some(Self { encryption, ..Self::of_common(connection, Common::of_wireguard(view)) })
            }
            View::Tls(_) => None,
        }
    }

    fn of_ssh(connection: &Connection, view: &ssh::View) -> Self {
        let common = Common::of_ssh(view);
        let other = match common.role {
            Some(Role::Client) => view.server.as_deref(),
            Some(Role::Server) => view.client.as_deref(),
            None => None,
        };
        let agreed = view.agreed.as_deref().filter(|_| common.answered);
        Self {
            software: other.and_then(|stream| stream.banner.as_ref()).and_then(Banner::software).map(name),
            host_key_algorithm: agreed.and_then(|agreed| agreed.host_key.as_deref()).map(name),
            ..Self::of_common(connection, common)
        }
    }

    fn of_common(connection: &Connection, common: Common) -> Self {
        let remote = connection.remote();
        Self {
            protocol: common.protocol,
            role: common.role,
            address: remote.ip(),
            port: (common.role != Some(Role::Server)).then_some(remote.port()),
            software: None,
            outcome: common.outcome,
            failure: common.failure,
            exchange: common.exchange,
            host_key_algorithm: None,
            encryption: None,
        }
    }

    /// Bytes that it holds besides itself.
    pub fn held_bytes(&self) -> usize {
        let exchange = if let Exchange::Known(name, _) = &self.exchange { heap(name.len()) } else { 0 };
        let texts = [&self.software, &self.failure, &self.host_key_algorithm, &self.encryption];
        exchange + texts.into_iter().flatten().map(|text| heap(text.len())).sum::<usize>()
    }
}
