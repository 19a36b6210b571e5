//! What the reports share: the run that reads, counts and says what went wrong, and the parts of which several are made.

pub mod completeness;
pub(crate) mod coverage;
pub mod document;
pub mod findings;
pub(crate) mod following;
pub(crate) mod handshakes;
pub mod judged;
pub mod nearest;
pub mod parts;
pub mod paths;
pub mod processes;
pub mod session;
pub mod summary;
pub mod watched;
