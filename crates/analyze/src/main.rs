//! `crypto-trace-analyze`: arguments in, exit code out.

use crypto_trace_analyze::args::{self, Verbosity};
use crypto_trace_analyze::commands::{self, Outcome};
use crypto_trace_analyze::console::{self, Console};
use std::io;
use std::process::ExitCode;

const FAILURE: u8 = 1;
const USAGE: u8 = 2;
const DAMAGED: u8 = 6;

fn main() -> ExitCode {
    let job = match args::parse(std::env::args_os()) {
        Ok(job) => job,
        Err(error) => {
            console::print_usage(&error);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    match commands::run(&job) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Damaged) => ExitCode::from(DAMAGED),
        Ok(Outcome::Usage) => ExitCode::from(USAGE),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            Console::new(Verbosity::Quiet).error(&format!("{error:#}"));
            ExitCode::from(FAILURE)
        }
    }
}

/// Whoever read our output has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
