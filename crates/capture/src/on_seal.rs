//! `--on-seal`: a program that is told of every sealed segment, run without privileges and apart from the recording.
//!
//! The recorder may not run programs once everything is attached. So a helper is started before that: this program, as a user
//! who may do nothing, which reads paths from a pipe and runs `CMD PATH` for each, one at a time. The pipe is the queue. It never
//! blocks: what it does not take is counted and said. Nothing is tried again here; that is for what ships segments, which finds
//! them in the directory whatever became of a call.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::fs::OFlags;
use rustix::process::{Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::args::{RecordArgs, UsageError};
use crate::exit::{self, Failure};
use crate::limits;
use crate::say;
use crate::session::signals::Signals;

/// Name of the hidden command that is the helper.
pub const HELPER_COMMAND: &str = "__on-seal";

/// Who runs the program when nobody else is named.
const NOBODY: &str = "nobody";

/// uid and gid of `nobody` on every Linux distribution (the kernel's overflowuid, `DEFAULT_OVERFLOWUID`).
const NOBODY_ID: u32 = 65_534;

/// Bytes of files of users and groups that are looked at.
const ACCOUNT_BYTES: u64 = 1 << 20;

/// What of our environment the program gets, beside HOME, USER and LOGNAME of its user.
const KEPT_ENVIRONMENT: &[&str] = &["PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"];

/// What fails again and again is said this often.
const SAY_INTERVAL: Duration = Duration::from_secs(60);

/// How long the end of a recording waits for the program.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often that wait looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// A user, as programs are run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    name: String,
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    home: String,
}

/// The recorder's side of the helper.
#[derive(Debug)]
pub struct OnSeal {
    pipe: File,
    helper: Child,
    /// Where the recorder was started: paths are told in full.
    directory: PathBuf,
    refused: Sparing,
    /// The helper is gone, which was said.
    gone: bool,
}

impl OnSeal {
    /// Starts the helper, when `--on-seal` asks for one. Needs the privileges to give them up.
    ///
    /// # Errors
    /// When there is no such user, or the helper cannot become it.
    pub fn start(args: &RecordArgs) -> Result<Option<Self>, Failure> {
        let Some(program) = &args.on_seal else { return Ok(None) };
        let account = account(args.on_seal_user.as_deref())?;
        let who = account.as_ref().map_or("this user", |account| &account.name).to_owned();
        let mut command = Command::new("/proc/self/exe");
        command.arg0("crypto-trace-capture").arg(HELPER_COMMAND).arg(limits::before());
        match &account {
            None => command.args(["", "", ""]),
            Some(account) => {
                let groups: Vec<String> = account.groups.iter().map(u32::to_string).collect();
                command.arg(account.uid.to_string()).arg(account.gid.to_string()).arg(groups.join(","))
            }
        };
        command.arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).env_clear();
        command.envs(KEPT_ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        match &account {
            Some(of) => command.env("HOME", &of.home).env("USER", &of.name).env("LOGNAME", &of.name),
            None => command
                .envs(["HOME", "USER", "LOGNAME"].iter().filter_map(|name| Some((name, std::env::var_os(name)?)))),
        };
        // Ctrl-C is for the recording: the last segment is told of after that.
        let mut helper = command.process_group(0).spawn().context("cannot start the helper of --on-seal")?;
        let mut ready = [0];
        let told = helper.stdout.take().context("the helper of --on-seal has no output")?.read(&mut ready);
        if !matches!(told, Ok(1)) {
            let _ = helper.wait();
            return Err(anyhow::anyhow!("--on-seal: the program cannot be run as {who}").into());
        }
        let pipe = helper.stdin.take().context("the helper of --on-seal has no input")?;
        rustix::fs::fcntl_setfl(&pipe, OFlags::NONBLOCK).context("cannot set up the pipe of --on-seal")?;
        let pipe = File::from(std::os::fd::OwnedFd::from(pipe));
        let directory = std::env::current_dir().unwrap_or_default();
        Ok(Some(Self { pipe, helper, directory, refused: Sparing::default(), gone: false }))
    }

