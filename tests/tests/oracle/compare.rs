//! A connection as tshark decoded it against the event of one of its ends, field by field.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::codes;
use crate::tshark::{Certificate, Flow, TLS_1_3};

/// One field of one event.
pub struct Field {
    pub name: &'static str,
    pub ours: String,
    pub tsharks: String,
}

impl Field {
    pub fn differs(&self) -> bool {
        self.ours != self.tsharks
    }
}

/// Every field that both know, of an end of this role.
pub fn fields(flow: &Flow, event: &Value, role: &str) -> Vec<Field> {
    let mut out = Fields(Vec::new());
    ends(&mut out, flow, event, role);
    hello(&mut out, flow, event);
    answer(&mut out, flow, event, role);
    certificates(&mut out, flow, event);
    out.0
}

struct Fields(Vec<Field>);

impl Fields {
    fn add(&mut self, name: &'static str, ours: impl std::fmt::Debug, tsharks: impl std::fmt::Debug) {
        self.0.push(Field { name, ours: format!("{ours:?}"), tsharks: format!("{tsharks:?}") });
    }
}

/// A text, or nothing.
fn text<'a>(event: &'a Value, name: &str) -> Option<&'a str> {
    event[name].as_str()
}

/// The code point of a name that an event shows; a name of no code point is told as it is.
fn code(name: &str, of: fn(&str) -> Option<u16>) -> String {
    of(name).map_or_else(|| format!("unknown {name}"), hex)
}

fn hex(code: u16) -> String {
    format!("0x{code:04x}")
}

fn hexes(codes: &[u16]) -> Vec<String> {
    codes.iter().copied().filter(|code| !codes::is_grease(*code)).map(hex).collect()
}

fn ends(out: &mut Fields, flow: &Flow, event: &Value, role: &str) {
    let (local, remote) = if role == "client" { (flow.client, flow.server) } else { (flow.server, flow.client) };
    out.add("role", text(event, "role"), Some(role));
    for (address, port, end) in [("local_address", "local_port", local), ("remote_address", "remote_port", remote)] {
        let ours = text(event, address).and_then(|address| address.parse::<std::net::IpAddr>().ok());
        out.add(address, ours.map(|address| address.to_canonical()), Some(end.ip()));
        out.add(port, event[port].as_u64(), Some(u64::from(end.port())));
    }
}

fn hello(out: &mut Fields, flow: &Flow, event: &Value) {
    let Some(hello) = &flow.hello else { return };
    let offered = &event["offered"];
    let listed = |name: &str| -> Option<Vec<&str>> { offered[name].as_array()?.iter().map(Value::as_str).collect() };
    let named = |name: &str, of: fn(&str) -> Option<u16>| {
        listed(name).map(|names| names.iter().map(|name| code(name, of)).collect::<Vec<_>>())
    };
    out.add("server_name", text(event, "server_name"), hello.server_name.as_deref());
    let versions = if hello.versions.is_empty() { &[hello.version][..] } else { &hello.versions };
    out.add("offered.versions", named("versions", codes::version), Some(hexes(versions)));
    out.add("offered.cipher_suites", named("cipher_suites", codes::suite), Some(hexes(&hello.suites)));
    out.add("offered.groups", named("groups", codes::group), Some(hexes(&hello.groups)));
    out.add("offered.key_shares", named("key_shares", codes::group), Some(hexes(&hello.key_shares)));
    out.add("offered.signature_schemes", named("signature_schemes", codes::scheme), Some(hexes(&hello.schemes)));
    // Protocols of no meaning are left out too.
    let alpn: Vec<_> = hello.alpn.iter().map(String::as_str).filter(|name| name.is_ascii()).collect();
    out.add("offered.alpn", listed("alpn"), Some(alpn));
    for (name, extension) in [("ech", 0xfe0d), ("early_data", 42), ("pre_shared_key", 41)] {
        out.add(name, offered[name].as_bool(), Some(hello.extensions.contains(&extension)));
    }
    let mut all = [&hello.suites, &hello.extensions, &hello.groups, &hello.versions].into_iter().flatten().copied();
    out.add("offered.grease", offered["grease"].as_bool(), Some(all.any(codes::is_grease)));
    if hello.ja3.is_some() {
        out.add("ja3", text(event, "ja3"), hello.ja3.as_deref());
    }
    if hello.ja4.is_some() {
        out.add("ja4", text(event, "ja4"), hello.ja4.as_deref());
    }
}

