//! Members of each kind of event. `docs/events.md` explains them; `schema.json` types them.

use super::object::{Object, Redact};
use super::render::Event;
use crate::capture::clock::WallNs;
use crate::capture::libraries::product;
use crate::capture::timeline::Identity;
use crate::capture::{Capture, tells_given_up, tells_suppressed};
use crate::words::kernel::{errno_name, is_interrupted, signal_name, takes_mode};
use crate::words::redact;
use crate::words::secrets;
use crypto_trace_format::catalog::{self, FileType, Judged};
use crypto_trace_format::record::{
    Clock, ClockReason, FileOpen, Header, Inventory, Kind, LibLoad, Loss, LossCause, OpenCall, ProbeState, ProbeStatus,
    ProcessExec, ProcessExit, ProcessFork, ProcessInfo, SelfStats, Suppressed, SuppressionReason, Tier, flags,
};

/// In a set of escapes: the command line is longer than what was recorded.
pub const ARGV_CUT: u32 = 1 << 31;

/// Likewise: the kernel gave a call up, and no process saw its result.
pub const INTERRUPTED: u32 = 1 << 30;

/// Of what [`library`] wrote: its name is still to be told.
pub const UNNAMED: u32 = 1 << 29;

/// Record flags that other members tell already: `source`, `error`, `directory`.
const SILENT_FLAGS: u16 = flags::START_IS_TICK | flags::FROM_PROC | flags::PATH_AS_PASSED;

/// Of an event whose process is not known.
pub const NO_PROCESS: &[u8] =
    b",\"pid\":null,\"tid\":null,\"uid\":null,\"gid\":null,\"process\":null,\"exe\":null,\"cmdline\":null,\
    \"ppid\":null,\"parent\":null,\"container\":null";

/// `,"exe":…,"cmdline":…,"ppid":…,"parent":…,"container":…`
pub fn identity(object: &mut Object<'_>, identity: &Identity<'_>) {
    object.text_or_null(b",\"exe\":", "exe", identity.exe, Redact::Path);
    let redact = object.redact;
    let cmdline = identity.argv.map(|argv| if redact { cmdline(&secrets::mask(argv)) } else { cmdline(argv) });
    object.text_or_null(b",\"cmdline\":", "cmdline", cmdline.as_deref(), Redact::Text);
    object.number_or_null(b",\"ppid\":", identity.ppid);
    let parent = identity.parent.filter(|comm| !comm.is_empty());
    let parent = parent.map(|comm| redact::comm(comm, identity.parent_exe, redact));
    object.text_or_null(b",\"parent\":", "parent", parent.as_deref(), Redact::Text);
    object.text_or_null(b",\"container\":", "container", identity.container, Redact::Text);
}

/// Arguments joined by spaces.
pub fn cmdline(argv: &[u8]) -> Vec<u8> {
    let argv = argv.strip_suffix(b"\0").unwrap_or(argv);
    argv.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect()
}

/// The identity that an exec record tells; the parent's name is the timeline's.
pub fn exec_identity<'a>(event: &Event<'a>, exec: &ProcessExec<'a>) -> Identity<'a> {
    let known = event.capture.timeline.identity(event.image);
    own_identity(known, exec.exe, exec.argv, exec.fixed.argv_full_len, exec.cgroup, exec.fixed.ppid)
}

/// The identity that a process_info record tells.
pub fn info_identity<'a>(event: &Event<'a>, info: &ProcessInfo<'a>) -> Identity<'a> {
    let known = event.capture.timeline.identity(event.image);
    own_identity(known, info.exe, info.argv, info.fixed.argv_full_len, info.cgroup, info.fixed.ppid)
}

