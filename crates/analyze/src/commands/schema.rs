//! `schema`: the JSON Schema of events, and of reports. And `version`.

use super::Outcome;
use crate::cli::args::SchemaOf;
use crate::cli::console::Output;
use crate::event;
use anyhow::Result;
use std::io::Write;

/// JSON Schema of reports; that of events is made from what is declared of them.
const PROFILE: &str = include_str!("schema/profile.json");
const SNAPSHOT: &str = include_str!("schema/snapshot.json");
const FILES: &str = include_str!("schema/files.json");
const LIBS: &str = include_str!("schema/libs.json");

/// The version, as `--version` prints it.
pub(super) fn version() -> Result<Outcome> {
    let version = concat!("crypto-trace-analyze ", env!("CARGO_PKG_VERSION"), "\n");
    Output::open(None)?.write_all(version.as_bytes())?;
    Ok(Outcome::Done)
}

pub(super) fn run(of: SchemaOf) -> Result<Outcome> {
    let events;
    let schema = match of {
        SchemaOf::Events => {
            events = event::schema();
            &events
        }
        SchemaOf::Profile => PROFILE,
        SchemaOf::Snapshot => SNAPSHOT,
        SchemaOf::Files => FILES,
        SchemaOf::Libs => LIBS,
    };
    Output::open(None)?.write_all(schema.as_bytes())?;
    Ok(Outcome::Done)
}
