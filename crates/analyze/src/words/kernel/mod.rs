//! Numbers the kernel uses, and the names people know them by: open flags, errno values, signals.
//!
//! Tables only; nothing here looks at the machine it runs on, because a capture may come from another one.

mod change_flags;
mod errno;
mod open_flags;
mod signal;

pub use change_flags::{change_flags, change_name};
pub use errno::{errno_name, is_interrupted};
pub use open_flags::{OpenFlags, access, closes_on_exec, takes_mode};
pub use signal::signal_name;
