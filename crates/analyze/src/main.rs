//! `crypto-trace-analyze`: arguments in, exit code out.

use crypto_trace_analyze::cli::Verbosity;
use crypto_trace_analyze::cli::console::Console;
use crypto_trace_analyze::cli::exit;
use crypto_trace_analyze::commands;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

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
    match commands::parse(std::env::args_os()) {
        Ok(job) => exit::code(commands::run(&job), Console::new(Verbosity::Quiet)),
        Err(error) => exit::of_usage(&error),
    }
}
