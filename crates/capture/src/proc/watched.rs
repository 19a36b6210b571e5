//! The processes that `-p` names: whether they are there, and whether they have ended.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::exit::Failure;

/// Processes to watch; with none, none ends.
#[derive(Debug, Default)]
pub struct Watched {
    processes: Vec<OwnedFd>,
}

impl Watched {
    /// These processes.
    ///
    /// # Errors
    /// When one is not there.
    pub fn open(pids: &[u32]) -> Result<Self, Failure> {
        Ok(Self { processes: pids.iter().map(|pid| open(*pid)).collect::<Result<_, _>>()? })
    }

    /// Each becomes readable when its process has ended.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.processes.iter().map(|process| process.as_fd())
    }

    /// Whether there are some, and all of them have ended.
    pub fn all_gone(&self) -> bool {
        let mut fds: Vec<_> = self.processes.iter().map(|process| PollFd::new(process, PollFlags::IN)).collect();
        let ended = if fds.is_empty() { Ok(0) } else { poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) };
        !fds.is_empty() && ended == Ok(fds.len())
    }
}

fn open(pid: u32) -> Result<OwnedFd, Failure> {
    let gone = || Failure::from(anyhow::anyhow!("no process {pid}: it may have ended; `ps -e` lists the running ones"));
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
    pidfd_open(id, PidfdFlags::empty()).map_err(|error| match error {
        Errno::SRCH => gone(),
        // A thread: EINVAL, and since Linux 6.9 ENOENT.
        Errno::INVAL | Errno::NOENT => {
            anyhow::anyhow!("{pid} is a thread: give its process id (`ps -eL` lists it)").into()
        }
        error => anyhow::anyhow!("cannot watch process {pid}: {error}").into(),
    })
}
