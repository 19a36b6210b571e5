//! What both sides of a connection say.

use super::agreed::Agreed;
use super::host_key::HostKey;
use super::kexinit::Marker;
use super::stream::{Stream, message};
use crate::protocol::{Ends, Outcome, Protocol, Role, Said};

/// A connection, parsed.
#[derive(Debug, Clone)]
pub struct View {
    /// Which side this end is: by the key exchange, by what it calls itself, or because it opened the TCP connection. None when
    /// nothing says so.
    pub role: Option<Role>,
    /// What the client said.
    pub client: Option<Box<Stream>>,
    /// What the server said.
    pub server: Option<Box<Stream>>,
    /// What they agreed on, or would have.
    pub agreed: Option<Box<Agreed>>,
    /// How far it came.
    pub outcome: Outcome,
    /// Why a side disconnected in the clear, by number, and who.
    pub disconnect: Option<(u32, Role)>,
    /// Bits of the prime of the group that the server chose, where it did.
    pub group_bits: Option<u32>,
    /// The server's host key.
    pub host_key: Option<Box<HostKey>>,
    /// From the first bytes of who spoke first to the first of who answered, as this end saw them, ns.
    pub exchange_ns: Option<u64>,
    /// Packets are missing.
    pub gap: bool,
    /// Where in its stream the server's opening line is: not 0 when other lines came before it.
    pub server_offset: u32,
}

/// Whose stream this is, as far as it says so itself.
fn side_of(stream: &Stream) -> Option<Role> {
    let sent = |numbers: &[u8]| numbers.iter().any(|number| stream.has(*number));
    if sent(&[message::KEX_REPLY, message::KEX_GEX_REPLY]) {
        return Some(Role::Server);
    }
    if sent(&[message::KEX_INIT, message::KEX_GEX_INIT, message::KEX_GEX_REQUEST]) {
        return Some(Role::Client);
    }
    let kexinit = stream.kexinit.as_ref()?;
    kexinit.strict_kex.or(kexinit.ext_info).map(|marker| match marker {
        Marker::Client => Role::Client,
        Marker::Server => Role::Server,
    })
}

impl View {
    /// What is to be said of it: what was not seen, and why. `cut`: more was there than was kept; `late`: the connection was there
    /// before the capture.
    pub fn notes(&self, cut: bool, late: bool) -> Vec<&'static str> {
        let (client, server) = (self.client.as_deref(), self.server.as_deref());
        let lacks = |stream: Option<&Stream>| self.role.is_some() && stream.is_none_or(|one| one.kexinit.is_none());
        let incomplete = |stream: Option<&Stream>, number| stream.is_some_and(|one| one.incomplete == Some(number));
        let either = |number| incomplete(client, number) || incomplete(server, number);
        let is_malformed = |stream: Option<&Stream>| stream.is_some_and(|one| one.is_malformed);
        let guess = self.agreed.as_ref().and_then(|agreed| agreed.guessed_right);
        let mut notes = Vec::new();
        for (is, note) in [
            (guess == Some(true), "guessed_right"),
            (guess == Some(false), "guessed_wrong"),
            (self.gap, "packets_missing"),
            (cut, "hello_cut"),
            (late, "connected_before_capture"),
            (self.role.is_none(), "sides_not_known"),
            (lacks(client), "client_kexinit_not_seen"),
            (lacks(server), "server_kexinit_not_seen"),
            (either(0), "banner_incomplete"),
            (either(message::KEXINIT), "kexinit_incomplete"),
            (self.host_key.as_ref().is_some_and(|key| key.is_cut), "host_key_incomplete"),
            (is_malformed(client) || is_malformed(server), "malformed"),
        ] {
            if is {
                notes.push(note);
            }
        }
        notes
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
        let ended = |stream: &Option<Box<Stream>>| {
            stream.as_ref().is_some_and(|one| one.has(message::NEWKEYS) || one.disconnect.is_some() || one.is_malformed)
        };
        !(ended(&self.server) && ended(&self.client))
    }

    fn read(ends: &Ends<'_>) -> Self {
        let of =
            |said: &Said<'_>| Some(Box::new(Stream::parse_chunks(&said.chunks))).filter(|_| !said.chunks.is_empty());
        let (sent, received) = (of(&ends.sent), of(&ends.received));
        let by_sent = sent.as_deref().and_then(side_of);
        let by_received = received.as_deref().and_then(side_of).map(Role::other);
        let role = by_sent.or(by_received).or(ends.opened_by);
        let (server_said, client, server) = match role {
            Some(Role::Server) => (&ends.sent, received, sent),
            _ => (&ends.received, sent, received),
        };
        let offers = |stream: &Option<Box<Stream>>| stream.as_ref().and_then(|one| one.kexinit.clone());
        let agreed = match (role, offers(&client), offers(&server)) {
            (Some(_), Some(client), Some(server)) if !client.is_cut && !server.is_cut => {
                Some(Box::new(Agreed::new(&client, &server)))
            }
            _ => None,
        };
        let chooses_group = |agreed: &Agreed| {
            agreed.kex.as_deref().is_some_and(|kex| memchr::memmem::find(kex, b"group-exchange").is_some())
        };
        let reply = server.as_ref().and_then(|server| match &agreed {
            // With a group that the server chooses the first answer is the group.
            Some(agreed) if chooses_group(agreed) => server.gex_reply.as_ref(),
            Some(_) => server.reply.as_ref(),
            None => server.gex_reply.as_ref(),
        });
        let host_key = reply.and_then(|reply| HostKey::parse(&reply.bytes, reply.len)).map(Box::new);
        let group = server.as_ref().and_then(|server| server.reply.as_ref());
        let group = group.filter(|_| agreed.as_deref().is_some_and(chooses_group));
        let group_bits = group.and_then(|group| group.as_number_bits());
        let disconnected = |stream: &Option<Box<Stream>>, role| Some((stream.as_ref()?.disconnect?, role));
        let disconnect = disconnected(&server, Role::Server).or(disconnected(&client, Role::Client));
        let outcome = match &agreed {
            _ if disconnect.is_some() => Outcome::Alert,
            Some(agreed) if !agreed.nothing_in_common.is_empty() => Outcome::Alert,
            Some(_) => Outcome::ServerHello,
            None => Outcome::None,
        };
        let server_offset = server_said.first_offset;
        let gap = ends.sent.gap || ends.received.gap;
        Self {
            role,
            client,
            server,
            agreed,
            outcome,
            disconnect,
            group_bits,
            host_key,
            exchange_ns: ends.exchange_ns(),
            gap,
            server_offset,
        }
    }
}
