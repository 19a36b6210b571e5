//! Who used what: files, libraries, calls and handshakes, gathered by process or by path.
//!
//! Blocks are counted in parallel and added up in the order of the inputs ([`crate::read::count_blocks`]), so that
//! nothing depends on the number of threads. What is kept has a [`crate::budget::Budget`]; what does not fit is counted, and told.

mod by_path;
mod by_process;
mod directories;
mod lineage;
mod uses;

pub use by_path::{ByPath, ProgramUse, Shown, library_of};
pub use by_process::{Doings, Ids, Inventory, Who};
pub use directories::{Common, MANY_FILES, common};
pub use lineage::{Gathered, Mapped, mapped_at};
pub use uses::{Access, CallKey, CallUse, FileUse, HandshakeKey, LibraryUse, Span, changed_names, shown_type};
