//! The programs on packets and sockets.

use std::os::fd::{AsRawFd as _, OwnedFd};

use crypto_trace_format::record::Tier;

use crate::programs::Programs;
use crate::report::{ProbeReport, report};

impl Programs {
    /// Attaches the programs for TLS to these cgroups; one that fails does not keep the others from being attached. Returns
    /// what became of them and of all that were attached when they were loaded.
    pub fn attach(&mut self, tls_cgroups: &[OwnedFd]) -> Vec<ProbeReport> {
        let progs = &self.skel.progs;
        let mut reports = std::mem::take(&mut self.reports);
        let mut report = |tier, target, attached| {
            reports.push(report("tls_hello", tier, target, attached, &mut self.links));
        };
        if !tls_cgroups.is_empty() {
            // Owners first, so that there is no packet of a socket whose owner could have been known.
            report(Tier::RAW_TRACEPOINT, "tp_btf:inet_sock_set_state", progs.socket_state.attach());
        }
        for cgroup in tls_cgroups {
            if self.owns_datagrams {
                let attached = progs.datagram_socket.attach_cgroup(cgroup.as_raw_fd());
                report(Tier::CGROUP_SKB, "cgroup_sock:sock_create", attached);
            }
            let packets = [(&progs.tls_egress, "cgroup_skb:egress"), (&progs.tls_ingress, "cgroup_skb:ingress")];
            for (program, target) in packets {
                report(Tier::CGROUP_SKB, target, program.attach_cgroup(cgroup.as_raw_fd()));
            }
        }
        reports
    }
}
