//! One side against the other: what appeared, vanished, changed; and of what that is not known.

use super::ignore::Ignore;
use super::inventory::{Areas, Category, Inventory, Item, Share, Text, Values};
use super::sight::Sight;

/// What is made of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Appeared,
    Vanished,
    Changed,
    Unknown,
}

/// What differs of one attribute.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub attribute: &'static str,
    /// Values that only the old one has.
    pub old: Vec<&'a Text>,
    /// Values that only the new one has.
    pub new: Vec<&'a Text>,
    /// Why that may be no difference.
    pub why: Vec<String>,
}

/// A thing that is not the same on both sides.
#[derive(Debug)]
pub(super) struct Difference<'a> {
    pub category: Category,
    pub name: &'a Text,
    pub verdict: Verdict,
    pub old: Option<&'a Item>,
    pub new: Option<&'a Item>,
    pub changes: Vec<Change<'a>>,
    /// Why it may be missing where it is missing.
    pub why: Vec<String>,
}

/// A share on both sides.
#[derive(Debug, Clone)]
pub(super) struct ShareChange {
    pub name: &'static str,
    pub old: Share,
    pub new: Share,
    /// None: not known, `why` says why.
    pub changed: Option<bool>,
    pub why: Vec<String>,
}

/// Both sides against each other.
#[derive(Debug, Default)]
pub(super) struct Compared<'a> {
    pub differences: Vec<Difference<'a>>,
    pub shares: Vec<ShareChange>,
    /// Things that are the same.
    pub same: u64,
}

impl Compared<'_> {
    /// How many there are.
    pub fn count(&self, verdict: Verdict) -> u64 {
        self.differences.iter().filter(|one| one.verdict == verdict).count() as u64
    }

    /// Whether there is a difference that is known.
    pub fn differs(&self) -> bool {
        self.differences.iter().any(|one| one.verdict != Verdict::Unknown)
            || self.shares.iter().any(|share| share.changed == Some(true))
    }
}

/// A side, and what it could not see that the other one could.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    pub inventory: &'a Inventory,
    pub beyond: &'a Sight,
}

/// Compares things.
pub(super) fn compare<'a>(old: Side<'a>, new: Side<'a>, points: u8, ignore: &Ignore) -> Compared<'a> {
    let mut compared = Compared::default();
    let mut keys: Vec<&(Category, Text)> = old.inventory.items.keys().collect();
    keys.extend(new.inventory.items.keys().filter(|key| !old.inventory.items.contains_key(*key)));
    keys.sort_unstable();
    for key in keys {
        match difference(key, (old, new), ignore) {
            Some(difference) => compared.differences.push(difference),
            None => compared.same += u64::from(is_in_both(key, (old, new))),
        }
    }
    compared.shares = shares(old, new, points, ignore);
    compared
}

fn is_in_both(key: &(Category, Text), (old, new): (Side<'_>, Side<'_>)) -> bool {
    old.inventory.items.contains_key(key) && new.inventory.items.contains_key(key)
}

fn difference<'a>(
    key: &'a (Category, Text),
    (old_side, new_side): (Side<'a>, Side<'a>),
    ignore: &Ignore,
) -> Option<Difference<'a>> {
    let (category, name) = key;
    let (old, new) = (old_side.inventory.items.get(key), new_side.inventory.items.get(key));
    let mut one = Difference {
        category: *category,
        name,
        verdict: Verdict::Changed,
        old,
        new,
        changes: Vec::new(),
        why: Vec::new(),
    };
    let (known, missing, verdict) = match (old, new) {
        (Some(old), Some(new)) => {
            let mut changes = changes(old, new, (old_side.beyond, new_side.beyond));
            changes.retain(|change| !ignore.is_attribute(&one, change.attribute));
            one.changes = changes;
            if one.changes.is_empty() || ignore.is_thing(&one) {
                return None;
            }
            let is_known = one.changes.iter().any(|change| change.why.is_empty());
            one.verdict = if is_known { Verdict::Changed } else { Verdict::Unknown };
            return Some(one);
        }
        (Some(old), None) => (old, new_side.beyond, Verdict::Vanished),
        (None, Some(new)) => (new, old_side.beyond, Verdict::Appeared),
        (None, None) => return None,
    };
    one.why = missing.why(known.areas);
    if known.areas.hold(Areas::NAMES) {
        // A pseudonym stands for nothing on the other side.
        let other = if verdict == Verdict::Vanished { old_side.beyond } else { new_side.beyond };
        one.why.extend(other.names().filter(|why| !one.why.contains(why)).cloned().collect::<Vec<_>>());
    }
    one.verdict = if one.why.is_empty() { verdict } else { Verdict::Unknown };
    (!ignore.is_thing(&one)).then_some(one)
}

