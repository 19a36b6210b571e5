//! Which capabilities are needed, whether they are held, and giving up the others.

use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set,
    set_capabilities, set_capabilities_secure_bits, set_no_new_privs,
};

use crate::limits::seccomp;
use crate::say;

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

/// Gives up what is not needed once the programs are attached and all that is done once is done: capabilities, of this thread and of those
/// it starts afterwards, and system calls, of all threads. Of the latter it is said where it cannot be.
///
/// Landlock is none of it: who is restricted by it may not look into processes that are not, and /proc/PID/maps is such a look.
///
/// # Errors
/// When the kernel refuses.
pub fn give_up(attaching: bool) -> rustix::io::Result<()> {
    drop_unneeded(attaching)?;
    if let Err(error) = seccomp::apply() {
        say::warning(&format!("system calls are not filtered: {error:#}"));
    }
    Ok(())
}

/// Gives up every capability that is not needed once the programs are attached. Kept are those for reading the filter
/// maps (BPF), other processes' /proc entries at rotation (SYS_PTRACE, DAC_READ_SEARCH), and for writing where root
/// may (DAC_OVERRIDE); with `attaching`, also that for probes on libraries (PERFMON). Applies to this thread and the threads
/// it starts afterwards.
///
/// # Errors
/// When the kernel refuses.
fn drop_unneeded(attaching: bool) -> rustix::io::Result<()> {
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

/// Gives up everything but writing where root may. Applies to this thread.
///
/// # Errors
/// When the kernel refuses.
pub fn keep_writing_only() -> rustix::io::Result<()> {
    keep(CapabilitySet::DAC_OVERRIDE)
}

fn keep(kept: CapabilitySet) -> rustix::io::Result<()> {
    let held = capabilities(None)?;
    for_good(held.effective)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: held.effective & kept,
            permitted: held.permitted & kept,
            inheritable: CapabilitySet::empty(),
        },
    )
}

/// What is given up cannot be had again: not by the user id of root, nor by a program that has privileges.
fn for_good(held: CapabilitySet) -> rustix::io::Result<()> {
    set_no_new_privs(true)?;
    if held.contains(CapabilitySet::SETPCAP) {
        let secure = CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
        set_capabilities_secure_bits(secure)?;
        for capability in (0..64).filter_map(|bit| CapabilitySet::from_bits(1 << bit)) {
            // Some this kernel does not know.
            let _ = remove_capability_from_bounding_set(capability);
        }
    }
    Ok(())
}

/// Whether this process is in the initial PID namespace, so that its process ids are the kernel's.
pub fn in_initial_pid_namespace() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    /// `PROC_PID_INIT_INO`, include/linux/proc_ns.h.
    const INITIAL: u64 = 0xEFFF_FFFC;
    std::fs::metadata("/proc/self/ns/pid").map_or(true, |namespace| namespace.ino() == INITIAL)
}
