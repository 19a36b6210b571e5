//! `ssh_handshake`: one end of a connection whose SSH key exchange was seen.

use super::members::members;
use super::tls_handshake::{KnownBy, Peer, Side, looks_like, side};
use super::values::{AtLeast, DateTime, Listed, When, words};
use crate::capture::Capture;
use crate::capture::connections::{self, Connection};
use crate::protocol::Role;
use crate::protocol::ssh::{self, Banner, Certificate, HostKey, KexInit, Stream, View, reason_name};
use crate::stacks;
use crate::words::escape;
use jiff::Timestamp;

members! {
    /// Members of an ssh_handshake.
    pub struct SshHandshake from "hellos" {
        /// `client` or `server`: which side this end is, by the key exchange or by what it says of itself, or else because it
        /// opened or accepted the TCP connection; `null` when nothing says so, and then all that tells the sides apart is `null`
        role: Option<Side>,
        /// how far it got in the clear: `agreed` (both sides offered, and have something in common of everything), `failed` (they
        /// have not, or a side disconnected), `none` (not both offers were seen). That somebody logged in is encrypted
        outcome: Outcome,
        /// software of the client with its version, as it says: `OpenSSH_9.2p1`
        client_software: Option<String>,
        /// what else its opening line says, such as the distribution
        client_comments: Option<String>,
        /// software of the server
        server_software: Option<String>,
        /// what else its opening line says
        server_comments: Option<String>,
        /// only when a side does not speak `2.0` alone: its version of the protocol
        client_version: When<String>,
        /// the same of the server
        server_version: When<String>,
        /// method of key exchange agreed on, as it is named on the wire
        kex: Option<String>,
        /// whether that has ML-KEM, Streamlined NTRU Prime or another algorithm against quantum computers in it; `null` also for
        /// a name that is not known
        post_quantum: Option<bool>,
        /// only where the server chose a group: size of its prime
        #[unit = "bits"]
        dh_bits: When<AtLeast<1>>,
        /// algorithm of the host key agreed on, which says how it signs: `rsa-sha2-512`
        host_key_algorithm: Option<String>,
        /// cipher agreed on, from client to server
        cipher_client_to_server: Option<String>,
        /// cipher agreed on, from server to client
        cipher_server_to_client: Option<String>,
        /// message authentication code agreed on, from client to server; `null` also where the cipher authenticates by itself
        mac_client_to_server: Option<String>,
        /// the same, from server to client
        mac_server_to_client: Option<String>,
        /// compression agreed on, from client to server
        compression_client_to_server: Option<String>,
        /// compression agreed on, from server to client
        compression_server_to_client: Option<String>,
        /// whether both sides know strict key exchange, against CVE-2023-48795
        strict_kex: Option<bool>,
        /// lists in which the sides have nothing in common, if there are any
        nothing_in_common: Listed<CommonList>,
        /// only when a side disconnected in the clear: why, by the name of RFC 4250, or its number
        disconnect_reason: When<String>,
        /// which side
        disconnect_from: When<Side>,
        /// the server's host key; left out when it was not seen
        host_key: When<HostKeyFields>,
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
        /// from the first bytes of who spoke first to the first of the other side, as this end saw both
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
        /// what the client offers, in its order. Left out when it was not seen. Offered does not mean used
        client_offered: When<Offered>,
        /// what the server offers
        server_offered: When<Offered>,
        /// HASSH fingerprint of what the client offers
        hassh: Option<String>,
        /// HASSH fingerprint of what the server offers
        hassh_server: Option<String>,
        /// software whose measured offer is the client's, see [which stack](wire.md#which-stack-was-that): a guess from the wire, which
        /// does not believe what the client says it is. Several where several offer the same; left out when none is known to
        client_looks_like: Listed<&'static str>,
        /// the same of the server
        server_looks_like: Listed<&'static str>,
        /// number of the socket (`SO_COOKIE`), unique while the system runs
        #[from = "record"]
        socket_cookie: u64,
        /// inode number of its network namespace
        #[from = "record"]
        net_ns: u32,
        /// only when the server sent lines of text before its opening line: how much
        #[unit = "bytes"]
        #[from = "record"]
        stream_offset: When<AtLeast<1>>,
        /// only when there is something to note: `guessed_right` and `guessed_wrong` (the client began the key exchange before it
        /// knew what the server offers; a wrong guess is ignored), `sides_not_known`, `client_kexinit_not_seen` and
        /// `server_kexinit_not_seen`, and what was only partly seen: `banner_incomplete`, `kexinit_incomplete`,
        /// `host_key_incomplete`; `malformed` (what came was no packet). Why: `packets_missing`, `hello_cut` (there was more than
        /// the 32 KiB kept for each direction), `connected_before_capture`
        hello_notes: Listed<SshNote>,
    }
}

