//! What rules say of the algorithms of one side, as things to compare: of both sides on the same day, so that a rule which came into
//! force in between is no difference.

use super::gather::area_of;
use super::inventory::{Areas, Category, Inventory, Named, Text};
use super::names;
use crate::count::handshakes::{MAX_PROGRAMS, findings};
use crate::rules::Rules;
use jiff::civil::Date;

/// Adds them. The algorithms are gone after this.
pub(super) fn add(inventory: &mut Inventory, as_of: Date, rules: &[Rules], exact: bool) {
    for (name, row) in std::mem::take(&mut inventory.algorithms) {
        let areas = row.places.iter().fold(Areas::default(), |areas, place| areas.and(area_of(*place)));
        for finding in findings(&name, &row, as_of, rules) {
            let text = format!("{name}: {}, {}", finding.told(), finding.document);
            let named = Named::new(Category::Finding, text.as_bytes(), areas);
            let same = |program: &Vec<u8>| -> Text {
                names::path(program).filter(|_| !exact).unwrap_or_else(|| program.clone()).into()
            };
            let entry = inventory.entry(named, row.handshakes.saturating_add(row.calls));
            let entry = entry.all("programs", areas, row.programs.iter().map(same));
            let entry = entry.cut_if(row.programs.len() >= MAX_PROGRAMS, "programs");
            entry.fact("effective", areas, Some(finding.effective.as_bytes()));
        }
    }
}
