//! file_change: names that files get and lose, their modes and owners; by every call, with both paths and the result.

use std::ffi::OsString;
use std::path::Path;

use crypto_trace_tests::{Capture, live};
use serde_json::{Value, json};

use crate::support::{directory, shown, touch};
use crate::words;

const AT_FDCWD: &str = "-100";

/// A step of the workload: a system call and its arguments.
fn call(number: libc::c_long, arguments: &[&str]) -> Vec<String> {
    let mut words = vec!["sys".to_owned(), number.to_string(), arguments.len().to_string()];
    words.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    words
}

/// Records these steps in `dir`; what the kernel answered, and the changes that were recorded.
fn recorded(dir: &Path, steps: &[Vec<String>]) -> (Vec<i64>, Vec<Value>) {
    let steps = steps.iter().flatten().map(OsString::from);
    let done = Capture::new().workload(words!["cd", dir].into_iter().chain(steps)).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    let results = told.lines().filter_map(|line| line.strip_prefix("sys ")?.parse().ok()).collect();
    let events = shown(&done.output, &["--type", "file_change"]);
    (results, events)
}

/// Whether `event` has these members, where `DIR/` stands for the directory.
fn check(event: &Value, dir: &Path, expected: &Value) {
    let prefix = format!("{}/", dir.display());
    for (name, value) in expected.as_object().unwrap() {
        let value = match value {
            Value::String(text) => text.replace("DIR/", &prefix).into(),
            other => other.clone(),
        };
        assert_eq!(event[name], value, "{name} of {event:#}\nexpected {expected}");
    }
}

/// dnssec-keygen, gpg, certbot and most editors write a temporary file and rename it: of their keys nothing was seen.
#[test]
fn keys_that_are_born_by_renaming_are_seen_by_every_call() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    for name in ["a.tmp", "b.tmp", "c.tmp", "d.pem"] {
        touch(&dir.join(name));
    }
    let steps = [
        #[cfg(target_arch = "x86_64")]
        call(libc::SYS_rename, &["a.tmp", "a.key"]),
        call(libc::SYS_renameat, &[AT_FDCWD, "b.tmp", AT_FDCWD, "b.key"]),
        call(libc::SYS_renameat2, &[AT_FDCWD, "c.tmp", AT_FDCWD, "c.key", "1"]),
        // There is one already, and this asks for none.
        call(libc::SYS_renameat2, &[AT_FDCWD, "d.pem", AT_FDCWD, "c.key", "1"]),
        call(libc::SYS_renameat2, &[AT_FDCWD, "d.pem", AT_FDCWD, "c.key", "2"]),
        call(libc::SYS_renameat2, &[AT_FDCWD, "d.pem", AT_FDCWD, "away", "0"]),
        // Neither is wanted.
        call(libc::SYS_renameat, &[AT_FDCWD, "away", AT_FDCWD, "elsewhere"]),
    ];
    let (results, events) = recorded(&dir, &steps);
    let exists = i64::from(-libc::EEXIST);
    let expected = [
        #[cfg(target_arch = "x86_64")]
        json!({"syscall": "rename", "file": "DIR/a.tmp", "new_file": "DIR/a.key", "file_type": "private_key", "result": 0}),
        json!({"syscall": "renameat", "file": "DIR/b.tmp", "new_file": "DIR/b.key", "file_given": "b.tmp", "result": 0}),
        json!({"syscall": "renameat2", "file": "DIR/c.tmp", "new_file": "DIR/c.key", "flags": "RENAME_NOREPLACE"}),
        json!({"file": "DIR/d.pem", "new_file": "DIR/c.key", "result": exists, "error": "EEXIST"}),
        json!({"file": "DIR/d.pem", "new_file": "DIR/c.key", "result": 0, "flags": "RENAME_EXCHANGE"}),
        json!({"file": "DIR/d.pem", "new_file": "DIR/away", "result": 0, "file_type": "certificate", "flags": null}),
    ];
    assert_eq!(events.len(), expected.len(), "{events:#?}");
    let told: Vec<_> = events.iter().map(|event| event["result"].as_i64().unwrap()).collect();
    assert_eq!(told, results.get(..expected.len()).unwrap());
    for (event, expected) in events.iter().zip(&expected) {
        check(event, &dir, expected);
        assert_eq!((&event["change"], &event["process"]), (&json!("rename"), &json!("workload")));
    }
}

