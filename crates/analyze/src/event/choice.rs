//! Which members of events are wanted: `--fields` and `--without`, held against what is declared.
//!
//! What is chosen is cut out of the JSON that [`super::EventWriter`] wrote, so a value looks the same with and without a
//! choice, and who makes none pays nothing for it.

use super::members::{Field, Type};
use super::types::{EVENT_TYPES, EventType};
use crypto_trace_format::record::Kind;
use std::collections::BTreeSet;

/// How many names that come near an error lists.
const MAX_NEAR: usize = 5;

/// Where there are no more, it lists all.
const MAX_NAMED: usize = 12;

/// What is kept of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// All of it.
    Whole,
    /// Of an object, or of each object of a list: these members.
    Members(Vec<Member>),
}

/// A member as it was declared, and what is kept of it; nothing when `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What is kept.
    pub kept: Option<Kept>,
}

/// What is chosen of one type of event: its members in the order in which they are written.
#[derive(Debug, Clone)]
pub struct OfType {
    /// The kind of record behind it.
    pub kind: Kind,
    /// All of its members.
    pub members: Vec<Member>,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct ChosenColumn {
    /// Its heading: the member's name, dotted where it is within another.
    pub name: String,
    /// Where its value is, by the number of a type in [`Choice::types`]; `None` where the type has no such member.
    pub cells: Vec<Option<Place>>,
}

/// Where a value is in an event.
#[derive(Debug, Clone)]
pub struct Place {
    /// Number of the event's member.
    pub member: usize,
    /// Names of members within that.
    pub within: Vec<&'static str>,
    /// What is kept of what is there.
    pub kept: Kept,
}

/// Names from the outside in.
type Path = Vec<&'static str>;

/// What is chosen of all types of events.
#[derive(Debug, Clone)]
pub struct Choice {
    /// In the order in which they were asked for; all members when empty.
    fields: Vec<Path>,
    without: Vec<Path>,
    types: Vec<OfType>,
}

impl Choice {
    /// What `fields` and `without` ask for of events of these kinds, as dotted names; no `fields` means all members.
    ///
    /// # Errors
    /// When there is no such member, when none of these kinds has it, or when nothing is left.
    pub fn new(fields: &[String], without: &[String], kinds: &[Kind]) -> Result<Self, String> {
        let all = || EVENT_TYPES.iter();
        let shown = || all().filter(|ty| kinds.contains(&ty.kind));
        let mut wanted: Vec<Path> = Vec::new();
        for name in fields {
            let path = find(name, all()).map_err(|error| format!("--fields: {error}"))?;
            if find(name, shown()).is_err() {
                return Err(of_other_types(name));
            }
            if !wanted.contains(&path) {
                wanted.push(path);
            }
        }
        let without = without.iter().map(|name| find(name, all()));
        let without = without.collect::<Result<Vec<Path>, _>>().map_err(|error| format!("--without: {error}"))?;
        let types: Vec<OfType> = shown().map(|ty| of_type(ty, &wanted, &without)).collect();
        if types.iter().all(|ty| ty.members.iter().all(|member| member.kept.is_none())) {
            return Err("--without takes out all that --fields asks for: nothing is left".to_owned());
        }
        Ok(Self { fields: wanted, without, types })
    }

    /// What is chosen, by type.
    pub fn types(&self) -> &[OfType] {
        &self.types
    }

    /// The number of the type of event that a kind of record is shown as.
    #[inline]
    pub fn index_of(&self, kind: Kind) -> Option<usize> {
        self.types.iter().position(|ty| ty.kind == kind)
    }

    /// The columns of a table of all types: what was asked for in that order; else all members, each once: those of every
    /// event, of its process, of each type, the notes at the end.
    pub fn columns(&self) -> Vec<ChosenColumn> {
        let paths = if self.fields.is_empty() { self.union() } else { self.fields.clone() };
        let columns = paths.iter().map(|path| {
            let cells = self.types.iter().map(|ty| place(ty, path, &self.without)).collect();
            ChosenColumn { name: path.join("."), cells }
        });
        columns.filter(|column| column.cells.iter().any(Option::is_some)).collect()
    }

    /// The names of all members, each once.
    fn union(&self) -> Vec<Path> {
        let (mut names, mut seen, mut last) = (Vec::new(), BTreeSet::new(), Vec::new());
        let tail: BTreeSet<&str> = super::head::TAIL.iter().map(|field| field.name).collect();
        // The process's members come before those of types, though the first type may be none of a process.
        let process = super::types::process_fields().map(|field| field.name);
        let process: Vec<&str> = process.filter(|name| self.types.iter().any(|ty| ty.has(name))).collect();
        let head = super::head::HEAD.iter().map(|field| field.name);
        let types = self.types.iter().flat_map(|ty| ty.members.iter().map(|member| member.name));
        for name in head.chain(process).chain(types) {
            if seen.insert(name) {
                if tail.contains(name) { last.push(vec![name]) } else { names.push(vec![name]) }
            }
        }
        names.append(&mut last);
        names
    }
}

impl OfType {
    /// Whether events of it have that member.
    fn has(&self, name: &str) -> bool {
        self.members.iter().any(|member| member.name == name)
    }

