//! Why one handshake is not post-quantum, as far as its hellos show. One file for all protocols: each fills an [`Observed`].

use crate::capture::connections::{Connection, Role};
use crate::count::handshakes::{Exchange, Facts};
use crate::count::wire::Common;
use crate::protocol::iana::{Group, Version};
use crate::protocol::tls::{ClientHello, KeyExchange, View};
use crate::protocol::{self, ike, ssh};

/// Post-quantum groups of one offer that are kept; IANA's registry has eleven.
const MAX_OFFERED: usize = 16;

/// What was spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TLS over TCP.
    Tls,
    /// SSH over TCP.
    Ssh,
    /// IKEv2.
    Ike,
    /// WireGuard.
    Wireguard,
}

impl Protocol {
    /// In output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Ssh => "ssh",
            Self::Ike => "ike",
            Self::Wireguard => "wireguard",
        }
    }
}

/// What a handshake is counted as: that it is post-quantum, or why it is not, or why that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// It is.
    PostQuantum,
    /// The client offered no post-quantum group.
    ClientDidNotOffer,
    /// The client offers nothing newer than TLS 1.2, which has no such groups.
    ClientOffersOldVersion,
    /// The client offered TLS 1.3, and the server chose an older version.
    ServerChoseOldVersion,
    /// TLS 1.2 or older was agreed on, and the client's hello was not seen.
    OldVersion,
    /// The client offered a group with a key share, which the server chose from another client; here it chose another one.
    ServerDeclined,
    /// The client offered a group with a key share, and the server chose another one. It was not seen to choose such a group
    /// from another client.
    ServerChoseAnother,
    /// Of SSH, whose servers tell what they offer: they offer none of those that the client offers.
    ServerDidNotOffer,
    /// Of SSH, where the client's order decides: both offer one, and the client prefers a classical method.
    ClientPrefersClassical,
    /// Of IKE: the initiator proposed one, and the responder chose what is without.
    ResponderChoseClassical,
    /// Of WireGuard, whose algorithms are fixed.
    ProtocolHasNone,
    /// The client offered a group without a key share, and the server chose one that came with a share: the first would have
    /// cost a round trip (HelloRetryRequest).
    RetryNeeded,
    /// What was agreed on is classical. What the client offered was not seen, or not all of it.
    OfferNotSeen,
    /// The client offered a group without a name, and nothing that is known to be post-quantum.
    OfferNotKnown,
    /// An earlier session or key went on: no key exchange was seen.
    Resumed,
    /// The group that was agreed on has no name.
    GroupNotKnown,
    /// The server answered, and its key exchange was not seen.
    NotSeen,
    /// Nothing was agreed on: an alert ended it, or no answer was seen.
    NoAgreement,
}

/// What a cause means for the share of post-quantum handshakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Post-quantum.
    PostQuantum,
    /// Classical.
    Classical,
    /// A key exchange of which it is not known.
    Unknown,
    /// An earlier session went on.
    Resumed,
    /// No key exchange was seen, though there was an answer.
    NotSeen,
    /// Nothing was agreed on.
    NoAgreement,
}

impl Cause {
    /// All of them that are a reason, in the order in which they are explained.
    pub const REASONS: [Self; 16] = [
        Self::ClientDidNotOffer,
        Self::ClientOffersOldVersion,
        Self::ServerChoseOldVersion,
        Self::OldVersion,
        Self::ServerDeclined,
        Self::ServerChoseAnother,
        Self::ServerDidNotOffer,
        Self::ClientPrefersClassical,
        Self::ResponderChoseClassical,
        Self::ProtocolHasNone,
        Self::RetryNeeded,
        Self::OfferNotSeen,
        Self::OfferNotKnown,
        Self::Resumed,
        Self::GroupNotKnown,
        Self::NotSeen,
    ];

