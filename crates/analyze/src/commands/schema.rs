//! `schema`: the JSON Schema of events.

use super::Outcome;
use crate::console::Output;
use anyhow::Result;
use std::io::Write;

/// JSON Schema (draft 2020-12) of one event. Tests hold the output and `docs/events.md` to it.
pub const SCHEMA: &str = include_str!("schema.json");

pub(super) fn run() -> Result<Outcome> {
    let mut out = Output::open(None)?;
    out.write_all(SCHEMA.as_bytes())?;
    Ok(Outcome::Done)
}
