//! The `record` command: its arguments checked, into files or a pipe.

use crate::args::{RecordArgs, UsageError};
use crate::commands::check;
use crate::exit::{self, Failure};
use crate::out::destination::Destination;
use crate::say;
use crate::session::capture;
use crate::session::filter::RecordFilter;

/// Runs `record`. Returns the exit code.
///
/// # Errors
/// [`Failure`] with the exit code that belongs to it.
pub fn run(args: &RecordArgs) -> Result<u8, Failure> {
    args.validate()?;
    if let (Some(config), true) = (&args.config, args.check) {
        RecordFilter::new(&args.capture.file, &args.capture.library).map_err(|error| UsageError(error.to_string()))?;
        let problems = check::problems(args);
        for problem in &problems {
            say::error(&format!("{}: {problem}", config.display()));
        }
        if problems.is_empty() {
            say::info(&format!("{}: ok", config.display()));
        }
        return Ok(if problems.is_empty() { 0 } else { exit::FAILURE });
    }
    if args.to_stdout() && rustix::termios::isatty(std::io::stdout()) {
        return Err(UsageError(
            "standard output is a terminal: pipe it into crypto-trace-analyze, or give -o DIR; monitor shows events at once".into(),
        )
        .into());
    }
    capture(&args.capture, &Destination::Record(args))
}
