//! What of a call is compared. A call is a row of the table; what both sides know of it is compared.

use std::collections::BTreeMap;

use crypto_trace_format::catalog::{file_name, wanted, wanted_name};
use crypto_trace_format::record::flags;
use crypto_trace_tests::{Body, Event, Open};

use crate::log::{Arg, Line};

/// A call, as either side saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub tid: u32,
    pub call: &'static str,
    /// As passed.
    pub paths: Vec<Vec<u8>>,
    pub fields: BTreeMap<&'static str, String>,
}

/// What an argument is.
#[derive(Clone, Copy)]
enum Is {
    /// The directory that the next path is relative to.
    Dir,
    Path,
    Number(&'static str),
    /// The structure of openat2.
    How,
}

use Is::{Dir, How, Number, Path};

/// Calls, by the name that strace gives them, and their arguments in order. Of others nothing is asked.
const CALLS: &[(&str, &[Is])] = &[
    ("open", &[Path, Number("flags"), Number("mode")]),
    ("openat", &[Dir, Path, Number("flags"), Number("mode")]),
    ("openat2", &[Dir, Path, How]),
    ("creat", &[Path, Number("mode")]),
];

/// What strace is to trace.
pub fn filter() -> String {
    let names: Vec<_> = CALLS.iter().map(|(name, _)| *name).collect();
    format!("trace={}", names.join(","))
}

/// Numbers of calls in `file_open`, docs/format.md.
const OPENS: &[(u16, &str)] = &[(1, "open"), (2, "openat"), (3, "openat2"), (4, "creat")];

/// A call that strace saw, when it is one on a name that is wanted.
pub fn of_strace(line: &Line) -> Option<Seen> {
    let (call, arguments) = CALLS.iter().find(|(name, _)| *name == line.call)?;
    let mut seen = Seen { tid: line.tid, call, paths: Vec::new(), fields: BTreeMap::new() };
    let mut names = Vec::new();
    let mut directory = None;
    for (is, arg) in arguments.iter().zip(&line.args) {
        match (is, arg) {
            (Dir, Arg::Number(_, path)) => directory = path.clone(),
            (Path, Arg::Text(path)) => {
                names.push(joined(directory.take(), path));
                seen.paths.push(path.clone());
            }
            // A path that cannot be read is none.
            (Path, _) => return None,
            (Number(name), Arg::Number(value, _)) => seen.set(name, value),
            (How, Arg::Members(members)) => {
                for name in ["flags", "mode", "resolve"] {
                    let value = members.iter().find(|(member, _)| member == name).map_or(0, |(_, value)| *value);
                    seen.set(name, value);
                }
            }
            (is, arg) => panic!("{arg:?} is no {}: {line:?}", is.name()),
        }
    }
    if *call == "creat" {
        seen.set("flags", libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC);
    }
    seen.set("result", line.returned.value);
    let is_wanted = if line.returned.value < 0 {
        names.iter().any(|path| wanted(path))
    } else {
        let file = line.returned.path.as_deref().unwrap_or_default();
        seen.set("path", file.escape_ascii());
        seen.set("unlinked", line.returned.is_unlinked);
        wanted(file) || seen.paths.iter().any(|path| wanted_name(file_name(path)))
    };
    is_wanted.then_some(seen)
}

/// A call that was recorded.
pub fn of_record(event: &Event) -> Option<Seen> {
    match &event.body {
        Body::Open(open) if !event.has(flags::FROM_PROC) => Some(of_open(event, open)),
        _ => None,
    }
}

fn of_open(event: &Event, open: &Open) -> Seen {
    let call = OPENS.iter().find(|(number, _)| *number == open.fixed.call).map_or("another", |(_, name)| name);
    let given = if open.given.is_empty() { &open.path } else { &open.given };
    let mut seen = Seen { tid: event.header.tid, call, paths: vec![given.clone()], fields: BTreeMap::new() };
    seen.set("flags", open.fixed.flags);
    seen.set("mode", open.fixed.mode);
    seen.set("resolve", open.fixed.resolve);
    seen.set("result", open.fixed.result);
    assert_eq!(event.has(flags::PATH_AS_PASSED), open.fixed.result < 0, "{event:?}");
    if open.fixed.result >= 0 {
        seen.set("path", open.path.escape_ascii());
        seen.set("unlinked", event.has(flags::UNLINKED));
    }
    seen
}

fn joined(directory: Option<Vec<u8>>, path: &[u8]) -> Vec<u8> {
    match directory {
        Some(directory) if !path.starts_with(b"/") => [&directory, &b"/"[..], path].concat(),
        _ => path.to_vec(),
    }
}

impl Is {
    fn name(self) -> &'static str {
        match self {
            Dir => "directory",
            Path => "path",
            Number(name) => name,
            How => "structure",
        }
    }
}

impl Seen {
    fn set(&mut self, name: &'static str, value: impl ToString) {
        self.fields.insert(name, value.to_string());
    }

    /// What they do not agree on, of what both know.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let differ = |(name, ours): (&&str, &String)| {
            let theirs = other.fields.get(*name).filter(|theirs| *theirs != ours)?;
            Some(format!("{name}: {ours} recorded, {theirs} by strace"))
        };
        self.fields.iter().filter_map(differ).collect()
    }

    /// For those who read a failure.
    pub fn text(&self) -> String {
        let paths: Vec<_> = self.paths.iter().map(|path| path.escape_ascii().to_string()).collect();
        format!("{} {}({}) {:?}", self.tid, self.call, paths.join(", "), self.fields)
    }
}
