//! file_open: the call, its arguments and its result are those the workload used and got.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

use crypto_trace_format::record::{ProbeState, Tier, flags};
use crypto_trace_tests::{Capture, live};

use crate::support::{directory, said, touch};
use crate::words;

const CLOEXEC: u32 = libc::O_CLOEXEC.unsigned_abs();

/// The reference tool logs opens at entry, with flags null and result 0. All four calls must tell what really happened.
#[test]
fn every_open_call_is_recorded_with_its_flags_mode_and_result() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let [a, b, c, d] = ["a.pem", "b.crt", "c.p12", "d.key"].map(|name| dir.join(name));
    touch(&a);
    touch(&b);
    let steps = words![
        "open",
        "0",
        "0",
        a,
        "openat",
        "0o2000000",
        "0",
        b,
        "openat2",
        "0o101",
        "0o640",
        c,
        "creat",
        "0",
        "0o600",
        d,
    ];
    let done = Capture::new().workload(steps).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    let told = said(&done.stdout);
    assert_eq!(told.len(), 4);

    let creat = (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC).unsigned_abs();
    let expected = [
        (&a, 1, 0, 0),
        (&b, 2, CLOEXEC, 0),
        (&c, 3, (libc::O_CREAT | libc::O_WRONLY).unsigned_abs(), 0o640),
        (&d, 4, creat, 0o600),
    ];
    let mut last_ns = 0;
    for ((path, call, flags, mode), said) in expected.into_iter().zip(told) {
        let (event, open) = trace.open_of(path.to_str().unwrap());
        assert_eq!(open.path, path.as_os_str().as_bytes());
        assert_eq!((open.fixed.call, open.fixed.flags, open.fixed.mode), (call, flags, mode), "{}", path.display());
        assert_eq!((open.fixed.result, open.fixed.dev, open.fixed.ino), (said.result, said.dev, said.ino));
        assert_eq!(open.fixed.inode_mode & libc::S_IFMT, libc::S_IFREG);
        assert_eq!((event.comm(), event.header.uid, event.header.gid), (&b"workload"[..], 0, 0));
        assert!(open.fixed.tier >= Tier::TRACEPOINT.0);
        assert!(open.given.is_empty() && open.dir.is_empty(), "{open:?}");
        assert!(event.header.time_ns > last_ns, "out of order");
        last_ns = event.header.time_ns;
    }
    assert_eq!(trace.opens().len(), 4, "{:#?}", trace.opens());
}

/// A failed open of a key is what people debug; the reference shows ENOENT as success.
#[test]
fn a_failed_open_has_its_errno_and_what_was_asked_for() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let secret = touch(&dir.join("secret.key"));
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let missing = dir.join("missing.pem");
    let below = secret.join("below.pem");
    let steps = words![
        "openat",
        "0",
        "0",
        missing,
        "openat",
        "0",
        "0",
        below,
        "setuid",
        "65534",
        "openat",
        "2",
        "0",
        secret,
        "cd",
        dir,
        "openat",
        "0",
        "0",
        "nothere.crt",
        "creat",
        "0",
        "0o600",
        "notmine.key",
    ];
    let done = Capture::new().workload(steps).run();
    let trace = done.trace();
    let results: Vec<_> = said(&done.stdout).iter().map(|said| said.result).collect();
    assert_eq!(results, [-libc::ENOENT, -libc::ENOTDIR, -libc::EACCES, -libc::ENOENT, -libc::EACCES]);

    let check = |name: &str, result: i32, uid: u32, given: &[u8], dir: &[u8]| {
        let (event, open) = trace.open_of(name);
        assert_eq!((open.fixed.result, event.header.uid), (result, uid), "{name}");
        assert_eq!((&open.path[..], &open.dir[..]), (given, dir), "{name}");
        assert_eq!((open.fixed.dev, open.fixed.ino, open.fixed.inode_mode), (0, 0, 0), "{name}");
        assert!(event.has(flags::PATH_AS_PASSED), "{name}");
    };
    let bytes = |path: &std::path::Path| path.as_os_str().as_bytes().to_vec();
    check("missing.pem", -libc::ENOENT, 0, &bytes(&missing), b"");
    check("below.pem", -libc::ENOTDIR, 0, &bytes(&below), b"");
    check("secret.key", -libc::EACCES, 65534, &bytes(&secret), b"");
    check("nothere.crt", -libc::ENOENT, 65534, b"nothere.crt", &bytes(&dir));
    check("notmine.key", -libc::EACCES, 65534, b"notmine.key", &bytes(&dir));
    assert_eq!(trace.open_of("secret.key").1.fixed.flags, libc::O_RDWR.unsigned_abs());
}

/// A failed open of /etc/ssl/private/NAME was missed: only the last component of what was passed was looked at, and the
/// catalog knows this one by its directory.
#[test]
fn a_failed_open_in_a_directory_of_keys_is_recorded_whatever_the_name() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    std::fs::create_dir_all(dir.join("ssl/private")).unwrap();
    let absolute = dir.join("ssl/private/server-2026");
    let steps = words![
        "openat",
        "0",
        "0",
        absolute,
        "cd",
        dir,
        "openat",
        "0",
        "0",
        "ssl/private/relative",
        "cd",
        dir.join("ssl"),
        "openat",
        "0",
        "0",
        "private/short",
        "openat",
        "0",
        "0",
        "private/../none",
        "openat",
        "0",
        "0",
        "certs/none",
    ];
    let done = Capture::new().workload(steps).run();
    let trace = done.trace();
    assert!(said(&done.stdout).iter().all(|said| said.result == -libc::ENOENT));
    trace.open_of("ssl/private/server-2026");
    trace.open_of("ssl/private/relative");
    assert!(trace.opens_of("private/../none").is_empty());
}

