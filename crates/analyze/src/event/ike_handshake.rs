//! `ike_handshake`: one end of an IKEv2 exchange whose first messages were seen.

use super::members::members;
use super::ssh_handshake::{Outcome, ssh_outcome};
use super::tls_handshake::{KnownBy, Peer, Side, side};
use super::values::{AtLeast, Listed, When, words};
use crate::capture::Capture;
use crate::capture::connections::Connection;
use crate::protocol::ike::{Message, Proposal, Transform, TransformType, View, error_name, notify};
use crate::words::text::hex;

members! {
    /// Members of an ike_handshake.
    pub struct IkeHandshake from "IKE_SA_INIT" {
        /// `client` (the initiator) or `server` (the responder); `null` when no message could be read
        role: Option<Side>,
        /// how far it got in the clear: `agreed` (the responder chose a proposal), `failed` (it answered with an error), `none`
        /// (no answer was seen, or only one that asks for another request). Who they are, and whether they let each other in, is
        /// encrypted
        outcome: Outcome,
        /// version of the protocol: `2.0`
        version: Option<String>,
        /// the initiator's SPI, in hexadecimal
        initiator_spi: Option<String>,
        /// the responder's SPI, in hexadecimal; `null` before it has one
        responder_spi: Option<String>,
        /// cipher chosen, by its name of IANA, or its number
        encryption: Option<String>,
        /// length of its key, where that was negotiated
        #[unit = "bits"]
        encryption_key_bits: When<AtLeast<1>>,
        /// pseudorandom function chosen
        prf: Option<String>,
        /// integrity algorithm chosen; `null` also where the cipher authenticates by itself
        integrity: Option<String>,
        /// method of key exchange chosen
        key_exchange: Option<String>,
        /// additional key exchanges chosen (RFC 9370), if there are any, in their order: each with its number, `1: ML-KEM-768`
        additional_key_exchanges: Listed<String>,
        /// whether one of these key exchanges is ML-KEM; `null` also for one that is not known, and where only an additional one is and `intermediate_seen` is false: it was chosen, and was not seen to happen
        post_quantum: Option<bool>,
        /// only when the responder answered with an error at last: its name of IANA, or its number
        error: When<String>,
        /// only when the responder wanted another method of key exchange than the initiator began with: which
        wanted_key_exchange: When<String>,
        /// whether the initiator began anew, with a cookie or another method: still one handshake
        retried: bool,
        /// whether the responder wanted a cookie back first
        cookie: bool,
        /// whether both sides know fragmentation (RFC 7383)
        fragmentation: bool,
        /// whether both sides say which addresses they see, so that NAT between them is found
        nat_detection: bool,
        /// whether messages came in the form of port 4500, in which ESP passes NAT
        nat_traversal: bool,
        /// whether both sides know IKE_INTERMEDIATE (RFC 9242), which additional key exchanges need
        intermediate_supported: bool,
        /// whether IKE_INTERMEDIATE was seen, and its answer; what is in them is encrypted
        intermediate_seen: bool,
        /// what the initiator proposed at last, in its order. Left out when it was not seen. Proposed does not mean used
        proposed: Listed<IkeProposal>,
        /// vendor ids of the initiator, if there are any, in hexadecimal
        initiator_vendor_ids: Listed<String>,
        /// vendor ids of the responder
        responder_vendor_ids: Listed<String>,
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
        /// only when there is something to note: `request_not_seen`, `answer_not_seen`, `message_incomplete`, `malformed`,
        /// `additional_key_exchange_not_seen` (it was chosen, and IKE_INTERMEDIATE was not seen). Why: `packets_missing`, `hello_cut`, `connected_before_capture`
        hello_notes: Listed<IkeNote>,
    }
}

members! {
    /// Algorithms that go together.
    pub struct IkeProposal from "IKE_SA_INIT" {
        /// its number
        number: u8,
        /// ciphers, each with the length of its key where it says one: `ENCR_AES_GCM_16-256`
        encryption: Vec<String>,
        /// pseudorandom functions
        prf: Vec<String>,
        /// integrity algorithms
        integrity: Vec<String>,
        /// methods of key exchange
        key_exchange: Vec<String>,
        /// additional key exchanges, each with its number
        additional_key_exchanges: Vec<String>,
    }
}

