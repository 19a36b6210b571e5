//! The members that events have in common: what opens each, who did it, and the notes at its end.

use super::members::{Field, Form, Members, Out, Type, members};
use super::object::{EVENT_DEPTH, new_line};
use super::values::{CommandLine, Path, Text};
use crate::capture::timeline::{self, Identity};
use crate::words::redact;
use crypto_trace_format::record::{Header, flags};
use std::borrow::Cow;
use std::sync::LazyLock;

/// Among the bits of escapes: the command line is longer than what was recorded.
pub const ARGV_CUT: u32 = 1 << 31;

/// Likewise: the kernel gave a call up, and no process saw its result.
pub const INTERRUPTED: u32 = 1 << 30;

/// Record flags that other members tell already: `source`, `error`, `directory`.
const SILENT_FLAGS: u16 = flags::START_IS_TICK | flags::FROM_PROC | flags::PATH_AS_PASSED;

/// What every event begins with. [`super::EventWriter`] keeps it ready.
pub const HEAD: &[Field] = &[
    Field {
        name: "event_type",
        ty: Type::Text(Form::Any),
        is_nullable: false,
        is_optional: false,
        unit: "",
        meaning: "type of the event, one of the sections below",
        source: "record kind",
    },
    Field {
        name: "timestamp",
        ty: Type::Time,
        is_nullable: false,
        is_optional: false,
        unit: "",
        meaning: "when it happened: RFC 3339, UTC, microseconds",
        source: "`CLOCK_BOOTTIME` of the record, turned into UTC by the latest clock anchor at or before it",
    },
    Field {
        name: "host",
        ty: Type::Text(Form::Any),
        is_nullable: false,
        is_optional: false,
        unit: "",
        meaning: "host name of the machine",
        source: "segment header",
    },
];

/// What an event may end with.
pub const TAIL: &[Field] = &[
    Field {
        name: "notes",
        ty: Type::List { of: &Type::Text(Form::Any), least: 1, most: None, is_set: true },
        is_nullable: false,
        is_optional: true,
        unit: "",
        meaning: "only when there is something to note, see [Notes](#notes)",
        source: "record flags",
    },
    Field {
        name: "escaped",
        ty: Type::List { of: &Type::Text(Form::Any), least: 1, most: None, is_set: true },
        is_nullable: false,
        is_optional: true,
        unit: "",
        meaning: "only when needed: fields whose text holds `\\xHH` escapes, see [Text](#text)",
        source: "",
    },
];

members! {
    /// Who did it, by numbers and by its name then.
    pub struct Ids<'a> from "kernel, at the event" {
        /// process (thread group) id in the initial PID namespace
        pid: u32,
        /// thread id in the initial PID namespace
        tid: u32,
        /// real user id in the initial user namespace
        uid: u32,
        /// real group id in the initial user namespace
        gid: u32,
        /// name of the thread, `comm`, at most 15 bytes
        process: Rendered<'a>,
    }
}

members! {
    /// What is known of the process.
    pub struct Program<'a> from "" {
        /// absolute path of the executable at that time
        #[from = "exec or /proc record of the process, or of the ancestor it was forked from"]
        exe: Option<Path<'a>>,
        /// arguments joined by single spaces
        #[from = "argv at exec, read in the kernel; or /proc"]
        cmdline: Option<CommandLine<'a>>,
        /// parent process id
        #[from = "fork, exec or /proc"]
        ppid: Option<u32>,
        /// `comm` of the parent thread when it forked the process; for the adopter of an orphan, and if the fork was not
        /// seen, `comm` of the parent's image at that time
        #[from = "the fork, which hands the name on; else the parent's own records"]
        parent: Option<Text<'a>>,
        /// id of the container: 64 hexadecimal digits
        #[from = "path of the cgroup, as Docker, containerd, CRI-O and Podman name it"]
        container: Option<Text<'a>>,
    }
}

/// Text of the traced host that was made ready before. Who kept it knows its escapes.
#[derive(Debug, Clone, Copy)]
pub struct Rendered<'a> {
    /// As JSON, where JSON is written.
    pub json: &'a [u8],
    /// As it is shown, where columns are.
    pub shown: &'a [u8],
}

impl super::members::Value for Rendered<'_> {
    const TYPE: Type = <Text<'static> as super::members::Value>::TYPE;

    #[inline]
    fn write<O: Out>(&self, out: &mut O, _bit: u32) {
        out.rendered(self.json, self.shown);
    }
}

/// Appends what is known of a process.
pub fn program(out: &mut impl Out, identity: &Identity<'_>) {
    let parent: Option<Cow<'_, [u8]>> = identity
        .parent
        .filter(|comm| !comm.is_empty())
        .map(|comm| redact::comm(comm, identity.parent_exe, out.redacts()));
    let program = Program {
        exe: identity.exe.map(Path),
        cmdline: identity.argv.map(CommandLine),
        ppid: identity.ppid,
        parent: parent.as_deref().map(Text),
        container: identity.container.map(Text),
    };
    program.write_members(out);
}

/// The members of a process that is not known: compact, and with a line for each.
pub static NO_PROCESS: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let (mut compact, mut pretty) = (Vec::new(), Vec::new());
    for field in Ids::FIELDS.iter().chain(Program::FIELDS) {
        compact.extend_from_slice(format!(",\"{}\":null", field.name).as_bytes());
        pretty.push(b',');
        new_line(EVENT_DEPTH, &mut pretty);
        pretty.extend_from_slice(format!("\"{}\": null", field.name).as_bytes());
    }
    (compact, pretty)
});

/// What a record tells of its process by itself; the parent's name is the timeline's.
pub fn own_identity<'a>(
    known: Identity<'a>,
    exe: &'a [u8],
    argv: &'a [u8],
    argv_full_len: u32,
    cgroup: &'a [u8],
    ppid: u32,
) -> Identity<'a> {
    use super::values::some;
    Identity {
        exe: some(exe),
        argv: some(argv),
        argv_cut: usize::try_from(argv_full_len).is_ok_and(|full| full > argv.len()),
        cgroup: some(cgroup),
        container: timeline::container_id(cgroup),
        ppid: Some(ppid),
        parent: known.parent,
        parent_exe: known.parent_exe,
    }
}

/// Whether there is something to note.
#[inline(always)]
pub fn is_noted(header: &Header, more: u32) -> bool {
    header.flags & !SILENT_FLAGS != 0 || more & (ARGV_CUT | INTERRUPTED) != 0
}

/// Calls `note` with each word of `notes`.
pub fn notes(header: &Header, more: u32, mut note: impl FnMut(&str)) {
    let mut rest = header.flags & !SILENT_FLAGS;
    for (bit, name) in flags::NAMES {
        if rest & bit != 0 {
            rest &= !bit;
            note(name);
        }
    }
    if rest != 0 {
        note(&format!("flags_{rest:#x}"));
    }
    for (bit, name) in [(ARGV_CUT, "cmdline_truncated"), (INTERRUPTED, "interrupted")] {
        if more & bit != 0 {
            note(name);
        }
    }
}
