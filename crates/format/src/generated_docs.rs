//! Sections of a page in docs/ that are made of the code: between `<!-- generated: NAME -->` and `<!-- end -->`.
//!
//! Tests only. The analyzer's tests have this file, too.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Holds the page `name` in docs/, two folders above `manifest_dir`, to its sections; with UPDATE=1 it is written anew.
///
/// # Panics
/// When they differ, or one is missing, unknown or there twice.
pub fn check(manifest_dir: &str, name: &str, mut missing: BTreeMap<String, String>) {
    let path = format!("{manifest_dir}/../../docs/{name}");
    let found = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("docs/{name}: {error}"));
    let mut expected = String::new();
    let mut rest = found.as_str();
    while let Some((before, section)) = rest.split_once("<!-- generated: ") {
        let (section, body) = section.split_once(" -->\n").expect("a section name");
        let (_, after) = body.split_once("<!-- end -->").expect("an end of the section");
        let table = missing.remove(section).unwrap_or_else(|| panic!("unknown or repeated section {section}"));
        let _ = write!(expected, "{before}<!-- generated: {section} -->\n\n{table}\n<!-- end -->");
        rest = after;
    }
    expected += rest;
    assert!(missing.is_empty(), "docs/{name} lacks the sections {:?}", missing.keys());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &expected).expect("writable");
    } else if found != expected {
        let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
        panic!("docs/{name} and the code differ, first here: {differs:#?}\nUPDATE=1 writes the tables anew");
    }
}
