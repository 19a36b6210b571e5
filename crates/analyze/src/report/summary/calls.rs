//! The summary's part about calls of library functions and of the kernel's own crypto.

use super::page::{SummaryContext, TOP, others};
use crate::capture::libraries::product;
use crate::count::handshakes::AlgorithmCall;
use crate::count::totals::Totals;
use crate::words::redact;
use crate::words::text::{Align, Table, grouped, tabulate};
use std::collections::BTreeMap;

/// Appends the section; nothing when there were no calls.
pub(super) fn print(totals: &Totals, context: &SummaryContext<'_>, out: &mut String) {
    // Libraries of the same name go together.
    let mut rows: BTreeMap<(String, &str, String), (u64, u64)> = BTreeMap::new();
    for (key, row) in &totals.handshakes.calls {
        // What a library calls of itself, nobody asked for.
        let own = row.used.own();
        if own == 0 {
            continue;
        }
        let what = (library_name(context, key), key.meaning.name(), redact::for_people(&key.function, context.redact));
        let counts = rows.entry(what).or_default();
        counts.0 = counts.0.saturating_add(own);
        counts.1 = counts.1.saturating_add(row.used.failed);
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    // Stable: by name where counts are the same.
    rows.sort_by_key(|(_, (calls, _))| std::cmp::Reverse(*calls));
    let mut table = Table::new(&[
        ("calls", Align::Right),
        ("failed", Align::Right),
        ("library", Align::Left),
        ("for", Align::Left),
        ("function", Align::Left),
    ]);
    for ((library, meaning, function), (calls, failed)) in rows.iter().take(TOP) {
        let meaning = meaning.replace('_', " ");
        table.row(vec![grouped(*calls), grouped(*failed), library.clone(), meaning, function.clone()]);
    }
    tabulate("Calls of libraries and of the kernel's crypto", &table, context.paint, out);
    others(rows.len(), out);
}

/// What the library is called everywhere, or else the name of its file.
fn library_name(context: &SummaryContext<'_>, key: &AlgorithmCall) -> String {
    if key.library == (0, 0) {
        return "kernel".to_owned();
    }
    let capture = context.captures.get(key.capture as usize);
    match capture.and_then(|capture| capture.libraries.get(key.library)) {
        Some(row) => match product::known_as(&row.path, &row.family) {
            Some(name) => name.to_owned(),
            None => redact::for_people(&redact::file_name(&row.path, context.redact), context.redact),
        },
        None => "unknown".to_owned(),
    }
}
