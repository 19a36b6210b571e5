//! A pipe, or another file that is already open, as an output that never holds a capture up: a reader that is slow, or gone; a
//! disk that is full.
//!
//! Nothing is written that could block. While the reader does not read, the writer thread waits here, the queue fills, then the
//! ring, and the kernel counts what is lost. When the capture stops, the wait is short.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::out::writer::Shared;
use crate::say;

/// What a pipe that can be written to takes without blocking: `PIPE_BUF`, include/uapi/linux/limits.h.
const PIPE_BUF: usize = 4096;

/// How often a wait looks whether the capture is stopping.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How long a reader may take for the rest, once the capture is stopping.
const STOPPING_PATIENCE: Duration = Duration::from_millis(500);

/// How long a write that a disk refused waits before the next try.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// How much the kernel may hold for the reader.
const PIPE_BYTES: usize = 1 << 20;

/// The writing end of a pipe, or any other file.
#[derive(Debug)]
pub struct StreamOutput {
    file: OwnedFd,
    shared: Arc<Shared>,
    stopping_since: Option<Instant>,
    refused_since: Option<Instant>,
}

impl StreamOutput {
    /// Writes to `file`.
    pub fn new(file: OwnedFd, shared: Arc<Shared>) -> Self {
        // Not a pipe, or not allowed: the reader gets less slack.
        let _ = rustix::pipe::fcntl_setpipe_size(&file, PIPE_BYTES);
        Self { file, shared, stopping_since: None, refused_since: None }
    }

    fn out_of_patience(&mut self) -> bool {
        if !self.shared.stopping.load(Ordering::Relaxed) {
            return false;
        }
        self.stopping_since.get_or_insert_with(Instant::now).elapsed() > STOPPING_PATIENCE
    }
}

impl Write for StreamOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            if wait(&self.file, PollFlags::OUT, LOOK_INTERVAL)? {
                match rustix::io::write(&self.file, bytes.get(..PIPE_BUF).unwrap_or(bytes)) {
                    Ok(written) => {
                        if let Some(since) = self.refused_since.take() {
                            say::warning(&format!("writing again after {:.1} s", since.elapsed().as_secs_f64()));
                        }
                        return Ok(written);
                    }
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    // Standard output is a file on this disk: what is not written yet can be when there is room.
                    Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::IO | Errno::ROFS)) => {
                        let error = io::Error::from(error);
                        if self.out_of_patience() {
                            return Err(error);
                        }
                        if self.refused_since.is_none() {
                            self.refused_since = Some(Instant::now());
                            say::error(&format!(
                                "cannot write: {error}; trying again, the ring buffer holds what it can"
                            ));
                        }
                        std::thread::sleep(RETRY_INTERVAL);
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if self.out_of_patience() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the reader does not read"));
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the reader of a pipe is gone.
pub fn is_closed(file: &OwnedFd) -> bool {
    // Errors are reported whatever is asked for.
    wait(file, PollFlags::empty(), Duration::ZERO).unwrap_or(false)
}

fn wait(file: &OwnedFd, flags: PollFlags, time: Duration) -> io::Result<bool> {
    let time = Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
    match poll(&mut [PollFd::new(file, flags)], Some(&time)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn pipe() -> (std::fs::File, OwnedFd) {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
        (reader.into(), writer)
    }

    #[test]
    fn a_reader_that_does_not_read_does_not_hold_up_a_stop() {
        let (mut reader, writer) = pipe();
        let shared = Arc::new(Shared::default());
        let mut out = StreamOutput::new(writer, Arc::clone(&shared));
        shared.stopping.store(true, Ordering::Relaxed);
        let error = out.write_all(&vec![7; 8 << 20]).expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(out);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).expect("readable");
        assert!(read.len() < 8 << 20 && read.iter().all(|byte| *byte == 7), "{}", read.len());
    }

    #[test]
    fn a_reader_that_is_gone_is_noticed() {
        let (reader, writer) = pipe();
        assert!(!is_closed(&writer));
        drop(reader);
        assert!(is_closed(&writer));
        let mut out = StreamOutput::new(writer, Arc::default());
        assert_eq!(out.write(b"x").expect_err("closed").kind(), io::ErrorKind::BrokenPipe);
    }
}
