//! `check`: holds rules against recordings. Each rule passes, warns, fails, or stays unknown, with its evidence and its words.
//!
//! What is used is counted in `count/uses`; `rule.rs` has the rules in one form, `judge.rs` holds them against what was counted,
//! and `coverage.rs` says what may be missing of it: a recording that shows little never passes.

mod args;
mod coverage;
mod json;
mod judge;
mod rule;
mod scope;
mod text;
mod versions;

pub(crate) use args::{Args, Task};

use crate::capture::clock::WallNs;
use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::uses::Uses;
use crate::report::document;
use crate::report::judged::AsOf;
use crate::report::session::Session;
use anyhow::Result;
use args::Format;
use coverage::Coverage;
use json::{PackReport, Report};
use judge::{Case, Judged};
use rule::Asked;
use std::io::Write as _;

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    let (mut session, mut out) = Session::begin(&task.request, console)?;
    let mut uses = Uses::default();
    session.fold(&mut uses)?;
    let begun = session.captures.iter().map(|capture| WallNs(capture.meta.clock.realtime_ns)).max();
    let end = session.covered().map(|(_, end)| end).or(begun).unwrap_or(WallNs(0));
    let as_of = AsOf::new(task.as_of, end).date;
    let coverage = Coverage::new(&session);
    let hosts: Vec<String> = session.captures.iter().map(|capture| capture.meta.host.clone()).collect();
    let case = Case { uses: &uses, hosts: &hosts, coverage: &coverage };
    let packs = task.packs.iter().map(|pack| {
        let rules: Vec<(Asked, Judged<'_>)> = rule::of_pack(*pack, as_of)
            .into_iter()
            .map(|rule| {
                let judged = case.judge(&rule, |_| None);
                (rule, judged)
            })
            .collect();
        PackReport::of_catalog(&session, &case, *pack, as_of, &rules)
    });
    let report = Report::new(&session, as_of, &coverage, packs.collect());
    let shown = match task.format {
        Format::Json => document::pretty(&report)? + "\n",
        Format::Text => text::text(&report, out.paint()),
    };
    out.write_all(shown.as_bytes())?;
    // Damage that leaves nothing to read is an error, whatever was found.
    session.gaps_are_shown();
    session.finish("judged")?;
    Ok(match (report.violated, task.require_coverage && !report.sufficient) {
        (true, _) => Outcome::Violated,
        (false, true) => Outcome::Undecided,
        (false, false) => Outcome::Done,
    })
}
