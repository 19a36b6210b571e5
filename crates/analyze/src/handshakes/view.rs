//! What a connection's hellos say.

use super::{Connection, Side};
use crate::tls::{Alert, Negotiated, Stream};

/// Which side of the handshake this end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It opened the handshake.
    Client,
    /// It answers.
    Server,
}

impl Role {
    /// As events tell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// How far a handshake came, as the wire tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// No answer was seen.
    None,
    /// The server chose version and suite.
    ServerHello,
    /// A fatal alert in the clear.
    Alert,
}

impl Outcome {
    /// As events tell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ServerHello => "server_hello",
            Self::Alert => "alert",
        }
    }
}

/// A connection's hellos, parsed.
#[derive(Debug)]
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
    /// The fatal alert that ended it, and whether the client sent it.
    pub alert: Option<(Alert, Role)>,
    /// From the client's first hello to the server's answer, as this end saw them, ns.
    pub exchange_ns: Option<u64>,
    /// Packets are missing.
    pub gap: bool,
    /// Where in the client's stream the hello is: not 0 when something came before it (STARTTLS).
    pub client_offset: u32,
}

impl Connection {
    /// Parses what was seen.
    pub fn view(&self) -> View {
        let (sent, sent_gap) = parse(&self.sent);
        let (received, received_gap) = parse(&self.received);
        let is_client = |stream: &Option<Stream>| stream.as_ref().is_some_and(|s| s.client_hello().is_some());
        let is_server = |stream: &Option<Stream>| {
            stream.as_ref().is_some_and(|s| s.server_hello().is_some() || s.retry_request().is_some())
        };
        let role = if is_client(&sent) || is_server(&received) {
            Some(Role::Client)
        } else if is_client(&received) || is_server(&sent) {
            Some(Role::Server)
        } else {
            None
        };
        let (client_side, server_side, client, server) = match role {
            Some(Role::Server) => (&self.received, &self.sent, received, sent),
            _ => (&self.sent, &self.received, sent, received),
        };
        let negotiated = server.as_ref().and_then(|server| Negotiated::new(client.as_ref(), server));
        let alert_of =
            |stream: &Option<Stream>, role| stream.as_ref().and_then(Stream::fatal_alert).map(|alert| (alert, role));
        let alert = alert_of(&server, Role::Server).or_else(|| alert_of(&client, Role::Client));
        let outcome = match (&alert, &negotiated) {
            (Some(_), _) => Outcome::Alert,
            (None, Some(_)) => Outcome::ServerHello,
            (None, None) => Outcome::None,
        };
        let exchange_ns = match (client_side.first_ns(), server_side.first_ns()) {
            (Some(client), Some(server)) => server.checked_sub(client),
            _ => None,
        };
        let client_offset = client_side.first_offset();
        View {
            role,
            client,
            server,
            negotiated,
            outcome,
            alert,
            exchange_ns,
            gap: sent_gap || received_gap,
            client_offset,
        }
    }
}

fn parse(side: &Side) -> (Option<Stream>, bool) {
    let (bytes, gap) = side.assemble();
    ((!bytes.is_empty()).then(|| Stream::parse(&bytes)), gap)
}
