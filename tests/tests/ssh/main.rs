//! ssh_handshake: what is recorded of real software, and of what it said in other pieces, on a live kernel.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod logins;
mod pieces;
mod stacks;
mod support;
