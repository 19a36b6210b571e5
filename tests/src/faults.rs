//! System calls that fail when a test wants them to: a disk that refuses, a kernel that refuses a probe.
//!
//! The program under test runs behind a seccomp filter that hands the calls named to the test, which decides of each whether it
//! is done or fails, and with what (seccomp_unotify(2)). So faults that no test machine has come and go at will, and the
//! program itself knows nothing of it.
#![allow(unsafe_code, reason = "seccomp has no safe interface; it is set up between fork and exec")]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

/// include/uapi/linux/seccomp.h.
const SECCOMP_SET_MODE_FILTER: libc::c_ulong = 1;
const SECCOMP_FILTER_FLAG_NEW_LISTENER: libc::c_ulong = 1 << 3;
const SECCOMP_RET_USER_NOTIF: u32 = 0x7fc0_0000;
const SECCOMP_RET_ALLOW: u32 = 0x7fff_0000;
const SECCOMP_USER_NOTIF_FLAG_CONTINUE: u32 = 1;
const SECCOMP_IOCTL_NOTIF_RECV: libc::c_ulong = 0xC050_2100;
const SECCOMP_IOCTL_NOTIF_SEND: libc::c_ulong = 0xC018_2101;

/// A system call that waits for a decision; `struct seccomp_notif`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Call {
    id: u64,
    pid: u32,
    flags: u32,
    number: i32,
    arch: u32,
    instruction: u64,
    args: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
struct Answer {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

impl Call {
    /// Which one: `SYS_*`.
    pub fn number(&self) -> i64 {
        self.number.into()
    }

    /// One of its arguments, from 0.
    pub fn arg(&self, index: usize) -> u64 {
        self.args[index]
    }

    /// What an argument that is a descriptor stands for.
    pub fn file(&self, index: usize) -> PathBuf {
        let link = format!("/proc/{}/fd/{}", self.pid, self.args[index]);
        std::fs::read_link(link).unwrap_or_default()
    }

    /// What an argument that is an address points to: as many bytes as can be read.
    pub fn memory(&self, index: usize, bytes: usize) -> Vec<u8> {
        let mut memory = vec![0; bytes];
        let file = std::fs::File::open(format!("/proc/{}/mem", self.pid));
        let read = file.and_then(|file| file.read_at(&mut memory, self.args[index])).unwrap_or(0);
        memory.truncate(read);
        memory
    }

    /// What an argument that is an address of a text ended by NUL points to.
    pub fn text(&self, index: usize) -> String {
        let memory = self.memory(index, 256);
        let text = memory.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }
}

type Decide = Box<dyn FnMut(&Call) -> Option<i32> + Send>;

/// Which calls are decided of, and how.
pub struct Faults {
    calls: Vec<i64>,
    decide: Decide,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").field("calls", &self.calls).finish_non_exhaustive()
    }
}

impl Faults {
    /// Asks `decide` of each of these calls: `None` has the kernel do it, an errno makes it fail.
    pub fn new(
        calls: impl IntoIterator<Item = i64>,
        decide: impl FnMut(&Call) -> Option<i32> + Send + 'static,
    ) -> Self {
        Self { calls: calls.into_iter().collect(), decide: Box::new(decide) }
    }

    /// Puts the program and all it starts behind them.
    pub fn give_to(self, command: &mut Command) {
        let filter = filter(&self.calls);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let enter = move || -> io::Result<()> {
            let program =
                libc::sock_fprog { len: u16::try_from(filter.len()).unwrap_or(0), filter: filter.as_ptr().cast_mut() };
            // SAFETY: the kernel copies the filter, which lives until the call returns.
            let listener = unsafe {
                libc::syscall(
                    libc::SYS_seccomp,
                    SECCOMP_SET_MODE_FILTER,
                    SECCOMP_FILTER_FLAG_NEW_LISTENER,
                    &raw const program,
                )
            };
            if listener < 0 {
                return Err(io::Error::last_os_error());
            }
            send_fd(theirs.as_raw_fd(), i32::try_from(listener).unwrap_or(-1))
        };
        // SAFETY: `enter` makes system calls only, on what was made before.
        unsafe { command.pre_exec(enter) };
        let mut decide = self.decide;
        std::thread::spawn(move || {
            // Nothing comes when the program could not be started.
            if let Some(listener) = receive_fd(ours.as_raw_fd()) {
                serve(&listener, &mut decide);
            }
        });
    }
}

