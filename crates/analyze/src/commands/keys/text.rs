//! `keys` for people.

use super::baseline::New;
use super::json::{Head, RowReport, UseReport, UserReport};
use crate::report::parts::{failures_in_short, second};
use crate::report::watched::Watched;
use crate::words::escape;
use crate::words::text::{Align, Paint, Table, counted, grouped, plural, section};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Rows of a table that are shown.
const TOP: usize = 30;

/// Characters of a container's id.
const ID: usize = 12;

/// Columns of the names that the page begins with.
const NAMES: usize = 12;

pub(super) fn text(head: &Head, rows: impl Iterator<Item = RowReport>, paint: Paint) -> String {
    let mut out = String::new();
    head.write(paint, &mut out);
    let mut more = 0;
    let mut shown: Vec<RowReport> = Vec::new();
    rows.for_each(|row| if shown.len() < TOP { shown.push(row) } else { more += 1 });
    if shown.is_empty() {
        return out;
    }
    let several = shown.iter().map(|row| &row.host).collect::<BTreeSet<_>>().len() > 1;
    section("Key files", paint, &mut out);
    files(&shown, several, paint, &mut out);
    section("Who opens them", paint, &mut out);
    let users_more = users(&shown, several, paint, &mut out);
    if more > 0 || users_more > 0 {
        let (files, users) = (counted(more, "more key file", "more key files"), plural(users_more, "more user"));
        let _ = writeln!(out, "  and {files}, and {users} of the keys above; see -f json");
    }
    out
}

impl Head {
    fn write(&self, paint: Paint, out: &mut String) {
        let mut line = |name: &str, text: &str| paint.line(out, NAMES, name, text);
        match &self.why_none {
            Some(why) => line("Keys", why),
            None => {
                let keys = counted(self.keys, "key file", "key files");
                let others = grouped(self.readable_by_others);
                let unknown = match self.mode_not_recorded {
                    0 => String::new(),
                    count => format!(", {} without a recorded mode", grouped(count)),
                };
                let several = match self.in_several_containers {
                    0 => String::new(),
                    count => format!(", {} in several containers", grouped(count)),
                };
                line("Keys", &format!("{keys}: {others} readable by others{unknown}{several}"));
            }
        }
        if self.pem_files_that_may_hold_keys > 0 {
            let files = counted(self.pem_files_that_may_hold_keys, "more .pem file", "more .pem files");
            line("", &format!("{files} may hold a key: neither the name nor a library says so"));
        }
        if let Some(baseline) = &self.baseline {
            let known = counted(baseline.new_readers, "new reader", "new readers");
            let rest = match baseline.not_known {
                0 => String::new(),
                count => format!("; for {} the baseline cannot say", grouped(count)),
            };
            line("Baseline", &format!("{known}{rest}"));
        }
        Watched::write("Watched", &self.watched, NAMES, paint, out);
        let mut line = |name: &str, text: &str| paint.line(out, NAMES, name, text);
        if self.missing.is_empty() {
            line("Complete", "yes: nothing lost, nothing dropped");
        }
        for (index, gap) in self.missing.iter().enumerate() {
            line(if index == 0 { "Missing" } else { "" }, &paint.bad(gap));
        }
        if let Some(baseline) = &self.baseline {
            Watched::write("Before", &baseline.watched, NAMES, paint, out);
            for gap in &baseline.missing {
                paint.line(out, NAMES, "", &paint.bad(&format!("missing from the baseline: {gap}")));
            }
        }
        for (index, what) in self.not_recorded.iter().enumerate() {
            paint.line(out, NAMES, if index == 0 { "Not recorded" } else { "" }, what);
        }
    }
}

