//! The catalog against names of real programs: testdata/catalog-names.tsv. scripts/catalog-recall measures the same, and the file
//! lists of a distribution.

use crypto_trace_format::catalog::{Confidence, judge};

/// Of the half that the catalog was not made with, in percent.
const GOAL: usize = 95;

struct Row {
    path: &'static str,
    holds: Vec<&'static str>,
    half: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    let lines = include_str!("../../../testdata/catalog-names.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [path, holds, _, half] = columns[..] else { panic!("{line}") };
        Row { path, holds: holds.split('|').collect(), half }
    })
}

/// 85 of 164 names were missing and 21 had the wrong type; six of ten matches in a distribution's file lists were no crypto.
#[test]
fn names_of_real_programs_are_known_and_others_are_not() {
    let (mut crypto, mut found, mut wrong, mut typed) = (0, 0, 0, 0);
    for row in rows().filter(|row| row.half == "held") {
        let is_crypto = row.holds != ["none"];
        let judged = judge(row.path.as_bytes()).filter(|judged| judged.confidence > Confidence::Low);
        crypto += usize::from(is_crypto);
        match judged {
            Some(judged) if is_crypto => {
                found += 1;
                let is_right = row.holds.contains(&judged.file_type.name()) || row.holds.contains(&"crypto");
                typed += usize::from(is_right);
            }
            Some(_) => wrong += 1,
            None => {}
        }
    }
    assert!(crypto > 250, "{crypto} names");
    let share = |part: usize, whole: usize| 100 * part / whole;
    assert!(share(found, crypto) >= GOAL, "recall: {found} of {crypto}");
    assert!(share(found, found + wrong) >= GOAL, "precision: {found} of {}", found + wrong);
    assert!(share(typed, found) >= GOAL, "type: {typed} of {found}");
}

/// Those that the issue named are told rightly, each.
#[test]
fn what_was_asked_for_by_name_is_known() {
    let mut count = 0;
    for row in rows().filter(|row| row.half == "issue") {
        let judged = judge(row.path.as_bytes()).unwrap_or_else(|| panic!("{}", row.path));
        assert!(row.holds.contains(&judged.file_type.name()), "{}: {judged:?}", row.path);
        assert!(judged.confidence > Confidence::Low, "{}: {judged:?}", row.path);
        count += 1;
    }
    assert!(count > 40, "{count}");
}
