//! What is in use, in the form that PCI DSS 12.3.3 asks for: suites and protocols, with what for, where, and when first and last.

use crate::capture::connections::Role;
use crate::count::handshakes::{Exchange, Place};
use crate::count::uses::{Handshake, Party, Seen, Uses};
use crate::count::wire::{is_said_of, protocol_title};
use crate::report::session::Session;
use crate::words::escape;
use crate::words::timestamp::timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// A suite with its protocol and key exchange, or an algorithm that a library was asked for.
#[derive(Serialize)]
pub(super) struct CryptoRow {
    /// A cipher suite, or an algorithm.
    pub crypto: String,
    /// Null: it was a call of a library.
    pub protocol: Option<String>,
    pub key_exchange: Option<String>,
    /// `TLS server, port 443, shop.test`; the function that was called.
    pub purpose: String,
    pub host: String,
    pub program: Option<String>,
    pub container: Option<String>,
    /// Handshakes or calls.
    pub uses: u64,
    pub first_seen: String,
    pub last_seen: String,
}

/// A library that programs loaded.
#[derive(Serialize)]
pub(super) struct LibraryRow {
    pub library: Option<&'static str>,
    pub version: Option<String>,
    pub file: String,
    pub host: String,
    pub programs: Vec<String>,
    pub loads: u64,
    pub first_seen: String,
    pub last_seen: String,
}

fn host(session: &Session<'_>, party: &Party) -> String {
    let host = session.captures.get(party.host as usize).map(|capture| &*capture.meta.host).unwrap_or_default();
    escape::for_people(host.as_bytes())
}

fn add(row: &mut Seen, seen: Seen) {
    row.first = row.first.min(seen.first);
    row.last = row.last.max(seen.last);
    row.count = row.count.saturating_add(seen.count);
}

/// Protocol, suite or algorithm, key exchange, purpose, and by whom.
type CryptoKey<'a> = (Option<String>, String, Option<String>, String, &'a Party);

/// Rows of suites by what they serve, then those of calls; the most used first.
pub(super) fn crypto(session: &Session<'_>, uses: &Uses) -> Vec<CryptoRow> {
    let mut rows: BTreeMap<CryptoKey<'_>, Seen> = BTreeMap::new();
    let mut put = |key, seen: Seen| {
        rows.entry(key).and_modify(|row| add(row, seen)).or_insert(seen);
    };
    for (handshake, seen) in uses.handshakes.iter().filter(|(handshake, _)| handshake.answered) {
        let suite = match handshake.suite {
            Some(suite) => suite.to_string(),
            None if is_said_of("tls", handshake.protocol) => "not seen".to_owned(),
            None => ciphers(handshake),
        };
        let name = protocol_title(handshake.protocol);
        let version = handshake.version_name().unwrap_or_else(|| format!("{name}, version not seen"));
        let exchange = match &handshake.exchange {
            Exchange::Known(name, _) => Some(name.clone()),
            Exchange::Earlier => Some("resumed".to_owned()),
            Exchange::NotSeen => None,
        };
        put((Some(version), suite, exchange, purpose(handshake), &handshake.party), *seen);
    }
    for (call, seen) in &uses.calls {
        let Some(algorithm) = &call.algorithm else { continue };
        let by = escape::for_people(&call.function);
        put((None, escape::for_people(algorithm.as_bytes()), None, format!("library call {by}"), &call.party), *seen);
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|((protocol, ..), seen)| (protocol.is_none(), std::cmp::Reverse(seen.count)));
    let row = |((protocol, crypto, key_exchange, purpose, party), seen): (_, Seen)| {
        let party: &Party = party;
        CryptoRow {
            crypto,
            protocol,
            key_exchange,
            purpose,
            host: host(session, party),
            program: party.program.as_deref().map(|program| session.shown(program)),
            container: party.container.as_deref().map(|id| session.shown(id)),
            uses: seen.count,
            first_seen: timestamp(seen.first),
            last_seen: timestamp(seen.last),
        }
    };
    rows.into_iter().map(row).collect()
}

/// `AES-128-CTR, HMAC-SHA-1`: of a protocol without suites.
fn ciphers(handshake: &Handshake) -> String {
    let used = handshake.algorithms.iter().filter(|(_, place)| *place == Place::CipherSuite);
    used.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

fn purpose(handshake: &Handshake) -> String {
    let name = handshake.server_name.as_deref().map(|name| format!(", {}", escape::for_people(name)));
    let name = name.unwrap_or_default();
    let protocol = protocol_title(handshake.protocol);
    match (handshake.role, handshake.port) {
        (Some(Role::Server), _) => format!("{protocol} server{name}"),
        (Some(Role::Client), Some(port)) => format!("{protocol} client of port {port}{name}"),
        _ => format!("{protocol}{name}"),
    }
}

/// Rows by file, those with most loads first.
pub(super) fn libraries(session: &Session<'_>, uses: &Uses) -> Vec<LibraryRow> {
    type Key<'a> = (u32, &'a [u8], Option<&'static str>, Option<&'a str>);
    let mut rows: BTreeMap<Key<'_>, (Seen, &Party, Vec<&[u8]>)> = BTreeMap::new();
    for (library, seen) in &uses.libraries {
        let key = (library.party.host, &*library.path, library.name, library.version.as_deref());
        let new = || (Seen { count: 0, ..*seen }, &library.party, Vec::new());
        let (sum, _, programs) = rows.entry(key).or_insert_with(new);
        add(sum, *seen);
        programs.extend(library.party.program.as_deref().filter(|program| !programs.contains(program)));
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(_, (seen, ..))| std::cmp::Reverse(seen.count));
    let row =
        |((_, path, library, version), (seen, party, programs)): (Key<'_>, (Seen, &Party, Vec<&[u8]>))| LibraryRow {
            library,
            version: version.map(str::to_owned),
            file: session.shown(path),
            host: host(session, party),
            programs: programs.into_iter().map(|program| session.shown(program)).collect(),
            loads: seen.count,
            first_seen: timestamp(seen.first),
            last_seen: timestamp(seen.last),
        };
    rows.into_iter().map(row).collect()
}
