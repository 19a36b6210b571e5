//! `diff`: what appeared, vanished or changed between two recordings.
//!
//! With a CBOM as the old side: what is listed and never ran, and what ran and is not listed (`listing.rs`, `align.rs`).
//!
//! What each side used is gathered in `gather.rs` from what is counted elsewhere, with names that are the same from run to run
//! (`names.rs`); `compare.rs` holds one against the other, and `sight.rs` says what is no difference as one of them could not see
//! it.

mod align;
mod args;
mod compare;
mod findings;
mod gather;
mod ignore;
mod inventory;
mod json;
mod listing;
mod names;
mod sight;
mod text;
mod things;

pub(crate) use args::{Args, Task};

use super::cbom;
use crate::cli::console::{Console, Output};
use crate::cli::exit::Outcome;
use crate::cli::{Input, Request};
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
use json::{CbomReport, Head, Report, SideReport, rows};
use sight::Sight;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// One side, read whole.
#[derive(Default)]
struct Read {
    inventory: Inventory,
    sight: Sight,
    watched: Vec<Watched>,
    missing: Vec<String>,
    /// Of a CBOM, what it says of itself.
    cbom: Option<CbomReport>,
}

impl Read {
    fn report(&self, beyond: &Sight) -> SideReport {
        SideReport {
            kind: if self.cbom.is_some() { "cbom" } else { "recordings" },
            cbom: self.cbom.clone(),
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
    let (old_path, new_path) = (path(&task.old), path(&task.new));
    if let Some(path) = new_path.filter(|path| listing::is_one(path).is_ok_and(|is_one| is_one)) {
        bail!("{}: this is JSON, not a recording: give a CBOM as OLD, before the recording", path.display());
    }
    match old_path {
        Some(path) if listing::is_one(path)? => with_cbom(task, path, &ignore, console),
        _ => recordings(task, &ignore, console),
    }
}

fn path(request: &Request) -> Option<&Path> {
    match &request.input {
        Input::Paths { paths, .. } => paths.first().map(PathBuf::as_path),
        Input::Stdin | Input::Follow { .. } => None,
    }
}

/// Two recordings.
fn recordings(task: &Task, ignore: &Ignore, console: Console) -> Result<Outcome> {
    let mut old = old(task, console)?;
    let (mut session, out) = Session::begin(&task.new, console)?;
    let mut new = read(&mut session, task.exact_names)?;
    let as_of = AsOf::of(&session, task.as_of).date;
    for side in [&mut old, &mut new] {
        findings::add(&mut side.inventory, as_of, &task.rules, task.exact_names);
    }
    finish(task, (&old, &new), Some(as_of.to_string()), ignore, (session, out))
}

/// What is listed against what ran, which is listed in the same way for that.
fn with_cbom(task: &Task, path: &Path, ignore: &Ignore, console: Console) -> Result<Outcome> {
    let listing = listing::read(path)?;
    refuse_overwriting(task.new.output.as_deref(), path)?;
    let (mut session, out) = Session::begin(&task.new, console)?;
    let ran = listing::parse(cbom::written(&mut session)?.as_bytes())?;
    let (listed, inventory) = align::align(&listing.things, &ran.things);
    let old = Read { inventory: listed, cbom: Some(listing.report), ..Read::default() };
    let hidden = ran.things.iter().any(|one| one.name == TLS_1_3);
    let new = Read { inventory, ..of_session(&session, u64::from(hidden)) };
    finish(task, (&old, &new), None, ignore, (session, out))
}

/// As a listing names it.
const TLS_1_3: &str = "TLS 1.3";

/// An output that is the CBOM as well would be emptied.
fn refuse_overwriting(output: Option<&Path>, cbom: &Path) -> Result<()> {
    match output.and_then(|output| output.canonicalize().ok()) {
        Some(output) if cbom.canonicalize().is_ok_and(|cbom| cbom == output) => {
            bail!("{}: is an input and cannot be the output", output.display())
        }
        _ => Ok(()),
    }
}

/// How it was.
fn old(task: &Task, console: Console) -> Result<Read> {
    let (mut session, _) = Session::begin(&task.old, console)?;
    session.refuse_output(task.new.output.as_deref())?;
    let read = read(&mut session, task.exact_names)?;
    if session.tally.processed == 0 && session.faults.any_damage() {
        bail!("the old one could not be read: every block is damaged");
    }
    Ok(read)
}

fn read(session: &mut Session<'_>, exact: bool) -> Result<Read> {
    let mut gather = Gather::new(exact);
    session.fold(&mut gather)?;
    let read = of_session(session, gather.inventory.hidden);
    Ok(Read { inventory: gather.inventory, ..read })
}

/// All but what was used. `hidden`: handshakes whose certificates are encrypted.
fn of_session(session: &Session<'_>, hidden: u64) -> Read {
    Read {
        sight: Sight::of(session, hidden),
        watched: Watched::all(session, &KINDS),
        missing: session.gaps(None),
        ..Read::default()
    }
}

/// Compares, and says what came out.
fn finish(
    task: &Task,
    (old, new): (&Read, &Read),
    as_of: Option<String>,
    ignore: &Ignore,
    (mut session, mut out): (Session<'_>, Output),
) -> Result<Outcome> {
    let (of_old, of_new) = (old.sight.beyond(&new.sight), new.sight.beyond(&old.sight));
    let old_side = Side { inventory: &old.inventory, beyond: &of_old };
    let new_side = Side { inventory: &new.inventory, beyond: &of_new };
    let compared = compare(old_side, new_side, task.share_points, ignore);
    let head = Head::new([old.report(&of_old), new.report(&of_new)], as_of, &compared, ignore);
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
        let headings = if head.old.cbom.is_some() { text::CBOM } else { text::RECORDINGS };
        let parts = text::Parts { appeared, vanished, changed, unknown };
        let text = text::text(&head, parts, &headings, out.paint());
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}
