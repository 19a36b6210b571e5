//! The crypto-trace-capture program: maps what `run` says to an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use crypto_trace_capture::args::{Cli, Command};
use crypto_trace_capture::{child, record, say};

fn main() -> ExitCode {
    let code = match Cli::parse().command {
        Command::Gate { command } => child::run_gate(&command),
        Command::Record(args) => match record::run(&args) {
            Ok(code) => code,
            Err(failure) if failure.is_broken_pipe() => 0,
            Err(failure) => {
                say::error(&format!("{:#}", failure.error));
                failure.code
            }
        },
    };
    ExitCode::from(code)
}
