//! What is told on stderr at the end of a run.

use crate::capture::Capture;
use crate::cli::console::Console;
use crate::count::inventory::{ByPath, Gather as _, library_of};
use crate::read::Plan;
use crate::read::faults::FaultLog;
use crate::read::input::Inputs;
use crate::report::completeness;
use crate::report::nearest::{self, Names};
use crate::select::Filter;
use crate::words::redact;
use crate::words::text::{counted, grouped};
use crypto_trace_format::catalog::{self, file_name};
use crypto_trace_format::record::LibLoad;
use std::path::PathBuf;

/// Lines of one sort that are printed.
const MAX_LINES: usize = 20;

/// What was not read of what was named.
pub(crate) fn left_out(inputs: &Inputs, console: Console) {
    inputs.notes.iter().for_each(|note| console.note(note));
    for (index, segment) in inputs.unread.iter().enumerate() {
        if index < MAX_LINES {
            console.warn(segment);
        }
    }
    let beyond = inputs.unread.len().saturating_sub(MAX_LINES);
    if beyond > 0 {
        console.warn(&format!("and {} more segments could not be read", grouped(beyond as u64)));
    }
}

/// What could not be read, for a list of what is missing.
pub(crate) fn unread(segments: usize) -> Option<String> {
    let count = counted(segments as u64, "segment", "segments");
    (segments > 0).then(|| format!("{count} could not be read"))
}

/// Damage, and notes about torn tails.
pub(crate) fn faults(faults: &FaultLog, names: &[PathBuf], console: Console) {
    let mut lines = 0;
    for (segment, problem) in faults.iter() {
        lines += 1;
        if lines > MAX_LINES {
            continue;
        }
        let name = names.get(segment as usize).map(|name| name.display().to_string()).unwrap_or_default();
        let line = format!("{name}: {problem}");
        if problem.is_damage() { console.warn(&line) } else { console.note(&line) }
    }
    let beyond = faults.beyond() + (lines.max(MAX_LINES) - MAX_LINES) as u64;
    if beyond > 0 {
        console.warn(&format!("and {} more faults; see verify", grouped(beyond)));
    }
    if faults.records_lost() > 0 {
        console.warn(&format!("{} records are known to be lost to damage", grouped(faults.records_lost())));
    }
}

/// What the captures themselves say is missing.
pub(crate) fn completeness(captures: &[Capture], redact: bool, console: Console) {
    for capture in captures {
        for (index, gap) in completeness::gaps(capture, captures.len() > 1).into_iter().enumerate() {
            if index < MAX_LINES {
                console.warn(&redact::sentence(gap, redact));
            } else if index == MAX_LINES {
                console.warn("and more is missing; see info");
            }
        }
        if capture.timeline.refused() > 0 {
            let refused = grouped(capture.timeline.refused());
            console.warn(&format!("{refused} process records did not fit in memory: some events lack exe and cmdline"));
        }
    }
}

/// Libraries that were loaded, by file name and by name in the catalog, with how many loads: looked up again without
/// `--library`, when that left nothing. None when it did not.
pub(crate) fn loaded(filter: &Filter, inputs: &Inputs, captures: &[Capture], output: u64) -> Option<Names> {
    if filter.libraries.is_empty() || output > 0 {
        return None;
    }
    let kinds = vec![LibLoad::KIND];
    let filter = Filter { libraries: Vec::new(), files: None, outcome: None, kinds, ..filter.clone() };
    let mut by_path = ByPath::default();
    // What is wrong with the files is told once already.
    by_path.read(&Plan::new(inputs, captures, &filter), &mut FaultLog::default());
    let mut names = Names::default();
    for shown in by_path.libraries() {
        let (_, path) = library_of(shown.key);
        let loads = shown.used.loads + shown.used.already_mapped;
        names.add(file_name(path), Some(path), loads);
        catalog::library(path).into_iter().for_each(|name| names.add(name.as_bytes(), None, loads));
    }
    Some(names)
}

/// The same of a stream, which cannot be read again: libraries that the capture looked into.
pub(crate) fn looked_into(filter: &Filter, captures: &[Capture], output: u64) -> Option<Names> {
    let rows = || captures.iter().flat_map(|capture| capture.libraries.iter());
    if filter.libraries.is_empty() || output > 0 || rows().next().is_none() {
        return None;
    }
    let mut names = Names::default();
    rows().for_each(|(_, row)| names.add(file_name(&row.path), Some(&row.path), 1));
    Some(names)
}

/// Processes and libraries that were asked for and are not there, with what comes near. `loaded`: libraries that are there.
pub(crate) fn unmatched(
    filter: &Filter,
    captures: &[Capture],
    shown: bool,
    loaded: Option<&Names>,
    (redact, console): (bool, Console),
) {
    let libraries = loaded.map(|loaded| nearest::unmatched_libraries(filter, loaded, redact)).unwrap_or_default();
    let told = [nearest::unmatched(filter, captures, shown, redact), libraries].concat();
    told.iter().take(MAX_LINES).for_each(|line| console.note(line));
}
