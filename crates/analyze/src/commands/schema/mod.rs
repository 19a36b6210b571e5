//! `schema`: the JSON Schema of events, and of reports.

mod args;

pub(crate) use args::{Args, Task};

use crate::cli::console::{Console, Output};
use crate::cli::exit::Outcome;
use anyhow::Result;
use std::io::Write;

/// JSON Schema (draft 2020-12) of one event. Tests hold the output and `docs/events.md` to it.
pub const SCHEMA: &str = include_str!("../schema.json");

/// The same of reports.
const PROFILE: &str = include_str!("profile.json");
const SNAPSHOT: &str = include_str!("snapshot.json");
const FILES: &str = include_str!("files.json");
const LIBS: &str = include_str!("libs.json");

pub(super) fn run(of: &Task, _: Console) -> Result<Outcome> {
    let schema = match of {
        Task::Events => SCHEMA,
        Task::Profile => PROFILE,
        Task::Snapshot => SNAPSHOT,
        Task::Files => FILES,
        Task::Libs => LIBS,
    };
    Output::open(None)?.write_all(schema.as_bytes())?;
    Ok(Outcome::Done)
}
