//! `inventory`: what a look at /proc found.

use super::members::members;
use super::values::AtLeast;
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crypto_trace_format::record;

members! {
    /// Members of an inventory.
    pub struct Inventory from "record" {
        /// when the inspection of /proc began; `timestamp` is its end
        began: WallNs,
        /// processes that were examined
        processes: u32,
        /// those whose libraries the capture was not allowed to see
        maps_denied: u32,
        /// those whose open files the capture was not allowed to see
        files_denied: u32,
        /// processes that ended while they were being examined
        vanished: u32,
        /// one of the processes with something it was not allowed to see; `null`: there is none, or the capture is older than
        /// this field
        denied_pid: Option<AtLeast<1>>,
        /// processes not examined in full: they had [more than their
        /// share](operations.md#what-a-process-can-make-the-recorder-read), or could not be read
        cut: u32,
        /// one of those; `null`: there is none
        cut_pid: Option<AtLeast<1>>,
    }
}

impl Inventory {
    /// As recorded.
    pub fn new(capture: &Capture, look: &record::Inventory<'_>) -> Self {
        let fixed = &look.fixed;
        Self {
            began: capture.clock.wall(fixed.began_ns),
            processes: fixed.processes,
            maps_denied: fixed.maps_denied,
            files_denied: fixed.files_denied,
            vanished: fixed.vanished,
            denied_pid: AtLeast::new(fixed.denied_tgid),
            cut: fixed.cut,
            cut_pid: AtLeast::new(fixed.cut_tgid),
        }
    }
}
