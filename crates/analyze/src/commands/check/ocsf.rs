//! Verdicts in the class Compliance Finding (2003) of the Open Cybersecurity Schema Framework: a line for each rule of each pack.
//!
//! As with events, only attributes that version 1.1.0 has are used, and none that a later version took away.

use super::json::{PackReport, Report, RuleReport};
use crate::format::{OCSF_VERSION, object_of};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The lines.
///
/// # Errors
/// When they cannot be written, which is a fault of this program.
pub(super) fn lines(report: &Report) -> anyhow::Result<String> {
    let mut out = String::new();
    for pack in &report.packs {
        for rule in &pack.rules {
            out += &serde_json::to_string(&finding(rule, pack, report))?;
            out.push('\n');
        }
    }
    Ok(out)
}

/// Milliseconds since 1970 of a time that the document shows.
fn milliseconds(shown: &str) -> Option<i64> {
    shown.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// When the verdict was reached: at the end of what was recorded, or else on the day that rules are asked about.
fn time(report: &Report) -> i64 {
    let day = || milliseconds(&format!("{}T00:00:00Z", report.as_of));
    report.to.as_deref().and_then(milliseconds).or_else(day).unwrap_or_default()
}

fn finding(rule: &RuleReport, pack: &PackReport, report: &Report) -> Value {
    let (compliance_id, compliance, severity_id, severity) = match rule.verdict {
        "fail" => (3, "Fail", 4, "High"),
        "warn" => (2, "Warning", 3, "Medium"),
        "pass" => (1, "Pass", 1, "Informational"),
        _ => (0, "Unknown", 0, "Unknown"),
    };
    let time = time(report);
    let span = [&report.from, &report.to].map(|shown| shown.as_deref().and_then(milliseconds));
    let one_host = Some(&report.hosts).filter(|hosts| hosts.len() == 1).and_then(|hosts| hosts.first());
    object_of([
        ("class_uid", Some(json!(2003))),
        ("class_name", Some(json!("Compliance Finding"))),
        ("category_uid", Some(json!(2))),
        ("category_name", Some(json!("Findings"))),
        ("activity_id", Some(json!(1))),
        ("activity_name", Some(json!("Create"))),
        ("type_uid", Some(json!(200_301))),
        ("type_name", Some(json!("Compliance Finding: Create"))),
        ("severity_id", Some(json!(severity_id))),
        ("severity", Some(json!(severity))),
        ("status_id", Some(json!(1))),
        ("status", Some(json!("New"))),
        ("time", Some(json!(time))),
        ("start_time", span[0].map(|time| json!(time))),
        ("end_time", span[1].map(|time| json!(time))),
        ("message", Some(json!(rule.says))),
        ("count", Some(rule.against).filter(|count| *count > 0).map(|count| json!(count))),
        ("compliance", Some(compliance_of(rule, (compliance_id, compliance)))),
        ("finding_info", Some(info(rule, pack, one_host, time))),
        ("resource", one_host.map(|host| json!({ "name": host, "type": "host" }))),
        ("metadata", Some(metadata())),
        ("unmapped", Some(unmapped(rule, pack, report))),
    ])
}

fn metadata() -> Value {
    json!({
        "version": OCSF_VERSION,
        "profiles": [],
        "event_code": "check",
        "product": {
            "name": "crypto-trace", "vendor_name": "crypto-trace",
            "version": format!("crypto-trace-analyze {}", env!("CARGO_PKG_VERSION")),
        },
    })
}

fn compliance_of(rule: &RuleReport, (status_id, status): (u32, &str)) -> Value {
    let why = rule.open.join("; ");
    object_of([
        ("standards", Some(json!([rule.source.document]))),
        ("control", rule.source.section.as_ref().map(|section| json!(section))),
        ("requirements", Some(json!([rule.says]))),
        ("status_id", Some(json!(status_id))),
        ("status", Some(json!(status))),
        ("status_detail", Some(why).filter(|why| !why.is_empty()).map(|why| json!(why))),
    ])
}

/// The same rule of the same pack has the same `uid` each time, so that a later verdict takes the place of an earlier one.
fn info(rule: &RuleReport, pack: &PackReport, host: Option<&String>, time: i64) -> Value {
    let host = host.map(|host| format!("/{host}")).unwrap_or_default();
    let first = rule.evidence.iter().filter_map(|one| milliseconds(&one.first)).min();
    object_of([
        ("uid", Some(json!(format!("crypto-trace/{}/{}{host}", pack.pack, rule.rule)))),
        ("title", Some(json!(rule.says))),
        ("desc", Some(json!(rule.told))),
        ("types", Some(json!(["Cryptography"]))),
        ("created_time", Some(json!(time))),
        ("first_seen_time", first.map(|time| json!(time))),
        ("src_url", rule.source.url.as_ref().map(|url| json!(url))),
        ("analytic", Some(json!({ "name": rule.rule, "uid": rule.rule, "type_id": 1, "type": "Rule" }))),
    ])
}

/// What the class lacks, as the document has it.
fn unmapped(rule: &RuleReport, pack: &PackReport, report: &Report) -> Value {
    let mut unmapped = json!(rule);
    if let Some(members) = unmapped.as_object_mut() {
        members.retain(|_, value| !value.is_null());
        for (name, value) in [
            ("pack", json!(pack.pack)),
            ("as_of", json!(report.as_of)),
            ("hosts", json!(report.hosts)),
            ("missing", json!(report.missing)),
            ("blind_to", json!(report.blind_to)),
        ] {
            members.insert(name.to_owned(), value);
        }
        if rule.waived > 0 {
            members.insert("waivers".to_owned(), json!(report.waivers));
        }
    }
    unmapped
}