fn own_identity<'a>(
    known: Identity<'a>,
    exe: &'a [u8],
    argv: &'a [u8],
    argv_full_len: u32,
    cgroup: &'a [u8],
    ppid: u32,
) -> Identity<'a> {
    let some = |text: &'a [u8]| Some(text).filter(|text| !text.is_empty());
    Identity {
        exe: some(exe),
        argv: some(argv),
        argv_cut: usize::try_from(argv_full_len).is_ok_and(|full| full > argv.len()),
        cgroup: some(cgroup),
        container: crate::capture::timeline::container_id(cgroup),
        ppid: Some(ppid),
        parent: known.parent,
        parent_exe: known.parent_exe,
    }
}

/// Members of a process_exec.
pub fn process_exec(object: &mut Object<'_>, exec: &ProcessExec<'_>) {
    arguments(object, exec.argv);
    place(object, exec.cwd, exec.cgroup, exec.fixed.cgroup_id);
    device(object, exec.fixed.exe_dev);
    object.number(b",\"inode\":", exec.fixed.exe_ino);
    let f = &exec.fixed;
    namespaces(object, f.ns_pid, [f.pid_ns, f.mnt_ns, f.net_ns, f.user_ns]);
}

/// Members of a process_info.
pub fn process_info(object: &mut Object<'_>, info: &ProcessInfo<'_>) {
    arguments(object, info.argv);
    place(object, info.cwd, info.cgroup, info.fixed.cgroup_id);
    let f = &info.fixed;
    namespaces(object, f.ns_pid, [f.pid_ns, f.mnt_ns, f.net_ns, f.user_ns]);
}

fn arguments(object: &mut Object<'_>, argv: &[u8]) {
    object.raw(b",\"argv\":[");
    let argv = if object.redact { secrets::mask(argv) } else { argv.into() };
    // One empty argument is a NUL; no argument is nothing.
    let any = !argv.is_empty();
    let argv = argv.strip_suffix(b"\0").unwrap_or(&argv);
    if any {
        // One scheme for the whole list: an escape in one argument must not leave the others ambiguous.
        let any_escaped = std::str::from_utf8(argv).is_err();
        for (index, argument) in argv.split(|byte| *byte == 0).enumerate() {
            if index > 0 {
                object.out.push(b',');
            }
            if any_escaped && argument.contains(&b'\\') && std::str::from_utf8(argument).is_ok() {
                let doubled: Vec<u8> = argument
                    .iter()
                    .flat_map(|byte| std::iter::repeat_n(*byte, 1 + usize::from(*byte == b'\\')))
                    .collect();
                object.value("argv", &doubled, Redact::Text);
            } else {
                object.value("argv", argument, Redact::Text);
            }
        }
    }
    object.out.push(b']');
}

fn place(object: &mut Object<'_>, cwd: &[u8], cgroup: &[u8], cgroup_id: u64) {
    if !cwd.is_empty() {
        object.text(b",\"cwd\":", "cwd", cwd, Redact::Path);
    }
    if !cgroup.is_empty() {
        object.text(b",\"cgroup\":", "cgroup", cgroup, Redact::Text);
    }
    if cgroup_id != 0 {
        object.number(b",\"cgroup_id\":", cgroup_id);
    }
}

fn namespaces(object: &mut Object<'_>, ns_pid: u32, [pid, mnt, net, user]: [u32; 4]) {
    object.number(b",\"ns_pid\":", ns_pid);
    for (key, number) in [
        (&b",\"pid_ns\":"[..], pid),
        (&b",\"mnt_ns\":"[..], mnt),
        (&b",\"net_ns\":"[..], net),
        (&b",\"user_ns\":"[..], user),
    ] {
        if number != 0 {
            object.number(key, number);
        }
    }
}

/// Members of a process_fork.
pub fn process_fork(object: &mut Object<'_>, fork: &ProcessFork<'_>) {
    object.number(b",\"ns_pid\":", fork.fixed.ns_pid);
}

