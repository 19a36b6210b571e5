//! `check`: holds rules against recordings. Each rule passes, warns, fails, or stays unknown, with its evidence and its words.
//!
//! What is used is counted in `count/uses`; `rule.rs` has the rules in one form, `judge.rs` holds them against what was counted,
//! and `report/coverage.rs` says what may be missing of it: a recording that shows little never passes.

mod args;
mod json;
mod judge;
mod junit;
mod ocsf;
mod policy;
mod rule;
mod sarif;
mod scope;
mod text;
mod versions;

pub(crate) use args::{Args, Task};

use crate::capture::clock::WallNs;
use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::count::uses::Uses;
use crate::report::coverage::Coverage;
use crate::report::document;
use crate::report::judged::AsOf;
use crate::report::session::Session;
use crate::rules::Pack;
use anyhow::{Result, bail};
use args::Format;
use jiff::civil::Date;
use json::{PackReport, Report};
use judge::{Case, Judged};
use policy::{Policy, Waiver};
use rule::Asked;
use std::collections::HashSet;
use std::io::Write as _;
use std::path::PathBuf;

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    // Rules first: what is wrong with them need not wait for the recordings.
    let asking = Asking::new(&task.packs, &task.rules)?;
    let (mut session, mut out) = Session::begin(&task.request, console)?;
    let mut uses = Uses::default();
    session.fold(&mut uses)?;
    let report = asking.judge(&session, &uses, task.as_of);
    let shown = match task.format {
        Format::Json => document::pretty(&report)? + "\n",
        Format::Sarif => document::pretty(&sarif::Log::new(&report))? + "\n",
        Format::Junit => junit::document(&report, task.require_coverage)?,
        Format::Ocsf => ocsf::lines(&report)?,
        Format::Text => text::text(&report, out.paint()),
    };
    out.write_all(shown.as_bytes())?;
    session.gaps_are_shown();
    // Damage that leaves nothing to read is an error, whatever was found.
    session.finish("judged")?;
    Ok(match (report.violated, task.require_coverage && !report.sufficient) {
        (true, _) => Outcome::Violated,
        (false, true) => Outcome::Undecided,
        (false, false) => Outcome::Done,
    })
}

/// What is asked: packs, and rules of the user's own.
pub(super) struct Asking {
    packs: Vec<Pack>,
    policies: Vec<Policy>,
}

impl Asking {
    /// With the packs that files of rules extend.
    ///
    /// # Errors
    /// Something is wrong with a file of rules.
    pub fn new(packs: &[Pack], rules: &[PathBuf]) -> Result<Self> {
        let policies = policies(rules)?;
        let mut packs = packs.to_vec();
        packs.extend(policies.iter().flat_map(|policy| &policy.extends));
        packs.sort_unstable();
        packs.dedup();
        Ok(Self { packs, policies })
    }

    /// The document, for whoever puts it into a larger one.
    pub fn document(&self, session: &Session<'_>, uses: &Uses, as_of: Option<Date>) -> Result<serde_json::Value> {
        Ok(serde_json::to_value(self.judge(session, uses, as_of))?)
    }

    /// Holds rules against what was counted.
    fn judge(&self, session: &Session<'_>, uses: &Uses, as_of: Option<Date>) -> Report {
        let begun = session.captures.iter().map(|capture| WallNs(capture.meta.clock.realtime_ns)).max();
        let end = session.covered().map(|(_, end)| end).or(begun).unwrap_or(WallNs(0));
        let as_of = AsOf::new(as_of, end).date;
        let coverage = Coverage::new(session);
        let hosts: Vec<String> = session.captures.iter().map(|capture| capture.meta.host.clone()).collect();
        let case = Case { uses, hosts: &hosts, coverage: &coverage };
        let waivers: Vec<Waiver> = self.policies.iter().flat_map(|policy| policy.waivers.iter().cloned()).collect();
        let judge = |rules: Vec<Asked>| -> Vec<(Asked, Judged<'_>)> {
            let judged = rules.into_iter().map(|rule| {
                let of_rule: Vec<(usize, &Waiver)> =
                    waivers.iter().enumerate().filter(|(_, one)| one.is_of(&rule.id) && as_of < one.expires).collect();
                let judged = case.judge(&rule, |one| {
                    let host = case.host(one.party);
                    of_rule.iter().find(|(_, waiver)| one.is_in(&waiver.scope, host)).map(|(number, _)| *number)
                });
                (rule, judged)
            });
            judged.collect()
        };
        let of_catalog = self.packs.iter().map(|pack| {
            let rules = judge(rule::of_pack(*pack, as_of));
            PackReport::of_catalog(session, &case, *pack, as_of, &rules)
        });
        let own = self.policies.iter().filter(|policy| !policy.rules.is_empty());
        let own = own.map(|policy| PackReport::of_policy(session, &case, policy, as_of, &judge(policy.rules.clone())));
        Report::new(session, as_of, &coverage, of_catalog.chain(own).collect(), &waivers)
    }
}

/// Files of rules, each of another name.
fn policies(paths: &[PathBuf]) -> Result<Vec<Policy>> {
    let policies = paths.iter().map(|path| policy::read(path)).collect::<Result<Vec<Policy>>>()?;
    let mut names = HashSet::new();
    match policies.iter().find(|policy| !names.insert(&policy.name)) {
        Some(policy) => bail!("two rule files are named {}: give each its own name", policy.name),
        None => Ok(policies),
    }
}
