//! What is counted of records: files, libraries, calls, handshakes, processes.

pub mod inventory;
pub mod rows;
pub mod summary;
pub mod survey;
