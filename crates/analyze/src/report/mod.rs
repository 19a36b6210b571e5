//! What the reports share: how inputs are read and faults are said, and the parts of which several are made.

pub mod completeness;
pub mod document;
pub mod findings;
pub mod inputs;
pub mod nearest;
pub mod parts;
pub mod processes;
pub mod summary;
