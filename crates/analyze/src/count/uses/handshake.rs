//! One end of a handshake as rules see it: what was agreed on, and what of it the wire does not say.

use super::Party;
use crate::budget::heap;
use crate::capture::connections::{Connection, Outcome, Role};
use crate::count::handshakes::{Exchange, Facts, Place};
use crate::count::wire::{Algorithms, Common, Size, protocol_name};
use crate::protocol::iana::{CipherSuite, Version};
use crate::protocol::{View, ssh};
use std::net::IpAddr;

/// A set of [`Place`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Places(u16);

impl Places {
    /// These.
    pub fn of(places: &[Place]) -> Self {
        Self(places.iter().fold(0, |bits, place| bits | 1 << *place as u8))
    }

    /// Whether one of these is among the others.
    pub fn meet(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// These and others.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Ends of handshakes that are alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handshake {
    /// Whose.
    pub party: Party,
    /// The protocol, as reports name it.
    pub protocol: &'static str,
    /// Which side. None: neither hello was seen.
    pub role: Option<Role>,
    /// Address of the other end.
    pub address: IpAddr,
    /// Its port. None of clients: theirs are new each time.
    pub port: Option<u16>,
    /// The host that was asked for: bytes of the peer.
    pub server_name: Option<Box<[u8]>>,
    /// The server chose something.
    pub answered: bool,
    /// No answer was seen, and no alert.
    pub unanswered: bool,
    /// Version that was agreed on, as rules call it: `TLS 1.2`, `SSH 2.0`.
    pub version: Option<Box<str>>,
    /// Cipher suite that was agreed on.
    pub suite: Option<CipherSuite>,
    /// How keys were agreed on.
    pub exchange: Exchange,
    /// What was used, and where.
    pub algorithms: Box<[(String, Place)]>,
    /// Sizes of keys and groups.
    pub sizes: Box<[Size]>,
    /// Places of which the wire does not say what was used.
    pub hidden: Places,
}

impl Handshake {
    /// What a connection shows.
    pub fn new(party: Party, connection: &Connection) -> Self {
        match &*connection.view() {
            View::Tls(view) => Self::of_tls(party, connection, Facts::of_view(view)),
            View::Ssh(view) => Self::of_ssh(party, connection, view),
            View::Ike(view) => Self::of_tunnel(party, connection, Common::of_ike(view), Algorithms::of_ike(view)),
            View::Wireguard(view) => {
                Self::of_tunnel(party, connection, Common::of_wireguard(view), Algorithms::of_wireguard(view))
            }
        }
    }

    fn of_tls(party: Party, connection: &Connection, facts: Facts) -> Self {
        let answered = facts.was_answered();
        Self {
            party,
            protocol: protocol_name(connection.protocol()),
            role: facts.role,
            address: connection.remote().ip(),
            port: port(connection, facts.role),
            answered,
            unanswered: !answered && facts.outcome == Outcome::None,
            sizes: ordered(sizes(&facts)),
            hidden: hidden(&facts, connection, answered),
            server_name: facts.server_name,
            version: facts.version.map(|version| version.to_string().into()),
            suite: facts.suite,
            exchange: facts.exchange,
            algorithms: ordered(facts.algorithms),
        }
    }

    /// Of what both sides of SSH, IKE or WireGuard agreed on.
    fn of_used(party: Party, connection: &Connection, common: Common, used: Algorithms, hidden: Places) -> Self {
        Self {
            hidden,
            algorithms: ordered(used.algorithms),
            sizes: ordered(used.sizes),
            ..Self::of_common(party, connection, common)
        }
    }

    fn of_ssh(party: Party, connection: &Connection, view: &ssh::View) -> Self {
        let (common, used) = (Common::of_ssh(view), Algorithms::of_ssh(view));
        let hidden = hidden_of_ssh(view, &used, common.answered);
        Self::of_used(party, connection, common, used, hidden)
    }

    /// Of IKE or WireGuard.
    fn of_tunnel(party: Party, connection: &Connection, common: Common, used: Algorithms) -> Self {
        let hidden = hidden_of_tunnel(common.answered, common.outcome);
        Self::of_used(party, connection, common, used, hidden)
    }

    /// What every protocol tells, without algorithms.
    fn of_common(party: Party, connection: &Connection, common: Common) -> Self {
        Self {
            party,
            protocol: common.protocol,
            role: common.role,
            address: connection.remote().ip(),
            port: port(connection, common.role),
            server_name: None,
            answered: common.answered,
            unanswered: !common.answered && common.outcome == Outcome::None,
            version: common.version.map(Into::into),
            suite: None,
            exchange: common.exchange,
            hidden: Places::default(),
            algorithms: Box::default(),
            sizes: Box::default(),
        }
    }

