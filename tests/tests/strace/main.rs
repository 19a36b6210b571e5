//! strace as an oracle: real programs run under it while they are recorded, and each call on a name that is wanted is in both, with
//! the same arguments and the same result. None is missing, none is invented.
//!
//! `programs` has what is run, `log` reads what strace wrote, `calls` says what of a call is compared and reads the same from
//! records, `compare` compares.
#![allow(clippy::unwrap_used, reason = "tests")]

mod calls;
mod compare;
mod log;
mod programs;
