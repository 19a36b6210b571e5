//! How a run ends, and the exit code that says so.

use crate::cli::console::Console;
use anyhow::Result;
use std::io;
use std::process::ExitCode;

const FAILURE: u8 = 1;
const USAGE: u8 = 2;
const DAMAGED: u8 = 6;
const VIOLATED: u8 = 7;
const UNDECIDED: u8 = 9;
// 8 is that of `crypto-trace-capture doctor`.
const DIFFERS: u8 = 10;

/// How a run ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Done,
    /// `verify` found damage; `extract` left out what could not be read.
    Damaged,
    /// `check` found a rule that is violated.
    Violated,
    /// `diff` found a difference, which it was asked to tell.
    Differs,
    /// `check` found too little evidence, which it was asked to require; `diff` found no difference, and could not see everything.
    Undecided,
}

/// The command line makes no sense here, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub &'static str);

/// The exit code of a run, which says on stderr why it failed.
pub fn code(done: Result<Outcome>, console: Console) -> ExitCode {
    match done {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Damaged) => ExitCode::from(DAMAGED),
        Ok(Outcome::Violated) => ExitCode::from(VIOLATED),
        Ok(Outcome::Differs) => ExitCode::from(DIFFERS),
        Ok(Outcome::Undecided) => ExitCode::from(UNDECIDED),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            console.error(&format!("{error:#}"));
            ExitCode::from(if error.is::<Usage>() { USAGE } else { FAILURE })
        }
    }
}

/// The exit code of a command line that clap does not accept, or answers itself; what it has to say is printed.
pub fn of_usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
}

/// Whoever read our output has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