members! {
    /// A host key.
    pub struct HostKeyFields from "server's answer" also Serialize {
        /// as the key names itself: `ssh-ed25519`, `ssh-rsa-cert-v01@openssh.com`
        key_type: String,
        /// exact size: of the modulus (RSA), of the prime (DSA) or of the field (elliptic curves); `null` for a kind that is not
        /// known
        #[unit = "bits"]
        key_bits: Option<AtLeast<1>>,
        /// `SHA256:` and the digest in Base64, as `ssh-keygen -l` prints it; of a certificate, that of the key that it is about;
        /// `null` if not all of it was recorded
        fingerprint: Option<String>,
        /// only if it is a certificate
        certificate: When<SshCertificateFields>,
    }
}

members! {
    /// A certificate of OpenSSH. Nothing in it is verified.
    pub struct SshCertificateFields from "certificate" also Serialize {
        /// `host` or `user`, or the number of another kind
        kind: String,
        /// serial number
        serial: u64,
        /// what who signed it calls it
        key_id: String,
        /// the names that it is for, the first 64; none means all
        principals: Vec<String>,
        /// valid from; `null`: always
        valid_after: Option<DateTime>,
        /// valid to; `null`: for ever
        valid_before: Option<DateTime>,
        /// kind of the key that signed it
        ca_key_type: String,
        /// fingerprint of that key
        ca_fingerprint: String,
    }
}

members! {
    /// What a side offers, in its order.
    pub struct Offered from "its SSH_MSG_KEXINIT" {
        /// methods of key exchange, without the names that announce something else
        kex: Vec<String>,
        /// algorithms of host keys
        host_keys: Vec<String>,
        /// ciphers from client to server
        ciphers_client_to_server: Vec<String>,
        /// ciphers from server to client
        ciphers_server_to_client: Vec<String>,
        /// message authentication codes from client to server
        macs_client_to_server: Vec<String>,
        /// message authentication codes from server to client
        macs_server_to_client: Vec<String>,
        /// compression from client to server
        compression_client_to_server: Vec<String>,
        /// compression from server to client
        compression_server_to_client: Vec<String>,
        /// whether it announces that it knows extensions (RFC 8308)
        ext_info: bool,
        /// whether it announces strict key exchange
        strict_kex: bool,
        /// whether it guesses what will be agreed on, and goes on at once
        first_kex_packet_follows: bool,
    }
}

words! {
    /// How far a key exchange came.
    pub Outcome: "agreed" "failed" "none"
}

words! {
    /// What both sides have to have something in common of.
    pub CommonList: "kex" "host_key" "cipher_client_to_server" "cipher_server_to_client" "mac_client_to_server"
        "mac_server_to_client" "compression_client_to_server" "compression_server_to_client"
}

words! {
    /// What to know of what was seen.
    pub SshNote: "guessed_right" "guessed_wrong" "sides_not_known" "client_kexinit_not_seen" "server_kexinit_not_seen"
        "banner_incomplete" "kexinit_incomplete" "host_key_incomplete" "malformed" "packets_missing" "hello_cut"
        "connected_before_capture"
}

type Name = Box<[u8]>;

fn name(name: Option<&Name>) -> Option<String> {
    name.map(|name| escape::for_people(name))
}

fn names(names: &[Name]) -> Vec<String> {
    names.iter().map(|name| escape::for_people(name)).collect()
}

impl Offered {
    fn new(offer: &KexInit) -> Self {
        let (to_server, to_client) = (&offer.to_server, &offer.to_client);
        Self {
            kex: names(&offer.kex),
            host_keys: names(&offer.host_keys),
            ciphers_client_to_server: names(&to_server.ciphers),
            ciphers_server_to_client: names(&to_client.ciphers),
            macs_client_to_server: names(&to_server.macs),
            macs_server_to_client: names(&to_client.macs),
            compression_client_to_server: names(&to_server.compression),
            compression_server_to_client: names(&to_client.compression),
            ext_info: offer.ext_info.is_some(),
            strict_kex: offer.strict_kex.is_some(),
            first_kex_packet_follows: offer.first_kex_packet_follows,
        }
    }
}

impl HostKeyFields {
    /// What a key says.
    pub fn new(key: &HostKey) -> Self {
        Self {
            key_type: escape::for_people(&key.key_type),
            key_bits: key.bits.and_then(AtLeast::new),
            fingerprint: key.fingerprint.clone(),
            certificate: When(key.certificate.as_ref().map(SshCertificateFields::new)),
        }
    }
}

impl SshCertificateFields {
    fn new(certificate: &Certificate) -> Self {
        let time = |seconds: u64| {
            let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
            time.map(|time| DateTime(time.to_string()))
        };
        Self {
            kind: match certificate.kind {
                1 => "user".to_owned(),
                2 => "host".to_owned(),
                other => other.to_string(),
            },
            serial: certificate.serial,
            key_id: escape::for_people(&certificate.key_id),
            principals: names(&certificate.principals),
            valid_after: time(certificate.valid_after).filter(|_| certificate.valid_after != 0),
            valid_before: time(certificate.valid_before),
            ca_key_type: escape::for_people(&certificate.ca_key_type),
            ca_fingerprint: certificate.ca_fingerprint.clone(),
        }
    }
}

