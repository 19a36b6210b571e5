//! Signals as something to wait for: each has a pipe that becomes readable.

use std::cell::Cell;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How long after a signal a second one is another: some, timeout(1) among them, send the same one to a process and to its group.
const SECOND_SIGNAL: Duration = Duration::from_millis(400);

/// One kind of request by signal.
#[derive(Debug)]
struct Line {
    reader: UnixStream,
}

impl Line {
    fn new(signals: &[i32]) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        for signal in signals {
            signal_hook::low_level::pipe::register(*signal, writer.try_clone()?)?;
        }
        Ok(Self { reader })
    }

    fn take(&self) -> bool {
        let mut any = false;
        let mut bytes = [0; 16];
        while matches!((&self.reader).read(&mut bytes), Ok(n) if n > 0) {
            any = true;
        }
        any
    }
}

/// Requests by signal.
#[derive(Debug)]
pub struct Signals {
    stop: Line,
    rotate: Line,
    /// When the first stop was taken.
    stopped: Cell<Option<Instant>>,
}

impl Signals {
    /// From now on SIGINT and SIGTERM ask to stop and SIGHUP to rotate.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub fn install() -> io::Result<Self> {
        Ok(Self { stop: Line::new(&[SIGINT, SIGTERM])?, rotate: Line::new(&[SIGHUP])?, stopped: Cell::new(None) })
    }

    /// Descriptors to wait for.
    pub fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.stop.reader.as_fd(), self.rotate.reader.as_fd()]
    }

    /// Whether a stop was asked for since the last call; once more only by a signal of its own.
    pub fn take_stop(&self) -> bool {
        if !self.stop.take() {
            return false;
        }
        match self.stopped.get() {
            Some(first) => first.elapsed() >= SECOND_SIGNAL,
            None => {
                self.stopped.set(Some(Instant::now()));
                true
            }
        }
    }

    /// Whether a rotation was asked for since the last call.
    pub fn take_rotate(&self) -> bool {
        self.rotate.take()
    }
}
