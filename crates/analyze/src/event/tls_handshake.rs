//! `tls_handshake`: one end of a connection whose TLS handshake was seen.

use super::certificate::CertificateFields;
use super::library::{Library, LibraryName};
use super::members::members;
use super::values::{AtLeast, Code, CodePoint, HexBytes, Listed, Named, Path, Text, When, words};
use crate::capture::Capture;
use crate::capture::connections::{Connection, Role};
use crate::protocol::iana::{CipherSuite, ExtensionType, Group, Version};
use crate::protocol::quic::{Parameter, Quic};
use crate::protocol::tls::{ClientHello, KeyExchange, Resumption, ServerHello, Stream, View};
use crate::stacks;
use crate::words::escape;
use crate::words::redact;
use crate::words::text;
use crypto_trace_format::wire::quic::QuicVersion;

members! {
    /// Members of a tls_handshake.
    pub struct TlsHandshake<'a> from "hellos" {
        /// `client` when this end sent the client's hello, `server` when it received it; `null` when neither hello could be
        /// read
        role: Option<Side>,
        /// how far it got in the clear: `server_hello` (the server chose version and suite), `alert` (a fatal alert ended it),
        /// `none` (no answer was seen)
        outcome: Outcome,
        /// what carried it: `quic`, or `udp` where it was DTLS; left out when it was TCP
        transport: When<TransportName>,
        /// what QUIC says besides; left out when it was not QUIC
        quic: When<QuicFields>,
        /// version agreed on: `TLS 1.3`
        version: Option<Code<Version>>,
        /// suite agreed on: its IANA name, or its code point when it has none
        cipher_suite: Option<Code<CipherSuite>>,
        /// the suite's code point
        cipher_suite_id: Option<CodePoint>,
        /// group of the key exchange: in TLS 1.3 from the server's key share, before that from its key exchange message; `null`
        /// with RSA key transport, with finite-field parameters of the server's own, and when a session was resumed without a
        /// key exchange
        group: Option<Code<Group>>,
        /// the group's code point
        group_id: Option<CodePoint>,
        /// whether the group is ML-KEM, alone or with a classical one, or a draft with Kyber that IANA has a name for; `null`
        /// also for a group without a name, such as 0xfe32: that is for private use, and a withdrawn draft (not ML-KEM) where
        /// BoringSSL's patch for Rust uses it
        post_quantum: Option<bool>,
        /// only with finite-field parameters of the server's own: size of the prime
        #[unit = "bits"]
        dh_bits: When<AtLeast<0>>,
        /// the name the client asks for (SNI)
        server_name: Option<String>,
        /// protocol the server chose, before TLS 1.3
        alpn: Option<String>,
        /// `no`, `session_id`, `ticket` or `psk`; a TLS 1.3 `psk` may also have been agreed on outside TLS
        resumption: Option<Resumed>,
        /// description of an alert in the clear: the fatal one that ended the handshake, or else the first warning, which ended
        /// nothing
        alert: Option<String>,
        /// whether the `client` or the `server` sent it
        alert_from: When<Side>,
        /// whether it is `fatal` or a `warning`
        alert_level: When<AlertLevel>,
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
        /// from the client's first hello to the server's answer, as this end saw both
        #[unit = "ns"]
        #[from = "record"]
        exchange_ns: Option<u64>,
        /// how the process is known: it `sent` a packet of the handshake, it `connected` the socket, it `listened` on the
        /// socket that the connection was accepted from, and because nothing was sent it is not known who accepted it; `null`:
        /// not known, and `pid`, `tid`, `uid`, `gid`, `process` and the members derived from them are `null` too
        #[from = "record"]
        process_known_by: Option<KnownBy>,
        /// the other end, if it was seen too
        #[from = "records of the other end"]
        peer: Option<Peer>,
        /// what the client's hello offers (the first one if there were two), in its order and without GREASE values. Left out
        /// when the hello was not seen. Offered does not mean used
        offered: When<Offered>,
        /// only when the server asked for a second hello
        retry: When<Retry>,
        /// JA3 fingerprint of the client's hello (the first one if there were two)
        ja3: Option<String>,
        /// JA4 fingerprint of the same
        ja4: Option<String>,
        /// JA3S fingerprint of the server's hello
        ja3s: Option<String>,
        /// software whose measured first hello looks like the client's, see [which stack](wire.md#which-stack-was-that): a guess
        /// from the wire, not what a probe saw. Several where several look alike; left out when none does, and when this may not be
        /// the client's first hello to that server
        client_looks_like: Listed<&'static str>,
        /// before TLS 1.3: what the server showed, its own certificate first, see [below](#certificates). Nothing in it is
        /// verified
        certificates: Listed<CertificateFields>,
        /// before TLS 1.3: what the client showed, the same way
        client_certificates: Listed<CertificateFields>,
        /// only when a chain has more than 32: how many are not in `certificates`
        certificates_more: When<AtLeast<1>>,
        /// number of the socket (`SO_COOKIE`), unique while the system runs
        #[from = "record"]
        socket_cookie: u64,
        /// inode number of its network namespace
        #[from = "record"]
        net_ns: u32,
        /// only when something came before the client's hello (STARTTLS): how much
        #[unit = "bytes"]
        #[from = "record"]
        stream_offset: When<AtLeast<1>>,
        /// only when there is something to note: `retried` (the server asked for a second hello), `second_hello_without_retry`
        /// (the client sent two and nobody asked; the first counts), `client_hello_not_seen` and `server_hello_not_seen`, and
        /// messages only partly seen: `client_hello_incomplete`, `server_hello_incomplete`, `certificate_incomplete`,
        /// `key_exchange_incomplete`, `message_incomplete`. Why: `packets_missing` (they came out of order, or were not seen),
        /// `hello_cut` (there was more than the 32 KiB kept for each direction), `connected_before_capture`; with none of
        /// these, the sender stopped there or, of a hello, sent none that was found
        hello_notes: Listed<HelloNote>,
        /// path of the library that made the handshake, if one of its calls on the same socket was recorded; otherwise left
        /// out, as are all members below
        #[from = "`api_call`, `library_info`"]
        library: When<Option<Path<'a>>>,
        /// the library's name in the catalog, or by its functions; `null` when not known
        #[from = "catalog, or `library_info`"]
        library_name: When<Option<LibraryName<'a>>>,
        /// the version it reports itself; left out when not known
        #[from = "`library_info`"]
        library_version: When<Text<'a>>,
        /// its build id; left out when not known
        #[from = "`library_info`"]
        build_id: When<HexBytes<'a>>,
        /// the function that made the handshake: `SSL_do_handshake`
        #[from = "`api_call`"]
        api_function: When<Text<'a>>,
        /// result of the whole handshake, including what TLS 1.3 hides from the wire: `ok`, `failed`; `null` when not known
        #[from = "`api_call`"]
        api_result: When<Option<ApiResult>>,
        /// from the first call of the handshake to the end of its last one; `null` when not known
        #[unit = "ns"]
        #[from = "`api_call`"]
        handshake_ns: When<Option<u64>>,
    }
}

