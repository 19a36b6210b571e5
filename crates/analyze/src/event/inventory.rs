//! `inventory`: what a look at /proc found.

use super::members::members;
use super::values::AtLeast;
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crypto_trace_format::record;

members! {
    /// Members of an inventory.
    pub struct Inventory from "record" {
        /// when the look began; `timestamp` is its end
        began: WallNs,
        /// processes that were looked at
        processes: u32,
        /// those of them whose libraries it was not allowed to see
        maps_denied: u32,
        /// those of them whose open files it was not allowed to see
        files_denied: u32,
        /// processes that ended while they were looked at
        vanished: u32,
        /// one of the processes of which it was not allowed to see something; `null`: there is none, or the capture is older
        /// than this field
        denied_pid: Option<AtLeast<1>>,
        /// processes of which not everything was looked at: it was
        /// [more than their share](operations.md#what-a-process-can-make-the-recorder-read), or could not be read
        cut: u32,
        /// one of those; `null`: there is none
        cut_pid: Option<AtLeast<1>>,
    }
}

impl Inventory {
    /// As the record tells it.
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
