//! What is selected is recorded, and nothing else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crypto_trace_tests::{Capture, Process, Trace, live, put_program, skip, workload};
use rustix::process::Signal;

use crate::support::{Cgroup, directory, touch};
use crate::words;

/// File names of all opens, in order.
fn opened(trace: &Trace) -> Vec<String> {
    let name = |path: &[u8]| String::from_utf8_lossy(path.rsplit(|byte| *byte == b'/').next().unwrap()).into_owned();
    trace.opens().iter().map(|(_, open)| name(&open.path)).collect()
}

/// A workload that waits for its standard input to close, then does these steps.
fn waiting(program: &Path, steps: impl IntoIterator<Item = OsString>) -> Process {
    Process::spawn(Command::new(program).arg("wait").args(steps).stdin(Stdio::piped()))
}

/// The workload under another name.
fn workload_as(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    put_program(&workload(), &path);
    path
}

fn open(file: &Path) -> [OsString; 4] {
    words!["openat", "0", "0", file]
}

/// Starts a capture with these options, lets each process go on to its end, one after the other, and stops.
fn capture<S: AsRef<std::ffi::OsStr>>(options: &[S], processes: Vec<Process>) -> Trace {
    let running = Capture::new().options(options).start();
    for process in processes {
        let done = process.finish();
        assert_eq!(done.code(), 0, "{}", done.stderr);
    }
    running.stop(Signal::TERM).trace()
}

#[test]
fn by_process_id_that_process_and_no_other() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let [a, b, c] = ["a.pem", "b.pem", "c.pem"].map(|name| touch(&dir.join(name)));
    let processes: Vec<_> = [&a, &b, &c].map(|file| waiting(&workload(), open(file))).into();
    let pids: Vec<_> = processes.iter().map(|process| process.pid().to_string()).collect();
    let trace = capture(&["-p", &pids[0], "-p", &pids[2]], processes);
    assert_eq!(opened(&trace), ["a.pem", "c.pem"]);
    assert_eq!(trace.exits().len(), 2);
}

#[test]
fn by_process_id_descendants_only_when_asked_for() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let [own, child] = ["own.pem", "child.pem"].map(|name| touch(&dir.join(name)));
    let steps = || [&open(&own)[..], &words!["child", "child"], &open(&child)].concat();
    for (more, expected) in [(vec![], vec!["own.pem"]), (vec!["--follow-children"], vec!["own.pem", "child.pem"])] {
        let process = waiting(&workload(), steps());
        let pid = process.pid().to_string();
        let trace = capture(&[&["-p", &pid][..], &more].concat(), vec![process]);
        assert_eq!(opened(&trace), expected);
        assert_eq!((trace.forks().len(), trace.exits().len()), (2 * expected.len() - 2, 2 * expected.len() - 1));
    }
}

/// Those that were there already.
#[test]
fn follow_children_takes_children_that_were_there_before() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("grandchild.pem"));
    let steps = [&words!["complain", "child", "child", "ready", "wait"][..], &open(&file)].concat();
    let process = Process::spawn(Command::new(workload()).args(steps).stdin(Stdio::piped()));
    process.wait_for("ready");
    let pid = process.pid().to_string();
    let trace = capture(&["-p", &pid, "--follow-children"], vec![process]);
    assert_eq!(opened(&trace), ["grandchild.pem"]);
    assert_eq!(trace.exits().len(), 3);
}

#[test]
fn by_name_those_that_contain_it_and_no_other() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let [a, b, c] = ["a.pem", "b.pem", "c.pem"].map(|name| touch(&dir.join(name)));
    // The kernel knows 15 bytes of a name.
    let id = std::process::id() % 100_000;
    let programs = [format!("x{id}ctname-a"), format!("x{id}CTNAME-b"), format!("x{id}ctname-c")]
        .map(|name| workload_as(&dir, &name));
    let processes = programs.iter().zip([&a, &b, &c]).map(|(program, file)| waiting(program, open(file))).collect();
    let trace = capture(&["-n", &format!("x{id}ctname")], processes);
    assert_eq!(opened(&trace), ["a.pem", "c.pem"]);
}

