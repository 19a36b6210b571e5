//! Handshakes of SSH of one process that are counted together.

use super::Common;
use super::common::name;
use crate::budget::heap;
use crate::capture::connections::{Connection, Outcome, Role};
use crate::count::handshakes::Exchange;
use crate::protocol::View;
use crate::protocol::ssh::Banner;
use std::net::IpAddr;

/// Handshakes of SSH that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SshKey {
    /// Which side it is.
    pub role: Option<Role>,
    /// Address of the other end.
    pub address: IpAddr,
    /// Its port; none of clients, whose are new each time.
    pub port: Option<u16>,
    /// What the other end says it is.
    pub software: Option<String>,
    /// How far it came.
    pub outcome: Outcome,
    /// Why it failed.
    pub failure: Option<String>,
    /// How keys were agreed on.
    pub exchange: Exchange,
    /// How the server proves who it is.
    pub host_key_algorithm: Option<String>,
}

impl SshKey {
    /// Of what a connection tells; None when it is not one of SSH.
    pub fn new(connection: &Connection) -> Option<Self> {
        let view = connection.view();
        let View::Ssh(view) = &*view else { return None };
        let common = Common::of_ssh(view);
        let other = match common.role {
            Some(Role::Client) => view.server.as_deref(),
            Some(Role::Server) => view.client.as_deref(),
            None => None,
        };
        let agreed = view.agreed.as_deref().filter(|_| common.answered);
        let remote = connection.remote();
        Some(Self {
            role: common.role,
            address: remote.ip(),
            port: (common.role != Some(Role::Server)).then_some(remote.port()),
            software: other.and_then(|stream| stream.banner.as_ref()).and_then(Banner::software).map(name),
            outcome: common.outcome,
            failure: common.failure,
            exchange: common.exchange,
            host_key_algorithm: agreed.and_then(|agreed| agreed.host_key.as_deref()).map(name),
        })
    }

    /// Bytes that it holds besides itself.
    pub fn held_bytes(&self) -> usize {
        let exchange = if let Exchange::Known(name, _) = &self.exchange { heap(name.len()) } else { 0 };
        let texts = [&self.software, &self.failure, &self.host_key_algorithm];
        exchange + texts.into_iter().flatten().map(|text| heap(text.len())).sum::<usize>()
    }
}
