//! file_open: the path is the one the kernel resolved, whatever the way the file was named.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::symlink;
use std::path::Path;

use crypto_trace_format::record::flags;
use crypto_trace_tests::{Capture, Open, Trace, live};

use crate::support::{directory, said, shown, touch};
use crate::words;

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// The one open of this resolved path.
fn opened<'a>(trace: &'a Trace, path: &Path) -> (&'a crypto_trace_tests::Event, &'a Open) {
    let mut opens = trace.opens();
    opens.retain(|(_, open)| open.path == bytes(path));
    let all: Vec<_> = trace.opens().iter().map(|(_, open)| open.path.escape_ascii().to_string()).collect();
    assert_eq!(opens.len(), 1, "opens of {} in {all:#?}", path.display());
    opens[0]
}

/// The reference shows paths as they were passed: `certs/../a.pem` of whom?
#[test]
fn relative_paths_are_resolved_and_kept_as_given() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let [a, b, c, d] = ["a.pem", "sub/b.pem", "sub/c.pem", "sub/deep/d.pem"].map(|name| touch(&dir.join(name)));
    let sub = dir.join("sub");
    let steps = words![
        "cd",
        dir,
        "openat",
        "0",
        "0",
        "a.pem",
        "cd",
        sub,
        "openat",
        "0",
        "0",
        "../sub//./b.pem",
        "at",
        dir,
        "openat",
        "0",
        "0",
        "sub/c.pem",
        "openat2",
        "0",
        "0",
        "sub/deep/../deep/d.pem",
    ];
    let done = Capture::new().workload(steps).run();
    let trace = done.trace();
    for (path, given) in [(&a, "a.pem"), (&b, "../sub//./b.pem"), (&c, "sub/c.pem"), (&d, "sub/deep/../deep/d.pem")] {
        let (event, open) = opened(&trace, path);
        assert_eq!((&open.given[..], &open.dir[..], event.header.flags), (given.as_bytes(), &b""[..], 0));
    }
    assert_eq!(opened(&trace, &a).1.fixed.dfd, libc::AT_FDCWD);
    assert!(opened(&trace, &c).1.fixed.dfd >= 0);

    let json = shown(&done.output, &["--type", "file_open"]);
    assert_eq!((&json[0]["file"], &json[0]["file_given"]), (&a.to_str().unwrap().into(), &"a.pem".into()));
}

#[test]
fn links_are_resolved_and_either_name_selects() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let key = touch(&dir.join("real.key"));
    let plain = touch(&dir.join("plain-data"));
    let (to_key, to_plain, to_nothing) = (dir.join("innocent"), dir.join("looks-like.pem"), dir.join("dangling.pem"));
    symlink(&key, &to_key).unwrap();
    symlink(&plain, &to_plain).unwrap();
    symlink(dir.join("nothing"), &to_nothing).unwrap();
    let steps = words![
        "openat", "0", "0", to_key, "openat", "0", "0", to_plain, "openat", "0", "0", to_nothing, "resolve", "4",
        "openat2", "0", "0", to_plain, "openat", "0", "0", plain,
    ];
    let done = Capture::new().workload(steps).run();
    let results: Vec<_> = said(&done.stdout).iter().map(|said| said.result).collect();
    assert_eq!((results[2], results[3]), (-libc::ENOENT, -libc::ELOOP));
    let trace = done.trace();
    assert_eq!(trace.opens().len(), 4, "a plain file by its plain name is of no interest");

    let (event, open) = opened(&trace, &key);
    assert_eq!((&open.given[..], event.header.flags), (bytes(&to_key), 0));
    let (event, open) = opened(&trace, &plain);
    assert_eq!((&open.given[..], event.header.flags), (bytes(&to_plain), flags::MATCHED_GIVEN));
    let (event, open) = opened(&trace, &to_nothing);
    assert_eq!((open.fixed.result, event.header.flags), (-libc::ENOENT, flags::PATH_AS_PASSED));
    // RESOLVE_NO_SYMLINKS is 4, include/uapi/linux/openat2.h.
    let (_, open) = opened(&trace, &to_plain);
    assert_eq!((open.fixed.result, open.fixed.resolve), (-libc::ELOOP, 4));
}

