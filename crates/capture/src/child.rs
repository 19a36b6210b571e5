//! The traced command: started stopped, selected, released, waited for.
//!
//! The program starts itself as a gate that stops itself (SIGSTOP); once the BPF programs know its process id it is
//! continued and becomes the command by execve(2). So the command's own exec is the first thing recorded of it.

use std::cell::Cell;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, kill_process, pidfd_open, set_parent_process_death_signal,
    waitpid,
};

use crate::exit;
use crate::limits;
use crate::session::signals::Signals;

/// Name of the hidden command that is the gate.
pub const GATE_COMMAND: &str = "__gate";

/// Runs as the gate: stops, and when continued becomes the command, behind the limit of descriptors that it is to have. Returns the
/// exit code when it cannot.
pub fn run_gate(command: &[OsString]) -> u8 {
    let Some((descriptors, command)) = command.split_first() else { return exit::COMMAND_NOT_FOUND };
    limits::give_back(&descriptors.to_string_lossy());
    let Some((program, args)) = command.split_first() else { return exit::COMMAND_NOT_FOUND };
    // Nobody would continue it if the capture died now; once it is the command, it outlives the capture.
    let stopped = set_parent_process_death_signal(Some(Signal::KILL))
        .and_then(|()| kill_process(rustix::process::getpid(), Signal::STOP))
        .and_then(|()| set_parent_process_death_signal(None));
    if let Err(error) = stopped {
        crate::say::error(&format!("cannot wait for the recording to start: {error}"));
        return exit::WITH_COMMAND;
    }
    let error = Command::new(program).args(args).exec();
    crate::say::error(&format!("cannot run {}: {error}", program.to_string_lossy()));
    if error.kind() == io::ErrorKind::NotFound { exit::COMMAND_NOT_FOUND } else { exit::COMMAND_NOT_EXECUTABLE }
}

/// A command, started and stopped before its first instruction.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: OwnedFd,
    released: Cell<bool>,
}

/// Where the command's standard output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandOutput {
    /// To ours.
    Inherit,
    /// To our standard error, as ours carries segments.
    Stderr,
}

impl Child {
    /// Starts `command` behind the gate and waits until it has stopped.
    ///
    /// # Errors
    /// When the process cannot be started or does not stop.
    pub fn start(command: &[OsString], output: CommandOutput) -> io::Result<Self> {
        // Not current_exe(): that path may be gone or replaced since we started.
        let mut gate = Command::new("/proc/self/exe");
        gate.arg0("crypto-trace-capture").arg(GATE_COMMAND).arg(limits::before()).args(command);
        if output == CommandOutput::Stderr {
            gate.stdout(Stdio::from(io::stderr().as_fd().try_clone_to_owned()?));
        }
        let process = gate.spawn()?;
        let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        match waitpid(Some(pid), WaitOptions::UNTRACED)? {
            Some((_, status)) if status.stopped() => Ok(Self { pid, pidfd, released: Cell::new(false) }),
            _ => Err(io::Error::other("it ended before it could be traced")),
        }
    }

    /// Process id.
    pub fn tgid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Lets it run.
    ///
    /// # Errors
    /// When it is gone.
    pub fn release(&self) -> io::Result<()> {
        self.released.set(true);
        Ok(kill_process(self.pid, Signal::CONT)?)
    }

    /// Becomes readable when it has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Passes a signal on.
    pub fn signal(&self, signal: Signal) {
        // It may be gone already, which is as well.
        let _ = kill_process(self.pid, signal);
    }

    /// Waits for its end when nobody watches it any more: that its recording is not read is no reason to end it. A signal
    /// that would stop the recording does end it.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn outlast(&self, signals: &Signals) -> io::Result<()> {
        let [stop, rotate] = signals.fds();
        while self.exit().is_none() {
            let mut fds = [stop, rotate, self.pidfd()].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if signals.take_stop() {
                self.signal(Signal::TERM);
            }
            signals.take_rotate();
        }
        Ok(())
    }

    /// How it ended, once it has.
    pub fn exit(&self) -> Option<ChildExit> {
        let (_, status) = waitpid(Some(self.pid), WaitOptions::NOHANG).ok()??;
        ChildExit::new(status)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.released.get() {
            // Still the gate, and the recording will not start. If it is gone, that is as well.
            let _ = kill_process(self.pid, Signal::KILL);
            let _ = waitpid(Some(self.pid), WaitOptions::empty());
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildExit {
    /// Exit code.
    Code(u8),
    /// Number of the signal that ended it.
    Signal(u8),
}

impl ChildExit {
    fn new(status: WaitStatus) -> Option<Self> {
        let byte = |value: i32| u8::try_from(value).unwrap_or(u8::MAX);
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Some(Self::Code(byte(code))),
            (_, Some(signal)) => Some(Self::Signal(byte(signal))),
            _ => None,
        }
    }

    /// As shells tell it.
    pub fn code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => signal.saturating_add(128),
        }
    }
}

impl std::fmt::Display for ChildExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(signal) => write!(f, "was killed by signal {signal}"),
        }
    }
}
