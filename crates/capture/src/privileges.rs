//! Which capabilities are needed, whether they are held, and giving up the others.

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// What loading and attaching need that is missing; `None` when nothing is.
pub fn missing() -> Option<&'static str> {
    let held = capabilities(None).map(|sets| sets.effective).unwrap_or_else(|_| CapabilitySet::empty());
    if held.contains(CapabilitySet::SYS_ADMIN) || held.contains(CapabilitySet::BPF | CapabilitySet::PERFMON) {
        None
    } else if held.contains(CapabilitySet::BPF) {
        Some("CAP_PERFMON")
    } else {
        Some("CAP_BPF and CAP_PERFMON")
    }
}

/// Whether programs that look at packets may be loaded: the kernel wants CAP_NET_ADMIN for those.
pub fn may_load_network_programs() -> bool {
    let held = capabilities(None).map(|sets| sets.effective).unwrap_or_else(|_| CapabilitySet::empty());
    held.intersects(CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN)
}

/// Gives up every capability that is not needed once the programs are attached. Kept are those for reading the filter
/// maps (BPF), other processes' /proc entries at rotation (SYS_PTRACE, DAC_READ_SEARCH), and for writing where root
/// may (DAC_OVERRIDE); with `attaching`, also that for probes on libraries (PERFMON). Applies to this thread and the threads
/// it starts afterwards.
///
/// # Errors
/// When the kernel refuses.
pub fn drop_unneeded(attaching: bool) -> rustix::io::Result<()> {
    let attaching = if attaching { CapabilitySet::PERFMON } else { CapabilitySet::empty() };
    let kept = CapabilitySet::BPF
        | attaching
        | CapabilitySet::SYS_PTRACE
        | CapabilitySet::DAC_READ_SEARCH
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::KILL;
    keep(kept)
}

/// Gives up everything but reading other processes' files and /proc entries, the files they have mapped among them
/// (CHECKPOINT_RESTORE, since Linux 5.9). Applies to this thread.
///
/// # Errors
/// When the kernel refuses.
pub fn keep_reading_only() -> rustix::io::Result<()> {
    keep(
        CapabilitySet::SYS_PTRACE
            | CapabilitySet::DAC_READ_SEARCH
            | CapabilitySet::DAC_OVERRIDE
            | CapabilitySet::CHECKPOINT_RESTORE,
    )
}

fn keep(kept: CapabilitySet) -> rustix::io::Result<()> {
    let held = capabilities(None)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: held.effective & kept,
            permitted: held.permitted & kept,
            inheritable: CapabilitySet::empty(),
        },
    )
}

/// Whether this process is in the initial PID namespace, so that its process ids are the kernel's.
pub fn in_initial_pid_namespace() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    /// `PROC_PID_INIT_INO`, include/linux/proc_ns.h.
    const INITIAL: u64 = 0xEFFF_FFFC;
    std::fs::metadata("/proc/self/ns/pid").map_or(true, |namespace| namespace.ino() == INITIAL)
}
