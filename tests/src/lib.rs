//! Harness of the tests that run the programs as users do: where the binaries are, captures that are started, stopped and
//! read back, what may be skipped and how that is said. The tests themselves are in `tests/tests/`.
//!
//! Everything here panics instead of returning errors: it runs in tests only. Nothing here traces anything that the
//! calling test did not start.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a harness: what goes wrong fails the test")]

mod binaries;
mod capture;
mod events;
mod faults;
mod limits;
mod live;
mod own_libraries;
mod place;
mod process;
mod shown;
pub mod software;

pub use binaries::{analyze_binary, capture_binary, flood, large, put_program, workload};
pub use capture::{ATTACHED, Capture, Done, Running};
pub use events::{Body, Call, Change, Event, Exec, Info, Lib, Library, Open, Probe, Trace};
pub use faults::{Call as SystemCall, Faults};
pub use live::{Permit, alone, live, skip};
pub use own_libraries::as_seen;
pub use place::{directory, libssl, until};
pub use process::{Finished, Process, pid_of, run};
pub use shown::{handshake_of, record_script, said, shown};
