//! What tshark says of the TLS handshakes in a capture file, connection by connection.
//!
//! Only what tshark decoded is told; nothing is parsed here but tshark's own output.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use crypto_trace_tests::run;

/// A ServerHello with this random asks for a second hello (RFC 8446, section 4.1.3).
const RETRY: &str = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c";

const CLIENT_HELLO: u16 = 1;
const SERVER_HELLO: u16 = 2;
const CERTIFICATE: u16 = 11;
const SERVER_KEY_EXCHANGE: u16 = 12;
const CERTIFICATE_REQUEST: u16 = 13;
const SERVER_HELLO_DONE: u16 = 14;
const CHANGE_CIPHER_SPEC: u16 = 20;
const FATAL: u16 = 2;

/// Extensions whose schemes tshark gives one name: delegated_credentials, signature_algorithms, signature_algorithms_cert.
const WITH_SCHEMES: [u16; 3] = [34, SIGNATURE_ALGORITHMS, 50];
const SIGNATURE_ALGORITHMS: u16 = 13;
const SESSION_TICKET: u16 = 35;

/// Fields that are asked for, in this order. The last ones only where this version has them.
const FIELDS: &[&str] = &[
    "tcp.stream",
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.flags.syn",
    "tcp.flags.fin",
    "tcp.flags.reset",
    "tcp.flags.ack",
    "tcp.len",
    "tcp.seq",
    "tcp.ack",
    "tls.record.content_type",
    "tls.handshake.type",
    "tls.handshake.fragment.count",
    "tls.handshake.version",
    "tls.handshake.random",
    "tls.handshake.ciphersuite",
    "tls.handshake.extension.type",
    "tls.handshake.extension.len",
    "tls.handshake.extensions_server_name",
    "tls.handshake.extensions.supported_version",
    "tls.handshake.extensions_supported_group",
    "tls.handshake.extensions_key_share_group",
    "tls.handshake.extensions_key_share_selected_group",
    "tls.handshake.sig_hash_alg_len",
    "tls.handshake.sig_hash_alg",
    "tls.handshake.extensions_alpn_str",
    "tls.handshake.extensions.psk.identity.selected",
    "tls.handshake.server_named_curve",
    "tls.handshake.p_len",
    "tls.handshake.ja3",
    "tls.handshake.ja3s",
    "tls.alert_message.level",
    "tls.alert_message.desc",
    "tls.handshake.certificate",
    "x509af.serialNumber",
    "x509af.utcTime",
    "x509sat.uTF8String",
    "x509sat.printableString",
    "x509sat.CountryName",
    "x509ce.dNSName",
    "x509af.algorithm.id",
    "proxy.v1.magic",
    "tls.handshake.ja4",
];

/// One line of tshark's: the values of each field in a frame.
struct Frame<'a>(BTreeMap<&'static str, &'a str>);

impl Frame<'_> {
    fn texts(&self, field: &str) -> Vec<String> {
        let text = self.0.get(field).copied().unwrap_or_default();
        text.split(SEPARATOR).filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    fn text(&self, field: &str) -> Option<String> {
        self.texts(field).into_iter().next()
    }

    fn numbers(&self, field: &str) -> Vec<u16> {
        let number = |text: &String| match text.strip_prefix("0x") {
            Some(digits) => u16::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{field}: {text}")),
            None => text.parse().unwrap_or_else(|_| panic!("{field}: {text}")),
        };
        self.texts(field).iter().map(number).collect()
    }

    fn number(&self, field: &str) -> Option<u16> {
        self.numbers(field).into_iter().next()
    }

    fn address(&self, end: &str, port: &str) -> SocketAddr {
        let address = self.text(&format!("ip.{end}")).or_else(|| self.text(&format!("ipv6.{end}"))).unwrap();
        SocketAddr::new(address.parse::<IpAddr>().unwrap().to_canonical(), self.number(port).unwrap())
    }
}

/// Between values of the same field.
const SEPARATOR: char = ';';

/// A client's first hello.
#[derive(Debug, Clone, Default)]
pub struct Hello {
    pub version: u16,
    pub versions: Vec<u16>,
    pub suites: Vec<u16>,
    pub extensions: Vec<u16>,
    pub groups: Vec<u16>,
    pub key_shares: Vec<u16>,
    pub schemes: Vec<u16>,
    pub alpn: Vec<String>,
    pub server_name: Option<String>,
    /// A session ticket that is not empty.
    pub ticket: bool,
    pub ja3: Option<String>,
    pub ja4: Option<String>,
}

