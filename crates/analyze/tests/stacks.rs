//! Which stack a first hello looks like: what real software said, in recordings whose software is known.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use crypto_trace_analyze::protocol::tls::{ClientHello, Stream, Transport, View};
use crypto_trace_analyze::protocol::{Chunk, Ends, Protocol, Said};
use crypto_trace_analyze::stacks::{TlsShape, of_client};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A connection as its client recorded it, see `data/tls/README.md`.
fn recorded(name: &str) -> View {
    let read = |side: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/tls/{name}.{side}.bin"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let (client, server) = (read("client"), read("server"));
    let said = |bytes| Said { chunks: vec![Chunk { offset: 0, bytes }], ..Said::default() };
    View::read(&Ends { sent: said(&client), received: said(&server), opened_by: None })
}

fn looks_like(name: &str) -> &'static [String] {
    of_client(&recorded(name))
}
