//! What the segment header says about this host and this capture.

use std::time::Duration;

use crypto_trace_format::segment::{ClockAnchor, SegmentMeta, Selected, schema_table};
use rustix::system::uname;

/// A segment header for this host.
pub fn segment_meta(selected: Selected, clock: ClockAnchor) -> SegmentMeta {
    let names = uname();
    let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
    SegmentMeta {
        capture_id: random_id(),
        sequence: 0,
        host: text(names.nodename()),
        boot_id: read_trimmed("/proc/sys/kernel/random/boot_id"),
        kernel: text(names.release()),
        arch: text(names.machine()),
        tool: concat!("crypto-trace-capture ", env!("CARGO_PKG_VERSION")).to_owned(),
        filters: selected.options(),
        selected: Box::new(selected),
        clock,
        schema: schema_table(),
    }
}

fn read_trimmed(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// 16 random bytes; the kernel hands out a random UUID as text.
fn random_id() -> [u8; 16] {
    let text = read_trimmed("/proc/sys/kernel/random/uuid").replace('-', "");
    let mut id = [0; 16];
    for (i, byte) in id.iter_mut().enumerate() {
        *byte = text.get(2 * i..2 * i + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or_default();
    }
    id
}

/// What this process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User CPU time.
    pub user: Duration,
    /// System CPU time.
    pub system: Duration,
    /// Resident set now, bytes.
    pub rss_bytes: u64,
    /// Peak resident set, bytes.
    pub rss_peak_bytes: u64,
}

/// Reads this process's resource usage; what cannot be read is zero.
pub fn usage() -> Usage {
    use nix::sys::resource::{UsageWho, getrusage};
    let mut usage = Usage::default();
    if let Ok(times) = getrusage(UsageWho::RUSAGE_SELF) {
        let duration = |time: nix::sys::time::TimeVal| {
            Duration::from_micros(u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0))
        };
        usage.user = duration(times.user_time());
        usage.system = duration(times.system_time());
    }
    if let Ok(status) = procfs::process::Process::myself().and_then(|me| me.status()) {
        usage.rss_bytes = status.vmrss.unwrap_or(0) * 1024;
        usage.rss_peak_bytes = status.vmhwm.unwrap_or(0) * 1024;
    }
    usage
}
