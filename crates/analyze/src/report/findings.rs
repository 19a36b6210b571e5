//! What rules say of the algorithms that were used, as `tls` and `algorithms` show it.
//!
//! JSON has one row for each algorithm and rule; people read one entry for each rule, with all algorithms it speaks of.

use crate::count::handshakes::{self, Finding};
use crate::report::judged::Judged;
use crate::rules::Rules;
use crate::words::text::few;
use crate::words::text::{grouped, plural};
use clap::ValueEnum;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Bytes of a line, about, before it is broken.
const LINE: usize = 100;

/// A rule that speaks of something that was negotiated.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    algorithm: String,
    seen_in: Vec<&'static str>,
    handshakes: u64,
    calls: u64,
    programs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    #[serde(flatten)]
    finding: Finding,
}

/// Rules in force first, the strictest first among them, then by how often.
pub(crate) fn found(judged: &Judged<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (name, row) in &judged.totals.handshakes.algorithms {
        for finding in handshakes::findings(name, row, judged.as_of.date, judged.rules) {
            found.push(Found {
                algorithm: judged.shown(name.as_bytes()),
                seen_in: row.places.iter().map(|place| place.name()).collect(),
                handshakes: row.handshakes,
                calls: row.calls,
                programs: row.programs.iter().map(|program| judged.shown(program)).collect(),
                hosts: judged.hosts(&row.hosts),
                finding,
            });
        }
    }
    let strictness = |status: &str| ["disallowed", "deprecated", "discouraged"].iter().position(|one| *one == status);
    // Stable: rows come by name, and by the order of `findings`.
    found.sort_by_key(|row| {
        let later = if row.finding.in_force { String::new() } else { row.finding.effective.clone() };
        (later, strictness(row.finding.status), std::cmp::Reverse(row.handshakes))
    });
    found
}

/// Whose rules judge.
pub(crate) fn names(judged: &Judged<'_>) -> Vec<&'static str> {
    let chosen = judged.rules;
    let judge = |rules: &&Rules| chosen.is_empty() || chosen.contains(rules);
    Rules::value_variants().iter().filter(judge).map(|rules| rules.name()).collect()
}

/// The same, when not all do: `ietf, nist`
pub(crate) fn whose(judged: &Judged<'_>) -> Option<String> {
    (!judged.rules.is_empty()).then(|| names(judged).join(", "))
}

/// Appends the rules in force, and those to come.
pub(crate) fn write(found: &[Found], judged: &Judged<'_>, out: &mut String) {
    let paint = judged.paint;
    let (now, later): (Vec<&Found>, Vec<&Found>) = found.iter().partition(|row| row.finding.in_force);
    let _ = writeln!(out, "\n{}", paint.heading(&format!("Weak or deprecated as of {}", judged.as_of.date)));
    if now.is_empty() {
        let whose = whose(judged).map_or_else(String::new, |whose| format!(" ({whose}, as --rules says)"));
        let _ = writeln!(out, "  no rule in force objects to what was used{whose}");
    }
    entries(&now, judged, out);
    if !later.is_empty() {
        let _ = writeln!(out, "\n{}", paint.heading("Upcoming rules"));
        entries(&later, judged, out);
    }
}

/// One entry for each rule, in the order of their first rows.
fn entries(rows: &[&Found], judged: &Judged<'_>, out: &mut String) {
    let mut rules: Vec<Vec<&Found>> = Vec::new();
    for row in rows {
        let same = |rule: &&mut Vec<&Found>| rule.first().is_some_and(|first| first.finding == row.finding);
        match rules.iter_mut().find(same) {
            Some(rule) => rule.push(row),
            None => rules.push(vec![row]),
        }
    }
    for rule in rules {
        let Some(first) = rule.first() else { continue };
        let finding = &first.finding;
        let status = if finding.in_force {
            judged.paint.bad(finding.status)
        } else {
            format!("{} from {} on", finding.status, finding.effective)
        };
        let names = rule.iter().enumerate().map(|(index, row)| match index {
            _ if row.handshakes == 0 => format!("{} ({})", row.algorithm, plural(row.calls, "call")),
            0 => format!("{} ({})", row.algorithm, plural(row.handshakes, "handshake")),
            _ => format!("{} ({})", row.algorithm, grouped(row.handshakes)),
        });
        // Colours must not count as width.
        let plain_len = status.chars().count().min(finding.status.len() + 20);
        let names = wrapped(&names.collect::<Vec<_>>(), ", ", plain_len, 4);
        let _ = writeln!(out, "  {status}: {names}");
        let mut paragraph = |text: &str| {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            let _ = writeln!(out, "    {}", wrapped(&words, " ", 2, 4));
        };
        paragraph(&format!("\u{201c}{}\u{201d}", finding.says));
        let remarks = [finding.note.map(str::to_owned), finding.scope.map(|scope| format!("for {scope}"))];
        let remarks: Vec<String> = remarks.into_iter().flatten().collect();
        if !remarks.is_empty() {
            paragraph(&format!("({})", remarks.join("; ")));
        }
        let _ = writeln!(out, "    {}", finding.source());
        let _ = writeln!(out, "    {}", judged.paint.faint(finding.url));
        let programs: BTreeSet<&String> = rule.iter().flat_map(|row| &row.programs).collect();
        let programs: Vec<String> = programs.into_iter().cloned().collect();
        if !programs.is_empty() {
            let _ = writeln!(out, "    used by {}", few(&programs));
        }
        let hosts: BTreeSet<&String> = rule.iter().flat_map(|row| &row.hosts).collect();
        let hosts: Vec<String> = hosts.into_iter().cloned().collect();
        if !hosts.is_empty() {
            let _ = writeln!(out, "    on {}", few(&hosts));
        }
    }
}

/// Items with `between` them, in lines of about [`LINE`]; the first begins at column `at`, others are indented.
fn wrapped(items: &[String], between: &str, at: usize, indent: usize) -> String {
    let (mut text, mut column) = (String::new(), at);
    for (index, item) in items.iter().enumerate() {
        let len = item.chars().count();
        if index > 0 {
            text.push_str(between);
            column += between.len();
            if column + len > LINE {
                text.truncate(text.trim_end().len());
                let _ = write!(text, "\n{}", " ".repeat(indent));
                column = indent;
            }
        }
        text.push_str(item);
        column += len;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_broken_between_items() {
        let items: Vec<String> = (0..30).map(|number| format!("item{number:02}")).collect();
        let text = wrapped(&items, ", ", 10, 4);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines.iter().all(|line| line.len() <= LINE && !line.ends_with(' ')), "{text}");
        assert!(lines[0].ends_with(',') && lines[1].starts_with("    item"), "{text}");
        assert_eq!(wrapped(&[], ", ", 0, 0), "");
    }
}