/// What the opening line of a side says.
struct Line {
    software: Option<String>,
    comments: Option<String>,
    version: Option<String>,
}

impl Line {
    fn new(stream: Option<&Stream>) -> Self {
        let banner = stream.and_then(|stream| stream.banner.as_ref());
        let text = |part: fn(&Banner) -> Option<&[u8]>| banner.and_then(part).map(escape::for_people);
        let version = text(Banner::version).filter(|version| version != "2.0");
        Self { software: text(Banner::software), comments: text(Banner::comments), version }
    }
}

/// How far a key exchange came, in the words of events.
pub fn ssh_outcome(outcome: connections::Outcome) -> &'static str {
    match outcome {
        connections::Outcome::ServerHello => "agreed",
        connections::Outcome::Alert => "failed",
        connections::Outcome::None => "none",
    }
}

impl SshHandshake {
    /// What this connection's `view` says of it.
    pub fn new(capture: &Capture, connection: &Connection, view: &View, redact: bool) -> Self {
        let known = |stream: &Option<Box<Stream>>| view.role.and(stream.clone());
        let (client, server) = (known(&view.client), known(&view.server));
        let (client_line, server_line) = (Line::new(client.as_deref()), Line::new(server.as_deref()));
        let agreed = view.agreed.as_deref();
        let used = |of: fn(&ssh::Agreed) -> Option<&Name>| name(agreed.and_then(of));
        let offer = |stream: &Option<Box<Stream>>| stream.as_ref().and_then(|stream| stream.kexinit.clone());
        let (client_offer, server_offer) = (offer(&client), offer(&server));
        let disconnect = view.disconnect.filter(|_| view.role.is_some());
        let reason = |code: u32| reason_name(code).map_or_else(|| code.to_string(), str::to_owned);
        let looks = |offer: Option<&KexInit>, role| {
            Listed(looks_like(connection, offer.map_or(&[], |offer| stacks::of_ssh(offer, role))))
        };
        let (local, remote) = (connection.local(), connection.remote());
        let missing = agreed.map(|agreed| agreed.nothing_in_common.as_slice()).unwrap_or_default();
        Self {
            role: view.role.map(side),
            outcome: Outcome::new(ssh_outcome(view.outcome)),
            client_software: client_line.software,
            client_comments: client_line.comments,
            server_software: server_line.software,
            server_comments: server_line.comments,
            client_version: When(client_line.version),
            server_version: When(server_line.version),
            kex: used(|agreed| agreed.kex.as_ref()),
            post_quantum: agreed.and_then(ssh::Agreed::post_quantum),
            dh_bits: When(view.group_bits.and_then(AtLeast::new)),
            host_key_algorithm: used(|agreed| agreed.host_key.as_ref()),
            cipher_client_to_server: used(|agreed| agreed.to_server.cipher.as_ref()),
            cipher_server_to_client: used(|agreed| agreed.to_client.cipher.as_ref()),
            mac_client_to_server: used(|agreed| agreed.to_server.mac.as_ref()),
            mac_server_to_client: used(|agreed| agreed.to_client.mac.as_ref()),
            compression_client_to_server: used(|agreed| agreed.to_server.compression.as_ref()),
            compression_server_to_client: used(|agreed| agreed.to_client.compression.as_ref()),
            strict_kex: agreed.map(|agreed| agreed.strict_kex),
            nothing_in_common: Listed(missing.iter().map(|list| CommonList::new(list)).collect()),
            disconnect_reason: When(disconnect.map(|(code, _)| reason(code))),
            disconnect_from: When(disconnect.map(|(_, role)| side(role))),
            host_key: When(view.host_key.as_deref().map(HostKeyFields::new)),
            local_address: local.ip().to_string(),
            local_port: local.port(),
            remote_address: remote.ip().to_string(),
            remote_port: remote.port(),
            exchange_ns: view.exchange_ns,
            process_known_by: connection.owner.source.name().map(KnownBy::new),
            peer: capture.handshakes.peer(connection).map(|peer| Peer::new(peer, redact)),
            hassh: client_offer.as_ref().and_then(KexInit::hassh),
            hassh_server: server_offer.as_ref().and_then(KexInit::hassh_server),
            client_looks_like: looks(client_offer.as_ref(), Role::Client),
            server_looks_like: looks(server_offer.as_ref(), Role::Server),
            client_offered: When(client_offer.as_ref().map(Offered::new)),
            server_offered: When(server_offer.as_ref().map(Offered::new)),
            socket_cookie: connection.cookie(),
            net_ns: connection.net_ns(),
            stream_offset: When(AtLeast::new(view.server_offset)),
            hello_notes: Listed(view.notes(connection.cut, connection.late).into_iter().map(SshNote::new).collect()),
        }
    }
}