#[test]
fn a_bind_mount_is_named_by_where_it_is_mounted() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let (from, onto) = (dir.join("from"), dir.join("onto"));
    touch(&from.join("deep/bound.pem"));
    std::fs::create_dir(&onto).unwrap();
    let path = onto.join("deep/bound.pem");
    let done = Capture::new().workload(words!["bind", from, onto, "openat", "0", "0", path]).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    let (event, open) = opened(&trace, &path);
    assert_eq!((&open.given[..], event.header.flags), (&b""[..], 0));
    let told = said(&done.stdout)[0];
    assert_eq!((open.fixed.dev, open.fixed.ino), (told.dev, told.ino));
    assert!(!path.exists(), "the mount is in the workload's own namespace");
}

/// A container's file has a path on the host, and that is the one to look at.
#[test]
fn a_path_in_a_chroot_is_the_one_from_outside() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let root = dir.join("root");
    let inside = touch(&root.join("etc/inside.pem"));
    let link = root.join("etc/link.pem");
    symlink("/etc/inside.pem", &link).unwrap();
    let steps =
        words!["chroot", root, "openat", "0", "0", "/etc/inside.pem", "cd", "/etc", "openat", "0", "0", "gone.pem",];
    let done = Capture::new().workload(steps).run();
    let trace = done.trace();
    let (event, open) = opened(&trace, &inside);
    assert_eq!((&open.given[..], event.header.flags), (&b"/etc/inside.pem"[..], 0));
    let (_, open) = trace.open_of("gone.pem");
    assert_eq!((open.fixed.result, &open.dir[..]), (-libc::ENOENT, bytes(&root.join("etc"))));
}

/// `/run/secrets`, `.ssh` and their kin are often mounts: the root of one has no name of its own, and what is in it was missed.
#[test]
fn a_directory_of_keys_may_be_a_mount_or_lie_in_one() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = |path: &str| touch(&dir.join(path));
    // What is mounted has another name than where it is mounted.
    file("one/from-mount");
    file("two/private/below-mount");
    std::fs::create_dir_all(dir.join("a/ssl/private")).unwrap();
    std::fs::create_dir_all(dir.join("b/ssl")).unwrap();
    let (private, ssl) = (dir.join("a/ssl/private"), dir.join("b/ssl"));
    let steps = words![
        "bind",
        dir.join("one"),
        private,
        "bind",
        dir.join("two"),
        ssl,
        "openat",
        "0",
        "0",
        private.join("from-mount"),
        "openat",
        "0",
        "0",
        ssl.join("private/below-mount"),
        "cd",
        private,
        "openat",
        "0",
        "0",
        "missing-in-mount",
        "sys",
        libc::SYS_unlinkat.to_string(),
        "3",
        "-100",
        "from-mount",
        "0"
    ];
    let done = Capture::new().workload(steps).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let events = shown(&done.output, &["--type", "file_open,file_change"]);
    let told: Vec<_> = events.iter().map(|event| event["file"].as_str().unwrap().to_owned()).collect();
    let names = ["a/ssl/private/from-mount", "b/ssl/private/below-mount"];
    let names = [names, ["a/ssl/private/missing-in-mount", "a/ssl/private/from-mount"]].concat();
    let expected: Vec<_> = names.iter().map(|name| dir.join(name).to_str().unwrap().to_owned()).collect();
    assert_eq!(told, expected, "{events:#?}");
}