    /// Tells of a sealed segment. Never waits.
    pub fn tell(&mut self, path: &Path) {
        if self.gone {
            return;
        }
        let mut bytes = self.directory.join(path).into_os_string().into_vec();
        bytes.push(0);
        // As much as a pipe takes as a whole is more than a path may have.
        match (&self.pipe).write(&bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if let Some(count) = self.refused.due() {
                    say::warning(&format!(
                        "--on-seal does not keep up: it was not run for {count} sealed segments; they are in the \
                         directory all the same"
                    ));
                }
            }
            Err(error) => {
                self.gone = true;
                say::error(&format!("--on-seal: its helper is gone ({error}): it is not run for further segments"));
            }
        }
    }

    /// The recording is over: waits for a while until the program has been run for all segments.
    pub fn finish(self, signals: &Signals) {
        let Self { pipe, mut helper, mut refused, .. } = self;
        drop(pipe);
        if let Some(count) = refused.rest() {
            say::warning(&format!("--on-seal was not run for {count} more sealed segments"));
        }
        let since = Instant::now();
        while matches!(helper.try_wait(), Ok(None)) {
            if since.elapsed() > PATIENCE || signals.take_stop() {
                say::warning("--on-seal is still running, and goes on without the recording");
                return;
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }
}

/// Whether the program could be run as who is named.
///
/// # Errors
/// When there is no such user, or it is root.
pub fn check(args: &RecordArgs) -> Result<(), Failure> {
    args.on_seal.as_ref().map_or(Ok(()), |_| account(args.on_seal_user.as_deref()).map(drop))
}

/// Counts what is said seldom.
#[derive(Debug, Default)]
struct Sparing {
    said: Option<Instant>,
    count: u64,
}

impl Sparing {
    /// Once more. How often since it was said last, when it is to be said now.
    fn due(&mut self) -> Option<u64> {
        self.count += 1;
        if self.said.is_some_and(|said| said.elapsed() < SAY_INTERVAL) {
            return None;
        }
        self.said = Some(Instant::now());
        self.rest()
    }

    /// How often it was not said.
    fn rest(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.count)).filter(|count| *count > 0)
    }
}

