//! Live tests: the real programs on the running kernel. What was done is what was recorded.
//!
//! Every test traces only what it started itself. Where privileges are missing a test is skipped, and says so; with
//! `CRYPTO_TRACE_REQUIRE_LIVE=1` it fails instead.
#![allow(clippy::unwrap_used, reason = "tests")]

mod accounting;
mod built_in;
mod bursts;
mod changes;
mod crowd;
mod disks;
mod files;
mod floods;
mod large;
mod libraries;
mod monitor;
mod names;
mod on_seal;
mod opens;
mod output;
mod privileges;
mod processes;
mod project;
mod refusals;
mod selection;
mod stopping;
mod support;
