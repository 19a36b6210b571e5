//! The document of `keys`: `schema keys` prints its JSON Schema.

use super::args::KINDS;
use super::baseline::{Baseline, New};
use crate::count::files::Access;
use crate::count::keys::{Change, KeyPath, KeyRow, KeyUse, Keys, Loads, User, UserRow};
use crate::report::document::{Each, Escaped};
use crate::report::parts::{Failures, failures};
use crate::report::session::Session;
use crate::report::watched::{self, Watched};
use crate::words::escape;
use crate::words::timestamp::timestamp;
use crypto_trace_format::catalog::FileType;
use serde::Serialize;
use std::collections::BTreeSet;

/// Version of the document: a member that is added does not change it, one that goes or means something else does.
const SCHEMA_VERSION: u32 = 1;

/// The permission to read of others than owner and group.
const FOR_OTHERS: u32 = 0o004;

/// Other places of a file that are shown.
const MAX_PLACES: usize = 100;

/// What no recording has, in the words of the report.
const NOT_RECORDED: [&str; 4] = [
    "the content of files: a file counts as a key by its name, or by what a library was asked to load it as",
    "keys that were read and closed before the recording began, and keys that are in no file (a TPM, an HSM, a key \
     store in memory)",
    "owner and group of a file, access control lists, and the modes of the directories above it: a mode alone does not \
     show who can read a file",
    "modes of files that nobody successfully opened or changed during the recording",
];

/// The document.
#[derive(Serialize)]
#[serde(bound = "")]
pub(super) struct Report<I: Iterator<Item = RowReport>> {
    #[serde(flatten)]
    head: Head,
    rows: Each<I>,
}

