//! Members of a `tls_handshake` event. `docs/events.md` explains them; `schema.json` types them.

use super::{Connection, Handshakes, View};
use crate::protocol::iana::{ExtensionType, Group};
use crate::protocol::tls::{Certificate, ClientHello, KeyExchange, Resumption, ServerHello, Stream};
use crate::report::document;
use crate::words::escape;
use crate::words::redact;
use serde::Serialize;
use std::fmt::Display;

/// The members, as they are written after those that every event has.
#[derive(Serialize)]
struct Fields {
    role: Option<&'static str>,
    outcome: &'static str,
    version: Option<String>,
    cipher_suite: Option<String>,
    cipher_suite_id: Option<String>,
    group: Option<String>,
    group_id: Option<String>,
    post_quantum: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dh_bits: Option<usize>,
    server_name: Option<String>,
    alpn: Option<String>,
    resumption: Option<&'static str>,
    alert: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert_from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert_level: Option<&'static str>,
    local_address: String,
    local_port: u16,
    remote_address: String,
    remote_port: u16,
    exchange_ns: Option<u64>,
    process_known_by: Option<&'static str>,
    peer: Option<Peer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offered: Option<Offered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    ja3: Option<String>,
    ja4: Option<String>,
    ja3s: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<CertificateFields>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    client_certificates: Vec<CertificateFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificates_more: Option<usize>,
    socket_cookie: u64,
    net_ns: u32,
    #[serde(skip_serializing_if = "is_zero")]
    stream_offset: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hello_notes: Vec<&'static str>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The other end, when it was seen too.
#[derive(Serialize)]
struct Peer {
    pid: Option<u32>,
    process: Option<String>,
    socket_cookie: u64,
}

/// What the client offers.
#[derive(Serialize)]
struct Offered {
    versions: Vec<String>,
    cipher_suites: Vec<String>,
    groups: Vec<String>,
    key_shares: Vec<String>,
    signature_schemes: Vec<String>,
    alpn: Vec<String>,
    ech: bool,
    early_data: bool,
    pre_shared_key: bool,
    grease: bool,
}

/// What a HelloRetryRequest asked for, and what the client's second hello changed.
#[derive(Serialize)]
struct Retry {
    requested_group: Option<String>,
    cookie: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_hello: Option<SecondHello>,
}

/// How a second hello differs from the first.
#[derive(Serialize)]
struct SecondHello {
    key_shares: Vec<String>,
    extensions_added: Vec<String>,
    extensions_removed: Vec<String>,
    /// Other parts that are not as they were, by the names of their members.
    changed: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
}

/// A certificate, as it is shown.
#[derive(Serialize)]
pub(crate) struct CertificateFields {
    /// Whom it is for; safe to show.
    pub subject: Option<String>,
    issuer: Option<String>,
    alternative_names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alternative_name_count: Option<usize>,
    not_before: Option<String>,
    /// Its end.
    pub not_after: Option<String>,
    serial: Option<String>,
    key_type: Option<String>,
    key_bits: Option<usize>,
    curve: Option<String>,
    /// How it is signed.
    pub signature_algorithm: Option<String>,
    /// Which it is.
    pub sha256: Option<String>,
    self_issued: Option<bool>,
    is_ca: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_read: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<&'static str>,
}

impl CertificateFields {
    /// `RSA 2048`, `EC secp256r1`
    pub fn key(&self) -> String {
        let Some(kind) = &self.key_type else { return "?".to_owned() };
        match (&self.curve, self.key_bits) {
            (Some(curve), _) => format!("{kind} {curve}"),
            (None, Some(bits)) => format!("{kind} {bits}"),
            (None, None) => kind.clone(),
        }
    }

    /// Whom it is for, or what else tells it apart.
    pub fn name(&self) -> String {
        match (&self.subject, &self.sha256) {
            (Some(subject), _) => subject.clone(),
            (None, Some(sha256)) => format!("(not read) SHA-256 {sha256}"),
            (None, None) => "(not read)".to_owned(),
        }
    }

