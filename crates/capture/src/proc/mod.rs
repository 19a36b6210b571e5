//! What /proc and cgroups say, read in bounded pieces.

pub mod certificates;
pub mod cgroup;
pub(crate) mod entry;
pub(crate) mod host;
pub(crate) mod listeners;
pub(crate) mod maps;
pub(crate) mod table;
pub(crate) mod tally;
pub(crate) mod watched;