members! {
    /// The other end, when it was seen too.
    pub struct Peer from "record" {
        /// its process; `null` when not known
        pid: Option<u32>,
        /// name of its thread; `null` likewise
        process: Option<String>,
        /// its socket
        socket_cookie: u64,
    }
}

members! {
    /// What the client offers.
    pub struct Offered from "client's hello" {
        /// versions
        versions: Vec<Named>,
        /// suites
        cipher_suites: Vec<Named>,
        /// groups
        groups: Vec<Named>,
        /// groups with a key share
        key_shares: Vec<Named>,
        /// signature schemes; pairs of hash and signature of TLS 1.2 that have no name as one: `dsa_sha1`, `rsa_sha224`
        signature_schemes: Vec<Named>,
        /// protocols
        alpn: Vec<String>,
        /// whether it has an encrypted client hello
        ech: bool,
        /// whether it announces early data
        early_data: bool,
        /// whether it offers a pre-shared key
        pre_shared_key: bool,
        /// whether it has GREASE values
        grease: bool,
    }
}

members! {
    /// What a HelloRetryRequest asked for, and what the client's second hello changed.
    pub struct Retry from "hellos" {
        /// group that the server asked for
        requested_group: Option<Named>,
        /// whether with a cookie to send back
        cookie: bool,
        /// how the client's second hello differs from its first; left out when it was not seen
        second_hello: When<SecondHello>,
    }
}