/// Members of a process_exit.
pub fn process_exit(object: &mut Object<'_>, exit: &ProcessExit<'_>) {
    let signal = exit.fixed.status & 0x7f;
    if signal == 0 {
        object.number(b",\"exit_code\":", (exit.fixed.status >> 8) & 0xff);
        object.raw(b",\"signal\":null");
    } else {
        object.raw(b",\"exit_code\":null");
        object.plain(b",\"signal\":", &signal_name(signal));
        if exit.fixed.status & 0x80 != 0 {
            object.yes(b",\"core_dumped\":");
        }
    }
    object.number(b",\"duration_ms\":", exit.fixed.duration_ns / 1_000_000);
    object.number(b",\"duration_ns\":", exit.fixed.duration_ns);
}

/// Members of a file_open after `file`, which is `shown`.
#[inline]
pub fn file_open(
    object: &mut Object<'_>,
    event: &Event<'_>,
    open: &FileOpen<'_>,
    shown: &[u8],
    judged: Option<Judged>,
) {
    let fixed = &open.fixed;
    file_type(object, judged);
    object.raw(b",\"flags\":\"");
    event.capture.open_flags.write(open.all_flags(), object.out);
    object.raw(b"\"");
    let told = !is_interrupted(fixed.result.into());
    object.number_or_null(b",\"result\":", told.then_some(fixed.result));
    if told && fixed.result < 0 {
        error(object, fixed.result.unsigned_abs());
    }
    if takes_mode(fixed.flags) {
        object.formatted(b",\"mode\":", format_args!("{:04o}", fixed.mode));
    }
    given(object, open, shown);
    if fixed.ino != 0 || fixed.dev != 0 {
        device(object, fixed.dev);
        object.number(b",\"inode\":", fixed.ino);
    }
    if fixed.inode_mode != 0 {
        octal(object, b",\"inode_mode\":\"", fixed.inode_mode);
    }
    if event.record.header.flags & flags::FROM_PROC != 0 {
        object.plain(b",\"source\":", "already open");
    } else {
        object.plain(b",\"syscall\":", OpenCall(fixed.call).name());
    }
    if fixed.resolve != 0 {
        object.formatted(b",\"resolve\":", format_args!("{:#x}", fixed.resolve));
    }
    object.plain(b",\"tier\":", Tier(fixed.tier).name());
}

/// What a file holds, how sure that is, and what it is known by.
pub(super) fn file_type(object: &mut Object<'_>, judged: Option<Judged>) {
    match judged {
        Some(judged) => {
            object.plain(b",\"file_type\":", judged.file_type.name());
            object.plain(b",\"file_type_confidence\":", judged.confidence.name());
            object.plain(b",\"file_type_by\":", judged.by.name());
        }
        None => {
            object.plain(b",\"file_type\":", FileType::Unknown.name());
            object.raw(b",\"file_type_confidence\":null,\"file_type_by\":null");
        }
    }
}

/// The path as passed, and the directory it was relative to.
#[inline]
fn given(object: &mut Object<'_>, open: &FileOpen<'_>, shown: &[u8]) {
    let joined = open.is_joined();
    let passed = if joined { open.path } else { open.given };
    if !passed.is_empty() {
        as_passed(object, b",\"file_given\":", "file_given", passed, shown);
    }
    if joined {
        object.text(b",\"directory\":", "directory", open.dir, Redact::Path);
    }
}

/// A path as it was passed, which may be relative; of `real` is what redacting takes out.
#[inline]
pub(super) fn as_passed(object: &mut Object<'_>, key: &[u8], name: &str, passed: &[u8], real: &[u8]) {
    if object.redact && passed.first() != Some(&b'/') {
        let mut relative = Vec::with_capacity(passed.len());
        redact::relative(passed, real, &mut relative);
        object.text(key, name, &relative, Redact::Text);
    } else {
        object.text(key, name, passed, Redact::Path);
    }
}

pub(super) fn error(object: &mut Object<'_>, errno: u32) {
    match errno_name(errno) {
        Some(name) => object.plain(b",\"error\":", name),
        None => object.formatted(b",\"error\":", format_args!("errno {errno}")),
    }
}

