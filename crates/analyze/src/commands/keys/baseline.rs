//! Who read which key before.

use crate::cli::Request;
use crate::cli::console::Console;
use crate::count::keys::{KeyPath, Keys, User, UserRow};
use crate::report::session::Session;
use crate::report::watched::{self, Watched};
use anyhow::{Result, bail};
use crypto_trace_format::record::FileOpen;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Who reads which key: host, in a container or not, path, user. Ids of containers change with every start, so they do not count.
type Reader = (Box<str>, bool, Box<[u8]>, User);

/// Whether someone reads a key who did not before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum New {
    /// The baseline has no such reader, and nothing of it is missing.
    Yes,
    /// It has.
    No,
    /// It has none, but did not see everything.
    NotKnown,
}

/// By host, the options that say what was to be recorded.
type Selections = HashMap<String, BTreeSet<Vec<String>>>;

fn selections(session: &Session<'_>) -> Selections {
    let mut selections = Selections::new();
    // A look at /proc adds to what others of its host recorded.
    for capture in session.captures.iter().filter(|capture| capture.snapshot().is_none()) {
        let options = capture.meta.options().1.into_iter().map(Into::into).collect();
        selections.entry(capture.meta.host.clone()).or_default().insert(options);
    }
    selections
}

/// What was recorded before.
pub(super) struct Baseline {
    readers: HashSet<Reader>,
    /// What was to be recorded of each host.
    selections: Selections,
    /// Nothing is missing but what was not to be recorded.
    is_whole: bool,
    /// Hosts of which it saw every open that was recorded, or that a recording of the same selection would have.
    whole: HashSet<String>,
    pub watched: Vec<Watched>,
    pub missing: Vec<String>,
}

impl Baseline {
    pub fn read(request: &Request, console: Console) -> Result<Self> {
        let (mut session, _) = Session::begin(request, console)?;
        let mut counted = Keys::default();
        session.fold(&mut counted)?;
        if session.tally.processed == 0 && session.faults.any_damage() {
            bail!("the baseline cannot be read: every block is damaged");
        }
        counted.settle();
        // Who reads is known by opens.
        let watched = Watched::all(&session, &[FileOpen::KIND]);
        let missing = watched::missing(&session, &watched, "readers");
        let is_whole = watched::missing_of_selection(&session, &watched, "readers").is_empty();
        let readers = counted.rows.iter().flat_map(|(at, row)| {
            let readers = row.users.iter().filter(|(_, row)| row.used.reads());
            readers.filter_map(|(user, _)| reader(&session, at, user))
        });
        let (readers, selections) = (readers.collect(), selections(&session));
        Ok(Self { readers, selections, is_whole, whole: HashSet::new(), watched, missing })
    }

    /// Finds out of which hosts it would have seen every reader that the recordings of `session` did.
    pub fn compare(&mut self, session: &Session<'_>) {
        let now = selections(session);
        let everything = || BTreeSet::from([Vec::new()]);
        let is_whole = |(host, before): &(&String, &BTreeSet<Vec<String>>)| {
            **before == everything() || now.get(*host).is_none_or(|now| now.is_subset(before))
        };
        let whole = self.selections.iter().filter(is_whole).map(|(host, _)| host.clone());
        self.whole = if self.is_whole { whole.collect() } else { HashSet::new() };
    }

    /// Whether this reader is new; None: nothing was read.
    pub fn is_new(&self, session: &Session<'_>, at: &KeyPath, user: &User, row: &UserRow) -> Option<New> {
        let reader = row.used.reads().then(|| reader(session, at, user))??;
        Some(match () {
            () if self.readers.contains(&reader) => New::No,
            () if self.whole.contains(&*reader.0) => New::Yes,
            () => New::NotKnown,
        })
    }
}

fn reader(session: &Session<'_>, at: &KeyPath, user: &User) -> Option<Reader> {
    let host = &*session.captures.get(at.host as usize)?.meta.host;
    Some((host.into(), at.container.is_some(), at.path.clone(), user.clone()))
}