fn files(rows: &[RowReport], several: bool, paint: Paint, out: &mut String) {
    let mut table = Table::new(&[
        ("mode", Align::Left),
        ("others", Align::Left),
        ("type", Align::Left),
        ("known by", Align::Left),
        ("container", Align::Left),
        ("host", Align::Left),
        ("key", Align::Left),
        ("also at", Align::Left),
    ]);
    for row in rows {
        let others = match (row.readable_by_others, row.writable_by_others) {
            (None, _) | (_, None) => "not known",
            (Some(true), Some(true)) => "read, write",
            (Some(true), Some(false)) => "read",
            (Some(false), Some(true)) => "write",
            (Some(false), Some(false)) => "",
        };
        let guess = if row.confidence == Some("low") { "?" } else { "" };
        table.row(vec![
            row.mode.clone().unwrap_or_else(|| "-".to_owned()),
            others.to_owned(),
            format!("{}{guess}", row.file_type),
            row.by.unwrap_or("-").to_owned(),
            short_id(row.container.as_deref()),
            if several { row.host.clone() } else { String::new() },
            safe(&row.path),
            also_at(row),
        ]);
    }
    table.without_idle(&["others", "container", "host", "also at"]).write(paint, out);
}

/// What JSON escapes where it is written.
fn safe(text: &str) -> String {
    escape::for_people(text.as_bytes())
}

fn short_id(container: Option<&str>) -> String {
    container.map(|id| id.chars().take(ID).collect()).unwrap_or_default()
}

/// `container 0123456789ab: /run/secrets/tls.key and 2 more`
fn also_at(row: &RowReport) -> String {
    let Some(first) = row.also_at.first() else { return String::new() };
    let place = match &first.container {
        Some(id) => format!("container {}: {}", short_id(Some(id)), safe(&first.path)),
        None if row.container.is_some() => format!("no container: {}", safe(&first.path)),
        None => safe(&first.path),
    };
    match row.also_at.len() as u64 + row.also_at_more - 1 {
        0 => place,
        more => format!("{place} and {} more", grouped(more)),
    }
}

/// Returns how many were not shown.
fn users(rows: &[RowReport], several: bool, paint: Paint, out: &mut String) -> u64 {
    let mut table = Table::new(&[
        ("new", Align::Left),
        ("key", Align::Left),
        ("container", Align::Left),
        ("host", Align::Left),
        ("program", Align::Left),
        ("uid", Align::Right),
        ("processes", Align::Right),
        ("opens", Align::Right),
        ("was open", Align::Right),
        ("did", Align::Left),
        ("failed", Align::Left),
        ("last", Align::Left),
    ]);
    let all: Vec<(&RowReport, &UserReport)> =
        rows.iter().flat_map(|row| row.users.iter().map(move |user| (row, user))).collect();
    for (row, user) in all.iter().take(TOP) {
        let new = match user.new {
            Some(New::Yes) => "new",
            Some(New::NotKnown) => "new?",
            Some(New::No) | None => "",
        };
        table.row(vec![
            new.to_owned(),
            safe(&row.path),
            short_id(row.container.as_deref()),
            if several { row.host.clone() } else { String::new() },
            safe(&user.program),
            user.uid.to_string(),
            grouped(user.processes),
            grouped(user.used.opens),
            grouped(user.used.already_open),
            did(&user.used),
            failed(&user.used),
            second(&user.used.last),
        ]);
    }
    table.without_idle(&["new", "container", "host", "was open", "failed"]).write(paint, out);
    all.len().saturating_sub(TOP) as u64
}

/// `read 3, write 1, mode 1, loaded as a key 2`
fn did(used: &UseReport) -> String {
    let counts = [
        ("read", used.reads),
        ("write", used.writes),
        ("neither", used.neither),
        ("may have created it", used.may_create),
        ("loaded as a key", used.loads.succeeded),
        ("loaded as a key, result not known", used.loads.unknown),
    ];
    let changes = used.changes.iter().map(|change| (change.change, change.done));
    let words = counts.into_iter().chain(changes).filter(|(_, count)| *count > 0);
    words.map(|(word, count)| format!("{} {}", word.replace('_', " "), grouped(count))).collect::<Vec<_>>().join(", ")
}

/// `EACCES 3, mode 1`
fn failed(used: &UseReport) -> String {
    let opens = Some(failures_in_short(&used.failures)).filter(|text| !text.is_empty());
    let changes = used.changes.iter().filter(|change| change.failed > 0);
    let changes = changes.map(|change| format!("{} {}", change.change.replace('_', " "), grouped(change.failed)));
    let loads = (used.loads.failed > 0).then(|| format!("load as a key {}", grouped(used.loads.failed)));
    opens.into_iter().chain(changes).chain(loads).collect::<Vec<_>>().join(", ")
}
