//! What a connection's hellos say.

use super::{Alert, AlertLevel, ClientHello, Negotiated, Stream};
use crate::protocol::iana::Version;
use crate::protocol::quic::Quic;
use crate::protocol::{Ends, Outcome, Protocol, Role, Said};

/// A connection's hellos, parsed.
#[derive(Debug, Clone)]
pub struct View {
    /// Which side this end is. None when neither hello was seen.
    pub role: Option<Role>,
    /// What the client said.
    pub client: Option<Stream>,
    /// What the server said.
    pub server: Option<Stream>,
    /// What they agreed on.
    pub negotiated: Option<Negotiated>,
    /// How far it came.
    pub outcome: Outcome,
    /// The alert that says most, and who sent it: the fatal one that ended the handshake, or else a warning.
    pub alert: Option<(Alert, Role)>,
    /// From the client's first hello to the server's answer, as this end saw them, ns.
    pub exchange_ns: Option<u64>,
    /// Packets are missing.
    pub gap: bool,
    /// What carried it.
    pub transport: Transport,
    /// Where in the client's stream the hello is: not 0 when something came before it (STARTTLS).
    pub client_offset: u32,
}

/// What carries TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Transport {
    /// TLS records, over TCP.
    #[default]
    Tcp,
    /// QUIC, which has packets of its own, and what they say.
    Quic(Box<Quic>),
    /// DTLS records, over UDP.
    Dtls,
}

impl Transport {
    /// As events show it; None for TCP, which goes without saying.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Self::Tcp => None,
            Self::Quic(_) => Some("quic"),
            Self::Dtls => Some("udp"),
        }
    }

    /// The letter that JA4 begins with.
    pub fn ja4_letter(&self) -> char {
        match self {
            Self::Tcp => 't',
            Self::Quic(_) => 'q',
            Self::Dtls => 'd',
        }
    }
}

impl View {
    /// What QUIC says besides, where that carried it.
    pub fn quic(&self) -> Option<&Quic> {
        if let Transport::Quic(quic) = &self.transport { Some(quic) } else { None }
    }

    /// The client's hello: the first, where it sent two.
    pub fn hello(&self) -> Option<&ClientHello> {
        self.client.as_ref().and_then(Stream::client_hello)
    }

    /// Whether the server asked for a second hello.
    pub fn retried(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.retry_request().is_some())
    }

    /// The hello that answers a retry request.
    pub fn second_hello(&self) -> Option<&ClientHello> {
        self.client.as_ref().and_then(Stream::second_client_hello).filter(|_| self.retried())
    }

    /// What is to be said of it: what was not seen, and why. `cut`: more was there than was kept; `late`: the connection was there
    /// before the capture.
    pub fn notes(&self, cut: bool, late: bool) -> Vec<&'static str> {
        let client_hello = self.hello().is_some();
        let answered = self.server.as_ref().is_some_and(|server| server.server_hello().is_some());
        let server_alert = matches!(self.alert, Some((_, Role::Server)));
        let second = self.client.as_ref().is_some_and(|client| client.second_client_hello().is_some());
        let mut notes = Vec::new();
        for (is, note) in [
            (self.retried(), "retried"),
            (second && !self.retried(), "second_hello_without_retry"),
            (self.gap, "packets_missing"),
            (cut, "hello_cut"),
            (late, "connected_before_capture"),
            (self.role.is_some() && !client_hello, "client_hello_not_seen"),
            (self.role.is_some() && !answered && !server_alert, "server_hello_not_seen"),
        ] {
            if is {
                notes.push(note);
            }
        }
        notes.extend(self.incomplete(&self.client));
        notes.extend(self.incomplete(&self.server));
        notes
    }

    /// Which message of a side is there in part only.
    fn incomplete(&self, stream: &Option<Stream>) -> Option<&'static str> {
        Some(match stream.as_ref()?.incomplete? {
            1 => "client_hello_incomplete",
            2 => "server_hello_incomplete",
            11 => "certificate_incomplete",
            12 => "key_exchange_incomplete",
            _ => "message_incomplete",
        })
    }

    /// Whether a message is there in part only.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete(&self.client).or(self.incomplete(&self.server)).is_some()
    }
}

impl Protocol for View {
    fn role(&self) -> Option<Role> {
        self.role
    }

    fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// TLS 1.3 encrypts what comes after the hellos.
    fn may_go_on(&self) -> bool {
        !self.negotiated.as_ref().and_then(|negotiated| negotiated.version).is_some_and(Version::is_tls13)
    }

    fn read(ends: &Ends<'_>) -> Self {
        let streams = Stream::parse_both(&ends.sent.chunks, &ends.received.chunks);
        let of = |stream, said: &Said<'_>| Some(stream).filter(|_| !said.chunks.is_empty());
        Self::of(of(streams.0, &ends.sent), of(streams.1, &ends.received), ends)
    }
}

impl View {
    /// What two streams say, of which either may be the client's.
    pub(in crate::protocol) fn of(sent: Option<Stream>, received: Option<Stream>, ends: &Ends<'_>) -> Self {
        let is_client = |stream: &Option<Stream>| {
            stream.as_ref().is_some_and(|s| s.client_hello().is_some() || s.incomplete == Some(1))
        };
        let is_server = |stream: &Option<Stream>| {
            let has_hello = |s: &Stream| s.server_hello().is_some() || s.retry_request().is_some();
            stream.as_ref().is_some_and(|s| has_hello(s) || s.incomplete == Some(2))
        };
        let role = if is_client(&sent) || is_server(&received) {
            Some(Role::Client)
        } else if is_client(&received) || is_server(&sent) {
            Some(Role::Server)
        } else {
            None
        };
        let (client_side, server_side, client, server) = match role {
            Some(Role::Server) => (&ends.received, &ends.sent, received, sent),
            _ => (&ends.sent, &ends.received, sent, received),
        };
        let negotiated = server.as_ref().and_then(|server| Negotiated::new(client.as_ref(), server));
        let alert_of =
            |stream: &Option<Stream>, role| stream.as_ref().and_then(Stream::alert).map(|alert| (alert, role));
        let is_fatal = |alert: &(Alert, Role)| alert.0.level == AlertLevel::Fatal;
        let (by_server, by_client) = (alert_of(&server, Role::Server), alert_of(&client, Role::Client));
        // Of two, the first: the other side may answer with one of its own. Nothing follows an alert that ends a handshake.
        let fatal = match (by_server.filter(is_fatal), by_client.filter(is_fatal)) {
            (Some(_), Some(by_client)) if client_side.last_ns < server_side.last_ns => Some(by_client),
            (by_server, by_client) => by_server.or(by_client),
        };
        let outcome = match (&fatal, &negotiated) {
            (Some(_), _) => Outcome::Alert,
            (None, Some(_)) => Outcome::ServerHello,
            (None, None) => Outcome::None,
        };
        let alert = fatal.or(by_server).or(by_client);
        let exchange_ns = match (client_side.first_ns, server_side.first_ns) {
            (Some(client), Some(server)) => server.checked_sub(client),
            _ => None,
        };
        let client_offset = client_side.first_offset;
        Self {
            role,
            client,
            server,
            negotiated,
            outcome,
            alert,
            exchange_ns,
            gap: ends.sent.gap || ends.received.gap,
            transport: Transport::Tcp,
            client_offset,
        }
    }
}
