//! The table, whole.

use super::*;
use crate::stacks::names::numbers;
use std::collections::{BTreeSet, HashSet};

/// The file, which `file` would take for an empty one if it could not be read.
fn whole() -> File {
    toml::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/stacks.toml"))).expect("valid")
}

fn seen(file: &File) -> impl Iterator<Item = &Measured> {
    let tls = file.tls.iter().flat_map(|row| &row.seen);
    tls.chain(file.ssh.iter().flat_map(|row| &row.seen))
}

#[test]
fn every_row_says_what_was_measured_with_which_version_and_when() {
    let file = whole();
    assert!(file.tls.len() > 20 && file.ssh.len() > 3, "{} and {}", file.tls.len(), file.ssh.len());
    for one in seen(&file) {
        assert!(!one.stack.is_empty() && !one.by.is_empty() && !numbers(&one.version).is_empty(), "{one:?}");
        assert!(one.on.parse::<jiff::civil::Date>().is_ok_and(|day| day.year() >= 2026), "{one:?}");
    }
    assert!(file.tls.iter().all(|row| !row.seen.is_empty()) && file.ssh.iter().all(|row| !row.seen.is_empty()));
}

#[test]
fn no_shape_is_in_two_rows() {
    let file = whole();
    let tls: HashSet<_> = file.tls.iter().map(|row| &row.shape).collect();
    let ssh: HashSet<_> = file.ssh.iter().map(|row| &row.shape).collect();
    assert_eq!((tls.len(), ssh.len()), (file.tls.len(), file.ssh.len()));
}

/// GnuTLS 3.8 shuffles what GnuTLS 3.7 said in one order.
#[test]
fn an_order_that_is_always_the_same_is_known_before_a_set() {
    let (file, table) = (whole(), Table::new(whole()));
    let is_a_set = |row: &&Row<TlsShape>| row.shape.shuffled || row.shape.parameters_shuffled;
    let sets: Vec<&TlsShape> = file.tls.iter().filter(is_a_set).map(|row| &row.shape).collect();
    let mut both = 0;
    for row in file.tls.iter().filter(|row| !is_a_set(row)) {
        assert_eq!(Some(table.of_tls(&row.shape)), table.tls.get(&row.shape).map(Vec::as_slice), "{:?}", row.seen);
        let is_in = |set: &&TlsShape| row.shape.sorted(set.shuffled, set.parameters_shuffled) == **set;
        both += usize::from(sets.iter().any(is_in));
    }
    assert!(both > 0, "no measured order is of a set");
}

#[test]
fn what_is_compared_as_a_set_is_sorted_and_every_line_is_of_a_stack() {
    let file = whole();
    for row in &file.tls {
        assert_eq!(row.shape.sorted(row.shape.shuffled, row.shape.parameters_shuffled), row.shape, "{:?}", row.seen);
        assert!(["tcp", "quic", "dtls"].contains(&row.shape.transport.as_str()), "{:?}", row.seen);
    }
    let stacks: BTreeSet<&str> = seen(&file).map(|one| one.stack.as_str()).collect();
    let (lines, variants) = (&file.naming.lines, &file.naming.variants);
    for stack in lines.keys().chain(variants.keys()).chain(variants.values().flatten()) {
        assert!(stacks.contains(stack.as_str()), "{stack} was not measured");
    }
}

#[test]
fn every_measured_shape_is_named_by_its_stack() {
    let (file, table) = (whole(), Table::new(whole()));
    let is_named = |names: &[String], one: &Measured| {
        let variants = file.naming.variants.get(&one.stack);
        let is =
            |name: &String, stack: &String| name.strip_prefix(stack.as_str()).is_some_and(|rest| rest.starts_with(' '));
        assert!(
            names.iter().any(|name| variants.into_iter().flatten().chain([&one.stack]).any(|stack| is(name, stack))),
            "{one:?}: {names:?}"
        );
    };
    for row in &file.tls {
        row.seen.iter().for_each(|one| is_named(table.of_tls(&row.shape), one));
    }
    for row in &file.ssh {
        row.seen.iter().for_each(|one| is_named(table.of_ssh(&row.shape), one));
    }
}
