//! The crypto-trace-capture program: maps what `run` says to an exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;
use crypto_trace_capture::args::{Cli, Command};
use crypto_trace_capture::commands::{doctor, monitor, record, snapshot};

use crypto_trace_capture::{child, config, exit, on_seal, say};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let runs_command = exit::runs_command(&words);
    let done = config::complete(words).and_then(|cli| run(cli.command));
    ExitCode::from(match done {
        Ok(code) => code,
        Err(failure) if failure.is_broken_pipe() => 0,
        Err(failure) => {
            say::error(&format!("{:#}", failure.error));
            if matches!(failure.code, exit::PRIVILEGES | exit::UNSUPPORTED | exit::BPF) {
                say::info(
                    "run crypto-trace-capture doctor to see what this host allows, and what to do about the rest",
                );
            }
            if runs_command { exit::WITH_COMMAND } else { failure.code }
        }
    })
}

fn run(command: Command) -> Result<u8, exit::Failure> {
    match command {
        Command::Gate { command } => Ok(child::run_gate(&command)),
        Command::OnSeal { words } => Ok(on_seal::run_helper(&words)),
        Command::Version => print_version(),
        Command::Record(args) => record::run(&args),
        Command::Monitor(args) => monitor::monitor(*args),
        Command::Files(args) => monitor::files(*args),
        Command::Libs(args) => monitor::libs(*args),
        Command::Profile(args) => monitor::profile(*args),
        Command::Snapshot(args) => snapshot::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    }
}

/// The same as `--version`.
fn print_version() -> Result<u8, exit::Failure> {
    writeln!(std::io::stdout(), "{}", Cli::command().render_version().trim_end())
        .map(|()| 0)
        .map_err(|error| exit::Failure::from(anyhow::Error::from(error)))
}