/// The mount is gone, the descriptor still leads into it.
#[test]
fn a_file_of_a_detached_mount_is_flagged() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let (from, onto) = (dir.join("from"), dir.join("onto"));
    touch(&from.join("deep/lost.pem"));
    std::fs::create_dir(&onto).unwrap();
    let steps = words!["bind", from, onto, "at", onto, "umount", onto, "openat", "0", "0", "deep/lost.pem"];
    let done = Capture::new().workload(steps).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    let (event, open) = trace.open_of("deep/lost.pem");
    assert!(event.has(flags::DETACHED), "{:x} {}", event.header.flags, open.path.escape_ascii());
    assert_eq!((&open.path[..], &open.given[..]), (&b"/deep/lost.pem"[..], &b"deep/lost.pem"[..]));
    assert_eq!(shown(&done.output, &["--type", "file_open"])[0]["notes"], serde_json::json!(["detached"]));
}

/// Such an open, where it failed, was shown as one below the root of the process.
#[test]
fn a_failed_open_below_an_unmounted_directory_tells_what_is_known() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let (from, onto) = (dir.join("from"), dir.join("onto"));
    std::fs::create_dir_all(from.join("deep")).unwrap();
    std::fs::create_dir(&onto).unwrap();
    let steps = words!["bind", from, onto, "cd", onto.join("deep"), "umount", onto, "openat", "0", "0", "missing.key"];
    let done = Capture::new().workload(steps).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    let (event, open) = trace.open_of("missing.key");
    assert_eq!((open.fixed.result, &open.dir[..]), (-libc::ENOENT, &b"/deep"[..]));
    assert!(event.has(flags::DETACHED), "{:x}", event.header.flags);
    assert_eq!(shown(&done.output, &["--type", "file_open"])[0]["notes"], serde_json::json!(["detached"]));
}

/// The path of a file in another mount namespace was shown as if the process itself had one there.
#[test]
fn files_and_executables_of_another_mount_namespace_are_marked() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("theirs.pem"));
    let mut other = std::process::Command::new("unshare");
    other.arg("-m").arg(crypto_trace_tests::workload()).args(["complain", "ready", "wait"]);
    let mut other = crypto_trace_tests::Process::spawn(other.stdin(std::process::Stdio::piped()));
    other.wait_for("ready");
    let root = format!("/proc/{}/root", other.child().id());
    let theirs = |path: &std::path::Path| format!("{root}{}", path.display());
    let program = crypto_trace_tests::workload().canonicalize().unwrap();
    let steps = words![
        "openat",
        "0",
        "0",
        file,
        "openat",
        "0",
        "0",
        theirs(&file),
        "cd",
        theirs(&dir),
        "openat",
        "0",
        "0",
        "none.pem",
        "exec",
        theirs(&program),
        "ready"
    ];
    let done = Capture::new().workload(steps).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let events = shown(&done.output, &["--type", "file_open,process_exec"]);
    let told: Vec<_> = events.iter().map(|event| (event["event_type"].as_str().unwrap(), &event["notes"])).collect();
    let (own, marked) = (serde_json::Value::Null, serde_json::json!(["other_namespace"]));
    let expected = [
        ("process_exec", &own),
        ("file_open", &own),
        ("file_open", &marked),
        ("file_open", &marked),
        ("process_exec", &marked),
    ];
    assert_eq!(told, expected, "{events:#?}");
    let path = file.to_str().unwrap();
    assert_eq!((&events[1]["file"], &events[2]["file"]), (&path.into(), &path.into()));
    assert_eq!(events[2]["file_given"], theirs(&file));
    drop(other);
}

#[test]
fn a_deleted_file_is_flagged() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("gone.pem"));
    // The first descriptor of the workload beyond the standard three.
    let steps = words!["at", file, "rm", file, "openat", "2", "0", "/proc/self/fd/3"];
    let done = Capture::new().workload(steps).run();
    assert!(said(&done.stdout)[0].result > 0, "{}", done.text());
    let trace = done.trace();
    let opens = trace.opens();
    // O_PATH by `at` while it was there, O_RDWR when it was gone.
    assert_eq!(opens.iter().map(|(_, open)| open.fixed.flags).collect::<Vec<_>>(), [libc::O_PATH.unsigned_abs(), 2]);
    let (event, open) = opens[1];
    assert_eq!((&open.path[..], opens[0].0.header.flags), (bytes(&file), 0));
    assert_eq!((&open.given[..], event.header.flags), (&b"/proc/self/fd/3"[..], flags::UNLINKED));
    assert_eq!(shown(&done.output, &["--type", "file_open"])[1]["notes"], serde_json::json!(["unlinked"]));
}