    /// In JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::PostQuantum => "post_quantum",
            Self::ClientDidNotOffer => "client_did_not_offer",
            Self::ClientOffersOldVersion => "client_offers_old_version",
            Self::ServerChoseOldVersion => "server_chose_old_version",
            Self::OldVersion => "old_version",
            Self::ServerDeclined => "server_declined",
            Self::ServerChoseAnother => "server_chose_another",
            Self::ServerDidNotOffer => "server_did_not_offer",
            Self::ClientPrefersClassical => "client_prefers_classical",
            Self::ResponderChoseClassical => "responder_chose_classical",
            Self::ProtocolHasNone => "protocol_has_none",
            Self::RetryNeeded => "retry_needed",
            Self::OfferNotSeen => "offer_not_seen",
            Self::OfferNotKnown => "offer_not_known",
            Self::Resumed => "resumed",
            Self::GroupNotKnown => "group_not_known",
            Self::NotSeen => "not_seen",
            Self::NoAgreement => "no_agreement",
        }
    }

    /// In a table.
    pub fn short(self) -> &'static str {
        match self {
            Self::PostQuantum => "post-quantum",
            Self::ClientDidNotOffer => "client did not offer",
            Self::ClientOffersOldVersion => "client offers TLS 1.2 at most",
            Self::ServerChoseOldVersion => "server chose an older version",
            Self::OldVersion => "TLS 1.2 or older",
            Self::ServerDeclined => "server accepts it from others",
            Self::ServerChoseAnother => "server chose another group",
            Self::ServerDidNotOffer => "server did not offer",
            Self::ClientPrefersClassical => "client prefers a classical one",
            Self::ResponderChoseClassical => "responder chose a classical one",
            Self::ProtocolHasNone => "protocol has none",
            Self::RetryNeeded => "would have cost a retry",
            Self::OfferNotSeen => "offer not seen",
            Self::OfferNotKnown => "offer not known",
            Self::Resumed => "resumed",
            Self::GroupNotKnown => "group not known",
            Self::NotSeen => "key exchange not seen",
            Self::NoAgreement => "no agreement",
        }
    }

    /// A sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::PostQuantum => "a post-quantum group was agreed on",
            Self::ClientDidNotOffer => "the client offered no post-quantum key exchange",
            Self::ClientOffersOldVersion => {
                "the client offers nothing newer than TLS 1.2, which has no post-quantum groups"
            }
            Self::ServerChoseOldVersion => "the client offered TLS 1.3, and the server chose an older version",
            Self::OldVersion => "TLS 1.2 or older was agreed on; the client's hello was not seen",
            Self::ServerDeclined => {
                "the client offered a group that the server accepted from another client in this recording; here it \
                 chose another"
            }
            Self::ServerChoseAnother => {
                "the client offered a post-quantum group with a key share, and the server chose another group; the \
                 recording does not show that it accepted the first from another client"
            }
            Self::ServerDidNotOffer => {
                "the server of SSH offered none of the post-quantum methods that the client offered"
            }
            Self::ClientPrefersClassical => {
                "both sides of SSH offered a post-quantum method, and the client prefers a classical one that the server has"
            }
            Self::ResponderChoseClassical => {
                "the initiator of IKE proposed a post-quantum key exchange, and the responder chose a proposal without one"
            }
            Self::ProtocolHasNone => {
                "WireGuard has no post-quantum key exchange; a preshared key, which cannot be seen, may protect it all the same"
            }
            Self::RetryNeeded => {
                "the client offered a post-quantum group without a key share, and the server chose a group that had one: \
                 the first would have cost a round trip (HelloRetryRequest)"
            }
            Self::OfferNotSeen => "a classical group was agreed on; the client's offer was not seen, or not in full",
            Self::OfferNotKnown => {
                "the client offered a group without a name, and none that is known to be post-quantum"
            }
            Self::Resumed => "an earlier session or key was resumed: no new key exchange was seen",
            Self::GroupNotKnown => "the agreed group has no name: it is not known whether it is post-quantum",
            Self::NotSeen => "the server answered, and its key exchange was not seen",
            Self::NoAgreement => "an alert ended the handshake, or no answer was seen",
        }
    }

    /// What it means for the share.
    pub fn kind(self) -> Kind {
        match self {
            Self::PostQuantum => Kind::PostQuantum,
            Self::ClientDidNotOffer
            | Self::ClientOffersOldVersion
            | Self::ServerChoseOldVersion
            | Self::OldVersion
            | Self::ServerDeclined
            | Self::ServerChoseAnother
            | Self::ServerDidNotOffer
            | Self::ClientPrefersClassical
            | Self::ResponderChoseClassical
            | Self::ProtocolHasNone
            | Self::RetryNeeded
            | Self::OfferNotSeen
            | Self::OfferNotKnown => Kind::Classical,
            Self::GroupNotKnown => Kind::Unknown,
            Self::Resumed => Kind::Resumed,
            Self::NotSeen => Kind::NotSeen,
            Self::NoAgreement => Kind::NoAgreement,
        }
    }

    /// Whether it would be explained by this side having no post-quantum groups: its library is too old for them, or it was told
    /// to do without.
    /// SSH's methods are its programs' own.
    pub fn is_for_want_of_groups(self, protocol: Protocol, role: Role) -> bool {
        match role {
            _ if protocol != Protocol::Tls => false,
            Role::Client => self == Self::ClientDidNotOffer,
            Role::Server => self == Self::ServerChoseAnother,
        }
    }
}