/// A classic BPF program: these calls are asked about, all others are allowed.
fn filter(calls: &[i64]) -> Vec<libc::sock_filter> {
    let line = |code: u32, k: u32, jt: u8| libc::sock_filter { code: u16::try_from(code).unwrap(), jt, jf: 0, k };
    // The number is what `struct seccomp_data` begins with.
    let mut lines = vec![line(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (index, call) in calls.iter().enumerate() {
        let over = u8::try_from(calls.len() - index).unwrap();
        lines.push(line(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, u32::try_from(*call).unwrap(), over));
    }
    lines.push(line(libc::BPF_RET | libc::BPF_K, SECCOMP_RET_ALLOW, 0));
    lines.push(line(libc::BPF_RET | libc::BPF_K, SECCOMP_RET_USER_NOTIF, 0));
    lines
}

/// Decides until the last process behind the filter has ended.
fn serve(listener: &OwnedFd, decide: &mut Decide) {
    loop {
        let mut waiting = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor, which is ours.
        unsafe { libc::poll(&raw mut waiting, 1, -1) };
        if waiting.revents & libc::POLLIN == 0 {
            return;
        }
        let mut call = Call::default();
        // SAFETY: the kernel fills in what has the layout it wants; zeros are what it asks for.
        if unsafe { libc::ioctl(listener.as_raw_fd(), SECCOMP_IOCTL_NOTIF_RECV, &raw mut call) } < 0 {
            // The caller was killed while it waited.
            continue;
        }
        let answer = match decide(&call) {
            Some(errno) => Answer { id: call.id, value: 0, error: -errno, flags: 0 },
            None => Answer { id: call.id, value: 0, error: 0, flags: SECCOMP_USER_NOTIF_FLAG_CONTINUE },
        };
        // SAFETY: as above; that the caller is gone is no matter.
        unsafe { libc::ioctl(listener.as_raw_fd(), SECCOMP_IOCTL_NOTIF_SEND, &raw const answer) };
    }
}

/// Room for the header of a control message and one descriptor, aligned as the kernel wants it.
type Control = [u64; 4];

/// Size of a descriptor.
const FD_BYTES: u32 = 4;

fn message(data: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: zeros are a valid message header.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = data;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast::<c_void>();
    // SAFETY: computes a number.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(FD_BYTES) } as usize;
    message
}

/// Allocates nothing: it runs between fork and exec.
fn send_fd(socket: i32, fd: i32) -> io::Result<()> {
    let (mut byte, mut control) = (0_u8, Control::default());
    let mut data = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let message = message(&mut data, &mut control);
    // SAFETY: the control message fits into `control`, and everything lives until the call returns.
    let sent = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(FD_BYTES) as usize;
        libc::CMSG_DATA(header).cast::<i32>().write_unaligned(fd);
        libc::sendmsg(socket, &raw const message, 0)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn receive_fd(socket: i32) -> Option<OwnedFd> {
    let (mut byte, mut control) = (0_u8, Control::default());
    let mut data = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut message = message(&mut data, &mut control);
    // SAFETY: as above; the descriptor is new and nobody else knows of it.
    unsafe {
        if libc::recvmsg(socket, &raw mut message, libc::MSG_CMSG_CLOEXEC) <= 0 {
            return None;
        }
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let has_fd = !header.is_null() && (*header).cmsg_type == libc::SCM_RIGHTS;
        has_fd.then(|| OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<i32>().read_unaligned()))
    }
}