/// O_TMPFILE in a directory of keys: a key in the making, without a name yet.
#[test]
fn a_file_without_a_name_in_a_directory_of_keys_is_flagged() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let private = dir.join("ssl/private");
    std::fs::create_dir_all(&private).unwrap();
    let flags_given = (libc::O_TMPFILE | libc::O_RDWR).unsigned_abs();
    let done = Capture::new().workload(words!["openat", flags_given.to_string(), "0o600", private]).run();
    let told = said(&done.stdout)[0];
    if told.result == -libc::EOPNOTSUPP {
        return crypto_trace_tests::skip("the file system of the temporary directory has no O_TMPFILE");
    }
    let trace = done.trace();
    let (event, open) = trace.opens()[0];
    assert!(event.has(flags::UNLINKED));
    assert_eq!((open.fixed.flags, open.fixed.mode, open.fixed.ino), (flags_given, 0o600, told.ino));
    assert!(open.path.starts_with(bytes(&private)), "{}", open.path.escape_ascii());
    assert_eq!(open.given, bytes(&private));
}

/// Names are bytes that anyone may choose: kept exactly, and never raw on a terminal.
#[test]
fn names_of_any_bytes_are_kept_and_shown_escaped() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let names: [&[u8]; 6] = [
        b"new\nline.pem",
        b"\x1b[31mred\x07.pem",
        b"not-\xff\xfe-utf8.pem",
        b" \t .pem",
        "schlüssel-鍵.pem".as_bytes(),
        b"a\\b\"c.pem",
    ];
    let files = names.map(|name| touch(&dir.join(OsString::from_vec(name.to_vec()))));
    let mut steps: Vec<OsString> = Vec::new();
    for file in &files {
        steps.extend(words!["openat", "0", "0", file]);
        let mut missing = file.clone().into_os_string().into_vec();
        missing.splice(missing.len() - 4.., *b"-missing.pem");
        steps.extend(words!["openat", "0", "0", OsString::from_vec(missing)]);
    }
    let done = Capture::new().workload(steps).run();
    let trace = done.trace();
    assert_eq!(trace.opens().len(), 12);
    for file in &files {
        opened(&trace, file);
    }

    for format in ["json-stream", "json-array", "json-pretty", "summary"] {
        let shown = crate::support::analyze(words!["events", "--format", format, done.output]);
        assert_eq!(shown.code(), 0);
        let raw = shown.stdout.iter().find(|byte| byte.is_ascii_control() && **byte != b'\n');
        assert_eq!(raw, None, "a control character in {format}");
        assert!(String::from_utf8(shown.stdout).is_ok(), "{format} is UTF-8");
    }
    let json = shown(&done.output, &["--type", "file_open"]);
    assert_eq!(json.len(), 12);
    let texts: Vec<_> = json.iter().map(|json| json["file"].as_str().unwrap()).collect();
    assert!(texts[0].ends_with("/new\nline.pem"), "JSON gives back the exact text");
    assert!(texts[2].ends_with("/\x1b[31mred\x07.pem"));
    assert!(texts[4].ends_with(r"/not-\xff\xfe-utf8.pem"), "{}", texts[4]);
    assert!(json[4]["escaped"].as_array().unwrap().contains(&"file".into()));
}

