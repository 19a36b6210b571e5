//! What of a call is compared. A call is a row of the table; what both sides know of it is compared.

use std::collections::BTreeMap;

use crypto_trace_format::catalog::{file_name, wanted, wanted_name};
use crypto_trace_format::record::{ChangeCall, flags};
use crypto_trace_tests::{Body, Change, Event, Open};

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
#[derive(Debug, Clone, Copy)]
enum Is {
    /// The directory that the next path is relative to.
    Dir,
    Path,
    Number(&'static str),
    /// What a symbolic link is to hold: it is not resolved.
    Text,
    /// What the call is about, by descriptor.
    File,
    /// A user or group; all bits set: not changed.
    Id(&'static str),
    /// The structure of openat2.
    How,
}

use Is::{Dir, File, How, Id, Number, Path, Text};

/// Calls, by the name that strace gives them, and their arguments in order. Of others nothing is asked.
const CALLS: &[(&str, &[Is])] = &[
    ("open", &[Path, Number("flags"), Number("mode")]),
    ("openat", &[Dir, Path, Number("flags"), Number("mode")]),
    ("openat2", &[Dir, Path, How]),
    ("creat", &[Path, Number("mode")]),
    ("rename", &[Path, Path]),
    ("renameat", &[Dir, Path, Dir, Path]),
    ("renameat2", &[Dir, Path, Dir, Path, Number("flags")]),
    ("link", &[Path, Path]),
    ("linkat", &[Dir, Path, Dir, Path, Number("flags")]),
    ("symlink", &[Text, Path]),
    ("symlinkat", &[Text, Dir, Path]),
    ("unlink", &[Path]),
    ("unlinkat", &[Dir, Path, Number("flags")]),
    ("rmdir", &[Path]),
    ("chmod", &[Path, Number("mode")]),
    ("fchmod", &[File, Number("mode")]),
    ("fchmodat", &[Dir, Path, Number("mode")]),
    ("fchmodat2", &[Dir, Path, Number("mode"), Number("flags")]),
    ("chown", &[Path, Id("uid"), Id("gid")]),
    ("lchown", &[Path, Id("uid"), Id("gid")]),
    ("fchown", &[File, Id("uid"), Id("gid")]),
    ("fchownat", &[Dir, Path, Id("uid"), Id("gid"), Number("flags")]),
];

/// What strace is to trace; what it or the machine does not have, it passes over.
pub fn filter() -> String {
    let names: Vec<_> = CALLS.iter().map(|(name, _)| format!("?{name}")).collect();
    format!("trace={}", names.join(","))
}

/// What the directories are called that the first and the second path of a call are relative to.
const DIRECTORIES: [&str; 2] = ["dir", "new_dir"];

/// Numbers of calls in `file_open`, docs/format.md.
const OPENS: &[(u16, &str)] = &[(1, "open"), (2, "openat"), (3, "openat2"), (4, "creat")];

/// A call that strace saw, when it is one on a name that is wanted.
pub fn of_strace(line: &Line) -> Option<Seen> {
    let (call, arguments) = CALLS.iter().find(|(name, _)| *name == line.call)?;
    let mut seen = Seen { tid: line.tid, call, paths: Vec::new(), fields: BTreeMap::new() };
    let mut is_wanted = false;
    let mut directory = None;
    for (is, arg) in arguments.iter().zip(&line.args) {
        match (is, arg) {
            (Dir, Arg::Number(_, path)) => directory = path.clone(),
            (Path, Arg::Text(path)) => {
                // The file of an open that succeeded is asked instead, below.
                let is_open = OPENS.iter().any(|(_, name)| name == call) && line.returned.value >= 0;
                let directory = directory.take().filter(|_| !path.starts_with(b"/"));
                if let Some(directory) = directory.as_ref().filter(|_| !is_open) {
                    seen.set(DIRECTORIES[seen.paths.len()], directory.escape_ascii());
                }
                is_wanted |= if is_open { wanted_name(file_name(path)) } else { wanted(&joined(directory, path)) };
                seen.paths.push(path.clone());
            }
            (Text, Arg::Text(text)) => {
                is_wanted |= wanted_name(file_name(text));
                seen.paths.push(text.clone());
            }
            // Of one that is not open there is no file.
            (File, Arg::Number(_, path)) => {
                let path = path.clone()?;
                is_wanted |= wanted(&path);
                seen.paths.push(path);
            }
            // A path that cannot be read is none.
            (Path | Text, _) => return None,
            (Number(name), Arg::Number(value, _)) => seen.set(name, value),
            (Id(name), Arg::Number(value, _)) => {
                seen.set(name, if *value == -1 { i64::from(u32::MAX) } else { *value })
            }
            (How, Arg::Members(members)) => {
                for name in ["flags", "mode", "resolve"] {
                    let value = members.iter().find(|(member, _)| member == name).map_or(0, |(_, value)| *value);
                    seen.set(name, value);
                }
            }
            (is, arg) => panic!("{arg:?} is no {is:?}: {line:?}"),
        }
    }
    if *call == "creat" {
        seen.set("flags", libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC);
    }
    seen.set("result", line.returned.value);
    if let Some(file) = &line.returned.path {
        seen.set("path", file.escape_ascii());
        seen.set("unlinked", line.returned.is_unlinked);
        is_wanted |= wanted(file);
    }
    is_wanted.then_some(seen)
}

/// A call that was recorded.
pub fn of_record(event: &Event) -> Option<Seen> {
    match &event.body {
        Body::Open(open) if !event.has(flags::FROM_PROC) => Some(of_open(event, open)),
        Body::Change(change) => Some(of_change(event, change)),
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
    if open.fixed.result < 0 {
        seen.set_directory("dir", &open.dir);
    } else {
        seen.set("path", open.path.escape_ascii());
        seen.set("unlinked", event.has(flags::UNLINKED));
    }
    seen
}

fn of_change(event: &Event, change: &Change) -> Seen {
    let call = CALLS
        .iter()
        .find(|(name, _)| *name == ChangeCall(change.fixed.call).name())
        .map_or("another", |(name, _)| name);
    let paths = [&change.path, &change.new].into_iter().filter(|path| !path.is_empty()).cloned().collect();
    let mut seen = Seen { tid: event.header.tid, call, paths, fields: BTreeMap::new() };
    seen.set_directory("dir", &change.dir);
    seen.set_directory("new_dir", &change.new_dir);
    seen.set("flags", change.fixed.flags);
    seen.set("mode", change.fixed.mode);
    seen.set("uid", change.fixed.uid);
    seen.set("gid", change.fixed.gid);
    seen.set("result", change.fixed.result);
    seen
}

fn joined(directory: Option<Vec<u8>>, path: &[u8]) -> Vec<u8> {
    match directory {
        Some(directory) => [&directory, &b"/"[..], path].concat(),
        _ => path.to_vec(),
    }
}

impl Seen {
    fn set(&mut self, name: &'static str, value: impl ToString) {
        self.fields.insert(name, value.to_string());
    }

    fn set_directory(&mut self, name: &'static str, path: &[u8]) {
        if !path.is_empty() {
            self.set(name, path.escape_ascii());
        }
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
