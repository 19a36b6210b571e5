//! Probes, found out by attaching them: they select nobody but this process.

use clap::Parser as _;
use crypto_trace_bpf::ProbeReport;
use crypto_trace_format::record::{LibraryInfo, ProbeState, Records};

use super::Finding;
use crate::args::{CaptureArgs, Cli, Command};
use crate::exit::Failure;
use crate::libraries::Libraries;
use crate::session::kernel_crypto;
use crate::session::prepare::{load, selection, tls_cgroups};

/// Attaches everything for a moment.
pub(super) fn try_out() -> Vec<Finding> {
    match attach() {
        Ok(findings) => findings,
        Err(failure) => {
            let advice = "record would fail the same way; the kernel log (dmesg) may show more";
            // The first line: what libbpf said comes after it.
            let why = format!("{:#}", failure.error);
            vec![Finding::unusable("probes", why.lines().next().unwrap_or_default().to_owned(), advice, failure.code)]
        }
    }
}

/// The arguments of a recording of this process alone.
fn arguments() -> Result<CaptureArgs, Failure> {
    let pid = std::process::id().to_string();
    match Cli::try_parse_from(["crypto-trace-capture", "record", "-o", "-", "-q", "-p", &pid])
        .map_err(anyhow::Error::from)?
    {
        Cli { command: Command::Record(args) } => Ok(args.capture),
        Cli { .. } => Err(anyhow::anyhow!("no arguments of record").into()),
    }
}

fn attach() -> Result<Vec<Finding>, Failure> {
    let args = arguments()?;
    let mut selection = selection(&args)?;
    // Libraries of the system, but probes in this process alone, which has none of them.
    let mut libraries = Some(Libraries::start(true, Some(std::process::id()), None, false, false)?);
    let (cgroups, failure) = tls_cgroups(&args)?;
    selection.tls_cgroups = cgroups;
    let mut reports = Vec::from_iter(failure);
    let mut programs = load(&args, &mut selection, &mut libraries, &mut reports)?;
    programs.add_target(std::process::id(), false)?;
    reports.append(&mut programs.attach(&selection.tls_cgroups));
    reports.extend(kernel_crypto::reports());
    let mut findings: Vec<Finding> = reports.iter().map(|report| probe(&args, report)).collect();
    if let Some(mut libraries) = libraries {
        programs.set_functions(libraries.functions())?;
        libraries.attach_first(&mut programs);
        findings.extend(found_libraries(&libraries.records.bytes()));
    }
    Ok(findings)
}

fn probe(args: &CaptureArgs, report: &ProbeReport) -> Finding {
    let name = format!("probe {}", report.probe);
    let place = format!("{} on {}", report.tier.name(), report.target);
    match report.state {
        ProbeState::ATTACHED => Finding::ok(name, place),
        ProbeState::FAILED if args.may_lack(report.probe) => {
            let advice = match report.probe {
                "tls_hello" => "TLS needs CAP_NET_ADMIN and cgroup v2; recordings will say that it is missing",
                "ssh_hello" => "TLS is seen, SSH is not; recordings will say that it is missing",
                "datagram_hello" => {
                    "TLS is seen, QUIC, DTLS, IKE and WireGuard are not; recordings will say that they are missing"
                }
                _ => "recordings will say that it is missing",
            };
            Finding::degraded(name, format!("{place}: {}", report.message), advice)
        }
        ProbeState::FAILED => {
            let advice = "record would fail with this error; the kernel log (dmesg) may show more";
            Finding::unusable(name, format!("{place}: {}", report.message), advice, crate::exit::BPF)
        }
        state => Finding::info(name, format!("{place}: {}: {}", state.name(), report.message)),
    }
}

/// A finding for each library of the system, and what became of its probes.
fn found_libraries(records: &[u8]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for record in Records::new(records).flatten() {
        let Ok(info) = LibraryInfo::decode(&record) else { continue };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).escape_debug().to_string();
        let version = if info.version.is_empty() { String::new() } else { format!(" {}", text(info.version)) };
        let library = format!("library {}", text(info.path));
        let what = format!("{}{version}", text(info.family));
        findings.push(match ProbeState(info.fixed.state) {
            ProbeState::ATTACHED => Finding::ok(library, format!("{what}: {} functions", info.fixed.functions)),
            ProbeState::FAILED => Finding::degraded(
                library,
                format!("{what}: {}", text(info.message)),
                "its handshakes are seen on the wire only; crypto-trace-analyze coverage reports it for each recording",
            ),
            state => Finding::info(library, format!("{what}: {}: {}", state.name(), text(info.message))),
        });
    }
    if findings.is_empty() {
        findings.push(Finding::info("libraries", "no library in ld.so.cache can be probed"));
    }
    findings
}