members! {
    /// How a second hello differs from the first.
    pub struct SecondHello from "client's hellos" {
        /// groups with a key share
        key_shares: Vec<Named>,
        /// extensions of the second alone
        extensions_added: Vec<Named>,
        /// extensions of the first alone
        extensions_removed: Vec<Named>,
        /// other parts that changed, by the names of their members
        changed: Vec<&'static str>,
        /// the name it asks for, if that changed
        server_name: When<String>,
    }
}

members! {
    /// What QUIC says besides TLS.
    pub struct QuicFields from "hellos" {
        /// version of the client's first packet: `1`, `2`, or `0x` and hexadecimal digits; `null` when none was seen
        version: Option<String>,
        /// only when the connection went on in another: that version
        version_later: When<String>,
        /// whom the client's first packet is for, hexadecimal: keys follow from it, and logs of servers (qlog) are named by it;
        /// `null` when no packet of the client's was seen
        original_connection_id: Option<String>,
        /// connection id that the client takes for itself, hexadecimal; empty when it needs none, `null` likewise
        client_connection_id: Option<String>,
        /// connection id that the server takes for itself, hexadecimal; `null` when no answer of it was seen
        server_connection_id: Option<String>,
        /// only when the server does not speak the client's version: those that it lists
        server_versions: Listed<String>,
        /// whether the server asked for proof of the client's address (Retry)
        retry: bool,
        /// whether the client's first packet has a token, of this or of an earlier connection
        token: bool,
        /// what the client says of itself (transport parameters), in its order and without GREASE
        parameters: Vec<QuicParameter>,
        /// only when a side closed the connection in a packet that can be read, and not because TLS failed: the code
        close_code: When<u64>,
        /// only when packets could not be opened, because one before them was not seen: `true`
        unread: When<bool>,
    }
}

members! {
    /// A transport parameter.
    pub struct QuicParameter from "client's hello" {
        /// its name, or `0x` and hexadecimal digits
        name: String,
        /// its value, when that is a number
        value: When<u64>,
        /// bytes of its value, when that is no number
        #[unit = "bytes"]
        length: When<u64>,
    }
}

words! {
    /// What carries TLS.
    pub TransportName: "quic" "udp"
}

words! {
    /// An end of a connection.
    pub Side: "client" "server"
}

words! {
    /// How far a handshake came.
    pub Outcome: "server_hello" "alert" "none"
}

words! {
    /// Whether an earlier session went on.
    pub Resumed: "no" "session_id" "ticket" "psk"
}

words! {
    /// How grave an alert is.
    pub AlertLevel: "warning" "fatal"
}

words! {
    /// How a process is known.
    pub KnownBy: "sent" "connected" "listened"
}

words! {
    /// What a library said came of a handshake.
    pub ApiResult: "ok" "failed"
}

words! {
    /// What to know of the hellos.
    pub HelloNote: "retried" "packets_missing" "hello_cut" "connected_before_capture" "second_hello_without_retry"
        "client_hello_not_seen" "server_hello_not_seen" "client_hello_incomplete" "server_hello_incomplete"
        "certificate_incomplete" "key_exchange_incomplete" "message_incomplete"
}

fn quic_version(version: QuicVersion) -> String {
    match version {
        QuicVersion::V1 => "1".to_owned(),
        QuicVersion::V2 => "2".to_owned(),
        QuicVersion(other) => format!("{other:#010x}"),
    }
}

impl QuicFields {
    fn new(quic: &Quic) -> Self {
        let versions: Vec<String> = quic.versions.iter().copied().map(quic_version).collect();
        let id = |cid: &Option<Vec<u8>>| cid.as_deref().map(text::hex);
        Self {
            version: versions.first().cloned(),
            version_later: When(versions.get(1..).and_then(<[String]>::last).cloned()),
            original_connection_id: id(&quic.original_cid),
            client_connection_id: id(&quic.client_cid),
            server_connection_id: id(&quic.server_cid),
            server_versions: Listed(quic.server_versions.iter().copied().map(quic_version).collect()),
            retry: quic.retry,
            token: quic.token,
            parameters: quic.client_parameters.iter().map(QuicParameter::new).collect(),
            close_code: When(quic.closed),
            unread: When(Some(true).filter(|_| quic.unread)),
        }
    }
}

