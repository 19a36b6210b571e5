//! Verdicts as people read them: what is violated first, then what is not known, and in short what passes.

use super::json::{EvidenceReport, PackReport, Report, RuleReport};
use crate::words::text::{Paint, counted, few, grouped, plural};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Pieces of evidence for one rule that people are shown.
const TOP: usize = 5;

/// The whole page.
pub(super) fn text(report: &Report, paint: Paint) -> String {
    let mut out = String::new();
    let mut line = |name: &str, text: &str| paint.line(&mut out, 10, name, text);
    if let (Some(from), Some(to)) = (&report.from, &report.to) {
        line("Time", &format!("{from} to {to}"));
    }
    line("Hosts", &few(&report.hosts));
    line("As of", &report.as_of);
    if report.missing.is_empty() {
        line("Complete", "yes: nothing lost, nothing dropped, no part left out by a filter");
    }
    for (index, gap) in report.missing.iter().enumerate() {
        line(if index == 0 { "Missing" } else { "" }, &paint.bad(gap));
    }
    for (index, blind) in report.blind_to.iter().enumerate() {
        line(if index == 0 { "Blind to" } else { "" }, blind);
    }
    report.packs.iter().for_each(|pack| write_pack(pack, report, paint, &mut out));
    if !report.waivers.is_empty() {
        let _ = writeln!(out, "\n{}", paint.heading("Waivers"));
    }
    for waiver in &report.waivers {
        let state = match (waiver.expired, waiver.of_a_rule) {
            (true, _) => paint.bad(&format!("expired on {}, covers nothing", waiver.expires)),
            (false, false) => paint.bad("belongs to no rule that is judged"),
            (false, true) => format!("covers {} until {}", plural(waiver.covers, "use"), waiver.expires),
        };
        let _ = writeln!(out, "  {}: {state} ({}: {})", waiver.rule, waiver.owner, waiver.reason);
    }
    out
}

fn write_pack(pack: &PackReport, report: &Report, paint: Paint, out: &mut String) {
    let counts = &pack.counts;
    let mut parts = Vec::new();
    for (count, name) in
        [(counts.fail, "fail"), (counts.warn, "warn"), (counts.unknown, "unknown"), (counts.pass, "pass")]
    {
        if count > 0 {
            parts.push(format!("{} {name}", grouped(count)));
        }
    }
    let told = match parts.as_slice() {
        [] => format!("nothing is judged: none of its rules was in force by {}", report.as_of),
        parts => parts.join(", "),
    };
    let _ = writeln!(out, "\n{}", paint.heading(&format!("{}: {told}", pack.pack)));
    if let Some(dated) = &pack.dated {
        let compared = pack.compared.as_ref().map(|day| format!("; compared with its documents on {day}"));
        let _ = writeln!(out, "  dated {dated}{}", compared.unwrap_or_default());
    }
    if pack.stale {
        let stale = "may be stale: that is more than a year before the day judged; look for later revisions";
        let _ = writeln!(out, "  {}", paint.bad(stale));
    }
    for document in pack.documents.iter().filter(|document| document.draft) {
        let _ = writeln!(out, "  {} is a draft: it is not binding yet, so none of its rules fails", document.revision);
    }
    if pack.not_in_force > 0 {
        let rules = counted(pack.not_in_force, "rule is", "rules are");
        let _ = writeln!(out, "  {rules} not in force by {}, and nothing seen violates them", report.as_of);
    }
    for rule in pack.rules.iter().filter(|rule| rule.verdict == "fail" || rule.verdict == "warn") {
        write_rule(rule, paint, out);
    }
    let unknown: Vec<&RuleReport> = pack.rules.iter().filter(|rule| rule.verdict == "unknown").collect();
    write_unknown(&unknown, out, paint);
    let passed: Vec<&str> = pack.rules.iter().filter(|rule| rule.verdict == "pass").map(|rule| &*rule.rule).collect();
    if !passed.is_empty() {
        let _ = writeln!(out, "  {}", paint.good("pass"));
        for id in passed {
            let _ = writeln!(out, "    {id}");
        }
    }
}

fn write_rule(rule: &RuleReport, paint: Paint, out: &mut String) {
    let verdict = paint.bad(rule.verdict);
    let from = rule.holds_from.as_ref().map(|day| format!(" (in force from {day})"));
    let _ = writeln!(out, "  {verdict}  {}{}", rule.rule, from.unwrap_or_default());
    let _ = writeln!(out, "    \u{201c}{}\u{201d}", rule.says);
    if let Some(note) = &rule.note {
        let _ = writeln!(out, "    ({note})");
    }
    let applies = rule.source.applies_to.as_ref().map(|whom| format!(" (for {whom})"));
    let _ = writeln!(out, "    {}{}", rule.told, applies.unwrap_or_default());
    let shown: Vec<&EvidenceReport> = rule.evidence.iter().filter(|one| one.waiver.is_none()).collect();
    for one in shown.iter().take(TOP) {
        let _ = writeln!(out, "    {}", evidence(one));
    }
    let more = shown.len().saturating_sub(TOP) as u64 + rule.evidence_more;
    if more > 0 {
        let _ = writeln!(out, "    and {} more; see -f json", grouped(more));
    }
    if rule.waived > 0 {
        let _ = writeln!(out, "    {} more covered by waivers", grouped(rule.waived));
    }
}

/// `TLS 1.1 (protocol), 2 handshakes, first 2026-…: /usr/bin/curl (pid 7) on web1, client of 10.0.0.1:443 example.org`
pub(super) fn evidence(one: &EvidenceReport) -> String {
    let mut text = one.what.clone();
    if !one.place.is_empty() {
        let _ = write!(text, " ({})", one.place);
    }
    let program = one.program.as_deref().unwrap_or("an unknown process");
    let _ = write!(text, ", {}, first {}: {program}", plural(one.count, one.unit), one.first);
    if let Some(pid) = one.pid {
        let _ = write!(text, " (pid {pid})");
    }
    let _ = write!(text, " on {}", one.host);
    if let Some(container) = &one.container {
        let _ = write!(text, ", container {}", container.get(..12).unwrap_or(container));
    }
    if let Some(peer) = &one.peer {
        let side = match one.role {
            Some("client") => "client of ",
            Some(_) => "server of ",
            None => "with ",
        };
        let _ = write!(text, ", {side}{peer}");
    }
    if let Some(name) = &one.server_name {
        let _ = write!(text, " {name}");
    }
    text
}

/// Rules that are left open for the same reasons stand together.
fn write_unknown(rules: &[&RuleReport], out: &mut String, paint: Paint) {
    let mut by_reasons: BTreeMap<&[String], Vec<&str>> = BTreeMap::new();
    for rule in rules {
        by_reasons.entry(&rule.open).or_default().push(&rule.rule);
    }
    for (reasons, ids) in by_reasons {
        let _ = writeln!(out, "  {}, because", paint.heading("unknown"));
        for reason in reasons {
            let _ = writeln!(out, "    - {reason}");
        }
        for id in ids {
            let _ = writeln!(out, "    {id}");
        }
    }
}