/// Node calls its main thread `node-MainThread`, and others call theirs something else altogether: `-n` missed such a service
/// without a word. It is known by its executable's name, of which more than the first 15 bytes count.
#[test]
fn by_name_a_program_that_renamed_itself() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let [before, forked, later, gone, other] =
        ["before.pem", "forked.pem", "later.pem", "gone.pem", "other.pem"].map(|name| touch(&dir.join(name)));
    let name = format!("n{}ct", std::process::id() % 100_000);
    let program = workload_as(&dir, &format!("a-long-first-part-{name}"));
    let unnamed = workload_as(&dir, "unnamed");
    let renamed = || words!["comm", "MainThread"];
    let ready = words!["complain", "ready", "wait"];
    // There before: renamed long since, with a child that does not exec, and an end.
    let steps = [&renamed()[..], &ready, &open(&before), &words!["child"], &open(&forked)].concat();
    let first = Process::spawn(Command::new(&program).args(steps).stdin(Stdio::piped()));
    // ... and does nothing but end.
    let idle = Process::spawn(Command::new(&program).args([&renamed()[..], &ready].concat()).stdin(Stdio::piped()));
    // Another program becomes it, renames itself, and becomes another one.
    let becomes = [&words!["exec", program][..], &renamed(), &open(&later), &words!["exec", unnamed], &open(&gone)];
    let second = waiting(&unnamed, becomes.concat());
    let third = waiting(&unnamed, open(&other));
    first.wait_for("ready");
    idle.wait_for("ready");
    let ends = idle.pid();
    let running = Capture::new().options(["-n", "surely-not-it", "-n", &name]).start();
    running.wait_until("those that were there before", |trace| trace.infos().len() == 2);
    for process in [first, idle, second, third] {
        process.finish().expect_success();
    }
    let trace = running.stop(Signal::TERM).trace();
    assert_eq!(opened(&trace), ["before.pem", "forked.pem", "later.pem"]);
    let exits: Vec<_> = trace.exits().iter().map(|(event, _)| event.header.tgid).collect();
    assert!(exits.len() == 3 && exits.contains(&ends), "{ends}: {exits:?}");
}

/// A name that nothing has is no error, as what has it may come; but it may be a wrong one.
#[test]
fn a_name_that_nothing_has_yet_is_told_when_the_capture_begins() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let name = format!("w{}ct", std::process::id() % 100_000);
    let program = workload_as(&dir, &format!("{name}-there"));
    let there = waiting(&program, words!["comm", "other"]);
    let absent = format!("{name}-not");
    let running = Capture::new().options(["-n", &name, "-n", &absent]).start();
    there.finish().expect_success();
    let done = running.stop(Signal::TERM);
    let waits = |name: &str| done.stderr.contains(&format!("waiting for {name:?}: no running process matches"));
    assert!(waits(&absent) && !waits(&name), "{}", done.stderr);
}

#[test]
fn by_name_what_they_start_only_when_asked_for() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let [own, other] = ["own.pem", "other.pem"].map(|name| touch(&dir.join(name)));
    let name = format!("y{}ct", std::process::id() % 100_000);
    let program = workload_as(&dir, &name);
    for (more, expected) in [(vec![], vec!["own.pem"]), (vec!["--follow-children"], vec!["own.pem", "other.pem"])] {
        let exec = words!["child", "exec", workload()];
        let process = waiting(&program, [&open(&own)[..], &exec, &open(&other)].concat());
        let trace = capture(&[&["-n", &name][..], &more].concat(), vec![process]);
        assert_eq!(opened(&trace), expected);
    }
}

#[test]
fn by_file_globs_of_ones_own_instead_of_the_catalog() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let files =
        ["a.conf", "a.pem", "etc/b.conf", "etc/deep/c.toml", "d.yaml", "e.yml"].map(|name| touch(&dir.join(name)));
    let missing = dir.join("etc/none.conf");
    let mut steps: Vec<_> = files.iter().flat_map(|file| open(file)).collect();
    steps.extend(open(&missing));
    steps.extend(words!["exec", "openssl", "version"]);
    let globs = |globs: &[&str]| {
        let options: Vec<_> = globs.iter().flat_map(|glob| ["-F".to_owned(), (*glob).to_owned()]).collect();
        let done = Capture::new().options(options).workload(&steps).run();
        let trace = done.trace();
        assert_eq!(trace.libs().len(), 0, "-F alone is for files alone");
        let prefix = format!("{}/", dir.display());
        let own =
            |path: &[u8]| path.strip_prefix(prefix.as_bytes()).map(|name| String::from_utf8_lossy(name).into_owned());
        trace.opens().iter().filter_map(|(_, open)| own(&open.path)).collect::<Vec<_>>()
    };
    assert_eq!(globs(&["*.conf"]), ["a.conf", "etc/b.conf", "etc/none.conf"]);
    assert_eq!(globs(&["*.{yaml,yml}"]), ["d.yaml", "e.yml"]);
    assert_eq!(globs(&["a.*", "d.????"]), ["a.conf", "a.pem", "d.yaml"]);
    assert_eq!(globs(&[&format!("{}/etc/**", dir.display())]), ["etc/b.conf", "etc/deep/c.toml", "etc/none.conf"]);
    assert_eq!(globs(&[&format!("{}/etc/*", dir.display())]), ["etc/b.conf", "etc/none.conf"]);
    assert_eq!(globs(&["c.toml"]), ["etc/deep/c.toml"]);
}

