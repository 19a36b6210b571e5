//! Verdicts as JUnit XML, which CI systems show: a suite for each pack, a case for each rule.
//!
//! A rule that fails is a failure. One that is left open is skipped, or with `--require-coverage` an error; one that warns has
//! succeeded, with what was seen in its output.

use super::json::{Report, RuleReport};
use super::text;
use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report as Suites, TestCase, TestCaseStatus, TestSuite};
use std::fmt::Write;

/// The document.
///
/// # Errors
/// When it cannot be written.
pub(super) fn document(report: &Report, require_coverage: bool) -> Result<String> {
    let mut suites = Suites::new("crypto-trace check");
    for pack in &report.packs {
        let mut suite = TestSuite::new(pack.pack.as_str());
        suite.add_property(("as_of", report.as_of.as_str()));
        for (name, value) in [("dated", &pack.dated), ("compared", &pack.compared)] {
            if let Some(value) = value {
                suite.add_property((name, value.as_str()));
            }
        }
        suite.add_property(("stale", if pack.stale { "true" } else { "false" }));
        if pack.rules.is_empty() && require_coverage {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("unknown").set_message(format!("none of its rules was in force by {}", report.as_of));
            suite.add_test_case(TestCase::new("rules", status));
        }
        suite.add_test_cases(pack.rules.iter().map(|rule| case(rule, &pack.pack, require_coverage)));
        suites.add_test_suite(suite);
    }
    let written = suites.to_string().context("cannot write JUnit XML")?;
    // Of all suites together the schema of Jenkins' xUnit plugin does not know how many cases were skipped.
    let skipped = format!(" skipped=\"{}\"", suites.skipped);
    Ok(written.replacen(&skipped, "", 1))
}

fn case(rule: &RuleReport, pack: &str, require_coverage: bool) -> TestCase {
    let mut told = format!("{}\n{}\n", rule.says, rule.told);
    for one in &rule.evidence {
        let waived = if one.waiver.is_some() { " (waived)" } else { "" };
        let _ = writeln!(told, "{}{waived}", text::evidence(one));
    }
    if rule.evidence_more > 0 {
        let _ = writeln!(told, "and {} more", rule.evidence_more);
    }
    let open = rule.open.join("; ");
    let is_open = !rule.open.is_empty();
    let status = match rule.verdict {
        "fail" => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type("fail").set_message(rule.says.as_str()).set_description(told.as_str());
            status
        }
        _ if is_open && require_coverage => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("unknown").set_message("not enough evidence").set_description(open.as_str());
            status
        }
        "unknown" => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("unknown: {open}"));
            status
        }
        _ => TestCaseStatus::success(),
    };
    let mut case = TestCase::new(rule.rule.as_str(), status);
    case.set_classname(format!("crypto-trace.{pack}"));
    if rule.verdict != "fail" && !rule.evidence.is_empty() {
        case.set_system_out(told.as_str());
    }
    case
}