/// A server's hello, the last one.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub version: u16,
    pub suite: u16,
    pub group: Option<u16>,
    pub alpn: Option<String>,
    pub psk: bool,
    pub ja3s: Option<String>,
}

/// An alert in the clear.
#[derive(Debug, Clone, Copy)]
pub struct Alert {
    pub description: u16,
    pub fatal: bool,
    pub from_client: bool,
    /// The other end's FIN had been acknowledged before.
    after_end: bool,
    /// The other end had no socket any more: it did not get this.
    refused: bool,
}

impl Alert {
    /// An end of this role sent or got it.
    pub fn is_known_to(&self, role: &str) -> bool {
        !self.refused || self.from_client == (role == "client")
    }
}

/// A certificate as it is.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub der: Vec<u8>,
}

/// What tshark reads of all certificates of a message.
#[derive(Debug, Clone, Default)]
pub struct Names {
    pub serials: Vec<String>,
    /// Beginning and end of each.
    pub times: Vec<String>,
    /// Values in subjects and issuers, in no order.
    pub names: Vec<String>,
    pub alternative_names: Vec<String>,
    pub algorithms: Vec<String>,
}

/// How an end of a connection ended.
#[derive(Debug, Clone, Copy, Default)]
struct End {
    /// The number of its FIN.
    fin: Option<u32>,
    /// The other end has acknowledged it.
    acknowledged: bool,
}

/// One connection.
#[derive(Debug, Clone)]
pub struct Flow {
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub hello: Option<Hello>,
    /// Key shares of the second hello.
    pub second_key_shares: Vec<u16>,
    pub answer: Option<Answer>,
    pub retried: bool,
    /// The group that a second hello was asked for with.
    pub requested_group: Option<u16>,
    /// The named group of a key exchange message.
    pub curve: Option<u16>,
    /// Bits of the prime of a key exchange message.
    pub prime_bits: Option<u16>,
    pub server_certificates: Vec<Certificate>,
    pub client_certificates: Vec<Certificate>,
    /// What they say.
    pub server_names: Option<Names>,
    /// The server went on to encrypted records without a ServerHelloDone.
    pub abbreviated: bool,
    hello_done: bool,
    client_end: End,
    server_end: End,
    /// The first fatal alert in the clear; when there is none, the first warning.
    pub alert: Option<Alert>,
    /// A handshake message was in several records.
    pub fragmented: bool,
    pub in_syn: bool,
    /// The client completed the TCP handshake by a packet with no data.
    pub bare_ack: bool,
    /// Bytes in the client's first packet with data.
    pub first_bytes: u32,
    pub proxied: bool,
}

/// Decodes a file. `decode_as` are tshark's `-d`.
pub fn flows(file: &Path, decode_as: &[&str]) -> Vec<Flow> {
    let known = run(Command::new("tshark").args(["-G", "fields"])).text();
    let known: Vec<_> = known.lines().filter_map(|line| line.split('\t').nth(2)).collect();
    let fields: Vec<_> = FIELDS.iter().copied().filter(|field| known.contains(field)).collect();
    let missing: Vec<_> = FIELDS.iter().filter(|field| !known.contains(field)).collect();
    assert!(missing.iter().all(|field| **field == "tls.handshake.ja4"), "this tshark does not know {missing:?}");

    let mut command = Command::new("tshark");
    // Twice: what is put together of several packets is told of the right one.
    command.args(["-2", "-n", "-r"]).arg(file);
    command.args(["-o", "tcp.reassemble_out_of_order:TRUE", "-o", "tcp.try_heuristic_first:TRUE"]);
    for decode in decode_as {
        command.args(["-d", decode]);
    }
    let shown = "tls.record || tls.alert_message || tcp.flags.syn == 1 || tcp.len == 0 || tcp.flags.fin == 1 || tcp.seq == 1 || proxy";
    command.args(["-Y", shown, "-T", "fields", "-E", "occurrence=a", "-E", &format!("aggregator={SEPARATOR}")]);
    for field in &fields {
        command.args(["-e", field]);
    }
    let done = run(&mut command);
    assert_eq!(done.code(), 0, "{}", done.stderr);

    let mut flows = BTreeMap::new();
    for line in done.text().lines() {
        let frame = Frame(fields.iter().copied().zip(line.split('\t')).collect());
        take(&mut flows, &frame);
    }
    flows.into_values().collect()
}