/// All of it but the rows.
#[derive(Serialize)]
pub(super) struct Head {
    schema_version: u32,
    pub watched: Vec<Watched>,
    pub not_recorded: Vec<&'static str>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_none: Option<String>,
    pub keys: u64,
    pub readable_by_others: u64,
    /// Of which no mode was recorded.
    pub mode_not_recorded: u64,
    pub in_several_containers: u64,
    pub pem_files_that_may_hold_keys: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineReport>,
    pub missing: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct BaselineReport {
    pub new_readers: u64,
    /// The baseline has no such reader, but did not see everything.
    pub not_known: u64,
    pub watched: Vec<Watched>,
    pub missing: Vec<String>,
}

/// A key file: a path in one container, or in none, of one host.
#[derive(Serialize)]
pub(super) struct RowReport {
    pub host: String,
    pub container: Option<String>,
    pub path: String,
    #[serde(rename = "type")]
    pub file_type: &'static str,
    #[serde(rename = "type_confidence")]
    pub confidence: Option<&'static str>,
    /// As in `files`; `same_file`: the file is a key under another name of it; `load`: a library was asked to load it as one, in vain.
    #[serde(rename = "type_by")]
    pub by: Option<&'static str>,
    /// What libraries were asked to load it as.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<&'static str>,
    /// The last mode that was seen.
    pub mode: Option<String>,
    /// None: no mode was recorded.
    pub readable_by_others: Option<bool>,
    pub readable_by_group: Option<bool>,
    pub writable_by_others: Option<bool>,
    pub modes: Vec<ModeReport>,
    /// Files that were at the path, one after another.
    pub files: Vec<FileReport>,
    /// There were more modes or files.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more_modes_or_files: bool,
    /// Where the same file is as well.
    pub also_at: Vec<Place>,
    #[serde(skip_serializing_if = "is_zero")]
    pub also_at_more: u64,
    pub in_several_containers: bool,
    #[serde(flatten)]
    pub used: UseReport,
    pub users: Vec<UserReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    escaped: Escaped,
}

#[derive(Serialize)]
pub(super) struct ModeReport {
    pub mode: String,
    first: String,
    last: String,
}

#[derive(Serialize)]
pub(super) struct FileReport {
    device: String,
    inode: u64,
}

#[derive(Serialize)]
pub(super) struct Place {
    pub container: Option<String>,
    pub path: String,
}

#[derive(Serialize)]
pub(super) struct UserReport {
    pub program: String,
    pub uid: u32,
    pub processes: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub processes_at_least: bool,
    /// Only with a baseline, of those that read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<New>,
    #[serde(flatten)]
    pub used: UseReport,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    escaped: Escaped,
}

/// What was done.
#[derive(Serialize)]
pub(super) struct UseReport {
    pub opens: u64,
    pub already_open: u64,
    pub reads: u64,
    pub writes: u64,
    /// Opens with O_PATH, which neither read nor write.
    pub neither: u64,
    /// Opens that would have made the file, had there been none.
    pub may_create: u64,
    pub failed: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failures>,
    pub changes: Vec<ChangeReport>,
    pub loads: LoadsReport,
    pub first: String,
    pub last: String,
}

#[derive(Serialize)]
pub(super) struct ChangeReport {
    pub change: &'static str,
    pub done: u64,
    pub failed: u64,
}

#[derive(Serialize)]
pub(super) struct LoadsReport {
    pub succeeded: u64,
    pub failed: u64,
    pub unknown: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl UseReport {
    fn new(used: &KeyUse) -> Self {
        let Access { reads, writes, both, neither } = used.granted;
        let change = |(change, (done, failed)): (Change, (u64, u64))| {
            (done + failed > 0).then(|| ChangeReport { change: change.name(), done, failed })
        };
        let Loads { succeeded, failed, unknown } = used.loads;
        Self {
            opens: used.opens,
            already_open: used.already_open,
            reads: reads + both,
            writes: writes + both,
            neither,
            may_create: used.may_create,
            failed: used.failed(),
            failures: failures(&used.failures),
            changes: Change::ALL.into_iter().zip(used.changes).filter_map(change).collect(),
            loads: LoadsReport { succeeded, failed, unknown },
            first: timestamp(used.span.first),
            last: timestamp(used.span.last),
        }
    }

    /// Everything, by how much of it there is.
    fn all(&self) -> u64 {
        let changes: u64 = self.changes.iter().map(|change| change.done + change.failed).sum();
        let LoadsReport { succeeded, failed, unknown } = self.loads;
        [self.opens, self.already_open, changes, succeeded, failed, unknown].into_iter().fold(0, u64::saturating_add)
    }
}

impl Head {
    pub fn new(session: &Session<'_>, counted: &Keys, baseline: Option<&Baseline>) -> Self {
        let rows = || counted.rows.iter();
        let others = rows().filter(|(_, row)| row.mode().is_some_and(|mode| mode & FOR_OTHERS != 0)).count();
        let several = rows().filter(|(_, row)| row.in_several_containers(counted)).count();
        let new = |wanted: New| {
            let of_row = |baseline: &Baseline, at: &KeyPath, row: &KeyRow| {
                let is = |(user, row): &(&User, &UserRow)| baseline.is_new(session, at, user, row) == Some(wanted);
                row.users.iter().filter(is).count() as u64
            };
            baseline.map_or(0, |baseline| rows().map(|(at, row)| of_row(baseline, at, row)).sum())
        };
        let watched = Watched::all(session, &KINDS);
        Self {
            schema_version: SCHEMA_VERSION,
            not_recorded: NOT_RECORDED.to_vec(),
            why_none: counted.rows.is_empty().then(|| session.why_none("key files")),
            keys: counted.rows.len() as u64,
            readable_by_others: others as u64,
            mode_not_recorded: rows().filter(|(_, row)| row.mode().is_none()).count() as u64,
            in_several_containers: several as u64,
            pem_files_that_may_hold_keys: counted.may_hold_keys,
            baseline: baseline.map(|baseline| BaselineReport {
                new_readers: new(New::Yes),
                not_known: new(New::NotKnown),
                watched: baseline.watched.clone(),
                missing: baseline.missing.clone(),
            }),
            missing: watched::missing(session, &watched, "keys"),
            watched,
        }
    }
}

/// Rows, those that others may read or that several containers have first; each is made when it is asked for.
pub(super) fn rows<'a>(
    session: &'a Session<'_>,
    counted: &'a Keys,
    baseline: Option<&'a Baseline>,
) -> impl Iterator<Item = RowReport> + 'a {
    let mut rows: Vec<(&KeyPath, &KeyRow)> = counted.rows.iter().collect();
    let for_others = |row: &KeyRow| row.mode().is_some_and(|mode| mode & FOR_OTHERS != 0);
    // Stable: equals stand in the order of their keys.
    rows.sort_by_key(|(_, row)| (!for_others(row), !row.in_several_containers(counted)));
    rows.into_iter().filter_map(move |row| RowReport::new(session, counted, baseline, row))
}

