//! The programs on packets and sockets.
#![allow(unsafe_code, reason = "libbpf attaches a program on packets to the direction that it was loaded for")]

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr::null;

use crypto_trace_format::record::Tier;
use libbpf_rs::libbpf_sys::{BPF_CGROUP_INET_EGRESS, BPF_CGROUP_INET_INGRESS, bpf_attach_type, bpf_link_create};

use crate::programs::Programs;
use crate::report::{ProbeReport, report};

/// Both directions of packets, which one program sees: what it is attached to, and its name.
const DIRECTIONS: [(bpf_attach_type, &str); 2] =
    [(BPF_CGROUP_INET_EGRESS, "cgroup_skb:egress"), (BPF_CGROUP_INET_INGRESS, "cgroup_skb:ingress")];

impl Programs {
    /// Attaches the programs for TLS to these cgroups; one that fails does not keep the others from being attached. Returns
    /// what became of them and of all that were attached when they were loaded.
    pub fn attach(&mut self, tls_cgroups: &[OwnedFd]) -> Vec<ProbeReport> {
        let progs = &self.skel.progs;
        let mut reports = std::mem::take(&mut self.reports);
        if !tls_cgroups.is_empty() {
            // Owners first, so that there is no packet of a socket whose owner could have been known.
            let target = "tp_btf:inet_sock_set_state";
            let attached = progs.socket_state.attach();
            reports.push(report("tls_hello", Tier::RAW_TRACEPOINT, target, attached, &mut self.links));
        }
        for cgroup in tls_cgroups {
            if self.owns_datagrams {
                let attached = progs.datagram_socket.attach_cgroup(cgroup.as_raw_fd());
                let target = "cgroup_sock:sock_create";
                reports.push(report("tls_hello", Tier::CGROUP_SKB, target, attached, &mut self.links));
            }
            for (direction, target) in DIRECTIONS {
                let attached = attach_to(progs.packets.as_fd(), cgroup.as_fd(), direction);
                reports.push(report("tls_hello", Tier::CGROUP_SKB, target, attached, &mut self.packet_links));
            }
        }
        reports
    }
}

/// Attaches a program to packets of a cgroup, whichever direction it was loaded for: the kernel allows that of one that lets
/// everything pass (`bpf_prog_attach_check_attach_type()`, kernel/bpf/syscall.c).
fn attach_to(
    program: BorrowedFd<'_>,
    cgroup: BorrowedFd<'_>,
    direction: bpf_attach_type,
) -> libbpf_rs::Result<OwnedFd> {
    // SAFETY: both descriptors are open for as long as the call takes, and no options are an allowed value.
    let link = unsafe { bpf_link_create(program.as_raw_fd(), cgroup.as_raw_fd(), direction, null()) };
    if link < 0 {
        return Err(libbpf_rs::Error::from_raw_os_error(-link));
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(link) })
}