/// Far beyond what a path argument can say: the kernel knows it all the same.
#[test]
fn a_path_of_path_max_bytes_is_complete_and_a_longer_one_is_cut_and_flagged() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let component = "d".repeat(200);
    let path_of = |depth: usize| {
        let mut path = bytes(&dir).to_vec();
        (0..depth).for_each(|_| path.extend_from_slice(format!("/{component}").as_bytes()));
        path.extend_from_slice(b"/deep.pem");
        path
    };
    let most = (0..).find(|depth| path_of(depth + 1).len() > 4095).unwrap();
    let run = |depth: usize| {
        let steps = words!["cd", dir, "longname", depth.to_string(), component, "deep.pem"];
        let done = Capture::new().workload(steps).run();
        assert_eq!(done.code(), 0, "{}", done.stderr);
        std::fs::remove_dir_all(dir.join(&component)).unwrap();
        let trace = done.trace();
        let (event, open) = trace.open_of("deep.pem");
        assert_eq!(open.given, b"deep.pem");
        (event.header.flags, open.path.clone())
    };
    assert_eq!(run(most), (0, path_of(most)));
    let (told, path) = run(most + 3);
    assert_eq!(told, flags::TRUNCATED | flags::PATH_PARTIAL);
    assert!(path_of(most + 3).ends_with(&path) && path.len() > 3800, "{}", path.len());
}

#[test]
fn a_path_of_many_short_components_is_complete() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let done = Capture::new().workload(words!["cd", dir, "longname", "1500", "d", "deep.pem"]).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    let (event, open) = trace.open_of("deep.pem");
    let path = format!("{}{}/deep.pem", dir.display(), "/d".repeat(1500));
    assert_eq!((event.header.flags, &open.path[..]), (0, path.as_bytes()));
}

/// As passed, up to PATH_MAX with its NUL; what is longer the kernel refuses and says so.
#[test]
fn a_failed_open_of_a_path_as_long_as_possible_is_complete() {
    let Some(_permit) = live() else { return };
    let longest = format!("/{}gone.pem", "x/".repeat(2043));
    assert_eq!(longest.len(), 4095);
    let too_long = format!("/{longest}");
    let done = Capture::new().workload(words!["openat", "0", "0", longest, "openat", "0", "0", too_long]).run();
    let results: Vec<_> = said(&done.stdout).iter().map(|said| said.result).collect();
    assert_eq!(results, [-libc::ENOENT, -libc::ENAMETOOLONG]);
    let trace = done.trace();
    let (event, open) = opened(&trace, Path::new(&longest));
    assert_eq!((open.fixed.result, event.has(flags::PATH_AS_PASSED)), (-libc::ENOENT, true));
}

#[test]
fn opens_for_the_path_alone_of_directories_and_of_devices_are_told_as_they_are() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    let file = touch(&dir.join("path.pem"));
    let directory = dir.join("directory.pem");
    std::fs::create_dir(&directory).unwrap();
    let null = dir.join("null.pem");
    symlink("/dev/null", &null).unwrap();
    let (o_path, o_directory) = (libc::O_PATH.to_string(), libc::O_DIRECTORY.to_string());
    let steps = words![
        "openat",
        o_path,
        "0",
        file,
        "openat",
        o_directory,
        "0",
        directory,
        "openat",
        o_directory,
        "0",
        file,
        "openat",
        "1",
        "0",
        null,
    ];
    let done = Capture::new().workload(steps).run();
    let told = said(&done.stdout);
    assert_eq!(told[2].result, -libc::ENOTDIR);
    let trace = done.trace();
    let opens = trace.opens();
    assert_eq!(opens.len(), 4);
    let types: Vec<_> = opens.iter().map(|(_, open)| open.fixed.inode_mode & libc::S_IFMT).collect();
    assert_eq!(types, [libc::S_IFREG, libc::S_IFDIR, 0, libc::S_IFCHR]);
    for ((_, open), told) in opens.iter().zip(&told) {
        assert_eq!((open.fixed.result, open.fixed.ino), (told.result, told.ino));
    }
    assert_eq!(opens[0].1.fixed.flags, libc::O_PATH.unsigned_abs());
}