impl QuicParameter {
    fn new(parameter: &Parameter) -> Self {
        Self {
            name: parameter.name().map_or_else(|| format!("{:#x}", parameter.id), str::to_owned),
            value: When(parameter.value),
            length: When(Some(parameter.len).filter(|_| parameter.value.is_none())),
        }
    }
}

impl Offered {
    fn new(hello: &ClientHello) -> Self {
        Self {
            versions: named(hello.versions()),
            cipher_suites: named(&hello.cipher_suites),
            groups: named(&hello.groups),
            key_shares: named(&hello.key_shares),
            signature_schemes: named(&hello.signature_schemes),
            alpn: hello.alpn.iter().map(|name| escape::for_people(name)).collect(),
            ech: hello.ech,
            early_data: hello.early_data,
            pre_shared_key: hello.pre_shared_key,
            grease: hello.grease,
        }
    }
}

impl Retry {
    fn new(request: &ServerHello, first: Option<&ClientHello>, second: Option<&ClientHello>) -> Self {
        Self {
            requested_group: request.group.map(Named::from),
            cookie: request.extensions.contains(&ExtensionType::COOKIE),
            second_hello: When(first.zip(second).map(|(first, second)| SecondHello::new(first, second))),
        }
    }
}

impl SecondHello {
    fn new(first: &ClientHello, second: &ClientHello) -> Self {
        let only_in = |one: &ClientHello, other: &ClientHello| -> Vec<Named> {
            let is_new = |extension: &&ExtensionType| !other.extensions.contains(extension);
            one.extensions.iter().filter(is_new).copied().map(Named::from).collect()
        };
        let parts = [
            ("versions", first.versions() != second.versions()),
            ("cipher_suites", first.cipher_suites != second.cipher_suites),
            ("groups", first.groups != second.groups),
            ("signature_schemes", first.signature_schemes != second.signature_schemes),
            ("alpn", first.alpn != second.alpn),
            ("server_name", first.server_name != second.server_name),
        ];
        let server_name = second.server_name.as_deref().filter(|_| first.server_name != second.server_name);
        Self {
            key_shares: named(&second.key_shares),
            extensions_added: only_in(second, first),
            extensions_removed: only_in(first, second),
            changed: parts.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect(),
            server_name: When(server_name.map(escape::for_people)),
        }
    }
}

impl Peer {
    pub(super) fn new(connection: &Connection, redact: bool) -> Self {
        let owner = &connection.owner;
        let known = owner.source.name().is_some();
        Self {
            pid: known.then_some(owner.tgid),
            process: known.then(|| redact::for_people(owner.comm(), redact)),
            socket_cookie: connection.cookie(),
        }
    }
}

fn chain(stream: Option<&Stream>) -> Listed<CertificateFields> {
    let chain = stream.and_then(Stream::certificates);
    Listed(chain.map(|chain| chain.certificates.iter().map(CertificateFields::new).collect()).unwrap_or_default())
}

/// Certificates of a chain that are not shown.
fn more(stream: Option<&Stream>) -> When<AtLeast<1>> {
    When(stream.and_then(Stream::certificates).and_then(|chain| AtLeast::new(chain.more)))
}

fn named<T: Copy + Into<Named>>(codes: &[T]) -> Vec<Named> {
    codes.iter().copied().map(Into::into).collect()
}

