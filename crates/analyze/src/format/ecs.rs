//! Events in the fields of the Elastic Common Schema.
//!
//! What the schema has no field for is under `crypto_trace`, which is ours, under its own name.

use super::EventFormat;
use super::told::{Told, file_name, object, own_certificate, transport, unless_empty};
use crate::event::{Event, EventWriter};
use crypto_trace_format::record::RecordError;
use serde_json::{Value, json};

/// The version of the schema.
const VERSION: &str = "9.4.0";

/// The data stream that lines of the bulk interface name.
const DATA_STREAM: &str = "logs-crypto_trace.events-default";

/// `export --to ecs`: one JSON object per line.
#[derive(Debug, Clone, Copy)]
pub struct Ecs {
    /// Before each object stands the line that the bulk interface of Elasticsearch wants.
    pub bulk: bool,
}

impl EventFormat for Ecs {
    fn write(&self, writer: &mut EventWriter, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let mut told = Told::new(writer, event)?;
        let mapped = mapped(&mut told, &crate::words::text::hex(&event.capture.meta.capture_id));
        if self.bulk {
            // Data streams take new documents only.
            let action = json!({ "create": { "_index": DATA_STREAM } });
            let _ = serde_json::to_writer(&mut *out, &action);
            out.push(b'\n');
        }
        let rest = told.rest();
        let mut mapped = mapped;
        if let (false, Some(members)) = (rest.is_empty(), mapped.as_object_mut()) {
            members.insert("crypto_trace".to_owned(), Value::Object(rest));
        }
        // Into memory: this does not fail.
        let _ = serde_json::to_writer(&mut *out, &mapped);
        out.push(b'\n');
        Ok(())
    }
}

/// Category and type of an event, by its own type and by what it did.
fn sort(kind: &str, change: Option<&str>) -> (&'static [&'static str], &'static [&'static str]) {
    match (kind, change) {
        ("process_exec" | "process_fork", _) => (&["process"], &["start"]),
        ("process_exit", _) => (&["process"], &["end"]),
        ("process_info", _) => (&["process"], &["info"]),
        ("file_open", _) => (&["file"], &["access"]),
        ("file_change", Some("unlink")) => (&["file"], &["deletion"]),
        ("file_change", Some("link" | "symlink")) => (&["file"], &["creation"]),
        ("file_change", _) => (&["file"], &["change"]),
        ("lib_load", _) => (&["library"], &["start"]),
        ("tls_handshake" | "ssh_handshake" | "ike_handshake" | "wireguard_handshake", _) => {
            (&["network"], &["connection", "protocol"])
        }
        // Of libraries the schema knows only that they are loaded.
        ("certificate_file" | "library_info", _) => (&["file"], &["info"]),
        ("api_call", _) => (&["process"], &["info"]),
        _ => (&["host"], &["info"]),
    }
}