/// What differs of a thing that both have: what is known to differ, and what is not, apart.
fn changes<'a>(old: &'a Item, new: &'a Item, (old_sight, new_sight): (&Sight, &Sight)) -> Vec<Change<'a>> {
    let mut names: Vec<&'static str> = old.attributes.keys().chain(new.attributes.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    let mut all = Vec::new();
    for attribute in names {
        let (old, new) = (old.attributes.get(attribute), new.attributes.get(attribute));
        if [old, new].into_iter().flatten().any(|values| values.is_remark) {
            continue;
        }
        let only = |one: Option<&'a Values>, other: Option<&'a Values>| -> Vec<&'a Text> {
            let is_there = |value: &&Text| other.is_some_and(|other| other.values.contains(*value));
            one.into_iter().flat_map(|one| &one.values).filter(|value| !is_there(value)).collect()
        };
        let (gone, came) = (only(old, new), only(new, old));
        let mut known = Change { attribute, old: Vec::new(), new: Vec::new(), why: Vec::new() };
        let sides = [(gone, true, (old, new), new_sight), (came, false, (new, old), old_sight)];
        for (values, is_old, (has, lacks), sight) in sides {
            if values.is_empty() {
                continue;
            }
            let why = why_missing(has, lacks, sight);
            let to = |change: &mut Change<'a>, values| if is_old { change.old = values } else { change.new = values };
            if why.is_empty() {
                to(&mut known, values);
            } else {
                let mut unknown = Change { attribute, old: Vec::new(), new: Vec::new(), why };
                to(&mut unknown, values);
                all.push(unknown);
            }
        }
        if !known.old.is_empty() || !known.new.is_empty() {
            all.push(known);
        }
    }
    // What is known comes first.
    all.sort_by_key(|change| !change.why.is_empty());
    all
}

/// Why values that one side has may be missing on the other.
fn why_missing(has: Option<&Values>, lacks: Option<&Values>, sight: &Sight) -> Vec<String> {
    let is_fact = has.is_some_and(|values| values.is_fact);
    let is_empty = lacks.is_none_or(|values| values.values.is_empty());
    if is_fact && is_empty {
        return vec!["it is not recorded there".to_owned()];
    }
    let has_another =
        lacks.is_some_and(|lacks| lacks.values.iter().any(|value| has.is_some_and(|has| !has.values.contains(value))));
    if is_fact && has_another {
        // Another value of what has one is a change, whatever else was not seen.
        return Vec::new();
    }
    let mut why = sight.why(has.map(|values| values.areas).unwrap_or_default());
    if lacks.is_some_and(|values| values.is_cut) {
        why.push("there are more than were kept".to_owned());
    }
    why
}

fn shares(old: Side<'_>, new: Side<'_>, points: u8, ignore: &Ignore) -> Vec<ShareChange> {
    let mut all = Vec::new();
    for (name, new_share) in &new.inventory.shares {
        let Some(old_share) = old.inventory.shares.get(name) else { continue };
        if old_share.all == 0 && new_share.all == 0 || ignore.is_share(name) {
            continue;
        }
        let mut why: Vec<String> = Vec::new();
        for (side, share, which) in [(old, old_share, "OLD"), (new, new_share, "NEW")] {
            if share.all == 0 {
                why.push(format!("{which} has nothing to take a share of"));
            }
            why.extend(side.beyond.why(Areas::HANDSHAKES).into_iter().map(|why| format!("{which}: {why}")));
        }
        let changed = why.is_empty().then(|| is_other(*old_share, *new_share, points));
        all.push(ShareChange { name, old: *old_share, new: *new_share, changed, why });
    }
    all
}

/// Whether shares differ by as many points, and by more than one handshake makes.
fn is_other(old: Share, new: Share, points: u8) -> bool {
    // As fractions of both, without rounding.
    let (old_part, new_part) = (u128::from(old.part) * u128::from(new.all), u128::from(new.part) * u128::from(old.all));
    let apart = old_part.abs_diff(new_part).saturating_mul(100);
    let whole = u128::from(old.all) * u128::from(new.all);
    let one = u128::from(old.all.max(new.all)) * 100;
    apart > 0 && apart >= whole.saturating_mul(u128::from(points)) && apart > one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_differ_by_points_and_by_more_than_one_handshake() {
        let other = |old: (u64, u64), new: (u64, u64)| {
            is_other(Share { part: old.0, all: old.1 }, Share { part: new.0, all: new.1 }, 5)
        };
        assert!(other((90, 100), (95, 100)) && other((0, 100), (100, 100)));
        assert!(!other((90, 100), (94, 100)) && !other((1, 2), (2, 4)));
        assert!(!other((1, 3), (2, 3)), "one handshake");
        assert!(!other((0, 1), (1, 1)) && !other((u64::MAX, u64::MAX), (u64::MAX, u64::MAX)));
    }
}