    /// Whether a text that is said to hold escapes is not shown, see `escaped` in docs/events.md.
    pub fn leaves_out(&self, name: &[u8]) -> bool {
        self.members.iter().any(|member| member.name.as_bytes() == name && member.kept.is_none())
    }
}

fn of_type(ty: &EventType, wanted: &[Path], without: &[Path]) -> OfType {
    let fields: Vec<Field> = ty.fields().collect();
    let tails = |paths: &[Path]| paths.to_vec();
    OfType {
        kind: ty.kind,
        members: choose(&fields, Some(tails(wanted)).filter(|all| !all.is_empty()), tails(without)),
    }
}

/// What is kept of each of `fields`, when `wanted` is (all, where it is `None`) and `without` is not.
fn choose(fields: &[Field], wanted: Option<Vec<Path>>, without: Vec<Path>) -> Vec<Member> {
    let member = |field: &Field| {
        let wanted = match &wanted {
            None => None,
            Some(paths) => Some(rests(paths, field.name)).filter(|rests| !rests.iter().any(Vec::is_empty)),
        };
        let without = rests(&without, field.name);
        Member { name: field.name, kept: keep(field, wanted, without) }
    };
    fields.iter().map(member).collect()
}

fn keep(field: &Field, wanted: Option<Vec<Path>>, without: Vec<Path>) -> Option<Kept> {
    if wanted.as_ref().is_some_and(Vec::is_empty) || without.iter().any(Vec::is_empty) {
        return None;
    }
    match inner(&field.ty) {
        Some(fields) if wanted.is_some() || !without.is_empty() => {
            let members = choose(fields, wanted, without);
            members.iter().any(|member| member.kept.is_some()).then_some(Kept::Members(members))
        }
        _ => Some(Kept::Whole),
    }
}

/// What follows `name` in those paths that begin with it.
fn rests(paths: &[Path], name: &str) -> Vec<Path> {
    paths.iter().filter(|path| path.first() == Some(&name)).map(|path| path.iter().skip(1).copied().collect()).collect()
}

/// Where a type's events have the value at `path`, and what is kept of it.
fn place(ty: &OfType, path: &Path, without: &[Path]) -> Option<Place> {
    let declared = EVENT_TYPES.iter().find(|declared| declared.kind == ty.kind)?;
    let member = ty.members.iter().position(|member| Some(&member.name) == path.first())?;
    let of_path = of_type(declared, std::slice::from_ref(path), without);
    let mut kept = of_path.members.into_iter().nth(member)?.kept?;
    let within: Vec<&'static str> = path.iter().skip(1).copied().collect();
    for name in &within {
        let Kept::Members(members) = kept else { return None };
        kept = members.into_iter().find(|member| member.name == *name)?.kept?;
    }
    Some(Place { member, within, kept })
}

/// The members of an object, or of the objects of a list.
fn inner(ty: &Type) -> Option<&'static [Field]> {
    match ty {
        Type::List { of, .. } => inner(of),
        Type::Struct(fields) => Some(fields),
        _ => None,
    }
}

/// The member of this dotted name, in the first of `types` that has it.
fn find(name: &str, types: impl Iterator<Item = &'static EventType>) -> Result<Path, String> {
    let mut failed: Option<(usize, String)> = None;
    let mut names = BTreeSet::new();
    for ty in types {
        let fields: Vec<Field> = ty.fields().collect();
        names.extend(fields.iter().map(|field| field.name));
        match walk(name, &fields) {
            Ok(path) => return Ok(path),
            // Of what is within a member, say what that has.
            Err((depth, error)) if depth > 0 => failed = failed.or(Some((depth, error))),
            Err(_) => {}
        }
    }
    let first = name.split('.').next().unwrap_or_default();
    Err(failed.map_or_else(|| no_member(first, "no event has a member", &names), |(_, error)| error))
}

/// Follows a dotted name; how deep it led, and what is wrong there, where it ends.
fn walk(name: &str, fields: &[Field]) -> Result<Path, (usize, String)> {
    let mut path = Vec::new();
    let mut here: Option<Vec<Field>> = Some(fields.to_vec());
    for part in name.split('.') {
        let outer = path.join(".");
        let Some(fields) = here else {
            return Err((path.len(), format!("`{outer}` has no members, so there is no `{name}`")));
        };
        let Some(field) = fields.iter().find(|field| field.name == part) else {
            let names = fields.iter().map(|field| field.name).collect();
            return Err((path.len(), no_member(part, &format!("`{outer}` has no member"), &names)));
        };
        path.push(field.name);
        here = inner(&field.ty).map(<[Field]>::to_vec);
    }
    Ok(path)
}

