//! What rules in force say of the algorithms of one side, as things to compare: of both sides on the same day, so that a rule which came into
//! force in between is no difference.

use super::gather::areas_of;
use super::inventory::{Category, Inventory, Named, Text};
use super::names;
use crate::count::handshakes::findings;
use crate::rules::Rules;
use jiff::civil::Date;

/// Adds them. The algorithms are gone after this.
pub(super) fn add(inventory: &mut Inventory, as_of: Date, rules: &[Rules], exact: bool) {
    for (name, row) in std::mem::take(&mut inventory.algorithms) {
        let areas = areas_of(&row);
        for finding in findings(&name, &row, as_of, rules).iter().filter(|finding| finding.in_force) {
            let text = format!("{name}: {}, {}", finding.told(), finding.document);
            let named = Named::new(Category::Finding, text.as_bytes(), areas);
            let same = |program: &Vec<u8>| -> Text {
                names::path(program).filter(|_| !exact).unwrap_or_else(|| program.clone()).into()
            };
            // Who uses it is said of the algorithm.
            let entry = inventory.entry(named, row.handshakes.saturating_add(row.calls));
            entry.remark("programs", row.programs.iter().map(same));
        }
    }
}