    /// Bytes that it holds besides itself and its party.
    pub fn held_bytes(&self) -> usize {
        let names: usize = self.algorithms.iter().map(|(name, _)| heap(name.len())).sum();
        let exchange = if let Exchange::Known(name, _) = &self.exchange { name.len() } else { 0 };
        names
            + heap(size_of_val(&*self.algorithms))
            + heap(size_of_val(&*self.sizes))
            + heap(exchange)
            + heap(self.version.as_ref().map_or(0, |version| version.len()))
            + heap(self.server_name.as_ref().map_or(0, |name| name.len()))
    }

    /// Version that was agreed on, as rules call it.
    pub fn version_name(&self) -> Option<String> {
        self.version.as_deref().map(str::to_owned)
    }
}

/// The port of the other end, where it is not new each time.
fn port(connection: &Connection, role: Option<Role>) -> Option<u16> {
    (role != Some(Role::Server)).then_some(connection.remote().port())
}

/// Each once, in their order.
fn ordered<T: Ord>(mut all: Vec<T>) -> Box<[T]> {
    all.sort_unstable();
    all.dedup();
    all.into()
}

fn sizes(facts: &Facts) -> Vec<Size> {
    let bits = |bits: usize| u32::try_from(bits).unwrap_or(u32::MAX);
    let mut sizes: Vec<Size> = Vec::new();
    for (_, certificate) in &facts.certificates {
        let kind = match certificate.key_type.as_deref() {
            Some("RSA") => "RSA",
            Some("DSA") => "DSA",
            Some("EC") => "EC",
            _ => continue,
        };
        sizes.extend(certificate.key_bits.map(|size| (kind, bits(size))));
    }
    if let Exchange::Known(name, _) = &facts.exchange {
        let finite = name.strip_prefix("DH, ").and_then(|rest| rest.strip_suffix(" bits"));
        let named = name.strip_prefix("ffdhe");
        sizes.extend(finite.or(named).and_then(|size| size.parse().ok()).map(|size| ("DH", size)));
    }
    sizes
}

/// Signatures and keys of the ends, which TLS 1.3 encrypts.
const PROOFS: &[Place] = &[Place::Authentication, Place::CertificateKey, Place::CertificateSignature];

fn hidden(facts: &Facts, connection: &Connection, answered: bool) -> Places {
    if !answered {
        // After an alert nothing was agreed on; without an answer nobody knows.
        let all = [Place::Protocol, Place::KeyExchange, Place::CipherSuite];
        return if facts.outcome == Outcome::None {
            Places::of(&all).and(Places::of(PROOFS))
        } else {
            Places::default()
        };
    }
    let damaged = facts.gap || facts.incomplete || connection.cut || connection.late;
    let no_certificate = !facts.certificates.iter().any(|(role, _)| *role == Role::Server);
    let is_not_read = facts.certificates.iter().any(|(_, certificate)| certificate.sha256.is_none());
    let names_signer = |name: &String| !name.starts_with("anonymous") && name != "PSK";
    let mut authenticated = facts.algorithms.iter().filter(|(_, place)| *place == Place::Authentication);
    // A suite that needs none, such as those of pre-shared keys, hides none.
    let needs_proof = facts.suite.is_none() || authenticated.any(|(name, _)| names_signer(name));
    let tls13 = facts.version.is_none_or(Version::is_tls13);
    let proofs = !facts.resumed && (tls13 || damaged || is_not_read || no_certificate && needs_proof);
    let part = |is_hidden: bool, places: &[Place]| if is_hidden { Places::of(places) } else { Places::default() };
    part(facts.version.is_none(), &[Place::Protocol])
        .and(part(facts.suite.is_none(), &[Place::CipherSuite]))
        .and(part(facts.exchange == Exchange::NotSeen, &[Place::KeyExchange]))
        .and(part(proofs, PROOFS))
}

fn hidden_of_ssh(view: &ssh::View, used: &Algorithms, answered: bool) -> Places {
    let agreed = [Place::Protocol, Place::KeyExchange, Place::CipherSuite, Place::Authentication];
    if !answered {
        // Where the sides have nothing in common nothing was agreed on.
        let unknown = view.outcome == Outcome::None;
        return if unknown { Places::of(&agreed).and(Places::of(&[Place::HostKey])) } else { Places::default() };
    }
    let key = view.host_key.as_deref();
    let part = |is_hidden: bool, place| if is_hidden { Places::of(&[place]) } else { Places::default() };
    part(key.is_none_or(|key| key.is_cut), Place::HostKey)
        .and(part(used.no_group, Place::KeyExchange))
        // How a certificate is signed is not read.
        .and(part(key.is_some_and(|key| key.certificate.is_some()), Place::CertificateSignature))
}

/// Of IKE and of WireGuard.
fn hidden_of_tunnel(answered: bool, outcome: Outcome) -> Places {
    let agreed = [Place::Protocol, Place::KeyExchange, Place::CipherSuite];
    match (answered, outcome) {
        // Who the ends are, and how they prove it, comes encrypted.
        (true, _) => Places::of(PROOFS),
        (false, Outcome::None) => Places::of(&agreed).and(Places::of(PROOFS)),
        (false, _) => Places::default(),
    }
}
