//! Directories of which a program reads file after file, as one row: a trust directory has some hundreds of certificates.
//!
//! Only files that anyone may read are grouped, and those of which an open failed apart from those that could all be opened;
//! keys stay single. What is grouped adds up: opens and failures are sums, a process is counted once.

use super::{PathRow, PathTable, ProgramUse, Programs, Shown};
use crate::count::files::FileUse;
use crypto_trace_format::catalog::FileType;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Files of one directory from which on they are one row.
pub const MANY_FILES: usize = 20;

/// What files of one row have in common: directory, type, whether that is a guess, whether an open failed.
pub type Common<'a> = (&'a [u8], FileType, bool, bool);

/// What a file would be grouped by; none where it stands alone.
pub fn common(path: &[u8], file_type: FileType, is_guess: bool, failed: bool) -> Option<Common<'_>> {
    let public = [FileType::Certificate, FileType::TrustStore, FileType::RevocationList].contains(&file_type);
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    let directory = path.get(..slash.max(1))?;
    public.then_some((directory, file_type, is_guess, failed))
}

/// A path and what is known of it.
type Row<'a> = (&'a Vec<u8>, &'a PathRow<FileUse>);

/// A process: capture, id, start in ticks.
type Process = (u32, u32, u64);

fn of_row<'a>(path: &'a [u8], row: &PathRow<FileUse>) -> Option<Common<'a>> {
    common(path, row.used.file_type(), row.used.is_guess(), row.used.failed() > 0)
}

impl PathTable<FileUse> {
    /// All rows by path, those of directories with many files as one.
    pub(super) fn grouped<'a>(&'a self, host: &'a str, programs: &'a Programs) -> Vec<Shown<'a, FileUse>> {
        let rows = self.rows.sorted();
        let mut groups: BTreeMap<Common<'_>, Vec<Row<'_>>> = BTreeMap::new();
        for (path, row) in &rows {
            if let Some(common) = of_row(path, row) {
                groups.entry(common).or_default().push((path, row));
            }
        }
        groups.retain(|_, rows| rows.len() >= MANY_FILES);
        let numbers: HashMap<Common<'_>, usize> = groups.keys().copied().zip(0..).collect();
        let group_of = |path: &'a [u8], row| of_row(path, row).and_then(|common| numbers.get(&common).copied());
        let mut by_row: HashMap<usize, usize> = HashMap::new();
        for (path, row) in &rows {
            if let (Some(group), Some(number)) = (group_of(path, row), self.rows.number(&path[..])) {
                by_row.insert(number, group);
            }
        }
        // A process opens one file after the other.
        let mut processes: HashMap<(usize, usize), HashSet<Process>> = HashMap::new();
        for (row, program, capture, tgid, start) in &self.seen {
            if let Some(group) = by_row.get(row) {
                processes.entry((*group, *program)).or_default().insert((*capture, *tgid, *start));
            }
        }
        let mut shown: Vec<Shown<'_, FileUse>> = rows
            .iter()
            .filter(|(path, row)| group_of(path, row).is_none())
            .map(|(path, row)| Self::show(host, path, row, programs))
            .collect();
        for ((common, rows), group) in groups.iter().zip(0..) {
            let mut used: Option<FileUse> = None;
            let mut by_program: BTreeMap<usize, ProgramUse> = BTreeMap::new();
            for (_, row) in rows {
                match &mut used {
                    Some(used) => used.add(&row.used),
                    None => used = Some(row.used.clone()),
                }
                for (program, of) in &row.programs {
                    let total = by_program.entry(*program).or_default();
                    total.uses += of.uses;
                    total.failed += of.failed;
                }
            }
            let Some(used) = used else { continue };
            for (program, total) in &mut by_program {
                total.processes = processes.get(&(group, *program)).map_or(0, |set| set.len() as u64);
            }
            let used = Cow::Owned(used);
            let programs = programs.by_use(&by_program);
            shown.push(Shown { host, key: common.0, files: rows.len() as u64, used, programs });
        }
        shown.sort_by_key(|shown| shown.key);
        shown
    }
}
