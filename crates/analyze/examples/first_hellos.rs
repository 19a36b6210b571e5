//! Writes what first hellos of a recording look like, one JSON object in a line each: `first_hellos CAPTURE`.
//!
//! Of TLS, QUIC and DTLS the client's, of SSH what each side that was recorded offers. A shape is as `data/stacks.toml` has it;
//! `scripts/measure-stacks` puts them there.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool of those who measure")]

use crypto_trace_analyze::capture::connections::{Connection, Role};
use crypto_trace_analyze::read::faults::FaultLog;
use crypto_trace_analyze::read::input::{self, Choice};
use crypto_trace_analyze::read::{Wanted, read_captures, read_handshakes};
use crypto_trace_analyze::stacks::{SshShape, TlsShape, of_client, of_ssh};
use serde_json::{Value, json};

/// Each first hello that this end sent.
fn hellos(connection: &Connection) -> Vec<Value> {
    let view = connection.view();
    let program = String::from_utf8_lossy(connection.owner.comm()).into_owned();
    let port = connection.remote().port();
    if let Some(view) = view.tls().filter(|view| view.role == Some(Role::Client)) {
        let shape = view.hello().and_then(|hello| TlsShape::new(hello, &view.transport));
        let sorted = shape.as_ref().map(|shape| shape.sorted(true, true));
        return vec![json!({"kind": "tls", "program": program, "port": port, "shape": shape, "sorted": sorted,
            "looks_like": of_client(view)})];
    }
    let Some((view, role)) = view.ssh().and_then(|view| Some((view, view.role?))) else { return Vec::new() };
    let stream = if role == Role::Client { &view.client } else { &view.server };
    let Some(stream) = stream.as_deref() else { return Vec::new() };
    let software = stream.banner.as_ref().map(|banner| String::from_utf8_lossy(&banner.line).into_owned());
    let Some(offer) = &stream.kexinit else { return Vec::new() };
    vec![
        json!({"kind": "ssh", "program": program, "port": port, "banner": software, "shape": SshShape::new(offer, role),
        "looks_like": of_ssh(offer, role)}),
    ]
}

fn main() {
    let named: Vec<_> = std::env::args_os().skip(1).map(Into::into).collect();
    let inputs = input::open(&named, Choice::default()).unwrap();
    let mut captures = read_captures(&inputs, &mut FaultLog::default());
    read_handshakes(&inputs, &mut captures, Wanted::All);
    for connection in captures.iter().flat_map(|capture| capture.handshakes.connections()) {
        hellos(connection).iter().for_each(|hello| println!("{hello}"));
    }
}
