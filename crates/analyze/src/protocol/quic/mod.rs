//! What a QUIC connection says of itself before it is encrypted with keys that only its ends know: Initial packets, and the TLS
//! hellos in them; Retry; version negotiation.
//!
//! Works on datagrams, each a [`Chunk`]. Nothing secret is needed: see [`crypto_trace_format::wire::quic`]. Certificates, and what
//! the server answers to ALPN, are encrypted.

#![warn(clippy::indexing_slicing)]

mod frames;
mod parameters;

pub use parameters::Parameter;

use crate::protocol::tls::{Transport, View};
use crate::protocol::{Chunk, Ends, Said};
use crypto_trace_format::wire::quic::{self, InitialKeys, Packet, PacketType, QuicVersion, Sender, packets};
use frames::Crypto;

/// Connection ids that are tried: a client takes another one after a Retry.
const MAX_CIDS: usize = 8;

/// What QUIC says besides TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quic {
    /// The version of the client's first Initial packet, and the last one's where that is another (RFC 9368). Empty when none could
    /// be read.
    pub versions: Vec<QuicVersion>,
    /// Whom the client's first packet is for: a connection id of its own making, from which the keys of Initial packets follow.
    pub original_cid: Option<Vec<u8>>,
    /// Connection id that the client takes for itself; empty where it needs none.
    pub client_cid: Option<Vec<u8>>,
    /// Connection id that the server takes for itself, in its first Initial packet.
    pub server_cid: Option<Vec<u8>>,
    /// Versions that the server lists because it does not speak the client's.
    pub server_versions: Vec<QuicVersion>,
    /// Whether the server wanted a token.
    pub retry: bool,
    /// Whether the client sent one with its first packet: of an earlier connection, or of a Retry that was not seen.
    pub token: bool,
    /// What the client says of itself, in its order.
    pub client_parameters: Vec<Parameter>,
    /// Why a side closed the connection in an Initial packet, where it was not TLS that failed.
    pub closed: Option<u64>,
    /// Some of what was seen could not be read: a first packet is missing.
    pub unread: bool,
}

/// Which connection id the keys of a connection come from.
type KeySource<'a> = (QuicVersion, &'a [u8]);

/// The packets of one direction.
fn all<'a>(said: &Said<'a>) -> Vec<Packet<'a>> {
    said.chunks.iter().flat_map(|Chunk { bytes, .. }| packets(bytes)).collect()
}

fn initials<'a, 'b>(packets: &'b [Packet<'a>]) -> impl Iterator<Item = &'b Packet<'a>> {
    packets.iter().filter(|packet| packet.kind == PacketType::Initial)
}

/// Where the keys come from, if these packets are a client's: its own say so.
fn key_sources<'a>(packets: &[Packet<'a>]) -> Vec<KeySource<'a>> {
    let mut found: Vec<KeySource<'a>> = Vec::new();
    let mut tried: Vec<KeySource<'a>> = Vec::new();
    let mut largest = None;
    for packet in initials(packets) {
        let source = (packet.version, packet.dcid);
        if tried.contains(&source) || tried.len() == MAX_CIDS {
            continue;
        }
        tried.push(source);
        let keys = InitialKeys::new(source.0, source.1, Sender::Client);
        if let Some((number, _)) = keys.and_then(|keys| packet.open(&keys, largest)) {
            largest = largest.max(Some(number));
            found.push(source);
        }
    }
    found
}

