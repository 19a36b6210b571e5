//! `extract`: a part of recordings as segments, with names and arguments taken out if so asked, or what is left of damaged ones.
//!
//! ```text
//! inputs ─▶ what is known of processes, connections, libraries ─▶ which records are needed (need.rs)
//!                                                                          │
//!                     DIR ◀─ renamed together ◀─ segments ◀─ without names (redact.rs) ◀─ kept (copy.rs)
//! ```
//!
//! Every block is read twice: what an event needs may stand before or after it. A segment is written for each segment of which
//! anything stays, with its capture, host, number and clock, and says in its header that it is a part (label.rs).

mod args;
mod copy;
mod label;
mod need;
mod redact;

pub(crate) use args::{Args, Task};

use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::cli::progress;
use crate::read::faults::{FaultLog, Problem};
use crate::read::input::{Choice, Inputs};
use crate::read::{Plan, Wanted, read_captures, read_handshakes};
use crate::report::session;
use crate::select::Filter;
use crate::words::text::{counted, grouped, plural};
use anyhow::{Context, Result, bail};
use copy::Written;
use crypto_trace_format::record::{Kind, PrivacyMode};
use crypto_trace_format::segment::{Extraction, SegmentSet};
use need::Needs;
use redact::{Key, Redactor};
use std::fs::File;
use std::io::Read;

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    let choice = Choice { recursive: task.recursive, hosts: &task.filter.hosts };
    let inputs = session::open(&task.paths, choice, console)?;
    let names = session::names(&inputs);
    let unwritable = || format!("{}: cannot be written", task.output.display());
    let mut set = SegmentSet::create(&task.output).with_context(unwritable)?;

    let mut faults = FaultLog::default();
    let mut captures = read_captures(&inputs, &mut faults);
    let selects = need::selects(&task.filter);
    if selects {
        read_handshakes(&inputs, &mut captures, Wanted::All);
    }
    // Without a type everything is meant, not what is shown by default.
    let filter = Filter { kinds: asked_kinds(&task.filter), ..task.filter.clone() };
    let plan = Plan::new(&inputs, &captures, &filter);
    session::refuse_empty_time(plan.filter.times())?;
    let needs = Needs::find(&plan, selects, &mut faults);
    session::say_faults(&faults, &names, console);
    if needs.records == 0 && faults.any_damage() {
        bail!("nothing could be read: every block is damaged; nothing was written");
    }

    let (written, left_out) = write(task, &plan, &needs, &faults, &mut set).with_context(unwritable)?;
    set.publish().with_context(unwritable)?;
    session::say_gaps(&captures, true, console);
    tell(task, &needs, written, left_out, console);
    Ok(label::outcome(&faults, inputs.unread.len()))
}

/// The types of events that are wanted; all of them when none is named.
fn asked_kinds(filter: &Filter) -> Vec<Kind> {
    if filter.kinds.is_empty() { Kind::shown().collect() } else { filter.kinds.clone() }
}

/// What could not leave, of what was kept.
#[derive(Debug, Clone, Copy, Default)]
struct LeftOut {
    /// Certificates of files, and what could not be read well enough.
    private: u64,
    /// Of kinds that this version does not know.
    unknown: u64,
}

/// What becomes of the segments of one capture.
struct Extracted {
    capture: u32,
    extraction: Extraction,
    redactor: Redactor,
    /// Records of kinds that this version does not know are kept with all others.
    unknown_stay: bool,
}

fn write(
    task: &Task,
    plan: &Plan<'_>,
    needs: &Needs<'_>,
    faults: &FaultLog,
    set: &mut SegmentSet,
) -> Result<(Written, LeftOut)> {
    let key = key(task.privacy)?;
    let asked_for = label::asked_for(&task.filter, plan.filter.times());
    let wanted = copy::wanted(plan, needs);
    progress::begin(blocks(plan.inputs, &wanted));
    let (mut written, mut left_out) = (Written::default(), LeftOut::default());
    let mut current: Option<Extracted> = None;
    for ((number, segment), _) in (0u32..).zip(&plan.inputs.segments).zip(&wanted).filter(|(_, wanted)| **wanted) {
        let meta = segment.reader.meta();
        let of = match current.take().filter(|of| of.capture == segment.capture) {
            Some(same) => current.insert(same),
            None => {
                let redactor = Redactor::new(meta.selected.privacy, task.privacy, task.argv, key);
                let unknown_stay = asked_for.is_none() && redactor.is_idle();
                let limits = label::limits(plan, needs, faults, asked_for.as_deref(), segment.capture, unknown_stay);
                let tool = crate::words::text::TOOL.to_owned();
                let extraction = Extraction { tool, limits, privacy: task.privacy, argv: task.argv };
                current.insert(Extracted { capture: segment.capture, extraction, redactor, unknown_stay })
            }
        };
        let lost = faults.of_segment(number).map(Problem::records_lost).fold(0, u64::saturating_add);
        let before = of.redactor.left_out;
        written += copy::segment(set, needs, plan, number, &meta.extracted(&of.extraction), &mut of.redactor, lost)?;
        left_out.private += of.redactor.left_out - before;
        if !of.unknown_stay {
            left_out.unknown += needs.unknown.get(number as usize).copied().unwrap_or_default();
        }
    }
    progress::end();
    Ok((written, left_out))
}

fn blocks(inputs: &Inputs, wanted: &[bool]) -> usize {
    let segments = inputs.segments.iter().zip(wanted).filter(|(_, wanted)| **wanted);
    segments.map(|(segment, _)| segment.reader.blocks().len()).sum()
}

/// The key of pseudonyms, when there are to be any.
fn key(privacy: PrivacyMode) -> Result<Key> {
    let mut key = Key::default();
    if privacy == PrivacyMode::HASH {
        File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut key)).context("no random bytes")?;
    }
    Ok(key)
}

/// What became of it.
fn tell(task: &Task, needs: &Needs<'_>, written: Written, left_out: LeftOut, console: Console) {
    if left_out.private > 0 {
        let records = plural(left_out.private, "record");
        console.note(&format!("{records} left out: certificates of files, or not readable, with --privacy or --argv"));
    }
    if left_out.unknown > 0 {
        let records = plural(left_out.unknown, "record");
        console.warn(&format!("{records} left out: kinds unknown to this version"));
    }
    if needs.matched() == Some(0) {
        console.warn("no event is among what was asked for: the extract only says what was recorded, and how");
    }
    console.note(&format!(
        "{}: {} with {}, {} bytes",
        task.output.display(),
        counted(written.segments, "segment", "segments"),
        plural(written.records, "record"),
        grouped(written.bytes)
    ));
}