    pub fn new(certificate: &Certificate) -> Self {
        let c = certificate;
        Self {
            subject: c.subject.clone(),
            issuer: c.issuer.clone(),
            alternative_names: c.alternative_names.clone(),
            alternative_name_count: Some(c.alternative_name_count).filter(|count| *count > c.alternative_names.len()),
            not_before: c.not_before.clone(),
            not_after: c.not_after.clone(),
            serial: c.serial.clone(),
            key_type: c.key_type.clone(),
            key_bits: c.key_bits,
            curve: c.curve.clone(),
            signature_algorithm: c.signature_algorithm.clone(),
            sha256: c.sha256.clone(),
            self_issued: c.self_issued,
            is_ca: c.is_ca,
            not_read: c.not_read.clone(),
            notes: c.notes.clone(),
        }
    }
}

impl Offered {
    fn new(hello: &ClientHello) -> Self {
        Self {
            versions: texts(hello.versions()),
            cipher_suites: texts(&hello.cipher_suites),
            groups: texts(&hello.groups),
            key_shares: texts(&hello.key_shares),
            signature_schemes: texts(&hello.signature_schemes),
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
            requested_group: request.group.map(|group| group.to_string()),
            cookie: request.extensions.contains(&ExtensionType::COOKIE),
            second_hello: first.zip(second).map(|(first, second)| SecondHello::new(first, second)),
        }
    }
}

impl SecondHello {
    fn new(first: &ClientHello, second: &ClientHello) -> Self {
        let only_in = |one: &ClientHello, other: &ClientHello| -> Vec<String> {
            let is_new = |extension: &&ExtensionType| !other.extensions.contains(extension);
            one.extensions.iter().filter(is_new).map(ToString::to_string).collect()
        };
        let parts = [
            ("versions", first.versions() != second.versions()),
            ("cipher_suites", first.cipher_suites != second.cipher_suites),
            ("groups", first.groups != second.groups),
            ("signature_schemes", first.signature_schemes != second.signature_schemes),
            ("alpn", first.alpn != second.alpn),
            ("server_name", first.server_name != second.server_name),
        ];
        Self {
            key_shares: texts(&second.key_shares),
            extensions_added: only_in(second, first),
            extensions_removed: only_in(first, second),
            changed: parts.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect(),
            server_name: second
                .server_name
                .as_deref()
                .filter(|_| first.server_name != second.server_name)
                .map(escape::for_people),
        }
    }
}

fn chain(stream: Option<&Stream>) -> Vec<CertificateFields> {
    let chain = stream.and_then(Stream::certificates);
    chain.map(|chain| chain.certificates.iter().map(CertificateFields::new).collect()).unwrap_or_default()
}

/// Certificates of a chain that are not shown.
fn more(stream: Option<&Stream>) -> Option<usize> {
    stream.and_then(Stream::certificates).map(|chain| chain.more).filter(|more| *more > 0)
}

fn texts<T: Display>(codes: &[T]) -> Vec<String> {
    codes.iter().map(ToString::to_string).collect()
}

impl Connection {
    /// Appends the members of this connection's event, each after a comma.
    pub fn write_members(&self, all: &Handshakes, redact: bool, out: &mut Vec<u8>) {
        let view = self.view();
        let fields = self.fields(&view, all.peer(self), redact);
        // Strings and numbers into memory: this does not fail.
        if let Ok(json) = document::line(&fields) {
            out.push(b',');
            out.extend_from_slice(json.as_bytes().get(1..json.len() - 1).unwrap_or_default());
        }
    }

    fn fields(&self, view: &View, peer: Option<&Connection>, redact: bool) -> Fields {
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
        Fields {
            role: view.role.map(super::Role::name),
            outcome: view.outcome.name(),
            version: negotiated.and_then(|agreed| agreed.version).map(|version| version.to_string()),
            cipher_suite: suite.map(|suite| suite.to_string()),
            cipher_suite_id: suite.map(|suite| format!("{:#06x}", suite.0)),
            group: group.map(|group| group.to_string()),
            group_id: group.map(|group| format!("{:#06x}", group.0)),
            post_quantum: group.and_then(Group::post_quantum),
            dh_bits,
            server_name: hello.and_then(|hello| hello.server_name.as_deref()).map(escape::for_people),
            alpn: negotiated.and_then(|agreed| agreed.alpn.as_deref()).map(escape::for_people),
            resumption: negotiated.and_then(|agreed| agreed.resumption).map(resumption_name),
            alert: view.alert.map(|(alert, _)| alert.description.to_string()),
            alert_from: view.alert.map(|(_, role)| role.name()),
            alert_level: view.alert.map(|(alert, _)| alert.level.name()),
            local_address: self.local().ip().to_string(),
            local_port: self.local().port(),
            remote_address: self.remote().ip().to_string(),
            remote_port: self.remote().port(),
            exchange_ns: view.exchange_ns,
            process_known_by: self.owner.source.name(),
            peer: peer.map(|peer| peer.as_peer(redact)),
            offered: hello.map(Offered::new),
            retry: retry.map(|request| Retry::new(request, hello, view.second_hello())),
            ja3: hello.and_then(ClientHello::ja3),
            ja4: hello.and_then(ClientHello::ja4),
            ja3s: server_hello.and_then(|hello| hello.ja3s()),
            certificates: chain(view.server.as_ref()),
            certificates_more: more(view.server.as_ref()),
            client_certificates: chain(view.client.as_ref()),
            socket_cookie: self.cookie(),
            net_ns: self.net_ns(),
            stream_offset: view.client_offset,
            hello_notes: view.notes(self),
        }
    }

    fn as_peer(&self, redact: bool) -> Peer {
        let known = self.owner.source.name().is_some();
        Peer {
            pid: known.then_some(self.owner.tgid),
            process: known.then(|| redact::for_people(self.owner.comm(), redact)),
            socket_cookie: self.cookie(),
        }
    }
}

fn resumption_name(resumption: Resumption) -> &'static str {
    match resumption {
        Resumption::No => "no",
        Resumption::SessionId => "session_id",
        Resumption::Ticket => "ticket",
        Resumption::Psk => "psk",
    }
}
