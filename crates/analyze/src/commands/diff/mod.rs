//! `diff`: what appeared, vanished or changed between two recordings.
//!
//! What each side used is gathered in `gather.rs` from what is counted elsewhere, with names that are the same from run to run
//! (`names.rs`); `compare.rs` holds one against the other, and `sight.rs` says what is no difference as one of them could not see
//! it.

mod args;
mod compare;
mod findings;
mod gather;
mod ignore;
mod inventory;
mod json;
mod names;
mod sight;
mod text;

pub(crate) use args::{Args, Task};

use crate::cli::Request;
use crate::cli::console::{Console, Output};
use crate::cli::exit::Outcome;
use crate::report::document::{self, Each, OUT_BYTES, Reveal};
use crate::report::judged::AsOf;
use crate::report::session::Session;
use crate::report::watched::Watched;
use anyhow::{Result, bail};
use args::KINDS;
use compare::{Compared, Side, Verdict, compare};
use gather::Gather;
use ignore::Ignore;
use inventory::Inventory;
use json::{Head, Report, SideReport, rows};
use sight::Sight;
use std::io::{BufWriter, Write};

/// One side, read whole.
struct Read {
    inventory: Inventory,
    sight: Sight,
    watched: Vec<Watched>,
    missing: Vec<String>,
}

impl Read {
    fn report(&self, beyond: &Sight) -> SideReport {
        SideReport {
            kind: "recordings",
            cbom: None,
            watched: self.watched.clone(),
            missing: self.missing.clone(),
            blind_to: SideReport::blind_to(beyond),
        }
    }
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    // Rules first: what is wrong with them need not wait for the recordings.
    let mut rules = task.ignore.clone();
    rules.extend(task.ignore_file.as_deref().map(ignore::read).transpose()?.into_iter().flatten());
    let ignore = Ignore::new(rules);
    let mut old = old(task, console)?;
    let (mut session, mut out) = Session::begin(&task.new, console)?;
    let mut new = read(&mut session, task.exact_names)?;
    let as_of = AsOf::of(&session, task.as_of).date;
    for side in [&mut old, &mut new] {
        findings::add(&mut side.inventory, as_of, &task.rules, task.exact_names);
    }
    let beyond = [old.sight.beyond(&new.sight), new.sight.beyond(&old.sight)];
    let [of_old, of_new] = &beyond;
    let sides =
        [Side { inventory: &old.inventory, beyond: of_old }, Side { inventory: &new.inventory, beyond: of_new }];
    let [old_side, new_side] = sides;
    let compared = compare(old_side, new_side, task.share_points, &ignore);
    let reports = [old.report(of_old), new.report(of_new)];
    let head = Head::new(reports, Some(as_of.to_string()), &compared, &ignore);
    let (differ, complete) = (head.differ, head.complete);
    write(task, head, &compared, session.reveal(), &mut out)?;
    for (rule, _) in ignore.used().filter(|(_, count)| *count == 0) {
        session.note(format!("--ignore {rule}: no difference is left out by this rule"));
    }
    session.gaps_are_shown();
    session.finish("compared")?;
    Ok(match (task.exit_code, differ, complete) {
        (true, true, _) => Outcome::Differs,
        (true, false, false) => Outcome::Undecided,
        _ => Outcome::Done,
    })
}

/// How it was.
fn old(task: &Task, console: Console) -> Result<Read> {
    let request: &Request = &task.old;
    let (mut session, _) = Session::begin(request, console)?;
    session.refuse_output(task.new.output.as_deref())?;
    let read = read(&mut session, task.exact_names)?;
    if session.tally.processed == 0 && session.faults.any_damage() {
        bail!("nothing of the old one could be read: every block is damaged");
    }
    Ok(read)
}

fn read(session: &mut Session<'_>, exact: bool) -> Result<Read> {
    let mut gather = Gather::new(exact);
    session.fold(&mut gather)?;
    Ok(Read {
        inventory: gather.inventory,
        sight: Sight::of(session),
        watched: Watched::all(session, &KINDS),
        missing: session.gaps(None),
    })
}

fn write(task: &Task, head: Head, compared: &Compared<'_>, reveal: Reveal, out: &mut Output) -> Result<()> {
    let of = |verdict| rows(compared, verdict, reveal);
    let [appeared, vanished, changed, unknown] =
        [Verdict::Appeared, Verdict::Vanished, Verdict::Changed, Verdict::Unknown].map(of);
    if task.json {
        let mut buffered = BufWriter::with_capacity(OUT_BYTES, out);
        let [appeared, vanished, changed, unknown] = [appeared, vanished, changed, unknown].map(Each::new);
        document::write_pretty(&Report { head, appeared, vanished, changed, unknown }, &mut buffered)?;
        buffered.flush()?;
    } else {
        let parts = text::Parts { appeared, vanished, changed, unknown };
        let text = text::text(&head, parts, &text::RECORDINGS, out.paint());
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}
