//! `crypto-trace-analyze` as a child without privileges: what renders on the host what is being captured there.
//!
//! What it reads was made by the traced processes, so it is run as somebody who may do nothing: the user behind sudo, else the one that
//! the package made for this, else nobody; without capabilities, with `no_new_privs` so that it cannot get any, and behind a filter of
//! system calls, by which it opens files for reading only and no sockets.
//!
//! It is not ended with us (`PR_SET_PDEATHSIG`): its input ends, and what it shows of that is to be whole.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use crate::exit::Failure;
use crate::limits::seccomp;
use crate::out::output;
use crate::say;
use crate::session::signals::Signals;

/// The analyzer's name.
const ANALYZER: &str = "crypto-trace-analyze";

/// uid and gid of `nobody` on every Linux distribution (the kernel's overflowuid, `DEFAULT_OVERFLOWUID`).
const NOBODY: u32 = 65_534;

/// The user that the package made for it.
const OWN_USER: &str = "crypto-trace-render";

/// Bytes of /etc/passwd that are looked at.
const PASSWD_BYTES: u64 = 1 << 20;

/// What of our environment the analyzer gets: what tells it how to show text.
const KEPT_ENVIRONMENT: &[&str] = &[
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TERM",
    "COLUMNS",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "RUST_BACKTRACE",
];

/// Tells the analyzer that its input will end, and that a signal is no reason to end before: whoever stops a whole group, or
/// all processes of a service, means the recording, and what is shown of it is to be whole.
const ENDS_WITH_INPUT: &str = "CRYPTO_TRACE_ENDS_WITH_INPUT";

/// How often a wait for its end looks for a signal to us.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// An analyzer to be started.
#[derive(Debug)]
pub struct RendererCommand {
    program: PathBuf,
    words: Vec<OsString>,
    output: Option<File>,
}

/// A running analyzer.
#[derive(Debug)]
pub struct Renderer {
    child: Child,
}

impl RendererCommand {
    /// The analyzer that belongs to this program, with these arguments. `output` is opened here and now, as whoever runs us;
    /// standard output without it.
    ///
    /// # Errors
    /// When there is no analyzer, or the output cannot be written.
    pub fn new(words: Vec<OsString>, output: Option<&Path>) -> Result<Self, Failure> {
        let output = output.map(|path| output::open(path, user_behind_sudo().map(|(uid, _)| uid)));
        Ok(Self { program: find_analyzer()?, words, output: output.transpose()? })
    }

    /// Starts it. What is written into the pipe is what it reads.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(self) -> Result<(Renderer, ChildStdin), Failure> {
        let program = self.program.display().to_string();
        // What is given up here is given up by this thread and by what it starts.
        let thread = std::thread::spawn(move || self.start_without_privileges());
        let started = thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that starts it panicked")));
        let mut child = started.with_context(|| format!("cannot start {program}"))?;
        let pipe = child.stdin.take().context("the renderer has no standard input")?;
        Ok((Renderer { child }, pipe))
    }

    fn start_without_privileges(self) -> io::Result<Child> {
        set_no_new_privs(true)?;
        // Ours is for the drain thread alone.
        let _ = rustix::process::setpriority_process(None, 0);
        let mut command = Command::new(&self.program);
        command.args(&self.words).stdin(Stdio::piped()).env_clear();
        command.envs(KEPT_ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env(ENDS_WITH_INPUT, "1");
        // Ctrl-C is for us: it goes on to the end of what it gets.
        command.process_group(0);
        if let Some(output) = self.output {
            output::empty(&output)?;
            command.stdout(output);
        }
        if rustix::process::geteuid().is_root() {
            let (uid, gid) = user_behind_sudo().or_else(own_user).unwrap_or((NOBODY, NOBODY));
            // Without supplementary groups; the capabilities go with the user id.
            command.uid(uid).gid(gid);
        } else {
            let none = CapabilitySet::empty();
            set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
        }
        if let Err(error) = seccomp::apply_to_analyzer() {
            say::warning(&format!("system calls of the analyzer are not filtered: {error:#}"));
        }
        let child = command.spawn()?;
        // No copy of its memory is left anywhere. Where root may not do that, it is as it was.
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        let _ = rustix::process::prlimit(Pid::from_raw(child.id().cast_signed()), Resource::Core, none);
        Ok(child)
    }
}

