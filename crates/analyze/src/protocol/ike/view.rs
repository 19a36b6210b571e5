//! What both sides of an exchange say.

use super::message::{Exchange, Message, Proposal, TransformType, notify};
use super::names::is_post_quantum;
use crate::protocol::{Ends, Outcome, Protocol, Role, those_that_are};

/// An exchange, parsed.
#[derive(Debug, Clone)]
pub struct View {
    /// Which side this end is: the initiator is the client. None when nothing was read.
    pub role: Option<Role>,
    /// What the initiator proposed at last.
    pub initiator: Option<Box<Message>>,
    /// What the responder answered at last.
    pub responder: Option<Box<Message>>,
    /// What the responder chose.
    pub chosen: Option<Box<Proposal>>,
    /// How far it came.
    pub outcome: Outcome,
    /// The error that the responder answered with at last, by number.
    pub error: Option<u16>,
    /// The responder wanted its cookie back first.
    pub cookie: bool,
    /// The responder wanted another method of key exchange first: this one.
    pub wanted_key_exchange: Option<u16>,
    /// The initiator began anew, with a cookie or with another method.
    pub retried: bool,
    /// IKE_INTERMEDIATE was asked for and answered.
    pub intermediate: bool,
    /// Both sides say what addresses they see, so that NAT between them is found.
    pub nat_detection: bool,
    /// Messages came after four zeros, as on port 4500.
    pub has_marker: bool,
    /// From the first datagram of one side to the first of the other, as this end saw them, ns.
    pub exchange_ns: Option<u64>,
    /// Datagrams are missing.
    pub gap: bool,
    /// One could not be read.
    pub unread: bool,
}

impl View {
    /// Whether a key exchange that was chosen, the main one or an additional one, is one against quantum computers. None: nothing
    /// was chosen, or none is known to be one and one is not known, or only additional ones are, and the IKE_INTERMEDIATE that
    /// they happen in was not seen: a responder may choose what neither end can do.
    pub fn post_quantum(&self) -> Option<bool> {
        let is_done = |one: &super::Transform| one.ty == TransformType::KEY_EXCHANGE || self.intermediate;
        let of = |one: &super::Transform| is_post_quantum(one.id).filter(|is| !is || is_done(one));
        let known: Vec<Option<bool>> = self.key_exchanges().map(of).collect();
        if known.contains(&Some(true)) {
            Some(true)
        } else {
            (!known.is_empty() && !known.contains(&None)).then_some(false)
        }
    }

    /// Whether an additional key exchange was chosen that was not seen to happen.
    pub fn lacks_additional(&self) -> bool {
        !self.intermediate && self.key_exchanges().any(|one| one.ty != TransformType::KEY_EXCHANGE)
    }

    /// The key exchanges that were chosen, the main one first. An additional one may be chosen not to be.
    pub fn key_exchanges(&self) -> impl Iterator<Item = &super::Transform> {
        let chosen = self.chosen.iter().flat_map(|chosen| &chosen.transforms);
        let methods = chosen.filter(|one| one.ty.is_key_exchange());
        methods.filter(|one| one.id != 0 || one.ty == TransformType::KEY_EXCHANGE)
    }

    /// The key exchanges that were chosen, by name or number: `Curve25519 + ML-KEM-768`. None: none was chosen.
    pub fn exchange_name(&self) -> Option<String> {
        let names: Vec<String> = self.key_exchanges().map(super::Transform::name).collect();
        Some(names.join(" + ")).filter(|name| !name.is_empty())
    }

    /// Whether both sides say this notification.
    pub fn both_notify(&self, number: u16) -> bool {
        let says = |message: &Option<Box<Message>>| message.as_ref().is_some_and(|one| one.notifies(number));
        says(&self.initiator) && says(&self.responder)
    }