fn answer(out: &mut Fields, flow: &Flow, event: &Value, role: &str) {
    let answer = flow.answer.as_ref();
    let alert = flow.alert.filter(|alert| alert.is_known_to(role));
    let outcome = match (alert, answer) {
        (Some(alert), _) if alert.fatal => "alert",
        (_, Some(_)) => "server_hello",
        (_, None) => "none",
    };
    out.add("outcome", text(event, "outcome"), Some(outcome));
    let ours = text(event, "alert").map(|alert| code(alert, codes::alert));
    out.add("alert", ours, alert.map(|alert| hex(alert.description)));
    let from = alert.map(|alert| if alert.from_client { "client" } else { "server" });
    out.add("alert_from", text(event, "alert_from"), from);
    let level = alert.map(|alert| if alert.fatal { "fatal" } else { "warning" });
    out.add("alert_level", text(event, "alert_level"), level);

    let ours = text(event, "version").map(|version| code(version, codes::version));
    out.add("version", ours, answer.map(|answer| hex(answer.version)));
    out.add("cipher_suite_id", text(event, "cipher_suite_id"), answer.map(|answer| hex(answer.suite)));
    let ours = text(event, "cipher_suite").map(|suite| code(suite, codes::suite));
    out.add("cipher_suite", ours, answer.map(|answer| hex(answer.suite)));
    let modern = answer.is_some_and(|answer| answer.version == TLS_1_3);
    let group = if modern { answer.and_then(|answer| answer.group) } else { flow.curve };
    out.add("group_id", text(event, "group_id"), group.map(hex));
    out.add("group", text(event, "group").map(|group| code(group, codes::group)), group.map(hex));
    out.add("dh_bits", event["dh_bits"].as_u64(), flow.prime_bits.map(u64::from));
    out.add("alpn", text(event, "alpn"), answer.and_then(|answer| answer.alpn.as_deref()));
    out.add("resumption", text(event, "resumption"), flow.resumption());
    if let Some(ja3s) = answer.and_then(|answer| answer.ja3s.as_ref()) {
        out.add("ja3s", text(event, "ja3s"), Some(ja3s));
    }
    let notes: Vec<_> = event["hello_notes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    out.add("hello_notes: retried", notes.contains(&"retried"), flow.retried);
    // All packets are there; the one thing that may be missing is an answer, where the server neither chose nor refused.
    let refused = alert.is_some_and(|alert| alert.fatal && !alert.from_client);
    let missing = if answer.is_some() || refused { &[][..] } else { &["server_hello_not_seen"][..] };
    let ours: Vec<_> = notes.iter().copied().filter(|note| *note != "retried").collect();
    out.add("hello_notes: what is missing", ours, missing);
    let retry = &event["retry"];
    let ours = text(retry, "requested_group").map(|group| code(group, codes::group));
    out.add("retry.requested_group", ours, flow.requested_group.map(hex));
    let shares = retry["second_hello"]["key_shares"].as_array();
    let ours: Vec<_> =
        shares.into_iter().flatten().filter_map(Value::as_str).map(|name| code(name, codes::group)).collect();
    out.add("retry.second_hello.key_shares", ours, hexes(&flow.second_key_shares));
}

/// Names of algorithms as events show them, and what tshark shows.
const ALGORITHMS: &[(&str, &str)] = &[
    ("RSA", "1.2.840.113549.1.1.1"),
    ("EC", "1.2.840.10045.2.1"),
    ("sha256WithRSAEncryption", "1.2.840.113549.1.1.11"),
    ("ecdsa-with-SHA256", "1.2.840.10045.4.3.2"),
];

fn algorithm(name: &str) -> &str {
    ALGORITHMS.iter().find(|(known, _)| *known == name).map_or(name, |(_, oid)| oid)
}

fn certificates(out: &mut Fields, flow: &Flow, event: &Value) {
    let (ours, tsharks) = (event["certificates"].as_array(), &flow.server_certificates);
    let ours: Vec<&Value> = ours.into_iter().flatten().collect();
    let digest = |certificate: &Certificate| {
        let digest = Sha256::digest(&certificate.der);
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let all =
        |name: &str| ours.iter().map(|certificate| certificate[name].as_str().unwrap_or_default()).collect::<Vec<_>>();
    out.add("certificates.sha256", all("sha256"), tsharks.iter().map(digest).collect::<Vec<_>>());
    let shown = event["client_certificates"].as_array().into_iter().flatten();
    let shown: Vec<_> = shown.map(|certificate| certificate["sha256"].as_str().unwrap_or_default()).collect();
    out.add("client_certificates.sha256", shown, flow.client_certificates.iter().map(digest).collect::<Vec<_>>());
    let Some(read) = flow.server_names.as_ref() else { return };
    let plain = |serial: &str| serial.replace(':', "").trim_start_matches("00").to_owned();
    let serials: Vec<_> = all("serial").into_iter().map(plain).collect();
    out.add("certificates.serial", serials, read.serials.iter().map(|serial| plain(serial)).collect::<Vec<_>>());
    let time = |time: &str| time.replace('T', " ").replace('Z', "");
    let pairs = all("not_before").into_iter().zip(all("not_after"));
    let times: Vec<_> = pairs.flat_map(|(from, to)| [time(from), time(to)]).collect();
    out.add("certificates.not_before, not_after", times, &read.times);
    // tshark tells values by the kind of string they are; sorted, they are the same.
    let names = all("issuer").into_iter().chain(all("subject"));
    let values =
        names.flat_map(|name| name.split(", ")).filter_map(|part| part.split_once('=')).map(|(_, value)| value);
    out.add("certificates.subject, issuer", sorted(values), sorted(read.names.iter().map(String::as_str)));
    let alternative =
        ours.iter().flat_map(|certificate| certificate["alternative_names"].as_array().into_iter().flatten());
    let alternative = alternative.filter_map(|name| name.as_str()?.strip_prefix("DNS:"));
    out.add("certificates.alternative_names", alternative.collect::<Vec<_>>(), &read.alternative_names);
    // Of each: inside of what is signed, of the key, of the signature.
    let signatures: Vec<_> = read.algorithms.iter().skip(2).step_by(3).collect();
    let keys: Vec<_> = read.algorithms.iter().skip(1).step_by(3).collect();
    let known = |name: &str| all(name).into_iter().map(algorithm).collect::<Vec<_>>();
    out.add("certificates.signature_algorithm", known("signature_algorithm"), signatures);
    out.add("certificates.key_type", known("key_type"), keys);
}

fn sorted<'a>(values: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values
}