/// What one end of a connection shows, whatever the protocol.
#[derive(Debug)]
pub struct Observed {
    /// What was spoken.
    pub protocol: Protocol,
    /// Which side it is.
    pub role: Option<Role>,
    /// The host that was asked for: bytes of the peer.
    pub server_name: Option<Box<[u8]>>,
    /// The version that was agreed on.
    pub version: Option<Box<str>>,
    /// How keys were agreed on.
    pub exchange: Exchange,
    /// What it counts as; never [`Cause::ServerDeclined`], which other handshakes decide.
    pub cause: Cause,
    /// Post-quantum groups that the client offered so that the server could take them at once.
    pub offered: Vec<Group>,
    /// The post-quantum group that was agreed on.
    pub taken: Option<Group>,
}

impl Observed {
    /// What a connection shows.
    pub fn new(connection: &Connection) -> Self {
        match &*connection.view() {
            protocol::View::Tls(view) => Self::of_tls(view),
            protocol::View::Ssh(view) => {
                Self::of_common(Protocol::Ssh, Common::of_ssh(view), || classical_of_ssh(view))
            }
            protocol::View::Wireguard(view) => {
                Self::of_common(Protocol::Wireguard, Common::of_wireguard(view), || Cause::ProtocolHasNone)
            }
            protocol::View::Ike(view) => {
                let mut observed = Self::of_common(Protocol::Ike, Common::of_ike(view), || classical_of_ike(view));
                if observed.cause == Cause::GroupNotKnown && view.lacks_additional() {
                    observed.cause = Cause::NotSeen;
                }
                observed
            }
        }
    }

    /// What every protocol tells; `classical` says why, where a classical key exchange was agreed on.
    fn of_common(protocol: Protocol, common: Common, classical: impl FnOnce() -> Cause) -> Self {
        let cause = match &common.exchange {
            _ if !common.answered => Cause::NoAgreement,
            exchange => by_exchange(exchange, classical),
        };
        Self {
            protocol,
            role: common.role,
            server_name: None,
            version: common.version.map(Into::into),
            exchange: common.exchange,
            cause,
            offered: Vec::new(),
            taken: None,
        }
    }

    fn of_tls(view: &View) -> Self {
        let facts = Facts::of_view(view);
        let cause = cause(&facts, view);
        let group = |group: &Group| group.post_quantum() == Some(true);
        let agreed = view.negotiated.as_ref().and_then(|agreed| match agreed.key_exchange {
            Some(KeyExchange::Group(group)) => Some(group),
            _ => None,
        });
        // After a retry request the server could have asked for any group; else it could take at once what came with a share.
        let could =
            |hello: &'_ ClientHello| if view.retried() { hello.groups.clone() } else { hello.key_shares.clone() };
        let offered = view.hello().filter(|_| cause == Cause::ServerChoseAnother).map(could).unwrap_or_default();
        Self {
            protocol: Protocol::Tls,
            role: facts.role,
            server_name: facts.server_name,
            version: facts.version.map(|version| version.to_string().into()),
            exchange: facts.exchange,
            cause,
            offered: offered.into_iter().filter(group).take(MAX_OFFERED).collect(),
            taken: agreed.filter(group),
        }
    }
}

