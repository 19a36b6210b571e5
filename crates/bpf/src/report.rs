//! What became of the probes.

use crate::error::errno_of;
use crypto_trace_format::record::{ProbeState, Protocol, Tier};

/// What became of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeReport {
    /// What it records.
    pub probe: &'static str,
    /// Kernel mechanism.
    pub tier: Tier,
    /// What it is attached to.
    pub target: &'static str,
    /// Attached, failed, skipped.
    pub state: ProbeState,
    /// errno of a failure, positive; 0 when there is none.
    pub errno: i32,
    /// Why, for people; empty when attached.
    pub message: String,
}

impl ProbeReport {
    /// TLS that cannot be seen, and why.
    pub fn failed_tls(message: String) -> Self {
        let (probe, target) = ("tls_hello", "cgroup_skb");
        Self { probe, tier: Tier::CGROUP_SKB, target, state: ProbeState::FAILED, errno: 0, message }
    }

    /// Protocols beside TLS that cannot be seen, by their bits, where TLS can, and why.
    pub fn failed_beside_tls(wire: u16, message: &str) -> Vec<Self> {
        let named = [("ssh_hello", Protocol::SSH.bit()), ("datagram_hello", Protocol::DATAGRAMS)];
        let failed = named.into_iter().filter(|(_, bits)| wire & bits != 0);
        failed.map(|(probe, _)| Self { probe, ..Self::failed_tls(message.to_owned()) }).collect()
    }

    /// Library calls that cannot be seen, and why.
    pub fn failed_calls(message: String) -> Self {
        let (probe, target) = ("api_call", "uprobe");
        Self { probe, tier: Tier::UPROBE, target, state: ProbeState::FAILED, errno: 0, message }
    }
}

/// Keeps the link of a probe that was attached.
pub(crate) fn report<Link>(
    probe: &'static str,
    tier: Tier,
    target: &'static str,
    attached: libbpf_rs::Result<Link>,
    links: &mut Vec<Link>,
) -> ProbeReport {
    match attached {
        Ok(link) => {
            links.push(link);
            plain_report(probe, tier, target, ProbeState::ATTACHED, "")
        }
        Err(error) => ProbeReport {
            errno: errno_of(&error),
            // With its causes: what was tried alone is no reason.
            ..plain_report(probe, tier, target, ProbeState::FAILED, &format!("{error:#}"))
        },
    }
}

/// A report without an error of the system.
pub(crate) fn plain_report(
    probe: &'static str,
    tier: Tier,
    target: &'static str,
    state: ProbeState,
    message: &str,
) -> ProbeReport {
    ProbeReport { probe, tier, target, state, errno: 0, message: message.to_owned() }
}