#[test]
fn links_are_recorded_with_what_they_point_to_and_removals_with_their_result() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    for name in ["a.pem", "plain"] {
        touch(&dir.join(name));
    }
    let steps = [
        #[cfg(target_arch = "x86_64")]
        call(libc::SYS_link, &["a.pem", "b.pem"]),
        call(libc::SYS_linkat, &[AT_FDCWD, "plain", AT_FDCWD, "c.pem", "1024"]),
        #[cfg(target_arch = "x86_64")]
        call(libc::SYS_symlink, &["../archive/cert1.pem", "live"]),
        call(libc::SYS_symlinkat, &["/nowhere/at/all", AT_FDCWD, "d.key"]),
        call(libc::SYS_unlinkat, &[AT_FDCWD, "c.pem", "0"]),
        call(libc::SYS_unlinkat, &[AT_FDCWD, "c.pem", "0"]),
        call(libc::SYS_mkdirat, &[AT_FDCWD, "dir.key", "0o700"]),
        call(libc::SYS_unlinkat, &[AT_FDCWD, "dir.key", "512"]),
        #[cfg(target_arch = "x86_64")]
        call(libc::SYS_unlink, &["a.pem"]),
        #[cfg(target_arch = "x86_64")]
        call(libc::SYS_rmdir, &["none.pem"]),
        call(libc::SYS_unlinkat, &[AT_FDCWD, "plain", "0"]),
    ];
    let (_, events) = recorded(&dir, &steps);
    let none = i64::from(-libc::ENOENT);
    let expected = [
        #[cfg(target_arch = "x86_64")]
        json!({"change": "link", "syscall": "link", "file": "DIR/a.pem", "new_file": "DIR/b.pem", "result": 0}),
        json!({"change": "link", "file": "DIR/plain", "new_file": "DIR/c.pem", "flags": "AT_SYMLINK_FOLLOW", "result": 0}),
        #[cfg(target_arch = "x86_64")]
        json!({"change": "symlink", "file": "DIR/live", "link_target": "../archive/cert1.pem", "file_type": "certificate"}),
        json!({"change": "symlink", "syscall": "symlinkat", "file": "DIR/d.key", "link_target": "/nowhere/at/all", "new_file": null}),
        json!({"change": "unlink", "syscall": "unlinkat", "file": "DIR/c.pem", "result": 0}),
        json!({"change": "unlink", "file": "DIR/c.pem", "result": none, "error": "ENOENT"}),
        json!({"change": "unlink", "file": "DIR/dir.key", "flags": "AT_REMOVEDIR", "result": 0}),
        #[cfg(target_arch = "x86_64")]
        json!({"change": "unlink", "syscall": "unlink", "file": "DIR/a.pem", "result": 0}),
        #[cfg(target_arch = "x86_64")]
        json!({"change": "unlink", "syscall": "rmdir", "file": "DIR/none.pem", "result": none}),
    ];
    assert_eq!(events.len(), expected.len(), "{events:#?}");
    events.iter().zip(&expected).for_each(|(event, expected)| check(event, &dir, expected));
}

