//! The classes of OCSF as columns: the attributes that [`super::ocsf`] fills, typed as the schema has them.
//!
//! `unmapped` is JSON text, since what it holds differs from event to event.

use crate::event::{Column, ColumnType};
use ColumnType::{Int32, Int64, Utf8};

/// A class that events are put into.
#[derive(Debug)]
pub struct OcsfClass {
    /// Its `class_uid`.
    pub uid: u32,
    /// Its attributes.
    pub columns: Vec<Column>,
}

fn column(name: &'static str, ty: ColumnType) -> Column {
    Column { name, ty, is_nullable: true }
}

fn of<const N: usize>(columns: [(&'static str, ColumnType); N]) -> ColumnType {
    ColumnType::Struct(columns.into_iter().map(|(name, ty)| column(name, ty)).collect())
}

fn list(ty: ColumnType) -> ColumnType {
    ColumnType::List(Box::new(ty))
}

fn file() -> ColumnType {
    of([
        ("name", Utf8),
        ("path", Utf8),
        ("type_id", Int32),
        ("type", Utf8),
        ("uid", Utf8),
        ("version", Utf8),
        ("size", Int64),
    ])
}

fn process() -> ColumnType {
    let id = of([("uid", Utf8)]);
    let parent = of([("pid", Int32), ("name", Utf8)]);
    of([
        ("pid", Int32),
        ("tid", Int32),
        ("name", Utf8),
        ("cmd_line", Utf8),
        ("file", file()),
        ("user", id.clone()),
        ("parent_process", parent),
        ("container", id),
    ])
}

fn fingerprint() -> ColumnType {
    of([("algorithm_id", Int32), ("algorithm", Utf8), ("value", Utf8)])
}

fn tls() -> ColumnType {
    let certificate = of([
        ("subject", Utf8),
        ("issuer", Utf8),
        ("serial_number", Utf8),
        ("fingerprints", list(fingerprint())),
        ("created_time", Int64),
        ("expiration_time", Int64),
    ]);
    of([
        ("version", Utf8),
        ("cipher", Utf8),
        ("sni", Utf8),
        ("client_ciphers", list(Utf8)),
        ("ja3_hash", fingerprint()),
        ("ja3s_hash", fingerprint()),
        ("handshake_dur", Int64),
        ("certificate", certificate),
        ("sans", list(of([("type", Utf8), ("name", Utf8)]))),
    ])
}

/// A class: what all have, its own attributes, and the rest.
fn class<const N: usize>(uid: u32, own: [(&'static str, ColumnType); N]) -> OcsfClass {
    let product = of([("name", Utf8), ("vendor_name", Utf8), ("version", Utf8)]);
    let metadata = of([
        ("version", Utf8),
        ("profiles", list(Utf8)),
        ("event_code", Utf8),
        ("log_name", Utf8),
        ("product", product),
    ]);
    let common = [
        ("class_uid", Int32),
        ("class_name", Utf8),
        ("category_uid", Int32),
        ("category_name", Utf8),
        ("activity_id", Int32),
        ("activity_name", Utf8),
        ("type_uid", Int64),
        ("type_name", Utf8),
        ("severity_id", Int32),
        ("severity", Utf8),
        ("status_id", Int32),
        ("status", Utf8),
        ("status_code", Utf8),
        ("metadata", metadata),
        ("device", of([("hostname", Utf8), ("type_id", Int32)])),
        ("actor", of([("process", process()), ("user", of([("uid", Utf8)]))])),
    ];
    // Rows are sorted by the first.
    let time = Column { name: "time", ty: Int64, is_nullable: false };
    let rest = common.into_iter().chain(own).chain([("unmapped", Utf8)]);
    OcsfClass { uid, columns: [time].into_iter().chain(rest.map(|(name, ty)| column(name, ty))).collect() }
}

/// All classes that there are events of.
pub fn classes() -> Vec<OcsfClass> {
    let module = of([("file", file()), ("base_address", Utf8), ("load_type_id", Int32), ("load_type", Utf8)]);
    let hassh = of([("fingerprint", fingerprint())]);
    let endpoint = of([("ip", Utf8), ("port", Int32)]);
    let connection = of([
        ("direction_id", Int32),
        ("direction", Utf8),
        ("protocol_name", Utf8),
        ("protocol_num", Int32),
        ("protocol_ver_id", Int32),
    ]);
    vec![
        class(1001, [("file", file()), ("file_result", file())]),
        class(1005, [("module", module)]),
        class(1007, [("process", process()), ("exit_code", Int32)]),
        class(
            4001,
            [
                ("connection_info", connection.clone()),
                ("tls", tls()),
                ("src_endpoint", endpoint.clone()),
                ("dst_endpoint", endpoint.clone()),
            ],
        ),
        class(
            4007,
            [
                ("connection_info", connection),
                ("protocol_ver", Utf8),
                ("client_hassh", hassh.clone()),
                ("server_hassh", hassh),
                ("src_endpoint", endpoint.clone()),
                ("dst_endpoint", endpoint),
            ],
        ),
    ]
}