#[test]
fn by_library_those_alone_and_no_files() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("a.pem"));
    let [ssl, gnutls] = ["libssl-ct.so.3", "libgnutls-ct.so.30"].map(|name| dir.join(name));
    let Some(object) = some_library() else { return skip("no shared library to copy was found") };
    std::fs::copy(&object, &ssl).unwrap();
    std::fs::copy(&object, &gnutls).unwrap();
    let steps = [&open(&file)[..], &words!["dlopen", ssl, "dlopen", gnutls]].concat();
    let libraries = |options: &[&str]| {
        let trace = Capture::new().options(options).workload(&steps).run().trace();
        let libs: Vec<_> =
            trace.libs().iter().map(|(_, lib)| String::from_utf8_lossy(&lib.path).into_owned()).collect();
        (libs, trace.opens().len())
    };
    let [ssl, gnutls] = [ssl, gnutls].map(|path| path.to_str().unwrap().to_owned());
    assert_eq!(libraries(&["-l", "ssl"]), (vec![ssl.clone()], 0));
    assert_eq!(libraries(&["-l", "ssl-ct", "-l", "gnu"]), (vec![ssl, gnutls.clone()], 0));
    assert_eq!(libraries(&["-l", "gnu", "-F", "*.pem"]), (vec![gnutls], 1));
}

/// Any small shared library that loads without others.
fn some_library() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let path = |line: &str| line.split_whitespace().nth(5).map(PathBuf::from);
    maps.lines().filter_map(path).find(|path| path.to_string_lossy().contains("libgcc_s.so"))
}

/// A child was not followed when its parent was another user at the fork, as it is with every service that gives up root.
#[test]
fn by_user_id_what_that_user_does_also_after_a_fork_as_another_user() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let [root, nobody] = ["root.pem", "nobody.pem"].map(|name| touch(&dir.join(name)));
    let steps = [&open(&root)[..], &words!["child", "setuid", "65534"], &open(&nobody)].concat();
    let trace = Capture::new().options(["--uid", "65534"]).workload(&steps).run().trace();
    assert_eq!(opened(&trace), ["nobody.pem"]);
    assert!(trace.from_kernel().iter().all(|event| event.header.uid == 65534));
    let trace = Capture::new().options(["--uid", "65534", "--uid", "0"]).workload(&steps).run().trace();
    assert_eq!(opened(&trace), ["root.pem", "nobody.pem"]);
}

#[test]
fn by_cgroup_what_is_in_or_below_it() {
    let Some(_permit) = live() else { return };
    let name = format!("crypto-trace-test-{}", std::process::id());
    let outer = match Cgroup::new(&name) {
        Ok(cgroup) => cgroup,
        Err(reason) => return skip(&reason),
    };
    let inner = Cgroup::new(&format!("{name}/inner")).unwrap();
    let (_keep, dir) = directory();
    let [a, b, c] = ["in.pem", "below.pem", "outside.pem"].map(|name| touch(&dir.join(name)));
    let spawn = || [&a, &b, &c].map(|file| waiting(&workload(), open(file)));
    for path in [outer.path().to_path_buf(), Path::new("/").join(&name), PathBuf::from(&name)] {
        let processes = spawn();
        outer.add(&processes[0]);
        inner.add(&processes[1]);
        let running = Capture::new().options([std::ffi::OsStr::new("--cgroup"), path.as_os_str()]).start();
        let infos = running.wait_until("the processes", |trace| !trace.infos().is_empty()).infos().len();
        assert_eq!(infos, 2, "two of three processes are in it");
        for process in processes {
            process.finish().expect_success();
        }
        let trace = running.stop(Signal::TERM).trace();
        assert_eq!(opened(&trace), ["in.pem", "below.pem"], "{}", path.display());
    }
    // The inner one first, whatever the order of declaration.
    drop(inner);
}

/// Filters combine with AND.
#[test]
fn what_passes_one_filter_and_not_the_other_is_not_recorded() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let [a, b, c] = ["a.pem", "b.pem", "c.conf"].map(|name| touch(&dir.join(name)));
    let name = format!("z{}ct", std::process::id() % 100_000);
    let program = workload_as(&dir, &name);
    let as_nobody = |file: &Path| [&words!["setuid", "65534"][..], &open(file)].concat();
    let processes =
        vec![waiting(&program, as_nobody(&a)), waiting(&program, open(&b)), waiting(&program, as_nobody(&c))];
    let trace = capture(&["-n", &name, "--uid", "65534", "-F", "*.pem"], processes);
    assert_eq!(opened(&trace), ["a.pem"]);
}
