//! What a recording says of the kernel's own crypto that this kernel lacks: where there is no AF_ALG, its absence from the
//! events has a reason.

use std::path::Path;

use crypto_trace_bpf::ProbeReport;
use crypto_trace_format::record::{ProbeState, Tier};

/// Name of these probes.
const PROBE: &str = "kernel_crypto";

/// A report for each facility that this kernel lacks.
pub fn reports() -> Vec<ProbeReport> {
    let report = |target, message: &str| ProbeReport {
        probe: PROBE,
        tier: Tier::RAW_TRACEPOINT,
        target,
        state: ProbeState::SKIPPED,
        errno: 0,
        message: message.to_owned(),
    };
    let mut reports = Vec::new();
    // Not tried out: asking for a socket, or for kTLS on one, would load the module on a host that does not use it.
    let modules = modules();
    let has_module =
        |name: &str| modules.lines().any(|line| line.split(':').next().is_some_and(|path| path.contains(name)));
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    if !first_words(&read("/proc/net/protocols"), "ALG") && !has_module("/af_alg.ko") {
        reports.push(report(
            "AF_ALG",
            "this kernel has neither AF_ALG nor a module for it: only refused attempts can be seen",
        ));
    }
    let protocols = read("/proc/sys/net/ipv4/tcp_available_ulp");
    if !protocols.split_whitespace().any(|name| name == "tls") && !has_module("/tls.ko") {
        reports.push(report(
            "kTLS",
            "this kernel has neither kTLS nor a module for it: only refused attempts can be seen",
        ));
    }
    if !Path::new("/proc/keys").exists() {
        reports.push(report("key rings", "this kernel has no key rings: only refused attempts can be seen"));
    }
    reports
}

/// Whether one of the lines begins with this word.
fn first_words(text: &str, word: &str) -> bool {
    text.lines().any(|line| line.split_whitespace().next() == Some(word))
}

/// The list of this kernel's modules; empty when there is none.
fn modules() -> String {
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy().into_owned();
    std::fs::read_to_string(format!("/lib/modules/{release}/modules.dep")).unwrap_or_default()
}
