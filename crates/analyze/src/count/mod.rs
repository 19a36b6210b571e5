//! What is counted of records: files, libraries, calls, handshakes, processes.

pub mod inventory;
pub mod rows;
pub mod summary;
pub mod survey;

use crate::words::text::grouped;

/// What is said when rows did not fit.
fn without_room(refused: u64) -> Option<String> {
    (refused > 0).then(|| format!("too many rows: {} did not fit in memory and are left out", grouped(refused)))
}