/// That there is no such member, and names that come near; all where there are few.
fn no_member(name: &str, what: &str, names: &BTreeSet<&str>) -> String {
    let shown = crate::words::escape::for_people(name.as_bytes());
    let lower = name.to_ascii_lowercase();
    let distance = |known: &str| {
        let holds = lower.len() >= 3 && known.contains(&lower) || known.len() >= 3 && lower.contains(known);
        if holds { 1 } else { strsim::osa_distance(&lower, known) }
    };
    if names.len() <= MAX_NAMED {
        let names: Vec<&str> = names.iter().copied().collect();
        return format!("{what} `{shown}`: there are {}", names.join(", "));
    }
    let mut near: Vec<(usize, &str)> = names.iter().map(|known| (distance(known), *known)).collect();
    near.retain(|(distance, _)| *distance <= 3.min(lower.len() / 2));
    near.sort_unstable();
    let near: Vec<&str> = near.into_iter().take(MAX_NEAR).map(|(_, known)| known).collect();
    match near.as_slice() {
        [] => format!("{what} `{shown}`: docs/events.md and `schema events` list them"),
        near => format!("{what} `{shown}`, did you mean {}?", near.join(", ")),
    }
}

/// That no type that is shown has a member, and which types have it.
fn of_other_types(name: &str) -> String {
    let have = EVENT_TYPES.iter().filter(|ty| find(name, std::iter::once(*ty)).is_ok()).map(|ty| ty.name);
    let have = have.collect::<Vec<_>>().join(", ");
    format!("--fields: no event of the types that are shown has `{name}`; --type selects those that have it: {have}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_trace_format::record::{FileOpen, Loss, TlsHello};

    fn choice(fields: &[&str], without: &[&str], kinds: &[Kind]) -> Result<Choice, String> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Choice::new(&owned(fields), &owned(without), kinds)
    }

    fn kept(choice: &Choice) -> Vec<&'static str> {
        let members = choice.types.iter().flat_map(|ty| &ty.members);
        members.filter(|member| member.kept.is_some()).map(|member| member.name).collect()
    }

    #[test]
    fn members_are_kept_in_the_order_of_events_and_columns_in_that_of_the_question() {
        let found = choice(&["version", "offered.groups", "pid"], &[], &[TlsHello::KIND]).expect("members");
        assert_eq!(kept(&found), ["pid", "version", "offered"]);
        let names: Vec<String> = found.columns().into_iter().map(|column| column.name).collect();
        assert_eq!(names, ["version", "offered.groups", "pid"]);
    }

    #[test]
    fn what_is_taken_out_is_not_there() {
        let found = choice(&[], &["offered"], &[TlsHello::KIND]).expect("members");
        assert!(!kept(&found).contains(&"offered") && kept(&found).contains(&"ja3"));
        let found = choice(&["offered"], &["offered.groups"], &[TlsHello::KIND]).expect("members");
        let columns = found.columns();
        let place = columns.first().and_then(|column| column.cells.first()).and_then(Option::as_ref).expect("there");
        let Kept::Members(members) = &place.kept else { panic!("{place:?}") };
        assert!(members.iter().all(|member| (member.name == "groups") == member.kept.is_none()));
    }

    #[test]
    fn a_table_of_several_types_has_each_member_once() {
        let found = choice(&[], &[], &[Loss::KIND, FileOpen::KIND, TlsHello::KIND]).expect("members");
        let names: Vec<String> = found.columns().into_iter().map(|column| column.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert_eq!(names[..5], ["event_type", "timestamp", "host", "pid", "tid"]);
        assert_eq!(names[names.len() - 2..], ["notes", "escaped"]);
        for ty in &found.types {
            assert!(ty.members.iter().all(|member| names.iter().any(|name| name == member.name)));
        }
    }

    #[test]
    fn errors_say_what_comes_near() {
        let check = |fields: &[&str], without: &[&str], kinds: &[Kind], expected: &str| {
            let error = choice(fields, without, kinds).expect_err(expected);
            assert_eq!(error, expected);
        };
        let tls = &[TlsHello::KIND][..];
        check(&["servername"], &[], tls, "--fields: no event has a member `servername`, did you mean server_name?");
        let unknown = "--fields: no event has a member `zebra_crossing`: docs/events.md and `schema events` list them";
        check(&["zebra_crossing"], &[], tls, unknown);
        check(&["pid.x"], &[], tls, "--fields: `pid` has no members, so there is no `pid.x`");
        let offered = "--without: `offered` has no member `group`: there are alpn, cipher_suites, early_data, ech, grease, \
            groups, key_shares, pre_shared_key, signature_schemes, versions";
        check(&[], &["offered.group"], tls, offered);
        let other = "--fields: no event of the types that are shown has `server_name`; --type selects those that have it: \
            tls_handshake";
        check(&["server_name"], &[], &[FileOpen::KIND], other);
        let escaped = "--fields: no event has a member `\\u{1b}[31m`: docs/events.md and `schema events` list them";
        check(&["\u{1b}[31m"], &[], tls, escaped);
        check(&["pid"], &["pid"], tls, "--without takes out all that --fields asks for: nothing is left");
    }
}
