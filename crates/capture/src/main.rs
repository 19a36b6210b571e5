//! The crypto-trace-capture program: maps what `run` says to an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use crypto_trace_capture::args::{Cli, Command};
use crypto_trace_capture::{child, monitor, record, say};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Gate { command } => Ok(child::run_gate(&command)),
        Command::Record(args) => record::run(&args),
        Command::Monitor(args) => monitor::monitor(&args),
        Command::Profile(args) => monitor::profile(*args),
    };
    ExitCode::from(match done {
        Ok(code) => code,
        Err(failure) if failure.is_broken_pipe() => 0,
        Err(failure) => {
            say::error(&format!("{:#}", failure.error));
            failure.code
        }
    })
}