#[test]
fn modes_and_owners_are_recorded_by_path_and_by_descriptor() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    touch(&dir.join("a.key"));
    touch(&dir.join("plain"));
    let steps = [
        // The first descriptor after those of standard streams, and of those of the workload there are none.
        call(libc::SYS_openat, &[AT_FDCWD, "a.key", "0"]),
        call(libc::SYS_openat, &[AT_FDCWD, "plain", "0"]),
        call(libc::SYS_fchmod, &["3", "0o640"]),
        call(libc::SYS_fchmod, &["4", "0o640"]),
        call(libc::SYS_fchown, &["3", "1", "4294967295"]),
        call(libc::SYS_fchmodat, &[AT_FDCWD, "a.key", "0o604"]),
        call(libc::SYS_fchownat, &[AT_FDCWD, "a.key", "2", "3", "256"]),
        // By the descriptor after all.
        call(libc::SYS_fchownat, &["3", "", "4", "5", "4096"]),
        #[cfg(target_arch = "x86_64")]
        call(libc::SYS_chmod, &["a.key", "0o600"]),
        #[cfg(target_arch = "x86_64")]
        call(libc::SYS_chown, &["a.key", "0", "0"]),
        #[cfg(target_arch = "x86_64")]
        call(libc::SYS_lchown, &["none.key", "0", "0"]),
        call(libc::SYS_fchmod, &["99", "0o640"]),
    ];
    let (results, events) = recorded(&dir, &steps);
    assert_eq!(results.get(..2).unwrap(), [3, 4]);
    let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(dir.join("a.key")).unwrap());
    let expected = [
        json!({"change": "chmod", "syscall": "fchmod", "file": "DIR/a.key", "mode": "0640", "inode_mode": "100640", "inode": inode}),
        json!({"change": "chown", "syscall": "fchown", "file": "DIR/a.key", "owner": 1, "group": null, "inode": inode}),
        json!({"change": "chmod", "syscall": "fchmodat", "file": "DIR/a.key", "mode": "0604", "file_given": "a.key"}),
        json!({"change": "chown", "file": "DIR/a.key", "owner": 2, "group": 3, "flags": "AT_SYMLINK_NOFOLLOW"}),
        json!({"change": "chown", "file": "DIR/a.key", "owner": 4, "group": 5, "flags": "AT_EMPTY_PATH", "inode": inode}),
        #[cfg(target_arch = "x86_64")]
        json!({"change": "chmod", "syscall": "chmod", "file": "DIR/a.key", "mode": "0600", "result": 0}),
        #[cfg(target_arch = "x86_64")]
        json!({"change": "chown", "syscall": "chown", "file": "DIR/a.key", "owner": 0, "group": 0, "result": 0}),
        #[cfg(target_arch = "x86_64")]
        json!({"change": "chown", "syscall": "lchown", "file": "DIR/none.key", "error": "ENOENT"}),
    ];
    assert_eq!(events.len(), expected.len(), "{events:#?}");
    events.iter().zip(&expected).for_each(|(event, expected)| check(event, &dir, expected));
}

/// A name says nothing of these: the directory does, on either side and from wherever it is named.
#[test]
fn changes_in_a_directory_of_keys_are_recorded_whatever_the_name() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    std::fs::create_dir_all(dir.join("ssl/private")).unwrap();
    std::fs::create_dir_all(dir.join("ssl/other")).unwrap();
    touch(&dir.join("incoming"));
    let absolute = dir.join("ssl/private/moved").display().to_string();
    let steps = [
        call(libc::SYS_renameat, &[AT_FDCWD, "incoming", AT_FDCWD, "ssl/private/server-2026"]),
        call(libc::SYS_renameat, &[AT_FDCWD, "ssl/private/server-2026", AT_FDCWD, &absolute]),
        vec!["cd".to_owned(), dir.join("ssl/private").display().to_string()],
        call(libc::SYS_renameat, &[AT_FDCWD, "moved", AT_FDCWD, "../other/moved"]),
        call(libc::SYS_unlinkat, &[AT_FDCWD, "../other/moved", "0"]),
        call(libc::SYS_unlinkat, &[AT_FDCWD, "none", "0"]),
    ];
    let (_, events) = recorded(&dir, &steps);
    let expected = [
        json!({"file": "DIR/incoming", "new_file": "DIR/ssl/private/server-2026"}),
        json!({"file": "DIR/ssl/private/server-2026", "new_file": absolute, "new_file_given": null}),
        json!({"file": "DIR/ssl/private/moved", "new_file": "DIR/ssl/private/../other/moved"}),
        json!({"file": "DIR/ssl/private/none", "error": "ENOENT"}),
    ];
    assert_eq!(events.len(), expected.len(), "{events:#?}");
    events.iter().zip(&expected).for_each(|(event, expected)| check(event, &dir, expected));
}

