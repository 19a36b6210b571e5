//! Events in the classes of the Open Cybersecurity Schema Framework.
//!
//! Only attributes that version 1.1.0 has are used, and none that a later version took away: the same event holds against 1.1.0
//! and against 1.8.0. What the classes lack is in `unmapped`, under its own name.

use super::EventFormat;
use super::told::{Told, file_name, object, own_certificate, transport, unless_empty};
use crate::event::{Event, EventWriter};
use crypto_trace_format::record::{
    FileChange, FileOpen, IkeHandshake, Kind, LibLoad, ProcessExec, ProcessExit, RecordError, SshHandshake, TlsHello,
    WireguardHandshake,
};
use serde_json::{Value, json};

/// The version that events say they are of.
pub const VERSION: &str = "1.1.0";

/// Kinds that a class stands for.
pub const KINDS: [Kind; 9] = [
    ProcessExec::KIND,
    ProcessExit::KIND,
    FileOpen::KIND,
    FileChange::KIND,
    LibLoad::KIND,
    TlsHello::KIND,
    SshHandshake::KIND,
    IkeHandshake::KIND,
    WireguardHandshake::KIND,
];

/// `export --to ocsf`: one JSON object per line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ocsf;

/// A class, and what it is part of.
struct Class {
    uid: u32,
    name: &'static str,
    category: (u32, &'static str),
}

const SYSTEM: (u32, &str) = (1, "System Activity");
const FILE: Class = Class { uid: 1001, name: "File System Activity", category: SYSTEM };
const MODULE: Class = Class { uid: 1005, name: "Module Activity", category: SYSTEM };
const PROCESS: Class = Class { uid: 1007, name: "Process Activity", category: SYSTEM };
const ON_NETWORK: (u32, &str) = (4, "Network Activity");
const NETWORK: Class = Class { uid: 4001, name: "Network Activity", category: ON_NETWORK };
const SSH: Class = Class { uid: 4007, name: "SSH Activity", category: ON_NETWORK };

/// What happened, in a class.
type Activity = (u32, &'static str);

/// Status of an activity.
#[derive(Clone, Copy)]
enum Status {
    Unknown,
    Success,
    Failure,
}

/// One event: what all classes have, and the attributes of its own.
struct Mapped {
    class: Class,
    activity: Activity,
    status: Status,
    own: Vec<(&'static str, Value)>,
}

impl EventFormat for Ocsf {
    fn write(&self, writer: &mut EventWriter, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
        if let Some(mapped) = Self::map(writer, event)? {
            // Into memory: this does not fail.
            let _ = serde_json::to_writer(&mut *out, &mapped);
            out.push(b'\n');
        }
        Ok(())
    }
}

impl Ocsf {
    /// An event as an object of its class; `None` where it has none.
    ///
    /// # Errors
    /// When the record's body is malformed.
    pub fn map(writer: &mut EventWriter, event: &Event<'_>) -> Result<Option<Value>, RecordError> {
        let mut told = Told::new(writer, event)?;
        let kind = told.text("event_type").unwrap_or_default();
        told.take("timestamp");
        let host = told.text("host").unwrap_or_default();
        let mut profiles = vec!["host"];
        if told.peek("container").is_some() {
            profiles.push("container");
        }
        let Mapped { class, activity: (activity, activity_name), status, own } = match kind.as_str() {
            "file_open" => file_open(&mut told),
            "file_change" => file_change(&mut told),
            "lib_load" => lib_load(&mut told),
            "process_exec" => process_exec(&mut told),
            "process_exit" => process_exit(&mut told),
            "tls_handshake" => handshake(&kind, &mut told),
            "ssh_handshake" => ssh(&kind, &mut told),
            "ike_handshake" | "wireguard_handshake" => tunnel(&kind, &mut told),
            _ => return Ok(None),
        };
        let (status_id, status) = match status {
            Status::Unknown => (0, "Unknown"),
            Status::Success => (1, "Success"),
            Status::Failure => (2, "Failure"),
        };
        let meta = &event.capture.meta;
        let mut mapped = json!({
            "class_uid": class.uid,
            "class_name": class.name,
            "category_uid": class.category.0,
            "category_name": class.category.1,
            "activity_id": activity,
            "activity_name": activity_name,
            "type_uid": class.uid * 100 + activity,
            "type_name": format!("{}: {activity_name}", class.name),
            "severity_id": 1,
            "severity": "Informational",
            "status_id": status_id,
            "status": status,
            "time": event.time.0.div_euclid(1_000_000),
            "metadata": {
                "version": VERSION,
                "profiles": profiles,
                "event_code": kind,
                "log_name": crate::words::text::hex(&meta.capture_id),
                "product": { "name": "crypto-trace", "vendor_name": "crypto-trace", "version": meta.tool },
            },
            "device": { "hostname": host, "type_id": 0 },
        });
        if let Some(members) = mapped.as_object_mut() {
            members.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
            let mut rest = told.rest();
            rest.insert("time_ns".to_owned(), json!(event.time.0));
            members.insert("unmapped".to_owned(), Value::Object(rest));
        }
        Ok(Some(mapped))
    }
}

/// The process whose event it is.
fn process(told: &mut Told) -> Value {
    let exe = told.text("exe");
    let parent = object([("pid", told.take("ppid")), ("name", told.take("parent"))]);
    let user = told.take("uid").map(|uid| json!({ "uid": uid.to_string() }));
    object([
        ("pid", told.take("pid")),
        ("tid", told.take("tid")),
        ("name", told.take("process")),
        ("cmd_line", told.take("cmdline")),
        (
            "file",
            exe.map(|path| json!({ "name": file_name(&path), "path": path, "type_id": 1, "type": "Regular File" })),
        ),
        ("user", user),
        // Of a process that is known by its number alone nothing else is said.
        ("parent_process", unless_empty(parent).filter(|parent| parent.get("pid").is_some())),
        ("container", told.take("container").map(|id| json!({ "uid": id }))),
    ])
}

fn actor(told: &mut Told) -> (&'static str, Value) {
    ("actor", json!({ "process": process(told) }))
}

/// What a result says; what failed is named.
fn outcome(told: &mut Told) -> (Status, Option<(&'static str, Value)>) {
    let status = match told.peek("result").and_then(Value::as_i64) {
        None => Status::Unknown,
        Some(result) if result < 0 => Status::Failure,
        Some(_) => Status::Success,
    };
    (status, told.text("error").map(|error| ("status_code", json!(error))))
}

/// A file, by its path and by what `st_mode` says it is.
fn file(path: String, mode: Option<&str>, inode: Option<Value>) -> Value {
    let mode = mode.and_then(|mode| u32::from_str_radix(mode, 8).ok());
    let (type_id, name) = match mode.map(|mode| mode & 0o170_000) {
        Some(0o100_000) => (1, "Regular File"),
        Some(0o040_000) => (2, "Folder"),
        Some(0o020_000) => (3, "Character Device"),
        Some(0o060_000) => (4, "Block Device"),
        Some(0o140_000) => (5, "Local Socket"),
        Some(0o010_000) => (6, "Named Pipe"),
        Some(0o120_000) => (7, "Symbolic Link"),
        _ => (0, "Unknown"),
    };
    object([
        ("name", Some(json!(file_name(&path)))),
        ("path", Some(json!(path))),
        ("type_id", Some(json!(type_id))),
        ("type", Some(json!(name))),
        ("uid", inode.map(|inode| json!(inode.to_string()))),
    ])
}

fn file_open(told: &mut Told) -> Mapped {
    // A file that was found open was not opened then.
    let found = told.peek("source").is_some();
    let activity = if found { (99, "already open") } else { (14, "Open") };
    let (status, code) = if found { (Status::Unknown, None) } else { outcome(told) };
    let path = told.text("file").unwrap_or_default();
    let mode = told.peek("inode_mode").and_then(Value::as_str).map(ToOwned::to_owned);
    let file = file(path, mode.as_deref(), told.take("inode"));
    let own = [Some(actor(told)), Some(("file", file)), code].into_iter().flatten().collect();
    Mapped { class: FILE, activity, status, own }
}

fn file_change(told: &mut Told) -> Mapped {
    let activity = match told.peek("change").and_then(Value::as_str) {
        Some("rename") => (5, "Rename"),
        Some("unlink") => (4, "Delete"),
        Some("link" | "symlink") => (1, "Create"),
        Some("chmod" | "chown") => (7, "Set Security"),
        _ => (99, "Other"),
    };
    let (status, code) = outcome(told);
    let mode = told.peek("inode_mode").and_then(Value::as_str).map(ToOwned::to_owned);
    let of = file(told.text("file").unwrap_or_default(), mode.as_deref(), told.take("inode"));
    let result = told.text("new_file").map(|path| ("file_result", file(path, None, None)));
    let own = [Some(actor(told)), Some(("file", of)), result, code].into_iter().flatten().collect();
    Mapped { class: FILE, activity, status, own }
}

fn lib_load(told: &mut Told) -> Mapped {
    let path = told.text("library").unwrap_or_default();
    told.take("library_file");
    let file = object([
        ("name", Some(json!(file_name(&path)))),
        ("path", Some(json!(path))),
        ("type_id", Some(json!(1))),
        ("type", Some(json!("Regular File"))),
        ("version", told.take("version")),
        ("size", told.take("size")),
        ("uid", told.take("inode").map(|inode| json!(inode.to_string()))),
    ]);
    let module = object([
        ("file", Some(file)),
        ("base_address", told.take("address")),
        ("load_type_id", Some(json!(4))),
        ("load_type", Some(json!("Mapped"))),
    ]);
    let own = vec![actor(told), ("module", module)];
    // One that was mapped already was not loaded then.
    let found = told.peek("source").and_then(Value::as_str) == Some("already mapped");
    let activity = if found { (99, "already mapped") } else { (1, "Load") };
    Mapped { class: MODULE, activity, status: if found { Status::Unknown } else { Status::Success }, own }
}

fn process_exec(told: &mut Told) -> Mapped {
    let process = process(told);
    // The parent is who started it; of some nothing is known but the user.
    let parent = process.get("parent_process").cloned();
    let user = process.get("user").cloned();
    let actor = object([("process", parent), ("user", user)]);
    let own = vec![("actor", actor), ("process", process)];
    Mapped { class: PROCESS, activity: (1, "Launch"), status: Status::Success, own }
}

fn process_exit(told: &mut Told) -> Mapped {
    let process = process(told);
    let exit = told.take("exit_code").map(|code| ("exit_code", code));
    let actor = json!({ "process": process });
    let own = [Some(("actor", actor)), Some(("process", process)), exit].into_iter().flatten().collect();
    Mapped { class: PROCESS, activity: (2, "Terminate"), status: Status::Unknown, own }
}

fn fingerprint(algorithm: (u32, &str), value: Value) -> Value {
    json!({ "algorithm_id": algorithm.0, "algorithm": algorithm.1, "value": value })
}

/// A certificate; `None` where it lacks what the class requires.
fn certificate(told: &mut Told) -> Option<Value> {
    let has = |name: &str| told.peek(name).is_some();
    if !(has("issuer") && has("serial") && has("sha256")) {
        return None;
    }
    let mut time = |name: &str| {
        let time = told.text(name).and_then(|time| time.parse::<jiff::Timestamp>().ok());
        time.map(|time| json!(time.as_millisecond()))
    };
    let (created, expires) = (time("not_before"), time("not_after"));
    Some(object([
        ("subject", told.take("subject")),
        ("issuer", told.take("issuer")),
        ("serial_number", told.take("serial")),
        ("fingerprints", told.take("sha256").map(|hash| json!([fingerprint((3, "SHA-256"), hash)]))),
        ("created_time", created),
        ("expiration_time", expires),
    ]))
}

/// What the attributes of an end of a connection are.
type Attributes = Vec<(&'static str, Value)>;

/// Whose end of a connection it is, and the connection; apart, the ends.
fn ends(kind: &str, told: &mut Told) -> (Attributes, Attributes) {
    let mut own = Vec::new();
    let (protocol, number) = transport(kind, told);
    if told.peek("pid").is_some() {
        own.push(actor(told));
    }
    let local = object([("ip", told.take("local_address")), ("port", told.take("local_port"))]);
    let remote = object([("ip", told.take("remote_address")), ("port", told.take("remote_port"))]);
    let version = if remote.get("ip").and_then(Value::as_str).is_some_and(|ip| ip.contains(':')) { 6 } else { 4 };
    let role = told.peek("role").and_then(Value::as_str);
    let direction = match role {
        Some("client") => (2, "Outbound"),
        Some("server") => (1, "Inbound"),
        _ => (0, "Unknown"),
    };
    own.push((
        "connection_info",
        json!({ "direction_id": direction.0, "direction": direction.1, "protocol_name": protocol, "protocol_num": number,
                "protocol_ver_id": version }),
    ));
    let (source, destination) = if role == Some("server") { (remote, local) } else { (local, remote) };
    (own, vec![("src_endpoint", source), ("dst_endpoint", destination)])
}

/// One end of an exchange of IKE, or of a handshake of WireGuard. What is opened by it, if it is, is encrypted: it is no Tunnel
/// Activity (4014) yet.
fn tunnel(kind: &str, told: &mut Told) -> Mapped {
    let (activity, status) = agreement(told);
    let (mut own, ends) = ends(kind, told);
    own.extend(ends);
    Mapped { class: NETWORK, activity, status, own }
}

/// What came of what is told as agreed or failed.
fn agreement(told: &Told) -> (Activity, Status) {
    match told.peek("outcome").and_then(Value::as_str) {
        Some("failed") => ((4, "Fail"), Status::Failure),
        Some("agreed") => ((1, "Open"), Status::Success),
        _ => ((1, "Open"), Status::Unknown),
    }
}

/// One end of a connection of SSH. That somebody logged in is encrypted: what opened is the connection.
fn ssh(kind: &str, told: &mut Told) -> Mapped {
    let (activity, status) = agreement(told);
    let (mut own, ends) = ends(kind, told);
    // Both sides speak 2.0 where what each offers was seen.
    let is_2 = told.peek("kex").is_some();
    own.extend(is_2.then(|| ("protocol_ver", json!("2.0"))));
    for (attribute, member) in [("client_hassh", "hassh"), ("server_hassh", "hassh_server")] {
        let hash = told.take(member);
        own.extend(hash.map(|hash| (attribute, json!({ "fingerprint": fingerprint((1, "MD5"), hash) }))));
    }
    own.extend(ends);
    Mapped { class: SSH, activity, status, own }
}

fn handshake(kind: &str, told: &mut Told) -> Mapped {
    let (activity, status) = match (told.peek("outcome").and_then(Value::as_str), told.peek("api_result")) {
        (Some("alert"), _) => ((4, "Fail"), Status::Failure),
        (_, Some(result)) if result == "failed" => ((4, "Fail"), Status::Failure),
        (Some("server_hello"), _) => ((1, "Open"), Status::Success),
        _ => ((1, "Open"), Status::Unknown),
    };
    let (mut own, ends) = ends(kind, told);
    let mut offered = told.object("offered");
    let certificate_told = own_certificate(told);
    let (certificate, sans, left) = match certificate_told {
        None => (None, None, None),
        Some(mut of) => {
            let mapped = certificate(&mut of);
            let sans = of.take("alternative_names").map(|names| sans(&names)).filter(|sans| sans != &json!([]));
            (mapped, sans, Some(of))
        }
    };
    if let Some(left) = left {
        told.put("certificate", left);
    }
    let milliseconds = |ns: Value| ns.as_u64().map(|ns| json!(ns / 1_000_000));
    // The class requires a version: what is not known is said to be that.
    let version = told.text("version").unwrap_or_else(|| "Unknown".to_owned());
    own.push((
        "tls",
        object([
            ("version", Some(json!(version))),
            ("cipher", told.take("cipher_suite")),
            ("sni", told.take("server_name")),
            ("client_ciphers", offered.as_mut().and_then(|offered| offered.take("cipher_suites"))),
            ("ja3_hash", told.take("ja3").map(|hash| fingerprint((1, "MD5"), hash))),
            ("ja3s_hash", told.take("ja3s").map(|hash| fingerprint((1, "MD5"), hash))),
            ("handshake_dur", told.peek("handshake_ns").cloned().and_then(milliseconds)),
            ("certificate", certificate),
            ("sans", sans),
        ]),
    ));
    if let Some(offered) = offered {
        told.put("offered", offered);
    }
    own.extend(ends);
    Mapped { class: NETWORK, activity, status, own }
}

/// `DNS:example.test` as type and name.
fn sans(names: &Value) -> Value {
    let names = names.as_array().map(Vec::as_slice).unwrap_or_default();
    let pair = |name: &Value| {
        let (ty, name) = name.as_str()?.split_once(':')?;
        Some(json!({ "type": ty, "name": name }))
    };
    names.iter().filter_map(pair).collect()
}