impl Renderer {
    /// Waits for its end, once the pipe is closed: as long as its reader takes, or until somebody asks to stop although
    /// that was asked for before (`asked`). A first request that comes as late as this gets what a first request gets.
    ///
    /// # Errors
    /// When it failed, or was cut short.
    pub fn finish(mut self, signals: &Signals, mut asked: bool) -> Result<(), Failure> {
        let status = loop {
            if let Some(status) = self.child.try_wait().context("cannot wait for the renderer")? {
                break status;
            }
            if signals.take_stop() && std::mem::replace(&mut asked, true) {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return Err(anyhow::anyhow!("stopped before it had read everything there is to show").into());
            }
            std::thread::sleep(LOOK_INTERVAL);
        };
        outcome(status)
    }

    /// Its pipe is broken before anything was recorded: how it ended says more than that, unless it ended well.
    ///
    /// # Errors
    /// Always: how it ended, else `error`.
    pub fn ended_first<T>(&mut self, error: Failure) -> Result<T, Failure> {
        outcome(self.child.wait().context("cannot wait for the renderer")?)?;
        Err(error)
    }
}

impl Drop for Renderer {
    fn drop(&mut self) {
        // Only when the recording failed: its pipe is closed, so it ends by itself; it is not left as a zombie.
        let _ = self.child.try_wait();
    }
}

fn outcome(status: ExitStatus) -> Result<(), Failure> {
    if status.success() { Ok(()) } else { Err(anyhow::anyhow!("{ANALYZER} {}", ended(status)).into()) }
}

fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit code {code}; its messages are above"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// Beside this program, else where programs are; as root only one that none but root can have put there.
pub(crate) fn find_analyzer() -> Result<PathBuf, Failure> {
    let beside = std::env::current_exe().ok().map(|exe| exe.with_file_name(ANALYZER));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(ANALYZER));
    let is_root = rustix::process::geteuid().is_root();
    let mut of_others = None;
    let in_path = in_path.filter(|file| {
        let trusted = !is_root || output::is_of_root_alone(file);
        if !trusted && file.is_file() {
            of_others.get_or_insert_with(|| file.clone());
        }
        trusted
    });
    if let Some(found) = beside.into_iter().chain(in_path).find(|file| file.is_file()) {
        return Ok(found);
    }
    let what = "install it, or use record";
    Err(match of_others {
        Some(file) => anyhow::anyhow!(
            "{} is not run as root, because others may replace it, and no other {ANALYZER} is beside this program or in PATH: {what}",
            file.display()
        ),
        None => anyhow::anyhow!("{ANALYZER} is neither beside this program nor in PATH: {what}"),
    }
    .into())
}

/// User and group that the package made, by /etc/passwd.
fn own_user() -> Option<(u32, u32)> {
    let mut passwd = Vec::new();
    File::open("/etc/passwd").ok()?.take(PASSWD_BYTES).read_to_end(&mut passwd).ok()?;
    user_in(&String::from_utf8_lossy(&passwd), OWN_USER)
}

/// User and group of this name in lines of passwd(5); none that is root.
fn user_in(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let fields = passwd.lines().map(|line| line.split(':')).find(|fields| fields.clone().next() == Some(name))?;
    let mut ids = fields.skip(2).map(str::parse);
    Some((ids.next()?.ok()?, ids.next()?.ok()?)).filter(|(uid, gid)| *uid != 0 && *gid != 0)
}

/// User and group that sudo says it was called by.
pub(crate) fn user_behind_sudo() -> Option<(u32, u32)> {
    let id = |name: &str| std::env::var_os(name).as_deref().and_then(OsStr::to_str)?.parse().ok();
    Some((id("SUDO_UID")?, id("SUDO_GID")?)).filter(|(uid, _)| *uid != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_that_the_package_made() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\ncrypto-trace-render-x:x:7:7::/:\ncrypto-trace-render:x:996:995:a:/:/no\n";
        assert_eq!(user_in(passwd, OWN_USER), Some((996, 995)));
        for none in ["", "crypto-trace-render:x:0:0::/:", "crypto-trace-render:x:1", "crypto-trace-render:x:a:b::/:"] {
            assert_eq!(user_in(none, OWN_USER), None, "{none}");
        }
    }
}
