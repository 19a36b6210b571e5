//! `version`: as `--version` prints it.

use crate::cli::console::{Console, Output};
use crate::cli::exit::Outcome;
use anyhow::Result;
use std::io::Write;

/// Print the version
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Print the version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task;

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        Ok(Task)
    }
}

pub(super) fn run(_: &Task, _: Console) -> Result<Outcome> {
    let version = concat!("crypto-trace-analyze ", env!("CARGO_PKG_VERSION"), "\n");
    Output::open(None)?.write_all(version.as_bytes())?;
    Ok(Outcome::Done)
}
