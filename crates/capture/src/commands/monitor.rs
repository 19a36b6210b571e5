//! `monitor`, `files`, `libs` and `profile`: a recording that is rendered as it goes.

use crate::args::{MonitorArgs, ProfileArgs, ShowArgs};
use crate::exit::Failure;
use crate::out::destination::Destination;
use crate::session::capture;

/// Runs `monitor`. Returns the exit code.
///
/// # Errors
/// [`Failure`] with the exit code that belongs to it.
pub fn monitor(args: MonitorArgs) -> Result<u8, Failure> {
    let kinds: Vec<&str> = args.kinds.iter().map(String::as_str).collect();
    show(args.show, &kinds)
}

/// Runs `files`. Returns the exit code.
///
/// # Errors
/// [`Failure`] with the exit code that belongs to it.
pub fn files(args: ShowArgs) -> Result<u8, Failure> {
    show(args, &["file_open", "loss"])
}

/// Runs `libs`. Returns the exit code.
///
/// # Errors
/// [`Failure`] with the exit code that belongs to it.
pub fn libs(args: ShowArgs) -> Result<u8, Failure> {
    show(args, &["lib_load", "loss"])
}

fn show(mut args: ShowArgs, kinds: &[&str]) -> Result<u8, Failure> {
    args.capture.validate()?;
    args.narrow(kinds);
    capture(&args.capture, &Destination::Renderer { words: args.renderer(kinds), output: args.output.as_deref() })
}

/// Runs `profile`. Returns the exit code.
///
/// # Errors
/// [`Failure`] with the exit code that belongs to it.
pub fn profile(mut args: ProfileArgs) -> Result<u8, Failure> {
    args.validate()?;
    args.capture.duration = args.duration();
    capture(&args.capture, &Destination::Renderer { words: args.renderer(), output: args.output.as_deref() })
}
