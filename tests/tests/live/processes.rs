//! process_exec, process_fork, process_exit, process_info: every process, however short, and nothing twice.

use std::collections::HashSet;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crypto_trace_format::record::flags;
use crypto_trace_tests::{Capture, Event, Exec, Process, Trace, live, workload};
use rustix::process::Signal;

use crate::support::{directory, shown, touch};
use crate::words;

/// The exec with these arguments.
fn exec_with<'a>(trace: &'a Trace, args: &[&[u8]]) -> (&'a Event, &'a Exec) {
    let mut execs = trace.execs();
    execs.retain(|(_, exec)| exec.args() == args);
    assert_eq!(execs.len(), 1, "execs with {args:?}, of {:?}", trace.execs());
    execs[0]
}

fn inode(path: &str) -> u32 {
    u32::try_from(std::fs::metadata(path).unwrap().ino()).unwrap()
}

/// The reference has cmdline = comm, and no exe for half of the short-lived processes.
#[test]
fn an_exec_tells_the_arguments_the_program_and_where_it_runs() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let odd = std::ffi::OsString::from_vec(b"\xff\x1b[31m\n".to_vec());
    let steps = words!["child", "exec", "true", "", "two words", "", odd, ""];
    let done = Capture::new().current_dir(&dir).workload(steps).run();
    let trace = done.trace();

    let (parent, _) = trace.execs()[0];
    let expected: [&[u8]; 6] = [b"true", b"", b"two words", b"", b"\xff\x1b[31m\n", b""];
    let (event, exec) = exec_with(&trace, &expected);
    assert_eq!(exec.fixed.argv_full_len as usize, exec.argv.len());
    assert_eq!(event.header.flags, 0);
    assert_eq!(event.comm(), b"true");
    assert_eq!(exec.cwd, dir.as_os_str().as_bytes());

    let exe = Path::new(std::ffi::OsStr::from_bytes(&exec.exe));
    let there = std::fs::metadata(exe).unwrap();
    assert_eq!(exe.file_name().unwrap().as_bytes(), exe.canonicalize().unwrap().file_name().unwrap().as_bytes());
    let dev = u64::from(rustix::fs::major(there.dev())) << 20 | u64::from(rustix::fs::minor(there.dev()));
    assert_eq!((exec.fixed.exe_dev, exec.fixed.exe_ino), (dev, there.ino()));

    assert_eq!((exec.fixed.ppid, exec.fixed.parent_start_ns), parent.process());
    assert_eq!(exec.fixed.ns_pid, event.header.tgid);
    let namespaces = [exec.fixed.pid_ns, exec.fixed.net_ns, exec.fixed.user_ns];
    assert_eq!(namespaces, ["pid", "net", "user"].map(|name| inode(&format!("/proc/self/ns/{name}"))));
    let mine = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let Some(mine) = mine.lines().find_map(|line| line.strip_prefix("0::")) else { return };
    assert_eq!(exec.cgroup, mine.as_bytes());
    assert!(exec.fixed.cgroup_id > 0);
}

/// What a test starts has a mount namespace of its own.
#[test]
fn an_exec_tells_its_mount_namespace() {
    let Some(_permit) = live() else { return };
    let done = Capture::new().command(["readlink", "/proc/self/ns/mnt"]).run();
    let trace = done.trace();
    assert_eq!(done.text().trim(), format!("mnt:[{}]", trace.execs()[0].1.fixed.mnt_ns));
}

/// The process that waits to become the command is the capture's own doing: now and then it was told, with its arguments.
#[test]
fn a_command_is_told_by_its_exec_and_not_before() {
    let Some(_permit) = live() else { return };
    for _ in 0..5 {
        let trace = Capture::new().workload(words!["exit", "0"]).run().trace();
        assert_eq!(trace.infos().len(), 0, "{:?}", trace.infos());
        assert_eq!((trace.execs().len(), trace.exits().len()), (1, 1));
    }
}

#[test]
fn arguments_are_complete_up_to_4_kib_and_what_is_cut_is_flagged() {
    let Some(_permit) = live() else { return };
    let run = |arguments: Vec<String>| {
        let mut steps = vec!["exec".to_owned(), "true".to_owned()];
        steps.extend(arguments);
        let done = Capture::new().workload(steps).run();
        let trace = done.trace();
        let (event, exec) = trace.execs()[1];
        let notes = shown(&done.output, &["--type", "process_exec"])[1]["notes"].clone();
        (event.has(flags::TRUNCATED), exec.fixed.argv_full_len, exec.argv.clone(), notes)
    };
    let argv = |arguments: &[String]| {
        let mut bytes = b"true\0".to_vec();
        arguments.iter().for_each(|argument| bytes.extend_from_slice(format!("{argument}\0").as_bytes()));
        bytes
    };
    let many: Vec<_> = (0..1000).map(|number| format!("{}", number % 10)).collect();
    assert_eq!(run(many.clone()), (false, 2005, argv(&many), serde_json::Value::Null));

    // With `true` and two NULs exactly 4 KiB.
    let fits = vec!["x".repeat(4096 - 6)];
    assert_eq!(run(fits.clone()), (false, 4096, argv(&fits), serde_json::Value::Null));

    let long = vec!["x".repeat(4096 - 6), "y".repeat(3000)];
    let (truncated, full_len, recorded, notes) = run(long.clone());
    assert!(truncated);
    assert_eq!(full_len as usize, argv(&long).len());
    assert_eq!(recorded, argv(&long)[..4096]);
    assert_eq!(notes, serde_json::json!(["truncated", "cmdline_truncated"]));
}

