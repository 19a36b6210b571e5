//! Attaching the programs: to what processes do, to their packets, and to functions of libraries.

mod calls;
mod library;
mod net;

pub(crate) use library::{CountingProbe, LibraryLink};
pub use library::{LibraryProbes, ProbeSite};