/// A path that cannot be read cannot be judged: it is counted rather than passed over in silence.
#[test]
fn an_open_without_a_readable_path_is_no_record_and_no_crash() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let after = touch(&dir.join("after.pem"));
    let done = Capture::new().workload(words!["badpath", "openat", "0", "0", after]).run();
    assert_eq!(said(&done.stdout)[0].result, -libc::EFAULT);
    assert_eq!(done.trace().opens().len(), 1);
}

/// Programs for i386 enter by another system call table, with other numbers and registers.
#[test]
fn opens_by_the_32_bit_table_are_recorded_and_flagged() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("old.pem"));
    let missing = dir.join("gone.pem");
    let done = Capture::new().workload(words!["open32", "2", "0", file, "open32", "0", "0", missing]).run();
    let told = said(&done.stdout);
    if done.status.code() != Some(0) || told[0].result == -libc::ENOSYS {
        return crypto_trace_tests::skip("this kernel has no 32-bit system calls (CONFIG_IA32_EMULATION)");
    }
    let trace = done.trace();
    let (event, open) = trace.open_of("old.pem");
    assert!(event.has(flags::COMPAT));
    assert_eq!((open.fixed.call, open.fixed.flags, open.fixed.result), (1, 2, told[0].result));
    assert_eq!((open.fixed.dev, open.fixed.ino), (told[0].dev, told[0].ino));
    let (event, open) = trace.open_of("gone.pem");
    assert!(event.has(flags::COMPAT) && open.fixed.result == -libc::ENOENT);
}

/// `record -- CMD` is for finding out what CMD does: nothing that others do meanwhile may be in it.
#[test]
fn only_the_command_is_recorded_and_from_its_first_instruction() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let (mine, other) = (touch(&dir.join("mine.pem")), touch(&dir.join("other.pem")));
    let mut noise = std::process::Command::new(crypto_trace_tests::workload());
    noise.args(words!["ready", "wait", "quiet", "repeat", "1000000000", "openat", "0", "0", other]);
    let mut noise = crypto_trace_tests::Process::spawn(noise.stdin(std::process::Stdio::piped()));
    // From here on it opens other.pem as fast as it can.
    drop(noise.child().stdin.take());

    let done = Capture::new().workload(words!["repeat", "20", "openat", "0", "0", mine]).run();
    drop(noise);
    let trace = done.trace();
    assert_eq!(trace.opens_of("mine.pem").len(), 20);
    assert_eq!(trace.opens_of("other.pem").len(), 0);

    // Its own exec comes first, and everything is of that one process.
    let from_kernel = trace.from_kernel();
    let (first, exec) = trace.execs()[0];
    assert_eq!(from_kernel.iter().map(|event| event.header.time_ns).min(), Some(first.header.time_ns));
    assert_eq!(exec.exe, crypto_trace_tests::workload().canonicalize().unwrap().as_os_str().as_bytes());
    for event in from_kernel {
        assert_eq!(event.process(), first.process(), "{event:?}");
    }
}

/// io_uring opens without a system call of its own: nothing of it was recorded.
#[test]
fn opens_by_io_uring_that_succeed_are_recorded_with_their_flags() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let paths = ["a.pem", "b.pem", "c.pem"].map(|name| touch(&dir.join(name)));
    let [a, b, c] = &paths;
    let missing = dir.join("missing.pem");
    let steps = words!["uring", "openat", "0", a, "uring", "openat2", "0o2000000", b, "uring", "worker", "0", c];
    let more = words!["uring", "openat", "0", missing];
    let done = Capture::new().workload(steps.into_iter().chain(more)).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    let text = done.text();
    let seen = trace
        .probes()
        .iter()
        .any(|(_, probe)| probe.target == "tp_btf:io_uring_complete" && probe.fixed.state == ProbeState::ATTACHED.0);
    if !seen || text.contains("no io_uring") {
        // Before Linux 5.19 the kernel does not tell enough; and it may be switched off.
        let uname = rustix::system::uname();
        let release = uname.release().to_string_lossy().into_owned();
        assert!(text.contains("no io_uring") || release.starts_with("5."), "{release}: {text}");
        assert!(trace.opens_of(".pem").is_empty());
        return;
    }
    let results: Vec<i32> = text.lines().filter_map(|line| line.strip_prefix("uring ")?.parse().ok()).collect();
    assert_eq!(results.len(), 4, "{text}");
    assert_eq!(results[3], -libc::ENOENT, "the path is gone when that is told");
    let opens = trace.opens_of(".pem");
    assert_eq!(opens.len(), 3, "{opens:?}");
    for (((path, call), flags), result) in paths.iter().zip([16, 17, 16]).zip([0, CLOEXEC, 0]).zip(&results) {
        let (event, open) = trace.open_of(path.file_name().unwrap().to_str().unwrap());
        assert_eq!(open.path, path.as_os_str().as_bytes());
        assert_eq!((open.fixed.call, open.fixed.result, open.fixed.tier), (call, *result, Tier::RAW_TRACEPOINT.0));
        // The kernel adds O_LARGEFILE before it tells.
        assert_eq!(open.fixed.flags & !libc::O_LARGEFILE.unsigned_abs() & !0o100_000, flags);
        assert_eq!(event.header.tgid, opens[0].0.header.tgid, "also by a worker, which is a thread of the process");
    }
}
