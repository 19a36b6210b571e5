//! `monitor` and `profile`: a recording that is rendered as it goes.

use crate::args::{MonitorArgs, ProfileArgs};
use crate::destination::Destination;
use crate::exit::Failure;
use crate::record::capture;

/// Runs `monitor`. Returns the exit code.
///
/// # Errors
/// [`Failure`] with the exit code that belongs to it.
pub fn monitor(args: &MonitorArgs) -> Result<u8, Failure> {
    args.validate()?;
    capture(&args.capture, &Destination::Renderer { words: args.renderer(), output: args.output.as_deref() })
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