/// The reference shows the raw wait status as exit code.
#[test]
fn an_exit_tells_its_code_or_signal_and_how_long_the_process_lived() {
    let Some(_permit) = live() else { return };
    let script = "\"$0\" exit 3; \"$0\" exit 255; \"$0\" kill 9; \"$0\" kill 15; \"$0\" exit 0; exit 4";
    let done = Capture::new().command(words!["sh", "-c", script, workload()]).run();
    assert_eq!(done.code(), 4);
    let trace = done.trace();
    let json = shown(&done.output, &["--type", "process_exit"]);
    assert_eq!(trace.exits().len(), 6, "one for each process");
    for (word, number, status) in
        [("exit", "3", 3 << 8), ("exit", "255", 255 << 8), ("kill", "9", 9), ("kill", "15", 15), ("exit", "0", 0)]
    {
        let mut execs = trace.execs();
        execs.retain(|(_, exec)| exec.args().get(1..) == Some(&[word.as_bytes(), number.as_bytes()]));
        let process = execs[0].0.process();
        let mut exits = trace.exits();
        exits.retain(|(event, _)| event.process() == process);
        assert_eq!(exits.len(), 1);
        let (event, exit) = exits[0];
        assert_eq!(exit.status, status, "{word} {number}");
        assert_eq!(exit.duration_ns, event.header.time_ns - event.header.start_ns);

        let json = json.iter().find(|json| json["pid"] == event.header.tgid).unwrap();
        let (code, signal) = match word {
            "exit" => (serde_json::json!(number.parse::<i32>().unwrap()), serde_json::Value::Null),
            _ => (serde_json::Value::Null, if number == "9" { "SIGKILL".into() } else { "SIGTERM".into() }),
        };
        assert_eq!((&json["exit_code"], &json["signal"]), (&code, &signal));
    }
}

/// The reference has one exit per thread.
#[test]
fn a_process_of_many_threads_exits_once_when_the_last_is_gone() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("thread.pem"));
    for (steps, opens, status) in [
        (words!["quiet", "threads", "8", "openat", "0", "0", file].to_vec(), 8, 0),
        (words!["thread", "exit", "5"].to_vec(), 0, 5 << 8),
        (words!["leave", "openat", "0", "0", file, "exit", "6"].to_vec(), 1, 6 << 8),
        (words!["leave", "kill", "9"].to_vec(), 0, 9),
    ] {
        let done = Capture::new().workload(&steps).run();
        let trace = done.trace();
        assert_eq!(trace.opens().len(), opens, "{steps:?}");
        assert_eq!(trace.forks().len(), 0, "threads are no processes: {steps:?}");
        let exits = trace.exits();
        assert_eq!(exits.len(), 1, "{steps:?}");
        let (event, exit) = exits[0];
        assert_eq!((event.process(), exit.status), (trace.execs()[0].0.process(), status), "{steps:?}");
        let last = trace.from_kernel().into_iter().map(|event| event.header.time_ns).max();
        assert_eq!(last, Some(event.header.time_ns), "after everything else: {steps:?}");
        let mut opens = trace.opens();
        opens.retain(|(event, _)| event.header.tid == event.header.tgid);
        assert_eq!(opens.len(), 0, "opened by other threads than the first: {steps:?}");
    }
}

#[test]
fn an_exec_by_another_thread_is_the_same_process_going_on() {
    let Some(_permit) = live() else { return };
    let done = Capture::new().workload(words!["thread", "exec", "true", "by-a-thread"]).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    let first = trace.execs()[0].0.process();
    let (event, exec) = exec_with(&trace, &[b"true", b"by-a-thread"]);
    assert_eq!(event.process(), first);
    assert_eq!(event.header.tid, event.header.tgid, "the thread that executes becomes the leader");
    assert!(exec.exe.ends_with(b"true") || !exec.exe.is_empty());
    assert_eq!((trace.exits().len(), trace.exits()[0].0.process()), (1, first));
}