fn take(flows: &mut BTreeMap<u32, Flow>, frame: &Frame<'_>) {
    let stream = frame.text("tcp.stream").unwrap().parse().unwrap();
    let (from, to) = (frame.address("src", "tcp.srcport"), frame.address("dst", "tcp.dstport"));
    // The one that sends a SYN alone, the first packet of all, is the client.
    let flow = flows.entry(stream).or_insert_with(|| Flow::new(from, to));
    let from_client = from == flow.client;
    let answered = !set(frame, "tcp.flags.syn") && frame.text("tcp.seq").unwrap() == "1";
    let length = frame.text("tcp.len").unwrap().parse().unwrap();
    flow.bare_ack |= from_client && answered && length == 0;
    if from_client && flow.first_bytes == 0 {
        flow.first_bytes = length;
    }
    flow.in_syn |= from_client && set(frame, "tcp.flags.syn") && length > 0;
    flow.proxied |= frame.text("proxy.v1.magic").is_some();
    let types = frame.numbers("tls.handshake.type");
    flow.fragmented |= frame.text("tls.handshake.fragment.count").is_some();
    let levels = frame.numbers("tls.alert_message.level").into_iter();
    for (level, description) in levels.zip(frame.numbers("tls.alert_message.desc")) {
        let fatal = level == FATAL;
        if flow.alert.is_none_or(|earlier| fatal && !earlier.fatal) {
            let other = if from_client { flow.server_end } else { flow.client_end };
            flow.alert = Some(Alert { description, fatal, from_client, after_end: other.acknowledged, refused: false });
        }
    }
    flow.take_end(frame, from_client, length);
    if from_client {
        flow.take_client(frame, &types);
    } else {
        flow.take_server(frame, &types);
    }
}

/// A flag: `1` in this version, `True` in later ones.
fn set(frame: &Frame<'_>, field: &str) -> bool {
    frame.text(field).is_some_and(|value| value == "1" || value == "True")
}

impl Flow {
    fn new(client: SocketAddr, server: SocketAddr) -> Self {
        Self {
            client,
            server,
            hello: None,
            second_key_shares: Vec::new(),
            answer: None,
            retried: false,
            requested_group: None,
            curve: None,
            prime_bits: None,
            server_certificates: Vec::new(),
            client_certificates: Vec::new(),
            server_names: None,
            abbreviated: false,
            hello_done: false,
            client_end: End::default(),
            server_end: End::default(),
            alert: None,
            fragmented: false,
            in_syn: false,
            bare_ack: false,
            first_bytes: 0,
            proxied: false,
        }
    }

    /// What says that an end has closed: then its kernel has no socket for packets that still come.
    fn take_end(&mut self, frame: &Frame<'_>, from_client: bool, length: u32) {
        let (from, to) = match from_client {
            true => (&mut self.client_end, &mut self.server_end),
            false => (&mut self.server_end, &mut self.client_end),
        };
        let number = |field: &str| frame.text(field).and_then(|number| number.parse::<u32>().ok());
        if set(frame, "tcp.flags.fin") {
            from.fin = number("tcp.seq").map(|first| first + length);
        }
        to.acknowledged |= to.fin.is_some_and(|fin| number("tcp.ack").is_some_and(|next| next > fin));
        // A reset without an acknowledgement is the answer where there is no socket (RFC 9293, section 3.5.2).
        if set(frame, "tcp.flags.reset")
            && !set(frame, "tcp.flags.ack")
            && let Some(alert) = self.alert.as_mut().filter(|alert| alert.from_client != from_client)
        {
            alert.refused |= alert.after_end;
        }
    }

    fn take_client(&mut self, frame: &Frame<'_>, types: &[u16]) {
        if types.contains(&CLIENT_HELLO) {
            if self.hello.is_some() {
                self.second_key_shares = hello(frame).key_shares;
            }
            self.hello.get_or_insert_with(|| hello(frame));
        }
        if types.contains(&CERTIFICATE) && self.client_certificates.is_empty() {
            self.client_certificates = certificates(frame);
        }
    }