fn mapped(told: &mut Told, capture: &str) -> Value {
    let kind = told.text("event_type").unwrap_or_default();
    let change = told.peek("change").and_then(Value::as_str).map(ToOwned::to_owned);
    let (category, ty) = sort(&kind, change.as_deref());
    let outcome = outcome(&kind, told);
    let is_about_capture = category == ["host"];
    let event = object([
        ("kind", Some(json!(if is_about_capture { "metric" } else { "event" }))),
        ("category", Some(json!(category))),
        ("type", Some(json!(ty))),
        ("action", Some(json!(change.as_deref().unwrap_or(&kind)))),
        ("dataset", Some(json!("crypto_trace.events"))),
        ("module", Some(json!("crypto_trace"))),
        ("provider", Some(json!("crypto-trace"))),
        ("outcome", outcome.map(|outcome| json!(outcome))),
        ("code", Some(json!(kind))),
        ("duration", told.take("duration_ns").or_else(|| told.take("handshake_ns"))),
    ]);
    let network = network(&kind, told);
    let tls = if kind == "tls_handshake" { tls(told) } else { None };
    let (file, library) = (file(told), library(&kind, told));
    let process = process(told);
    let mut all = object([
        ("@timestamp", told.take("timestamp")),
        ("ecs", Some(json!({ "version": VERSION }))),
        ("event", Some(event)),
        ("host", told.take("host").map(|name| json!({ "name": name, "hostname": name }))),
        ("agent", Some(json!({ "type": "crypto-trace", "ephemeral_id": capture }))),
        ("user", told.take("uid").map(|uid| json!({ "id": uid.to_string() }))),
        ("group", told.take("gid").map(|gid| json!({ "id": gid.to_string() }))),
        ("container", told.take("container").map(|id| json!({ "id": id }))),
        ("process", process),
        ("file", file),
        ("dll", library),
        ("error", told.take("error").map(|code| json!({ "code": code }))),
        ("tls", tls),
    ]);
    if let Some(members) = all.as_object_mut() {
        members.extend(network.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    all
}

/// What came of it; nothing where that is no question.
fn outcome(kind: &str, told: &Told) -> Option<&'static str> {
    let result = |name: &str| told.peek(name).and_then(Value::as_i64);
    match kind {
        "file_open" if told.peek("source").is_some() => None,
        "file_open" | "file_change" => {
            Some(result("result").map_or("unknown", |result| if result < 0 { "failure" } else { "success" }))
        }
        "tls_handshake" => {
            let failed = told.peek("api_result").is_some_and(|result| result == "failed");
            match told.peek("outcome").and_then(Value::as_str) {
                Some("alert") => Some("failure"),
                _ if failed => Some("failure"),
                Some("server_hello") => Some("success"),
                _ => Some("unknown"),
            }
        }
        "ssh_handshake" | "ike_handshake" | "wireguard_handshake" => match told.peek("outcome").and_then(Value::as_str)
        {
            Some("failed") => Some("failure"),
            Some("agreed") => Some("success"),
            _ => Some("unknown"),
        },
        "api_call" => match told.peek("succeeded").and_then(Value::as_bool) {
            Some(true) => Some("success"),
            Some(false) => Some("failure"),
            None => Some("unknown"),
        },
        _ => None,
    }
}

fn process(told: &mut Told) -> Option<Value> {
    let parent = object([("pid", told.take("ppid")), ("name", told.take("parent"))]);
    let argv = told.take("argv");
    let count = argv.as_ref().and_then(Value::as_array).map(|argv| json!(argv.len()));
    unless_empty(object([
        ("pid", told.take("pid")),
        ("thread", told.take("tid").map(|tid| json!({ "id": tid }))),
        ("name", told.take("process")),
        ("executable", told.take("exe")),
        ("command_line", told.take("cmdline")),
        ("args", argv),
        ("args_count", count),
        ("working_directory", told.take("cwd")),
        ("exit_code", told.take("exit_code")),
        ("parent", unless_empty(parent)),
    ]))
}

fn file(told: &mut Told) -> Option<Value> {
    let path = told.text("file")?;
    let directory = path.rsplit_once('/').map(|(directory, _)| if directory.is_empty() { "/" } else { directory });
    let mode = told.peek("inode_mode").and_then(Value::as_str);
    let permissions = mode.and_then(|mode| u32::from_str_radix(mode, 8).ok());
    Some(object([
        ("path", Some(json!(path))),
        ("name", Some(json!(file_name(&path)))),
        ("directory", directory.map(|directory| json!(directory))),
        ("inode", told.take("inode").map(|inode| json!(inode.to_string()))),
        ("mode", permissions.map(|mode| json!(format!("{:04o}", mode & 0o7777)))),
        ("type", permissions.and_then(file_type).map(|ty| json!(ty))),
    ]))
}

fn file_type(mode: u32) -> Option<&'static str> {
    match mode & 0o170_000 {
        0o100_000 => Some("file"),
        0o040_000 => Some("dir"),
        0o120_000 => Some("symlink"),
        _ => None,
    }
}

