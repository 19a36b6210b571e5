//! What every protocol tells of a handshake, in the same words: what `wire` counts, whatever the protocol.
//!
//! A protocol has a row of [`PROTOCOLS`] and an arm of [`Common::new`].

use crate::capture::connections::{Outcome, Role};
use crate::capture::libraries::short;
use crate::count::handshakes::{Exchange, Facts};
use crate::protocol::{Protocol as _, View, ike, ssh, wireguard};
use crate::words::escape;
use crypto_trace_format::record::Protocol;

/// Bytes of a name that are counted by; RFC 4251 allows no longer ones than 64.
const MAX_NAME: usize = 255;

/// Protocols: their names in reports, and what they are recorded as.
pub const PROTOCOLS: [(&str, Protocol); 6] = [
    ("tls", Protocol::TLS),
    ("quic", Protocol::QUIC),
    ("dtls", Protocol::DTLS),
    ("ssh", Protocol::SSH),
    ("ike", Protocol::IKE),
    ("wireguard", Protocol::WIREGUARD),
];

/// How reports name a protocol.
pub fn protocol_name(protocol: Protocol) -> &'static str {
    PROTOCOLS.iter().find(|(_, code)| *code == protocol).map_or("tls", |(name, _)| name)
}

/// How people write the name of a protocol that reports name so.
pub fn protocol_title(name: &str) -> String {
    if name == "wireguard" { wireguard::NAME.to_owned() } else { name.to_uppercase() }
}

/// Whether what is said of a protocol, as reports name both, is said of handshakes of `protocol`: of TLS whatever carries it.
pub fn is_said_of(named: &str, protocol: &str) -> bool {
    named == protocol || named == "tls" && ["quic", "dtls"].contains(&protocol)
}

/// What one end of a connection shows.
#[derive(Debug)]
pub struct Common {
    /// The protocol, as reports name it.
    pub protocol: &'static str,
    /// Which side it is.
    pub role: Option<Role>,
    /// How far it came.
    pub outcome: Outcome,
    /// Something was agreed on, whatever came of it.
    pub answered: bool,
    /// Version that was agreed on.
    pub version: Option<String>,
    /// How keys were agreed on.
    pub exchange: Exchange,
    /// The host that was asked for: bytes of the peer.
    pub server_name: Option<Box<[u8]>>,
    /// Why it failed.
    pub failure: Option<String>,
}

impl Common {
    /// What a connection of a protocol shows, by what it says.
    pub fn new(view: &View, protocol: Protocol) -> Self {
        match view {
            View::Tls(view) => Self::of_tls(protocol_name(protocol), Facts::of_view(view)),
            View::Ssh(view) => Self::of_ssh(view),
            View::Ike(view) => Self::of_ike(view),
            View::Wireguard(view) => Self::of_wireguard(view),
        }
    }

    fn of_tls(protocol: &'static str, facts: Facts) -> Self {
        Self {
            protocol,
            role: facts.role,
            outcome: facts.outcome,
            answered: facts.was_answered(),
            version: facts.version.map(|version| version.to_string()),
            exchange: facts.exchange,
            server_name: facts.server_name,
            failure: facts.alert.map(|(alert, from)| format!("alert {alert} from the {}", from.name())),
        }
    }

    /// What an exchange of IKE shows.
    pub fn of_ike(view: &ike::View) -> Self {
        let version = view.responder.as_ref().filter(|_| view.chosen.is_some()).map(|one| one.version);
        let failure = view.error.filter(|_| view.outcome == Outcome::Alert);
        Self {
            protocol: "ike",
            role: view.role,
            outcome: view.outcome,
            answered: view.chosen.is_some(),
            version: version.map(|(major, minor)| format!("IKE {major}.{minor}")),
            exchange: match view.exchange_name() {
                Some(name) => Exchange::Known(name, view.post_quantum()),
                None => Exchange::NotSeen,
            },
            server_name: None,
            failure: failure.map(|number| ike::error_name(number).map_or_else(|| number.to_string(), str::to_owned)),
        }
    }

    /// What a handshake of WireGuard shows, whose algorithms are fixed.
    pub fn of_wireguard(view: &wireguard::View) -> Self {
        let answered = view.responder.is_some();
        Self {
            protocol: "wireguard",
            role: view.role,
            outcome: view.outcome(),
            answered,
            version: answered.then(|| wireguard::NAME.to_owned()),
            exchange: match answered {
                true => Exchange::Known(wireguard::KEY_EXCHANGE.to_owned(), Some(false)),
                false => Exchange::NotSeen,
            },
            server_name: None,
            failure: None,
        }
    }

    /// What a connection of SSH shows.
    pub fn of_ssh(view: &ssh::View) -> Self {
        let agreed = view.agreed.as_deref().filter(|agreed| agreed.nothing_in_common.is_empty());
        let exchange = agreed
            .and_then(|agreed| agreed.kex.as_deref())
            .map_or(Exchange::NotSeen, |kex| Exchange::Known(name(kex), ssh::post_quantum(kex)));
        Self {
            protocol: "ssh",
            role: view.role,
            outcome: view.outcome,
            answered: agreed.is_some(),
            // Version 1 has no SSH_MSG_KEXINIT.
            version: agreed.map(|_| "SSH 2.0".to_owned()),
            exchange,
            server_name: None,
            failure: failure(view),
        }
    }
}

/// A name, or a word that one side says of itself, as it is shown.
pub(super) fn name(bytes: &[u8]) -> String {
    escape::for_people(short(bytes, MAX_NAME))
}

/// `nothing in common: kex`, `the client disconnected: by_application`
fn failure(view: &ssh::View) -> Option<String> {
    let missing = view.agreed.as_deref().map(|agreed| agreed.nothing_in_common.as_slice()).unwrap_or_default();
    if !missing.is_empty() {
        return Some(format!("nothing in common: {}", missing.join(", ")));
    }
    let (code, from) = view.disconnect?;
    let why = ssh::reason_name(code).map_or_else(|| code.to_string(), str::to_owned);
    Some(format!("the {} disconnected: {why}", from.name()))
}
