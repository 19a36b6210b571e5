//! The document of `diff`: `schema diff` prints its JSON Schema.

use super::compare::{Change, Compared, Difference, ShareChange, Verdict};
use super::ignore::Ignore;
use super::inventory::{Item, Share, Text};
use super::sight::Sight;
use crate::report::document::{Each, Escaped, Reveal};
use crate::report::watched::Watched;
use serde::Serialize;
use std::collections::BTreeMap;

/// Version of the document: a member that is added does not change it, one that goes or means something else does.
const SCHEMA_VERSION: u32 = 1;

/// Values of one attribute that are shown.
const MAX_VALUES: usize = 100;

/// What is never compared, in the words of the report.
pub(super) const NOT_COMPARED: &[&str] = &[
    "process ids, users, containers, host names and times; how often something happened, except shares",
    "client ports, and server ports from 32768 on",
    "temporary names, process and thread numbers, UUIDs, and hashes of 16 digits or more in names (see --exact-names)",
    "versions in the file names of libraries, which are compared as versions",
    "what neither of them could see",
];

/// The same with a CBOM.
pub(super) const NOT_COMPARED_WITH_CBOM: &[&str] = &[
    "keys, secrets and files; protocols other than TLS; libraries not known as cryptographic",
    "where in the code something is, and which program uses it",
    "the exact spelling of algorithm names: AES128-GCM is AES-128-GCM, and AES stands for every AES-…",
];

/// The document.
#[derive(Serialize)]
#[serde(bound = "")]
pub(super) struct Report<A, V, C, U>
where
    A: Iterator<Item = Row>,
    V: Iterator<Item = Row>,
    C: Iterator<Item = Row>,
    U: Iterator<Item = Row>,
{
    #[serde(flatten)]
    pub head: Head,
    pub appeared: Each<A>,
    pub vanished: Each<V>,
    pub changed: Each<C>,
    pub unknown: Each<U>,
}