/// By the table of i386, also those calls that have 16-bit ids.
#[test]
fn changes_by_the_32_bit_table_are_recorded_and_flagged() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    touch(&dir.join("a.tmp"));
    let call = |number: &str, arguments: &[&str]| {
        let mut words = vec!["sys32".to_owned(), number.to_owned(), arguments.len().to_string()];
        words.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        words
    };
    let steps = [
        call("38", &["a.tmp", "a.key"]),
        call("15", &["a.key", "0o640"]),
        call("182", &["a.key", "65535", "7"]),
        call("212", &["a.key", "0", "4294967295"]),
        call("9", &["a.key", "b.key"]),
        call("83", &["a.key", "c"]),
        call("301", &[AT_FDCWD, "b.key", "0"]),
        call("10", &["none.key"]),
    ];
    let (results, events) = recorded(&dir, &steps);
    if results.first() == Some(&i64::from(-libc::ENOSYS)) || results.is_empty() {
        return crypto_trace_tests::skip("this kernel has no 32-bit system calls (CONFIG_IA32_EMULATION)");
    }
    let expected = [
        json!({"syscall": "rename", "file": "DIR/a.tmp", "new_file": "DIR/a.key", "result": 0}),
        json!({"syscall": "chmod", "file": "DIR/a.key", "mode": "0640", "result": 0}),
        json!({"syscall": "chown", "file": "DIR/a.key", "owner": null, "group": 7, "result": 0}),
        json!({"syscall": "chown", "file": "DIR/a.key", "owner": 0, "group": null, "result": 0}),
        json!({"syscall": "link", "file": "DIR/a.key", "new_file": "DIR/b.key"}),
        json!({"syscall": "symlink", "file": "DIR/c", "link_target": "a.key"}),
        json!({"syscall": "unlinkat", "file": "DIR/b.key", "result": 0}),
        json!({"syscall": "unlink", "file": "DIR/none.key", "error": "ENOENT"}),
    ];
    assert_eq!(events.len(), expected.len(), "{events:#?}");
    for (event, expected) in events.iter().zip(&expected) {
        check(event, &dir, expected);
        assert_eq!(event["notes"], json!(["compat32"]), "{event:#}");
    }
}

/// Only what the globs ask for, by either name; others are not.
#[test]
fn globs_choose_changes_by_either_name() {
    let Some(_permit) = live() else { return };
    let (_keep, dir) = directory();
    for name in ["a.x", "b.y", "c.pem"] {
        touch(&dir.join(name));
    }
    let rename = |from, to| call(libc::SYS_renameat, &[AT_FDCWD, from, AT_FDCWD, to]);
    let steps =
        [rename("a.x", "a.wanted"), rename("b.y", "b.z"), rename("a.wanted", "a.z"), rename("c.pem", "d.pem")].concat();
    let steps = words!["cd", dir].into_iter().chain(steps.iter().map(OsString::from));
    let done = Capture::new().options(["-F", "*.wanted"]).workload(steps).run();
    let events = shown(&done.output, &["--type", "file_change"]);
    let names: Vec<_> =
        events.iter().map(|event| event["new_file"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["a.wanted", "a.z"], "{events:#?}");
}
