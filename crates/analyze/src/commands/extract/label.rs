//! What an extract says of itself: what was asked for, and what could not be had.

use super::need::Needs;
use crate::capture::clock::WallNs;
use crate::cli::exit::Outcome;
use crate::cli::which::options;
use crate::read::Plan;
use crate::read::faults::{FaultLog, Problem};
use crate::select::Filter;
use crate::words::text::{TOOL, counted, plural};
use crypto_trace_format::segment::Fault;

/// What the extract of one capture lacks, in words that stand among the options of its recording. `asked_for`: what
/// [`asked_for`] says.
pub(super) fn limits(
    plan: &Plan<'_>,
    needs: &Needs<'_>,
    faults: &FaultLog,
    asked_for: Option<&str>,
    capture: u32,
    unknown_stay: bool,
) -> Vec<String> {
    let mut limits: Vec<String> = asked_for.iter().map(|options| format!("extract {options}")).collect();
    let segments = || (0u32..).zip(&plan.inputs.segments).filter(|(_, segment)| segment.capture == capture);
    let problems = || segments().flat_map(|(number, _)| faults.of_segment(number));
    if problems().any(Problem::is_damage) || faults.beyond() > 0 {
        let lost = problems().map(Problem::records_lost).fold(0, u64::saturating_add);
        limits.push(format!("extract of damaged segments, {} known to be lost", plural(lost, "record")));
    }
    let of_unknown_blocks = problems().map(|problem| match problem {
        Problem::Segment(Fault::UnknownBlocks { records, .. }) => *records,
        _ => 0,
    });
    let of_unknown_kinds =
        segments().filter(|_| !unknown_stay).filter_map(|(number, _)| needs.unknown.get(number as usize).copied());
    let unknown = of_unknown_blocks.chain(of_unknown_kinds).fold(0, u64::saturating_add);
    if unknown > 0 {
        limits.push(format!("extract without {} unknown to {TOOL}", plural(unknown, "record")));
    }
    let unread = plan.inputs.unread.len() as u64;
    if unread > 0 {
        let segments = counted(unread, "segment that could not be read", "segments that could not be read");
        limits.push(format!("extract without {segments}"));
    }
    limits
}

/// A filter as options, with its times as they are for these inputs; nothing when all is asked for.
pub(super) fn asked_for(filter: &Filter, times: (Option<WallNs>, Option<WallNs>)) -> Option<String> {
    // Captures of other hosts are left behind as a whole, and nothing is missing of the others.
    let filter = Filter { hosts: Vec::new(), ..filter.clone() };
    let options = options(&filter, times);
    (!options.is_empty()).then(|| options.join(" "))
}

/// How a run ends of which something could not be read.
pub(super) fn outcome(faults: &FaultLog, unread: usize) -> Outcome {
    if faults.any_damage() || unread > 0 { Outcome::Damaged } else { Outcome::Done }
}