    /// What is to be said of it: what was not seen, and why. `cut`: more was there than was kept; `late`: the connection was there
    /// before the capture.
    pub fn notes(&self, cut: bool, late: bool) -> Vec<&'static str> {
        let is = |message: &Option<Box<Message>>, what: fn(&Message) -> bool| message.as_deref().is_some_and(what);
        let either = |what| is(&self.initiator, what) || is(&self.responder, what);
        let notes = [
            (self.initiator.is_none(), "request_not_seen"),
            (self.responder.is_none(), "answer_not_seen"),
            (either(|one| one.is_cut), "message_incomplete"),
            (self.unread || either(|one| one.is_malformed), "malformed"),
            (self.lacks_additional(), "additional_key_exchange_not_seen"),
            (self.gap, "packets_missing"),
            (cut, "hello_cut"),
            (late, "connected_before_capture"),
        ];
        those_that_are(notes)
    }
}

impl Protocol for View {
    fn role(&self) -> Option<Role> {
        self.role
    }

    fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn may_go_on(&self) -> bool {
        // Additional key exchanges come in IKE_INTERMEDIATE, a cookie and another method are asked for and given.
        match self.outcome {
            Outcome::ServerHello => self.lacks_additional(),
            Outcome::Alert => false,
            Outcome::None => true,
        }
    }

    fn read(ends: &Ends<'_>) -> Self {
        let (sent, sent_unread) = ends.sent.messages(Message::parse);
        let (received, received_unread) = ends.received.messages(Message::parse);
        let sender = |one: &Message| if one.is_initiators { Role::Client } else { Role::Server };
        let role = sent.first().map(sender).or(received.first().map(|one| sender(one).other()));
        let intermediates = |is_response: bool| {
            let mut all = sent.iter().chain(&received);
            all.any(|one| one.exchange == Exchange::INTERMEDIATE && one.is_response == is_response)
        };
        let intermediate = intermediates(false) && intermediates(true);
        let has_marker = sent.iter().chain(&received).any(|one| one.has_marker);
        let (asked, answered) = if role == Some(Role::Server) { (received, sent) } else { (sent, received) };
        let init = |all: Vec<Message>, is_response: bool| -> Vec<Message> {
            all.into_iter().filter(|one| one.exchange == Exchange::SA_INIT && one.is_response == is_response).collect()
        };
        let (mut asked, mut answered) = (init(asked, false), init(answered, true));
        let cookie = answered.iter().any(|one| one.notifies(notify::COOKIE));
        let wanted_key_exchange = answered.iter().find_map(|one| one.wanted_key_exchange);
        let differs = |one: &Message| {
            asked.first().is_some_and(|first| {
                first.key_exchange != one.key_exchange || first.notifies(notify::COOKIE) != one.notifies(notify::COOKIE)
            })
        };
        let retried = asked.iter().any(differs);
        // What was chosen counts, whatever else was answered before or, to a message sent again, after it.
        let at = answered.iter().rposition(|one| !one.proposals.is_empty());
        let responder = at.map(|at| answered.swap_remove(at)).or_else(|| answered.pop()).map(Box::new);
        let initiator = asked.pop().map(Box::new);
        let chosen = responder.as_ref().and_then(|one| one.proposals.first().cloned()).map(Box::new);
        let error = responder.as_ref().filter(|_| chosen.is_none()).and_then(|one| one.error());
        let outcome = match (&chosen, error) {
            (Some(_), _) => Outcome::ServerHello,
            // It goes on, if the initiator does.
            (None, Some(notify::INVALID_KE_PAYLOAD) | None) => Outcome::None,
            (None, Some(_)) => Outcome::Alert,
        };
        let mut view = Self {
            role,
            initiator,
            responder,
            chosen,
            outcome,
            error,
            cookie,
            wanted_key_exchange,
            retried,
            intermediate,
            nat_detection: false,
            has_marker,
            exchange_ns: ends.exchange_ns(),
            gap: ends.sent.gap || ends.received.gap,
            unread: sent_unread || received_unread,
        };
        view.nat_detection = view.both_notify(notify::NAT_DETECTION_SOURCE_IP);
        view
    }
}

impl View {
    /// The transform of a type that was chosen.
    pub fn used(&self, ty: TransformType) -> Option<super::Transform> {
        self.chosen.as_ref()?.of(ty).next().copied()
    }
}

#[cfg(test)]
mod tests;