/// Runs as the helper, until its input ends. Returns its exit code.
pub fn run_helper(words: &[OsString]) -> u8 {
    let [descriptors, uid, gid, groups, program] = words else { return exit::FAILURE };
    limits::give_back(&descriptors.to_string_lossy());
    // Whoever stops all processes of a service means the recording: the last segments come after that.
    for signal in [SIGTERM, SIGINT] {
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
    if let Err(error) = become_user(uid, gid, groups) {
        say::error(&format!("--on-seal: cannot give up privileges: {error} (needs CAP_SETUID and CAP_SETGID)"));
        return exit::FAILURE;
    }
    let mut stdout = io::stdout();
    if stdout.write_all(b"1").and_then(|()| stdout.flush()).is_err() {
        return exit::FAILURE;
    }
    let (mut failures, mut runs) = (Sparing::default(), 0u64);
    for path in io::stdin().lock().split(0) {
        let Ok(path) = path else { break };
        runs += 1;
        let Some(why) = run_program(program, OsStr::from_bytes(&path)) else { continue };
        if let Some(count) = failures.due() {
            let (program, path) = (program.display(), OsStr::from_bytes(&path).display());
            let before = if count > 1 { format!(" ({count} times since this was said last)") } else { String::new() };
            say::warning(&format!("--on-seal: {program} {path} {why}{before}; it is not run again for that segment"));
        }
    }
    if let Some(count) = failures.rest() {
        say::warning(&format!("--on-seal: {} failed {count} more times, of {runs}", program.display()));
    }
    0
}

/// Runs the program for a segment; why it failed, if it did.
fn run_program(program: &OsStr, path: &OsStr) -> Option<String> {
    let run = || {
        // Our standard output may be that of a recorded command.
        let output = io::stderr().as_fd().try_clone_to_owned()?;
        Command::new(program).arg(path).stdin(Stdio::null()).stdout(output).status()
    };
    match run() {
        Ok(status) if status.success() => None,
        Ok(status) => Some(ended(status)),
        Err(error) => Some(format!("cannot be run: {error}")),
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// Gives up what this process, of one thread, may do: for good, and with it what it starts.
fn become_user(uid: &OsStr, gid: &OsStr, groups: &OsStr) -> io::Result<()> {
    let number = |text: &OsStr| text.to_str().and_then(|text| text.parse::<u32>().ok());
    // Ours may be that of the drain thread. Where it may not be changed it is as it was.
    let _ = rustix::process::setpriority_process(None, 0);
    if let (Some(uid), Some(gid)) = (number(uid), number(gid)) {
        let groups = groups.to_string_lossy();
        let groups: Vec<Gid> = groups.split(',').filter_map(|group| group.parse().ok()).map(Gid::from_raw).collect();
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::thread::set_thread_groups(&groups)?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    }
    rustix::thread::set_no_new_privs(true)?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    if rustix::process::geteuid().is_root() {
        return Err(io::Error::other("it is still root"));
    }
    Ok(())
}

/// Whom the program is run as: this user, unless that is root.
fn account(name: Option<&str>) -> Result<Option<Account>, Failure> {
    if !rustix::process::geteuid().is_root() {
        return match name {
            None => Ok(None),
            Some(_) => {
                Err(UsageError("--on-seal-user needs root: without it, --on-seal runs as this user".into()).into())
            }
        };
    }
    let name = name.unwrap_or(NOBODY);
    let read = |path: &str| -> String {
        let mut bytes = Vec::new();
        let _ = File::open(path).and_then(|file| file.take(ACCOUNT_BYTES).read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    };
    match account_in(&read("/etc/passwd"), &read("/etc/group"), name) {
        Some(account) if account.uid == 0 => {
            Err(UsageError(format!("--on-seal-user {name} is root: name a user who may do nothing but what it has to"))
                .into())
        }
        Some(account) => Ok(Some(account)),
        None if name == NOBODY => {
            let home = "/".to_owned();
            Ok(Some(Account { name: name.to_owned(), uid: NOBODY_ID, gid: NOBODY_ID, groups: Vec::new(), home }))
        }
        None => Err(UsageError(format!("--on-seal-user: there is no user `{name}` in /etc/passwd")).into()),
    }
}

/// A user of this name in lines of passwd(5), with groups of lines of group(5).
fn account_in(passwd: &str, group: &str, name: &str) -> Option<Account> {
    let fields = |line: &str| -> Vec<String> { line.split(':').map(str::to_owned).collect() };
    let of = passwd.lines().map(fields).find(|fields| fields.first().is_some_and(|first| first == name))?;
    let number = |at: usize| of.get(at)?.parse::<u32>().ok();
    let (uid, gid) = (number(2)?, number(3)?);
    let is_member = |fields: &Vec<String>| fields.get(3).is_some_and(|members| members.split(',').any(|of| of == name));
    let groups = group.lines().map(fields).filter(is_member).filter_map(|fields| fields.get(2)?.parse().ok());
    let groups = std::iter::once(gid).chain(groups.filter(|group| *group != gid)).collect();
    let home = of.get(5).filter(|home| !home.is_empty()).cloned().unwrap_or_else(|| "/".to_owned());
    Some(Account { name: name.to_owned(), uid, gid, groups, home })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_groups_that_name_it() {
        let passwd = "root:x:0:0::/root:/bin/sh\nship:x:990:980:Ships:/var/lib/ship:/bin/sh\nbad:x:a:b::/:/no\n";
        let group =
            "root:x:0:\ncrypto-trace:x:970:alice,ship\nship:x:980:ship\nshipping:x:960:shipping\nodd:x:z:ship\n";
        let ship = account_in(passwd, group, "ship").expect("there");
        assert_eq!((ship.uid, ship.gid, ship.groups, ship.home.as_str()), (990, 980, vec![980, 970], "/var/lib/ship"));
        assert_eq!(account_in(passwd, group, "bad"), None);
        assert_eq!(account_in(passwd, group, "shi"), None);
    }

    #[test]
    fn what_fails_again_and_again_is_said_now_and_then() {
        let mut failures = Sparing::default();
        assert_eq!([failures.due(), failures.due(), failures.due()], [Some(1), None, None]);
        assert_eq!([failures.rest(), failures.rest()], [Some(2), None]);
        failures.said = failures.said.and_then(|said| said.checked_sub(SAY_INTERVAL));
        assert_eq!([failures.due(), failures.due()], [Some(1), None]);
    }
}
