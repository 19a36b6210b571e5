//! Whether uretprobes are safe here.
//!
//! Since Linux 6.11 a uretprobe on x86-64 returns through a system call of its own (number 335). A process whose seccomp filter does
//! not know that number would be killed by it, or would crash; Linux 6.14 (and stable kernels since) lets that call pass every
//! filter. Which of these this kernel is, is tried: in a child that makes the call itself, without a filter and with one.
//! Source: kernel/seccomp.c, arch/x86/kernel/uprobes.c (sys_uretprobe).
#![allow(unsafe_code, reason = "fork, prctl and a raw system call have no safe form")]

use super::plan::ReturnProbes;

/// How returns can be probed without harm.
pub fn how() -> ReturnProbes {
    if cfg!(target_arch = "x86_64") { try_it() } else { ReturnProbes::Kernel }
}

/// `__NR_uretprobe`, arch/x86/entry/syscalls/syscall_64.tbl.
const NR_URETPROBE: libc::c_long = 335;

/// What became of a child that made the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The kernel has no such call.
    NoSuchCall,
    /// The filter refused it.
    Refused,
    /// It was ended by the kernel, which knows the call and that this was no return from a probe.
    Ended,
    /// Anything else.
    Unclear,
}

fn try_it() -> ReturnProbes {
    match make_call(false) {
        // Uretprobes return through a breakpoint, as they always did.
        Fate::NoSuchCall => ReturnProbes::Kernel,
        // The call passes all filters.
        Fate::Ended if make_call(true) == Fate::Ended => ReturnProbes::Kernel,
        _ => ReturnProbes::Instructions,
    }
}

/// Makes the call in a child, behind a filter that refuses it when `filtered`.
fn make_call(filtered: bool) -> Fate {
    // SAFETY: the child makes nothing but system calls until it ends, so it needs no lock that another thread may have held.
    match unsafe { libc::fork() } {
        0 => child(filtered),
        pid if pid > 0 => wait(pid),
        _ => Fate::Unclear,
    }
}

fn wait(pid: libc::pid_t) -> Fate {
    let mut status = 0;
    loop {
        // SAFETY: `status` is ours.
        let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        if waited == pid {
            break;
        }
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return Fate::Unclear;
        }
    }
    if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGILL {
        Fate::Ended
    } else if libc::WIFEXITED(status) {
        match libc::WEXITSTATUS(status) {
            libc::ENOSYS => Fate::NoSuchCall,
            libc::EPERM => Fate::Refused,
            _ => Fate::Unclear,
        }
    } else {
        Fate::Unclear
    }
}

/// Ends with the errno of the call as its exit code.
fn child(filtered: bool) -> ! {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small constants")]
    let mut filter = [
        // The number of the call is the first word of struct seccomp_data.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, NR_URETPROBE as u32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: plain system calls with constants and a program that lives until the end.
    unsafe {
        // No core dump of what ends here on purpose.
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        libc::signal(libc::SIGILL, libc::SIG_DFL);
        let ready = !filtered
            || libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0;
        if !ready {
            libc::_exit(0);
        }
        let refused = libc::syscall(NR_URETPROBE) == -1;
        libc::_exit(if refused { *libc::__errno_location() } else { 0 })
    }
}

#[allow(clippy::cast_possible_truncation, reason = "BPF_* constants fit 16 bits")]
fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers() {
        let (free, filtered) = (make_call(false), make_call(true));
        assert_ne!(free, Fate::Unclear);
        // Whatever it is without a filter, behind one it is the same or it is refused.
        assert!(filtered == free || filtered == Fate::Refused, "{free:?}, {filtered:?}");
    }
}
