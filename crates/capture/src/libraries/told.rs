//! The record of a library that was found, and the line that `--verbose` says of it.

use crypto_trace_format::record::{Header, LibraryInfo, LibraryInfoFixed, ProbeState};

use rustix::io::Errno;

use super::finder::{Found, Refusal, why_nothing};
use crate::clock::boottime_ns;
use crate::say;

/// What became of the probes on a file.
pub struct Became {
    state: ProbeState,
    errno: i32,
    message: String,
    /// There is something of its own to be let go of.
    is_probed: bool,
    no_room: bool,
}

impl Became {
    /// It cannot be looked into.
    pub fn refused(refusal: &Refusal) -> Self {
        Self::failed(refusal.errno, refusal.message.clone())
    }

    /// There was something to probe, and it could not be.
    pub fn failed(errno: i32, message: String) -> Self {
        Self { state: ProbeState::FAILED, errno, message, is_probed: false, no_room: false }
    }

    /// The same, because others have what it takes; later they may not.
    pub fn no_room(errno: Errno, message: String) -> Self {
        Self { no_room: true, ..Self::failed(errno.raw_os_error(), message) }
    }

    /// There was nothing to probe.
    pub fn skipped(message: &str) -> Self {
        Self { state: ProbeState::SKIPPED, ..Self::failed(0, message.to_owned()) }
    }

    /// Its probes are there; what is missing of them is in the message.
    pub fn attached(message: &str) -> Self {
        Self { is_probed: true, ..Self::shared(message) }
    }

    /// Its probes are those of another file, which is the same one below.
    pub fn shared(message: &str) -> Self {
        Self { state: ProbeState::ATTACHED, ..Self::failed(0, message.to_owned()) }
    }

    /// Whether it has probes of its own.
    pub fn is_probed(&self) -> bool {
        self.is_probed
    }

    /// Whether it may be probed later.
    pub fn is_for_want_of_room(&self) -> bool {
        self.no_room
    }

    /// errno of a failure, 0 when there is none.
    pub fn errno(&self) -> i32 {
        self.errno
    }
}

/// The record of a file to which nothing is attached, for this reason if there would be something to attach.
pub fn unprobed(found: &Found, why: &str, verbose: bool) -> Vec<u8> {
    let became = match &found.outcome {
        Err(refusal) => Became::refused(refusal),
        Ok((_, plan)) if plan.probes.is_empty() => Became::skipped(why_nothing(plan)),
        Ok(_) => Became::skipped(why),
    };
    record(found, &became, verbose)
}

/// The record.
pub fn record(found: &Found, became: &Became, verbose: bool) -> Vec<u8> {
    let Found { header, path, id: (dev, ino), size, outcome } = found;
    let plan = outcome.as_ref().ok().map(|(_, plan)| plan);
    let family = plan.map(|plan| plan.families.join(",")).unwrap_or_default();
    let version = plan.map_or("", |plan| &plan.version);
    let is_probed = became.state == ProbeState::ATTACHED;
    let functions = plan.filter(|_| is_probed).map_or(0, |plan| plan.functions);
    if verbose {
        say_it(found, became, &family, version, functions);
    }
    let fixed = LibraryInfoFixed {
        dev: *dev,
        ino: *ino,
        size: *size,
        state: became.state.0,
        errno: became.errno,
        functions,
        features: plan.map_or(0, |plan| plan.features),
        ..LibraryInfoFixed::default()
    };
    let header = Header { time_ns: boottime_ns(), flags: 0, ..*header };
    let mut out = Vec::new();
    LibraryInfo {
        fixed,
        path,
        family: family.as_bytes(),
        version: version.as_bytes(),
        build_id: plan.map(|plan| &plan.build_id[..]).unwrap_or_default(),
        message: became.message.as_bytes(),
        ..LibraryInfo::default()
    }
    .encode(header, &mut out);
    out
}

fn say_it(found: &Found, became: &Became, family: &str, version: &str, functions: u16) {
    let name = String::from_utf8_lossy(&found.path);
    let told = if became.message.is_empty() { String::new() } else { format!(": {}", became.message) };
    let called = [family, version].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let called = if called.is_empty() { String::new() } else { format!(" ({called})") };
    let seen_in = match became.state {
        ProbeState::FAILED => format!(", seen in process {}", found.header.tgid),
        _ => String::new(),
    };
    say::info(&format!("library {name}{called}{seen_in}: {}, {functions} functions{told}", became.state.name()));
}