    fn take_server(&mut self, frame: &Frame<'_>, types: &[u16]) {
        if types.contains(&SERVER_HELLO) {
            if frame.text("tls.handshake.random").as_deref() == Some(RETRY) {
                self.retried = true;
                self.requested_group = frame.number("tls.handshake.extensions_key_share_selected_group");
            } else {
                self.answer.get_or_insert_with(|| answer(frame));
            }
        }
        if types.contains(&CERTIFICATE) && self.server_certificates.is_empty() {
            self.server_certificates = certificates(frame);
            // A request names authorities, which could not be told from names in certificates.
            self.server_names = (!types.contains(&CERTIFICATE_REQUEST)).then(|| names(frame));
        }
        if types.contains(&SERVER_KEY_EXCHANGE) {
            self.curve = frame.number("tls.handshake.server_named_curve");
            self.prime_bits = frame.number("tls.handshake.p_len").map(|bytes| bytes * 8);
        }
        self.hello_done |= types.contains(&SERVER_HELLO_DONE);
        let encrypts = frame.numbers("tls.record.content_type").contains(&CHANGE_CIPHER_SPEC);
        self.abbreviated |= encrypts && !self.hello_done;
    }

    /// How a session was resumed, in the words of a tls_handshake event.
    pub fn resumption(&self) -> Option<&'static str> {
        let (hello, answer) = (self.hello.as_ref()?, self.answer.as_ref()?);
        Some(match (answer.version, self.abbreviated, answer.psk) {
            (TLS_1_3, _, true) => "psk",
            (TLS_1_3, ..) | (_, false, _) => "no",
            (_, true, _) if hello.ticket => "ticket",
            (_, true, _) => "session_id",
        })
    }
}

pub const TLS_1_3: u16 = 0x0304;

fn hello(frame: &Frame<'_>) -> Hello {
    let extensions = frame.numbers("tls.handshake.extension.type");
    let lengths = frame.texts("tls.handshake.extension.len");
    let mut schemes = frame.numbers("tls.handshake.sig_hash_alg").into_iter();
    let mut counts = frame.numbers("tls.handshake.sig_hash_alg_len").into_iter();
    let mut of_signatures = Vec::new();
    for extension in extensions.iter().filter(|extension| WITH_SCHEMES.contains(extension)) {
        let count = usize::from(counts.next().unwrap_or_default() / 2);
        let these: Vec<_> = schemes.by_ref().take(count).collect();
        if *extension == SIGNATURE_ALGORITHMS {
            of_signatures = these;
        }
    }
    let ticket = extensions.iter().position(|extension| *extension == SESSION_TICKET);
    Hello {
        version: frame.number("tls.handshake.version").unwrap(),
        versions: frame.numbers("tls.handshake.extensions.supported_version"),
        suites: frame.numbers("tls.handshake.ciphersuite"),
        groups: frame.numbers("tls.handshake.extensions_supported_group"),
        key_shares: frame.numbers("tls.handshake.extensions_key_share_group"),
        schemes: of_signatures,
        alpn: frame.texts("tls.handshake.extensions_alpn_str"),
        server_name: frame.text("tls.handshake.extensions_server_name"),
        ticket: ticket.is_some_and(|at| lengths[at] != "0"),
        ja3: frame.text("tls.handshake.ja3"),
        ja4: frame.text("tls.handshake.ja4"),
        extensions,
    }
}

fn answer(frame: &Frame<'_>) -> Answer {
    let chosen = frame.number("tls.handshake.extensions.supported_version");
    Answer {
        version: chosen.unwrap_or_else(|| frame.number("tls.handshake.version").unwrap()),
        suite: frame.number("tls.handshake.ciphersuite").unwrap(),
        group: frame.number("tls.handshake.extensions_key_share_group"),
        alpn: frame.text("tls.handshake.extensions_alpn_str"),
        psk: frame.text("tls.handshake.extensions.psk.identity.selected").is_some(),
        ja3s: frame.text("tls.handshake.ja3s"),
    }
}

fn certificates(frame: &Frame<'_>) -> Vec<Certificate> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let bytes = |text: &String| text.as_bytes().chunks(2).map(byte).collect();
    frame.texts("tls.handshake.certificate").iter().map(|text| Certificate { der: bytes(text) }).collect()
}

fn names(frame: &Frame<'_>) -> Names {
    let strings = ["x509sat.uTF8String", "x509sat.printableString", "x509sat.CountryName"];
    Names {
        serials: frame.texts("x509af.serialNumber"),
        // 2026-11-28 02:59:36 (UTC)
        times: frame.texts("x509af.utcTime").iter().map(|time| time.replace(" (UTC)", "")).collect(),
        names: strings.iter().flat_map(|field| frame.texts(field)).collect(),
        alternative_names: frame.texts("x509ce.dNSName"),
        algorithms: frame.texts("x509af.algorithm.id"),
    }
}