/// All of it but the rows.
#[derive(Serialize)]
pub(super) struct Head {
    schema_version: u32,
    pub old: SideReport,
    pub new: SideReport,
    /// None: no rules were asked, as a CBOM was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// A difference is known.
    pub differ: bool,
    /// Both saw all that the other could see: what is not here is the same.
    pub complete: bool,
    pub counts: Counts,
    pub shares: Vec<ShareReport>,
    pub ignored: Vec<Ignored>,
    pub not_compared: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Counts {
    pub appeared: u64,
    pub vanished: u64,
    pub changed: u64,
    pub unknown: u64,
    pub same: u64,
}

/// A side.
#[derive(Serialize)]
pub(super) struct SideReport {
    /// `recordings`, or `cbom`.
    pub kind: &'static str,
    /// What a CBOM says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cbom: Option<CbomReport>,
    pub watched: Vec<Watched>,
    pub missing: Vec<String>,
    /// What it could not see and the other one could, by what it is about.
    pub blind_to: BTreeMap<&'static str, Vec<String>>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct CbomReport {
    pub spec_version: String,
    pub made_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// Components that are compared, and those that cannot be.
    pub compared: u64,
    pub not_compared: u64,
    /// Why, by what they are.
    pub not_compared_by: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Ignored {
    pub rule: String,
    pub differences: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct ShareReport {
    pub name: &'static str,
    pub old: PartReport,
    pub new: PartReport,
    /// None: not known.
    pub changed: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct PartReport {
    pub part: u64,
    pub all: u64,
}

/// A thing that is not the same.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub category: &'static str,
    pub name: String,
    /// What it was called, where its name was made the same as others: the first few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seen_as: Vec<String>,
    /// Handshakes, calls, opens or loads; None: it is not there.
    pub old_count: Option<u64>,
    pub new_count: Option<u64>,
    /// Of what only one side has.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<&'static str, Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeReport>,
    /// Why it may be there all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// Values of attributes that are not shown.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_values: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    escaped: Escaped,
}

#[derive(Debug, Serialize)]
pub(super) struct ChangeReport {
    pub attribute: &'static str,
    pub old: Vec<String>,
    pub new: Vec<String>,
    /// Why that may be no difference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Head {
    pub fn new(sides: [SideReport; 2], as_of: Option<String>, compared: &Compared<'_>, ignore: &Ignore) -> Self {
        let [old, new] = sides;
        let count = |verdict| compared.count(verdict);
        let counts = Counts {
            appeared: count(Verdict::Appeared),
            vanished: count(Verdict::Vanished),
            changed: count(Verdict::Changed),
            unknown: count(Verdict::Unknown),
            same: compared.same,
        };
        let ignored = ignore.used().map(|(rule, differences)| Ignored { rule: rule.to_owned(), differences });
        let complete = old.blind_to.is_empty() && new.blind_to.is_empty() && counts.unknown == 0;
        Self {
            schema_version: SCHEMA_VERSION,
            complete,
            as_of,
            differ: compared.differs(),
            counts,
            shares: compared.shares.iter().map(ShareReport::new).collect(),
            ignored: ignored.collect(),
            not_compared: if old.cbom.is_some() { NOT_COMPARED_WITH_CBOM } else { NOT_COMPARED },
            old,
            new,
        }
    }
}

impl SideReport {
    pub fn blind_to(beyond: &Sight) -> BTreeMap<&'static str, Vec<String>> {
        beyond.all().map(|(about, reasons)| (about, reasons.to_vec())).collect()
    }
}

impl ShareReport {
    fn new(share: &ShareChange) -> Self {
        let part = |share: Share| PartReport { part: share.part, all: share.all };
        let ShareChange { name, old, new, changed, why } = share;
        Self { name, old: part(*old), new: part(*new), changed: *changed, why: why.clone() }
    }
}

/// Rows of one verdict; each is made when it is asked for.
pub(super) fn rows<'a>(compared: &'a Compared<'a>, verdict: Verdict, reveal: Reveal) -> impl Iterator<Item = Row> + 'a {
    compared.differences.iter().filter(move |one| one.verdict == verdict).map(move |one| Row::new(one, reveal))
}

impl Row {
    fn new(one: &Difference<'_>, reveal: Reveal) -> Self {
        let mut escaped = Escaped::new();
        let mut more_values = 0;
        let mut seen_as: Vec<&Text> = [one.old, one.new].into_iter().flatten().flat_map(|item| &item.seen_as).collect();
        seen_as.sort_unstable();
        seen_as.dedup();
        let seen_as = seen_as.into_iter().map(|name| reveal.text(name, "seen_as", &mut escaped)).collect();
        let mut values = |values: &mut dyn Iterator<Item = &Text>, name| -> Vec<String> {
            let mut shown = Vec::new();
            for value in values {
                match shown.len() < MAX_VALUES {
                    true => shown.push(reveal.text(value, name, &mut escaped)),
                    false => more_values += 1,
                }
            }
            shown
        };
        let only = one.old.xor(one.new);
        let attributes = only.into_iter().flat_map(|item: &Item| &item.attributes);
        let attributes = attributes
            .filter(|(_, of)| !of.values.is_empty())
            .map(|(name, of)| (*name, values(&mut of.values.iter(), "attributes")))
            .collect();
        let changes = one.changes.iter().map(|change: &Change<'_>| ChangeReport {
            attribute: change.attribute,
            old: values(&mut change.old.iter().copied(), "changes"),
            new: values(&mut change.new.iter().copied(), "changes"),
            why: change.why.clone(),
        });
        let changes = changes.collect();
        Self {
            category: one.category.name(),
            seen_as,
            old_count: one.old.map(|item| item.count),
            new_count: one.new.map(|item| item.count),
            attributes,
            changes,
            why: one.why.clone(),
            more_values,
            name: reveal.text(one.name, "name", &mut escaped),
            escaped,
        }
    }
}