/// `,"device":"8:1"`: `MAJOR << 20 | MINOR`.
#[inline]
pub(super) fn device(object: &mut Object<'_>, dev: u64) {
    object.raw(b",\"device\":\"");
    object.number(b"", dev >> 20);
    object.number(b":", dev & 0xf_ffff);
    object.raw(b"\"");
}

#[inline]
pub(super) fn octal(object: &mut Object<'_>, key: &[u8], number: u32) {
    object.raw(key);
    let mut digits = *b"00000000000";
    let mut rest = number;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest & 7).unwrap_or_default();
        rest >>= 3;
        used += 1;
        if rest == 0 && used >= 6 {
            break;
        }
    }
    object.raw(digits.get(digits.len() - used..).unwrap_or_default());
    object.raw(b"\"");
}

/// Members of a lib_load that its path tells.
pub fn library(object: &mut Object<'_>, path: &[u8]) {
    object.text(b",\"library\":", "library", path, Redact::Path);
    let name = redact::file_name(path, object.redact);
    let name = &*name;
    object.text(b",\"library_file\":", "library_file", name, Redact::Text);
    object.text_or_null(b",\"soname_version\":", "soname_version", product::soname_version(name), Redact::Text);
    match catalog::library(path) {
        Some(name) => object.plain(b",\"library_name\":", name),
        None => object.escaped |= UNNAMED,
    }
}

/// Other members of a lib_load.
pub fn lib_load(object: &mut Object<'_>, load: &LibLoad<'_>, source: &str) {
    object.plain(b",\"source\":", source);
    device(object, load.fixed.dev);
    object.number(b",\"inode\":", load.fixed.ino);
    if load.fixed.size != 0 {
        object.number(b",\"size\":", load.fixed.size);
    }
    object.formatted(b",\"address\":", format_args!("{:#x}", load.fixed.address));
    object.number(b",\"offset\":", load.fixed.offset);
    object.plain(b",\"tier\":", Tier(load.fixed.tier).name());
}

/// Members of a loss.
pub fn loss(object: &mut Object<'_>, capture: &Capture, loss: &Loss<'_>) {
    let fixed = &loss.fixed;
    object.time(b",\"from\":", capture.clock.wall(fixed.from_ns));
    object.time(b",\"to\":", capture.clock.wall(fixed.to_ns));
    object.number(b",\"count\":", fixed.count);
    kind_name(object, fixed.lost_kind);
    let cause = LossCause(fixed.cause);
    object.plain(b",\"cause\":", cause.name());
    object.plain(b",\"class\":", if cause.is_drop() { "dropped" } else { "lost" });
}

/// Members of what was withheld.
pub fn suppressed(object: &mut Object<'_>, capture: &Capture, header: &Header, suppressed: &Suppressed<'_>) {
    let fixed = &suppressed.fixed;
    object.number(b",\"user\":", header.uid);
    object.time(b",\"from\":", capture.clock.wall(fixed.from_ns));
    object.time(b",\"to\":", capture.clock.wall(fixed.to_ns));
    object.number(b",\"count\":", fixed.count);
    object.number(b",\"bytes\":", fixed.bytes);
    match Kind(fixed.suppressed_kind).name() {
        Some(name) => object.plain(b",\"suppressed_kind\":", name),
        None => object.raw(b",\"suppressed_kind\":null"),
    }
    object.plain(b",\"reason\":", SuppressionReason(fixed.reason).name());
}

fn kind_name(object: &mut Object<'_>, kind: u16) {
    match Kind(kind).name() {
        Some(name) => object.plain(b",\"lost_kind\":", name),
        None => object.raw(b",\"lost_kind\":null"),
    }
}

