//! Ends of connections one after the other, read in parallel; and which of two ends stands for both.

use super::Passed;
use crate::capture::Capture;
use crate::capture::connections::{Connection, Role};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};

/// Connections that are parsed before they are counted.
const CHUNK: usize = 1_024;

/// An end, read.
pub(in crate::count) struct End<'c, F> {
    /// It.
    pub connection: &'c Connection,
    /// Its capture.
    pub capture: &'c Capture,
    /// The host, by the number of its first capture.
    pub host: u32,
    /// What it shows.
    pub facts: F,
    /// The other end, when it was seen too.
    pub peer: Option<&'c Connection>,
    /// Whether its handshake is counted by this end.
    pub counts: bool,
}

/// Gives connections with what `read` makes of them, in their order; those of which it makes nothing are left out. Both ends of one
/// must be among them.
pub(in crate::count) fn each_end<'c, F: Send>(
    passed: &[Passed],
    captures: &'c [Capture],
    read: impl Fn(&'c Connection) -> Option<F> + Sync,
    mut each: impl FnMut(&Passed, End<'c, F>),
) {
    let hosts = host_numbers(captures);
    let known: HashSet<(u32, u32)> = passed.iter().map(|one| (one.capture, one.connection)).collect();
    for chunk in passed.chunks(CHUNK) {
        let ends: Vec<_> = chunk
            .par_iter()
            .map(|one| {
                let capture = captures.get(one.capture as usize)?;
                let connection = capture.handshakes.connections().get(one.connection as usize)?;
                let facts = read(connection)?;
                let peer = capture.handshakes.peer(connection);
                let passed = peer.filter(|peer| known.contains(&(one.capture, peer.index())));
                let counts = passed.is_none_or(|peer| counts_for_both(connection, connection.view().role(), peer));
                let host = hosts.get(one.capture as usize).copied().unwrap_or(one.capture);
                Some(End { connection, capture, host, facts, peer, counts })
            })
            .collect();
        chunk.iter().zip(ends).filter_map(|(one, end)| Some((one, end?))).for_each(|(one, end)| each(one, end));
    }
}

/// Of each capture the number of the first one of the same host.
pub(crate) fn host_numbers(captures: &[Capture]) -> Vec<u32> {
    let mut first: HashMap<&str, u32> = HashMap::new();
    (0u32..).zip(captures).map(|(number, capture)| *first.entry(&capture.meta.host).or_insert(number)).collect()
}

/// Whether this end stands for both: the client does, where both know what they are.
pub(in crate::count) fn counts_for_both(own: &Connection, role: Option<Role>, peer: &Connection) -> bool {
    match role {
        Some(Role::Client) => true,
        Some(Role::Server) => peer.view().role() != Some(Role::Client),
        None => peer.view().role().is_none() && own.index() < peer.index(),
    }
}
