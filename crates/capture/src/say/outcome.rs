//! How a recording went, for people and as an exit code.

use std::collections::BTreeSet;

use crypto_trace_bpf::ProbeReport;
use crypto_trace_format::catalog::file_name;
use crypto_trace_format::record::{LibLoad, Records};

use crate::args::CaptureArgs;
use crate::child::ChildExit;
use crate::exit::Failure;
use crate::limits::seccomp;
use crate::out::writer::Written;
use crate::proc::entry::{self, Entry};
use crate::proc::table::{self, contains};
use crate::say;
use crate::units::show_size;

/// How many names are listed that come near one that was asked for.
const NEAREST: usize = 5;

/// Why a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A signal asked for it.
    Signal,
    /// Time was up.
    Duration,
    /// The command ended.
    Command(ChildExit),
    /// Nobody reads the stream any more.
    PipeClosed,
    /// There is nothing left to watch.
    ProcessesEnded,
}

/// How a capture went.
pub(crate) struct Outcome {
    /// By the writer.
    pub(crate) written: Written,
    pub(crate) recorded: u64,
    pub(crate) lost: u64,
    pub(crate) dropped: u64,
    pub(crate) filtered: u64,
    /// Withheld, so that others' are recorded.
    pub(crate) suppressed: u64,
    pub(crate) produced: u64,
    /// Of those that `-l` selects, mapped before or meanwhile; and names of others.
    pub(crate) libraries: u64,
    pub(crate) other_libraries: BTreeSet<Vec<u8>>,
}

/// Reports what is attached, and which filter runs where.
pub(crate) fn tell_probes(args: &CaptureArgs, probes: &[ProbeReport]) {
    for probe in probes {
        say::info(&format!("{}: {} ({}, {})", probe.probe, probe.state.name(), probe.tier.name(), probe.target));
    }
    for glob in &args.file {
        for rule in crypto_trace_bpf::globs::kernel_rules(glob) {
            say::info(&format!("filter -F {glob}: in the kernel {rule}; the glob itself in user space"));
        }
    }
    for filter in args.selected().options() {
        // The globs are reported above; what else there is says what is recorded, not of whom.
        let place = match filter.split_once(' ').map_or(filter.as_str(), |(flag, _)| flag) {
            "--library" => "in user space",
            "--pid" | "--name" | "--uid" | "--cgroup" | "--" => "in the kernel",
            _ => continue,
        };
        say::info(&format!("filter {filter}: {place}"));
    }
}

/// Reports which names of `-l` match no mapped library, by the loads of a process table; returns how many loads there are.
pub(crate) fn tell_unmapped(args: &CaptureArgs, table: &[u8]) -> u64 {
    if args.library.is_empty() {
        return 0;
    }
    let loads = || Records::new(table).flatten().filter(|record| record.kind() == LibLoad::KIND);
    let has = |name: &str| {
        loads().any(|record| LibLoad::decode(&record).is_ok_and(|load| contains(file_name(load.path), name)))
    };
    for name in args.library.iter().filter(|name| args.command.is_empty() && !args.quiet && !has(name)) {
        say::info(&format!("waiting for {name:?}: no library mapped now matches -l {name}"));
    }
    loads().count() as u64
}

