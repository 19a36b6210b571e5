//! Verdicts as SARIF 2.1.0 (OASIS standard of 2020-03-27): a run for each pack, so that packs stay apart.
//!
//! Each piece of evidence is a result of kind `fail`; a rule that passes is one of kind `pass`, one that is left open of kind `open`.

use super::json::{EvidenceReport, PackReport, Report, RuleReport, WaiverReport};
use super::text;
use serde::Serialize;
use serde_json::{Value, json};

/// The schema that the document names: section 3.13.3 asks for its URI.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The document.
#[derive(Serialize)]
pub(super) struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: Vec<Value>,
}

impl Log {
    /// Of a report.
    pub fn new(report: &Report) -> Self {
        Self { schema: SCHEMA, version: "2.1.0", runs: report.packs.iter().map(|pack| run(pack, report)).collect() }
    }
}

fn message(text: &str) -> Value {
    json!({ "text": text })
}

fn run(pack: &PackReport, report: &Report) -> Value {
    let rules: Vec<Value> = pack.rules.iter().map(descriptor).collect();
    let results: Vec<Value> =
        (0u64..).zip(&pack.rules).flat_map(|(index, rule)| results(rule, index, &report.waivers)).collect();
    let mut notes: Vec<Value> =
        report.missing.iter().map(|gap| json!({ "level": "warning", "message": message(gap) })).collect();
    if pack.stale {
        notes
            .push(json!({ "level": "warning", "message": message("the pack may be stale: look for later revisions") }));
    }
    json!({
        "tool": { "driver": {
            "name": "crypto-trace-analyze",
            "version": env!("CARGO_PKG_VERSION"),
            "rules": rules,
        } },
        "automationDetails": { "id": format!("crypto-trace/{}/", pack.pack) },
        "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": notes }],
        "results": results,
        "columnKind": "unicodeCodePoints",
        "properties": {
            "pack": pack.pack,
            "asOf": report.as_of,
            "dated": pack.dated,
            "compared": pack.compared,
            "stale": pack.stale,
            "from": report.from,
            "to": report.to,
            "hosts": report.hosts,
            "blindTo": report.blind_to,
        },
    })
}

fn level(of: &str) -> &'static str {
    if of == "fail" { "error" } else { "warning" }
}

fn descriptor(rule: &RuleReport) -> Value {
    let mut descriptor = json!({
        "id": rule.rule,
        "shortDescription": message(&rule.says),
        "fullDescription": message(&format!("{} ({})", rule.says, rule.told)),
        "defaultConfiguration": { "level": level(rule.level) },
        "properties": {
            "document": rule.source.document,
            "section": rule.source.section,
            "published": rule.source.published,
            "draft": rule.source.draft,
            "appliesTo": rule.source.applies_to,
            "note": rule.note,
            "holdsFrom": rule.holds_from,
        },
    });
    if let (Some(url), Some(members)) = (&rule.source.url, descriptor.as_object_mut()) {
        members.insert("helpUri".to_owned(), json!(url));
    }
    descriptor
}

fn results(rule: &RuleReport, index: u64, waivers: &[WaiverReport]) -> Vec<Value> {
    let of_kind = |kind: &str, text: &str| {
        let looked_at = json!({ "verdict": rule.verdict, "lookedAt": rule.looked_at, "open": rule.open });
        json!({
            "ruleId": rule.rule,
            "ruleIndex": index,
            "kind": kind,
            "level": "none",
            "message": message(text),
            "properties": looked_at,
        })
    };
    let mut results: Vec<Value> = rule.evidence.iter().map(|one| violation(rule, index, one, waivers)).collect();
    if rule.evidence_more > 0 {
        results
            .push(of_kind("informational", &format!("{} more pieces of evidence are not listed", rule.evidence_more)));
    }
    match rule.verdict {
        "pass" => results.push(of_kind("pass", "nothing seen violates the rule, and nothing is known to be missing")),
        "unknown" => results.push(of_kind("open", &rule.open.join("; "))),
        _ => {}
    }
    results
}

fn violation(rule: &RuleReport, index: u64, one: &EvidenceReport, waivers: &[WaiverReport]) -> Value {
    let program = one.program.as_deref().unwrap_or("an unknown process");
    let mut location = json!({
        "logicalLocations": [{
            "name": program,
            "fullyQualifiedName": format!("{}:{program}", one.host),
            "kind": "process",
        }],
    });
    // What stands at a path: the file, the library, or else the program.
    let path = if matches!(one.unit, "open" | "load") { Some(&one.what) } else { one.program.as_ref() };
    if let (Some(path), Some(members)) = (path.filter(|path| path.starts_with('/')), location.as_object_mut()) {
        let at = json!({ "artifactLocation": { "uri": format!("file://{}", encoded(path)) } });
        members.insert("physicalLocation".to_owned(), at);
    }
    let mut result = json!({
        "ruleId": rule.rule,
        "ruleIndex": index,
        "kind": "fail",
        "level": level(rule.level),
        "message": message(&text::evidence(one)),
        "locations": [location],
        "properties": one,
    });
    let waiver = one.waiver.and_then(|number| waivers.get(usize::try_from(number).ok()?));
    if let (Some(waiver), Some(members)) = (waiver, result.as_object_mut()) {
        let why = format!("{}: {} (until {})", waiver.owner, waiver.reason, waiver.expires);
        members.insert("suppressions".to_owned(), json!([{ "kind": "external", "justification": why }]));
    }
    result
}

/// A path in a URI: RFC 3986, section 2.1.
fn encoded(path: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_are_encoded_for_uris() {
        assert_eq!(super::encoded("/srv/a b/ü%#?.key"), "/srv/a%20b/%C3%BC%25%23%3F.key");
    }
}
