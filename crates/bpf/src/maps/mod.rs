//! What the programs are told, and what they count, by map.

mod counters;
mod random;
mod rows;
mod suppressed;
mod targets;
mod uses;

pub use counters::{CounterKind, Counters};
pub use random::{RandomCount, RandomCounts};
pub(crate) use rows::library_row;
pub use rows::{Accessor, Algorithm, Does, FunctionRow, Guard, LibraryRow, Returns};
pub use suppressed::{Suppressed, SuppressedTally};
pub use targets::{ListenerOwner, Targets};
pub use uses::{Hits, Use};
