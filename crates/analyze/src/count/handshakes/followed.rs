//! Ends of connections by all that was agreed on: what is shown while a recording is followed.

use super::{Exchange, Facts, Outcomes, Passed};
use crate::budget::{Budget, heap, sorted};
use crate::capture::Capture;
use crate::capture::connections::{Connection, Role};
use crate::count::Span;
use crate::protocol::iana::{CipherSuite, Version};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Rows; beyond, handshakes are in no row.
const MAX_ROWS: usize = 50_000;

/// Whose ends, with whom, and what they agreed on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndKey {
    /// Which host was recorded, by the number of its first capture.
    pub host: u32,
    /// Executable of the process, or its thread's name. None: no process is known.
    pub program: Option<Vec<u8>>,
    /// What this end is.
    pub role: Option<Role>,
    /// Address of the other end.
    pub address: IpAddr,
    /// Its port. None of clients: theirs are new each time.
    pub port: Option<u16>,
    /// The host asked for: bytes of the peer.
    pub server_name: Option<Box<[u8]>>,
    /// Version that was agreed on.
    pub version: Option<Version>,
    /// Suite that was agreed on.
    pub suite: Option<CipherSuite>,
    /// How keys were agreed on.
    pub exchange: Exchange,
}

/// How many, how they ended, and when.
#[derive(Debug, Clone, Copy)]
pub struct EndRow {
    /// How they ended.
    pub outcomes: Outcomes,
    /// When the first and the last one began.
    pub span: Span,
}

/// Rows, and which of them are new or have changed.
#[derive(Debug, Default)]
pub struct Ends {
    rows: BTreeMap<EndKey, EndRow>,
    changed: BTreeSet<EndKey>,
}

impl EndKey {
    fn held_bytes(&self) -> usize {
        let exchange = match &self.exchange {
            Exchange::Known(name, _) => heap(name.len()),
            Exchange::Earlier | Exchange::NotSeen => 0,
        };
        let program = self.program.as_ref().map_or(0, |program| heap(program.len()));
        program + self.server_name.as_ref().map_or(0, |name| heap(name.len())) + exchange
    }
}

impl Ends {
    /// Counts an end. Returns whether there was room for it.
    pub(super) fn add(
        &mut self,
        (host, capture): (u32, &Capture),
        passed: &Passed,
        connection: &Connection,
        facts: &Facts,
        room: &mut Budget,
    ) -> bool {
        let (remote, time) = (connection.remote(), capture.clock.wall(connection.first_ns()));
        let key = EndKey {
            host,
            program: passed.program.clone(),
            role: facts.role,
            address: remote.ip(),
            port: (facts.role != Some(Role::Server)).then_some(remote.port()),
            server_name: facts.server_name.clone(),
            version: facts.version,
            suite: facts.suite,
            exchange: facts.exchange.clone(),
        };
        if !self.rows.contains_key(&key) {
            // It is among those that changed as well, and it is shown.
            let bytes = 3 * (sorted::<(EndKey, EndRow)>() + key.held_bytes());
            if self.rows.len() >= MAX_ROWS || !room.take(bytes) {
                return false;
            }
        }
        self.changed.insert(key.clone());
        let new = EndRow { outcomes: Outcomes::default(), span: Span::at(time) };
        let row = self.rows.entry(key).or_insert(new);
        row.outcomes.add(facts);
        row.span.add(Span::at(time));
        true
    }

    /// Rows that are new or have changed since this was asked last, in the order of their keys.
    pub fn take_changed(&mut self) -> impl Iterator<Item = (EndKey, EndRow)> + '_ {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().filter_map(|key| {
            let row = *self.rows.get(&key)?;
            Some((key, row))
        })
    }
}
