//! `crypto-trace-analyze`: arguments in, exit code out.

use crypto_trace_analyze::cli::args::{self, Verbosity};
use crypto_trace_analyze::cli::console::{self, Console};
use crypto_trace_analyze::commands::{self, Outcome};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const FAILURE: u8 = 1;
const USAGE: u8 = 2;
const DAMAGED: u8 = 6;

/// Set by crypto-trace-capture, which ends our input when it is asked to stop: a signal that reaches both of us is for it, and
/// what is shown of its recording is to have its end.
const ENDS_WITH_INPUT: &str = "CRYPTO_TRACE_ENDS_WITH_INPUT";

fn main() -> ExitCode {
    if std::env::var_os(ENDS_WITH_INPUT).is_some() {
        // What is in our memory was recorded as root: another process of the same user does not look into it.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            // A handler that only notes it. Where there can be none, a signal is what it is elsewhere.
            let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
        }
    }
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
