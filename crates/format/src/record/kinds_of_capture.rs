//! Kinds of records about the capture itself, declared once; those of what happens on the host are in `kinds.rs`.
//! Numbers are append-only; fields are only ever added at the end of a fixed part.

use super::layout::record;

record! {
    /// Records that were produced or wanted, but are not in the capture.
    kind 17 "loss" as Loss, fixed LossFixed = "ct_loss" {
        /// Earliest time of what is missing, `CLOCK_BOOTTIME` ns.
        from_ns: u64,
        /// Latest time of what is missing, `CLOCK_BOOTTIME` ns.
        to_ns: u64,
        /// How many.
        count: u64,
        /// Kind of the missing records; 0 when not known.
        lost_kind: u16,
        /// Why, see [`LossCause`](super::LossCause).
        cause: u16,
        /// Zero.
        reserved: u32,
    }
    strings {}
}

record! {
    /// A pair of clocks read together: `realtime = time - boottime_ns + realtime_ns` from here to the next anchor.
    kind 18 "clock" as Clock, fixed ClockFixed = "ct_clock" {
        /// `CLOCK_BOOTTIME`, ns.
        boottime_ns: u64,
        /// `CLOCK_REALTIME`, ns since 1970-01-01 UTC.
        realtime_ns: i64,
        /// Why, see [`ClockReason`](super::ClockReason).
        reason: u32,
        /// Uncertainty of the pair: time between the two reads, ns.
        error_ns: u32,
    }
    strings {}
}

record! {
    /// What became of one probe.
    kind 19 "probe_status" as ProbeStatus, fixed ProbeStatusFixed = "ct_probe_status" {
        /// See [`ProbeState`](super::ProbeState).
        state: u32,
        /// errno of a failure, positive; 0 when there was none.
        errno: i32,
        /// Attach tier, see [`Tier`](super::Tier).
        tier: u16,
        /// Length of `probe`.
        probe_len: u16,
        /// Length of `target`.
        target_len: u16,
        /// Length of `message`.
        message_len: u16,
    }
    strings {
        /// Name of the probe, for example `file_open`.
        probe [probe_len],
        /// What it is attached to, for example `raw_tp:sys_exit`.
        target [target_len],
        /// Why it failed or was skipped, for people.
        message [message_len],
    }
}

record! {
    /// What the capture itself cost and did, cumulative since its start.
    kind 20 "self_stats" as SelfStats, fixed SelfStatsFixed = "ct_self_stats" {
        /// User CPU time, ns.
        cpu_user_ns: u64,
        /// System CPU time, ns.
        cpu_system_ns: u64,
        /// Resident set size now, bytes.
        rss_bytes: u64,
        /// Peak resident set size, bytes.
        rss_peak_bytes: u64,
        /// Records the BPF programs wanted to deliver.
        produced: u64,
        /// Records written or handed to the writer.
        recorded: u64,
        /// Records the kernel could not deliver.
        lost: u64,
        /// Records user space discarded because they could not be written.
        dropped: u64,
        /// Records user space left out because of a filter.
        filtered: u64,
        /// Bytes of records before compression.
        raw_bytes: u64,
        /// Bytes written to disk.
        written_bytes: u64,
        /// Size of all ring buffers, bytes.
        ring_bytes: u64,
        /// Highest ring fill seen, bytes.
        ring_peak_bytes: u64,
        /// Runs of our programs the kernel skipped because one was already active on that CPU.
        missed_runs: u64,
        /// Connections in which no TLS began within the packets and bytes that are examined. Recordings from before this
        /// field do not have it.
        tls_given_up: u64,
        /// Records that were withheld of processes that wrote too many: neither produced nor lost.
        suppressed: u64,
    }
    strings {}
}

