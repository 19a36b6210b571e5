//! lib_load: every crypto library mapped, by ld.so as well as by dlopen, once.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crypto_trace_format::record::flags;
use crypto_trace_tests::{Capture, Lib, Process, Trace, as_seen, live, run, skip, workload};
use rustix::process::Signal;

use crate::support::{directory, shown};
use crate::words;

/// The libcrypto that the `openssl` of this machine uses.
fn libcrypto() -> Option<PathBuf> {
    let openssl = std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join("openssl")).find(|p| p.exists());
    let list = run(Command::new("ldd").arg(openssl?));
    let list = list.text();
    let path = list
        .lines()
        .find_map(|line| line.trim().strip_prefix("libcrypto.so")?.split_whitespace().nth(2).map(Path::new));
    path.map(|path| path.canonicalize().unwrap())
}

/// What a test without one says.
fn without() {
    skip("there is no openssl, or it is not linked to a libcrypto.so");
}

fn names(trace: &Trace) -> Vec<String> {
    let name = |lib: &Lib| String::from_utf8_lossy(lib.path.rsplit(|byte| *byte == b'/').next().unwrap()).into_owned();
    trace.libs().iter().map(|(_, lib)| name(lib)).collect()
}

/// The record is about that file, mapped once.
fn check(trace: &Trace, path: &Path) {
    let mut libs = trace.libs();
    libs.retain(|(_, lib)| lib.path == path.as_os_str().as_bytes());
    assert_eq!(libs.len(), 1, "{} in {:?}", path.display(), names(trace));
    let (event, lib) = libs[0];
    let there = std::fs::metadata(as_seen(path)).unwrap();
    let dev = u64::from(rustix::fs::major(there.dev())) << 20 | u64::from(rustix::fs::minor(there.dev()));
    assert_eq!((lib.fixed.dev, lib.fixed.ino, lib.fixed.size), (dev, there.ino(), there.len()));
    assert!(lib.fixed.address > 0 && lib.fixed.address % 4096 == 0);
    assert!(lib.fixed.offset < lib.fixed.size);
    assert_eq!(event.header.flags, 0);
}

/// The reference sees dlopen(3) only, so it misses nearly every library there is.
///
/// They were there twice on a busy machine: the command was let go before /proc was read, which then told them as well.
#[test]
fn libraries_that_the_loader_maps_at_start_are_recorded_once() {
    let Some(_permit) = live() else { return };
    let Some(libcrypto) = libcrypto() else { return without() };
    let done = Capture::new().command(["openssl", "version"]).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    check(&trace, &libcrypto);
    let mut names = names(&trace);
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "each is mapped executable once");
    assert!(!names.iter().any(|name| name.starts_with("libc.so") || name.starts_with("ld-linux")), "{names:?}");

    let json = shown(&done.output, &["--type", "lib_load", "--library", "libcrypto"]);
    assert_eq!(json.len(), 1);
    assert_eq!(json[0]["library_name"], "OpenSSL");
    assert_eq!((&json[0]["source"], &json[0]["process"]), (&"mapped".into(), &"openssl".into()));
}

/// Python wheels bring their own copies, with a hash in the name.
#[test]
fn libraries_of_vendored_names_that_are_dlopened_are_recorded_once() {
    let Some(_permit) = live() else { return };
    let Some(libcrypto) = libcrypto() else { return without() };
    let (_keep, dir) = directory();
    let vendored = dir.join("libcrypto-8bd944e8.so.3");
    let other = dir.join("libharmless.so.3");
    std::fs::copy(&libcrypto, &vendored).unwrap();
    std::fs::copy(&libcrypto, &other).unwrap();
    let steps = words!["dlopen", vendored, "dlopen", vendored, "dlopen", other];
    let done = Capture::new().workload(steps).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    check(&trace, &vendored);
    assert_eq!(names(&trace), ["libcrypto-8bd944e8.so.3"], "libraries are known by name, and by no other");
}

#[test]
fn a_preloaded_library_under_a_link_is_named_by_the_real_path() {
    let Some(_permit) = live() else { return };
    let Some(libcrypto) = libcrypto() else { return without() };
    let (_keep, dir) = directory();
    let (real, link) = (dir.join("libssl-abc.so.3"), dir.join("libplain.so"));
    std::fs::copy(&libcrypto, &real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let preload = format!("LD_PRELOAD={}", link.display());
    let done = Capture::new().command(words!["env", preload, workload(), "ready"]).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    check(&done.trace(), &real);
}

/// What was mapped before is in /proc.
#[test]
fn libraries_that_were_mapped_already_are_told_from_proc() {
    let Some(_permit) = live() else { return };
    let Some(libcrypto) = libcrypto() else { return without() };
    let mut command = Command::new(workload());
    command.args(words!["dlopen", libcrypto, "complain", "ready", "wait"]).stdin(Stdio::piped());
    let process = Process::spawn(&mut command);
    process.wait_for("ready");
    let running = Capture::new().options(["-p", &process.pid().to_string()]).start();
    running.wait_until("the library", |trace| !trace.libs().is_empty());
    process.finish().expect_success();
    let done = running.stop(Signal::TERM);
    let trace = done.trace();
    let mut libs = trace.libs();
    libs.retain(|(_, lib)| lib.path == libcrypto.as_os_str().as_bytes());
    assert_eq!(libs.len(), 1, "{:?}", names(&trace));
    let there = std::fs::metadata(as_seen(&libcrypto)).unwrap();
    assert!(libs[0].0.has(flags::FROM_PROC));
    assert_eq!(libs[0].1.fixed.ino, there.ino());
    let json = shown(&done.output, &["--type", "lib_load"]);
    assert_eq!(json[0]["source"], "already mapped");
}

/// What was mapped to be read and made executable later was no load, nor was what a personality makes executable.
#[test]
fn libraries_that_become_executable_after_they_were_mapped_are_recorded() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let [protected, implied, read] = ["libssl.so.71", "libssl.so.72", "libssl.so.73"].map(|name| dir.join(name));
    for path in [&protected, &implied, &read] {
        std::fs::write(path, vec![0; 8192]).unwrap();
    }
    let steps = words!["protect", protected, "map", read, "reads-execute", "map", implied];
    let done = Capture::new().workload(steps).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    // Kernels before 5.17 do not tell a program what is mapped.
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    if !release.starts_with("5.1") || release.starts_with("5.17") || release.starts_with("5.18") {
        check(&trace, &protected);
    }
    check(&trace, &implied);
    assert!(!names(&trace).contains(&"libssl.so.73".to_owned()), "it cannot be executed");
}
