//! `wireguard_handshake`: one end of a handshake of WireGuard.

use super::members::members;
use super::ssh_handshake::{Outcome, ssh_outcome};
use super::tls_handshake::{KnownBy, Peer, Side, side};
use super::values::{Listed, words};
use crate::capture::Capture;
use crate::capture::connections::Connection;
use crate::protocol::Protocol as _;
use crate::protocol::wireguard::{CIPHER, CONSTRUCTION, HASH, KEY_EXCHANGE, View};

members! {
    /// Members of a wireguard_handshake.
    pub struct WireguardHandshake from "types and indexes of messages" {
        /// `client` (the initiator) or `server` (the responder); `null` when no initiation could be read
        role: Option<Side>,
        /// how far it got: `agreed` (the responder answered this initiation) or `none`: what has form and length of an initiation
        /// was seen, and no answer to it
        outcome: Outcome,
        /// what the initiator knows the handshake by, in hexadecimal: a random number
        initiator_index: Option<String>,
        /// what the responder knows it by; `null` before there is an answer
        responder_index: Option<String>,
        /// the fixed algorithms, as the protocol calls them together; of these `null` as long as there is no answer
        #[from = "the protocol"]
        construction: Option<&'static str>,
        /// how keys are agreed on
        #[from = "the protocol"]
        key_exchange: Option<&'static str>,
        /// cipher
        #[from = "the protocol"]
        cipher: Option<&'static str>,
        /// hash
        #[from = "the protocol"]
        hash: Option<&'static str>,
        /// `false`: the key exchange is none against quantum computers. A preshared key that is mixed in may protect all the same, and cannot be seen
        #[from = "the protocol"]
        post_quantum: Option<bool>,
        /// whether a busy end wanted a cookie first
        cookie: bool,
        /// address of this end
        #[from = "record"]
        local_address: String,
        /// its port
        #[from = "record"]
        local_port: u16,
        /// address of the other end
        #[from = "record"]
        remote_address: String,
        /// its port
        #[from = "record"]
        remote_port: u16,
        /// from the first message of one side to the first of the other, as this end saw both
        #[unit = "ns"]
        #[from = "record"]
        exchange_ns: Option<u64>,
        /// how the process is known, as in tls_handshake; `null`: not known, and `pid`, `tid`, `uid`, `gid`, `process` and the
        /// members derived from them are `null` too
        #[from = "record"]
        process_known_by: Option<KnownBy>,
        /// the other end, if it was seen too
        #[from = "records of the other end"]
        peer: Option<Peer>,
        /// number of the socket (`SO_COOKIE`), unique while the system runs
        #[from = "record"]
        socket_cookie: u64,
        /// inode number of its network namespace
        #[from = "record"]
        net_ns: u32,
        /// only when there is something to note: `response_not_seen`, `malformed`. Why: `packets_missing`, `hello_cut`,
        /// `connected_before_capture`
        hello_notes: Listed<WireguardNote>,
    }
}

words! {
    /// What to know of what was seen.
    pub WireguardNote: "response_not_seen" "malformed" "packets_missing" "hello_cut" "connected_before_capture"
}

impl WireguardHandshake {
    /// What this connection's `view` says of it.
    pub fn new(capture: &Capture, connection: &Connection, view: &View, redact: bool) -> Self {
        let index = |index: u32| format!("{index:08x}");
        let used = |what| view.responder.map(|_| what);
        let (local, remote) = (connection.local(), connection.remote());
        Self {
            role: view.role.map(side),
            outcome: Outcome::new(ssh_outcome(view.outcome())),
            initiator_index: view.initiator.map(index),
            responder_index: view.responder.map(index),
            construction: used(CONSTRUCTION),
            key_exchange: used(KEY_EXCHANGE),
            cipher: used(CIPHER),
            hash: used(HASH),
            post_quantum: view.responder.map(|_| false),
            cookie: view.cookie,
            local_address: local.ip().to_string(),
            local_port: local.port(),
            remote_address: remote.ip().to_string(),
            remote_port: remote.port(),
            exchange_ns: view.exchange_ns,
            process_known_by: connection.owner.source.name().map(KnownBy::new),
            peer: capture.handshakes.peer(connection).map(|peer| Peer::new(peer, redact)),
            socket_cookie: connection.cookie(),
            net_ns: connection.net_ns(),
            hello_notes: Listed(
                view.notes(connection.cut, connection.late).into_iter().map(WireguardNote::new).collect(),
            ),
        }
    }
}