#[test]
fn a_reused_process_id_is_another_process() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let files: Vec<_> = (0..5).map(|number| touch(&dir.join(format!("life-{number}.pem")))).collect();
    let mut steps = vec!["reborn".into()];
    steps.extend(files.iter().map(|file| file.clone().into_os_string()));
    let done = Capture::new().workload(steps).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();

    let mut ids = HashSet::new();
    let mut processes = HashSet::new();
    for file in &files {
        let path = file.to_str().unwrap();
        let (open, _) = trace.open_of(path);
        let (exec, _) = exec_with(&trace, &[b"/proc/self/exe", b"openat", b"0", b"0", path.as_bytes()]);
        assert_eq!(open.process(), exec.process(), "the open belongs to the process with that argument");
        ids.insert(open.header.tgid);
        processes.insert(open.process());
    }
    assert_eq!((ids.len(), processes.len()), (1, 5), "one id, five processes");

    let opens = shown(&done.output, &["--type", "file_open"]);
    assert_eq!(opens.len(), 5);
    for open in opens {
        let (file, cmdline) = (open["file"].as_str().unwrap(), open["cmdline"].as_str().unwrap());
        assert!(cmdline.ends_with(file), "{file} was opened by `{cmdline}`?");
    }
}

/// A container's process 1 has another id on the host.
#[test]
fn a_process_in_a_pid_namespace_has_both_of_its_ids() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("inside.pem"));
    let words = words!["unshare", "--pid", "--fork", workload(), "openat", "0", "0", file];
    let done = Capture::new().command(words).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    let (open, _) = trace.open_of("inside.pem");
    let mut execs = trace.execs();
    execs.retain(|(event, _)| event.process() == open.process());
    let (event, exec) = execs[0];
    assert_eq!(exec.fixed.ns_pid, 1);
    assert!(event.header.tgid > 1);
    assert_ne!(exec.fixed.pid_ns, inode("/proc/self/ns/pid"));
    let (_, fork) = trace.forks().into_iter().find(|(fork, _)| fork.process() == open.process()).unwrap();
    assert_eq!((fork.ns_pid, fork.ppid), (1, exec.fixed.ppid));
    assert!(trace.exits().iter().any(|(exit, _)| exit.process() == open.process()));
}

/// A process that lives a few milliseconds is as complete as any other.
#[test]
fn a_burst_of_short_processes_is_complete() {
    let Some(_permit) = live() else { return };
    let done = Capture::new().workload(words!["spawn", "200", "true"]).run();
    let trace = done.trace();
    assert_eq!(trace.losses().len(), 0);
    let distinct = |events: Vec<&Event>| events.into_iter().map(Event::process).collect::<HashSet<_>>();
    let forked = distinct(trace.forks().into_iter().map(|(event, _)| event).collect());
    let mut execs = trace.execs();
    execs.retain(|(_, exec)| exec.args() == [b"true"]);
    assert!(execs.iter().all(|(_, exec)| exec.exe.starts_with(b"/") && !exec.cwd.is_empty()));
    let executed = distinct(execs.into_iter().map(|(event, _)| event).collect());
    let mut ended = distinct(trace.exits().into_iter().map(|(event, _)| event).collect());
    assert!(ended.remove(&trace.execs()[0].0.process()));
    assert_eq!(forked.len(), 200);
    assert_eq!(forked, executed);
    assert_eq!(forked, ended);
    assert_eq!((trace.forks().len(), trace.exits().len()), (200, 201));
}

/// What -p selects was there before: /proc tells who it is, and its events find it. That was so only when it lived on
/// until all was attached and /proc read, which a busy machine takes its time for.
#[test]
fn a_process_that_was_there_before_is_told_from_proc() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("late.pem"));
    let mut command = Command::new(workload());
    command.args(words!["wait", "openat", "0", "0", file]).stdin(Stdio::piped()).current_dir(&dir);
    let process = Process::spawn(&mut command);
    let pid = process.pid();
    let running = Capture::new().options(["-p", &pid.to_string()]).start();
    process.finish().expect_success();
    let done = running.stop(Signal::TERM);
    let trace = done.trace();

    let infos = trace.infos();
    assert_eq!(infos.len(), 1, "only what was selected: {infos:#?}");
    let (event, info) = infos[0];
    assert!(event.has(flags::FROM_PROC) && event.has(flags::START_IS_TICK));
    assert_eq!((event.header.tgid, info.fixed.ppid), (pid, std::process::id()));
    assert_eq!(info.exe, workload().canonicalize().unwrap().as_os_str().as_bytes());
    let argv: Vec<_> = info.argv.split(|byte| *byte == 0).collect();
    assert_eq!(argv[1..], [&b"wait"[..], b"openat", b"0", b"0", file.as_os_str().as_bytes(), b""]);
    assert_eq!(info.fixed.argv_full_len as usize, info.argv.len());
    let (open, _) = trace.open_of("late.pem");
    const TICK_NS: u64 = 10_000_000;
    let start = open.header.start_ns;
    assert!(start >= event.header.start_ns && start - event.header.start_ns < TICK_NS, "the same process");

    let opens = shown(&done.output, &["--type", "file_open"]);
    assert!(opens[0]["cmdline"].as_str().unwrap().ends_with("late.pem"), "{opens:?}");
    assert_eq!((&opens[0]["pid"], &opens[0]["ppid"]), (&pid.into(), &std::process::id().into()));
}
