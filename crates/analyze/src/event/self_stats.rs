//! `self_stats`: what the capture itself cost and did.

use super::members::members;
use super::values::When;
use crate::capture::{tells_given_up, tells_suppressed};
use crypto_trace_format::record::{self, Header};

members! {
    /// Members of a self_stats.
    pub struct SelfStats from "record" {
        /// CPU time in user space
        #[unit = "ns"]
        cpu_user_ns: u64,
        /// CPU time in the kernel
        #[unit = "ns"]
        cpu_system_ns: u64,
        /// memory now
        #[unit = "bytes"]
        rss_bytes: u64,
        /// memory at most
        #[unit = "bytes"]
        rss_peak_bytes: u64,
        /// records the BPF programs tried to deliver
        produced: u64,
        /// records written
        recorded: u64,
        /// records the kernel could not deliver
        lost: u64,
        /// records user space discarded because they could not be written
        dropped: u64,
        /// records user space left out because of a filter
        filtered: u64,
        /// size of the records
        #[unit = "bytes"]
        raw_bytes: u64,
        /// what they take on disk
        #[unit = "bytes"]
        written_bytes: u64,
        /// size of the ring buffers
        #[unit = "bytes"]
        ring_bytes: u64,
        /// the highest fill seen
        #[unit = "bytes"]
        ring_peak_bytes: u64,
        /// runs of our programs that the kernel skipped
        missed_runs: u64,
        /// connections in which no TLS began within 1,024 packets or 64 KiB of either direction; recordings of older versions
        /// do not have it
        tls_given_up: When<u64>,
        /// records withheld from processes that produced too many; recordings of older versions do not have it
        suppressed: When<u64>,
    }
}

impl SelfStats {
    /// As recorded.
    pub fn new(header: &Header, stats: &record::SelfStats<'_>) -> Self {
        let fixed = &stats.fixed;
        Self {
            cpu_user_ns: fixed.cpu_user_ns,
            cpu_system_ns: fixed.cpu_system_ns,
            rss_bytes: fixed.rss_bytes,
            rss_peak_bytes: fixed.rss_peak_bytes,
            produced: fixed.produced,
            recorded: fixed.recorded,
            lost: fixed.lost,
            dropped: fixed.dropped,
            filtered: fixed.filtered,
            raw_bytes: fixed.raw_bytes,
            written_bytes: fixed.written_bytes,
            ring_bytes: fixed.ring_bytes,
            ring_peak_bytes: fixed.ring_peak_bytes,
            missed_runs: fixed.missed_runs,
            tls_given_up: When::if_so(tells_given_up(header), fixed.tls_given_up),
            suppressed: When::if_so(tells_suppressed(header), fixed.suppressed),
        }
    }
}