/// Members of a clock.
pub fn clock(object: &mut Object<'_>, clock: &Clock<'_>) {
    object.number(b",\"boottime_ns\":", clock.fixed.boottime_ns);
    object.time(b",\"realtime\":", WallNs(clock.fixed.realtime_ns));
    object.plain(b",\"reason\":", ClockReason(clock.fixed.reason).name());
    object.number(b",\"error_ns\":", clock.fixed.error_ns);
}

/// Members of a probe_status.
pub fn probe_status(object: &mut Object<'_>, status: &ProbeStatus<'_>) {
    object.text(b",\"probe\":", "probe", status.probe, Redact::Text);
    object.text(b",\"target\":", "target", status.target, Redact::Path);
    object.plain(b",\"state\":", ProbeState(status.fixed.state).name());
    object.plain(b",\"tier\":", Tier(status.fixed.tier).name());
    if status.fixed.errno != 0 {
        error(object, status.fixed.errno.unsigned_abs());
    }
    if !status.message.is_empty() {
        object.text(b",\"message\":", "message", status.message, Redact::Text);
    }
}

/// Members of an inventory.
pub fn inventory(object: &mut Object<'_>, capture: &Capture, look: &Inventory<'_>) {
    object.time(b",\"began\":", capture.clock.wall(look.fixed.began_ns));
    object.number(b",\"processes\":", look.fixed.processes);
    object.number(b",\"maps_denied\":", look.fixed.maps_denied);
    object.number(b",\"files_denied\":", look.fixed.files_denied);
    object.number(b",\"vanished\":", look.fixed.vanished);
    object.number_or_null(b",\"denied_pid\":", Some(look.fixed.denied_tgid).filter(|tgid| *tgid != 0));
    object.number(b",\"cut\":", look.fixed.cut);
    object.number_or_null(b",\"cut_pid\":", Some(look.fixed.cut_tgid).filter(|tgid| *tgid != 0));
}

/// Members of a self_stats.
pub fn self_stats(object: &mut Object<'_>, header: &Header, stats: &SelfStats<'_>) {
    let f = &stats.fixed;
    for (key, number) in [
        (&b",\"cpu_user_ns\":"[..], f.cpu_user_ns),
        (b",\"cpu_system_ns\":", f.cpu_system_ns),
        (b",\"rss_bytes\":", f.rss_bytes),
        (b",\"rss_peak_bytes\":", f.rss_peak_bytes),
        (b",\"produced\":", f.produced),
        (b",\"recorded\":", f.recorded),
        (b",\"lost\":", f.lost),
        (b",\"dropped\":", f.dropped),
        (b",\"filtered\":", f.filtered),
        (b",\"raw_bytes\":", f.raw_bytes),
        (b",\"written_bytes\":", f.written_bytes),
        (b",\"ring_bytes\":", f.ring_bytes),
        (b",\"ring_peak_bytes\":", f.ring_peak_bytes),
        (b",\"missed_runs\":", f.missed_runs),
    ] {
        object.number(key, number);
    }
    if tells_given_up(header) {
        object.number(b",\"tls_given_up\":", f.tls_given_up);
    }
    if tells_suppressed(header) {
        object.number(b",\"suppressed\":", f.suppressed);
    }
}

/// `,"notes":[…]`, when there is something to note.
#[inline]
pub fn notes(object: &mut Object<'_>, header: &Header, more: u32) {
    let mut rest = header.flags & !SILENT_FLAGS;
    if rest == 0 && more == 0 {
        return;
    }
    let mut separator = &b",\"notes\":["[..];
    for (bit, name) in flags::NAMES {
        if rest & bit != 0 {
            rest &= !bit;
            object.plain(separator, name);
            separator = b",";
        }
    }
    if rest != 0 {
        object.formatted(separator, format_args!("flags_{rest:#x}"));
        separator = b",";
    }
    for (bit, name) in [(ARGV_CUT, "cmdline_truncated"), (INTERRUPTED, "interrupted")] {
        if more & bit != 0 {
            object.plain(separator, name);
            separator = b",";
        }
    }
    object.raw(b"]");
}
