//! `diff` for people.

use super::json::{ChangeReport, Head, Row, ShareReport, SideReport};
use crate::count::handshakes::percent;
use crate::report::watched::Watched;
use crate::words::escape;
use crate::words::text::{Align, Paint, Table, and_more, counted, few, grouped, section};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Rows of a part that are shown.
const TOP: usize = 40;

/// How many times as long one side has to watch for that to be said.
const LONGER: u64 = 2;

/// Columns of the names that the page begins with.
const NAMES: usize = 12;

/// What the parts are called.
pub(super) struct Headings {
    pub appeared: &'static str,
    pub vanished: &'static str,
}

/// Of two recordings.
pub(super) const RECORDINGS: Headings = Headings { appeared: "Appeared", vanished: "Vanished" };

/// Of a list and what ran.
pub(super) const CBOM: Headings = Headings { appeared: "Ran and not listed", vanished: "Listed and never ran" };

/// Rows by what became of them.
pub(super) struct Parts<A, V, C, U> {
    pub appeared: A,
    pub vanished: V,
    pub changed: C,
    pub unknown: U,
}

pub(super) fn text<A, V, C, U>(head: &Head, parts: Parts<A, V, C, U>, names: &Headings, paint: Paint) -> String
where
    A: Iterator<Item = Row>,
    V: Iterator<Item = Row>,
    C: Iterator<Item = Row>,
    U: Iterator<Item = Row>,
{
    let mut out = String::new();
    head.write(names, paint, &mut out);
    things(names.appeared, parts.appeared, paint, &mut out);
    things(names.vanished, parts.vanished, paint, &mut out);
    changed(parts.changed, paint, &mut out);
    unknown(parts.unknown, head, paint, &mut out);
    shares(&head.shares, paint, &mut out);
    section("Not compared", paint, &mut out);
    head.not_compared.iter().for_each(|what| {
        let _ = writeln!(out, "  {what}");
    });
    out
}