/// The schema calls a library a DLL, whatever the system.
fn library(kind: &str, told: &mut Told) -> Option<Value> {
    if kind != "lib_load" {
        return None;
    }
    let path = told.text("library")?;
    told.take("library_file");
    Some(json!({ "path": path, "name": file_name(&path) }))
}

fn network(kind: &str, told: &mut Told) -> Vec<(&'static str, Value)> {
    let known = ["tls", "ssh", "ike", "wireguard"];
    let Some(protocol) = known.into_iter().find(|name| kind.strip_suffix("_handshake") == Some(*name)) else {
        return Vec::new();
    };
    let local = object([("ip", told.take("local_address")), ("port", told.take("local_port"))]);
    let remote = object([("ip", told.take("remote_address")), ("port", told.take("remote_port"))]);
    let v6 = local.get("ip").and_then(Value::as_str).is_some_and(|ip| ip.contains(':'));
    let role = told.peek("role").and_then(Value::as_str);
    let direction = match role {
        Some("client") => Some("egress"),
        Some("server") => Some("ingress"),
        _ => None,
    };
    let network = object([
        ("transport", Some(json!(transport(kind, told).0))),
        ("type", Some(json!(if v6 { "ipv6" } else { "ipv4" }))),
        ("protocol", Some(json!(protocol))),
        ("direction", direction.map(|direction| json!(direction))),
    ]);
    let (client, server) = if role == Some("server") { (remote, local) } else { (local, remote) };
    vec![("network", network), ("source", client), ("destination", server)]
}

fn tls(told: &mut Told) -> Option<Value> {
    let mut offered = told.object("offered");
    let version = told.text("version");
    let (protocol, number) = match version.as_deref().map(|version| version.split_once(' ')) {
        Some(Some((protocol @ ("TLS" | "SSL" | "DTLS"), number))) => {
            (Some(protocol.to_ascii_lowercase()), Some(number.trim_start_matches(['v', 'V']).to_owned()))
        }
        _ => (None, None),
    };
    if let (Some(version), None) = (version, &number) {
        told.put_text("version", version);
    }
    let shown = own_certificate(told).map(|mut own| {
        let shown =
            [("issuer", "issuer"), ("subject", "subject"), ("not_before", "not_before"), ("not_after", "not_after")]
                .map(|(name, from)| (name, own.take(from)));
        let hash = own.take("sha256").and_then(|hash| Some(json!({ "sha256": hash.as_str()?.to_ascii_uppercase() })));
        told.put("certificate", own);
        (shown, hash)
    });
    let mut server = object([("ja3s", told.take("ja3s"))]);
    if let (Some((shown, hash)), Some(members)) = (shown, server.as_object_mut()) {
        let there = shown.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        members.extend(there);
        members.extend(hash.map(|hash| ("hash".to_owned(), hash)));
    }
    let client = object([
        ("ja3", told.take("ja3")),
        ("server_name", told.take("server_name")),
        ("supported_ciphers", offered.as_mut().and_then(|offered| offered.take("cipher_suites"))),
    ]);
    if let Some(offered) = offered {
        told.put("offered", offered);
    }
    let resumed = told.peek("resumption").and_then(Value::as_str).map(|how| json!(how != "no"));
    // Of TLS 1.3 the wire does not show whether a handshake came to its end; a library tells.
    let established = told.peek("api_result").and_then(Value::as_str).map(|result| json!(result == "ok"));
    unless_empty(object([
        ("version", number.map(|number| json!(number))),
        ("version_protocol", protocol.map(|protocol| json!(protocol))),
        ("cipher", told.take("cipher_suite")),
        ("curve", told.take("group")),
        ("next_protocol", told.take("alpn")),
        ("resumed", resumed),
        ("established", established),
        ("client", unless_empty(client)),
        ("server", unless_empty(server)),
    ]))
}