/// Reports what there is at the end.
pub(crate) fn tell_outcome(args: &CaptureArgs, outcome: &Outcome, stop: Stop) {
    seccomp::tell_refused();
    if outcome.lost > 0 {
        say::warning(&format!("Ring buffer backpressure detected, {} events lost", outcome.lost));
    }
    if outcome.suppressed > 0 {
        say::warning(&format!(
            "{} events of processes that produced too many were withheld; `suppressed` events list the processes",
            outcome.suppressed
        ));
    }
    if outcome.dropped > 0 {
        say::warning(&format!("{} events could not be written and were dropped", outcome.dropped));
    }
    if args.quiet {
        return;
    }
    if outcome.recorded == 0 {
        args.name.iter().for_each(|name| tell_nearest(name));
    }
    if outcome.libraries == 0 && !args.library.is_empty() {
        tell_nearest_library(args, outcome);
    }
    match stop {
        Stop::Command(exit) => say::info(&format!("command {exit}")),
        Stop::ProcessesEnded => say::info("stopped: every process named by -p has ended"),
        Stop::PipeClosed if !args.command.is_empty() => {
            say::info("stopped: nothing reads the recording any more; the command continues");
        }
        Stop::Signal | Stop::Duration | Stop::PipeClosed => {}
    }
    say::info(&format!(
        "Events recorded: {}, lost: {}, dropped: {}, bytes: {}, segments: {}",
        outcome.recorded,
        outcome.lost,
        outcome.dropped,
        show_size(outcome.written.totals.file_bytes),
        outcome.written.segments
    ));
    if args.verbose {
        say::info(&format!("produced: {}, left out by filters in user space: {}", outcome.produced, outcome.filtered));
    }
}

/// Reports which processes there are whose names come near one that nothing was recorded of.
fn tell_nearest(wanted: &str) {
    let Ok(processes) = entry::all() else { return };
    let shown = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    // By either name they are selected.
    let names = processes.filter_map(|pid| Entry::open(pid).ok()).flat_map(|entry| {
        let exe = entry.link("exe").ok().map(|path| shown(file_name(&path)));
        entry.stat().ok().map(|stat| shown(&stat.comm)).into_iter().chain(exe)
    });
    let mut names: Vec<(usize, String)> = names.map(|name| (distance(wanted, &name), name)).collect();
    names.sort();
    names.dedup();
    let near: Vec<String> = names.iter().take(NEAREST).map(|(_, name)| name.escape_debug().to_string()).collect();
    if names.iter().any(|(_, name)| name.contains(wanted)) {
        say::info(&format!(
            "nothing was recorded of processes named {wanted:?}: they exist, but produced no matching events"
        ));
    } else {
        say::info(&format!("no process is named {wanted:?}; running, nearest names first: {}", near.join(", ")));
    }
}

/// Reports which libraries there are, loaded meanwhile or mapped now, whose names come near those that none was recorded
/// of.
fn tell_nearest_library(args: &CaptureArgs, outcome: &Outcome) {
    let mut there = table::mapped_libraries();
    there.extend(outcome.other_libraries.iter().cloned());
    let there: Vec<String> =
        there.iter().map(|name| String::from_utf8_lossy(name).escape_debug().to_string()).collect();
    for wanted in &args.library {
        let mut names: Vec<_> = there.iter().map(|name| (distance(wanted, name), name)).collect();
        names.sort();
        let near: Vec<&str> = names.iter().take(NEAREST).map(|(_, name)| name.as_str()).collect();
        let near = match near.is_empty() {
            true => "no other was either".to_owned(),
            false => format!("seen, nearest names first: {}", near.join(", ")),
        };
        say::info(&format!("no crypto library named {wanted:?} was loaded; {near}"));
    }
}

/// How far a name is from the one that was asked for.
fn distance(wanted: &str, name: &str) -> usize {
    let [wanted, name] = [wanted, name].map(str::to_lowercase);
    if name.contains(&wanted) { 0 } else { strsim::osa_distance(&wanted, &name) }
}

/// The exit code of a recording that went to its end. `is_stream`: into a pipe rather than into files.
pub(crate) fn exit_code(outcome: Outcome, stop: Stop, is_stream: bool) -> Result<u8, Failure> {
    match (stop, outcome.written.seal_error) {
        (Stop::PipeClosed, _) => Ok(0),
        (_, Some(error)) if is_stream => {
            Err(anyhow::anyhow!("the end of the stream could not be written: {error}").into())
        }
        (_, Some(error)) => Err(anyhow::anyhow!(
            "cannot seal the last segment: {error}; what was written is readable, its name ends in .open"
        )
        .into()),
        (Stop::Command(exit), None) => Ok(exit.code()),
        _ => Ok(0),
    }
}