impl Head {
    fn write(&self, names: &Headings, paint: Paint, out: &mut String) {
        self.old.write("Old", paint, out);
        self.new.write("New", paint, out);
        let mut line = |name: &str, text: &str| paint.line(out, NAMES, name, text);
        let (old, new) = (Watched::longest(&self.old.watched), Watched::longest(&self.new.watched));
        let (shorter, longer) = (old.min(new).max(1), old.max(new));
        if !self.old.watched.is_empty() && longer / shorter >= LONGER {
            let which = if new > old { "the new one" } else { "the old one" };
            let times = grouped(longer / shorter);
            line(
                "Lengths",
                &format!("{which} watched {times} times as long: rare things may appear for that reason alone"),
            );
        }
        if let Some(as_of) = &self.as_of {
            line("As of", as_of);
        }
        let counts = self.counts;
        let parts = [
            (counts.appeared, names.appeared.to_lowercase()),
            (counts.vanished, names.vanished.to_lowercase()),
            (counts.changed, "changed".to_owned()),
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", grouped(count)))
            .collect();
        let shares = self.shares.iter().filter(|share| share.changed == Some(true)).count() as u64;
        let shares = (shares > 0).then(|| counted(shares, "share changed", "shares changed"));
        let parts: Vec<String> = parts.into_iter().chain(shares).collect();
        let same = format!("{} the same", counted(counts.same, "thing is", "things are"));
        match (self.differ, self.complete) {
            (true, _) => line("Differ", &format!("{}; {same}", paint.bad(&parts.join(", ")))),
            (false, true) => line("Differ", &format!("{}; {same}", paint.good("no difference"))),
            (false, false) => {
                line("Differ", &format!("no difference is known, but not everything was seen on both sides; {same}"));
            }
        }
        if counts.unknown > 0 {
            let of = counted(counts.unknown, "more thing", "more things");
            line("", &format!("for {of} it is not known whether they differ: the other side could not see them"));
        }
        let left_out: u64 = self.ignored.iter().map(|rule| rule.differences).sum();
        if left_out > 0 {
            let rules = self.ignored.iter().filter(|rule| rule.differences > 0);
            let rules: Vec<String> = rules.map(|rule| rule.rule.clone()).collect();
            let count = counted(left_out, "difference", "differences");
            line("Ignored", &safe(&format!("{count}, by {}", few(&rules))));
        }
    }
}

impl SideReport {
    fn write(&self, name: &str, paint: Paint, out: &mut String) {
        Watched::write(name, &self.watched, NAMES, paint, out);
        let mut line = |name: &str, text: &str| paint.line(out, NAMES, name, text);
        if let Some(cbom) = &self.cbom {
            let by = if cbom.made_by.is_empty() { String::new() } else { format!(", made by {}", few(&cbom.made_by)) };
            let at = cbom.timestamp.as_ref().map_or_else(String::new, |at| format!(", {at}"));
            line(name, &safe(&format!("CBOM, CycloneDX {}{by}{at}", cbom.spec_version)));
            let compared = counted(cbom.compared, "component is compared", "components are compared");
            line("", &format!("{compared}, {} cannot be", grouped(cbom.not_compared)));
            if cbom.compared == 0 {
                line("", &paint.bad("it lists nothing that can be compared"));
            }
            for (why, count) in cbom.not_compared_by.iter().take(10) {
                line("", &safe(&format!("{} {why}", grouped(*count))));
            }
        }
        for (about, reasons) in &self.blind_to {
            for why in reasons {
                let about = if *about == "everything" { String::new() } else { format!("{about}: ") };
                line("", &paint.bad(&format!("could not see what the other could: {about}{why}")));
            }
        }
        let is_told = |gap: &&String| self.blind_to.values().flatten().any(|why| why == *gap);
        for gap in self.missing.iter().filter(|gap| !is_told(gap)) {
            line("", &format!("missing: {gap}"));
        }
    }
}

/// What JSON escapes where it is written.
fn safe(text: &str) -> String {
    escape::for_people(text.as_bytes())
}

/// `seen as /tmp/x1Y2z3; programs: /usr/bin/a, /usr/bin/b and 3 more; version: 3.0.17`
fn described(row: &Row) -> String {
    let one = |(name, values): (&&str, &Vec<String>)| format!("{}: {}", name.replace('_', " "), few(values));
    // That of a library is its version.
    let is_renamed = !row.seen_as.is_empty() && row.category != "library";
    let seen_as = is_renamed.then(|| format!("seen as {}", few(&row.seen_as)));
    safe(&seen_as.into_iter().chain(row.attributes.iter().map(one)).collect::<Vec<_>>().join("; "))
}

fn category(row: &Row) -> String {
    row.category.replace('_', " ")
}

fn things(name: &str, rows: impl Iterator<Item = Row>, paint: Paint, out: &mut String) {
    let mut table = Table::new(&[
        ("what", Align::Left),
        ("name", Align::Left),
        ("times", Align::Right),
        ("more of it", Align::Left),
    ]);
    let mut more = 0;
    for (number, row) in rows.enumerate() {
        if number >= TOP {
            more += 1;
            continue;
        }
        let times = row.new_count.or(row.old_count).filter(|count| *count > 0);
        table.row(vec![
            category(&row),
            safe(&row.name),
            times.map_or_else(|| "-".to_owned(), grouped),
            described(&row),
        ]);
    }
    if !table.is_empty() {
        section(name, paint, out);
        table.without_idle(&["times", "more of it"]).write(paint, out);
        and_more(more, "; see -f json", out);
    }
}

/// `programs: + /usr/bin/a, - /usr/bin/b`, `version: 3.0.16, now 3.0.17`
fn change(change: &ChangeReport) -> String {
    let name = change.attribute.replace('_', " ");
    let one_of_each = |of: &[String]| of.len() == 1;
    if one_of_each(&change.old) && one_of_each(&change.new) && !is_plural(change.attribute) {
        let (old, new) = (few(&change.old), few(&change.new));
        return safe(&format!("{name}: {old}, now {new}"));
    }
    let part = |sign: &str, of: &[String]| (!of.is_empty()).then(|| format!("{sign} {}", few(of)));
    let parts: Vec<String> = [part("+", &change.new), part("-", &change.old)].into_iter().flatten().collect();
    safe(&format!("{name}: {}", parts.join("; ")))
}

/// Whether a thing has several of it.
fn is_plural(attribute: &str) -> bool {
    attribute.ends_with('s') || matches!(attribute, "seen_in" | "shown_by" | "tls_as" | "key_exchange")
}

fn changed(rows: impl Iterator<Item = Row>, paint: Paint, out: &mut String) {
    let mut table = Table::new(&[("what", Align::Left), ("name", Align::Left), ("how", Align::Left)]);
    let mut more = 0;
    for (number, row) in rows.enumerate() {
        if number >= TOP {
            more += 1;
            continue;
        }
        let known = row.changes.iter().filter(|change| change.why.is_empty()).map(change);
        let unknown = row.changes.iter().filter(|change| !change.why.is_empty()).count() as u64;
        let unknown = (unknown > 0).then(|| format!("for {} it is not known", counted(unknown, "more", "more")));
        for (index, how) in known.chain(unknown).enumerate() {
            let first = index == 0;
            table.row(vec![
                if first { category(&row) } else { String::new() },
                if first { safe(&row.name) } else { String::new() },
                how,
            ]);
        }
    }
    if !table.is_empty() {
        section("Changed", paint, out);
        table.write(paint, out);
        and_more(more, "; see -f json", out);
    }
}

/// By the reasons why it is not known.
fn unknown(rows: impl Iterator<Item = Row>, head: &Head, paint: Paint, out: &mut String) {
    let mut by_reason: BTreeMap<(bool, Vec<String>), (Vec<Row>, usize)> = BTreeMap::new();
    for row in rows {
        // What the new one lacks; of a thing that both have, values.
        let is_of_new = match (row.old_count, row.new_count) {
            (Some(_), Some(_)) => row.changes.iter().any(|change| !change.old.is_empty()),
            (old, _) => old.is_some(),
        };
        let why = match row.why.is_empty() {
            true => row.changes.iter().flat_map(|change| change.why.iter().cloned()).collect(),
            false => row.why.clone(),
        };
        // Reasons are few: they are those of a side.
        let (shown, more) = by_reason.entry((is_of_new, why)).or_default();
        if shown.len() < TOP { shown.push(row) } else { *more += 1 }
    }
    let side =
        |report: &SideReport, name: &str| if report.kind == "cbom" { "the CBOM".to_owned() } else { name.to_owned() };
    for ((is_of_new, why), (rows, more)) in by_reason {
        let (lacks, has) = match is_of_new {
            true => (side(&head.new, "the new one"), side(&head.old, "the old one")),
            false => (side(&head.old, "the old one"), side(&head.new, "the new one")),
        };
        section(&format!("Not known: only {has} has it, but {lacks} could not see it"), paint, out);
        for reason in why.iter().take(5) {
            let _ = writeln!(out, "  as {reason}");
        }
        and_more(why.len().saturating_sub(5), " reasons; see -f json", out);
        let mut table = Table::new(&[("what", Align::Left), ("name", Align::Left), ("more of it", Align::Left)]);
        for row in &rows {
            let how: Vec<String> = row.changes.iter().map(change).collect();
            let more_of_it = if how.is_empty() { described(row) } else { how.join("; ") };
            table.row(vec![category(row), safe(&row.name), more_of_it]);
        }
        table.without_idle(&["more of it"]).write(paint, out);
        and_more(more, "; see -f json", out);
    }
}

fn shares(shares: &[ShareReport], paint: Paint, out: &mut String) {
    let mut table = Table::new(&[
        ("share", Align::Left),
        ("old", Align::Right),
        ("of", Align::Right),
        ("new", Align::Right),
        ("of", Align::Right),
        ("", Align::Left),
    ]);
    for share in shares {
        let part = |part: u64, all: u64| if all == 0 { "-".to_owned() } else { percent(part, all) };
        let verdict = match share.changed {
            Some(true) => paint.bad("changed"),
            Some(false) => "about the same".to_owned(),
            None => "not comparable".to_owned(),
        };
        table.row(vec![
            share.name.replace('_', " ").replace("tls 1 3", "TLS 1.3"),
            part(share.old.part, share.old.all),
            grouped(share.old.all),
            part(share.new.part, share.new.all),
            grouped(share.new.all),
            verdict,
        ]);
    }
    if !table.is_empty() {
        section("Shares of handshakes", paint, out);
        table.write(paint, out);
    }
}
