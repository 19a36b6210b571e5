//! One end of a handshake as rules see it: what was agreed on, and what of it the wire does not say.

use super::Party;
use crate::budget::heap;
use crate::capture::connections::{Connection, Outcome, Role};
use crate::count::handshakes::{Exchange, Facts, Place};
use crate::protocol::iana::{CipherSuite, Version};
use std::net::IpAddr;

/// A set of [`Place`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Places(u8);

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

/// The size of something that has one: `RSA`, `DSA`, `EC` keys, `DH` groups; in bits.
pub type Size = (&'static str, u32);

/// Ends of handshakes that are alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handshake {
    /// Whose.
    pub party: Party,
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
    /// Version that was agreed on.
    pub version: Option<Version>,
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
    /// What a connection shows; None when it is not one of TLS.
    pub fn new(party: Party, connection: &Connection) -> Option<Self> {
        let mut facts = Facts::new(connection)?;
        facts.algorithms.sort();
        let remote = connection.remote();
        let answered = facts.was_answered();
        let mut sizes = sizes(&facts);
        sizes.sort_unstable();
        sizes.dedup();
        Some(Self {
            party,
            role: facts.role,
            address: remote.ip(),
            port: (facts.role != Some(Role::Server)).then_some(remote.port()),
            hidden: hidden(&facts, connection, answered),
            server_name: facts.server_name,
            answered,
            unanswered: !answered && facts.outcome == Outcome::None,
            version: facts.version,
            suite: facts.suite,
            exchange: facts.exchange,
            algorithms: facts.algorithms.into(),
            sizes: sizes.into(),
        })
    }

    /// Bytes that it holds besides itself and its party.
    pub fn held_bytes(&self) -> usize {
        let names: usize = self.algorithms.iter().map(|(name, _)| heap(name.len())).sum();
        let exchange = if let Exchange::Known(name, _) = &self.exchange { name.len() } else { 0 };
        names
            + heap(size_of_val(&*self.algorithms))
            + heap(size_of_val(&*self.sizes))
            + heap(exchange)
            + heap(self.server_name.as_ref().map_or(0, |name| name.len()))
    }

    /// Version that was agreed on, as rules call it.
    pub fn version_name(&self) -> Option<String> {
        self.version.map(|version| version.to_string())
    }
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