record! {
    /// A crypto library, and what became of the probes on it. Repeated in each segment. The header is the process it was found
    /// in, or all zero except for the time if it was looked for without one; the time is when its probes were attached, or
    /// were found to be impossible.
    kind 21 "library_info" as LibraryInfo, fixed LibraryInfoFixed = "ct_library_info" {
        /// Device of the file in the kernel's `MAJOR << 20 | MINOR` form.
        dev: u64,
        /// Inode number.
        ino: u64,
        /// Size in bytes.
        size: u64,
        /// See [`ProbeState`](super::ProbeState).
        state: u32,
        /// errno of a failure, positive; 0 when there was none.
        errno: i32,
        /// Functions that are probed.
        functions: u16,
        /// What is known of it, see [`library_features`](super::library_features).
        features: u16,
        /// Length of `path`.
        path_len: u16,
        /// Length of `family`.
        family_len: u16,
        /// Length of `version`.
        version_len: u16,
        /// Length of `build_id`.
        build_id_len: u16,
        /// Length of `message`.
        message_len: u16,
        /// Zero.
        reserved: u16,
    }
    strings {
        /// Path it was found at, as its process sees it.
        path [path_len],
        /// What kind of library it is by its functions, for example `openssl`; several with commas; empty when none is known.
        family [family_len],
        /// The version it reports; empty when none is known.
        version [version_len],
        /// Build id (`NT_GNU_BUILD_ID`), raw; empty when it has none.
        build_id [build_id_len],
        /// Why there are no probes, or not all, for people.
        message [message_len],
    }
}

record! {
    /// What a look at /proc found, and what it was not allowed to see. The header has only a time, the end of the look.
    kind 22 "inventory" as Inventory, fixed InventoryFixed = "ct_inventory" {
        /// When the inspection of /proc began, `CLOCK_BOOTTIME` ns.
        began_ns: u64,
        /// Processes that were examined.
        processes: u32,
        /// Those whose libraries the capture was not allowed to see.
        maps_denied: u32,
        /// Those whose open files the capture was not allowed to see.
        files_denied: u32,
        /// Processes that ended while they were being examined.
        vanished: u32,
        /// One of the processes with something the capture was not allowed to see; 0: there is none, or it is not known.
        denied_tgid: u32,
        /// Those that were not examined in full: they had more than their share, or could not be read. 0 in captures from
        /// before this was recorded.
        cut: u32,
        /// One of those; 0: there is none, or it is not known.
        cut_tgid: u32,
        /// Zero.
        reserved: u32,
    }
    strings {}
}

record! {
    /// Records of one process that were withheld, so that other processes' records are kept, and so is the past. They count as
    /// neither produced nor lost. The header is the process; only its user is known if there was no room to distinguish
    /// processes. Its time is that of the last of the records.
    kind 23 "suppressed" as Suppressed, fixed SuppressedFixed = "ct_suppressed" {
        /// The first of them, `CLOCK_BOOTTIME` ns.
        from_ns: u64,
        /// The last of them, `CLOCK_BOOTTIME` ns.
        to_ns: u64,
        /// How many.
        count: u64,
        /// How many bytes they would have had.
        bytes: u64,
        /// Kind of the records.
        suppressed_kind: u16,
        /// Why, see [`SuppressionReason`](super::SuppressionReason).
        reason: u16,
        /// Zero.
        reserved: u32,
    }
    strings {}
}

record! {
    /// A certificate in a file that `snapshot --certificates` read, or the reason why none was read. The header is the
    /// process that has the file open; otherwise only a time.
    kind 24 "certificate_file" as CertificateFile, fixed CertificateFileFixed = "ct_certificate_file" {
        /// Device of the file in the kernel's `MAJOR << 20 | MINOR` form.
        dev: u64,
        /// Inode number.
        ino: u64,
        /// Size in bytes.
        size: u64,
        /// When its contents changed last, `CLOCK_REALTIME` ns.
        modified_ns: i64,
        /// Which of the file's certificates this is, from 1; 0: none was read.
        number: u32,
        /// How many the file has.
        count: u32,
        /// `st_mode`: type and permissions.
        mode: u32,
        /// errno of a failure, positive; 0 when there was none.
        errno: i32,
        /// See [`CertificateFileState`](super::CertificateFileState).
        state: u16,
        /// Length of `path`.
        path_len: u16,
        /// Length of `certificate`.
        certificate_len: u16,
        /// Zero.
        reserved: u16,
    }
    strings {
        /// Path, without links.
        path [path_len],
        /// The certificate in DER (RFC 5280), which is public.
        certificate [certificate_len],
    }
}