impl<I: Iterator<Item = RowReport>> Report<I> {
    pub fn new(head: Head, rows: I) -> Self {
        Self { head, rows: Each::new(rows) }
    }
}

impl RowReport {
    fn new(
        session: &Session<'_>,
        counted: &Keys,
        baseline: Option<&Baseline>,
        (at, row): (&KeyPath, &KeyRow),
    ) -> Option<Self> {
        let reveal = session.reveal();
        let mut escaped = Escaped::new();
        let host = session.captures.get(at.host as usize).map(|capture| &*capture.meta.host).unwrap_or_default();
        let container = at.container.as_deref().map(|id| session.shown(id));
        let path = reveal.path(&at.path, "path", &mut escaped);
        let judged = row.facts.judged;
        let is_private_key = row.by_same_file || judged.is_none();
        let mode = row.mode();
        let places = || row.shared.iter().filter_map(|file| counted.shared.get(file));
        let others = places().flat_map(|places| &places.at).filter(|place| *place != at);
        let others: BTreeSet<&KeyPath> = others.take(MAX_PLACES).collect();
        let all_others: usize = places().map(|places| places.at.len().saturating_sub(1)).sum();
        let bit = |bit: u32| mode.map(|mode| mode & bit != 0);
        let mut users: Vec<UserReport> =
            row.users.iter().map(|(user, row)| UserReport::new(session, baseline, at, (user, row))).collect();
        users.sort_by_key(|user| std::cmp::Reverse(user.used.all()));
        Some(Self {
            host: escape::for_people(host.as_bytes()),
            container,
            path,
            file_type: judged
                .filter(|_| !row.by_same_file)
                .map_or(FileType::PrivateKey, |judged| judged.file_type)
                .name(),
            confidence: judged.filter(|_| !is_private_key).map(|judged| judged.confidence.name()),
            by: match judged {
                _ if row.by_same_file => Some("same_file"),
                Some(judged) => Some(judged.by.name()),
                None => Some("load"),
            },
            uses: row.facts.uses.types().map(FileType::name).collect(),
            mode: mode.map(octal),
            readable_by_others: bit(FOR_OTHERS),
            readable_by_group: bit(0o040),
            writable_by_others: bit(0o002),
            modes: row
                .facts
                .modes
                .iter()
                .map(|(mode, span)| ModeReport {
                    mode: octal(*mode),
                    first: timestamp(span.first),
                    last: timestamp(span.last),
                })
                .collect(),
            files: row
                .facts
                .files
                .iter()
                .map(|(dev, ino)| FileReport { device: format!("{}:{}", dev >> 20, dev & 0xf_ffff), inode: *ino })
                .collect(),
            more_modes_or_files: row.facts.is_cut,
            also_at: others
                .iter()
                .map(|place| Place {
                    container: place.container.as_deref().map(|id| session.shown(id)),
                    path: reveal.path(&place.path, "also_at", &mut escaped),
                })
                .collect(),
            also_at_more: all_others.saturating_sub(MAX_PLACES) as u64,
            in_several_containers: row.in_several_containers(counted),
            used: UseReport::new(&row.whole()?),
            users,
            escaped,
        })
    }
}

fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

impl UserReport {
    fn new(session: &Session<'_>, baseline: Option<&Baseline>, at: &KeyPath, (user, row): (&User, &UserRow)) -> Self {
        let mut escaped = Escaped::new();
        Self {
            program: session.reveal().text(&user.program, "program", &mut escaped),
            uid: user.uid,
            processes: row.processes(),
            processes_at_least: row.is_cut,
            new: baseline.and_then(|baseline| baseline.is_new(session, at, user, row)),
            used: UseReport::new(&row.used),
            escaped,
        }
    }
}