fn cause(facts: &Facts, view: &View) -> Cause {
    if !facts.was_answered() {
        return Cause::NoAgreement;
    }
    by_exchange(&facts.exchange, || classical(facts, view))
}

/// What a handshake is that was answered; `classical`: why it is that.
fn by_exchange(exchange: &Exchange, classical: impl FnOnce() -> Cause) -> Cause {
    match exchange {
        Exchange::Known(_, Some(true)) => Cause::PostQuantum,
        Exchange::Known(_, None) => Cause::GroupNotKnown,
        Exchange::Earlier => Cause::Resumed,
        Exchange::NotSeen => Cause::NotSeen,
        Exchange::Known(_, Some(false)) => classical(),
    }
}

/// Both sides of SSH say what they offer, and the client's order decides.
fn classical_of_ssh(view: &ssh::View) -> Cause {
    let offer = |stream: &Option<Box<ssh::Stream>>| stream.as_ref().and_then(|stream| stream.kexinit.clone());
    let (Some(client), Some(server)) = (offer(&view.client), offer(&view.server)) else { return Cause::OfferNotSeen };
    let offered = client.kex.iter().filter(|name| ssh::post_quantum(name) == Some(true));
    let mut offered = offered.peekable();
    if offered.peek().is_none() {
        let is_unknown = client.kex.iter().any(|name| ssh::post_quantum(name).is_none());
        return if is_unknown { Cause::OfferNotKnown } else { Cause::ClientDidNotOffer };
    }
    if offered.any(|name| server.kex.contains(name)) { Cause::ClientPrefersClassical } else { Cause::ServerDidNotOffer }
}

/// The initiator of IKE says what it proposes, and the responder chooses.
fn classical_of_ike(view: &ike::View) -> Cause {
    let Some(initiator) = view.initiator.as_ref().filter(|one| !one.is_cut) else { return Cause::OfferNotSeen };
    let transforms = initiator.proposals.iter().flat_map(|proposal| &proposal.transforms);
    let known: Vec<Option<bool>> =
        transforms.filter(|one| one.ty.is_key_exchange()).map(|one| ike::is_post_quantum(one.id)).collect();
    if known.contains(&Some(true)) {
        Cause::ResponderChoseClassical
    } else if known.contains(&None) {
        Cause::OfferNotKnown
    } else {
        Cause::ClientDidNotOffer
    }
}

fn classical(facts: &Facts, view: &View) -> Cause {
    let hello = view.hello();
    let is_old = facts.version.is_some_and(|version| !version.is_tls13());
    if is_old {
        return match hello.map(|hello| hello.versions().iter().copied().any(Version::is_tls13)) {
            Some(true) => Cause::ServerChoseOldVersion,
            // A list that was cut may have named it.
            Some(false) if hello.is_some_and(ClientHello::is_whole) => Cause::ClientOffersOldVersion,
            Some(false) | None => Cause::OldVersion,
        };
    }
    let Some(hello) = hello else { return Cause::OfferNotSeen };
    let is_quantum = |group: &Group| group.post_quantum() == Some(true);
    let offers = hello.groups.iter().any(is_quantum);
    // What is there of a hello that was cut is offered; what is not may have been.
    if !offers && !hello.is_whole() {
        return Cause::OfferNotSeen;
    }
    if !offers {
        let is_unknown = |group: &Group| group.post_quantum().is_none();
        return if hello.groups.iter().any(is_unknown) { Cause::OfferNotKnown } else { Cause::ClientDidNotOffer };
    }
    // After a retry request the server has asked for the group that it wanted.
    let has_share = view.retried() || hello.key_shares.iter().any(is_quantum);
    if has_share {
        Cause::ServerChoseAnother
    } else if hello.is_whole() {
        Cause::RetryNeeded
    } else {
        Cause::OfferNotSeen
    }
}
