//! What only SSH has: software, host keys, and algorithms of each sort.

use super::super::room::{Key, Room, row};
use super::common::name;
use crate::budget::heap;
use crate::capture::connections::{Connection, Role};
use crate::protocol::View;
use crate::protocol::ssh::{self, HostKey, Stream};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Servers that are named in one row.
const MAX_SERVERS: usize = 100;

/// What a cipher that authenticates by itself has in place of a message authentication code.
const BY_CIPHER: &str = "none: the cipher authenticates";

/// What is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// What clients say they are.
    ClientSoftware,
    /// What servers say they are.
    ServerSoftware,
    /// Algorithms of host keys, which say how they sign.
    HostKeyAlgorithm,
    /// Ciphers, of either direction.
    Cipher,
    /// Message authentication codes, of either direction.
    Mac,
    /// Compression, of either direction.
    Compression,
    /// Sizes of groups that servers chose.
    Group,
}

/// A host key, or a certificate of one.
#[derive(Debug, Clone, Default)]
pub struct HostKeyRow {
    /// What it says.
    pub key: HostKey,
    /// In how many handshakes it was shown.
    pub handshakes: u64,
    /// Servers that showed it, the first few.
    pub servers: BTreeSet<SocketAddr>,
    /// Hosts that recorded it, by the numbers of captures.
    pub hosts: BTreeSet<u32>,
}

/// What is counted of SSH besides what all protocols have.
#[derive(Debug, Default)]
pub struct SshRows {
    /// Handshakes by what they have of each sort. Where directions differ, a handshake is in two rows of a sort.
    pub lists: BTreeMap<(List, String), u64>,
    /// By fingerprint, then by type: a key and its certificate have the same fingerprint.
    pub host_keys: BTreeMap<(String, String), HostKeyRow>,
    /// Handshakes with strict key exchange.
    pub strict_kex: u64,
    /// Those in which not both sides know it.
    pub without_strict_kex: u64,
}

/// What one end of a connection shows of it.
#[derive(Debug, Default)]
pub(super) struct SshFacts {
    names: BTreeSet<(List, String)>,
    host_key: Option<Box<HostKey>>,
    strict_kex: Option<bool>,
    server: Option<SocketAddr>,
}

impl Key for (List, String) {
    fn held_bytes(&self) -> usize {
        heap(self.1.len())
    }
}

impl Key for (String, String) {
    fn held_bytes(&self) -> usize {
        heap(self.0.len()) + heap(self.1.len())
    }
}

impl SshFacts {
    /// None when it is not one of SSH.
    pub fn new(connection: &Connection, view: &View) -> Option<Self> {
        let View::Ssh(view) = view else { return None };
        let mut names = BTreeSet::new();
        let software = |stream: &Option<Box<Stream>>| {
            // Which of the two a line is of is not known without the sides.
            let banner = stream.as_ref().filter(|_| view.role.is_some())?.banner.as_ref()?;
            banner.software().map(name)
        };
        names.extend(software(&view.client).map(|text| (List::ClientSoftware, text)));
        names.extend(software(&view.server).map(|text| (List::ServerSoftware, text)));
        let agreed = view.agreed.as_deref().filter(|agreed| agreed.nothing_in_common.is_empty());
        if let Some(agreed) = agreed {
            agreed_on(agreed, &mut names);
        }
        names.extend(view.group_bits.map(|bits| (List::Group, format!("{bits} bits"))));
        Some(Self {
            names,
            host_key: view.host_key.clone().filter(|key| key.fingerprint.is_some()),
            strict_kex: agreed.map(|agreed| agreed.strict_kex),
            server: match view.role {
                Some(Role::Client) => Some(connection.remote()),
                Some(Role::Server) => Some(connection.local()),
                None => None,
            },
        })
    }
}

fn agreed_on(agreed: &ssh::Agreed, names: &mut BTreeSet<(List, String)>) {
    names.extend(agreed.host_key.as_deref().map(|key| (List::HostKeyAlgorithm, name(key))));
    for direction in [&agreed.to_server, &agreed.to_client] {
        names.extend(direction.cipher.as_deref().map(|cipher| (List::Cipher, name(cipher))));
        names.insert((List::Mac, direction.mac.as_deref().map_or_else(|| BY_CIPHER.to_owned(), name)));
        names.extend(direction.compression.as_deref().map(|way| (List::Compression, name(way))));
    }
}

/// What a certificate says besides its principals, in words.
const CERTIFICATE_BYTES: usize = 512;

fn held_bytes(key: &HostKey) -> usize {
    let certificate = key.certificate.as_ref().map_or(0, |certificate| {
        let principals = certificate.principals.iter().map(|one| size_of::<String>() + heap(one.len()));
        CERTIFICATE_BYTES + heap(certificate.key_id.len()) + principals.sum::<usize>()
    });
    heap(key.key_type.len()) + certificate
}

impl SshRows {
    /// Counts a handshake.
    pub(super) fn add(&mut self, facts: SshFacts, host: u32, (room, overflowed): (&mut Room, &mut bool)) {
        for key in facts.names {
            if let Some(count) = row(&mut self.lists, key, (room, overflowed)) {
                *count += 1;
            }
        }
        match facts.strict_kex {
            Some(true) => self.strict_kex += 1,
            Some(false) => self.without_strict_kex += 1,
            None => {}
        }
        let Some(key) = facts.host_key else { return };
        let Some(fingerprint) = key.fingerprint.clone() else { return };
        let by = (fingerprint, name(&key.key_type));
        if !self.host_keys.contains_key(&by) && !room.0.take(2 * held_bytes(&key)) {
            *overflowed = true;
            return;
        }
        let Some(row) = row(&mut self.host_keys, by, (room, overflowed)) else { return };
        if row.handshakes == 0 {
            row.key = *key;
        }
        row.handshakes += 1;
        row.hosts.insert(host);
        let Some(server) = facts.server.filter(|_| row.servers.len() < MAX_SERVERS) else { return };
        if !row.servers.contains(&server) && room.0.take(2 * crate::budget::sorted::<SocketAddr>()) {
            row.servers.insert(server);
        }
    }
}
