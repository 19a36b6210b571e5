//! What can be read off the host: kernel, capabilities, limits, room.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities as held_capabilities};

use super::Finding;
use crate::args::EVENT_RING_BYTES;
use crate::exit::{PRIVILEGES, UNSUPPORTED};
use crate::limits::privileges;
use crate::out::renderer;
use crate::proc::cgroup;
use crate::units::{show_hours, show_size};

/// Bytes on disk that a recorded event takes, about: docs/performance.md.
const BYTES_PER_EVENT: u64 = 4;

/// Bytes that a record takes in the ring, about.
const BYTES_PER_RECORD: u64 = 200;

/// Less room than this is worth a word.
const LITTLE_ROOM: u64 = 1 << 30;

/// Descriptors that the probes on libraries may need.
const DESCRIPTORS: u64 = 1024;

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// Kernel, BTF, lockdown.
pub(super) fn kernel() -> Vec<Finding> {
    let names = rustix::system::uname();
    let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
    let mut findings = vec![Finding::info("kernel", format!("{} {}", text(names.release()), text(names.machine())))];
    let btf = "/sys/kernel/btf/vmlinux";
    findings.push(match std::fs::metadata(btf) {
        Ok(file) => Finding::ok("btf", format!("{btf}, {}", show_size(file.len()))),
        Err(error) => Finding::unusable(
            "btf",
            format!("{btf}: {error}"),
            "a kernel with CONFIG_DEBUG_INFO_BTF=y is needed (5.10 or newer), with sysfs mounted on /sys",
            UNSUPPORTED,
        ),
    });
    let lockdown = read("/sys/kernel/security/lockdown").unwrap_or_default();
    let mode = lockdown.split(['[', ']']).nth(1).unwrap_or("unknown: securityfs is not mounted");
    findings.push(match mode {
        "confidentiality" => Finding::unusable(
            "lockdown",
            "confidentiality: BPF programs may not read kernel memory",
            "boot with lockdown=integrity or without it",
            UNSUPPORTED,
        ),
        mode => Finding::ok("lockdown", mode),
    });
    findings
}

/// Capabilities, and whether those for loading programs are there.
pub(super) fn capabilities() -> (Vec<Finding>, bool) {
    let held = held_capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    let admin = held.contains(CapabilitySet::SYS_ADMIN);
    let mut findings = Vec::new();
    for (capability, name) in [(CapabilitySet::BPF, "CAP_BPF"), (CapabilitySet::PERFMON, "CAP_PERFMON")] {
        findings.push(match held.contains(capability) || admin {
            true => Finding::ok(name, "held"),
            false => {
                let advice = "run as root (sudo), or give it: setcap, or AmbientCapabilities= of a systemd unit";
                Finding::unusable(name, "missing: BPF programs cannot be loaded", advice, PRIVILEGES)
            }
        });
    }
    for (capability, name, lost) in [
        (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN", "TLS handshakes on the wire are not seen"),
        (
            CapabilitySet::SYS_PTRACE,
            "CAP_SYS_PTRACE",
            "libraries and open files of other users' running processes are not known",
        ),
        (
            CapabilitySet::DAC_READ_SEARCH,
            "CAP_DAC_READ_SEARCH",
            "libraries in other users' directories are not examined",
        ),
        (
            CapabilitySet::CHECKPOINT_RESTORE,
            "CAP_CHECKPOINT_RESTORE",
            "libraries that were replaced or deleted while in use are not probed",
        ),
    ] {
        let is_of_admin = [CapabilitySet::NET_ADMIN, CapabilitySet::CHECKPOINT_RESTORE].contains(&capability);
        let has = held.contains(capability) || (admin && is_of_admin);
        findings.push(match has {
            true => Finding::ok(name, "held"),
            false => Finding::degraded(name, format!("missing: {lost}"), "give it, or run as root"),
        });
    }
    (findings, privileges::missing().is_none())
}

/// cgroup v2, namespaces, limits, the analyzer.
pub(super) fn surroundings() -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.push(match cgroup::root() {
        Ok(root) => Finding::ok("cgroup v2", root.display().to_string()),
        Err(failure) => Finding::info("cgroup v2", format!("{:#}", failure.error))
            .advise("mount it for --cgroup: mount -t cgroup2 none /sys/fs/cgroup"),
    });
    findings.push(match privileges::in_initial_pid_namespace() {
        true => Finding::ok("pid namespace", "the initial one"),
        false => Finding::degraded(
            "pid namespace",
            "a separate one: process ids here are not the kernel's",
            "run on the host (hostPID: true in Kubernetes); here -p and -- CMD are refused, --cgroup and -n work",
        ),
    });
    findings.push(match in_initial_user_namespace() {
        true => Finding::ok("user namespace", "the initial one"),
        false => Finding::unusable(
            "user namespace",
            "a separate one: capabilities here do not count for BPF",
            "run on the host, or in a container that is not rootless",
            PRIVILEGES,
        ),
    });
    // The soft limit is raised to the hard one.
    let descriptors = getrlimit(Resource::Nofile).maximum;
    findings.push(match descriptors {
        Some(limit) if limit < DESCRIPTORS => Finding::degraded(
            "open files",
            format!("at most {limit}"),
            format!("raise it (ulimit -Hn {DESCRIPTORS}, LimitNOFILE=): each probed library takes some"),
        ),
        Some(limit) => Finding::ok("open files", format!("at most {limit}")),
        None => Finding::ok("open files", "unlimited"),
    });
    let locked = getrlimit(Resource::Memlock).current;
    let locked = locked.map_or("unlimited".to_owned(), show_size);
    findings
        .push(Finding::info("locked memory", format!("{locked}; kernels since 5.11 do not count BPF maps against it")));
    findings.push(match renderer::find_analyzer() {
        Ok(path) => Finding::ok("analyzer", path.display().to_string()),
        Err(failure) => Finding::degraded(
            "analyzer",
            format!("{:#}", failure.error),
            "monitor, files, libs, profile and snapshot need it on this host; record does not",
        ),
    });
    findings
}

/// Only the initial user namespace maps every id to itself, unless one was made to look like it.
fn in_initial_user_namespace() -> bool {
    let map = read("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Room on the disk, and in the ring.
pub(super) fn room(output: &Path) -> Vec<Finding> {
    let exists = |path: &&Path| path.exists();
    // Missing directories are made by `record`.
    let place: PathBuf = output.ancestors().find(exists).unwrap_or(Path::new("/")).to_owned();
    let mut findings = Vec::new();
    findings.push(match rustix::fs::statvfs(&place) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let time = show_hours(free / BYTES_PER_EVENT / 1_000 / 3_600);
            let found =
                format!("{} free on {}: about {time} at 1,000 events a second", show_size(free), place.display());
            if free < LITTLE_ROOM {
                Finding::degraded("disk", found, "give another -o, or bound it: record --retain-bytes")
            } else {
                Finding::ok("disk", found)
            }
        }
        Err(error) => Finding::degraded("disk", format!("{}: {error}", place.display()), "give another -o"),
    });
    let records = EVENT_RING_BYTES / BYTES_PER_RECORD;
    findings.push(Finding::info(
        "ring",
        format!(
            "{} by default: a burst of about {records} events while the reader is not scheduled; --ring-size",
            show_size(EVENT_RING_BYTES)
        ),
    ));
    findings
}