impl<'a> TlsHandshake<'a> {
    /// What this connection's `view` says of it, and what a library said of its handshake.
    pub fn new(capture: &'a Capture, connection: &Connection, view: &View, redact: bool) -> Self {
        let negotiated = view.negotiated.as_ref();
        let hello = view.hello();
        let server_hello = view.server.as_ref().and_then(|server| server.server_hello());
        let suite = negotiated.and_then(|agreed| agreed.cipher_suite);
        let (group, dh_bits) = match negotiated.and_then(|agreed| agreed.key_exchange) {
            Some(KeyExchange::Group(group)) => (Some(group), None),
            Some(KeyExchange::FiniteField { prime_bits }) => (None, Some(prime_bits)),
            None => (None, None),
        };
        let retry = view.server.as_ref().and_then(|server| server.retry_request());
        let alert = view.alert.as_ref();
        let (local, remote) = (connection.local(), connection.remote());
        let peer = capture.handshakes.peer(connection);
        let call = capture.calls.of(connection.cookie());
        let library = call.map(|call| Library::of(capture, call.library));
        Self {
            role: view.role.map(side),
            outcome: Outcome::new(view.outcome.name()),
            transport: When(view.transport.name().map(TransportName::new)),
            quic: When(view.quic().map(QuicFields::new)),
            version: negotiated.and_then(|agreed| agreed.version).map(Code),
            cipher_suite: suite.map(Code),
            cipher_suite_id: suite.map(|suite| CodePoint(suite.0)),
            group: group.map(Code),
            group_id: group.map(|group| CodePoint(group.0)),
            post_quantum: group.and_then(Group::post_quantum),
            dh_bits: When(dh_bits.and_then(AtLeast::new)),
            server_name: hello.and_then(|hello| hello.server_name.as_deref()).map(escape::for_people),
            alpn: negotiated.and_then(|agreed| agreed.alpn.as_deref()).map(escape::for_people),
            resumption: negotiated.and_then(|agreed| agreed.resumption).map(resumed),
            alert: alert.map(|(alert, _)| alert.description.to_string()),
            alert_from: When(alert.map(|(_, role)| side(*role))),
            alert_level: When(alert.map(|(alert, _)| AlertLevel::new(alert.level.name()))),
            local_address: local.ip().to_string(),
            local_port: local.port(),
            remote_address: remote.ip().to_string(),
            remote_port: remote.port(),
            exchange_ns: view.exchange_ns,
            process_known_by: connection.owner.source.name().map(KnownBy::new),
            peer: peer.map(|peer| Peer::new(peer, redact)),
            offered: When(hello.map(Offered::new)),
            retry: When(retry.map(|request| Retry::new(request, hello, view.second_hello()))),
            ja3: hello.and_then(ClientHello::ja3),
            ja4: hello.and_then(|hello| hello.ja4_over(view.transport.ja4_letter())),
            ja3s: server_hello.and_then(|hello| hello.ja3s()),
            client_looks_like: Listed(looks_like(connection, stacks::of_client(view))),
            certificates: chain(view.server.as_ref()),
            client_certificates: chain(view.client.as_ref()),
            certificates_more: more(view.server.as_ref()),
            socket_cookie: connection.cookie(),
            net_ns: connection.net_ns(),
            stream_offset: When(AtLeast::new(view.client_offset)),
            hello_notes: Listed(view.notes(connection.cut, connection.late).into_iter().map(HelloNote::new).collect()),
            library: When(library.as_ref().map(|library| library.path)),
            library_name: When(library.as_ref().map(|library| library.name)),
            library_version: When(library.as_ref().and_then(|library| library.version.0)),
            build_id: When(library.as_ref().and_then(|library| library.build_id.0)),
            api_function: When(call.map(|call| Text(&call.function))),
            api_result: When(call.map(|call| Some(ApiResult::new(if call.succeeded? { "ok" } else { "failed" })))),
            handshake_ns: When(call.map(|call| Some(call.duration_ns).filter(|ns| *ns != 0))),
        }
    }
}

/// Stacks that a side looks like; none where the connection is older than the capture, so that more may have been said before.
pub(super) fn looks_like(connection: &Connection, stacks: &'static [String]) -> Vec<&'static str> {
    if connection.late { Vec::new() } else { stacks.iter().map(String::as_str).collect() }
}

pub(super) fn side(role: Role) -> Side {
    Side::new(role.name())
}

fn resumed(resumption: Resumption) -> Resumed {
    Resumed::new(match resumption {
        Resumption::No => "no",
        Resumption::SessionId => "session_id",
        Resumption::Ticket => "ticket",
        Resumption::Psk => "psk",
    })
}

/// The members of a connection alone, as one object.
#[cfg(test)]
pub fn handshake_json(capture: &Capture, connection: &Connection) -> Vec<u8> {
    let (mut out, mut scratch) = (Vec::new(), Vec::new());
    let mut object =
        super::object::Object::<false> { out: &mut out, escaped: 0, redact: false, scratch: &mut scratch, depth: 0 };
    let view = connection.view();
    let view = view.tls().expect("of TLS");
    super::members::Out::nested(&mut object, &TlsHandshake::new(capture, connection, view, false));
    out
}