words! {
    /// What to know of what was seen.
    pub IkeNote: "request_not_seen" "answer_not_seen" "message_incomplete" "malformed" "additional_key_exchange_not_seen"
        "packets_missing" "hello_cut" "connected_before_capture"
}

fn additional(proposal: &Proposal) -> Vec<String> {
    let number = |one: &Transform| Some(format!("{}: {}", one.ty.additional()?, one.name()));
    proposal.transforms.iter().filter_map(number).collect()
}

impl IkeProposal {
    fn new(proposal: &Proposal) -> Self {
        let of = |ty| proposal.of(ty).map(ToString::to_string).collect();
        Self {
            number: proposal.number,
            encryption: of(TransformType::ENCRYPTION),
            prf: of(TransformType::PRF),
            integrity: of(TransformType::INTEGRITY),
            key_exchange: of(TransformType::KEY_EXCHANGE),
            additional_key_exchanges: additional(proposal),
        }
    }
}

impl IkeHandshake {
    /// What this connection's `view` says of it.
    pub fn new(capture: &Capture, connection: &Connection, view: &View, redact: bool) -> Self {
        let (initiator, responder) = (view.initiator.as_deref(), view.responder.as_deref());
        let any = responder.or(initiator);
        let used = |ty| view.used(ty).as_ref().map(Transform::name);
        let bits = view.used(TransformType::ENCRYPTION).and_then(|one| one.key_bits);
        let spi = |spi: u64| Some(spi).filter(|spi| *spi != 0).map(|spi| format!("{spi:016x}"));
        let vendors = |one: Option<&Message>| {
            Listed(one.map(|one| one.vendors.iter().map(|id| hex(id)).collect()).unwrap_or_default())
        };
        let error = |number: u16| error_name(number).map_or_else(|| number.to_string(), str::to_owned);
        let method = |id| Transform { ty: TransformType::KEY_EXCHANGE, id, key_bits: None }.name();
        let proposed = initiator.map(|one| one.proposals.iter().map(IkeProposal::new).collect());
        let (local, remote) = (connection.local(), connection.remote());
        Self {
            role: view.role.map(side),
            outcome: Outcome::new(ssh_outcome(view.outcome)),
            version: any.map(|one| format!("{}.{}", one.version.0, one.version.1)),
            initiator_spi: any.and_then(|one| spi(one.initiator_spi)),
            responder_spi: responder.and_then(|one| spi(one.responder_spi)),
            encryption: used(TransformType::ENCRYPTION),
            encryption_key_bits: When(bits.and_then(AtLeast::new)),
            prf: used(TransformType::PRF),
            integrity: used(TransformType::INTEGRITY),
            key_exchange: used(TransformType::KEY_EXCHANGE),
            additional_key_exchanges: Listed(view.chosen.as_deref().map(additional).unwrap_or_default()),
            post_quantum: view.post_quantum(),
            error: When(view.error.map(error)),
            wanted_key_exchange: When(view.wanted_key_exchange.map(method)),
            retried: view.retried,
            cookie: view.cookie,
            fragmentation: view.both_notify(notify::FRAGMENTATION_SUPPORTED),
            nat_detection: view.nat_detection,
            nat_traversal: view.has_marker,
            intermediate_supported: view.both_notify(notify::INTERMEDIATE_EXCHANGE_SUPPORTED),
            intermediate_seen: view.intermediate,
            proposed: Listed(proposed.unwrap_or_default()),
            initiator_vendor_ids: vendors(initiator),
            responder_vendor_ids: vendors(responder),
            local_address: local.ip().to_string(),
            local_port: local.port(),
            remote_address: remote.ip().to_string(),
            remote_port: remote.port(),
            exchange_ns: view.exchange_ns,
            process_known_by: connection.owner.source.name().map(KnownBy::new),
            peer: capture.handshakes.peer(connection).map(|peer| Peer::new(peer, redact)),
            socket_cookie: connection.cookie(),
            net_ns: connection.net_ns(),
            hello_notes: Listed(view.notes(connection.cut, connection.late).into_iter().map(IkeNote::new).collect()),
        }
    }
}