/// Where the keys come from, if what this side sent was left out but for its connection ids (`--privacy`): what the other side
/// answered says so.
fn hidden_sources<'a>(said: &Said<'a>, answers: &[Packet<'_>]) -> Vec<KeySource<'a>> {
    let mut found: Vec<KeySource<'a>> = Vec::new();
    for (version, dcid, _) in said.chunks.iter().take(MAX_CIDS).filter_map(|chunk| quic::ids(chunk.bytes)) {
        let Some(keys) = InitialKeys::new(version, dcid, Sender::Server) else { continue };
        if !found.contains(&(version, dcid)) && initials(answers).any(|packet| packet.open(&keys, None).is_some()) {
            found.push((version, dcid));
        }
    }
    found
}

/// What one side said in its Initial packets.
fn crypto(packets: &[Packet<'_>], sources: &[KeySource<'_>], sender: Sender) -> Crypto {
    let keys: Vec<(QuicVersion, InitialKeys)> = sources
        .iter()
        .filter_map(|(version, cid)| Some((*version, InitialKeys::new(*version, cid, sender)?)))
        .collect();
    let mut crypto = Crypto::default();
    // Numbers go on after a Retry, and in another version.
    let mut largest = None;
    for packet in initials(packets) {
        let of_version = keys.iter().filter(|(version, _)| *version == packet.version);
        match of_version.rev().find_map(|(_, keys)| packet.open(keys, largest)) {
            Some((number, frames)) => {
                largest = largest.max(Some(number));
                crypto.add(&frames);
            }
            None => crypto.unread = true,
        }
    }
    crypto
}

/// Reads what was seen of a connection at one of its ends.
pub fn read(ends: &Ends<'_>) -> View {
    let (sent, received) = (all(&ends.sent), all(&ends.received));
    let (mut by_sent, mut by_received) = (key_sources(&sent), key_sources(&received));
    if by_sent.is_empty() && by_received.is_empty() {
        (by_sent, by_received) = (hidden_sources(&ends.sent, &received), hidden_sources(&ends.received, &sent));
    }
    let is_client = !by_sent.is_empty() || by_received.is_empty();
    let (client, server, sources) =
        if is_client { (&sent, &received, by_sent) } else { (&received, &sent, by_received) };
    let sources = in_all_versions(&sources, &[client, server]);
    let mut seen = Quic::default();
    let client_said = if is_client { &ends.sent } else { &ends.received };
    for (version, dcid, scid) in client_said.chunks.iter().filter_map(|chunk| quic::ids(chunk.bytes)) {
        seen.original_cid.get_or_insert_with(|| dcid.to_vec());
        seen.client_cid.get_or_insert_with(|| scid.to_vec());
        if !seen.versions.contains(&version) && seen.versions.len() < MAX_CIDS {
            seen.versions.push(version);
        }
    }
    seen.token = initials(client).next().is_some_and(|packet| !packet.token.is_empty());
    seen.server_cid = initials(server).next().map(|packet| packet.scid.to_vec());
    seen.retry = server.iter().any(|packet| packet.kind == PacketType::Retry);
    let lists = server.iter().find(|packet| packet.kind == PacketType::VersionNegotiation);
    let listed = lists.map(|packet| packet.token.as_chunks::<4>().0).unwrap_or_default();
    seen.server_versions = listed.iter().map(|version| QuicVersion(u32::from_be_bytes(*version))).collect();
    let said = crypto(client, &sources, Sender::Client);
    let answered = crypto(server, &sources, Sender::Server);
    seen.unread = said.unread || answered.unread;
    seen.closed = said.closed.or(answered.closed).filter(|code| frames::alert(*code).is_none());
    let stream = |crypto: &Crypto, was_seen: bool| Some(crypto.stream()).filter(|_| was_seen);
    let streams = (stream(&said, !client.is_empty()), stream(&answered, !server.is_empty()));
    let (sent, received) = if is_client { streams } else { (streams.1, streams.0) };
    let mut view = View::of(sent, received, ends);
    seen.client_parameters = view.hello().map(parameters::read).unwrap_or_default();
    view.transport = Transport::Quic(Box::new(seen));
    view
}

/// The same sources in all versions of packets: a server may answer in another than it was asked in, and then the client goes on in it,
/// with keys from the same connection id (RFC 9368 section 2.3, RFC 9369 section 4.1).
fn in_all_versions<'a>(sources: &[KeySource<'a>], packets: &[&[Packet<'_>]]) -> Vec<KeySource<'a>> {
    let mut all = sources.to_vec();
    for packet in packets.iter().flat_map(|packets| initials(packets)) {
        for (_, cid) in sources {
            let other = (packet.version, *cid);
            if !all.contains(&other) && all.len() < MAX_CIDS {
                all.push(other);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests;
