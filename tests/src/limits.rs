//! The packaged unit's limits around each recorder that a test starts, when asked for: its memory and its tasks, read from the unit
//! itself.
//!
//! The recorder begins in a cgroup that has them; what it starts is moved out of it, as the unit starts nothing.
#![allow(unsafe_code, reason = "a process joins its cgroup between fork and exec")]

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Set to 1: each `record` runs within the unit's limits.
const SWITCH: &str = "CRYPTO_TRACE_UNIT_LIMITS";

const UNIT: &str = include_str!("../../packaging/systemd/crypto-trace-capture.service");

/// How often it is looked for what the recorder has started; a command waits for longer than that before it is let go.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// A controller of cgroups: where our own group of it is, the file of the limit and its name in the unit.
struct Controller {
    home: PathBuf,
    file: &'static str,
    value: String,
}

/// Puts what `command` starts within the limits, if it is a recording and they are asked for.
pub(crate) fn give_to(command: &mut Command) {
    let is_asked_for = std::env::var_os(SWITCH).is_some_and(|value| value == "1");
    let arguments: Vec<&OsStr> = command.get_args().collect();
    let is_recording =
        command.get_program() == crate::capture_binary() && arguments.first() == Some(&OsStr::new("record"));
    if !is_asked_for || !is_recording {
        return;
    }
    // A ring that is larger than the default takes more memory than the unit has.
    let has_own_ring = arguments.iter().any(|argument| argument.to_string_lossy().starts_with("--ring-size"));
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("crypto-trace-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut groups = Vec::new();
    for controller in controllers().into_iter().filter(|controller| !has_own_ring || controller.file == "pids.max") {
        let group = controller.home.join(&name);
        std::fs::create_dir(&group).unwrap_or_else(|error| panic!("{SWITCH}: {}: {error}", group.display()));
        std::fs::write(group.join(controller.file), &controller.value).unwrap();
        groups.push((group, controller.home));
    }
    let files: Vec<File> =
        groups.iter().map(|(group, _)| File::options().write(true).open(group.join("cgroup.procs")).unwrap()).collect();
    let join = move || -> io::Result<()> {
        for file in &files {
            // SAFETY: one byte that is there; 0 is who writes it.
            if unsafe { libc::write(file.as_raw_fd(), c"0".as_ptr().cast(), 1) } != 1 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: `join` makes system calls only, on what was opened before.
    unsafe { command.pre_exec(join) };
    std::thread::spawn(move || mind(&groups));
}

/// The controllers of both limits, in whichever version of cgroups has them.
fn controllers() -> Vec<Controller> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let mount = |kind: &str, controller: Option<&str>| {
        mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (at, found, options) = (words.next()?, words.next()?, words.next()?);
            let has = controller.is_none_or(|controller| options.split(',').any(|option| option == controller));
            (found == kind && has).then(|| PathBuf::from(at))
        })
    };
    let path = |is_it: &dyn Fn(&str) -> bool| {
        own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            is_it(controllers).then(|| path.trim_start_matches('/').to_owned())
        })
    };
    let find = |controller: &'static str, of_v1: &'static str, of_v2: &'static str, key: &str| {
        let value = value_of(key);
        if let (Some(mount), Some(path)) =
            (mount("cgroup", Some(controller)), path(&|list| list.split(',').any(|name| name == controller)))
        {
            return Controller { home: mount.join(path), file: of_v1, value };
        }
        let home = mount("cgroup2", None).zip(path(&str::is_empty)).map(|(mount, path)| mount.join(path));
        let home = home.filter(|home| {
            let enabled = std::fs::read_to_string(home.join("cgroup.subtree_control")).unwrap_or_default();
            enabled.split_whitespace().any(|name| name == controller)
        });
        let home = home.unwrap_or_else(|| panic!("{SWITCH}: no cgroup of ours has the controller {controller}"));
        Controller { home, file: of_v2, value }
    };
    vec![
        find("pids", "pids.max", "pids.max", "TasksMax"),
        find("memory", "memory.limit_in_bytes", "memory.max", "MemoryMax"),
    ]
}

/// What the unit says.
fn value_of(key: &str) -> String {
    let value = UNIT.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("the unit has no {key}")).to_owned()
}

/// Moves what the recorder starts out of its groups, and removes them when it has ended.
fn mind(groups: &[(PathBuf, PathBuf)]) {
    let members = |group: &Path| -> Vec<u32> {
        let list = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        list.lines().filter_map(|line| line.parse().ok()).collect()
    };
    let mut recorder = None;
    let mut waited = Duration::ZERO;
    loop {
        let mut alive = false;
        for (group, home) in groups {
            for pid in members(group) {
                let main = *recorder.get_or_insert(pid);
                if pid == main {
                    alive = true;
                } else if is_of_another(pid, main) {
                    // Gone meanwhile.
                    let _ = std::fs::write(home.join("cgroup.procs"), pid.to_string());
                }
            }
        }
        // It joins when it is started; a command that cannot be started never does.
        if !alive && (recorder.is_some() || waited > Duration::from_secs(10)) {
            groups.iter().for_each(|(group, _)| _ = std::fs::remove_dir(group));
            return;
        }
        std::thread::sleep(LOOK_INTERVAL);
        waited += LOOK_INTERVAL;
    }
}

/// Whether it is the gate of a command, or what that became: not the child that tries out for a moment what the kernel grants.
fn is_of_another(pid: u32, main: u32) -> bool {
    let command = |pid: u32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command(pid) != command(main)
}
